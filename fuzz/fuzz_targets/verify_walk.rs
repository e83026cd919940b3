//! Bytes in, the answers of the walk of verified edits compared with granit-parser and yaml-rust2:
//! `just fuzz-readers verify_walk`.
//!
//! The body and the mutations live with the tests, which run them over the repository's manifests.

#![no_main]

use libfuzzer_sys::{fuzz_mutator, fuzz_target};

#[path = "../manifest_mutator.rs"]
mod manifest_mutator;
#[path = "../../tests/all/fuzz/mutations.rs"]
#[allow(dead_code, reason = "each target uses some of them")]
mod mutations;
#[path = "../../tests/all/fuzz/readers.rs"]
#[allow(dead_code, reason = "each target runs one of the bodies")]
mod readers;

fuzz_target!(|data: &[u8]| {
    readers::verify_walk(data);
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    manifest_mutator::mutate_manifest(data, size, max_size, seed)
});
