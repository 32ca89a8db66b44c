//! The caches, in Workers KV. Values are bytes: `kv.json` would parse them twice. The namespaces are typed and the
//! options are kept: calls by reflection and options made anew cost more than the rest of a read.

use super::{Workerd, failed, tasks::settled};
use crate::ports::{Cache, Layer, PortError};
use js_sys::{Object, Promise, Reflect, Uint8Array};
use wasm_bindgen::{JsValue, prelude::wasm_bindgen};

/// The least that KV takes. Its reads are kept near the reader for a minute unless told otherwise,
/// and a scope should be forgotten everywhere as soon as can be. A key set is written again under its key.
const SCOPE_READ_CACHE_S: u32 = 30;
/// An answer that was purged by itself is deleted, too, and should be gone everywhere within the bound.
const ANSWER_READ_CACHE_S: u32 = 60;
/// The other values never change under their key.
const READ_CACHE_S: u32 = 300;

#[wasm_bindgen]
extern "C" {
    /// A namespace.
    pub type KvNamespace;
    #[wasm_bindgen(method, catch)]
    fn get(this: &KvNamespace, key: &str, options: &Object) -> Result<Promise, JsValue>;
    #[wasm_bindgen(method, catch)]
    fn delete(this: &KvNamespace, key: &str) -> Result<Promise, JsValue>;
}

#[wasm_bindgen(module = "/src/cloudflare/host.js")]
extern "C" {
    #[wasm_bindgen(catch)]
    fn put(
        namespace: &KvNamespace,
        key: &str,
        value: &[u8],
        ttl_s: u32,
    ) -> Result<Promise, JsValue>;
}

/// The namespaces, and how they are read.
pub struct Caches {
    /// Of [`Layer::Scope`].
    pub scope: KvNamespace,
    /// Of [`Layer::Search`].
    pub search: KvNamespace,
    /// Of [`Layer::Embedding`].
    pub embedding: KvNamespace,
    /// Of [`Layer::Answer`].
    pub answer: KvNamespace,
    /// See [`ReadOptions`].
    pub options: ReadOptions,
}

impl Caches {
    fn of(&self, layer: Layer) -> &KvNamespace {
        match layer {
            Layer::Scope | Layer::Keys => &self.scope,
            Layer::Search => &self.search,
            Layer::Embedding => &self.embedding,
            Layer::Answer => &self.answer,
        }
    }
}

/// Options of `get`, as JavaScript takes them.
pub struct ReadOptions {
    scope: Object,
    answer: Object,
    others: Object,
}

impl ReadOptions {
    /// Makes them.
    pub fn new() -> Result<Self, JsValue> {
        let options = |read_cache_s: u32| {
            let options = Object::new();
            Reflect::set(&options, &"type".into(), &"arrayBuffer".into())?;
            Reflect::set(&options, &"cacheTtl".into(), &read_cache_s.into())?;
            Ok::<_, JsValue>(options)
        };
        Ok(Self {
            scope: options(SCOPE_READ_CACHE_S)?,
            answer: options(ANSWER_READ_CACHE_S)?,
            others: options(READ_CACHE_S)?,
        })
    }

    fn of(&self, layer: Layer) -> &Object {
        match layer {
            Layer::Scope | Layer::Keys => &self.scope,
            Layer::Answer => &self.answer,
            Layer::Search | Layer::Embedding => &self.others,
        }
    }
}

impl Cache for Workerd {
    async fn get(&self, layer: Layer, key: &str) -> Result<Option<Vec<u8>>, PortError> {
        let caches = &self.isolate.caches;
        let get = caches.of(layer).get(key, caches.options.of(layer));
        let value = settled(&get.map_err(failed)?).await.map_err(failed)?;
        Ok((!value.is_null()).then(|| Uint8Array::new(&value).to_vec()))
    }

    async fn put(
        &self,
        layer: Layer,
        key: &str,
        value: Vec<u8>,
        ttl_s: u32,
    ) -> Result<(), PortError> {
        let put = put(self.isolate.caches.of(layer), key, &value, ttl_s);
        let put = settled(&put.map_err(failed)?).await;
        put.map(drop).map_err(failed)
    }

    async fn delete(&self, layer: Layer, key: &str) -> Result<(), PortError> {
        let delete = self.isolate.caches.of(layer).delete(key);
        let delete = settled(&delete.map_err(failed)?).await;
        delete.map(drop).map_err(failed)
    }
}
