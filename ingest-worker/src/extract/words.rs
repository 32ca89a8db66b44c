//! Words with their places, as pdfium tells them character by character.

use crate::layout::{Ending, Word, is_music_font};
use pdfium_render::prelude::*;

/// How a page is turned when it is shown, and its size as shown.
#[derive(Clone, Copy, Debug)]
pub(super) struct Turn {
    quarters: u8,
    width: f32,
    height: f32,
    /// The corner of what is shown of the page, in its own coordinates.
    left: f32,
    bottom: f32,
}

impl Turn {
    pub(super) fn of(page: &PdfPage<'_>) -> Self {
        let quarters = match page.rotation() {
            Ok(PdfPageRenderRotation::Degrees90) => 1,
            Ok(PdfPageRenderRotation::Degrees180) => 2,
            Ok(PdfPageRenderRotation::Degrees270) => 3,
            Ok(PdfPageRenderRotation::None) | Err(_) => 0,
        };
        let shown = page.boundaries().bounding().map(|shown| shown.bounds);
        let (left, bottom) = shown.map_or((0.0, 0.0), |shown| {
            (shown.left().value, shown.bottom().value)
        });
        Self {
            quarters,
            width: page.width().value,
            height: page.height().value,
            left,
            bottom,
        }
    }

    /// Where a point of the unturned page stands on the page as shown. Quarters go clockwise.
    fn shown(self, x: f32, y: f32) -> (f32, f32) {
        let (x, y) = (x - self.left, y - self.bottom);
        match self.quarters {
            1 => (y, self.height - x),
            2 => (self.width - x, self.height - y),
            3 => (self.width - y, x),
            _ => (x, y),
        }
    }

    /// Whether text that runs in the direction `(x, y)` runs to the right on the page as shown.
    fn is_upright(self, x: f32, y: f32) -> bool {
        let right = match self.quarters {
            1 => y,
            2 => -x,
            3 => -y,
            _ => x,
        };
        right > x.hypot(y) * 0.97
    }
}

enum Kind {
    Text(char),
    Space,
    Break,
    Hyphen,
    /// A hyphen if the word ends here, otherwise nothing.
    SoftHyphen,
    Nothing,
    /// A glyph without a character: its code stands where the character should.
    Unmapped,
}

/// How far letters reach above and below the baseline, in font sizes. What fonts say of themselves is often wrong, and of
/// lines that say different things a reader would see a ragged mark.
pub(crate) const ASCENT: f32 = 0.9;
pub(crate) const DESCENT: f32 = 0.25;

/// The words of a page in the order of its content, those in fonts that draw music left out, and the number of glyphs
/// of which the file does not say what they mean.
pub(super) fn words(text: &PdfPageText<'_>, turn: Turn) -> (Vec<Word>, u32) {
    let chars = text.chars();
    let mut words: Vec<Word> = Vec::new();
    let mut open: Option<Open> = None;
    let mut lead = None;
    let mut unmapped = 0;
    for index in 0..chars.len() {
        let Ok(char) = chars.get(index) else {
            continue;
        };
        let kind = kind(char.unicode_value(), &mut lead);
        let ending = match kind {
            Kind::Text(c) => {
                let open = open.get_or_insert_with(|| Open::at(&char, turn));
                open.word.text.push(c);
                open.last = index;
                open.soft = false;
                continue;
            }
            Kind::SoftHyphen => {
                if let Some(open) = &mut open {
                    open.soft = true;
                }
                continue;
            }
            Kind::Nothing => continue,
            Kind::Unmapped => {
                unmapped += u32::from(!is_music_font(&char.font_name()));
                continue;
            }
            Kind::Space => Ending::Space,
            Kind::Break => Ending::Break,
            Kind::Hyphen => Ending::Hyphen,
        };
        match open.take() {
            Some(open) => words.extend(open.close(&chars, turn, ending)),
            // A line break after a space, say: the stronger one counts.
            None if ending == Ending::Break => {
                if let Some(word) = words.last_mut().filter(|word| word.ending == Ending::Space) {
                    word.ending = Ending::Break;
                }
            }
            None => {}
        }
    }
    if let Some(open) = open {
        words.extend(open.close(&chars, turn, Ending::Break));
    }
    (words, unmapped)
}

/// What a UTF-16 unit or scalar value is. `lead` holds the first half of a surrogate pair.
fn kind(value: u32, lead: &mut Option<u32>) -> Kind {
    let first = lead.take();
    match value {
        0xd800..0xdc00 => {
            *lead = Some(value);
            Kind::Nothing
        }
        0xdc00..0xe000 => first
            .and_then(|first| {
                char::from_u32(0x1_0000 + ((first - 0xd800) << 10) + (value - 0xdc00))
            })
            .map_or(Kind::Nothing, Kind::Text),
        // pdfium's two marks for a hyphen at the end of a line.
        0x0002 | 0xfffe => Kind::Hyphen,
        0x00ad => Kind::SoftHyphen,
        0x000a | 0x000d => Kind::Break,
        _ => match char::from_u32(value) {
            Some(c) if c.is_whitespace() => Kind::Space,
            Some(c) if !c.is_control() => Kind::Text(c),
            _ => Kind::Unmapped,
        },
    }
}

/// A word that has not ended yet.
struct Open {
    word: Word,
    music: bool,
    soft: bool,
    first: usize,
    last: usize,
}

impl Open {
    fn at(char: &PdfPageTextChar<'_>, turn: Turn) -> Self {
        let place = char.origin().map(|(x, y)| turn.shown(x.value, y.value));
        // Without a matrix, text is taken to stand as it mostly does.
        let (along, across) = char.matrix().map_or(((1.0, 0.0), 1.0), |matrix| {
            ((matrix.a(), matrix.b()), matrix.c().hypot(matrix.d()))
        });
        let (left, baseline) = place.as_ref().copied().unwrap_or_default();
        let size = char.unscaled_font_size().value * across;
        let is_placed = place.is_ok() && [left, baseline, size].iter().all(|x| x.is_finite());
        let font = char.font_name();
        let turned = !is_placed || !turn.is_upright(along.0, along.1);
        // What is turned gets its box from that of its characters.
        let reach = if turned { 0.0 } else { size };
        Self {
            word: Word {
                text: String::new(),
                left: hundredths(left),
                right: hundredths(left),
                baseline: hundredths(baseline),
                size: hundredths(size),
                top: hundredths(baseline + ASCENT * reach),
                bottom: hundredths(baseline - DESCENT * reach),
                bold: is_bold(&font),
                turned,
                ending: Ending::Break,
            },
            music: is_music_font(&font),
            soft: false,
            first: char.index(),
            last: char.index(),
        }
    }

    fn close(self, chars: &PdfPageTextChars<'_>, turn: Turn, ending: Ending) -> Option<Word> {
        if self.music {
            return None;
        }
        let mut word = self.word;
        let corners = |index| {
            let bounds = chars.get(index).and_then(|char| char.loose_bounds()).ok()?;
            let one = turn.shown(bounds.left().value, bounds.bottom().value);
            Some([one, turn.shown(bounds.right().value, bounds.top().value)])
        };
        if let Some([one, other]) = corners(self.last) {
            word.right = hundredths(one.0.max(other.0));
        }
        if word.turned {
            let corners = [self.first, self.last]
                .map(corners)
                .into_iter()
                .flatten()
                .flatten();
            for (x, y) in corners.map(|(x, y)| (hundredths(x), hundredths(y))) {
                word.left = word.left.min(x);
                word.right = word.right.max(x);
                word.top = word.top.max(y);
                word.bottom = word.bottom.min(y);
            }
        }
        word.ending = if self.soft { Ending::Hyphen } else { ending };
        Some(word)
    }
}

fn is_bold(font: &str) -> bool {
    let font = font.to_lowercase();
    // TeX's Computer Modern calls its bold faces "bx".
    font.contains("bold") || font.contains("black") || font.contains("cmbx")
}

/// A length as the protocol holds it: JSON has no infinity, and more digits only lengthen the line.
pub(crate) fn hundredths(length: f32) -> f32 {
    if length.is_finite() {
        (length.clamp(-1e6, 1e6) * 100.0).round() / 100.0
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_of_a_character_are_put_together() {
        let mut lead = None;
        assert!(matches!(kind(0xd834, &mut lead), Kind::Nothing));
        assert!(matches!(kind(0xdd1e, &mut lead), Kind::Text('\u{1d11e}')));
        assert!(matches!(kind(0xdd1e, &mut lead), Kind::Nothing));
    }

    #[test]
    fn a_page_turned_clockwise_shows_its_left_edge_on_top_and_upward_text_upright() {
        let turn = Turn {
            quarters: 1,
            width: 800.0,
            height: 600.0,
            left: 0.0,
            bottom: 20.0,
        };
        assert_eq!(turn.shown(0.0, 120.0), (100.0, 600.0));
        assert!(turn.is_upright(0.0, 1.0) && !turn.is_upright(1.0, 0.0));
    }
}
