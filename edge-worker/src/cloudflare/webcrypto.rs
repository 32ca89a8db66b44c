//! Signatures by the runtime's WebCrypto: more than ten times faster than RSA in wasm, as long as
//! the imported key is kept.

use super::{Workerd, failed, tasks::settled};
use crate::ports::{PortError, SignatureVerifier};
use js_sys::{Array, Object, Promise, Reflect};
use rag_core::{
    jwks::Jwk,
    token::{SigningAlgorithm, UnverifiedToken},
};
use std::cell::RefCell;
use wasm_bindgen::{JsCast, JsValue, prelude::wasm_bindgen};
use web_sys::{CryptoKey, SubtleCrypto, WorkerGlobalScope};

#[wasm_bindgen(module = "/src/cloudflare/host.js")]
extern "C" {
    #[wasm_bindgen(catch)]
    fn verify(
        subtle: &SubtleCrypto,
        algorithm: &Object,
        key: &CryptoKey,
        signature: &[u8],
        data: &[u8],
    ) -> Result<Promise, JsValue>;
}

/// Keys at most; a project has one or two in use.
const CAPACITY: usize = 8;

/// What verifies: the runtime's WebCrypto, its parameters, and the keys imported so far.
pub struct Verifier {
    subtle: SubtleCrypto,
    rs256: Object,
    es256: Object,
    keys: ImportedKeys,
}

/// Imported keys beside what they were imported from.
#[derive(Default)]
struct ImportedKeys(RefCell<Vec<(Jwk, CryptoKey)>>);

impl ImportedKeys {
    fn find(&self, key: &Jwk) -> Option<CryptoKey> {
        let keys = self.0.borrow();
        let found = keys.iter().find(|(jwk, _)| jwk == key);
        found.map(|(_, imported)| imported.clone())
    }

    fn keep(&self, key: Jwk, imported: CryptoKey) {
        let mut keys = self.0.borrow_mut();
        if keys.len() >= CAPACITY {
            keys.remove(0);
        }
        keys.push((key, imported));
    }
}

impl SignatureVerifier for Workerd {
    async fn verify(&self, key: &Jwk, token: &UnverifiedToken<'_>) -> Result<bool, PortError> {
        let verified = self.isolate.verifier.verify(key, token).await;
        verified.map_err(failed)
    }
}

impl Verifier {
    /// A verifier that has imported no keys.
    pub fn new() -> Result<Self, JsValue> {
        let scope: WorkerGlobalScope = js_sys::global().unchecked_into();
        Ok(Self {
            subtle: scope.crypto()?.subtle(),
            rs256: object(&[("name", "RSASSA-PKCS1-v1_5"), ("hash", "SHA-256")])?,
            es256: object(&[
                ("name", "ECDSA"),
                ("namedCurve", "P-256"),
                ("hash", "SHA-256"),
            ])?,
            keys: ImportedKeys::default(),
        })
    }

    async fn verify(&self, key: &Jwk, token: &UnverifiedToken<'_>) -> Result<bool, JsValue> {
        let algorithm = self.algorithm(token.algorithm());
        let imported = if let Some(imported) = self.keys.find(key) {
            imported
        } else {
            let imported = import(&self.subtle, key, algorithm).await?;
            self.keys.keep(key.clone(), imported.clone());
            imported
        };
        let subtle = &self.subtle;
        let verified = verify(
            subtle,
            algorithm,
            &imported,
            token.signature(),
            token.signed_data(),
        )?;
        Ok(settled(&verified).await?.is_truthy())
    }

    /// The parameters of both import and verification: each takes what it needs of them.
    fn algorithm(&self, signing: SigningAlgorithm) -> &Object {
        match signing {
            SigningAlgorithm::Rs256 => &self.rs256,
            SigningAlgorithm::Es256 => &self.es256,
        }
    }
}

async fn import(
    subtle: &SubtleCrypto,
    key: &Jwk,
    algorithm: &Object,
) -> Result<CryptoKey, JsValue> {
    let jwk = object(&[("kty", &key.kty)])?;
    let members = [
        ("n", &key.n),
        ("e", &key.e),
        ("crv", &key.crv),
        ("x", &key.x),
        ("y", &key.y),
    ];
    for (name, value) in members {
        if let Some(value) = value {
            Reflect::set(&jwk, &name.into(), &value.into())?;
        }
    }
    let usages = Array::of1(&"verify".into());
    let imported = subtle.import_key_with_object("jwk", &jwk, algorithm, false, &usages)?;
    Ok(settled(&imported).await?.unchecked_into())
}

fn object(members: &[(&str, &str)]) -> Result<Object, JsValue> {
    let object = Object::new();
    for (name, value) in members {
        Reflect::set(&object, &(*name).into(), &(*value).into())?;
    }
    Ok(object)
}
