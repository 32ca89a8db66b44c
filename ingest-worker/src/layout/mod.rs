//! From positioned text to pages that read well: pure functions, no I/O.
//!
//! The extracting child reports [`Run`]s in the order of the page's content. [`read`] drops what repeats on
//! every page, puts columns in order, joins lines into paragraphs and mends words broken at line ends.
//! What it returns is what citations quote, so no word is added, dropped or moved within a paragraph.

mod columns;
mod headings;
mod hyphens;
mod paragraphs;
mod places;
mod running;
mod runs;
mod text;
mod traced;

pub use runs::{Ending, Word, group};
pub use text::{clean, is_music_font};

use headings::{Levels, Outline};
use hyphens::Vocabulary;
use paragraphs::Block;
use places::Places;
use rag_core::chunking::{Heading, PageText};
use running::{Margins, Running};
use serde::{Deserialize, Serialize};
use traced::Traced;

/// A stretch of text on one baseline without a wide gap in it. Lengths are points, the origin is the
/// page's lower left corner as a reader sees the page.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// The text; not empty.
    pub text: String,
    /// Left edge.
    pub left: f32,
    /// Right edge.
    pub right: f32,
    /// Height of the baseline.
    pub baseline: f32,
    /// Size of the font.
    pub size: f32,
    /// Upper edge.
    pub top: f32,
    /// Lower edge.
    pub bottom: f32,
    /// Left edges of its words after the first; empty where it does not stand upright.
    pub word_lefts: Vec<f32>,
    /// All of it is in a bold face.
    pub bold: bool,
    /// It does not stand upright, so its position says nothing about the order of reading.
    pub turned: bool,
    /// Its last word goes on in the next run: the hyphen between them is left out.
    pub hyphen: bool,
}

/// A page as the child reports it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RawPage {
    /// From 1.
    pub page: u32,
    /// As a reader sees it.
    pub width: f32,
    /// As a reader sees it.
    pub height: f32,
    /// In the order of the page's content.
    pub runs: Vec<Run>,
    /// Glyphs of which the file does not say what characters they are, those of music aside.
    pub unmapped_glyphs: u32,
    /// What it shows has to be recognised: it is a picture of text, or its fonts don't say which letters they draw.
    pub scanned: bool,
    /// How sure text recognition is of the runs, 0 to 100; `None` where they are the file's own.
    pub confidence: Option<u8>,
}

impl RawPage {
    /// Whether most of what is written on it can't be read, and was not recognised either.
    #[must_use]
    pub fn is_unreadable(&self) -> bool {
        self.confidence.is_none() && self.unmapped_glyphs as usize > self.letters()
    }

    /// Whether its own figures are ones that a page can have.
    pub(crate) fn is_plausible(&self) -> bool {
        self.width.is_finite()
            && self.height.is_finite()
            && self.confidence.is_none_or(|sure| sure <= 100)
    }

    /// Without runs whose geometry can't be reckoned with.
    fn sound(mut self) -> Self {
        self.runs.retain(Run::is_sound);
        self
    }

    /// Letters and digits of its runs.
    #[must_use]
    pub fn letters(&self) -> usize {
        let chars = self.runs.iter().flat_map(|run| run.text.chars());
        chars.filter(|c| c.is_alphanumeric()).count()
    }
}

/// The text of every page, one [`PageText`] each, empty pages included.
///
/// Paragraphs, headings, list items and rows of tables stand on a line of their own. An empty line stands
/// before and after headings and where the page leaves a gap. Every letter stands on one of the page's lines.
///
/// What a page is made of depends on all the others, so they are gone through three times, the last time as what is
/// returned is. `pages` begins anew each time, and has the same ones. Whatever fails is a failure of `pages`.
pub fn read<P, E>(pages: impl Fn() -> P) -> Result<impl Iterator<Item = Result<PageText, E>>, E>
where
    P: Iterator<Item = Result<RawPage, E>>,
{
    let sound = || pages().map(|page| page.map(RawPage::sound));
    let mut margins = Margins::default();
    for page in sound() {
        margins.see(&page?);
    }
    let running = margins.running();
    let part = |at: usize, mut page: RawPage, running: &Running| {
        running.remove(at, &mut page);
        Page::of(page, running.body())
    };
    let mut words = Vocabulary::default();
    let mut outline = Outline::new(running.body());
    for (at, page) in sound().enumerate() {
        for (block, is_recognised) in part(at, page?, &running).blocks() {
            words.count_all(block.text.text());
            outline.see(block, is_recognised);
        }
    }
    let levels = outline.levels();
    let text_of = move |at, page| part(at, page, &running).text(&words, &levels);
    let read = sound().enumerate();
    Ok(read.map(move |(at, page)| page.map(|page| text_of(at, page))))
}

/// A page in parts, in the order of reading.
struct Page {
    number: u32,
    places: Places,
    blocks: Vec<Block>,
    confidence: Option<u8>,
}

impl Page {
    fn of(page: RawPage, body: f32) -> Self {
        let (number, size, confidence) = (page.page, (page.width, page.height), page.confidence);
        let runs = columns::order(page);
        Self {
            number,
            places: Places::of(number, size, &runs),
            blocks: paragraphs::blocks(&runs, body),
            confidence,
        }
    }

    /// Its blocks, each with whether it was recognised.
    fn blocks(&self) -> impl Iterator<Item = (&Block, bool)> {
        let is_recognised = self.confidence.is_some();
        self.blocks.iter().map(move |block| (block, is_recognised))
    }

    /// A line for each block, an empty line at gaps, broken words mended.
    fn text(&self, words: &Vocabulary, levels: &Levels) -> PageText {
        let mut text = Traced::default();
        let mut headings = Vec::new();
        let mut chars = 0;
        let mut gap = false;
        for (block, is_recognised) in self.blocks() {
            if !paragraphs::is_text(block.text.text()) {
                continue;
            }
            let line = text::clean_line(&words.mend(&block.text));
            gap |= block.gap || line.text().is_empty();
            if line.text().is_empty() {
                continue;
            }
            if chars > 0 {
                let joint = if gap { "\n\n" } else { "\n" };
                text.push_str(joint);
                chars += joint.len() as u32;
            }
            gap = false;
            if let Some(level) = levels.of(block, is_recognised) {
                headings.push(Heading {
                    start_char: chars,
                    level,
                });
            }
            chars += line.text().chars().count() as u32;
            text.append(&line);
        }
        PageText {
            page: self.number,
            lines: self.places.lines(&text),
            text: text.into_text(),
            headings,
            confidence: self.confidence,
        }
    }
}

impl Run {
    /// Whether its geometry can be reckoned with.
    fn is_sound(&self) -> bool {
        let lengths = [
            self.left,
            self.right,
            self.baseline,
            self.size,
            self.top,
            self.bottom,
        ];
        !self.text.trim().is_empty() && lengths.iter().all(|length| length.is_finite())
    }

    /// The width of its first word, guessed from the mean width of its characters.
    fn first_word_width(&self) -> f32 {
        let chars = self.text.chars().count().max(1) as f32;
        let first = self.text.split_whitespace().next().unwrap_or_default();
        (self.right - self.left) * first.chars().count() as f32 / chars
    }
}

#[cfg(test)]
mod tests;
