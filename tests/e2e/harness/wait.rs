//! Waits: the only place where tests let time pass.

use std::fmt::Display;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Generous, because the machines that run this are busy; what takes longer is broken.
pub(crate) const SOON: Duration = Duration::from_secs(180);

/// Asks every 50 ms, and no more than a third of the time, until the answer is `Ok`; fails with what was seen last when `within` is over.
#[track_caller]
pub(crate) fn wait_for<T, E: Display>(
    what: &str,
    within: Duration,
    mut look: impl FnMut() -> Result<T, E>,
) -> T {
    let start = Instant::now();
    loop {
        let begun = Instant::now();
        match look() {
            Ok(found) => return found,
            Err(seen) if start.elapsed() > within => {
                panic!("{what}: not within {} s; last seen: {seen}", within.as_secs())
            }
            Err(_) => sleep(Duration::from_millis(50).max(begun.elapsed() * 2)),
        }
    }
}
