//! What an element is to a reader.

use html5ever::{Attribute, QualName, ns};

/// What becomes of an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Text.
    Text,
    /// An image, whose text is its description.
    Image,
    /// Part of the text around it.
    Inline,
    /// Not seen, or not read: scripts, styles, drawings, controls, what is hidden.
    Dropped,
    /// The page's title. It stands in the head, which is not seen.
    Title,
    /// `h1` to `h6`.
    Heading(u8),
    /// On lines of its own; within a row or heading, apart by a space.
    Block,
    /// On lines of its own even within a row: a list, a table, a section.
    Structure,
    /// A structure whose line feeds are breaks.
    Preformatted,
    /// A row of a table.
    Row,
    /// A line break.
    Break,
    /// The main part of a page, or one of its articles.
    Main,
    /// What pages carry around their main part.
    Boilerplate,
}

impl Role {
    /// The role of an element of this name with these attributes.
    pub(super) fn of(name: &QualName, attributes: &[Attribute]) -> Self {
        let local = &*name.local;
        if name.ns == ns!(svg) || (name.ns == ns!(mathml) && local.starts_with("annotation")) {
            return Self::Dropped;
        }
        if name.ns != ns!(html) {
            return Self::Inline;
        }
        // Scripts show pages that are hidden as a whole.
        if !matches!(local, "html" | "body") && attributes.iter().any(hides) {
            return Self::Dropped;
        }
        let aria = attributes
            .iter()
            .find(|attribute| &*attribute.name.local == "role");
        match aria.map(|role| &*role.value) {
            Some("main") => return Self::Main,
            Some("navigation" | "banner" | "contentinfo" | "complementary" | "search") => {
                return Self::Boilerplate;
            }
            _ => {}
        }
        Self::of_html(local, attributes)
    }

    fn of_html(local: &str, attributes: &[Attribute]) -> Self {
        match local {
            "title" => Self::Title,
            "head" | "script" | "style" | "template" | "noscript" | "iframe" | "object"
            | "audio" | "video" | "canvas" | "button" | "select" | "datalist" | "textarea"
            | "noframes" | "noembed" | "rp" => Self::Dropped,
            "dialog" if !attributes.iter().any(|a| &*a.name.local == "open") => Self::Dropped,
            "h1" => Self::Heading(1),
            "h2" => Self::Heading(2),
            "h3" => Self::Heading(3),
            "h4" => Self::Heading(4),
            "h5" => Self::Heading(5),
            "h6" => Self::Heading(6),
            "main" | "article" => Self::Main,
            "nav" | "header" | "footer" | "aside" => Self::Boilerplate,
            "pre" | "listing" | "xmp" | "plaintext" => Self::Preformatted,
            "tr" => Self::Row,
            "br" => Self::Break,
            "table" | "ul" | "ol" | "dl" | "menu" | "dir" | "blockquote" | "section" | "figure"
            | "hr" => Self::Structure,
            "html" | "body" | "p" | "div" | "li" | "dt" | "dd" | "td" | "th" | "thead"
            | "tbody" | "tfoot" | "caption" | "figcaption" | "address" | "details" | "summary"
            | "dialog" | "form" | "fieldset" | "legend" | "hgroup" | "search" | "center"
            | "option" | "optgroup" => Self::Block,
            _ => Self::Inline,
        }
    }
}

fn hides(attribute: &Attribute) -> bool {
    match &*attribute.name.local {
        "hidden" => true,
        "aria-hidden" => attribute.value.trim().eq_ignore_ascii_case("true"),
        "style" => {
            let style: String = attribute.value.split_whitespace().collect();
            let style = style.to_ascii_lowercase();
            style.contains("display:none") || style.contains("visibility:hidden")
        }
        _ => false,
    }
}
