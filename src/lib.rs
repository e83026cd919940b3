//! pillion: sidecars injected at build time, and rolled out by git.
//!
//! The rooms, in the order the data flows. ARCHITECTURE.md says what each may import.

/// What users are told: diagnostics, their codes and their output forms.
pub mod diagnostics;

/// YAML text with positions: Kubernetes' reading of it, and edits that leave every other byte alone.
pub mod yaml;

/// Files that another person may have made, reached through no symbolic link; the only way to them.
pub mod sandbox;

/// Files and streams, as texts with a name.
pub mod read;

/// The nouns: SidecarSets, workload kinds, selectors, quantities.
pub mod model;

/// SidecarSets and a pod template in, the injected pod template out. Pure.
pub mod inject;

/// Documents in, the same documents with their sidecars out.
pub mod render;

/// What a folder or a commit holds: configuration, layout, inputs, ledgers, builds.
pub mod workspace;

/// A rollout, step by step, and what happens to pods in each. Pure.
pub mod rollout;

/// Rendered files, out of the program.
pub mod write;

/// Trees, commits and refs in git's object database; the only room that knows git2.
pub mod git;

/// Programs of the user, each within its limits.
pub mod programs;

/// A rollout in git: what a commit holds, and the commits that follow from it.
pub mod stage;

/// Batches released while pods stay healthy.
#[cfg(feature = "watch")]
pub mod watch;

/// The command line.
pub mod cli;
