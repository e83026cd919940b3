//! Computes differences between texts, for people.

use crate::diagnostics::escape;
use similar::TextDiff;

/// Returns a unified diff with three lines of context; empty when nothing differs.
pub fn unified_diff(name: &str, old: &str, new: &str) -> String {
    let (diff, name) = (TextDiff::from_lines(old, new), escape::line(name));
    diff.unified_diff().context_radius(3).header(&format!("a/{name}"), &format!("b/{name}")).to_string()
}
