//! Bytes as a SidecarSet: `cargo +nightly fuzz run decode_sidecar_set golden/fuzz/decode_sidecar_set`.
//!
//! The body lives with the tests, which run it over the seeds and over bytes made from them.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/all/fuzz/manifests.rs"]
#[allow(dead_code, reason = "each target runs one of the bodies")]
mod manifests;

fuzz_target!(|data: &[u8]| manifests::decode_sidecar_set(data));
