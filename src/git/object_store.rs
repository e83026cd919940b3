//! Writes many objects to the object database quickly, and each completely or not at all.
//!
//! A loose object costs a file: a stack that changes 10,000 files would create 20,000, which slows down every later
//! git command. So objects are collected in memory, in the order in which they refer to each other. A few are written
//! as loose files; many are compressed on other threads into one pack in a folder of its own, which is moved into place
//! at the end.

use super::pack::{NewObject, PackWriter, PackedObject, pack_objects};
use super::{Error, ObjectId, Repository};
use git2::{ObjectType, OdbLookupFlags, Oid};
use std::collections::{BTreeSet, VecDeque};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};

/// From this number on, objects are packed.
const PACK_THRESHOLD: usize = 512;

/// From this number of bytes on, objects are packed.
const PACK_THRESHOLD_BYTES: usize = 32 << 20;

/// Bytes that one thread compresses.
const CHUNK_BYTES: usize = 2 << 20;

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
    known: BTreeSet<Oid>,
    /// Objects that the repository lacks and that are not in a chunk, in order of insertion.
    pending: Vec<NewObject>,
    /// The bytes of `pending`.
    size: usize,
    /// Chunks that are compressed, the first one first.
    chunks: VecDeque<JoinHandle<io::Result<Vec<PackedObject>>>>,
    /// The chunks before.
    pack: Option<PackWriter>,
}

impl<'r> ObjectStore<'r> {
    pub(super) fn new(repository: &'r Repository) -> Result<Self, Error> {
        let odb = repository.inner.odb().map_err(Error::from_git("opening the object database"))?;
        let objects = repository.inner.commondir().join("objects");
        let (known, pending, chunks) = (BTreeSet::new(), Vec::new(), VecDeque::new());
        Ok(Self { odb, objects, known, pending, size: 0, chunks, pack: None })
    }

    /// Adds an object; the objects it refers to were added before or are in the repository.
    pub(super) fn write(&mut self, kind: ObjectType, bytes: &[u8]) -> Result<Oid, Error> {
        let id = Oid::hash_object(kind, bytes).map_err(Error::from_git("naming an object"))?;
        self.write_named(id, kind, bytes)
    }

    /// As [`Self::write`], with the id of the object.
    pub(super) fn write_named(&mut self, id: Oid, kind: ObjectType, bytes: &[u8]) -> Result<Oid, Error> {
        if !self.known.insert(id) {
            return Ok(id);
        }
        if self.odb.exists_ext(id, OdbLookupFlags::NO_REFRESH) {
            // The write only refreshes the object for `git gc`; nothing is written.
            return self.odb.write(kind, bytes).map_err(Error::from_git("touching an object"));
        }
        self.size += bytes.len();
        self.pending.push(NewObject { id, kind, bytes: bytes.to_owned() });
        if self.size >= CHUNK_BYTES && self.is_packed() {
            self.start_chunk()?;
        }
        Ok(id)
    }

    fn is_packed(&self) -> bool {
        self.pack.is_some()
            || !self.chunks.is_empty()
            || self.pending.len() >= PACK_THRESHOLD
            || self.size >= PACK_THRESHOLD_BYTES
    }

    /// Returns the bytes of an object that is in the repository or was added.
    pub(super) fn read(&mut self, id: Oid) -> Result<Option<Vec<u8>>, Error> {
        if self.known.contains(&id) {
            if let Some(object) = self.pending.iter().find(|object| object.id == id) {
                return Ok(Some(object.bytes.clone()));
            }
            // It may be in the pack.
            self.install_pack()?;
        }
        Ok(self.odb.read(id).ok().map(|object| object.data().to_owned()))
    }

    /// Writes all pending objects to the repository.
    pub(super) fn finish(&mut self) -> Result<(), Error> {
        if self.is_packed() {
            self.start_chunk()?;
            return self.install_pack();
        }
        for object in std::mem::take(&mut self.pending) {
            self.odb.write(object.kind, &object.bytes).map_err(Error::from_git("writing an object"))?;
        }
        Ok(())
    }

    /// Starts to compress the pending objects.
    fn start_chunk(&mut self) -> Result<(), Error> {
        let objects = std::mem::take(&mut self.pending);
        self.size = 0;
        self.chunks.push_back(thread::spawn(move || pack_objects(objects)));
        // Memory is bounded: no more chunks in progress than processors.
        let most = thread::available_parallelism().map_or(1, usize::from);
        if self.chunks.len() > most { self.add_oldest_chunk() } else { Ok(()) }
    }

    fn add_oldest_chunk(&mut self) -> Result<(), Error> {
        let Some(chunk) = self.chunks.pop_front() else { return Ok(()) };
        let packed = chunk.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        let add = || -> io::Result<()> {
            let pack = match &mut self.pack {
                Some(pack) => pack,
                none => none.insert(PackWriter::new(&self.objects)?),
            };
            pack.add(&packed?)
        };
        add().map_err(write_error(&self.objects))
    }

    /// Waits for the chunks and installs the pack, so that git sees it.
    fn install_pack(&mut self) -> Result<(), Error> {
        while !self.chunks.is_empty() {
            self.add_oldest_chunk()?;
        }
        let Some(pack) = self.pack.take() else { return Ok(()) };
        let install = || move_pack(pack.finish()?.path(), &self.objects.join("pack"));
        install().map_err(write_error(&self.objects))
    }
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
