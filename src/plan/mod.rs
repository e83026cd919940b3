//! What will happen to pods when templates change: how they take it, how many are down, what stands in the way.

mod amount;
mod controller;

/// Does a workload take a new template in place, by new pods, later or never?
pub mod how;

/// What differs between two pod templates.
pub mod difference;

/// A workload's own rolling behaviour, and its native partition.
pub mod strategy;

/// The worst course that a workload's own controller can take.
pub mod simulate;

/// What a pod asks of the scheduler.
pub mod requests;

/// What a reviewer of a rollout should know beforehand.
pub mod advice;
