//! Drivers of the recorded answers and properties, one binary.

mod conformance;
mod huge_sets;
mod old_forms;
mod rules;
mod stored;
mod validation;
