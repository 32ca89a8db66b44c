//! The OpenID Connect tokens that pushes come with, as Google signs them: RS256, by one of the keys that it publishes.

use super::{control::TokenKind, delivery::Subscription};
use crate::{
    config::SigningChoice,
    host,
    supabase::{KeyError, SigningKeys},
};
use serde_json::{Value, json};
use std::{
    path::{Path, PathBuf},
    sync::{PoisonError, RwLock},
};

/// How long a token is good, as Google's are.
const LIFE_S: i64 = 3_600;
/// Keys that are published at a time, the one that signs first.
const PUBLISHED: usize = 2;

/// The keys.
pub(super) struct Tokens {
    folder: PathBuf,
    /// The newest first.
    published: RwLock<Vec<SigningKeys>>,
    /// Signs what nobody should believe.
    foreign: SigningKeys,
}

impl Tokens {
    pub(super) fn set_up(state_dir: &Path) -> Result<Self, KeyError> {
        let folder = state_dir.join("google");
        Ok(Self {
            published: RwLock::new(vec![keys(&folder.join("first"))?]),
            foreign: keys(&folder.join("foreign"))?,
            folder,
        })
    }

    /// Makes a new key the one that signs.
    pub(super) fn rotate(&self) -> Result<(), KeyError> {
        let fresh = keys(&self.folder.join(host::new_id().to_string()))?;
        let mut published = self
            .published
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        published.insert(0, fresh);
        published.truncate(PUBLISHED);
        Ok(())
    }

    /// The public RSA keys.
    pub(super) fn jwks(&self) -> Value {
        let published = self
            .published
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        let keys: Vec<Value> = published
            .iter()
            .map(|keys| keys.jwks()["keys"][0].clone())
            .collect();
        json!({ "keys": keys })
    }

    /// A token for a push of this subscription, or one that is wrong in this way.
    pub(super) fn issue(&self, subscription: &Subscription, kind: TokenKind) -> Option<String> {
        let now = host::now().timestamp();
        let issued = match kind {
            TokenKind::Expired => now - 2 * LIFE_S,
            _ => now,
        };
        let claims = json!({
            "iss": match kind {
                TokenKind::OtherIssuer => "https://accounts.example.com",
                _ => "https://accounts.google.com",
            },
            "aud": match kind {
                TokenKind::OtherAudience => "https://somebody.example.com",
                _ => subscription.audience.as_str(),
            },
            "azp": "113774264463038321964",
            "sub": "113774264463038321964",
            "email": match kind {
                TokenKind::OtherAccount => "somebody@another-project.iam.gserviceaccount.com",
                _ => subscription.account.as_str(),
            },
            "email_verified": true,
            "iat": issued,
            "exp": issued + LIFE_S,
        });
        if kind == TokenKind::Missing {
            return None;
        }
        let published = self
            .published
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        let keys = match kind {
            TokenKind::ForeignKey => &self.foreign,
            _ => published.first()?,
        };
        keys.sign(&claims).ok()
    }
}

fn keys(folder: &Path) -> Result<SigningKeys, KeyError> {
    SigningKeys::load_or_make(folder, SigningChoice::Rs256)
}
