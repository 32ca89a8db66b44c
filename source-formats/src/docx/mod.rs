//! Word documents: Office Open XML, transitional and strict alike, since names are matched without their
//! namespaces.

mod body;
mod containers;
mod package;
mod styles;
mod xml;

use crate::{Limits, Refusal, blocks::Blocks};
use body::{Notes, Reader};
use package::Package;
use styles::Styles;

/// Adds the blocks of a document as it is printed when all its tracked changes are accepted. Pages end where
/// they are made to, and where Word last saw them end. A note stands behind what refers to it. Headers,
/// footers, comments, codes of fields and hidden text are left out.
pub(crate) fn read(bytes: &[u8], limits: &Limits, blocks: &mut Blocks) -> Result<(), Refusal> {
    let mut package = Package::open(bytes, limits)?;
    let main = package.main_part()?;
    let parts = package.relations_of(&main)?;
    let mut part = |kind: &str| match parts.get(kind) {
        Some(name) => package.part(name),
        None => Ok(None),
    };
    let styles = match part("styles")? {
        Some(part) => Styles::read(&part, limits)?,
        None => Styles::default(),
    };
    let mut notes = Notes::default();
    for kind in ["footnotes", "endnotes"] {
        if let Some(part) = part(kind)? {
            notes.extend(Reader::new(&styles, Notes::default()).notes(&part, limits)?);
        }
    }
    let document = package.part(&main)?.ok_or(Refusal::Damaged)?;
    Reader::new(&styles, notes).document(&document, limits, blocks)
}

#[cfg(test)]
mod tests;
