//! Prints reports to standard output: with colors, lines that fit the terminal and a pager for long ones. Anything that
//! is not a terminal gets the plain text.

use super::paint::{self, ReportKind};
use super::{GlobalArgs, print_data};
use crate::diagnostics::escape;
use crate::programs;
use crate::write::Error;
use std::io::IsTerminal as _;

/// The narrowest terminal that lines are fitted to.
const MIN_COLUMNS: usize = 40;

/// Prints a text for people.
pub(super) fn print_report(text: &str, kind: ReportKind, common: &GlobalArgs) -> Result<(), Error> {
    let is_terminal = std::io::stdout().is_terminal();
    // A difference that is piped stays as it is: programs apply it.
    if kind == ReportKind::Diff && !is_terminal && !common.colors_stdout() {
        return print_data(text);
    }
    let text = escape::lines(text);
    let size = if is_terminal { programs::terminal_size() } else { None };
    let columns = size.map(|(columns, _)| columns).filter(|columns| *columns >= MIN_COLUMNS);
    let mut text = match columns {
        Some(columns) if kind != ReportKind::Diff => fit_to_width(&text, columns),
        _ => text.into_owned(),
    };
    let lines = text.matches('\n').count();
    if common.colors_stdout() {
        text = paint::paint(&text, kind);
    }
    let is_long = size.is_some_and(|(_, rows)| lines >= rows);
    if is_long && !common.no_pager && programs::run_pager(&text) {
        return Ok(());
    }
    print_data(&text)
}

/// Breaks lines that are longer than the terminal is wide. The rest of a table's line continues below its last column.
fn fit_to_width(text: &str, columns: usize) -> String {
    let mut fitted = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let (line, end) = line.strip_suffix('\n').map_or((line, ""), |line| (line, "\n"));
        push_fitted(&mut fitted, line, columns);
        fitted.push_str(end);
    }
    fitted
}

fn push_fitted(fitted: &mut String, line: &str, columns: usize) {
    if line.chars().count() <= columns {
        fitted.push_str(line);
        return;
    }
    let indent = hanging_indent(line, columns);
    let mut column = 0;
    let mut is_start = true;
    // The text up to the indent is one word, which keeps the spaces between its columns.
    let head = line.char_indices().nth(indent).map_or(line.len(), |(at, _)| at);
    let leading = line.len() - line.trim_start().len();
    let head = if line[..head].trim().is_empty() { leading } else { head };
    fitted.push_str(&line[..head]);
    column += line[..head].chars().count();
    for word in line[head..].split(' ').filter(|word| !word.is_empty()) {
        let width = word.chars().count();
        if !is_start && column + 1 + width > columns {
            fitted.push('\n');
            fitted.push_str(&" ".repeat(indent));
            column = indent;
            is_start = true;
        }
        if !is_start {
            fitted.push(' ');
            column += 1;
        }
        fitted.push_str(word);
        column += width;
        is_start = false;
    }
}

/// Returns where the last column of a table starts in a line, if text fits into it; else a small indent.
fn hanging_indent(line: &str, columns: usize) -> usize {
    let chars: Vec<char> = line.chars().collect();
    let mut starts =
        (2..chars.len()).filter(|i| chars[*i] != ' ' && chars[i - 1] == ' ' && chars[i - 2] == ' ');
    let leading = chars.iter().take_while(|c| **c == ' ').count();
    let fits = |start: &usize| *start > leading && *start + MIN_COLUMNS / 2 <= columns;
    starts.rfind(fits).unwrap_or(leading + 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_continue_below_the_last_column() {
        let line = "3/3  Deployment shop/web  10/10  +3 pods of surge: cpu +450m, memory +384Mi\nshort\n";
        let expected = "\
3/3  Deployment shop/web  10/10  +3 pods of surge: cpu
                                 +450m, memory +384Mi
short
";
        assert_eq!(fit_to_width(line, 54), expected);
        assert!(fit_to_width(line, 54).lines().all(|l| l.chars().count() <= 54));
        assert_eq!(fit_to_width(line, 100), line);
    }

    #[test]
    fn sentences_are_broken_at_words() {
        let line = "blocked: the labels of namespace `shop` are unknown, so nothing is planned";
        let expected = "\
blocked: the labels of namespace `shop`
    are unknown, so nothing is planned";
        assert_eq!(fit_to_width(line, 40), expected);
        // A word stays in one piece, however long it is.
        let word = "x".repeat(100);
        assert_eq!(fit_to_width(&word, 40), word);
    }
}
