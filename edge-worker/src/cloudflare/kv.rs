//! The caches, in Workers KV. Values are bytes: `kv.json` would parse them twice.

use super::Workerd;
use crate::ports::{Cache, Layer, PortError};
use worker::kv::{KvError, KvStore};

/// The least that KV takes. Its reads are kept near the reader for a minute unless told otherwise,
/// and a scope should be forgotten everywhere as soon as can be. A key set is written again under its key.
const SCOPE_READ_CACHE_S: u64 = 30;
/// The other values never change under their key.
const READ_CACHE_S: u64 = 300;

impl Workerd {
    fn store(&self, layer: Layer) -> &KvStore {
        let caches = &self.isolate.caches;
        match layer {
            Layer::Scope | Layer::Keys => &caches.scope,
            Layer::Search => &caches.search,
            Layer::Embedding => &caches.embedding,
            Layer::Answer => &caches.answer,
        }
    }
}

impl Cache for Workerd {
    async fn get(&self, layer: Layer, key: &str) -> Result<Option<Vec<u8>>, PortError> {
        let read_cache_s = match layer {
            Layer::Scope | Layer::Keys => SCOPE_READ_CACHE_S,
            _ => READ_CACHE_S,
        };
        let get = self.store(layer).get(key).cache_ttl(read_cache_s);
        get.bytes().await.map_err(|error| failed(&error))
    }

    async fn put(
        &self,
        layer: Layer,
        key: &str,
        value: Vec<u8>,
        ttl_s: u32,
    ) -> Result<(), PortError> {
        let put = self.store(layer).put_bytes(key, &value);
        let put = put.map_err(|error| failed(&error))?;
        let put = put.expiration_ttl(ttl_s.into());
        put.execute().await.map_err(|error| failed(&error))
    }

    async fn delete(&self, layer: Layer, key: &str) -> Result<(), PortError> {
        let delete = self.store(layer).delete(key);
        delete.await.map_err(|error| failed(&error))
    }
}

fn failed(error: &KvError) -> PortError {
    PortError::Failed(error.to_string())
}
