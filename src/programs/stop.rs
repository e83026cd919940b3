//! A request to end that every wait for a program heeds.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A request to end; clones are the same request.
#[derive(Debug, Clone, Default)]
pub struct StopToken(Arc<AtomicBool>);

impl StopToken {
    /// Asks everything that knows this request to end.
    pub fn request(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Returns whether somebody has asked.
    pub fn is_requested(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}
