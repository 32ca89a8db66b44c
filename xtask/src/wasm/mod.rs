//! Building the edge Worker: the wasm target, the tools, the build itself.

mod build;
mod standard_library;
mod target;
mod tools;

pub use build::{is_current, run};
pub use target::{Target, ensure as ensure_target};
pub use tools::{are_there as tools_are_there, ensure as ensure_tools, quick_install};
