//! The output formats of plan, stage, status and watch.

pub(super) mod adopt;
pub(super) mod costs;
pub(super) mod inventory;
pub(super) mod plan;
pub(super) mod stage;
pub(super) mod status;
#[cfg(feature = "watch")]
pub(super) mod watch;

use std::fmt::Write as _;

/// Appends a row of a table, without blanks at its end.
fn push_row<const N: usize>(text: &mut String, row: &[String; N], widths: [usize; N]) {
    let mut line = String::new();
    for (cell, width) in row.iter().zip(widths) {
        let _ = write!(line, "{cell:width$}  ");
    }
    let _ = writeln!(text, "{}", line.trim_end());
}

/// Returns the widths of the columns of a table.
fn column_widths<'a, const N: usize>(rows: impl IntoIterator<Item = &'a [String; N]>) -> [usize; N] {
    let mut widths = [0; N];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    widths
}
