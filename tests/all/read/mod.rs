//! Tests of reading: a folder and a commit give the same inputs.

mod worktree_and_commit;
