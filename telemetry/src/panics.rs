//! Panics without their words: the standard library's messages quote what they are about, and that may be a question or a
//! page. Where it happened says what went wrong.

use std::{
    io::{self, Write},
    panic,
};

/// From now on a panic of this process is a log line with its place in the source; where nobody takes such lines, a line on
/// standard error.
pub fn keep_to_the_place() {
    panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        let place = place.unwrap_or_else(|| "an unknown place".to_owned());
        if tracing::event_enabled!(tracing::Level::ERROR) {
            tracing::error!(place, "panicked");
        } else {
            // A hook that panics aborts the process.
            let _ = writeln!(io::stderr(), "panicked at {place}");
        }
    }));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logs::tests::lines;
    use std::hint::black_box;

    #[test]
    fn a_panic_that_quotes_a_question_is_told_by_its_place_alone() {
        let question = "Dürfen Kinder Pedal spielen?";
        let told = lines(None, || {
            keep_to_the_place();
            let outcome = panic::catch_unwind(|| black_box(question)[..black_box(2)].to_owned());
            // As the standard library's own hook would, for the tests that follow in this process.
            let _ = panic::take_hook();
            outcome.unwrap_err();
        });
        let [line] = &told[..] else {
            panic!("{told:?}");
        };
        assert!(line.to_string().contains("panics.rs:"), "{line}");
        assert_eq!(line["severity"], "ERROR", "{line}");
        assert!(!line.to_string().contains("Kinder"), "{line}");
    }
}
