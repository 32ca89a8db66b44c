//! What an access token of Supabase Auth says about its bearer.

use crate::ids::{SessionId, UserId};
use serde::{Deserialize, Serialize};

/// The part that a person plays in Etude. Set by the server alone, in `app_metadata.role`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Asks, and reads public documents and those of her teachers.
    Student,
    /// Asks, uploads, and reads public documents and his own.
    Teacher,
    /// Reads everything and looks after the service.
    Admin,
}

impl Role {
    /// The text used in tokens, in the database and in digests.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Student => "student",
            Self::Teacher => "teacher",
            Self::Admin => "admin",
        }
    }
}

/// `app_metadata` of a Supabase access token: writable by the server alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppMetadata {
    /// The person's role in Etude.
    pub role: Role,
}

/// The private claims of a Supabase access token; `exp`, `nbf` and `iat` are the token library's.
///
/// `role` is the Postgres role (`authenticated`), never ours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessClaims {
    /// The person.
    pub sub: UserId,
    /// Who issued the token: `{SUPABASE_URL}/auth/v1`.
    pub iss: String,
    /// Whom it is for: `authenticated`.
    pub aud: String,
    /// The Postgres role.
    pub role: String,
    /// Our role.
    pub app_metadata: AppMetadata,
    /// The address the person signed in with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// The sign-in that the token descends from. Supabase always names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_id: Option<SessionId>,
}
