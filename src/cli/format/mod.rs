//! The output formats of plan, stage, status and watch.

pub(super) mod plan;
