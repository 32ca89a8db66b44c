//! How long the issuer's keys are used while it does not answer.

use crate::{clouds::Clouds, issuer::Issuer};
use chrono::TimeDelta;
use origin_api::{
    host,
    signing_keys::{SigningKeys, VerifyError},
};
use rag_core::token::{TokenError, TokenPolicy};
use shared_types::{
    claims::{AccessClaims, AppMetadata, Role},
    ids::UserId,
};
use std::{sync::Arc, time::Duration};
use uuid::Uuid;

const ISSUER: &str = "https://auth.example/auth/v1";
const DAY_S: i64 = 24 * 60 * 60;

fn keys_of(clouds: &Clouds, cool_down: Duration) -> Arc<SigningKeys> {
    let url = format!("http://{}/auth/v1/.well-known/jwks.json", clouds.address);
    let policy = TokenPolicy {
        issuer: ISSUER.to_owned(),
        audience: "authenticated".to_owned(),
    };
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    SigningKeys::new(http, url.parse().unwrap(), policy, cool_down)
}

fn student() -> AccessClaims {
    AccessClaims {
        sub: UserId(Uuid::from_u128(7)),
        iss: ISSUER.to_owned(),
        aud: "authenticated".to_owned(),
        role: "authenticated".to_owned(),
        app_metadata: AppMetadata {
            role: Role::Student,
        },
        email: None,
        session_id: None,
    }
}

#[tokio::test]
async fn keys_that_can_not_be_renewed_are_used_for_a_day() {
    let clouds = Clouds::start().await;
    let issuer = Issuer::new("key-1");
    clouds.inside().keys = vec![issuer.public_key()];
    let keys = keys_of(&clouds, Duration::ZERO);
    let token = issuer.token(&student(), ISSUER, 2 * DAY_S);
    let now = host::now();
    assert!(keys.verify(&token, now).await.is_ok());

    clouds.inside().issuer_is_down = true;
    let within = now + TimeDelta::seconds(DAY_S - 1);
    assert!(keys.verify(&token, within).await.is_ok());
    let after = now + TimeDelta::seconds(DAY_S);
    let refused = keys.verify(&token, after).await;
    assert_eq!(refused, Err(VerifyError::NoKeys));
}

#[tokio::test]
async fn a_thousand_invented_keys_cost_one_fetch() {
    let clouds = Clouds::start().await;
    let issuer = Issuer::new("key-1");
    clouds.inside().keys = vec![issuer.public_key()];
    let keys = keys_of(&clouds, Duration::from_hours(1));
    let now = host::now();
    let genuine = issuer.token(&student(), ISSUER, 600);
    assert!(keys.verify(&genuine, now).await.is_ok());
    let invented = Issuer::new("invented").token(&student(), ISSUER, 600);
    for _ in 0..1_000 {
        let refused = keys.verify(&invented, now).await;
        assert_eq!(refused, Err(TokenError::UnknownKey.into()));
    }
    assert_eq!(clouds.inside().key_fetches, 1);
}
