//! An access token, and the key set that it is verified with. The key is made for one run.

use anyhow::{Result, anyhow};
use base64ct::{Base64UrlUnpadded, Encoding};
use ring::{
    rand::SystemRandom,
    signature::{RSA_PKCS1_SHA256, RsaKeyPair},
};
use rsa::{RsaPrivateKey, pkcs8::EncodePrivateKey, traits::PublicKeyParts};
use serde_json::{Value, json};
use shared_types::ids::UserId;

const RSA_BITS: usize = 2048;
const KEY_ID: &str = "bench";

/// Who issues the token, to whom, and when.
pub struct Claims<'a> {
    /// `sub`.
    pub person: UserId,
    /// `iss`.
    pub issuer: &'a str,
    /// `aud`.
    pub audience: &'a str,
    /// `iat`, in seconds since 1970; the token lives for an hour.
    pub issued_at_s: i64,
}

/// A compact RS256 token, and its key set as JSON.
pub fn issue(claims: &Claims<'_>) -> Result<(String, Value)> {
    let key = RsaPrivateKey::new(&mut rsa::rand_core::OsRng, RSA_BITS)?;
    let number = |bytes: Vec<u8>| Base64UrlUnpadded::encode_string(&bytes);
    let key_set = json!({ "keys": [{
        "kty": "RSA",
        "kid": KEY_ID,
        "alg": "RS256",
        "use": "sig",
        "n": number(key.n().to_bytes_be()),
        "e": number(key.e().to_bytes_be()),
    }] });

    let part = |value: &Value| Base64UrlUnpadded::encode_string(value.to_string().as_bytes());
    let header = json!({ "alg": "RS256", "kid": KEY_ID, "typ": "JWT" });
    let body = json!({
        "sub": claims.person,
        "iss": claims.issuer,
        "aud": claims.audience,
        "role": claims.audience,
        "app_metadata": { "role": "student" },
        "email": "student@school.example",
        "iat": claims.issued_at_s,
        "exp": claims.issued_at_s + 3_600,
    });
    let signed = format!("{}.{}", part(&header), part(&body));
    // `ring`'s errors are no `std::error::Error` as this workspace builds it.
    let pair = RsaKeyPair::from_pkcs8(key.to_pkcs8_der()?.as_bytes())
        .map_err(|error| anyhow!("the key is refused: {error}"))?;
    let mut signature = vec![0; pair.public().modulus_len()];
    pair.sign(
        &RSA_PKCS1_SHA256,
        &SystemRandom::new(),
        signed.as_bytes(),
        &mut signature,
    )
    .map_err(|error| anyhow!("the key does not sign: {error}"))?;
    let signature = Base64UrlUnpadded::encode_string(&signature);
    Ok((format!("{signed}.{signature}"), key_set))
}
