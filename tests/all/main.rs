//! Drivers of the recorded answers and properties, one binary.

mod conformance;
mod stored;
mod validation;
