//! The drivers that need more than one room, and the properties: one binary.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod cli;
mod conformance;
mod docs;
mod fuzz_bodies;
mod fuzz_smoke;
mod git_attributes;
mod git_refs;
mod git_remotes;
mod git_repositories;
mod git_signing;
mod git_trees;
mod git_world;
mod golden_codes;
mod huge_sets;
mod injection;
mod injection_rules;
mod lossless;
mod normal;
mod odd;
mod old_forms;
mod quirks;
mod rooms;
mod stored;
mod told;
mod transcripts;
mod validation;
mod validation_rules;
