//! The sign-in service's signing key, and tokens made with it.

use base64ct::{Base64UrlUnpadded, Encoding};
use rag_core::jwks::{Jwk, Jwks};
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
};
use serde_json::{Value, json};
use uuid::Uuid;

/// Who issues tokens.
pub const ISSUER: &str = "https://auth.example/auth/v1";

/// The session of every token.
pub const SESSION: Uuid = Uuid::from_u128(0x5e);

/// A key pair with a name.
pub struct Issuer {
    pair: EcdsaKeyPair,
    /// The public half.
    pub jwks: Jwks,
    kid: String,
}

impl Issuer {
    /// A new key.
    pub fn new(kid: &str) -> Self {
        let random = SystemRandom::new();
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random).unwrap();
        let point = pair.public_key().as_ref()[1..].to_vec();
        let coordinate = |part: &[u8]| Some(Base64UrlUnpadded::encode_string(part));
        let key = Jwk {
            kty: "EC".into(),
            kid: Some(kid.into()),
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
            kid: kid.to_owned(),
        }
    }

    /// A token for an hour.
    pub fn token(&self, person: Uuid, now_s: i64) -> String {
        self.sign(&self.header(), &claims(person, now_s))
    }

    /// The header of this issuer's tokens.
    pub fn header(&self) -> Value {
        json!({"alg": "ES256", "typ": "JWT", "kid": self.kid})
    }

    /// A token that says this.
    pub fn sign(&self, header: &Value, claims: &Value) -> String {
        let part = |value: &Value| Base64UrlUnpadded::encode_string(value.to_string().as_bytes());
        let data = format!("{}.{}", part(header), part(claims));
        let signed = self.pair.sign(&SystemRandom::new(), data.as_bytes());
        let signature = Base64UrlUnpadded::encode_string(signed.unwrap().as_ref());
        format!("{data}.{signature}")
    }
}

/// The claims of a student's token for an hour.
pub fn claims(person: Uuid, now_s: i64) -> Value {
    json!({
        "sub": person,
        "iss": ISSUER,
        "aud": "authenticated",
        "role": "authenticated",
        "app_metadata": {"role": "student"},
        "email": "student@school.example",
        "session_id": SESSION,
        "iat": now_s,
        "exp": now_s + 3600,
    })
}
