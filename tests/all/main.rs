//! The drivers that need more than one room, and the properties: one binary.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod advice;
mod cli;
mod conformance;
mod docs;
mod fuzz_bodies;
mod fuzz_smoke;
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
mod simulate;
mod stored;
mod told;
mod transcripts;
mod validation;
mod validation_rules;
