//! Suggests the closest known word for a misspelled one.

/// Returns the candidate that `name` was most probably meant to be: the same letters in another case, or few edits away.
pub(crate) fn closest_match<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    // Field names have at most 30 characters; a longer word is not a misspelling of one, and costs nothing.
    if name.chars().count() > 40 {
        return None;
    }
    let lower = name.to_lowercase();
    candidates
        .map(|c| (strsim::osa_distance(&lower, &c.to_lowercase()), c))
        .filter(|(d, c)| *d <= c.len().min(name.len()) / 3)
        .min_by_key(|(d, _)| *d)
        .map(|(_, c)| c)
}
