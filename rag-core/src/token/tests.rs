//! A forger's visit: every way in which a token may lie.

use super::{verify::verify, *};
use crate::jwks::{Jwk, Jwks};
use base64ct::{Base64UrlUnpadded, Encoding};
use chrono::TimeZone;
use proptest::prelude::*;
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
};
use serde_json::{Value, json};

const NOW_S: i64 = 1_800_000_000;

struct Issuer {
    pair: EcdsaKeyPair,
    jwks: Jwks,
}

impl Issuer {
    fn new() -> Self {
        let random = SystemRandom::new();
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random).unwrap();
        let point = pair.public_key().as_ref()[1..].to_vec();
        let coordinate = |part: &[u8]| Some(Base64UrlUnpadded::encode_string(part));
        let key = Jwk {
            kty: "EC".into(),
            kid: Some("key-1".into()),
            alg: Some("ES256".into()),
            n: None,
            e: None,
            crv: Some("P-256".into()),
            x: coordinate(&point[..32]),
            y: coordinate(&point[32..]),
        };
        Self {
            pair,
            jwks: Jwks { keys: vec![key] },
        }
    }

    fn sign(&self, header: &Value, claims: &Value) -> String {
        let part = |value: &Value| Base64UrlUnpadded::encode_string(value.to_string().as_bytes());
        let data = format!("{}.{}", part(header), part(claims));
        let signature = self
            .pair
            .sign(&SystemRandom::new(), data.as_bytes())
            .unwrap();
        format!(
            "{data}.{}",
            Base64UrlUnpadded::encode_string(signature.as_ref())
        )
    }

    fn check(&self, text: &str) -> Result<AccessClaims, TokenError> {
        let token = UnverifiedToken::parse(text)?;
        verify(self.jwks.select(&token)?, &token)?;
        let policy = TokenPolicy {
            issuer: "https://auth.example/auth/v1".into(),
            audience: "authenticated".into(),
            leeway_s: 60,
        };
        token.accept(&policy, Utc.timestamp_opt(NOW_S, 0).unwrap())
    }
}

fn header() -> Value {
    json!({"alg": "ES256", "typ": "JWT", "kid": "key-1"})
}

fn claims() -> Value {
    json!({
        "sub": "00000000-0000-0000-0000-000000000007",
        "iss": "https://auth.example/auth/v1",
        "aud": "authenticated",
        "role": "authenticated",
        "app_metadata": {"role": "teacher", "provider": "email"},
        "exp": NOW_S + 3600,
        "iat": NOW_S,
    })
}

fn with(mut value: Value, name: &str, new: Value) -> Value {
    value[name] = new;
    value
}

#[test]
fn a_genuine_token_is_accepted() {
    let issuer = Issuer::new();
    let accepted = issuer.check(&issuer.sign(&header(), &claims())).unwrap();
    assert_eq!(
        accepted.app_metadata.role,
        shared_types::claims::Role::Teacher
    );
}

#[test]
fn every_lie_about_the_claims_is_refused() {
    let issuer = Issuer::new();
    let lies = [
        ("exp", json!(NOW_S - 61), TokenError::Expired),
        ("exp", Value::Null, TokenError::ClaimsInvalid),
        ("nbf", json!(NOW_S + 61), TokenError::NotYetValid),
        (
            "iss",
            json!("https://elsewhere.example"),
            TokenError::WrongIssuer,
        ),
        ("aud", json!("service"), TokenError::WrongAudience),
        ("role", json!("service_role"), TokenError::WrongAudience),
        ("sub", json!("not-a-person"), TokenError::ClaimsInvalid),
        (
            "app_metadata",
            json!({"role": "owner"}),
            TokenError::ClaimsInvalid,
        ),
    ];
    for (name, value, expected) in lies {
        let token = issuer.sign(&header(), &with(claims(), name, value));
        assert_eq!(issuer.check(&token), Err(expected), "{name}");
    }
}

#[test]
fn every_lie_about_the_key_is_refused() {
    let issuer = Issuer::new();
    let lies = [
        ("alg", json!("none"), TokenError::AlgorithmRefused),
        ("alg", json!("HS256"), TokenError::AlgorithmRefused),
        ("alg", json!("RS256"), TokenError::KeyMismatch),
        ("kid", json!("key-2"), TokenError::UnknownKey),
    ];
    for (name, value, expected) in lies {
        let token = issuer.sign(&with(header(), name, value), &claims());
        assert_eq!(issuer.check(&token), Err(expected), "{name}");
    }
    let forged = Issuer::new().sign(&header(), &claims());
    assert_eq!(issuer.check(&forged), Err(TokenError::BadSignature));
}

#[test]
fn an_oversized_token_is_not_even_read() {
    let text = "a".repeat(MAX_TOKEN_BYTES + 1);
    assert_eq!(
        UnverifiedToken::parse(&text).unwrap_err(),
        TokenError::TooLarge
    );
}

#[test]
fn a_skew_of_a_minute_is_forgiven() {
    let issuer = Issuer::new();
    let token = issuer.sign(&header(), &with(claims(), "exp", json!(NOW_S - 60)));
    assert!(issuer.check(&token).is_ok());
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in "\\PC{0,200}") {
        let _ = UnverifiedToken::parse(&text);
    }

    #[test]
    fn a_changed_byte_is_noticed(at in 0usize..400) {
        let issuer = Issuer::new();
        let mut token = issuer.sign(&header(), &claims()).into_bytes();
        let at = at % token.len();
        token[at] = if token[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(token).unwrap();
        prop_assert!(issuer.check(&changed).is_err());
    }
}
