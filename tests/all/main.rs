//! The drivers that need more than one room, and the properties: one binary.

mod lossless;
mod odd;
mod quirks;
