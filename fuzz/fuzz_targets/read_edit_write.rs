//! Bytes in, an edit out: `cargo +nightly fuzz run read_edit_write golden/fuzz/read_edit_write`.
//!
//! The body lives with the tests, which run it over the seeds and over bytes made from them.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/all/fuzz/manifests.rs"]
#[allow(dead_code, reason = "each target runs one of the bodies")]
mod manifests;

fuzz_target!(|data: &[u8]| manifests::read_edit_write(data));
