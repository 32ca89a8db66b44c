//! Signing in: how the tokens of a session are wanted, and what a browser is told where they are cookies.

use crate::{claims::Role, ids::UserId};
use serde::{Deserialize, Serialize};

/// How the tokens of a session are handed over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SessionForm {
    /// In the body, to be sent as `Authorization: Bearer`.
    #[default]
    Bearer,
    /// As cookies that no script can read.
    Cookie,
}

/// Body of a reply that keeps its tokens in cookies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CookieSession {
    /// Who is signed in.
    pub user: SignedIn,
    /// When the access token ends, in seconds since 1970. To be refreshed before.
    pub ends_at_s: i64,
    /// To be sent as [`crate::headers::CSRF_TOKEN`] with every request that changes something.
    pub csrf_token: String,
}

/// A person who is signed in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedIn {
    /// The person.
    pub id: UserId,
    /// The address the person signed in with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// The part that the person plays.
    pub role: Role,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_in_cookies_has_a_stable_shape() {
        let session = CookieSession {
            user: SignedIn {
                id: UserId(uuid::Uuid::from_u128(7)),
                email: Some("student@school.example".into()),
                role: Role::Student,
            },
            ends_at_s: 1_800_003_600,
            csrf_token: "6f".into(),
        };
        insta::assert_json_snapshot!(session, @r#"
        {
          "user": {
            "id": "00000000-0000-0000-0000-000000000007",
            "email": "student@school.example",
            "role": "student"
          },
          "ends_at_s": 1800003600,
          "csrf_token": "6f"
        }
        "#);
    }
}
