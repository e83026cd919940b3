//! What `--dry-run` prints: the commits that would be made, and what they change.

use crate::cli::error::CommandError;
use crate::git::{ObjectId, Repository};
use crate::stage::StagedCommit;
use crate::write::unified_diff;
use std::fmt::Write as _;

/// Lines of a diff that are printed.
const MAX_DIFF_LINES: usize = 200;

/// Returns the subject of each commit, and the difference between the tree before the first and that of the last.
pub(in crate::cli) fn describe_commits(
    repository: &Repository,
    before: ObjectId,
    commits: &[StagedCommit],
) -> Result<String, CommandError> {
    let mut text = String::new();
    for commit in commits {
        let _ = writeln!(text, "would commit {}", commit.subject());
    }
    let Some(last) = commits.last() else { return Ok(text) };
    let mut diff = String::new();
    for file in repository.changed_files((before, last.tree), &[])? {
        let read = |tree| -> Result<String, CommandError> {
            let Some(entry) = repository.entry_at(tree, &file)? else { return Ok(String::new()) };
            Ok(String::from_utf8_lossy(&repository.read_blob(entry.id)?).into_owned())
        };
        diff.push_str(&unified_diff(&file, &read(before)?, &read(last.tree)?));
    }
    let lines: Vec<&str> = diff.lines().collect();
    for line in lines.iter().take(MAX_DIFF_LINES) {
        let _ = writeln!(text, "{line}");
    }
    if let Some(more) = lines.len().checked_sub(MAX_DIFF_LINES).filter(|more| *more > 0) {
        let _ = writeln!(text, "... and {more} more lines");
    }
    Ok(text)
}
