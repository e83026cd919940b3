//! Writes many objects to the object database quickly, and each completely or not at all.
//!
//! A loose object costs a file: a stack that changes 10,000 files would create 20,000, which slows down every later
//! git command. So objects are collected in memory, in the order in which they refer to each other. A few are written
//! as loose files; many are packed on other threads, each pack in its own folder, and moved into place in the same
//! order at the end.

use super::{Error, ObjectId, Repository};
use git2::{ConfigLevel, ObjectType, OdbLookupFlags, Oid};
use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};
use tempfile::TempDir;

/// From this number on, objects are packed.
const PACK_THRESHOLD: usize = 512;

/// Bytes of one pack, before they are compressed.
const MAX_PACK_BYTES: usize = 32 << 20;

impl ObjectId {
    /// Returns the id of a blob with these bytes, which need not be stored.
    ///
    /// # Errors
    /// When the bytes cannot be hashed.
    pub(crate) fn hash_blob(bytes: &[u8]) -> Result<Self, Error> {
        let id = Oid::hash_object(ObjectType::Blob, bytes);
        id.map(Self).map_err(Error::from_git("naming a blob"))
    }
}

/// Objects to be written to a repository.
pub(super) struct ObjectStore<'r> {
    odb: git2::Odb<'r>,
    /// The folder `objects`.
    objects: PathBuf,
    /// Objects since the last pack was started.
    memory: git2::Odb<'static>,
    /// Objects of `memory` that the repository lacks, in order of insertion.
    pending: Vec<Oid>,
    known: BTreeSet<Oid>,
    size: usize,
    /// Packs in progress, the first one first.
    packs: Vec<JoinHandle<Result<TempDir, Error>>>,
}

impl<'r> ObjectStore<'r> {
    pub(super) fn new(repository: &'r Repository) -> Result<Self, Error> {
        let odb = repository.inner.odb().map_err(Error::from_git("opening the object database"))?;
        let objects = repository.inner.commondir().join("objects");
        let memory = in_memory_odb().map_err(Error::from_git("making an object database in memory"))?;
        let (waiting, known, packs) = (Vec::new(), BTreeSet::new(), Vec::new());
        Ok(Self { odb, objects, memory, pending: waiting, known, size: 0, packs })
    }

    /// Adds an object; the objects it refers to were added before or are in the repository.
    pub(super) fn write(&mut self, kind: ObjectType, bytes: &[u8]) -> Result<Oid, Error> {
        let id = self.memory.write(kind, bytes).map_err(Error::from_git("making an object"))?;
        if !self.known.insert(id) {
            return Ok(id);
        }
        if self.odb.exists_ext(id, OdbLookupFlags::NO_REFRESH) {
            // The write only refreshes the object for `git gc`; nothing is written.
            return self.odb.write(kind, bytes).map_err(Error::from_git("touching an object"));
        }
        self.pending.push(id);
        self.size += bytes.len();
        if self.size > MAX_PACK_BYTES {
            self.start_pack()?;
        }
        Ok(id)
    }

    /// Returns the bytes of an object that is in the repository or was added.
    pub(super) fn read(&mut self, id: Oid) -> Result<Option<Vec<u8>>, Error> {
        let find = |store: &Self| {
            let object = store.memory.read(id).or_else(|_| store.odb.read(id)).ok()?;
            Some(object.data().to_owned())
        };
        if let Some(bytes) = find(self) {
            return Ok(Some(bytes));
        }
        // It may be in a pack that is not yet installed.
        self.install_packs()?;
        Ok(find(self))
    }

    /// Writes all pending objects to the repository.
    pub(super) fn finish(&mut self) -> Result<(), Error> {
        if self.packs.is_empty() && self.pending.len() < PACK_THRESHOLD {
            return self.write_loose().map_err(Error::from_git("writing an object"));
        }
        self.start_pack()?;
        self.install_packs()
    }

    fn write_loose(&mut self) -> Result<(), git2::Error> {
        for id in std::mem::take(&mut self.pending) {
            let object = self.memory.read(id)?;
            self.odb.write(object.kind(), object.data())?;
        }
        Ok(())
    }

    /// Starts to pack the pending objects.
    fn start_pack(&mut self) -> Result<(), Error> {
        let ids = std::mem::take(&mut self.pending);
        let fresh = in_memory_odb().map_err(Error::from_git("making an object database in memory"))?;
        let memory = std::mem::replace(&mut self.memory, fresh);
        self.size = 0;
        if ids.is_empty() {
            return Ok(());
        }
        let objects = self.objects.clone();
        // Memory is bounded: no more packs in progress than processors.
        if self.packs.len() >= thread::available_parallelism().map_or(1, usize::from) {
            self.install_packs()?;
        }
        self.packs.push(thread::spawn(move || write_pack(memory, &ids, &objects)));
        Ok(())
    }

    /// Waits for the packs and installs them, so that git sees them.
    fn install_packs(&mut self) -> Result<(), Error> {
        for made in std::mem::take(&mut self.packs) {
            let folder = made.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
            move_pack(folder.path(), &self.objects.join("pack")).map_err(write_error(&self.objects))?;
        }
        Ok(())
    }
}

fn in_memory_odb() -> Result<git2::Odb<'static>, git2::Error> {
    let odb = git2::Odb::new()?;
    odb.add_new_mempack_backend(1)?;
    Ok(odb)
}

/// Builds a pack in a new folder.
fn write_pack(memory: git2::Odb<'_>, ids: &[Oid], objects: &Path) -> Result<TempDir, Error> {
    // `git gc` removes leftovers of a killed process that start with `tmp_`.
    let folder =
        tempfile::Builder::new().prefix("tmp_pillion_").tempdir_in(objects).map_err(write_error(objects))?;
    let settings = pack_config().map_err(write_error(&std::env::temp_dir()))?;
    let write = || -> Result<(), git2::Error> {
        let repository = git2::Repository::from_odb(memory)?;
        let mut config = git2::Config::new()?;
        config.add_file(settings.path(), ConfigLevel::App, true)?;
        repository.set_config(&config)?;
        let mut pack = repository.packbuilder()?;
        for id in ids {
            pack.insert_object(*id, None)?;
        }
        pack.write(folder.path(), 0)
    };
    write().map_err(Error::from_git("writing a pack of objects"))?;
    Ok(folder)
}

/// Moves a pack into place; the index last, because git looks for that.
fn move_pack(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    let mut names = fs::read_dir(from)?.map(|e| Ok(e?.file_name())).collect::<io::Result<Vec<_>>>()?;
    names.sort_by_key(|n| Path::new(n).extension().is_some_and(|e| e == "idx"));
    for name in names {
        fs::rename(from.join(&name), to.join(&name))?;
    }
    // The names are synced to disk before a ref needs them; Windows cannot open a folder and need not.
    if cfg!(unix) { fs::File::open(to)?.sync_all() } else { Ok(()) }
}

fn write_error(path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.display().to_string();
    |source| Error::WriteFailed { path, source }
}

/// Returns a configuration in which every file is too big for delta compression, which would take ten times as long
/// as all the rest; `git gc` does it later. A pack is one file, so it can be synced to disk.
fn pack_config() -> io::Result<tempfile::NamedTempFile> {
    let mut file = tempfile::NamedTempFile::new()?;
    // libgit2 1.9 pack-objects.c packbuilder_config reads the threshold under the name of the cache.
    file.write_all(b"[core]\nbigFileThreshold = 1\nfsyncObjectFiles = true\n[pack]\ndeltaCacheSize = 1\n")?;
    Ok(file)
}
