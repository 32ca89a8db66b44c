//! Whoever answers are for in tests.

use shared_types::{
    claims::{AccessClaims, AppMetadata, Role},
    ids::UserId,
};
use uuid::Uuid;

/// The student of this number.
pub(crate) fn payer(number: u128) -> AccessClaims {
    AccessClaims {
        sub: UserId(Uuid::from_u128(number)),
        iss: "https://auth.school.example/auth/v1".into(),
        aud: "authenticated".into(),
        role: "authenticated".into(),
        app_metadata: AppMetadata {
            role: Role::Student,
        },
        email: None,
        session_id: None,
    }
}
