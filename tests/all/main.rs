//! The drivers that need more than one room, and the properties: one binary.

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
mod stored;
mod told;
mod validation;
mod validation_rules;
