//! Tests of reading: a folder and a commit give the same inputs.

#[cfg(unix)]
mod worktree_and_commit;
