//! Drivers of the recorded answers and properties, one binary.

mod conformance;
mod rules;
mod stored;
mod validation;
