//! Guesses from the text around a mistake what was meant.

use super::source_text::SourceText;
use crate::diagnostics::pluralize;
use std::ops::Range;

/// Returns the line of a place, and the line with content before it.
fn lines_at<'a>(place: &SourceText<'a>, at: &Range<usize>) -> (&'a str, Option<&'a str>) {
    let line = place.line_around(at.start);
    let before = place.text[..line.start].lines().rev().find(|l| {
        let t = l.trim();
        !t.is_empty() && !t.starts_with('#')
    });
    (&place.text[line], before)
}

/// Recognizes text that was not meant to be YAML yet: returns what it is, and what to do.
pub(super) fn recognize_foreign(
    place: &SourceText<'_>,
    at: &Range<usize>,
) -> Option<(&'static str, &'static str)> {
    let (text, before) = lines_at(place, at);
    let near = || [Some(text), before].into_iter().flatten();
    if near().any(|l| ["{{", "{%", "<%"].iter().any(|mark| l.contains(mark))) {
        return Some(("this is a template, not YAML", "render it first, and pass the result to pillion"));
    }
    let is_mark = |l: &str| ["<<<<<<<", "=======", ">>>>>>>"].iter().any(|mark| l.starts_with(mark));
    near()
        .any(is_mark)
        .then_some(("a merge conflict is not resolved here", "resolve it, and remove its marks"))
}

/// The start of an item of a list.
const ITEM: &str = "- ";

/// Returns the level of indentation that is closest to `indent` among those that are open at the end of some lines, with
/// the key of the line that has it; of items, where `is_item`, with their start. Of two that are as close, the deeper one.
fn nearest_level(lines: &str, indent: usize, is_item: bool) -> Option<(usize, &str)> {
    let mut open: Vec<(usize, &str)> = Vec::new();
    let mut least = usize::MAX;
    for line in lines.lines().rev().take_while(|line| !line.starts_with("---")) {
        let mut rest = line.trim_start_matches(' ');
        if rest.is_empty() || rest.starts_with(['#', '\t']) {
            continue;
        }
        let outer = line.len() - rest.len();
        let mut level = outer;
        while let Some(item) = rest.strip_prefix(ITEM) {
            if is_item && level < least {
                open.push((level, ITEM));
            }
            let inner = item.trim_start_matches(' ');
            level += rest.len() - inner.len();
            rest = inner;
        }
        let key = rest.split_once(':').map_or("", |(key, _)| key.trim_end());
        if !is_item && level < least && !key.is_empty() {
            open.push((level, key));
        }
        least = least.min(if is_item { outer } else { level });
    }
    open.into_iter().min_by_key(|(level, _)| level.abs_diff(indent))
}

/// Returns what to do, guessed from the text around the place.
pub(super) fn hint(place: &SourceText<'_>, message: &str, at: &Range<usize>, still_open: bool) -> String {
    let (text, before) = lines_at(place, at);
    if text.trim_start_matches(' ').starts_with('\t') || message.contains("tab ") {
        return "indent with spaces; YAML does not allow tabs there".to_owned();
    }
    if message.contains("alias") {
        return "write the value out, or define the anchor above".to_owned();
    }
    if message.contains("directives") {
        return "remove the line".to_owned();
    }
    if message.contains("dropped by Kubernetes") {
        return match text.trim_start().starts_with(['{', '[']) {
            true => {
                "put a `---` line between two JSON objects, or both into the `items` of a List".to_owned()
            }
            false => "line it up with the lines above; if another document starts, write `---` before it"
                .to_owned(),
        };
    }
    if message.contains("quote") && message.contains("close") || message.contains("end of stream") {
        return "close the quote; indent continuation lines deeper than the key".to_owned();
    }
    if still_open
        || message.contains("is not closed")
        || message.contains("is missing before")
        || message.contains("flow")
    {
        return "look for a missing `]`, `}` or `,` at or above this line".to_owned();
    }
    if message.contains("escape") {
        return "double the backslash, or use single quotes".to_owned();
    }
    if message.contains("cannot start with") {
        return "put the value in quotes".to_owned();
    }
    if message.contains("pair is not allowed") || message.contains("mapping values") {
        if before.is_some_and(|b| indent(b) < indent(text)) && text.matches(": ").count() < 2 {
            return "this line is indented deeper than the one above, which has a value already: line them up".to_owned();
        }
        return "put a value that contains `: ` in quotes".to_owned();
    }
    if let Some(before) = before
        && indent(before) != indent(text)
        && (message.contains("list") || message.contains("indent"))
    {
        return alignment_hint(&place.text[..place.line_around(at.start).start], text);
    }
    "check the indentation, quotes and brackets of this line and the one above".to_owned()
}

/// Returns what to do with a line that is not aligned with the lines above.
fn alignment_hint(lines: &str, text: &str) -> String {
    let is_item = text.trim_start_matches(' ').starts_with(ITEM);
    let Some((level, key)) = nearest_level(lines, indent(text), is_item) else {
        return "line this up with the entries it belongs to".to_owned();
    };
    let entries = match key {
        ITEM => "the items of the list".to_owned(),
        key => format!("the entries with `{key}`"),
    };
    format!(
        "it is indented by {}; {entries} are indented by {level}: line this up with those it belongs to",
        pluralize(indent(text) as u64, "space")
    )
}

/// Returns the number of blanks at the start of a line.
fn indent(line: &str) -> usize {
    line.len() - line.trim_start_matches(' ').len()
}
