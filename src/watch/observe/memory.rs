//! Limits the memory of all lists, and detects a list that never ends.

use super::error::Error;
use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Consecutive pages without a new object: a server may count what it filters out.
const MAX_EMPTY_PAGES: usize = 100;

/// Bytes of the longest `continue` token.
const MAX_TOKEN_BYTES: usize = 16 << 10;

/// The memory limit of all lists; clones share it.
#[derive(Debug, Clone)]
pub struct MemoryBudget {
    limit: usize,
    used: Arc<AtomicUsize>,
}

impl MemoryBudget {
    /// Returns a limit in MiB.
    pub fn from_mebibytes(mebibytes: usize) -> Self {
        Self { limit: mebibytes.saturating_mul(1 << 20), used: Arc::default() }
    }

    fn reserve(&self) -> MemoryReservation {
        MemoryReservation { budget: self.clone(), bytes: 0 }
    }
}

impl Default for MemoryBudget {
    /// A quarter of the Deployment's limit: a snapshot copies the objects.
    fn default() -> Self {
        Self::from_mebibytes(128)
    }
}

/// The memory of one list; released on drop.
#[derive(Debug)]
pub(super) struct MemoryReservation {
    budget: MemoryBudget,
    bytes: usize,
}

impl MemoryReservation {
    /// Changes the size of an object.
    pub(super) fn resize(&mut self, before: usize, after: usize) -> Result<(), Error> {
        let more = after.saturating_sub(before);
        let taken = self.budget.used.load(Ordering::Relaxed);
        if more > 0 && taken.saturating_add(more) > self.budget.limit {
            return Err(Error::MemoryExceeded { mebibytes: self.budget.limit >> 20 });
        }
        self.set(self.bytes.saturating_sub(before).saturating_add(after));
        Ok(())
    }

    fn set(&mut self, bytes: usize) {
        self.budget.used.fetch_add(bytes, Ordering::Relaxed);
        self.budget.used.fetch_sub(self.bytes, Ordering::Relaxed);
        self.bytes = bytes;
    }
}

impl Drop for MemoryReservation {
    fn drop(&mut self) {
        self.set(0);
    }
}

/// A list in progress.
pub(super) struct ListRead<'a> {
    path: &'a str,
    /// Memory of new objects; known ones are counted by the previous list until this one is complete.
    reservation: MemoryReservation,
    known_bytes: usize,
    /// Hashes of its `continue` tokens.
    tokens: BTreeSet<u64>,
    objects: usize,
    empty_pages: usize,
}

impl<'a> ListRead<'a> {
    pub(super) fn new(path: &'a str, memory: &MemoryBudget) -> Self {
        Self {
            path,
            reservation: memory.reserve(),
            known_bytes: 0,
            tokens: BTreeSet::new(),
            objects: 0,
            empty_pages: 0,
        }
    }

    /// Adds an object that is known already.
    pub(super) fn add_known(&mut self, size: usize) {
        self.known_bytes = self.known_bytes.saturating_add(size);
    }

    /// Adds a new object.
    pub(super) fn add_new(&mut self, size: usize) -> Result<(), Error> {
        self.reservation.resize(0, size)
    }

    /// Records the token of the next page and the number of distinct objects so far.
    pub(super) fn next_page(&mut self, token: &str, objects: usize) -> Result<(), Error> {
        let garbage = |what: &str| Err(Error::invalid_response(self.path, what));
        if token.len() > MAX_TOKEN_BYTES {
            return garbage("its `continue` token is too long");
        }
        let mut hasher = DefaultHasher::new();
        token.hash(&mut hasher);
        if !self.tokens.insert(hasher.finish()) {
            return garbage("its `continue` leads back to a page that was read");
        }
        self.empty_pages = if objects > self.objects { 0 } else { self.empty_pages + 1 };
        self.objects = objects;
        if self.empty_pages > MAX_EMPTY_PAGES {
            return garbage("its pages contain no new objects");
        }
        Ok(())
    }

    /// Completes the list.
    pub(super) fn finish(self) -> MemoryReservation {
        let mut part = self.reservation;
        part.set(part.bytes.saturating_add(self.known_bytes));
        part
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_list_takes_is_given_back() {
        let memory = MemoryBudget::from_mebibytes(1);
        let mut reading = ListRead::new("/api/v1/pods", &memory);
        reading.add_new(700 << 10).unwrap();
        assert_eq!(reading.add_new(400 << 10), Err(Error::MemoryExceeded { mebibytes: 1 }));
        let mut part = reading.finish();
        part.resize(700 << 10, 500 << 10).unwrap();
        let mut other = ListRead::new("/api/v1/pods", &memory);
        assert!(other.add_new(600 << 10).is_err());
        drop(part);
        other.add_new(600 << 10).unwrap();
        drop(other);
        assert_eq!(memory.used.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn pages_come_to_an_end() {
        let memory = MemoryBudget::default();
        let mut reading = ListRead::new("/api/v1/pods", &memory);
        reading.next_page("a", 3).unwrap();
        reading.next_page("b", 6).unwrap();
        assert!(reading.next_page("a", 9).is_err());
        assert!(reading.next_page(&"x".repeat(20 << 10), 12).is_err());
        let pages = (0..1000).take_while(|n| reading.next_page(&n.to_string(), 12).is_ok()).count();
        assert!(pages <= MAX_EMPTY_PAGES + 1);
    }
}
