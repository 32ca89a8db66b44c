//! Refusals in the shape of Supabase Auth: `{"code", "error_code", "msg"}`.

use super::{keys::KeyError, password::PasswordError};
use crate::http::retry_after;
use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde_json::json;
use thiserror::Error;

/// Why a call of the sign-in service failed.
#[derive(Debug, Error)]
pub(super) enum AuthError {
    #[error("{msg}")]
    Refused {
        status: StatusCode,
        error_code: &'static str,
        msg: &'static str,
    },
    #[error("started without a database")]
    NoDatabase,
    #[error("refused on demand")]
    Demanded {
        status: StatusCode,
        retry_after_s: Option<u32>,
    },
    #[error("the database failed")]
    Database(#[from] sqlx::Error),
    #[error("a key failed")]
    Key(#[from] KeyError),
    #[error("a password can't be hashed")]
    Password(#[from] PasswordError),
}

macro_rules! refusals {
    ($($name:ident: $status:ident, $code:literal, $msg:literal;)+) => {
        impl AuthError {
            $(pub(super) const $name: Self = Self::Refused {
                status: StatusCode::$status, error_code: $code, msg: $msg,
            };)+
        }
    };
}

// Codes and words as Supabase Auth sends them.
refusals! {
    BAD_JSON: BAD_REQUEST, "bad_json", "Could not parse request body as JSON";
    BAD_EMAIL: BAD_REQUEST, "validation_failed", "Unable to validate email address: invalid format";
    NO_PASSWORD: BAD_REQUEST, "validation_failed", "Signup requires a valid password";
    WEAK_PASSWORD: UNPROCESSABLE_ENTITY, "weak_password", "Password should be at least 6 characters.";
    LONG_PASSWORD: BAD_REQUEST, "validation_failed", "Password cannot be longer than 72 characters";
    USER_EXISTS: UNPROCESSABLE_ENTITY, "user_already_exists", "User already registered";
    EMAIL_EXISTS: UNPROCESSABLE_ENTITY, "email_exists",
        "A user with this email address has already been registered";
    BAD_ROLE: BAD_REQUEST, "validation_failed", "app_metadata.role must be student, teacher or admin";
    BAD_CREDENTIALS: BAD_REQUEST, "invalid_credentials", "Invalid login credentials";
    BAD_GRANT: BAD_REQUEST, "invalid_credentials", "unsupported_grant_type";
    NO_REFRESH_TOKEN: BAD_REQUEST, "refresh_token_not_found",
        "Invalid Refresh Token: Refresh Token Not Found";
    REFRESH_TOKEN_USED: BAD_REQUEST, "refresh_token_already_used",
        "Invalid Refresh Token: Already Used";
    SESSION_EXPIRED: BAD_REQUEST, "session_expired", "Invalid Refresh Token: Session Expired";
    NO_BEARER: UNAUTHORIZED, "no_authorization", "This endpoint requires a valid Bearer token";
    BAD_JWT: FORBIDDEN, "bad_jwt",
        "invalid JWT: unable to parse or verify signature, token is malformed or expired";
    SESSION_NOT_FOUND: FORBIDDEN, "session_not_found",
        "Session from session_id claim in JWT does not exist";
    USER_NOT_FOUND: FORBIDDEN, "user_not_found", "User from sub claim in JWT does not exist";
    NOT_ADMIN: FORBIDDEN, "not_admin", "User not allowed";
}

impl IntoResponse for AuthError {
    fn into_response(self) -> Response {
        let (status, error_code, msg, retry_after_s) = match &self {
            Self::Refused {
                status,
                error_code,
                msg,
            } => (*status, *error_code, *msg, None),
            Self::Demanded {
                status,
                retry_after_s,
            } => match status.as_u16() {
                429 => (
                    *status,
                    "over_request_rate_limit",
                    "Request rate limit reached",
                    *retry_after_s,
                ),
                _ => (
                    *status,
                    "unexpected_failure",
                    "Unexpected failure",
                    *retry_after_s,
                ),
            },
            Self::NoDatabase | Self::Database(_) | Self::Key(_) | Self::Password(_) => {
                tracing::error!(
                    error = &self as &dyn std::error::Error,
                    "sign-in service failed"
                );
                let status = StatusCode::INTERNAL_SERVER_ERROR;
                (
                    status,
                    "unexpected_failure",
                    "Unexpected failure, please check server logs for more information",
                    None,
                )
            }
        };
        let mut body = json!({ "code": status.as_u16(), "error_code": error_code, "msg": msg });
        if error_code == "weak_password" {
            body["weak_password"] = json!({ "reasons": ["length"] });
        }
        let code = [("x-sb-error-code", error_code)];
        (status, code, retry_after(retry_after_s), Json(body)).into_response()
    }
}
