//! A token issuer with an ES256 key.

use base64ct::{Base64UrlUnpadded, Encoding};
use rag_core::jwks::Jwk;
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
};
use serde_json::{Value, json};
use shared_types::claims::AccessClaims;

/// One signing key.
pub struct Issuer {
    name: &'static str,
    pair: EcdsaKeyPair,
}

impl Issuer {
    pub fn new(name: &'static str) -> Self {
        let random = SystemRandom::new();
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random).unwrap();
        Self { name, pair }
    }

    pub fn public_key(&self) -> Jwk {
        let point = &self.pair.public_key().as_ref()[1..];
        let coordinate = |part: &[u8]| Some(Base64UrlUnpadded::encode_string(part));
        Jwk {
            kty: "EC".into(),
            kid: Some(self.name.into()),
            alg: Some("ES256".into()),
            n: None,
            e: None,
            crv: Some("P-256".into()),
            x: coordinate(&point[..32]),
            y: coordinate(&point[32..]),
        }
    }

    /// A token of this person, issued by `issuer` and good for `lifetime_s` seconds.
    pub fn token(&self, person: &AccessClaims, issuer: &str, lifetime_s: i64) -> String {
        let mut claims = serde_json::to_value(person).unwrap();
        claims["iss"] = json!(issuer);
        claims["exp"] = json!(origin_api::host::now().timestamp() + lifetime_s);
        self.sign(&self.header(), &claims)
    }

    /// The header of this issuer's tokens.
    pub fn header(&self) -> Value {
        json!({"alg": "ES256", "typ": "JWT", "kid": self.name})
    }

    /// A token that says this.
    pub fn sign(&self, header: &Value, claims: &Value) -> String {
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
}
