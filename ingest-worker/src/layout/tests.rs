//! Pages as programs write them, and as they should read.

use super::{RawPage, Run, read};
use proptest::prelude::*;

/// A run of ten-point text, five points to a character.
pub(super) fn run(text: &str, left: f32, baseline: f32) -> Run {
    Run {
        text: text.into(),
        left,
        right: left + text.chars().count() as f32 * 5.0,
        baseline,
        size: 10.0,
        bold: false,
        turned: false,
        hyphen: false,
    }
}

fn page(runs: Vec<Run>) -> RawPage {
    RawPage {
        page: 1,
        width: 400.0,
        height: 600.0,
        runs,
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

proptest! {
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
        let pages = vec![RawPage { page: 1, width: 1.0, height, runs }];
        prop_assert_eq!(read(pages).len(), 1);
    }
}
