//! Running heads and page numbers: what stands at the edge of page after page is no part of the text.

use super::{RawPage, Run};
use std::collections::{BTreeMap, HashMap, HashSet};

/// How much of the page's height, at the top and at the bottom, a running line may stand in.
const MARGIN: f32 = 0.15;
/// How many lines at each edge may be running ones.
const LINES_AT_EDGE: usize = 2;
/// On so many pages a line has to stand before it counts as running.
const MIN_PAGES: usize = 3;
/// A bare page number needs less evidence.
const MIN_NUMBERED_PAGES: usize = 2;
/// Running lines keep their height; this much difference is rounding.
const SAME_HEIGHT: f32 = 4.0;

/// Where and how a line stands: edge, height, and text with `#` for each number.
type Place = (bool, i32, String);

struct Candidate {
    /// The page's place among the pages, and its number.
    page: usize,
    number: u32,
    /// The run's place on the page.
    run: usize,
    size: f32,
    text: String,
    numbers: Vec<i64>,
    bold: bool,
}

/// What stands at the edges of the pages, and how large type is, gathered page by page.
#[derive(Default)]
pub(super) struct Margins {
    pages: usize,
    sizes: Sizes,
    candidates: BTreeMap<Place, Vec<Candidate>>,
}

impl Margins {
    /// Takes the next page.
    pub(super) fn see(&mut self, page: &RawPage) {
        for run in &page.runs {
            *self.sizes.of(run.size) += run.text.len();
        }
        for (place, candidate) in candidates(self.pages, page) {
            self.candidates.entry(place).or_default().push(candidate);
        }
        self.pages += 1;
    }

    /// Which lines are running ones: those that stand at the same height near the edge of at least three pages with the
    /// same text, or with a number that goes up with the pages.
    pub(super) fn running(mut self) -> Running {
        let body = self.sizes.most();
        let mut lines = HashSet::new();
        for ((_, _, masked), candidates) in &mut self.candidates {
            candidates.retain(|candidate| candidate.size <= body * 1.15);
            let running = repeated(candidates)
                .into_iter()
                .chain(numbered(candidates, masked));
            for candidate in running {
                if lines.insert((candidate.page, candidate.run)) {
                    let left = self.sizes.of(candidate.size);
                    *left = left.saturating_sub(candidate.text.len());
                }
            }
        }
        Running {
            lines,
            body: self.sizes.most(),
        }
    }
}

/// Bytes of text by the size of their type in half points.
#[derive(Default)]
struct Sizes(BTreeMap<i32, usize>);

impl Sizes {
    fn of(&mut self, size: f32) -> &mut usize {
        self.0.entry((size * 2.0).round() as i32).or_default()
    }

    /// The size of most of the text.
    fn most(&self) -> f32 {
        let most = self.0.iter().filter(|(_, bytes)| **bytes > 0);
        let most = most.max_by_key(|(_, bytes)| **bytes);
        most.map_or(10.0, |(size, _)| *size as f32 / 2.0)
    }
}

/// The running lines of a document.
pub(super) struct Running {
    lines: HashSet<(usize, usize)>,
    body: f32,
}

impl Running {
    /// The size that most of the document's other characters have, to the half point.
    pub(super) fn body(&self) -> f32 {
        self.body
    }

    /// Takes them from the page that stands at this place among the pages.
    pub(super) fn remove(&self, at: usize, page: &mut RawPage) {
        let mut run = 0;
        page.runs.retain(|_| {
            run += 1;
            !self.lines.contains(&(at, run - 1))
        });
    }
}

fn candidates(at: usize, page: &RawPage) -> Vec<(Place, Candidate)> {
    let mut found = Vec::new();
    for top in [true, false] {
        for (index, run) in edge_runs(page, top) {
            let (masked, numbers) = mask(&run.text);
            let from_edge = if top {
                page.height - run.baseline
            } else {
                run.baseline
            };
            let place = (top, (from_edge / SAME_HEIGHT).round() as i32, masked);
            let candidate = Candidate {
                page: at,
                number: page.page,
                run: index,
                size: run.size,
                text: run.text.to_lowercase(),
                numbers,
                bold: run.bold,
            };
            found.push((place, candidate));
        }
    }
    found
}

/// The runs of the outermost lines within the margin.
fn edge_runs(page: &RawPage, top: bool) -> Vec<(usize, &Run)> {
    let margin = page.height * MARGIN;
    let mut runs: Vec<_> = page
        .runs
        .iter()
        .enumerate()
        .filter(|(_, run)| !run.turned)
        .map(|(index, run)| {
            let from_edge = if top {
                page.height - run.baseline
            } else {
                run.baseline
            };
            (from_edge, index, run)
        })
        .filter(|(from_edge, ..)| *from_edge <= margin)
        .collect();
    runs.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut lines = 0;
    let mut height = f32::NEG_INFINITY;
    runs.into_iter()
        .take_while(|(from_edge, ..)| {
            if from_edge - height > SAME_HEIGHT {
                lines += 1;
                height = *from_edge;
            }
            lines <= LINES_AT_EDGE
        })
        .map(|(_, index, run)| (index, run))
        .collect()
}

/// Candidates whose exact text stands on enough pages.
fn repeated(candidates: &[Candidate]) -> Vec<&Candidate> {
    let mut pages: HashMap<&str, HashSet<usize>> = HashMap::new();
    for candidate in candidates {
        let on = pages.entry(&candidate.text).or_default();
        on.insert(candidate.page);
    }
    let stands_on_enough =
        |candidate: &&Candidate| pages[candidate.text.as_str()].len() >= MIN_PAGES;
    candidates.iter().filter(stands_on_enough).collect()
}

/// Candidates with a number that keeps its distance from the page's place in the document.
fn numbered<'a>(candidates: &'a [Candidate], masked: &str) -> Vec<&'a Candidate> {
    let enough = if masked.chars().any(char::is_alphabetic) {
        MIN_PAGES
    } else {
        MIN_NUMBERED_PAGES
    };
    let numbers = candidates.iter().map(|c| c.numbers.len()).max();
    let mut running = Vec::new();
    for position in 0..numbers.unwrap_or(0) {
        let mut offsets: BTreeMap<i64, Vec<&Candidate>> = BTreeMap::new();
        for candidate in candidates.iter().filter(|candidate| !is_text(candidate)) {
            if let Some(number) = candidate.numbers.get(position) {
                let offset = number - i64::from(candidate.number);
                offsets.entry(offset).or_default().push(candidate);
            }
        }
        running.extend(
            offsets
                .into_values()
                .filter(|same| same.len() >= enough)
                .flatten(),
        );
    }
    running
}

/// Bold lines are headings, and a sentence that ends is the page's own, whatever its numbers do.
fn is_text(candidate: &Candidate) -> bool {
    let letters = candidate.text.chars().any(char::is_alphabetic);
    candidate.bold || (letters && candidate.text.ends_with(['.', '!', '?', ':']))
}

/// The text with `#` for each number, and the numbers. A text that is one Roman numeral is a number.
fn mask(text: &str) -> (String, Vec<i64>) {
    if let Some(number) = roman(text.trim()) {
        return ("#".into(), vec![number]);
    }
    let (mut masked, mut numbers, mut digits) = (String::new(), Vec::new(), String::new());
    for c in text.to_lowercase().chars().chain(std::iter::once('\0')) {
        if c.is_ascii_digit() {
            digits.push(c);
            continue;
        }
        if !digits.is_empty() {
            // More digits than a page number can have are no number, but they still vary.
            numbers.push(digits.parse().unwrap_or(i64::MAX / 2));
            masked.push('#');
            digits.clear();
        }
        if c != '\0' {
            masked.push(c);
        }
    }
    (masked, numbers)
}

/// The value of a lower-case Roman numeral below 100, as front matter is numbered with.
fn roman(text: &str) -> Option<i64> {
    if text.is_empty() || text.len() > 8 {
        return None;
    }
    let value = |c| match c {
        'i' => Some(1),
        'v' => Some(5),
        'x' => Some(10),
        'l' => Some(50),
        _ => None,
    };
    let digits: Vec<i64> = text.chars().map(value).collect::<Option<_>>()?;
    let sign = |at: usize| match digits.get(at + 1) {
        Some(next) if *next > digits[at] => -digits[at],
        _ => digits[at],
    };
    Some((0..digits.len()).map(sign).sum())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::tests::run;

    fn page(number: u32, runs: Vec<Run>) -> RawPage {
        RawPage {
            page: number,
            width: 400.0,
            height: 600.0,
            runs,
            ..RawPage::default()
        }
    }

    fn remove(pages: &mut [RawPage]) {
        let mut margins = Margins::default();
        for page in &*pages {
            margins.see(page);
        }
        let running = margins.running();
        for (at, page) in pages.iter_mut().enumerate() {
            running.remove(at, page);
        }
    }

    fn texts(pages: &[RawPage]) -> Vec<Vec<&str>> {
        pages
            .iter()
            .map(|page| page.runs.iter().map(|run| run.text.as_str()).collect())
            .collect()
    }

    #[test]
    fn heads_and_page_numbers_go_and_the_text_stays() {
        let mut pages: Vec<_> = (1..=4)
            .map(|number| {
                page(
                    number,
                    vec![
                        run("Practice and Memory", 50.0, 570.0),
                        run(&format!("Text of page {number}, all its own."), 50.0, 540.0),
                        run(&format!("{}", number + 12), 200.0, 20.0),
                    ],
                )
            })
            .collect();
        remove(&mut pages);
        assert_eq!(texts(&pages)[2], ["Text of page 3, all its own."]);
        assert!(pages.iter().all(|page| page.runs.len() == 1));
    }

    #[test]
    fn front_matter_is_numbered_in_roman_numerals() {
        let mut pages: Vec<_> = ["iii", "iv", "v"]
            .iter()
            .zip(3..)
            .map(|(numeral, number)| page(number, vec![run(numeral, 200.0, 20.0)]))
            .collect();
        remove(&mut pages);
        assert!(pages.iter().all(|page| page.runs.is_empty()));
    }

    #[test]
    fn a_bar_number_at_the_edge_of_one_page_stays() {
        let mut pages = vec![
            page(1, vec![run("72", 50.0, 570.0)]),
            page(2, vec![run("60", 50.0, 570.0)]),
            page(3, vec![run("Bars 17 to 20.", 50.0, 570.0)]),
        ];
        remove(&mut pages);
        assert!(pages.iter().all(|page| page.runs.len() == 1));
    }

    #[test]
    fn a_heading_that_opens_every_page_stays() {
        let mut pages: Vec<_> = (1..=5)
            .map(|number| {
                let heading = Run {
                    bold: true,
                    ..run(&format!("Exercise {number}"), 50.0, 560.0)
                };
                page(number, vec![heading])
            })
            .collect();
        remove(&mut pages);
        assert!(pages.iter().all(|page| page.runs.len() == 1));
    }

    #[test]
    fn a_sentence_that_recurs_within_the_page_stays() {
        let mut pages: Vec<_> = (1..=5)
            .map(|number| page(number, vec![run("Repeat from the beginning.", 50.0, 300.0)]))
            .collect();
        remove(&mut pages);
        assert!(pages.iter().all(|page| page.runs.len() == 1));
    }
}
