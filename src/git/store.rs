//! How do many objects get into the object database quickly, and none of them half?
//!
//! A loose object costs a file: a stack that changes 10,000 files would make 20,000 of them, and every later git
//! command would feel it. So objects wait in memory, in the order in which they refer to each other, and go out
//! as loose files when they are few and as one pack when they are many.

use super::{Failure, Repository};
use git2::{ConfigLevel, ObjectType, OdbLookupFlags, Oid};
use std::collections::BTreeSet;
use std::io::Write as _;

/// From this number on, objects go into a pack.
const MANY: usize = 512;

/// Bytes that wait in memory, at most.
const MOST: usize = 64 << 20;

/// Objects on their way into a repository.
pub(super) struct Store<'r> {
    repository: &'r Repository,
    odb: git2::Odb<'r>,
    /// Everything that was taken.
    memory: git2::Odb<'static>,
    /// What the repository has not yet, in the order in which it was taken.
    waiting: Vec<Oid>,
    known: BTreeSet<Oid>,
    size: usize,
}

impl<'r> Store<'r> {
    pub(super) fn new(repository: &'r Repository) -> Result<Self, Failure> {
        let odb = repository.inner.odb().map_err(Failure::git("opening the object database"))?;
        let memory = memory().map_err(Failure::git("making an object database in memory"))?;
        Ok(Self { repository, odb, memory, waiting: Vec::new(), known: BTreeSet::new(), size: 0 })
    }

    /// Takes an object; everything it refers to was taken before, or is in the repository.
    pub(super) fn write(&mut self, kind: ObjectType, bytes: &[u8]) -> Result<Oid, Failure> {
        let id = self.memory.write(kind, bytes).map_err(Failure::git("making an object"))?;
        if !self.known.insert(id) {
            return Ok(id);
        }
        if self.odb.exists_ext(id, OdbLookupFlags::NO_REFRESH) {
            // This tells `git gc` that the object is in use again; nothing is written.
            return self.odb.write(kind, bytes).map_err(Failure::git("touching an object"));
        }
        self.waiting.push(id);
        self.size += bytes.len();
        if self.size > MOST {
            self.finish()?;
        }
        Ok(id)
    }

    /// Returns the bytes of an object that is in the repository, or was taken.
    pub(super) fn read(&self, id: Oid) -> Option<Vec<u8>> {
        let object = self.memory.read(id).or_else(|_| self.odb.read(id)).ok()?;
        Some(object.data().to_owned())
    }

    /// Puts everything that waits into the repository.
    pub(super) fn finish(&mut self) -> Result<(), Failure> {
        let ids = std::mem::take(&mut self.waiting);
        let fresh = memory().map_err(Failure::git("making an object database in memory"))?;
        let memory = std::mem::replace(&mut self.memory, fresh);
        self.size = 0;
        if ids.len() < MANY {
            self.loose(&memory, &ids).map_err(Failure::git("writing an object"))
        } else {
            self.pack(memory, &ids).map_err(Failure::git("writing a pack of objects"))
        }
    }

    fn loose(&self, memory: &git2::Odb<'_>, ids: &[Oid]) -> Result<(), git2::Error> {
        for id in ids {
            let object = memory.read(*id)?;
            self.odb.write(object.kind(), object.data())?;
        }
        Ok(())
    }

    /// Writes one pack, beside its place and then renamed there by libgit2.
    fn pack(&self, memory: git2::Odb<'_>, ids: &[Oid]) -> Result<(), git2::Error> {
        let repository = git2::Repository::from_odb(memory)?;
        let settings = settings().map_err(|e| git2::Error::from_str(&e.to_string()))?;
        let mut config = git2::Config::new()?;
        config.add_file(settings.path(), ConfigLevel::App, true)?;
        repository.set_config(&config)?;
        let mut pack = repository.packbuilder()?;
        for id in ids {
            pack.insert_object(*id, None)?;
        }
        pack.write(&self.repository.inner.commondir().join("objects/pack"), 0)
    }
}

fn memory() -> Result<git2::Odb<'static>, git2::Error> {
    let odb = git2::Odb::new()?;
    odb.add_new_mempack_backend(1)?;
    Ok(odb)
}

/// Returns a configuration in which every file is too big to be compared with others: looking for deltas takes
/// ten times as long as all the rest, and `git gc` will do it. A pack is one file, so it can be waited for until
/// it is on the disk.
fn settings() -> std::io::Result<tempfile::NamedTempFile> {
    let mut file = tempfile::NamedTempFile::new()?;
    // libgit2 1.9 pack-objects.c packbuilder_config reads the threshold under the name of the cache.
    file.write_all(b"[core]\nbigFileThreshold = 1\nfsyncObjectFiles = true\n[pack]\ndeltaCacheSize = 1\n")?;
    Ok(file)
}
