//! Tests that need more than one module, and properties, in one binary; the folders are named after the modules of
//! src/.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod architecture;
mod cli;
mod diagnostics;
mod docs;
mod fuzz;
mod git;
mod import_circles;
mod inject;
mod integrations;
mod model;
mod programs;
mod read;
mod rollout;
mod sandbox;
mod stage;
mod supply_chain;
mod support;
#[cfg(feature = "watch")]
mod watch;
mod words;
mod workspace;
mod yaml;
