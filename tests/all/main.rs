//! The drivers that need more than one room, and the properties: one binary.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod advice;
mod cli;
mod conformance;
mod docs;
mod fuzz_bodies;
mod fuzz_smoke;
mod git_trees;
mod git_world;
mod golden_codes;
mod huge_sets;
mod injection;
mod injection_rules;
mod lossless;
mod made_pods;
mod normal;
mod odd;
mod old_forms;
mod quirks;
mod rollout;
mod rollout_properties;
mod rollout_rules;
mod rollout_steps;
mod rollout_traces;
mod rooms;
mod simulate;
mod site;
mod stored;
mod told;
mod transcripts;
mod two_sources;
mod validation;
mod validation_rules;
