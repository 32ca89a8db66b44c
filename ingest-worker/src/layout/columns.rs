//! Two columns whose lines a program wrote row by row.
//!
//! Most programs write a column to its end before the next one, and that order is kept. Where lines of the
//! left and the right column alternate, the page is put in order by its geometry.

use super::{RawPage, Run};

/// So many runs must stand on each side of a gutter.
const MIN_RUNS: usize = 8;
/// A run of prose fills at least this share of its column.
const FILLED: f32 = 0.7;
/// So large a share of a column's runs must be filled: cells of a table are not.
const MIN_FILLED: f32 = 0.6;
/// At least this share of neighbouring runs must lie on different sides of the gutter.
const MIN_ALTERNATION: f32 = 0.6;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Left,
    Right,
    Across,
}

/// The runs of a page in the order of reading.
pub(super) fn order(page: RawPage) -> Vec<Run> {
    match gutter(&page.runs) {
        Some(gutter) => by_column(page.runs, gutter),
        None => page.runs,
    }
}

fn side(run: &Run, gutter: f32) -> Side {
    if run.right <= gutter {
        Side::Left
    } else if run.left >= gutter {
        Side::Right
    } else {
        Side::Across
    }
}

/// Where the columns part, on a page that needs to be put in order.
fn gutter(runs: &[Run]) -> Option<f32> {
    let upright: Vec<&Run> = runs.iter().filter(|run| !run.turned).collect();
    if upright.len() < 2 * MIN_RUNS {
        return None;
    }
    let left = upright.iter().map(|run| run.left).fold(f32::MAX, f32::min);
    let right = upright.iter().map(|run| run.right).fold(f32::MIN, f32::max);
    let width = right - left;
    // The right column's edge is the left edge of many runs near the middle: try those alone.
    let mut edges: Vec<f32> = upright
        .iter()
        .map(|run| run.left)
        .filter(|edge| (0.35..=0.65).contains(&((edge - left) / width)))
        .collect();
    edges.sort_by(f32::total_cmp);
    edges.dedup_by(|a, b| *a - *b < 1.0);
    edges
        .into_iter()
        .map(|edge| edge - 0.5)
        .find(|gutter| alternates(&upright, *gutter, left, right))
}

fn alternates(runs: &[&Run], gutter: f32, left: f32, right: f32) -> bool {
    let sides: Vec<Side> = runs.iter().map(|run| side(run, gutter)).collect();
    let is_prose = |wanted: Side, width: f32| {
        let column = || runs.iter().zip(&sides).filter(|(_, side)| **side == wanted);
        let filled = column().filter(|(run, _)| run.right - run.left >= width * FILLED);
        let count = column().count();
        count >= MIN_RUNS && filled.count() as f32 >= count as f32 * MIN_FILLED
    };
    let within: Vec<Side> = sides
        .iter()
        .copied()
        .filter(|side| *side != Side::Across)
        .collect();
    let turns = within.windows(2).filter(|pair| pair[0] != pair[1]).count();
    is_prose(Side::Left, gutter - left)
        && is_prose(Side::Right, right - gutter)
        && turns as f32 >= within.len() as f32 * MIN_ALTERNATION
}

/// Between lines that go across, the left column and then the right one, each from top to bottom.
fn by_column(runs: Vec<Run>, gutter: f32) -> Vec<Run> {
    let (turned, mut upright): (Vec<_>, Vec<_>) = runs.into_iter().partition(|run| run.turned);
    upright.sort_by(|a, b| {
        b.baseline
            .total_cmp(&a.baseline)
            .then(a.left.total_cmp(&b.left))
    });
    let (mut ordered, mut waiting) = (Vec::with_capacity(upright.len()), Vec::new());
    for run in upright {
        match side(&run, gutter) {
            Side::Left => ordered.push(run),
            Side::Right => waiting.push(run),
            Side::Across => {
                ordered.append(&mut waiting);
                ordered.push(run);
            }
        }
    }
    ordered.append(&mut waiting);
    ordered.extend(turned);
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::tests::run;

    fn page(runs: Vec<Run>) -> RawPage {
        RawPage {
            page: 1,
            width: 400.0,
            height: 600.0,
            runs,
            ..RawPage::default()
        }
    }

    fn wide(text: &str, left: f32, right: f32, baseline: f32) -> Run {
        Run {
            right,
            ..run(text, left, baseline)
        }
    }

    fn texts(runs: &[Run]) -> Vec<&str> {
        runs.iter().map(|run| run.text.as_str()).collect()
    }

    #[test]
    fn columns_written_row_by_row_are_read_one_after_the_other() {
        let mut runs = vec![wide("Title", 50.0, 350.0, 550.0)];
        for row in 0..10 {
            let baseline = 500.0 - 12.0 * row as f32;
            runs.push(wide(&format!("l{row}"), 50.0, 190.0, baseline));
            runs.push(wide(&format!("r{row}"), 210.0, 350.0, baseline));
        }
        let ordered = order(page(runs));
        let texts = texts(&ordered);
        assert_eq!(texts[..3], ["Title", "l0", "l1"]);
        assert_eq!(texts[10..13], ["l9", "r0", "r1"]);
    }

    #[test]
    fn columns_written_one_after_the_other_are_left_alone() {
        let mut runs = Vec::new();
        for (left, name) in [(50.0, "l"), (210.0, "r")] {
            for row in 0..10 {
                runs.push(wide(
                    &format!("{name}{row}"),
                    left,
                    left + 140.0,
                    500.0 - 12.0 * row as f32,
                ));
            }
        }
        assert_eq!(order(page(runs.clone())), runs);
    }

    #[test]
    fn a_table_is_read_row_by_row() {
        let runs: Vec<_> = (0..20)
            .flat_map(|row| {
                let baseline = 500.0 - 12.0 * row as f32;
                [
                    wide("Monday", 50.0, 90.0, baseline),
                    wide("20", 210.0, 220.0, baseline),
                ]
            })
            .collect();
        assert_eq!(order(page(runs.clone())), runs);
    }
}
