//! pillion injects sidecars into Kubernetes manifests at build time, and rolls them out by git.
//!
//! The library serves its own binary and tests: `pub` is what these need, and nothing else.
//! ARCHITECTURE.md lists what each module may import.

// Without `watch`, what serves it alone is not used. The default build shows what nothing uses.
#![cfg_attr(not(feature = "watch"), expect(dead_code, unused_imports))]

/// Diagnostics, their codes and output formats.
pub mod diagnostics;

/// Pauses between retries.
mod backoff;

/// YAML with positions, as Kubernetes reads it, and edits that keep every other byte.
pub mod yaml;

/// Files that another person may have made, without following symbolic links.
pub mod sandbox;

/// Files, streams and commits as named texts.
pub mod read;

/// SidecarSets, workload kinds, ledgers, selectors, quantities, pillion.yaml.
pub mod model;

/// Injection: a pod template and SidecarSets in, the injected pod template out. Pure.
pub mod inject;

/// Rendering: documents in, the same documents with their sidecars out.
pub mod render;

/// What a folder or a commit contains: configuration, layout, inputs, ledgers, builds.
pub mod workspace;

/// The steps of a rollout, and what each does to pods. Pure.
pub mod rollout;

/// Writing files and streams.
pub mod write;

/// Trees, commits and refs in git's object database; the only module that uses git2.
pub mod git;

/// Running programs within limits.
pub mod programs;

/// Rollouts in git: from the content of a commit to the next commits.
pub mod stage;

/// Observing pods, and releasing batches while they stay healthy.
#[cfg(feature = "watch")]
pub mod watch;

/// Integrations with other tools: KRM functions, plugins of kustomize and Argo CD, templates.
pub mod integrations;

/// The command line.
pub mod cli;
