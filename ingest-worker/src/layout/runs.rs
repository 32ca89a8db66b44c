//! Words into runs: what stands on one baseline without a wide gap.

use super::Run;

/// What follows a word in the page's content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// A space.
    Space,
    /// A line break.
    Break,
    /// A hyphen at the line's end.
    Hyphen,
}

/// A word with its place on the page.
#[derive(Clone, Debug, PartialEq)]
pub struct Word {
    /// Its characters; no white space.
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
    /// A bold face.
    pub bold: bool,
    /// Not upright.
    pub turned: bool,
    /// What follows.
    pub ending: Ending,
}

/// The widest space between words of one run, in font sizes. Justified prose stays below it, the gutter
/// between columns does not.
const MAX_GAP: f32 = 1.4;
/// How far a baseline may shift within a run, in font sizes: footnote marks and accidentals.
const MAX_SHIFT: f32 = 0.45;

/// Groups words, in the order given, into runs.
#[must_use]
pub fn group(words: impl IntoIterator<Item = Word>) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    let mut last = Ending::Break;
    for word in words {
        match runs.last_mut() {
            Some(run) if last == Ending::Space && belongs(run, &word) => extend(run, &word),
            _ => runs.push(Run {
                text: word.text,
                left: word.left,
                right: word.right,
                baseline: word.baseline,
                size: word.size,
                top: word.top,
                bottom: word.bottom,
                word_lefts: Vec::new(),
                bold: word.bold,
                turned: word.turned,
                hyphen: word.ending == Ending::Hyphen,
            }),
        }
        last = word.ending;
    }
    runs
}

fn belongs(run: &Run, word: &Word) -> bool {
    if run.turned || word.turned {
        return run.turned == word.turned;
    }
    let size = run.size.max(word.size);
    let gap = word.left - run.right;
    (run.baseline - word.baseline).abs() <= size * MAX_SHIFT
        && gap <= size * MAX_GAP
        && gap >= -size
}

fn extend(run: &mut Run, word: &Word) {
    // Size and baseline are those of the bulk: a footnote mark must not shift the line.
    if word.text.len() > run.text.len() {
        run.size = word.size;
        run.baseline = word.baseline;
    }
    run.text.push(' ');
    run.text.push_str(&word.text);
    if run.turned {
        run.left = run.left.min(word.left);
        run.right = run.right.max(word.right);
    } else {
        run.right = word.right;
        run.word_lefts.push(word.left);
    }
    run.top = run.top.max(word.top);
    run.bottom = run.bottom.min(word.bottom);
    run.bold &= word.bold;
    run.hyphen = word.ending == Ending::Hyphen;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(text: &str, left: f32, baseline: f32, ending: Ending) -> Word {
        Word {
            text: text.into(),
            left,
            right: left + text.len() as f32 * 5.0,
            baseline,
            size: 10.0,
            top: baseline + 9.0,
            bottom: baseline - 2.0,
            bold: false,
            turned: false,
            ending,
        }
    }

    #[test]
    fn words_of_a_line_are_one_run_and_the_hyphen_is_remembered() {
        let runs = group([
            word("Practise", 0.0, 100.0, Ending::Space),
            word("slow", 43.0, 100.0, Ending::Hyphen),
            word("ly.", 0.0, 88.0, Ending::Break),
        ]);
        let texts: Vec<_> = runs.iter().map(|run| run.text.as_str()).collect();
        assert_eq!(texts, ["Practise slow", "ly."]);
        assert!(runs[0].hyphen && !runs[1].hyphen);
        assert_eq!(runs[0].word_lefts, [43.0]);
    }

    #[test]
    fn columns_on_one_baseline_are_two_runs() {
        let runs = group([
            word("left", 0.0, 100.0, Ending::Space),
            word("right", 200.0, 100.0, Ending::Space),
        ]);
        assert_eq!(runs.len(), 2);
    }

    #[test]
    fn a_footnote_mark_stays_in_its_line() {
        let mark = Word {
            size: 6.0,
            ..word("1", 42.0, 103.5, Ending::Space)
        };
        let runs = group([
            word("Czerny", 10.0, 100.0, Ending::Space),
            mark,
            word("wrote", 50.0, 100.0, Ending::Break),
        ]);
        assert_eq!(runs.len(), 1);
        assert_eq!((runs[0].size, runs[0].baseline), (10.0, 100.0));
    }
}
