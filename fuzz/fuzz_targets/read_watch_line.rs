//! Bytes as a line of a watch: `cargo +nightly fuzz run read_watch_line golden/fuzz/read_watch_line`.
//!
//! The body lives with the tests, which run it over the seeds and over bytes made from them.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/all/fuzz/untrusted_input.rs"]
#[allow(dead_code, reason = "each target runs one of the bodies")]
mod untrusted_input;

fuzz_target!(|data: &[u8]| untrusted_input::read_watch_line(data));
