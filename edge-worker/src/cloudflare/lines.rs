//! Headers on their way over the border of WebAssembly: as lines of one text, since each crossing costs.

use js_sys::Array;
use wasm_bindgen::JsValue;

/// Names of headers, as the runtime takes them.
pub fn names(names: &[&str]) -> Array {
    names.iter().map(|name| JsValue::from(*name)).collect()
}

/// The next of the headers that were asked for by name, where it is there.
pub fn next_header<'a>(lines: &mut impl Iterator<Item = &'a str>) -> Option<String> {
    Some(lines.next()?.strip_prefix('=')?.to_owned())
}

/// Adds a header to those that are to be sent.
pub fn push(lines: &mut String, name: &str, value: &str) {
    for part in [name, "\n", value, "\n"] {
        lines.push_str(part);
    }
}
