//! Tables.

use comfy_table::{CellAlignment, Table, presets::UTF8_FULL_CONDENSED};

/// A table with these headings.
pub fn table(headings: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_header(headings);
    table
}

/// The table with these columns aligned to the right.
pub fn aligned(mut table: Table, right: &[usize]) -> Table {
    for &index in right {
        if let Some(column) = table.column_mut(index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}
