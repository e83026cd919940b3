//! The drivers that need more than one room, and the properties: one binary.

mod cli;
mod conformance;
mod docs;
mod huge_sets;
mod injection;
mod normal;
mod old_forms;
mod quirks;
mod rooms;
mod rules;
mod stored;
mod told;
mod validation;
