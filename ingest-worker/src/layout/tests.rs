//! Pages as programs write them, and as they should read.

use super::{RawPage, Run};
use proptest::prelude::*;
use rag_core::{
    chunking::PageText,
    lines::{Area, highlight},
};
use std::convert::Infallible;

fn read(pages: impl IntoIterator<Item = RawPage>) -> Vec<PageText> {
    let pages: Vec<RawPage> = pages.into_iter().collect();
    let pages = || pages.iter().cloned().map(Ok::<_, Infallible>);
    let Ok(read) = super::read(pages).and_then(Iterator::collect);
    read
}

/// A run of ten-point text, five points to a character.
pub(super) fn run(text: &str, left: f32, baseline: f32) -> Run {
    Run {
        text: text.into(),
        left,
        right: left + text.chars().count() as f32 * 5.0,
        baseline,
        size: 10.0,
        top: baseline + 9.0,
        bottom: baseline - 2.0,
        word_lefts: word_lefts(text, left),
        bold: false,
        turned: false,
        hyphen: false,
    }
}

/// Where words after the first begin.
fn word_lefts(text: &str, left: f32) -> Vec<f32> {
    let chars: Vec<char> = text.chars().collect();
    let begins = |at: &usize| chars[at - 1].is_whitespace() && !chars[*at].is_whitespace();
    let first = chars.iter().take_while(|c| c.is_whitespace()).count();
    (first + 1..chars.len())
        .filter(begins)
        .map(|at| left + at as f32 * 5.0)
        .collect()
}

fn page(runs: Vec<Run>) -> RawPage {
    RawPage {
        page: 1,
        width: 400.0,
        height: 600.0,
        runs,
        ..RawPage::default()
    }
}

/// Lines of text from the top of the page's body, twelve points apart.
fn lines(texts: &[&str]) -> Vec<Run> {
    texts
        .iter()
        .enumerate()
        .map(|(at, text)| run(text, 50.0, 480.0 - 12.0 * at as f32))
        .collect()
}

fn text_of(runs: Vec<Run>) -> String {
    read(vec![page(runs)]).remove(0).text
}

#[test]
fn soft_line_ends_vanish_and_paragraphs_stay() {
    let mut runs = lines(&[
        "Short daily sessions do more than one long session",
        "at the weekend, because the brain strengthens new",
        "movements.",
    ]);
    runs.push(run("Work in blocks.", 50.0, 430.0));
    assert_eq!(
        text_of(runs),
        "Short daily sessions do more than one long session at the weekend, because the brain \
         strengthens new movements.\n\nWork in blocks."
    );
}

#[test]
fn a_heading_stands_on_its_own() {
    let heading = Run {
        size: 14.0,
        bold: true,
        ..run("2 A weekly plan", 50.0, 500.0)
    };
    let mut runs = vec![heading];
    runs.extend(lines(&["The plan below suits a pupil."]));
    assert_eq!(
        text_of(runs),
        "2 A weekly plan\n\nThe plan below suits a pupil."
    );
}

/// The headings of a page, each with its level.
fn headings(runs: Vec<Run>) -> Vec<(u8, String)> {
    let page = read(vec![page(runs)]).remove(0);
    let line = |start: u32| {
        let rest: String = page.text.chars().skip(start as usize).collect();
        rest.lines().next().unwrap_or_default().to_owned()
    };
    page.headings
        .iter()
        .map(|heading| (heading.level, line(heading.start_char)))
        .collect()
}

fn sized(size: f32, run: Run) -> Run {
    Run { size, ..run }
}

#[test]
fn larger_type_bold_type_and_a_number_make_a_heading_and_the_larger_stands_higher() {
    let mut runs = vec![
        sized(18.0, run("The left hand", 50.0, 540.0)),
        sized(13.0, run("Why it lags", 50.0, 510.0)),
    ];
    runs.extend(lines(&[
        "It does less in daily life than the other one does.",
    ]));
    runs.push(Run {
        bold: true,
        ..run("A remedy", 50.0, 450.0)
    });
    runs.push(run("Begin each scale with it.", 50.0, 438.0));
    runs.push(run("3.2 Fingers", 50.0, 410.0));
    runs.push(run("Curve them.", 50.0, 380.0));
    let expected = [
        (1, "The left hand"),
        (2, "Why it lags"),
        (3, "A remedy"),
        (4, "3.2 Fingers"),
    ];
    let expected = expected.map(|(level, text)| (level, text.to_owned()));
    assert_eq!(headings(runs), expected);
}

#[test]
fn sentences_rows_list_items_and_words_in_bold_are_no_headings() {
    let mut runs = vec![
        sized(14.0, run("Sit tall, and then stay so.", 50.0, 540.0)),
        run("2. Sit tall", 50.0, 500.0),
    ];
    runs.push(Run {
        bold: true,
        ..run("Day", 50.0, 470.0)
    });
    runs.push(Run {
        bold: true,
        ..run("Minutes", 150.0, 470.0)
    });
    runs.push(run("Monday", 50.0, 458.0));
    runs.push(run("20", 150.0, 458.0));
    runs.push(Run {
        bold: true,
        ..run("and slowly", 50.0, 430.0)
    });
    assert_eq!(headings(runs), []);
}

#[test]
fn list_items_and_rows_of_tables_keep_their_lines() {
    let runs = lines(&[
        "A useful aim names these things, each in a few words:",
        "• the place, such as bars 17 to 20, never the whole of",
        "it;",
        "• the task.",
        "Monday 5 20",
        "Tuesday 5 20",
    ]);
    assert_eq!(
        text_of(runs),
        "A useful aim names these things, each in a few words:\n\
         • the place, such as bars 17 to 20, never the whole of it;\n• the task.\nMonday 5 20\nTuesday 5 20"
    );
}

#[test]
fn a_number_at_the_start_of_a_line_is_not_always_a_list() {
    let runs = lines(&[
        "Play the four bars from 17 up to and including bar",
        "20. Rest.",
    ]);
    assert_eq!(
        text_of(runs),
        "Play the four bars from 17 up to and including bar 20. Rest."
    );
}

#[test]
fn a_broken_word_is_mended_even_across_columns() {
    let broken = Run {
        hyphen: true,
        ..run("This is tailored specif", 50.0, 100.0)
    };
    let next = run("ically for you.", 220.0, 500.0);
    assert_eq!(
        text_of(vec![broken, next]),
        "This is tailored specifically for you."
    );
}

#[test]
fn rows_of_a_table_stay_apart_however_far_they_reach() {
    let rows = [
        (480.0, ["Day", "Scales", "Pieces"]),
        (468.0, ["Monday", "5", "twenty"]),
        (456.0, ["Friday", "10", "twelve"]),
    ];
    let mut runs = Vec::new();
    for (baseline, cells) in rows {
        for (left, text) in [50.0, 150.0, 250.0].into_iter().zip(cells) {
            runs.push(run(text, left, baseline));
        }
    }
    assert_eq!(
        text_of(runs),
        "Day Scales Pieces\nMonday 5 twenty\nFriday 10 twelve"
    );
}

#[test]
fn ornaments_go_and_the_brackets_of_code_stay() {
    let runs = lines(&["{", "c'4", "}", "* * *", "A longer line"]);
    assert_eq!(text_of(runs), "{\nc'4\n}\nA longer line");
}

#[test]
fn an_indented_line_opens_a_paragraph() {
    let mut runs = lines(&[
        "The first paragraph ends with a line that is quite full.",
        "",
        "It goes on.",
    ]);
    runs[1] = run(
        "The second one is indented and ends far to the right",
        65.0,
        468.0,
    );
    assert!(text_of(runs).contains("full.\nThe second"));
}

/// What is marked where these words of a page are cited.
fn marked(page: &PageText, words: &str) -> Vec<Area> {
    let (before, _) = page.text.split_once(words).unwrap();
    let start = before.chars().count() as u32;
    let chars = start..start + words.chars().count() as u32;
    let pages = highlight(&page.text, &page.lines, &chars);
    assert!(pages.iter().all(|marked| marked.page == page.page));
    pages.into_iter().flat_map(|marked| marked.areas).collect()
}

/// The box of a ten-point line of these tests, in tenths of a point.
fn line_at(left: u32, right: u32, baseline: u32) -> Area {
    Area {
        left: left * 10,
        top: (600 - baseline - 9) * 10,
        right: right * 10 + 1,
        bottom: (600 - baseline + 2) * 10 + 1,
    }
}

#[test]
fn the_two_halves_of_a_broken_word_are_marked_where_they_stand() {
    let mut runs = lines(&["It is tailored specif", "ically for you."]);
    runs[0].hyphen = true;
    let page = read(vec![page(runs)]).remove(0);
    let areas = marked(&page, "specifically");
    assert_eq!(areas[0], line_at(125, 155, 480));
    assert_eq!((areas[1].left, areas[1].right), (500, 850));
}

#[test]
fn a_ligature_an_accent_and_a_leader_do_not_shift_the_mark() {
    let runs = lines(&["\u{fb01}ne arp`ege. . . . . . 14 bars"]);
    let page = read(vec![page(runs)]).remove(0);
    assert_eq!(page.text, "fine arpège 14 bars");
    assert_eq!(marked(&page, "bars")[0], line_at(180, 200, 480));
    assert_eq!(
        (
            marked(&page, "arpège")[0].left,
            marked(&page, "fine")[0].left
        ),
        (700, 500)
    );
}

#[test]
fn a_running_head_leaves_no_line_behind() {
    let pages = (1..=3).map(|number| RawPage {
        page: number,
        ..page(vec![
            run("Practice", 50.0, 580.0),
            run("Text.", 50.0, 300.0),
        ])
    });
    for page in read(pages) {
        assert_eq!(page.lines.len(), 1);
        assert_eq!(page.lines[0].area, line_at(50, 75, 300));
    }
}

#[test]
fn cells_of_a_row_are_marked_one_by_one() {
    let page = read(vec![page(vec![
        run("Monday", 50.0, 400.0),
        run("20", 200.0, 400.0),
    ])])
    .remove(0);
    let areas = marked(&page, "Monday 20");
    assert_eq!(areas, [line_at(50, 80, 400), line_at(200, 210, 400)]);
}

/// Runs of words that no other word of the page resembles.
fn any_runs() -> impl Strategy<Value = Vec<Run>> {
    let line = (
        prop::collection::vec("[a-zé\u{fb01}]{1,8}", 1..6),
        -40f32..420.0,
        -40f32..640.0,
        any::<bool>(),
    );
    prop::collection::vec(line, 1..30).prop_map(|runs| {
        let mut number = 0;
        let mut numbered = |word: &String| {
            number += 1;
            format!("{word}{number}")
        };
        runs.into_iter()
            .map(|(words, left, baseline, hyphen)| {
                let words: Vec<String> = words.iter().map(&mut numbered).collect();
                Run {
                    hyphen,
                    ..run(&words.join(" "), left, baseline)
                }
            })
            .collect()
    })
}

proptest! {
    #[test]
    fn every_letter_has_a_box_and_every_box_lies_on_its_page(runs in any_runs()) {
        let page = read(vec![page(runs)]).remove(0);
        let mut boxed = vec![false; page.text.chars().count()];
        for line in &page.lines {
            boxed[line.start_char as usize..line.end_char as usize].fill(true);
            let Area { left, top, right, bottom } = line.area;
            prop_assert!(left <= right && right <= 4_000 && top <= bottom && bottom <= 6_000);
            let edges: Vec<u32> = [left].into_iter().chain(line.word_lefts.iter().copied()).chain([right]).collect();
            prop_assert!(edges.is_sorted());
        }
        for (c, boxed) in page.text.chars().zip(boxed) {
            prop_assert!(boxed || !c.is_alphanumeric());
        }
    }

    #[test]
    fn a_word_that_is_cited_stands_inside_what_is_marked(runs in any_runs()) {
        let page = read(vec![page(runs.clone())]).remove(0);
        for run in &runs {
            let lefts = [run.left].into_iter().chain(run.word_lefts.iter().copied());
            for (word, left) in run.text.split(' ').zip(lefts) {
                let right = left + word.chars().count() as f32 * 5.0;
                let word = word.replace('\u{fb01}', "fi");
                let start = page.text[..page.text.find(&word).unwrap()].chars().count() as u32;
                let pages = highlight(&page.text, &page.lines, &(start..start + word.chars().count() as u32));
                let tenths = |length: f32, most: u32| ((length * 10.0).max(0.0) as u32).min(most);
                let is_inside = pages.iter().flat_map(|page| &page.areas).any(|area| {
                    area.left <= tenths(left, 4_000)
                        && tenths(right, 4_000) <= area.right
                        && area.top <= tenths(600.0 - run.baseline, 6_000)
                        && tenths(600.0 - run.baseline, 6_000) <= area.bottom
                });
                prop_assert!(is_inside, "{word} at {left}, {}: {pages:?}", run.baseline);
            }
        }
    }

    #[test]
    fn no_word_is_lost_or_invented(words in prop::collection::vec("[a-z]{1,9}", 1..120), width in 3usize..12) {
        let rows: Vec<String> = words.chunks(width).map(|row| row.join(" ")).collect();
        let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
        let text = text_of(lines(&rows));
        prop_assert_eq!(text.split_whitespace().collect::<Vec<_>>(), words);
    }

    #[test]
    fn any_geometry_is_read_without_a_panic(
        runs in prop::collection::vec((".{0,20}", any::<f32>(), any::<f32>(), any::<f32>(), any::<f32>()), 0..40),
        height in any::<f32>(),
    ) {
        let runs = runs
            .into_iter()
            .map(|(text, left, right, baseline, size)| Run { left, right, baseline, size, ..run(&text, 0.0, 0.0) })
            .collect();
        let pages = vec![RawPage { page: 1, width: 1.0, height, runs, ..RawPage::default() }];
        prop_assert_eq!(read(pages).len(), 1);
    }
}
