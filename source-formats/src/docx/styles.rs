//! What the styles of a document make of a paragraph or run.

use super::xml::{self, Piece};
use crate::{Limits, Refusal};
use std::collections::HashMap;

/// How many styles are followed from one to the one that it is based on: loops end there.
const MAX_BASES: usize = 16;
/// The `outlineLvl` of body text.
const BODY_TEXT: u8 = 9;

/// A document's styles.
#[derive(Default)]
pub(super) struct Styles {
    styles: HashMap<String, Style>,
}

#[derive(Default)]
struct Style {
    base: Option<String>,
    /// From 1; `Some(None)` for body text.
    level: Option<Option<u8>>,
    hidden: Option<bool>,
}

impl Styles {
    pub(super) fn read(part: &str, limits: &Limits) -> Result<Self, Refusal> {
        let mut styles = HashMap::new();
        let mut current: Option<(String, Style)> = None;
        xml::read(part, limits, |piece| {
            let Piece::Start(element) = piece else {
                return Ok(());
            };
            if element.name() == "style" {
                styles.extend(current.take());
                let id = element.attribute("styleId");
                current = id.map(|id| (id, Style::default()));
                return Ok(());
            }
            let Some((_, style)) = &mut current else {
                return Ok(());
            };
            match element.name() {
                "name" => {
                    style.level = element
                        .attribute("val")
                        .and_then(|name| level_of_name(&name))
                        .or(style.level)
                }
                "outlineLvl" if style.level.is_none() => {
                    style.level = element
                        .attribute("val")
                        .and_then(|level| outline_level(&level));
                }
                "basedOn" => style.base = element.attribute("val"),
                "vanish" => style.hidden = Some(element.is_on()),
                _ => {}
            }
            Ok(())
        })?;
        styles.extend(current);
        Ok(Self { styles })
    }

    /// The level of the heading that a style makes of a paragraph.
    pub(super) fn level(&self, id: &str) -> Option<u8> {
        self.bases(id).find_map(|style| style.level).flatten()
    }

    /// Whether a style hides its text.
    pub(super) fn hides(&self, id: &str) -> bool {
        self.bases(id)
            .find_map(|style| style.hidden)
            .unwrap_or(false)
    }

    /// A style, the one that it is based on, and so on.
    fn bases(&self, id: &str) -> impl Iterator<Item = &Style> {
        let base = |style: &&Style| self.styles.get(style.base.as_ref()?);
        std::iter::successors(self.styles.get(id), base).take(MAX_BASES)
    }
}

/// The level of the styles that Word itself knows, whose names are English in every language.
fn level_of_name(name: &str) -> Option<Option<u8>> {
    let name = name.to_ascii_lowercase();
    if name == "title" {
        return Some(Some(1));
    }
    let level = name.strip_prefix("heading ")?.parse().ok()?;
    (1..=9).contains(&level).then_some(Some(level))
}

/// The level that an `outlineLvl` gives.
pub(super) fn outline_level(value: &str) -> Option<Option<u8>> {
    let level: u8 = value.parse().ok()?;
    (level <= BODY_TEXT).then(|| (level < BODY_TEXT).then_some(level + 1))
}

#[cfg(test)]
mod tests {
    use super::{Limits, Styles};

    #[test]
    fn a_style_has_the_level_of_its_name_its_outline_or_its_base() {
        let styles = Styles::read(
            r#"<s:styles xmlns:s="s">
                <s:style s:styleId="Kop2"><s:name s:val="heading 2"/></s:style>
                <s:style s:styleId="Etude"><s:name s:val="Etude"/><s:basedOn s:val="Kop2"/></s:style>
                <s:style s:styleId="Contents"><s:basedOn s:val="Kop2"/><s:pPr><s:outlineLvl s:val="9"/></s:pPr></s:style>
                <s:style s:styleId="Part"><s:name s:val="Part"/><s:pPr><s:outlineLvl s:val="0"/></s:pPr></s:style>
                <s:style s:styleId="Name"><s:name s:val="Title"/></s:style>
                <s:style s:styleId="A"><s:basedOn s:val="B"/></s:style>
                <s:style s:styleId="B"><s:basedOn s:val="A"/></s:style>
                <s:style s:styleId="Secret"><s:rPr><s:vanish/></s:rPr></s:style>
            </s:styles>"#,
            &Limits::DEFAULT,
        )
        .unwrap();
        assert_eq!(styles.level("Kop2"), Some(2));
        assert_eq!(styles.level("Etude"), Some(2));
        assert_eq!(styles.level("Contents"), None);
        assert_eq!(styles.level("Part"), Some(1));
        assert_eq!(styles.level("Name"), Some(1));
        assert_eq!(styles.level("A"), None);
        assert!(styles.hides("Secret") && !styles.hides("A") && !styles.hides("missing"));
    }
}
