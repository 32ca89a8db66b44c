//! The library bucket, in R2. Declared here rather than taken from the `worker` crate, which brings
//! the whole of R2 into the module.

use super::{Workerd, failed, tasks::settled};
use crate::ports::{FileStore, Part, PortError, Reading, StoredFile};
use js_sys::{Object, Promise, Reflect};
use wasm_bindgen::{JsCast, JsValue, prelude::wasm_bindgen};
use web_sys::ReadableStream;

#[wasm_bindgen]
extern "C" {
    /// An R2 binding.
    pub type Bucket;
    #[wasm_bindgen(method, catch)]
    fn head(this: &Bucket, key: &str) -> Result<Promise, JsValue>;
    #[wasm_bindgen(method, catch)]
    fn get(this: &Bucket, key: &str) -> Result<Promise, JsValue>;
    #[wasm_bindgen(method, catch, js_name = get)]
    fn get_part(this: &Bucket, key: &str, options: &Object) -> Result<Promise, JsValue>;

    /// What `head` and `get` resolve to, where there is an object.
    type Found;
    #[wasm_bindgen(method, getter)]
    fn size(this: &Found) -> f64;
    #[wasm_bindgen(method, getter)]
    fn body(this: &Found) -> Option<ReadableStream>;
}

impl FileStore for Workerd {
    async fn open(&self, key: &str, reading: Reading) -> Result<Option<StoredFile>, PortError> {
        let library = &self.isolate.library;
        let asked = match reading {
            Reading::Head => library.head(key),
            Reading::Whole => library.get(key),
            Reading::Part(part) => range(part).and_then(|options| library.get_part(key, &options)),
        };
        let found = settled(&asked.map_err(failed)?).await;
        let found = found.map_err(failed)?;
        if found.is_null() {
            return Ok(None);
        }
        let found: Found = found.unchecked_into();
        Ok(Some(StoredFile {
            size_bytes: found.size() as u64,
            body: found.body(),
        }))
    }
}

fn range(Part { offset, length }: Part) -> Result<Object, JsValue> {
    let range = Object::new();
    // Files are far shorter than 2^53 bytes.
    Reflect::set(&range, &"offset".into(), &(offset as f64).into())?;
    Reflect::set(&range, &"length".into(), &(length as f64).into())?;
    let options = Object::new();
    Reflect::set(&options, &"range".into(), &range)?;
    Ok(options)
}
