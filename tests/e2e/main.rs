//! Tests on a real control plane with simulated nodes: `cargo test --test e2e -- --ignored`. See README.md beside this file.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../all/support/git_fixtures.rs"]
#[expect(dead_code, reason = "shared with the tests of the modules, which use all of it")]
mod git_fixtures;
#[path = "../all/fuzz/mutations.rs"]
mod mutations;
#[path = "../all/support/transcript_runner.rs"]
mod transcript_runner;
#[path = "../all/support/yaml_edits.rs"]
mod yaml_edits;
#[path = "../all/support/yaml_generator.rs"]
mod yaml_generator;

mod harness;

mod action;
mod applied;
mod argocd;
mod chart;
mod cluster;
mod counterpart;
mod git_provider;
mod go_reader;
mod helm;
mod in_place;
mod kustomize;
mod lua;
mod pod_security;
mod release;
mod schema;
mod sidecar_modes;
mod simulated_pods;
mod watched;
