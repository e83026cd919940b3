//! Bytes in, the answers of the walk of verified edits compared with granit-parser and yaml-rust2:
//! `just fuzz-readers verify_walk`.
//!
//! The body and the mutations live with the tests, which run them over the repository's manifests.

#![no_main]

use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};

#[path = "../../tests/all/fuzz/mutations.rs"]
#[allow(dead_code, reason = "each target uses some of them")]
mod mutations;
#[path = "../../tests/all/fuzz/readers.rs"]
#[allow(dead_code, reason = "each target runs one of the bodies")]
mod readers;

fuzz_target!(|data: &[u8]| {
    readers::verify_walk(data);
});

// Half of the changes are those of manifests, half are libFuzzer's own.
fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    match std::str::from_utf8(&data[..size]) {
        Ok(text) if seed % 2 == 0 => {
            let changed = mutations::mutate(text, &mut mutations::Numbers(u64::from(seed)));
            let length = changed.floor_char_boundary(max_size.min(data.len()));
            data[..length].copy_from_slice(&changed.as_bytes()[..length]);
            length
        }
        _ => fuzzer_mutate(data, size, max_size),
    }
});
