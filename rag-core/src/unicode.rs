//! Unicode NFKC and lower case, by whoever has the tables.
//!
//! In WebAssembly that is the runtime: `unicode-normalization` would be a sixth of the Worker, and the standard
//! library's letters another fiftieth. Runtime and crates may know different versions of Unicode. They differ in characters alone that the older version does
//! not assign, and neither form ever changes for one that is: so edge and origin can come to different
//! texts for a question with such a character, which the origin then searches by its own words beside the
//! edge's embedding. Within the edge, where the keys of caches are made, all texts are by one of them.

use std::borrow::Cow;

/// The text with each letter in lower case, wherever it stands: a Σ that ends a word becomes the same σ as any.
#[must_use]
pub fn lower(text: &str) -> String {
    let mut lowered = String::with_capacity(text.len());
    for letter in text.chars() {
        if letter.is_ascii() {
            lowered.push(letter.to_ascii_lowercase());
        } else {
            push_lower(&mut lowered, letter);
        }
    }
    lowered
}

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

#[cfg(not(target_arch = "wasm32"))]
fn push_lower(text: &mut String, letter: char) {
    text.extend(letter.to_lowercase());
}

#[cfg(target_arch = "wasm32")]
fn push_lower(text: &mut String, letter: char) {
    let letter = js_sys::JsString::from(letter);
    text.push_str(&String::from(letter.to_lower_case()));
}

#[cfg(target_arch = "wasm32")]
fn compose(text: &str) -> String {
    js_sys::JsString::from(text).normalize("NFKC").into()
}
