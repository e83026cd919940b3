//! Tests of rollouts: batches, bounds, simulation and advice.

mod advice;
#[cfg(feature = "watch")]
mod hot_upgrades;
mod invariants;
mod namespace_order;
mod patches;
#[cfg(feature = "watch")]
mod piggyback;
#[cfg(feature = "watch")]
mod piggyback_schedules;
mod pods;
#[cfg(feature = "watch")]
mod removals;
mod simulation;
mod unknown_replicas;
