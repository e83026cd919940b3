//! The drivers that need more than one room, and the properties: one binary.

mod conformance;
mod quirks;
mod stored;
