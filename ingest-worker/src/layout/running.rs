//! Running heads and page numbers: what stands at the edge of page after page is no part of the text.

use super::{RawPage, Run, body_size};
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
    page: usize,
    run: usize,
    text: String,
    numbers: Vec<i64>,
    bold: bool,
}

/// Removes lines that stand at the same height near the edge of at least three pages with the same text,
/// or with a number that goes up with the pages.
pub(super) fn remove(pages: &mut [RawPage]) {
    let body = body_size(pages);
    let mut places: BTreeMap<Place, Vec<Candidate>> = BTreeMap::new();
    for (at, page) in pages.iter().enumerate() {
        for (run, place, candidate) in candidates(at, page, body) {
            places
                .entry(place)
                .or_default()
                .push(Candidate { run, ..candidate });
        }
    }
    let mut running: HashSet<(usize, usize)> = HashSet::new();
    for ((_, _, masked), candidates) in &places {
        running.extend(repeated(candidates));
        running.extend(numbered(candidates, pages, masked));
    }
    for (at, page) in pages.iter_mut().enumerate() {
        let mut run = 0;
        page.runs.retain(|_| {
            run += 1;
            !running.contains(&(at, run - 1))
        });
    }
}

fn candidates(at: usize, page: &RawPage, body: f32) -> Vec<(usize, Place, Candidate)> {
    let mut found = Vec::new();
    for top in [true, false] {
        for (index, run) in edge_runs(page, top) {
            if run.size > body * 1.15 {
                continue;
            }
            let (masked, numbers) = mask(&run.text);
            let from_edge = if top {
                page.height - run.baseline
            } else {
                run.baseline
            };
            let place = (top, (from_edge / SAME_HEIGHT).round() as i32, masked);
            let candidate = Candidate {
                page: at,
                run: index,
                text: run.text.to_lowercase(),
                numbers,
                bold: run.bold,
            };
            found.push((index, place, candidate));
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
fn repeated(candidates: &[Candidate]) -> Vec<(usize, usize)> {
    let mut pages: HashMap<&str, HashSet<usize>> = HashMap::new();
    for candidate in candidates {
        let on = pages.entry(&candidate.text).or_default();
        on.insert(candidate.page);
    }
    candidates
        .iter()
        .filter(|candidate| pages[candidate.text.as_str()].len() >= MIN_PAGES)
        .map(|candidate| (candidate.page, candidate.run))
        .collect()
}

/// Candidates with a number that keeps its distance from the page's place in the document.
fn numbered(candidates: &[Candidate], pages: &[RawPage], masked: &str) -> Vec<(usize, usize)> {
    let enough = if masked.chars().any(char::is_alphabetic) {
        MIN_PAGES
    } else {
        MIN_NUMBERED_PAGES
    };
    let mut running = Vec::new();
    for position in 0..candidates
        .iter()
        .map(|c| c.numbers.len())
        .max()
        .unwrap_or(0)
    {
        let mut offsets: BTreeMap<i64, Vec<&Candidate>> = BTreeMap::new();
        for candidate in candidates.iter().filter(|candidate| !is_text(candidate)) {
            if let Some(number) = candidate.numbers.get(position) {
                let offset = number - i64::from(pages[candidate.page].page);
                offsets.entry(offset).or_default().push(candidate);
            }
        }
        for same in offsets.into_values().filter(|same| same.len() >= enough) {
            running.extend(same.iter().map(|candidate| (candidate.page, candidate.run)));
        }
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
