//! Progress on the terminal, and where the time went.

use crate::terminal;
use anyhow::Result;
use indicatif::{ProgressBar, ProgressStyle};
use local_stack::Stopwatch;
use std::{
    io::{IsTerminal, stderr},
    time::Duration,
};

/// Steps shorter than this are left out of the table.
const WORTH_A_ROW: Duration = Duration::from_millis(50);
/// A run shorter than this needs no table.
const WORTH_A_TABLE: Duration = Duration::from_secs(10);

/// How often a spinner turns.
const TICK: Duration = Duration::from_millis(120);

/// The steps of one command.
#[derive(Debug)]
pub struct Steps {
    clock: Stopwatch,
    taken: Vec<(String, Duration)>,
}

impl Steps {
    /// Starts counting.
    pub fn start() -> Self {
        Self {
            clock: Stopwatch::start(),
            taken: Vec::new(),
        }
    }

    /// A step that shows a spinner while it runs.
    pub async fn run<T>(&mut self, name: &str, work: impl Future<Output = Result<T>>) -> Result<T> {
        let spinner = spinner(name);
        self.measure(name, work, Some(spinner)).await
    }

    /// A step that shows its own progress.
    pub async fn run_visibly<T>(
        &mut self,
        name: &str,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        say(&format!("{name} …"));
        self.measure(name, work, None).await
    }

    /// Notes a step that was measured elsewhere.
    pub fn note(&mut self, name: &str, duration: Duration) {
        self.taken.push((name.to_owned(), duration));
    }

    /// Since the start.
    pub fn total(&self) -> Duration {
        self.clock.elapsed()
    }

    /// Prints where the time went, unless it was too little to matter.
    pub fn print(&self) {
        let total = self.total();
        if total < WORTH_A_TABLE {
            return;
        }
        let mut table = terminal::table(&["where the time went", "seconds", "share"]);
        let mut rest = total;
        let mut row = |name: &str, duration: Duration| {
            let share = 100.0 * duration.as_secs_f64() / total.as_secs_f64();
            table.add_row([name.to_owned(), seconds(duration), format!("{share:.0} %")]);
        };
        for (name, duration) in &self.taken {
            rest = rest.saturating_sub(*duration);
            if *duration >= WORTH_A_ROW {
                row(name, *duration);
            }
        }
        if rest >= WORTH_A_ROW {
            row("everything else", rest);
        }
        row("total", total);
        eprintln!("\n{}", terminal::aligned(table, &[1, 2]));
    }

    async fn measure<T>(
        &mut self,
        name: &str,
        work: impl Future<Output = Result<T>>,
        spinner: Option<ProgressBar>,
    ) -> Result<T> {
        let clock = Stopwatch::start();
        let result = work.await;
        if let Some(spinner) = spinner {
            spinner.finish_and_clear();
        }
        let duration = clock.elapsed();
        if result.is_ok() {
            say(&format!("{name}: {} s", seconds(duration)));
        }
        self.note(name, duration);
        result
    }
}

/// A line about what happens.
pub fn say(line: &str) {
    eprintln!("  {line}");
}

/// A bar that counts bytes.
pub fn byte_bar(name: &str, total: u64) -> ProgressBar {
    if !stderr().is_terminal() {
        say(&format!("{name}: {} MB …", total / 1_000_000));
    }
    let template = "  {prefix:36} {bar:32} {decimal_bytes:>10}/{decimal_total_bytes} {eta:>4}";
    bar(name, total, template)
}

/// A bar that counts units of work that may take long each: a spinner says that it lives.
pub fn unit_bar(name: &str, total: u64) -> ProgressBar {
    let template = "  {spinner} {prefix:42!} {bar:24} {pos:>4}/{len:<4} {elapsed:>4} {msg}";
    let bar = bar(name, total, template);
    bar.enable_steady_tick(TICK);
    bar
}

fn bar(name: &str, total: u64, template: &str) -> ProgressBar {
    // The templates above are constants that a test reads.
    let style = ProgressStyle::with_template(template).unwrap_or(ProgressStyle::default_bar());
    ProgressBar::new(total)
        .with_style(style.progress_chars("━╸─"))
        .with_prefix(name.to_owned())
}

fn spinner(name: &str) -> ProgressBar {
    let style = ProgressStyle::with_template("  {spinner} {prefix} {elapsed}");
    let style = style.unwrap_or(ProgressStyle::default_spinner());
    let spinner = ProgressBar::new_spinner()
        .with_style(style)
        .with_prefix(name.to_owned());
    spinner.enable_steady_tick(TICK);
    spinner
}

fn seconds(duration: Duration) -> String {
    format!("{:.1}", duration.as_secs_f64())
}

/// A spinner for unpacking.
pub fn unpacking(name: &str) -> ProgressBar {
    spinner(&format!("checking and unpacking {name}"))
}
