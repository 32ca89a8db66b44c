use super::*;
use proptest::prelude::*;

const SCALE: Scale = Scale {
    x: 0.24,
    y: 0.24,
    height: 600.0,
};

/// A line of words of one confidence, whose letters are 20 pixels wide and whose small ones are 20 high.
fn line(text: &str, top: i32, confidence: f32) -> Line {
    let (mut left, baseline) = (100, top + 30);
    let words = text
        .split(' ')
        .map(|text| {
            let tall = text.contains(|c: char| "bdfhkl".contains(c) || c.is_uppercase());
            let bounds = Bounds {
                left,
                top: if tall { top } else { top + 10 },
                right: left + text.chars().map(|_| 20).sum::<i32>(),
                bottom: baseline,
            };
            left = bounds.right + 20;
            tesseract::Word {
                text: text.to_owned(),
                confidence,
                bounds,
            }
        })
        .collect();
    Line {
        block: 1,
        paragraph: 1,
        bounds: Bounds {
            left: 100,
            top,
            right: left - 20,
            bottom: baseline,
        },
        baseline: Some(Baseline {
            start: (100, baseline),
            end: (left - 20, baseline),
        }),
        upright: true,
        words,
    }
}

fn texts(text: &Text) -> Vec<&str> {
    text.words.iter().map(|word| word.text.as_str()).collect()
}

#[test]
fn words_stand_in_points_from_the_lower_left_corner() {
    let read = words(&[line("Play hands", 200, 96.0)], SCALE);
    let [play, hands] = &read.words[..] else {
        panic!("{read:?}");
    };
    assert_eq!((play.left, play.right), (24.0, 43.2));
    assert_eq!((play.baseline, play.size), (544.8, 10.5));
    assert_eq!((play.top, play.bottom), (554.25, 542.18));
    assert_eq!((play.ending, hands.ending), (Ending::Space, Ending::Break));
    assert_eq!(read.confidence, Some(96));
}

#[test]
fn a_word_broken_at_the_end_of_a_line_goes_on_in_the_next() {
    let lines = [
        line("the left hand prac-", 200, 96.0),
        line("tises alone -", 240, 96.0),
        line("and ends here-", 280, 96.0),
    ];
    let read = words(&lines, SCALE);
    let broken: Vec<&str> = read
        .words
        .iter()
        .filter(|word| word.ending == Ending::Hyphen)
        .map(|word| word.text.as_str())
        .collect();
    assert_eq!(broken, ["prac"]);
    assert_eq!(texts(&read).last(), Some(&"here-"));
}

#[test]
fn lines_that_cant_be_believed_are_left_out_and_the_mean_is_of_the_rest() {
    let mut poor = line("of the same finger", 320, 90.0);
    poor.words[1].confidence = 12.0;
    let lines = [
        line("fan YEA WV", 200, 45.0),
        line("an", 240, 79.0),
        line("12", 280, 96.0),
        poor,
        line("| - |", 360, 95.0),
    ];
    let read = words(&lines, SCALE);
    assert_eq!(texts(&read), ["12", "of", "same", "finger"]);
    assert_eq!(read.confidence, Some(91));
    let nothing = words(&lines[..2], SCALE);
    assert_eq!((nothing.words.len(), nothing.confidence), (0, None));
}

#[test]
fn lines_of_one_font_have_one_size_whatever_their_letters() {
    let lines = [
        line("the hand is light", 200, 96.0),
        line("a nun saw us on", 240, 96.0),
        line("Fold Hold Bold", 280, 96.0),
    ];
    let read = words(&lines, SCALE);
    assert!(
        read.words
            .iter()
            .all(|word| (word.size - 10.5).abs() < 0.01),
        "{read:?}"
    );
}

#[test]
fn words_of_a_line_that_rises_stand_on_one_baseline_and_are_marked_whole() {
    let mut rising = line("the whole of it rises", 200, 96.0);
    rising.baseline = Some(Baseline {
        start: (100, 240),
        end: (520, 220),
    });
    let read = words(&[rising], SCALE);
    let baseline = read.words[0].baseline;
    assert!(
        read.words
            .iter()
            .all(|word| (word.baseline - baseline).abs() < 0.01)
    );
    assert_eq!(crate::layout::group(read.words).len(), 1);
}

#[test]
fn a_bullet_is_one_though_it_is_read_as_another_mark() {
    let read = words(
        &[
            line("+ the left hand", 200, 96.0),
            line("1 + 2 notes", 240, 96.0),
        ],
        SCALE,
    );
    assert_eq!(texts(&read)[..2], ["•", "the"]);
    assert!(texts(&read).contains(&"+"));
}

prop_compose! {
    fn any_line()(
        sides in prop::array::uniform8(any::<i32>()),
        words in prop::collection::vec(("\\PC{1,8}", any::<f32>(), any::<[i32; 4]>()), 1..6),
        has_baseline in any::<bool>(),
        upright in any::<bool>(),
    ) -> Line {
        let bounds = |[left, top, right, bottom]: [i32; 4]| Bounds { left, top, right, bottom };
        let [left, top, right, bottom, a, b, c, d] = sides;
        Line {
            block: 1,
            paragraph: 1,
            bounds: bounds([left, top, right, bottom]),
            baseline: has_baseline.then_some(Baseline { start: (a, b), end: (c, d) }),
            upright,
            words: words
                .into_iter()
                .map(|(text, confidence, sides)| tesseract::Word {
                    text,
                    confidence: confidence.abs() % 100.0,
                    bounds: bounds(sides),
                })
                .collect(),
        }
    }
}

proptest! {
    #[test]
    fn whatever_is_recognised_can_be_told_to_the_parent(lines in prop::collection::vec(any_line(), 0..5)) {
        let read = words(&lines, SCALE);
        prop_assert!(read.confidence.is_none_or(|confidence| confidence <= 100));
        for word in read.words {
            let lengths = [word.left, word.right, word.baseline, word.size, word.top, word.bottom];
            prop_assert!(lengths.iter().all(|length| length.is_finite()));
        }
    }
}
