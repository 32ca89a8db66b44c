//! Tables, and the targets that they are held against.

use comfy_table::{Table, presets::UTF8_FULL_CONDENSED};
use std::process::ExitCode;

/// What a benchmark found.
#[derive(Default)]
pub struct Report {
    tables: Vec<(String, Table)>,
    missed: Vec<String>,
}

impl Report {
    /// Begins a table; rows go there from now on.
    pub fn begin(&mut self, caption: &str, headings: &[&str]) {
        let mut table = Table::new();
        table
            .load_style(UTF8_FULL_CONDENSED)
            .set_header(headings.iter().copied());
        self.tables.push((caption.to_owned(), table));
    }

    /// Adds a row.
    pub fn row(&mut self, cells: Vec<String>) {
        if let Some((_, table)) = self.tables.last_mut() {
            table.add_row(cells);
        }
    }

    /// Holds a measured figure against an upper bound.
    pub fn at_most(&mut self, what: &str, measured: f64, bound: f64, unit: &str) {
        if measured > bound {
            self.missed.push(format!(
                "{what}: {measured:.2} {unit}, target ≤ {bound} {unit}"
            ));
        }
    }

    /// Holds a measured share against a lower bound.
    pub fn at_least(&mut self, what: &str, measured: f64, bound: f64) {
        if measured < bound {
            self.missed
                .push(format!("{what}: {measured:.4}, target ≥ {bound}"));
        }
    }

    /// An upper bound that must not be reached.
    pub fn below(&mut self, what: &str, measured: f64, bound: f64, unit: &str) {
        if measured >= bound {
            self.missed.push(format!(
                "{what}: {measured:.2} {unit}, target < {bound} {unit}"
            ));
        }
    }

    /// Prints everything. With `check`, a missed target makes the exit code 1.
    pub fn conclude(self, check: bool) -> ExitCode {
        for (caption, table) in &self.tables {
            println!("{caption}\n{table}\n");
        }
        for missed in &self.missed {
            println!("missed: {missed}");
        }
        if self.missed.is_empty() {
            println!("all targets met");
        }
        if check && !self.missed.is_empty() {
            ExitCode::FAILURE
        } else {
            ExitCode::SUCCESS
        }
    }
}

/// The value below which `share` (0 to 1) of the sorted values lie; 0 where there are none.
pub fn quantile(sorted: &[f64], share: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    sorted
        .get((last as f64 * share).round() as usize)
        .copied()
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_of_a_hundred_steps() {
        let steps: Vec<f64> = (0..=100).map(f64::from).collect();
        assert!((quantile(&steps, 0.95) - 95.0).abs() < 1e-9);
        assert!((quantile(&steps, 0.5) - 50.0).abs() < 1e-9);
        assert!(quantile(&[], 0.5).abs() < 1e-9);
    }
}
