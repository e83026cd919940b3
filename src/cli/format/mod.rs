//! The output formats of plan, stage, status and watch.

pub(super) mod adopt;
pub(super) mod costs;
pub(super) mod plan;
pub(super) mod stage;
pub(super) mod status;
#[cfg(feature = "watch")]
pub(super) mod watch;
