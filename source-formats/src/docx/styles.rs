//! What the styles of a document make of a paragraph or run.

use super::xml::{self, Piece};
use crate::{Limits, Refusal};
use std::collections::HashMap;

/// How many styles are followed from one to the one that it is based on: loops end there.
const MAX_BASES: usize = 16;

/// What a paragraph is in the outline of its document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outline {
    /// A heading of this level, from 1 to 9.
    Heading(u8),
    /// Not part of the outline, whatever a style says on which its own is based.
    Body,
}

impl Outline {
    /// What an `outlineLvl` says.
    pub(super) fn parse(value: &str) -> Option<Self> {
        match value.parse().ok()? {
            level @ 0..9 => Some(Self::Heading(level + 1)),
            9 => Some(Self::Body),
            _ => None,
        }
    }

    /// What the styles are that Word itself knows, whose names are English in every language.
    fn of_style(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        if name == "title" {
            return Some(Self::Heading(1));
        }
        let level = name.strip_prefix("heading ")?.parse().ok()?;
        (1..=9).contains(&level).then_some(Self::Heading(level))
    }
}

/// A document's styles.
#[derive(Default)]
pub(super) struct Styles {
    styles: HashMap<String, Style>,
}

#[derive(Default)]
struct Style {
    base: Option<String>,
    outline: Option<Outline>,
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
                    let name = element.attribute("val").unwrap_or_default();
                    style.outline = Outline::of_style(&name).or(style.outline);
                }
                "outlineLvl" if style.outline.is_none() => {
                    let level = element.attribute("val").unwrap_or_default();
                    style.outline = Outline::parse(&level);
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

    /// What a style makes of a paragraph, if it says so.
    pub(super) fn outline(&self, id: &str) -> Option<Outline> {
        self.bases(id).find_map(|style| style.outline)
    }

    /// Whether a style hides its text, if it says so.
    pub(super) fn hides(&self, id: &str) -> Option<bool> {
        self.bases(id).find_map(|style| style.hidden)
    }

    /// A style, the one that it is based on, and so on.
    fn bases(&self, id: &str) -> impl Iterator<Item = &Style> {
        let base = |style: &&Style| self.styles.get(style.base.as_ref()?);
        std::iter::successors(self.styles.get(id), base).take(MAX_BASES)
    }
}

#[cfg(test)]
mod tests {
    use super::{Limits, Outline, Styles};

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
        assert_eq!(styles.outline("Kop2"), Some(Outline::Heading(2)));
        assert_eq!(styles.outline("Etude"), Some(Outline::Heading(2)));
        assert_eq!(styles.outline("Contents"), Some(Outline::Body));
        assert_eq!(styles.outline("Part"), Some(Outline::Heading(1)));
        assert_eq!(styles.outline("Name"), Some(Outline::Heading(1)));
        assert_eq!(styles.outline("A"), None);
        assert_eq!(styles.hides("Secret"), Some(true));
        assert_eq!((styles.hides("A"), styles.hides("missing")), (None, None));
    }
}
