//! Edits trees: only the folders above a changed file are rewritten. Everything else is copied unchanged: gitlinks,
//! symbolic links, modes, names that are not UTF-8.

use super::attributes::{self, BlobConversion, GitAttributes};
use super::object_store::ObjectStore;
use super::tree::{FileEdit, TreeEntryKind};
use super::{Error, NewCommit, ObjectId, Repository, Signing, commit};
use git2::{ObjectType, Oid};
use std::collections::BTreeMap;

/// A tree that is being edited. It stays in memory from one commit to the next, so that a chain of commits reads each
/// folder once and writes only changes.
///
/// The repository has nothing of it before [`TreeEditor::finish`].
pub struct TreeEditor<'r> {
    repository: &'r Repository,
    store: ObjectStore<'r>,
    root: EditedTree,
    /// The attributes of a folder by its path; none without a `.gitattributes` file.
    attributes: BTreeMap<String, Option<GitAttributes>>,
}

/// A folder that was read.
struct EditedTree {
    entries: BTreeMap<Vec<u8>, EditedEntry>,
    /// Its tree, as long as nothing changed.
    tree_id: Option<Oid>,
}

/// An entry of a folder.
enum EditedEntry {
    /// An object that was not read.
    Stored {
        mode: i32,
        id: Oid,
    },
    Folder(EditedTree),
}

const TREE_MODE: i32 = 0o040_000;
const FILE_MODE: i32 = 0o100_644;

impl Repository {
    /// Starts with a tree, or with an empty one.
    ///
    /// # Errors
    /// When the tree is missing.
    pub fn editor(&self, base: Option<ObjectId>) -> Result<TreeEditor<'_>, Error> {
        let root = match base {
            Some(id) => EditedTree::load(self, id.0)?,
            None => EditedTree::empty(),
        };
        Ok(TreeEditor { repository: self, store: ObjectStore::new(self)?, root, attributes: BTreeMap::new() })
    }

    /// Writes a tree with some edits, and returns its id.
    ///
    /// # Errors
    /// As [`TreeEditor::apply`].
    pub fn write_tree(
        &self,
        base: Option<ObjectId>,
        edits: &BTreeMap<String, FileEdit>,
    ) -> Result<ObjectId, Error> {
        let mut editor = self.editor(base)?;
        editor.apply(edits)?;
        let tree = editor.write()?;
        editor.finish()?;
        Ok(tree)
    }
}

impl TreeEditor<'_> {
    /// Applies several edits; removals come first, so that a file may become a folder and vice versa.
    ///
    /// # Errors
    /// As [`TreeEditor::put`].
    pub(crate) fn apply(&mut self, edits: &BTreeMap<String, FileEdit>) -> Result<(), Error> {
        for (path, edit) in edits {
            if matches!(edit, FileEdit::Remove) {
                self.remove(path)?;
            }
        }
        for (path, edit) in edits {
            if let FileEdit::Put(bytes) = edit {
                self.put(path, bytes)?;
            }
        }
        Ok(())
    }

    /// Puts a file at a path, stored as git would: with the line ends of the tree's `.gitattributes`.
    ///
    /// # Errors
    /// When the path cannot be a file of a tree, a link, submodule, folder or file is in the way, or a filter
    /// (git-lfs, git-crypt) would have to make the blob.
    pub fn put(&mut self, path: &str, bytes: &[u8]) -> Result<(), Error> {
        self.put_with_id(path, bytes, || ObjectId::hash_blob(bytes))
    }

    /// As [`TreeEditor::put`], with the id of a blob of these bytes, which another thread may have computed.
    pub(crate) fn put_named(&mut self, path: &str, bytes: &[u8], id: ObjectId) -> Result<(), Error> {
        self.put_with_id(path, bytes, || Ok(id))
    }

    fn put_with_id(
        &mut self,
        path: &str,
        bytes: &[u8],
        blob_id: impl FnOnce() -> Result<ObjectId, Error>,
    ) -> Result<(), Error> {
        let parts = split_path(path)?;
        let (name, folders) = parts.split_last().expect("`parts` returns at least one");
        let storing = self.blob_conversion(path, folders)?;
        if let BlobConversion::Filter(name) = &storing {
            return Err(path_error(
                path,
                format!(
                    "the attribute `filter={name}` of .gitattributes leaves its content to a program, which pillion does not run: remove the attribute from this file"
                ),
            ));
        }
        let folder = self.root.open(self.repository, path, folders, true)?;
        let old = match folder.entries.get(name.as_bytes()) {
            None => None,
            Some(EditedEntry::Stored { mode, id }) => Some((*mode, *id)),
            Some(EditedEntry::Folder(_)) => Some((TREE_MODE, Oid::ZERO_SHA1)),
        };
        let mode = match old.map(|(mode, _)| (mode, TreeEntryKind::from_mode(mode))) {
            None => FILE_MODE,
            Some((mode, TreeEntryKind::File | TreeEntryKind::Executable)) => mode,
            Some((_, kind)) => return Err(path_error(path, conflict_reason(kind))),
        };
        let (store, repository) = (&mut self.store, self.repository);
        let missing = |id| Error::MissingObject { id: ObjectId(id), hint: repository.missing_hint() };
        let kept = attributes::convert_blob(&storing, bytes, || match old {
            Some((_, id)) => store.read(id)?.map(Some).ok_or_else(|| missing(id)),
            None => Ok(None),
        })?;
        let id = match kept {
            Some(kept) => self.store.write(ObjectType::Blob, &kept)?,
            None => self.store.write_named(blob_id()?.0, ObjectType::Blob, bytes)?,
        };
        if old == Some((mode, id)) {
            return Ok(());
        }
        folder.entries.insert(name.as_bytes().to_owned(), EditedEntry::Stored { mode, id });
        self.root.mark_changed(folders);
        self.clear_attributes(name);
        Ok(())
    }

    /// Removes a file, and its folder if that becomes empty. Returns whether the file existed.
    ///
    /// # Errors
    /// When something else than a file is there.
    pub fn remove(&mut self, path: &str) -> Result<bool, Error> {
        let parts = split_path(path)?;
        let (name, folders) = parts.split_last().expect("`parts` returns at least one");
        let folder = match self.root.open(self.repository, path, folders, false) {
            Ok(folder) => folder,
            Err(Error::InvalidPath { .. }) => return Ok(false),
            Err(other) => return Err(other),
        };
        match folder.entries.get(name.as_bytes()) {
            None => return Ok(false),
            Some(EditedEntry::Folder(_)) => {
                return Err(path_error(path, conflict_reason(TreeEntryKind::Folder)));
            }
            Some(EditedEntry::Stored { mode, .. }) => match TreeEntryKind::from_mode(*mode) {
                TreeEntryKind::File | TreeEntryKind::Executable => {}
                kind => return Err(path_error(path, conflict_reason(kind))),
            },
        }
        folder.entries.remove(name.as_bytes());
        self.root.mark_changed(folders);
        self.root.remove_empty(folders);
        self.clear_attributes(name);
        Ok(true)
    }

    /// Writes the trees of changed folders and returns the root tree.
    ///
    /// # Errors
    /// When the object database fails.
    pub fn write(&mut self) -> Result<ObjectId, Error> {
        self.root.write(&mut self.store).map(ObjectId)
    }

    /// Writes a commit with a tree of this editor, and returns its id.
    ///
    /// # Errors
    /// As [`Repository::write_commit`].
    pub fn commit(&mut self, new: &NewCommit<'_>, signing: &Signing<'_>) -> Result<ObjectId, Error> {
        self.store.write(ObjectType::Commit, &commit::encode_commit(new, signing)?).map(ObjectId)
    }

    /// Writes all new objects to the repository; only then may a ref move.
    ///
    /// # Errors
    /// When the object database fails.
    pub fn finish(mut self) -> Result<(), Error> {
        self.store.finish()
    }

    /// Returns how git stores a file, by the current tree.
    fn blob_conversion(&mut self, path: &str, folders: &[&str]) -> Result<BlobConversion, Error> {
        let mut ends = vec![0];
        for folder in folders {
            ends.push(ends[ends.len() - 1] + folder.len() + 1);
        }
        for (depth, end) in ends.iter().enumerate() {
            if !self.attributes.contains_key(&path[..*end]) {
                let rules = self.read_attributes(path, &folders[..depth])?;
                self.attributes.insert(path[..*end].to_owned(), rules);
            }
        }
        let above: Vec<_> = ends
            .iter()
            .filter_map(|end| Some((*end, self.attributes.get(&path[..*end])?.as_ref()?)))
            .collect();
        if above.is_empty() {
            Ok(BlobConversion::AsIs)
        } else {
            Ok(attributes::blob_conversion(path, &above))
        }
    }

    /// Reads the `.gitattributes` of a folder.
    fn read_attributes(&mut self, path: &str, folders: &[&str]) -> Result<Option<GitAttributes>, Error> {
        let folder = match self.root.open(self.repository, path, folders, false) {
            Ok(folder) => folder,
            Err(Error::InvalidPath { .. }) => return Ok(None),
            Err(other) => return Err(other),
        };
        match folder.entries.get(attributes::GITATTRIBUTES) {
            Some(EditedEntry::Stored { mode, id })
                if matches!(
                    TreeEntryKind::from_mode(*mode),
                    TreeEntryKind::File | TreeEntryKind::Executable
                ) =>
            {
                let id = *id;
                let missing =
                    || Error::MissingObject { id: ObjectId(id), hint: self.repository.missing_hint() };
                let text = self.store.read(id)?.ok_or_else(missing)?;
                Ok(Some(GitAttributes::parse(&text, folders.is_empty())))
            }
            _ => Ok(None),
        }
    }

    fn clear_attributes(&mut self, name: &str) {
        if name.as_bytes() == attributes::GITATTRIBUTES {
            self.attributes.clear();
        }
    }
}

impl EditedTree {
    fn empty() -> Self {
        Self { entries: BTreeMap::new(), tree_id: None }
    }

    fn load(repository: &Repository, id: Oid) -> Result<Self, Error> {
        let tree = repository.find_tree(ObjectId(id))?;
        let entries = tree
            .iter()
            .map(|e| (e.name_bytes().to_owned(), EditedEntry::Stored { mode: e.filemode_raw(), id: e.id() }))
            .collect();
        Ok(Self { entries, tree_id: Some(id) })
    }

    /// Returns a folder below this one; reads it if necessary, and creates it if `make` is set.
    fn open(
        &mut self,
        repository: &Repository,
        path: &str,
        folders: &[&str],
        make: bool,
    ) -> Result<&mut Self, Error> {
        let Some((first, rest)) = folders.split_first() else { return Ok(self) };
        let inner = match self.entries.get_mut(first.as_bytes()) {
            Some(EditedEntry::Folder(_)) => None,
            Some(EditedEntry::Stored { mode, id })
                if TreeEntryKind::from_mode(*mode) == TreeEntryKind::Folder =>
            {
                Some(Self::load(repository, *id)?)
            }
            Some(EditedEntry::Stored { mode, .. }) => {
                let what = conflict_reason(TreeEntryKind::from_mode(*mode));
                return Err(path_error(path, format!("{what} (at `{first}`)")));
            }
            None if make => Some(Self::empty()),
            None => return Err(path_error(path, "there is no such folder".to_owned())),
        };
        if let Some(inner) = inner {
            self.entries.insert(first.as_bytes().to_owned(), EditedEntry::Folder(inner));
        }
        match self.entries.get_mut(first.as_bytes()) {
            Some(EditedEntry::Folder(inner)) => inner.open(repository, path, rest, make),
            _ => unreachable!("it was put there above"),
        }
    }

    /// Marks the folders of a path as changed.
    fn mark_changed(&mut self, folders: &[&str]) {
        self.tree_id = None;
        if let Some((first, rest)) = folders.split_first()
            && let Some(EditedEntry::Folder(inner)) = self.entries.get_mut(first.as_bytes())
        {
            inner.mark_changed(rest);
        }
    }

    /// Removes the folders of a path that are empty, the deepest first.
    fn remove_empty(&mut self, folders: &[&str]) {
        let Some((first, rest)) = folders.split_first() else { return };
        let Some(EditedEntry::Folder(inner)) = self.entries.get_mut(first.as_bytes()) else { return };
        inner.remove_empty(rest);
        if inner.entries.is_empty() {
            self.entries.remove(first.as_bytes());
        }
    }

    /// Writes the changes of this folder and of those below.
    fn write(&mut self, store: &mut ObjectStore<'_>) -> Result<Oid, Error> {
        if let Some(id) = self.tree_id {
            return Ok(id);
        }
        let mut lines = Vec::with_capacity(self.entries.len());
        for (name, node) in &mut self.entries {
            lines.push(match node {
                EditedEntry::Stored { mode, id } => (name, *mode, *id),
                EditedEntry::Folder(inner) => (name, TREE_MODE, inner.write(store)?),
            });
        }
        // git sorts a folder as if its name ended with a slash.
        let slash = |mode: i32| {
            if TreeEntryKind::from_mode(mode) == TreeEntryKind::Folder { b"/".as_slice() } else { b"" }
        };
        lines.sort_by(|(a, am, _), (b, bm, _)| a.iter().chain(slash(*am)).cmp(b.iter().chain(slash(*bm))));
        let mut bytes = Vec::with_capacity(lines.len() * 48);
        for (name, mode, id) in lines {
            bytes.extend_from_slice(format!("{mode:o} ").as_bytes());
            bytes.extend_from_slice(name);
            bytes.push(0);
            bytes.extend_from_slice(id.as_bytes());
        }
        let id = store.write(ObjectType::Tree, &bytes)?;
        self.tree_id = Some(id);
        Ok(id)
    }
}

/// Splits a path into its names; refuses names that git would not check out.
fn split_path(path: &str) -> Result<Vec<&str>, Error> {
    let parts: Vec<&str> = path.split('/').collect();
    for part in &parts {
        let reason = match *part {
            "" => "it has an empty part; a path is `folder/file`",
            "." | ".." => "`.` and `..` are not valid names in a tree",
            _ if part.contains('\0') => "it has a NUL character",
            _ if is_dot_git(part) => "`.git` is git's own folder",
            _ => continue,
        };
        return Err(path_error(path, reason.to_owned()));
    }
    Ok(parts)
}

/// Returns whether some file system takes a name for `.git`: NTFS drops spaces and dots at the end and knows
/// short names, HFS+ drops characters without width.
pub(super) fn is_dot_git(name: &str) -> bool {
    let is_seen = |c: &char| !matches!(c, '\u{200c}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{206a}'..='\u{206f}' | '\u{feff}');
    let name: String = name.chars().filter(is_seen).collect::<String>().to_lowercase();
    // On Windows a backslash ends a name, and a colon begins a stream of it.
    let first = name.split(['\\', ':']).next().unwrap_or_default().trim_end_matches(['.', ' ']);
    first == ".git" || first == "git~1"
}

fn path_error(path: &str, reason: String) -> Error {
    Error::InvalidPath { path: path.to_owned(), reason }
}

fn conflict_reason(kind: TreeEntryKind) -> String {
    match kind {
        TreeEntryKind::Symlink => "a symbolic link is there, and pillion does not write through links: remove it, or write elsewhere",
        TreeEntryKind::Gitlink => "a submodule is there: write elsewhere",
        TreeEntryKind::Folder => "a folder is there: remove it, or write elsewhere",
        TreeEntryKind::File | TreeEntryKind::Executable => "a file is where a folder has to be: remove it, or write elsewhere",
    }
    .to_owned()
}
