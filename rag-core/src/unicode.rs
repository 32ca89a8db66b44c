//! Unicode NFKC, by whoever has the tables.
//!
//! In WebAssembly that is the runtime: `unicode-normalization` would be a sixth of the Worker. Runtime and
//! crate may know different versions of Unicode. They differ in characters alone that the older version does
//! not assign, and normalisation never changes for one that is: so edge and origin can come to different
//! texts for a question with such a character, which the origin then searches by its own words beside the
//! edge's embedding. Within the edge, where the keys of caches are made, all texts are by one of them.

use std::borrow::Cow;

/// The text in NFKC. ASCII is in NFKC as it stands.
#[must_use]
pub fn nfkc(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(compose(text))
    }
}

#[cfg(not(target_arch = "wasm32"))]
fn compose(text: &str) -> String {
    use unicode_normalization::UnicodeNormalization;
    text.nfkc().collect()
}

#[cfg(target_arch = "wasm32")]
fn compose(text: &str) -> String {
    js_sys::JsString::from(text).normalize("NFKC").into()
}
