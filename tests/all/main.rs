//! The drivers that need more than one room, and the properties: one binary.

mod fuzz_bodies;
mod fuzz_smoke;
mod lossless;
mod odd;
mod quirks;
