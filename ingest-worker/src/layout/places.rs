//! Where the characters of a page's text stand.

use super::{
    Run,
    traced::{NOWHERE, Traced},
};
use rag_core::lines::{Area, Line};

/// The page, and its words as [`Traced`] numbers them.
pub(super) struct Places {
    page: u32,
    width: u32,
    height: u32,
    areas: Vec<Area>,
    words: Vec<Word>,
}

#[derive(Clone, Copy)]
struct Word {
    run: usize,
    /// `None` where only the run's place is known.
    left: Option<u32>,
}

impl Places {
    /// Of the runs in the order of reading.
    pub(super) fn of(page: u32, (width, height): (f32, f32), runs: &[Run]) -> Self {
        let mut places = Self {
            page,
            width: tenths(width),
            height: tenths(height),
            areas: Vec::with_capacity(runs.len()),
            words: Vec::new(),
        };
        for (at, run) in runs.iter().enumerate() {
            let area = places.area(run, height);
            let lefts = places.lefts(run, area);
            places.areas.push(area);
            places
                .words
                .extend(lefts.into_iter().map(|left| Word { run: at, left }));
        }
        places
    }

    /// The run's box, to the next tenth outwards, as far as it lies on the page.
    fn area(&self, run: &Run, height: f32) -> Area {
        let left = tenths(run.left).min(self.width);
        let top = tenths(height - run.top).min(self.height);
        Area {
            left,
            top,
            right: (tenths(run.right) + 1).clamp(left, self.width),
            bottom: (tenths(height - run.bottom) + 1).clamp(top, self.height),
        }
    }

    /// Where each word of the run begins.
    fn lefts(&self, run: &Run, area: Area) -> Vec<Option<u32>> {
        let words = run.text.split_whitespace().count();
        let rest = run
            .word_lefts
            .iter()
            .map(|left| tenths(*left).min(self.width));
        let lefts: Vec<u32> = std::iter::once(area.left).chain(rest).collect();
        let are_sound =
            lefts.len() == words && lefts.is_sorted() && lefts.last() <= Some(&area.right);
        if are_sound && !run.turned {
            lefts.into_iter().map(Some).collect()
        } else {
            vec![None; words]
        }
    }

    /// The lines of the page's text, one for each run of which something is left.
    pub(super) fn lines(&self, text: &Traced) -> Vec<Line> {
        let mut lines: Vec<Line> = Vec::new();
        let mut open = None;
        let mut in_word = false;
        for (at, (c, word)) in (0..).zip(text.chars()) {
            let place = self.words.get(word as usize).filter(|_| word != NOWHERE);
            let Some(place) = place else {
                in_word &= !c.is_whitespace();
                continue;
            };
            let begins = !std::mem::replace(&mut in_word, true);
            match (lines.last_mut(), open) {
                (Some(line), Some(run)) if run == place.run => {
                    line.end_char = at + 1;
                    if begins {
                        line.word_lefts.extend(place.left);
                    }
                }
                _ => {
                    open = Some(place.run);
                    let mut area = self.areas[place.run];
                    area.left = place.left.unwrap_or(area.left);
                    lines.push(Line {
                        page: self.page,
                        start_char: at,
                        end_char: at + 1,
                        area,
                        word_lefts: Vec::new(),
                    });
                }
            }
        }
        lines
    }
}

/// A length that may come from anywhere: what is negative or no number becomes 0.
fn tenths(length: f32) -> u32 {
    (length * 10.0).clamp(0.0, 1e8) as u32
}
