//! The drivers that need more than one room, and the properties: one binary.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod advice;
#[cfg(all(feature = "watch", target_os = "linux"))]
mod agent;
mod allowed_builds;
mod builds;
#[cfg(all(feature = "watch", target_os = "linux"))]
mod chaos;
mod cli;
mod conformance;
mod docs;
mod doctor;
mod doors;
#[cfg(unix)]
mod embedded_repositories;
#[cfg(target_os = "linux")]
mod ended_programs;
#[cfg(feature = "watch")]
mod endless_server;
mod example_doors;
mod example_rollout;
#[cfg(feature = "watch")]
mod fake_cluster;
mod first_ledgers;
#[cfg(feature = "watch")]
mod fleet_world;
mod fuzz_bodies;
mod fuzz_received;
mod fuzz_smoke;
mod git_attributes;
mod git_refs;
mod git_remotes;
mod git_repositories;
mod git_signing;
mod git_trees;
mod git_world;
mod golden_codes;
mod guises;
mod held_workloads;
mod hostile_branches;
mod hostile_files;
#[cfg(feature = "watch")]
mod hostile_sources;
#[cfg(feature = "watch")]
mod hot_upgrades;
mod huge_sets;
mod injection;
mod injection_rules;
#[cfg(feature = "watch")]
mod judge;
mod ledger_verbs;
mod lossless;
mod made_pods;
mod missing_workloads;
mod normal;
#[cfg(feature = "watch")]
mod observe;
mod odd;
mod old_forms;
mod one_key;
mod patches;
mod plan_commands;
mod played;
mod promote;
mod quirks;
#[cfg(unix)]
mod remote_bases;
#[cfg(feature = "watch")]
mod removals;
#[cfg(feature = "watch")]
mod renames;
mod rollout;
mod rollout_properties;
mod rollout_rules;
mod rollout_steps;
mod rollout_traces;
mod rooms;
#[cfg(feature = "watch")]
mod sim_cluster;
mod simulate;
mod site;
mod slips;
mod stage_back;
mod stage_chain;
mod stage_holds;
mod stage_layouts;
mod stage_remote;
mod stage_world;
mod stored;
mod supply_chain;
mod text_of_others;
mod told;
#[cfg(unix)]
mod topmost;
mod transcripts;
mod two_sources;
mod unreadable;
mod validation;
mod validation_rules;
#[cfg(feature = "watch")]
mod verify_history;
#[cfg(feature = "watch")]
mod verify_rendered;
#[cfg(feature = "watch")]
mod watch_careless;
#[cfg(feature = "watch")]
mod watch_check;
#[cfg(feature = "watch")]
mod watch_deploy;
#[cfg(all(feature = "watch", target_os = "linux"))]
mod watch_ends;
#[cfg(feature = "watch")]
mod watch_fix;
#[cfg(feature = "watch")]
mod watch_forge;
#[cfg(feature = "watch")]
mod watch_notify;
#[cfg(feature = "watch")]
mod watch_serve;
#[cfg(feature = "watch")]
mod watch_servers;
#[cfg(feature = "watch")]
mod watch_sim;
#[cfg(feature = "watch")]
mod watch_telling;
mod who_and_when;
