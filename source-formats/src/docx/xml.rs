//! One part of a package, element by element.

use crate::{Limits, Refusal};
use quick_xml::{
    XmlVersion,
    escape::resolve_predefined_entity,
    events::{BytesStart, Event},
    reader::Reader,
};

/// What stands in a part. An empty element begins and ends.
pub(super) enum Piece<'a> {
    /// An element begins.
    Start(&'a Element<'a>),
    /// The last element that began and has not ended ends.
    End,
    /// Text, not always all of an element's.
    Text(&'a str),
}

/// An element without its content.
pub(super) struct Element<'a>(BytesStart<'a>);

impl Element<'_> {
    /// Its name without its namespace.
    pub(super) fn name(&self) -> &str {
        self.0.local_name().into_inner()
    }

    /// An attribute, by its name without its namespace.
    pub(super) fn attribute(&self, name: &str) -> Option<String> {
        let mut attributes = self.0.attributes();
        // Duplicates would be looked for in quadratic time.
        let attribute = attributes
            .with_checks(false)
            .flatten()
            .find(|attribute| attribute.key.local_name().into_inner() == name)?;
        attribute
            .normalized_value(XmlVersion::Implicit1_0)
            .ok()
            .map(Into::into)
    }

    /// Whether a property is on: it is if it does not say otherwise.
    pub(super) fn is_on(&self) -> bool {
        !matches!(
            self.attribute("val").as_deref(),
            Some("0" | "false" | "off")
        )
    }
}

/// Hears all of a part. What is no well-formed XML, or defines entities, is damaged.
pub(super) fn read(
    part: &str,
    limits: &Limits,
    mut hear: impl FnMut(Piece<'_>) -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    let mut reader = Reader::from_str(part);
    reader.config_mut().expand_empty_elements = true;
    let mut depth = 0_usize;
    let mut elements = 0_usize;
    loop {
        match reader.read_event().map_err(|_| Refusal::Damaged)? {
            Event::Start(element) | Event::Empty(element) => {
                depth += 1;
                elements += 1;
                if depth > limits.max_depth {
                    return Err(Refusal::TooComplex);
                }
                hear(Piece::Start(&Element(element)))?;
            }
            Event::End(_) => {
                depth = depth.checked_sub(1).ok_or(Refusal::Damaged)?;
                hear(Piece::End)?;
            }
            Event::Text(text) => hear(Piece::Text(&text.into_inner()))?,
            Event::CData(text) => hear(Piece::Text(&text.into_inner()))?,
            Event::GeneralRef(reference) => {
                if let Ok(Some(character)) = reference.resolve_char_ref() {
                    hear(Piece::Text(character.encode_utf8(&mut [0; 4])))?;
                } else if let Some(text) = resolve_predefined_entity(&reference.into_inner()) {
                    hear(Piece::Text(text))?;
                }
            }
            Event::Eof if depth == 0 && elements > 0 => return Ok(()),
            Event::Eof | Event::DocType(_) => return Err(Refusal::Damaged),
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
        }
    }
}
