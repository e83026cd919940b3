//! Bytes as an answer of a git provider: `cargo +nightly fuzz run read_provider_answer golden/fuzz/read_provider_answer`.
//!
//! The body lives with the tests, which run it over the seeds and over bytes made from them.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/all/fuzz/untrusted_input.rs"]
#[allow(dead_code, reason = "each target runs one of the bodies")]
mod untrusted_input;

fuzz_target!(|data: &[u8]| untrusted_input::read_provider_answer(data));
