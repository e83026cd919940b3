//! A stop request that every wait for a program checks.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A stop request; clones are the same request.
#[derive(Debug, Clone, Default)]
pub struct StopToken(Arc<AtomicBool>);

impl StopToken {
    /// Requests a stop.
    pub(crate) fn request(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Returns whether a stop was requested.
    pub(crate) fn is_requested(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}
