//! Writes a pack and its index: many objects in two files.
//!
//! libgit2 can do that too, but reads every object back, decompresses it again and hashes it three times, which takes
//! longer than all else.

use flate2::{Compress, Compression, Crc, FlushCompress};
use git2::{ObjectType, Oid};
use sha1::{Digest as _, Sha1};
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;
use tempfile::TempDir;

/// An object to be packed.
pub(super) struct NewObject {
    pub(super) id: Oid,
    pub(super) kind: ObjectType,
    pub(super) bytes: Vec<u8>,
}

/// An object as it is in a pack.
pub(super) struct PackedObject {
    id: Oid,
    crc: u32,
    /// Its header and its compressed content.
    bytes: Vec<u8>,
}

/// A pack in a folder of its own; git does not see it before it is moved.
pub(super) struct PackWriter {
    folder: TempDir,
    file: BufWriter<File>,
    /// The bytes so far.
    size: u64,
    entries: Vec<PackEntry>,
}

/// What the index says of an object.
struct PackEntry {
    id: Oid,
    crc: u32,
    offset: u64,
}

const VERSION: u32 = 2;
const INDEX_SIGNATURE: [u8; 4] = [0xff, b't', b'O', b'c'];

/// An index has larger offsets in a table of their own.
const MAX_SMALL_OFFSET: u64 = 0x7fff_ffff;

/// Compresses objects, quickly: `git gc` compresses them better, and as differences.
pub(super) fn pack_objects(objects: Vec<NewObject>) -> io::Result<Vec<PackedObject>> {
    let mut deflate = Compress::new(Compression::fast(), true);
    let pack = |NewObject { id, kind, bytes: content }: NewObject| {
        let mut bytes = entry_header(kind, content.len());
        deflate.reset();
        // Deflate grows nothing by more than five bytes a block.
        bytes.reserve(content.len() + content.len() / 1024 + 64);
        let start = bytes.len();
        loop {
            let read = usize::try_from(deflate.total_in()).map_err(io::Error::other)?;
            let status = deflate.compress_vec(&content[read..], &mut bytes, FlushCompress::Finish)?;
            if status == flate2::Status::StreamEnd {
                break;
            }
            bytes.reserve(bytes.len() - start + 64);
        }
        bytes.shrink_to_fit();
        let mut crc = Crc::new();
        crc.update(&bytes);
        Ok(PackedObject { id, crc: crc.sum(), bytes })
    };
    objects.into_iter().map(pack).collect()
}

/// Returns the type and the size of an object, seven bits a byte, the first with four.
// git Documentation/gitformat-pack.adoc
fn entry_header(kind: ObjectType, size: usize) -> Vec<u8> {
    let number = match kind {
        ObjectType::Commit => 1,
        ObjectType::Tree => 2,
        ObjectType::Blob => 3,
        ObjectType::Tag => 4,
        ObjectType::Any => unreachable!("an object has a type"),
    };
    let mut bytes = vec![(number << 4) | low_bits(size, 4)];
    let mut rest = size >> 4;
    while rest > 0 {
        if let Some(last) = bytes.last_mut() {
            *last |= 0x80;
        }
        bytes.push(low_bits(rest, 7));
        rest >>= 7;
    }
    bytes
}

fn low_bits(number: usize, bits: u32) -> u8 {
    u8::try_from(number & ((1 << bits) - 1)).unwrap_or(u8::MAX)
}

impl PackWriter {
    /// Starts a pack in a new folder below `objects`.
    pub(super) fn new(objects: &Path) -> io::Result<Self> {
        // `git gc` removes leftovers of a killed process that start with `tmp_`.
        let folder = tempfile::Builder::new().prefix("tmp_pillion_").tempdir_in(objects)?;
        let mut file = BufWriter::new(create(&folder.path().join("pack"))?);
        file.write_all(&header(0))?;
        Ok(Self { folder, file, size: header(0).len() as u64, entries: Vec::new() })
    }

    /// Adds objects.
    pub(super) fn add(&mut self, objects: &[PackedObject]) -> io::Result<()> {
        for object in objects {
            self.file.write_all(&object.bytes)?;
            self.entries.push(PackEntry { id: object.id, crc: object.crc, offset: self.size });
            self.size += object.bytes.len() as u64;
        }
        Ok(())
    }

    /// Completes the pack and writes its index; both are on the disk afterwards. Returns their folder.
    pub(super) fn finish(self) -> io::Result<TempDir> {
        let Self { folder, file, mut entries, .. } = self;
        let count = u32::try_from(entries.len()).map_err(io::Error::other)?;
        let mut file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.seek(SeekFrom::Start(0))?;
        file.write_all(&header(count))?;
        let checksum = hash_file(&mut file)?;
        file.write_all(&checksum)?;
        file.sync_all()?;
        drop(file);
        entries.sort_by_key(|entry| entry.id);
        let mut index = create(&folder.path().join("index"))?;
        index.write_all(&index_bytes(&entries, &checksum))?;
        index.sync_all()?;
        drop(index);
        let name: String = checksum.iter().map(|byte| format!("{byte:02x}")).collect();
        for (from, extension) in [("pack", "pack"), ("index", "idx")] {
            let to = folder.path().join(format!("pack-{name}.{extension}"));
            std::fs::rename(folder.path().join(from), to)?;
        }
        Ok(folder)
    }
}

/// Creates a file that is read-only afterwards, as those of git are.
fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o444);
    options.open(path)
}

fn header(count: u32) -> Vec<u8> {
    [b"PACK".as_slice(), &VERSION.to_be_bytes(), &count.to_be_bytes()].concat()
}

/// Returns the SHA-1 of a whole file, and is at its end then.
fn hash_file(file: &mut File) -> io::Result<[u8; 20]> {
    file.seek(SeekFrom::Start(0))?;
    let (mut hasher, mut buffer) = (Sha1::new(), vec![0; 1 << 16]);
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hasher.finalize().into()),
            read => hasher.update(&buffer[..read]),
        }
    }
}

/// Returns the index of a pack; its entries are in the order of their ids.
fn index_bytes(entries: &[PackEntry], pack_checksum: &[u8; 20]) -> Vec<u8> {
    let mut bytes = [INDEX_SIGNATURE, VERSION.to_be_bytes()].concat();
    for first in 0..=u8::MAX {
        let count = entries.partition_point(|entry| entry.id.as_bytes()[0] <= first);
        push_number(&mut bytes, count as u64);
    }
    entries.iter().for_each(|entry| bytes.extend(entry.id.as_bytes()));
    entries.iter().for_each(|entry| bytes.extend(entry.crc.to_be_bytes()));
    let mut large = Vec::new();
    for entry in entries {
        match entry.offset {
            offset @ 0..=MAX_SMALL_OFFSET => push_number(&mut bytes, offset),
            offset => {
                push_number(&mut bytes, (MAX_SMALL_OFFSET + 1) | (large.len() / 8) as u64);
                large.extend(offset.to_be_bytes());
            }
        }
    }
    bytes.extend(large);
    bytes.extend(pack_checksum);
    let checksum = Sha1::digest(&bytes);
    bytes.extend(checksum);
    bytes
}

fn push_number(bytes: &mut Vec<u8>, number: u64) {
    let number = u32::try_from(number).expect("counts and small offsets have 32 bits");
    bytes.extend(number.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_of_an_entry_has_seven_bits_a_byte() {
        assert_eq!(entry_header(ObjectType::Blob, 15), [0x3f]);
        assert_eq!(entry_header(ObjectType::Tree, 16), [0xa0, 0x01]);
        assert_eq!(entry_header(ObjectType::Commit, 2048), [0x90, 0x80, 0x01]);
    }

    #[test]
    fn offsets_beyond_two_gigabytes_have_a_table_of_their_own() {
        let id = |first: u8| Oid::from_bytes(&[first; 20]).unwrap();
        let entries = [(1, 12), (2, 1 << 31), (7, 1 << 40)].map(|(first, offset)| PackEntry {
            id: id(first),
            crc: 0,
            offset,
        });
        let bytes = index_bytes(&entries, &[0; 20]);
        let tables = 8 + 256 * 4 + 3 * 20 + 3 * 4;
        let number = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
        assert_eq!([number(8), number(8 + 4), number(8 + 6 * 4), number(8 + 255 * 4)], [0, 1, 2, 3]);
        assert_eq!([number(tables), number(tables + 4), number(tables + 8)], [12, 0x8000_0000, 0x8000_0001]);
        assert_eq!(bytes[tables + 12..tables + 20], (1_u64 << 31).to_be_bytes());
        assert_eq!(bytes[tables + 20..tables + 28], (1_u64 << 40).to_be_bytes());
        assert_eq!(bytes.len(), tables + 28 + 40);
    }

    #[test]
    fn content_that_cannot_be_compressed_is_packed() {
        let content: Vec<u8> = (0_u32..100_000).flat_map(|n| Sha1::digest(n.to_be_bytes())).collect();
        let id = Oid::hash_object(ObjectType::Blob, &content).unwrap();
        let objects = vec![NewObject { id, kind: ObjectType::Blob, bytes: content.clone() }];
        let packed = pack_objects(objects).unwrap();
        let header = entry_header(ObjectType::Blob, content.len());
        let mut back = Vec::new();
        flate2::read::ZlibDecoder::new(&packed[0].bytes[header.len()..]).read_to_end(&mut back).unwrap();
        assert!(back == content);
    }
}
