//! Computes differences between texts, for people.

use crate::diagnostics::escape;
use similar::TextDiff;

/// Returns the number of the first line that differs, from 1.
pub fn first_difference(old: &str, new: &str) -> Option<usize> {
    if old == new {
        return None;
    }
    let same = old.split('\n').zip(new.split('\n')).take_while(|(a, b)| a == b).count();
    Some(same + 1)
}

/// Returns a unified diff with three lines of context; empty when nothing differs.
pub fn unified_diff(name: &str, old: &str, new: &str) -> String {
    let (diff, name) = (TextDiff::from_lines(old, new), escape::line(name));
    diff.unified_diff().context_radius(3).header(&format!("a/{name}"), &format!("b/{name}")).to_string()
}
