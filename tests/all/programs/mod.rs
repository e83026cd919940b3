//! Tests of child processes: each ends with pillion.

#[cfg(target_os = "linux")]
mod termination;
