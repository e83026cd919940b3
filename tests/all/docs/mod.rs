//! Tests that the pages and the READMEs of the examples match the program.

mod commands;
mod configuration;
mod example_integrations;
mod example_istioctl;
mod example_rollouts;
mod generated;
mod transcripts;
