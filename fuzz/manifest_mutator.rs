//! Changes the input of a fuzz target: half of the changes are those of manifests, half are libFuzzer's own.

use super::mutations::{Numbers, mutate};
use libfuzzer_sys::fuzzer_mutate;

/// Changes the first `size` bytes in place and returns the new size, as `fuzz_mutator!` wants it.
pub fn mutate_manifest(data: &mut [u8], size: usize, max_size: usize, seed: u32) -> usize {
    match std::str::from_utf8(&data[..size]) {
        Ok(text) if seed % 2 == 0 => {
            let changed = mutate(text, &mut Numbers(u64::from(seed)));
            let length = changed.floor_char_boundary(max_size.min(data.len()));
            data[..length].copy_from_slice(&changed.as_bytes()[..length]);
            length
        }
        _ => fuzzer_mutate(data, size, max_size),
    }
}
