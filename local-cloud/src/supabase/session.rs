//! Sessions: an access token that is good for an hour and a refresh token that is good once.

use super::{AuthError, KeyError, SupabaseAuth, store, store::User};
use crate::host;
use axum::http::{HeaderMap, header};
use chrono::{DateTime, Duration, Utc};
use serde_json::{Value, json};
use uuid::Uuid;

/// Life of an access token.
const ACCESS_TOKEN_S: i64 = 3600;
/// Life of a refresh token that is not used.
const REFRESH_TOKEN_S: i64 = 604_800;

/// Whose access token came with a request.
pub(super) struct Bearer {
    pub(super) user_id: Uuid,
    pub(super) session_id: Uuid,
}

impl SupabaseAuth {
    /// Begins a session of `user`; the reply of sign-up and sign-in.
    pub(super) async fn begin_session(&self, user: &User) -> Result<Value, AuthError> {
        let (now, session) = (host::now(), host::new_id());
        let refresh_token = host::random_hex::<16>().map_err(KeyError::from)?;
        let mut transaction = self.pool()?.begin().await?;
        store::signed_in(&mut transaction, user.id, now).await?;
        store::add_refresh_token(
            &mut transaction,
            &refresh_token,
            None,
            user.id,
            session,
            now,
        )
        .await?;
        transaction.commit().await?;
        let user = User {
            last_sign_in_at: Some(now),
            ..user.clone()
        };
        self.session_reply(&user, session, &refresh_token, now)
    }

    /// Exchanges a refresh token. A token that was used before ends its session: whoever holds the
    /// newest one may be a thief.
    pub(super) async fn refresh_session(&self, presented: &str) -> Result<Value, AuthError> {
        let now = host::now();
        let mut transaction = self.pool()?.begin().await?;
        let token = store::lock_refresh_token(&mut transaction, presented).await?;
        let token = token.ok_or(AuthError::NO_REFRESH_TOKEN)?;
        if token.revoked {
            store::revoke_session(&mut transaction, token.session_id, now).await?;
            transaction.commit().await?;
            return Err(AuthError::REFRESH_TOKEN_USED);
        }
        if now - token.created_at > Duration::seconds(REFRESH_TOKEN_S) {
            return Err(AuthError::SESSION_EXPIRED);
        }
        let next = host::random_hex::<16>().map_err(KeyError::from)?;
        let (user, session) = (token.user_id, token.session_id);
        store::revoke_token(&mut transaction, presented, now).await?;
        store::add_refresh_token(&mut transaction, &next, Some(presented), user, session, now)
            .await?;
        transaction.commit().await?;
        let user = store::user_by_id(self.pool()?, user).await?;
        self.session_reply(&user.ok_or(AuthError::USER_NOT_FOUND)?, session, &next, now)
    }

    /// Whose access token the request carries; refused unless it is ours and current.
    pub(super) fn bearer(&self, headers: &HeaderMap) -> Result<Bearer, AuthError> {
        let token = bearer_text(headers).ok_or(AuthError::NO_BEARER)?;
        let claims = self.keys.verify(token).ok_or(AuthError::BAD_JWT)?;
        let id = |name: &str| claims[name].as_str().and_then(|text| text.parse().ok());
        let current = claims["exp"]
            .as_i64()
            .is_some_and(|exp| exp > host::now().timestamp());
        match (current, id("sub"), id("session_id")) {
            (true, Some(user_id), Some(session_id)) => Ok(Bearer {
                user_id,
                session_id,
            }),
            _ => Err(AuthError::BAD_JWT),
        }
    }

    fn session_reply(
        &self,
        user: &User,
        session: Uuid,
        refresh_token: &str,
        now: DateTime<Utc>,
    ) -> Result<Value, AuthError> {
        let issued = now.timestamp();
        let expires = issued + ACCESS_TOKEN_S;
        let access_token = self.keys.sign(&json!({
            "iss": self.issuer, "sub": user.id, "aud": "authenticated",
            "iat": issued, "exp": expires,
            "email": user.email, "phone": "", "role": "authenticated",
            "app_metadata": user.app_metadata(),
            "user_metadata": user.raw_user_meta_data,
            "aal": "aal1", "amr": [{ "method": "password", "timestamp": issued }],
            "session_id": session, "is_anonymous": false,
        }))?;
        Ok(json!({
            "access_token": access_token, "token_type": "bearer",
            "expires_in": ACCESS_TOKEN_S, "expires_at": expires,
            "refresh_token": refresh_token, "user": user.as_json(),
        }))
    }
}

/// The token of an `Authorization: Bearer` header.
pub(super) fn bearer_text(headers: &HeaderMap) -> Option<&str> {
    headers
        .get(header::AUTHORIZATION)?
        .to_str()
        .ok()?
        .strip_prefix("Bearer ")
}
