//! Recognised lines as words on a page, those that are no text left out.

use crate::{
    extract::words::{ASCENT, DESCENT, hundredths},
    layout::{Ending, Word},
};
use tesseract::{Baseline, Bounds, Line};

/// A line of which the recogniser is less sure than this, in the mean of its letters, is left out: it makes letters of
/// staves, grain and pictures. Of prose it is surer than 85, even in a poor scan.
const MIN_CONFIDENCE: f32 = 60.0;
/// The same of lines of few letters: of a note head and its stem it is as sure as of a poor word.
const MIN_CONFIDENCE_OF_FEW: f32 = 85.0;
const FEW_LETTERS: f32 = 5.0;
/// A word of a line that is believed is left out below this.
const MIN_CONFIDENCE_OF_WORD: f32 = 30.0;
/// A page of which the recogniser is less sure than this, and that has more letters than these, may stand on its head.
const DOUBTFUL_CONFIDENCE: f32 = 50.0;
const DOUBTFUL_LETTERS: f32 = 40.0;
/// Sizes of lines that differ by less than this share are one size.
const SAME_SIZE: f32 = 0.1;
/// How high letters such as "d", capitals and figures reach above the baseline, in font sizes.
const TALL: f32 = 0.69;
/// The same of "i" with its dot.
const DOTTED: f32 = 0.66;
/// The same of "t".
const HALF: f32 = 0.58;
/// The same of letters such as "n".
const SMALL: f32 = 0.46;

/// Points of a pixel, and the page's height in points.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scale {
    pub(super) x: f32,
    pub(super) y: f32,
    pub(super) height: f32,
}

impl Scale {
    fn left(self, pixels: i32) -> f32 {
        hundredths(pixels as f32 * self.x)
    }

    /// Above the page's lower edge.
    fn above(self, pixels: f32) -> f32 {
        hundredths(self.height - pixels * self.y)
    }
}

/// What is read of a page.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Text {
    pub(super) words: Vec<Word>,
    /// The mean over letters; `None` where there is no word.
    pub(super) confidence: Option<u8>,
}

impl Text {
    /// Letters and digits of its words.
    pub(super) fn letters(&self) -> usize {
        self.words.iter().map(|word| letters_of(&word.text)).sum()
    }
}

/// Whether what was found may be text that stands on its head.
pub(super) fn are_doubtful(lines: &[Line]) -> bool {
    let (sum, letters) = weigh(lines.iter().flat_map(|line| &line.words));
    letters > DOUBTFUL_LETTERS && sum < letters * DOUBTFUL_CONFIDENCE
}

/// Lines of a picture that was turned by half, as they stand in the picture that it was turned from.
pub(super) fn turned_back(mut lines: Vec<Line>, width: u32, height: u32) -> Vec<Line> {
    let (width, height) = (width.cast_signed(), height.cast_signed());
    let back = |bounds: &mut Bounds| {
        *bounds = Bounds {
            left: width.saturating_sub(bounds.right),
            top: height.saturating_sub(bounds.bottom),
            right: width.saturating_sub(bounds.left),
            bottom: height.saturating_sub(bounds.top),
        };
    };
    for line in &mut lines {
        back(&mut line.bounds);
        line.words
            .iter_mut()
            .for_each(|word| back(&mut word.bounds));
        line.baseline = None;
        line.upright = false;
    }
    lines
}

/// The sum of confidences, each as often as its word has letters, and all letters.
fn weigh<'a>(words: impl IntoIterator<Item = &'a tesseract::Word>) -> (f32, f32) {
    words.into_iter().fold((0.0, 0.0), |(sum, letters), word| {
        let weight = letters_of(&word.text) as f32;
        (sum + word.confidence * weight, letters + weight)
    })
}

/// The words of the lines that are text, in the order of reading.
pub(super) fn words(lines: &[Line], scale: Scale) -> Text {
    let lines: Vec<Line> = lines.iter().filter_map(text).collect();
    let sizes = sizes(&lines, scale);
    let mut words = Vec::new();
    let (sum, letters) = weigh(lines.iter().flat_map(|line| &line.words));
    for (at, line) in lines.iter().enumerate() {
        let goes_on = lines
            .get(at + 1)
            .is_some_and(|next| next.upright == line.upright);
        let last = line.words.len().saturating_sub(1);
        for (nth, word) in line.words.iter().enumerate() {
            let mut placed = place(line, word, sizes[at], scale);
            if nth < last {
                placed.ending = Ending::Space;
            } else if let Some(part) = broken(&word.text).filter(|_| goes_on) {
                // A mark ends with the letters, as that of other pages.
                let hyphen = (placed.right - placed.left) / word.text.chars().count() as f32;
                placed.right = hundredths(placed.right - hyphen);
                placed.text.truncate(part);
                placed.ending = Ending::Hyphen;
            }
            words.push(placed);
        }
    }
    let confidence = (letters > 0.0).then(|| (sum / letters).round().clamp(0.0, 100.0) as u8);
    // Marks without a single letter are no text.
    if confidence.is_none() {
        words.clear();
    }
    Text { words, confidence }
}

/// The words of a line that can be believed; `None` where the line can't.
fn text(line: &Line) -> Option<Line> {
    let (sum, letters) = weigh(&line.words);
    let least = if letters < FEW_LETTERS {
        MIN_CONFIDENCE_OF_FEW
    } else {
        MIN_CONFIDENCE
    };
    if letters == 0.0 || sum / letters < least {
        return None;
    }
    let mut line = line.clone();
    line.words
        .retain(|word| word.confidence >= MIN_CONFIDENCE_OF_WORD);
    mend_bullet(&mut line);
    (!line.words.is_empty()).then_some(line)
}

/// The recogniser knows no bullet.
fn mend_bullet(line: &mut Line) {
    if let [first, _, ..] = line.words.as_mut_slice()
        && matches!(first.text.as_str(), "«" | "+" | "¢" | "°")
    {
        "•".clone_into(&mut first.text);
    }
}

fn letters_of(text: &str) -> usize {
    text.chars().filter(|c| c.is_alphanumeric()).count()
}

/// Where a word that is broken at the line's end ends without its hyphen.
fn broken(text: &str) -> Option<usize> {
    let part = text.strip_suffix(['-', '\u{ad}', '\u{2010}', '¬'])?;
    part.ends_with(char::is_alphabetic).then_some(part.len())
}

fn place(line: &Line, word: &tesseract::Word, size: f32, scale: Scale) -> Word {
    let bounds = word.bounds;
    let (top, bottom) = (
        scale.above(bounds.top as f32),
        scale.above(bounds.bottom as f32),
    );
    let mut placed = Word {
        text: word.text.clone(),
        left: scale.left(bounds.left),
        right: scale.left(bounds.right),
        baseline: bottom,
        size,
        top,
        bottom,
        bold: false,
        turned: !line.upright,
        ending: Ending::Break,
    };
    if line.upright {
        // One for the whole line, though it may rise: words of a line stand on one.
        let middle = line.bounds.left.midpoint(line.bounds.right);
        placed.baseline = scale.above(baseline_at(line, middle));
        placed.top = top.max(hundredths(placed.baseline + ASCENT * size));
        placed.bottom = bottom.min(hundredths(placed.baseline - DESCENT * size));
    }
    placed
}

/// The baseline's distance from the picture's upper edge, at a distance from its left edge.
fn baseline_at(line: &Line, x: i32) -> f32 {
    match line.baseline {
        Some(Baseline { start, end }) if end.0 > start.0 => {
            let slope = (end.1 as f32 - start.1 as f32) / (end.0 as f32 - start.0 as f32).max(1.0);
            start.1 as f32 + slope * (x as f32 - start.0 as f32)
        }
        _ => line.bounds.bottom as f32,
    }
}

/// The size of each line's font in points. It is measured on letters, so lines of one font differ a little: those that
/// differ by little get the size that most of their letters have.
fn sizes(lines: &[Line], scale: Scale) -> Vec<f32> {
    let measured: Vec<(f32, f32)> = lines
        .iter()
        .map(|line| {
            let letters: usize = line.words.iter().map(|word| letters_of(&word.text)).sum();
            (size(line, scale.y), letters as f32)
        })
        .collect();
    measured
        .iter()
        .map(|(size, _)| {
            let same = measured
                .iter()
                .filter(|(other, _)| (other - size).abs() <= size * SAME_SIZE);
            let size = median(same.copied().collect()).unwrap_or(*size);
            (size * 2.0).round() / 2.0
        })
        .collect()
}

/// As measured on the words of the line.
fn size(line: &Line, y: f32) -> f32 {
    let Bounds {
        left,
        top,
        right,
        bottom,
    } = line.bounds;
    if !line.upright {
        let (across, down) = (right as f32 - left as f32, bottom as f32 - top as f32);
        return across.min(down).max(1.0) * y;
    }
    let above = |x: i32, top: i32| (baseline_at(line, x) - top as f32).max(1.0) * y;
    let sizes = line.words.iter().filter_map(|word| {
        let middle = word.bounds.left.midpoint(word.bounds.right);
        let size = above(middle, word.bounds.top) / reach(&word.text)?;
        Some((size, letters_of(&word.text) as f32))
    });
    median(sizes.collect()).unwrap_or_else(|| above(left, top) / TALL)
}

/// How high a word reaches above its baseline; `None` where no letter says so.
fn reach(text: &str) -> Option<f32> {
    let height = |c: char| match c {
        'b' | 'd' | 'f' | 'h' | 'k' | 'l' | '0'..='9' => Some(TALL),
        'i' | 'j' => Some(DOTTED),
        't' => Some(HALF),
        'a'..='z' => Some(SMALL),
        _ => c.is_uppercase().then_some(TALL),
    };
    text.chars().filter_map(height).max_by(f32::total_cmp)
}

/// Of values with their weights.
fn median(mut values: Vec<(f32, f32)>) -> Option<f32> {
    values.sort_by(|a, b| a.0.total_cmp(&b.0));
    let half = values.iter().map(|(_, weight)| weight).sum::<f32>() / 2.0;
    let mut sum = 0.0;
    values.into_iter().find_map(|(value, weight)| {
        sum += weight;
        (sum >= half).then_some(value)
    })
}

#[cfg(test)]
mod tests;
