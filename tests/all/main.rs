//! Drivers of the recorded answers and properties, one binary.

mod conformance;
mod injection;
mod normal;
mod rules;
mod stored;
mod told;
mod validation;
