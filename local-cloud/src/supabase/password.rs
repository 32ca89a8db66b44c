//! Passwords as argon2id hashes (the crate's defaults: 19 MiB, two passes).

use argon2::{
    Argon2,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use thiserror::Error;
use tokio::task::JoinError;

/// A hash that no password is known for: checked where there is no account, so that a stranger can't
/// tell by the time it takes whether an address is registered.
const NOBODYS: &str = "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5J3Mgc2FsdA$\
                       Yk8bAIlHC4RoOiwSdLVQa1I1FLSLIIkVNDmRPqEXHvU";

/// Why a password can't be hashed.
#[derive(Debug, Error)]
pub(super) enum PasswordError {
    #[error("hashing failed: {0}")]
    Hash(argon2::password_hash::Error),
    #[error("hashing was torn down")]
    Interrupted(#[from] JoinError),
}

/// The hash of a password, with a fresh salt, as a PHC string.
pub(super) async fn hash(password: String) -> Result<String, PasswordError> {
    let hash = move || Argon2::default().hash_password(password.as_bytes());
    let hash = tokio::task::spawn_blocking(hash).await?;
    hash.map(|hash| hash.to_string())
        .map_err(PasswordError::Hash)
}

/// Whether the password fits the hash of the account; never without an account, and no faster then.
pub(super) async fn verify(password: String, hash: Option<String>) -> Result<bool, PasswordError> {
    let verify = move || {
        let known = hash.is_some();
        let hash = hash.unwrap_or_else(|| NOBODYS.to_owned());
        let fits = PasswordHash::new(&hash).is_ok_and(|hash| {
            Argon2::default()
                .verify_password(password.as_bytes(), &hash)
                .is_ok()
        });
        known && fits
    };
    Ok(tokio::task::spawn_blocking(verify).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_right_password_of_an_existing_account_fits() {
        let hash = hash("legato-4-ever".into()).await.unwrap();
        assert!(
            verify("legato-4-ever".into(), Some(hash.clone()))
                .await
                .unwrap()
        );
        assert!(!verify("staccato".into(), Some(hash)).await.unwrap());
        assert!(!verify("legato-4-ever".into(), None).await.unwrap());
        assert!(PasswordHash::new(NOBODYS).is_ok());
    }
}
