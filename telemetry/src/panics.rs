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
    use crate::logs::CloudLogging;
    use std::{
        hint::black_box,
        sync::{Arc, Mutex},
    };
    use tracing_subscriber::layer::SubscriberExt;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_panic_that_quotes_a_question_is_told_by_its_place_alone() {
        let lines = Lines::default();
        let writer = lines.clone();
        let layer = CloudLogging::new(None, move || writer.clone());
        tracing::subscriber::set_global_default(tracing_subscriber::registry().with(layer))
            .unwrap();
        keep_to_the_place();
        let question = "Dürfen Kinder Pedal spielen?";
        let outcome = panic::catch_unwind(|| black_box(question)[..black_box(2)].to_owned());
        // As the standard library's own hook would, for the tests that follow in this process.
        let _ = panic::take_hook();
        outcome.unwrap_err();
        let told = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        assert!(told.contains("panics.rs:"), "{told}");
        assert!(told.contains(r#""severity":"ERROR""#), "{told}");
        assert!(!told.contains("Kinder"), "{told}");
    }
}
