//! How much memory may the lists of all clusters take, and does a list that is being read come to its end?

use super::failure::Failure;
use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Pages of a list that bring no new object, one after the other: what a server filters out, it may count.
const MOST_EMPTY: usize = 100;

/// Bytes of the longest token of a next page.
const LONGEST_TOKEN: usize = 16 << 10;

/// What lists may take together; clones share what is taken.
#[derive(Debug, Clone)]
pub struct Memory {
    most: usize,
    taken: Arc<AtomicUsize>,
}

impl Memory {
    /// Lets lists take so many MiB.
    pub fn mebibytes(most: usize) -> Self {
        Self { most: most.saturating_mul(1 << 20), taken: Arc::default() }
    }

    fn part(&self) -> Part {
        Part { memory: self.clone(), bytes: 0 }
    }
}

impl Default for Memory {
    /// A quarter of what the Deployment gives the watcher: a look at the cluster copies what it sees.
    fn default() -> Self {
        Self::mebibytes(128)
    }
}

/// What one list takes; given back when it is dropped.
#[derive(Debug)]
pub(super) struct Part {
    memory: Memory,
    bytes: usize,
}

impl Part {
    /// Something of a size has another one now.
    pub(super) fn changes(&mut self, before: usize, after: usize) -> Result<(), Failure> {
        let more = after.saturating_sub(before);
        let taken = self.memory.taken.load(Ordering::Relaxed);
        if more > 0 && taken.saturating_add(more) > self.memory.most {
            return Err(Failure::TooMuch { mebibytes: self.memory.most >> 20 });
        }
        self.set(self.bytes.saturating_sub(before).saturating_add(after));
        Ok(())
    }

    fn set(&mut self, bytes: usize) {
        self.memory.taken.fetch_add(bytes, Ordering::Relaxed);
        self.memory.taken.fetch_sub(self.bytes, Ordering::Relaxed);
        self.bytes = bytes;
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        self.set(0);
    }
}

/// A list that is being read.
pub(super) struct Reading<'a> {
    path: &'a str,
    /// What is new; what is known already is counted elsewhere until this one is done.
    part: Part,
    known: usize,
    /// The tokens of its pages, hashed.
    tokens: BTreeSet<u64>,
    objects: usize,
    empty: usize,
}

impl<'a> Reading<'a> {
    pub(super) fn new(path: &'a str, memory: &Memory) -> Self {
        Self { path, part: memory.part(), known: 0, tokens: BTreeSet::new(), objects: 0, empty: 0 }
    }

    /// It holds something that is known already.
    pub(super) fn adds_known(&mut self, size: usize) {
        self.known = self.known.saturating_add(size);
    }

    /// It holds something new.
    pub(super) fn adds(&mut self, size: usize) -> Result<(), Failure> {
        self.part.changes(0, size)
    }

    /// There is another page; so many different objects were read until now.
    pub(super) fn goes_on(&mut self, token: &str, objects: usize) -> Result<(), Failure> {
        let garbage = |what: &str| Err(Failure::garbage(self.path, what));
        if token.len() > LONGEST_TOKEN {
            return garbage("its `continue` is no token of a page");
        }
        let mut hasher = DefaultHasher::new();
        token.hash(&mut hasher);
        if !self.tokens.insert(hasher.finish()) {
            return garbage("its `continue` leads back to a page that was read");
        }
        self.empty = if objects > self.objects { 0 } else { self.empty + 1 };
        self.objects = objects;
        if self.empty > MOST_EMPTY {
            return garbage("its pages go on without a new object");
        }
        Ok(())
    }

    /// It was read to its end.
    pub(super) fn done(self) -> Part {
        let mut part = self.part;
        part.set(part.bytes.saturating_add(self.known));
        part
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_list_takes_is_given_back() {
        let memory = Memory::mebibytes(1);
        let mut reading = Reading::new("/api/v1/pods", &memory);
        reading.adds(700 << 10).unwrap();
        assert_eq!(reading.adds(400 << 10), Err(Failure::TooMuch { mebibytes: 1 }));
        let mut part = reading.done();
        part.changes(700 << 10, 500 << 10).unwrap();
        let mut other = Reading::new("/api/v1/pods", &memory);
        assert!(other.adds(600 << 10).is_err());
        drop(part);
        other.adds(600 << 10).unwrap();
        drop(other);
        assert_eq!(memory.taken.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn pages_come_to_an_end() {
        let memory = Memory::default();
        let mut reading = Reading::new("/api/v1/pods", &memory);
        reading.goes_on("a", 3).unwrap();
        reading.goes_on("b", 6).unwrap();
        assert!(reading.goes_on("a", 9).is_err());
        assert!(reading.goes_on(&"x".repeat(20 << 10), 12).is_err());
        let pages = (0..1000).take_while(|n| reading.goes_on(&n.to_string(), 12).is_ok()).count();
        assert!(pages <= MOST_EMPTY + 1);
    }
}
