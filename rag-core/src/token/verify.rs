//! Signature verification for native hosts, by `ring`. In WebAssembly the host's WebCrypto does it.

use super::{SigningAlgorithm, TokenError, UnverifiedToken};
use crate::jwks::Jwk;
use base64ct::{Base64UrlUnpadded, Encoding};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
};

/// Checks the token's signature against the key that [`crate::jwks::KeySet::select`] chose.
pub fn verify(key: &Jwk, token: &UnverifiedToken<'_>) -> Result<(), TokenError> {
    let verified = match token.algorithm() {
        SigningAlgorithm::Rs256 => {
            let (n, e) = (decode(key.n.as_deref())?, decode(key.e.as_deref())?);
            RsaPublicKeyComponents { n, e }.verify(
                &RSA_PKCS1_2048_8192_SHA256,
                token.signed_data(),
                token.signature(),
            )
        }
        SigningAlgorithm::Es256 => {
            let point = [
                vec![4],
                decode(key.x.as_deref())?,
                decode(key.y.as_deref())?,
            ]
            .concat();
            UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)
                .verify(token.signed_data(), token.signature())
        }
    };
    verified.map_err(|_| TokenError::BadSignature)
}

fn decode(part: Option<&str>) -> Result<Vec<u8>, TokenError> {
    part.and_then(|part| Base64UrlUnpadded::decode_vec(part).ok())
        .ok_or(TokenError::KeyMismatch)
}
