//! The keys that sign access tokens: one of each kind that Supabase issues, made once and kept.

use crate::config::SigningChoice;
use base64ct::{Base64UrlUnpadded, Encoding};
use ring::{
    error::{KeyRejected, Unspecified},
    rand::SystemRandom,
    rsa::PublicKeyComponents,
    signature::{
        self, ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair,
        RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaKeyPair, UnparsedPublicKey,
    },
};
use rsa::{RsaPrivateKey, pkcs8::EncodePrivateKey};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};
use thiserror::Error;

const RSA_BITS: usize = 2048;

/// Why there are no keys.
#[derive(Debug, Error)]
pub enum KeyError {
    /// The folder of the keys can't be read or written.
    #[error("can't keep keys in {path}")]
    Keep {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The RSA key can't be made.
    #[error("can't make an RSA key")]
    MakeRsa(#[from] rsa::Error),
    /// The RSA key can't be written down.
    #[error("can't encode an RSA key")]
    EncodeRsa(#[from] rsa::pkcs8::Error),
    /// A kept key is damaged.
    #[error("a kept key is damaged: {0}")]
    Damaged(KeyRejected),
    /// There was no randomness, or a key refused to sign.
    #[error("no randomness, or a key refused to sign")]
    Cryptography(Unspecified),
}

// `ring`'s errors are no `std::error::Error` as this workspace builds it, so they are no sources.
impl From<KeyRejected> for KeyError {
    fn from(error: KeyRejected) -> Self {
        Self::Damaged(error)
    }
}

impl From<Unspecified> for KeyError {
    fn from(error: Unspecified) -> Self {
        Self::Cryptography(error)
    }
}

/// Both signing keys.
pub(crate) struct SigningKeys {
    rsa: RsaKeyPair,
    rsa_id: String,
    ecdsa: EcdsaKeyPair,
    ecdsa_id: String,
    choice: SigningChoice,
    random: SystemRandom,
}

impl SigningKeys {
    /// Reads the keys from `folder`, or makes them there, readable by their owner alone.
    pub(crate) fn load_or_make(folder: &Path, choice: SigningChoice) -> Result<Self, KeyError> {
        let random = SystemRandom::new();
        let rsa = keep(&folder.join("rs256.pkcs8"), || {
            let key = RsaPrivateKey::new(&mut rsa::rand_core::OsRng, RSA_BITS)?;
            Ok(key.to_pkcs8_der()?.as_bytes().to_vec())
        })?;
        let ecdsa = keep(&folder.join("es256.pkcs8"), || {
            let key = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random)?;
            Ok(key.as_ref().to_vec())
        })?;
        let rsa = RsaKeyPair::from_pkcs8(&rsa)?;
        let ecdsa = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &ecdsa, &random)?;
        Ok(Self {
            rsa_id: key_id(rsa.public_key().as_ref()),
            ecdsa_id: key_id(ecdsa.public_key().as_ref()),
            rsa,
            ecdsa,
            choice,
            random,
        })
    }

    /// A compact JWS over `claims`, by the chosen key.
    pub(crate) fn sign(&self, claims: &Value) -> Result<String, KeyError> {
        let (algorithm, id) = match self.choice {
            SigningChoice::Rs256 => ("RS256", &self.rsa_id),
            SigningChoice::Es256 => ("ES256", &self.ecdsa_id),
        };
        let header = json!({ "alg": algorithm, "kid": id, "typ": "JWT" });
        let encode = |part: &Value| Base64UrlUnpadded::encode_string(part.to_string().as_bytes());
        let signed = format!("{}.{}", encode(&header), encode(claims));
        let signature = match self.choice {
            SigningChoice::Rs256 => {
                let mut signature = vec![0; self.rsa.public().modulus_len()];
                let message = signed.as_bytes();
                self.rsa
                    .sign(&RSA_PKCS1_SHA256, &self.random, message, &mut signature)?;
                signature
            }
            SigningChoice::Es256 => self
                .ecdsa
                .sign(&self.random, signed.as_bytes())?
                .as_ref()
                .to_vec(),
        };
        Ok(format!(
            "{signed}.{}",
            Base64UrlUnpadded::encode_string(&signature)
        ))
    }

    /// The claims of a token that one of these keys signed; nothing of any other. Times are not checked.
    pub(super) fn verify(&self, token: &str) -> Option<Value> {
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        let decode = |part: &str| Base64UrlUnpadded::decode_vec(part).ok();
        let header: Value = serde_json::from_slice(&decode(header)?).ok()?;
        let id = header["kid"].as_str()?;
        let (algorithm, key): (&dyn signature::VerificationAlgorithm, &[u8]) = if id == self.rsa_id
        {
            (&RSA_PKCS1_2048_8192_SHA256, self.rsa.public_key().as_ref())
        } else if id == self.ecdsa_id {
            (&ECDSA_P256_SHA256_FIXED, self.ecdsa.public_key().as_ref())
        } else {
            return None;
        };
        UnparsedPublicKey::new(algorithm, key)
            .verify(signed.as_bytes(), &decode(signature)?)
            .ok()?;
        serde_json::from_slice(&decode(claims)?).ok()
    }

    /// Both public keys, the signing one first.
    pub(crate) fn jwks(&self) -> Value {
        let text = |bytes: &[u8]| Base64UrlUnpadded::encode_string(bytes);
        let public = PublicKeyComponents::<Vec<u8>>::from(self.rsa.public_key());
        let rsa = json!({
            "kty": "RSA", "alg": "RS256", "kid": self.rsa_id, "use": "sig",
            "key_ops": ["verify"], "ext": true,
            "n": text(&public.n), "e": text(&public.e),
        });
        // Uncompressed: a tag, then two coordinates of equal length.
        let (x, y) = self.ecdsa.public_key().as_ref()[1..].split_at(32);
        let ecdsa = json!({
            "kty": "EC", "crv": "P-256", "alg": "ES256", "kid": self.ecdsa_id, "use": "sig",
            "key_ops": ["verify"], "ext": true,
            "x": text(x), "y": text(y),
        });
        match self.choice {
            SigningChoice::Rs256 => json!({ "keys": [rsa, ecdsa] }),
            SigningChoice::Es256 => json!({ "keys": [ecdsa, rsa] }),
        }
    }
}

fn key_id(public_key: &[u8]) -> String {
    hex::encode(&Sha256::digest(public_key)[..16])
}

/// The bytes of `path`; made, written whole and flushed where there are none.
fn keep(
    path: &Path,
    make: impl FnOnce() -> Result<Vec<u8>, KeyError>,
) -> Result<Vec<u8>, KeyError> {
    let failed = |source| KeyError::Keep {
        path: path.to_owned(),
        source,
    };
    match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        read => return read.map_err(failed),
    }
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(failed)?;
    // Temporary files are made with mode 0600.
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
    file.write_all(&make()?).map_err(failed)?;
    file.as_file().sync_all().map_err(failed)?;
    match file.persist_noclobber(path) {
        Ok(_) => {}
        // Another process was faster: its key counts.
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(failed(error.error)),
    }
    fs::read(path).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn keys_are_made_once_kept_private_and_verify_what_either_signed() {
        let folder = tempfile::tempdir().unwrap();
        let claims = json!({ "sub": "somebody" });
        let mut tokens = Vec::new();
        for choice in [SigningChoice::Rs256, SigningChoice::Es256] {
            let keys = SigningKeys::load_or_make(folder.path(), choice).unwrap();
            tokens.push(keys.sign(&claims).unwrap());
        }
        let keys = SigningKeys::load_or_make(folder.path(), SigningChoice::Rs256).unwrap();
        for token in &tokens {
            assert_eq!(keys.verify(token).as_ref(), Some(&claims));
            let (rest, _) = token.rsplit_once('.').unwrap();
            assert_eq!(keys.verify(&format!("{rest}.AAAA")), None);
        }
        let mode = fs::metadata(folder.path().join("rs256.pkcs8"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
