//! Lines into paragraphs, headings, list items and rows.
//!
//! A line break is soft if the next line's first word would not have fitted on the line: that holds for
//! justified and for ragged text alike, and tells verse, code and tables from prose.

use super::{
    Run,
    hyphens::BROKEN,
    traced::{NOWHERE, Traced},
};

/// Sizes of one paragraph differ at most by this share.
const SAME_SIZE: f32 = 0.08;
/// The share by which a line's distance may exceed the usual one within a paragraph.
const SAME_LEADING: f32 = 1.2;

/// A paragraph, heading, list item or row, on one line.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Block {
    /// Its text; words broken at a line's end hold [`BROKEN`].
    pub(super) text: Traced,
    /// The page leaves a gap before it, or changes the size of the font.
    pub(super) gap: bool,
    /// How it is set.
    pub(super) look: Look,
}

/// How a block is set.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Look {
    /// Size of its font.
    pub(super) size: f32,
    /// All of it is in a bold face.
    pub(super) bold: bool,
    /// Some of it does not stand upright.
    pub(super) turned: bool,
    /// Its lines on the page.
    pub(super) lines: usize,
    /// The most parts of a line that wide gaps part.
    pub(super) cells: usize,
}

/// A line of text: runs that share a baseline.
struct Line {
    run: Run,
    /// The run's text.
    text: Traced,
    first_word_width: f32,
    /// Left and right edge of each of its runs, which a wide gap parts.
    cells: Vec<(f32, f32)>,
}

/// The blocks of a page whose runs are in the order of reading. Words of the page are numbered in that order.
pub(super) fn blocks(runs: &[Run], body: f32) -> Vec<Block> {
    let lines = lines(runs);
    let leading = leading(&lines, body);
    let mut blocks: Vec<Block> = Vec::new();
    let mut edge = f32::MIN;
    for (at, line) in lines.iter().enumerate() {
        let before = at.checked_sub(1).map(|before| &lines[before]);
        let near = before.is_some_and(|before| is_near(before, line, leading));
        if !near && !before.is_some_and(|before| continues_elsewhere(before, line, edge)) {
            edge = right_edge(&lines[at..], leading);
            push(&mut blocks, line, true);
            continue;
        }
        if !near {
            edge = right_edge(&lines[at..], leading);
        } else if before.is_some_and(|before| is_hard_break(before, line, edge)) {
            push(&mut blocks, line, false);
            continue;
        }
        join(&mut blocks, line);
    }
    blocks
}

/// Whether a block says something: ornaments and the remains of note heads do not, while a bracket alone on its line
/// ends a piece of code.
pub(super) fn is_text(text: &str) -> bool {
    text.contains(|c: char| c.is_alphanumeric() || "{}()[]<>".contains(c))
}

fn push(blocks: &mut Vec<Block>, line: &Line, gap: bool) {
    let mut text = line.text.clone();
    if line.run.hyphen {
        text.push(BROKEN, NOWHERE);
    }
    let look = Look {
        size: line.run.size,
        bold: line.run.bold,
        turned: line.run.turned,
        lines: 1,
        cells: line.cells.len(),
    };
    blocks.push(Block { text, gap, look });
}

fn join(blocks: &mut [Block], line: &Line) {
    let Some(block) = blocks.last_mut() else {
        return;
    };
    if !block.text.text().ends_with(BROKEN) {
        block.text.push(' ', NOWHERE);
    }
    block.text.append(&line.text);
    block.look.bold &= line.run.bold;
    block.look.turned |= line.run.turned;
    block.look.lines += 1;
    block.look.cells = block.look.cells.max(line.cells.len());
    if line.run.hyphen {
        block.text.push(BROKEN, NOWHERE);
    }
}

fn lines(runs: &[Run]) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    let mut next_word = 0;
    for run in runs {
        match lines.last_mut() {
            Some(line) if shares_baseline(&line.run, run) => {
                let joint = if line.run.hyphen { "- " } else { " " };
                line.run.text.push_str(joint);
                line.run.text.push_str(&run.text);
                line.text.push_str(joint);
                line.text.append_words(&run.text, &mut next_word);
                line.cells.push((run.left, run.right));
                line.run.right = run.right;
                line.run.bold &= run.bold;
                line.run.hyphen = run.hyphen;
            }
            _ => {
                let mut text = Traced::default();
                text.append_words(&run.text, &mut next_word);
                lines.push(Line {
                    first_word_width: run.first_word_width(),
                    cells: vec![(run.left, run.right)],
                    run: run.clone(),
                    text,
                });
            }
        }
    }
    lines
}

fn shares_baseline(line: &Run, run: &Run) -> bool {
    let size = line.size.max(run.size);
    !line.turned
        && !run.turned
        && (line.baseline - run.baseline).abs() <= size * 0.3
        && run.left >= line.right - size * 0.3
}

/// The usual distance of baselines, in font sizes: the median over neighbouring lines of one size.
fn leading(lines: &[Line], body: f32) -> f32 {
    let mut ratios: Vec<f32> = lines
        .windows(2)
        .filter(|pair| same_size(&pair[0].run, &pair[1].run) && pair[0].run.size <= body * 1.1)
        .map(|pair| (pair[0].run.baseline - pair[1].run.baseline) / pair[0].run.size.max(1.0))
        .filter(|ratio| (0.5..2.2).contains(ratio))
        .collect();
    ratios.sort_by(f32::total_cmp);
    // The lower third, since gaps between paragraphs and list items are among them.
    ratios.get(ratios.len() / 3).copied().unwrap_or(1.25)
}

fn same_size(a: &Run, b: &Run) -> bool {
    (a.size - b.size).abs() <= a.size.max(b.size) * SAME_SIZE
}

/// Whether `next` stands right under `line`, in the same size.
fn is_near(line: &Line, next: &Line, leading: f32) -> bool {
    let (a, b) = (&line.run, &next.run);
    let drop = a.baseline - b.baseline;
    !a.turned
        && !b.turned
        && same_size(a, b)
        && drop > a.size * 0.3
        && drop <= a.size * leading * SAME_LEADING + 0.5
        && b.left < a.right
        && a.left < b.right
}

/// The right edge of the lines that stand together, from the first of `lines` on.
fn right_edge(lines: &[Line], leading: f32) -> f32 {
    let together = lines
        .windows(2)
        .take_while(|pair| is_near(&pair[0], &pair[1], leading))
        .count();
    lines[..=together]
        .iter()
        .map(|line| line.run.right)
        .fold(f32::MIN, f32::max)
}

fn would_fit(line: &Line, next: &Line, edge: f32) -> bool {
    let size = line.run.size;
    !line.run.hyphen && edge - line.run.right > next.first_word_width * 1.15 + size * 0.5
}

fn is_hard_break(line: &Line, next: &Line, edge: f32) -> bool {
    let (a, b) = (&line.run, &next.run);
    let shifted = (a.left - b.left).abs() > a.size * 0.3;
    let ended = ends_sentence(&a.text);
    if would_fit(line, next, edge)
        || are_rows(line, next)
        || has_leader(&a.text)
        || has_leader(&b.text)
    {
        return true;
    }
    match marker(&b.text) {
        Marker::Bullet => true,
        // A sentence may go on with a number at the start of a line.
        Marker::Number => shifted || ended,
        // An indented first line; the lines of a list item are indented under its marker.
        Marker::None => {
            ended
                && b.left > a.left + b.size * 0.8
                && marker(&a.text) == Marker::None
                && !line.run.hyphen
        }
    }
}

/// Whether two cells of each stand in the same columns of a table.
fn are_rows(line: &Line, next: &Line) -> bool {
    let same = |a: f32, b: f32| (a - b).abs() <= line.run.size * 0.3;
    let is_under = |cell: &&(f32, f32)| {
        let mut above = line.cells.iter();
        above.any(|(left, right)| same(*left, cell.0) || same(*right, cell.1))
    };
    !line.run.hyphen && line.cells.len() > 1 && next.cells.iter().filter(is_under).count() > 1
}

/// Whether dots lead from an entry of a table of contents to its page.
fn has_leader(text: &str) -> bool {
    text.contains(". . . .") || text.contains("....")
}

/// Whether a paragraph goes on at the top of the next column.
fn continues_elsewhere(line: &Line, next: &Line, edge: f32) -> bool {
    let (a, b) = (&line.run, &next.run);
    !a.turned
        && !b.turned
        && same_size(a, b)
        && b.baseline > a.baseline
        && (a.hyphen
            || (!ends_sentence(&a.text)
                && b.text.starts_with(char::is_lowercase)
                && !would_fit(line, next, edge)))
}

fn ends_sentence(text: &str) -> bool {
    let text = text.trim_end_matches(['"', '\'', '”', '’', ')', ']', '»']);
    text.ends_with(['.', '!', '?', ':', ';', '…'])
}

#[derive(PartialEq, Eq)]
enum Marker {
    None,
    Bullet,
    Number,
}

/// Whether a line opens with the mark of a list item.
fn marker(text: &str) -> Marker {
    let Some((first, _)) = text.split_once(char::is_whitespace) else {
        return Marker::None;
    };
    if matches!(
        first,
        "•" | "‣" | "◦" | "▪" | "–" | "—" | "-" | "*" | "·" | "●" | "○" | "■"
    ) {
        return Marker::Bullet;
    }
    let inner = first.trim_start_matches('(').trim_end_matches(['.', ')']);
    let is_marked = inner.len() < first.len() && first.ends_with(['.', ')']);
    let is_number = (1..=3).contains(&inner.len()) && inner.bytes().all(|b| b.is_ascii_digit());
    let is_letter = inner.len() == 1 && inner.bytes().all(|b| b.is_ascii_lowercase());
    if is_marked && (is_number || is_letter) {
        Marker::Number
    } else {
        Marker::None
    }
}
