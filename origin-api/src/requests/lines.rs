//! What is logged, for tests to read.

use serde_json::Value;
use std::{
    io::{self, Write},
    sync::{Arc, Mutex},
};
use tracing::subscriber::DefaultGuard;

/// Log lines of one thread.
#[derive(Clone, Default)]
pub(crate) struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    /// What this thread logs for as long as the guard lives.
    pub(crate) fn of_this_thread() -> (Self, DefaultGuard) {
        let lines = Self::default();
        let writer = lines.clone();
        let subscriber = tracing_subscriber::fmt()
            .json()
            .flatten_event(true)
            .with_writer(move || writer.clone())
            .finish();
        let guard = tracing::subscriber::set_default(subscriber);
        (lines, guard)
    }

    /// All of them so far.
    pub(crate) fn read(&self) -> Vec<Value> {
        let lines = self.0.lock().unwrap();
        let lines = serde_json::Deserializer::from_slice(&lines).into_iter();
        lines.map(Result::unwrap).collect()
    }
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
