//! How does a tree become the next one? Only the folders above a changed file are written anew; all else is
//! copied as it is: gitlinks, links, modes, names that are not UTF-8.

use super::attributes::{self, Rules, Storing};
use super::store::Store;
use super::tree::{Edit, Kind};
use super::{Failure, Id, NewCommit, Repository, Signing, commit};
use git2::{ObjectType, Oid};
use std::collections::BTreeMap;

/// A tree under change. It is kept in memory from one commit to the next, so that a chain of commits reads each
/// folder once and writes only what changed.
///
/// The repository has nothing of it before [`TreeEditor::finish`].
pub struct TreeEditor<'r> {
    repository: &'r Repository,
    store: Store<'r>,
    root: Folder,
    /// What the `.gitattributes` of a folder say, by the folder's path; none where there is no such file.
    rules: BTreeMap<String, Option<Rules>>,
}

/// A folder that was looked into.
struct Folder {
    entries: BTreeMap<Vec<u8>, Node>,
    /// Its tree, as long as nothing changed.
    written: Option<Oid>,
}

/// What a folder holds under a name.
enum Node {
    /// An object that nobody looked into.
    Stored {
        mode: i32,
        id: Oid,
    },
    Folder(Folder),
}

const TREE: i32 = 0o040_000;
const FILE: i32 = 0o100_644;

impl Repository {
    /// Begins with a tree, or with none.
    ///
    /// # Errors
    /// When the tree is missing.
    pub fn editor(&self, base: Option<Id>) -> Result<TreeEditor<'_>, Failure> {
        let root = match base {
            Some(id) => Folder::load(self, id.0)?,
            None => Folder::empty(),
        };
        Ok(TreeEditor { repository: self, store: Store::new(self)?, root, rules: BTreeMap::new() })
    }

    /// Writes a tree that differs from another by some edits, and returns it.
    ///
    /// # Errors
    /// As [`TreeEditor::apply`].
    pub fn write_tree(&self, base: Option<Id>, edits: &BTreeMap<String, Edit>) -> Result<Id, Failure> {
        let mut editor = self.editor(base)?;
        editor.apply(edits)?;
        let tree = editor.write()?;
        editor.finish()?;
        Ok(tree)
    }
}

impl TreeEditor<'_> {
    /// Makes several edits: first removals, so that a file may become a folder and a folder a file.
    ///
    /// # Errors
    /// As [`TreeEditor::put`].
    pub fn apply(&mut self, edits: &BTreeMap<String, Edit>) -> Result<(), Failure> {
        for (path, edit) in edits {
            if matches!(edit, Edit::Remove) {
                self.remove(path)?;
            }
        }
        for (path, edit) in edits {
            if let Edit::Put(bytes) = edit {
                self.put(path, bytes)?;
            }
        }
        Ok(())
    }

    /// Puts a file at a path, as git would store it: with the line ends that the tree's `.gitattributes` ask for.
    ///
    /// # Errors
    /// When the path cannot be a file of a tree, a link, submodule, folder or file is in the way, or a filter
    /// (git-lfs, git-crypt) would have to make the blob.
    pub fn put(&mut self, path: &str, bytes: &[u8]) -> Result<(), Failure> {
        let parts = parts(path)?;
        let (name, folders) = parts.split_last().expect("`parts` returns at least one");
        let storing = self.storing(path, folders)?;
        if let Storing::Filter(name) = &storing {
            return Err(refused(
                path,
                format!(
                    "the attribute `filter={name}` of .gitattributes leaves its content to a program, which pillion does not run: take the attribute off this file"
                ),
            ));
        }
        let folder = self.root.open(self.repository, path, folders, true)?;
        let old = match folder.entries.get(name.as_bytes()) {
            None => None,
            Some(Node::Stored { mode, id }) => Some((*mode, *id)),
            Some(Node::Folder(_)) => Some((TREE, Oid::ZERO_SHA1)),
        };
        let mode = match old.map(|(mode, _)| (mode, Kind::of(mode))) {
            None => FILE,
            Some((mode, Kind::File | Kind::Executable)) => mode,
            Some((_, kind)) => return Err(refused(path, in_the_way(kind))),
        };
        let (store, hint) = (&mut self.store, self.repository.missing_hint());
        let kept = attributes::stored(&storing, bytes, || match old {
            Some((_, id)) => store.read(id)?.map(Some).ok_or(Failure::Missing { id: Id(id), hint }),
            None => Ok(None),
        })?;
        let id = self.store.write(ObjectType::Blob, kept.as_deref().unwrap_or(bytes))?;
        if old == Some((mode, id)) {
            return Ok(());
        }
        folder.entries.insert(name.as_bytes().to_owned(), Node::Stored { mode, id });
        self.root.changed(folders);
        self.forget_rules(name);
        Ok(())
    }

    /// Removes a file; a folder that has no other one vanishes. Returns whether there was one.
    ///
    /// # Errors
    /// When something else than a file is there.
    pub fn remove(&mut self, path: &str) -> Result<bool, Failure> {
        let parts = parts(path)?;
        let (name, folders) = parts.split_last().expect("`parts` returns at least one");
        let folder = match self.root.open(self.repository, path, folders, false) {
            Ok(folder) => folder,
            Err(Failure::Path { .. }) => return Ok(false),
            Err(other) => return Err(other),
        };
        match folder.entries.get(name.as_bytes()) {
            None => return Ok(false),
            Some(Node::Folder(_)) => return Err(refused(path, in_the_way(Kind::Folder))),
            Some(Node::Stored { mode, .. }) => match Kind::of(*mode) {
                Kind::File | Kind::Executable => {}
                kind => return Err(refused(path, in_the_way(kind))),
            },
        }
        folder.entries.remove(name.as_bytes());
        self.root.changed(folders);
        self.root.prune(folders);
        self.forget_rules(name);
        Ok(true)
    }

    /// Makes the trees of changed folders and returns the root's.
    ///
    /// # Errors
    /// When the object database fails.
    pub fn write(&mut self) -> Result<Id, Failure> {
        self.root.write(&mut self.store).map(Id)
    }

    /// Makes a commit and returns its id; its tree is one that this editor made.
    ///
    /// # Errors
    /// As [`Repository::write_commit`].
    pub fn commit(&mut self, new: &NewCommit<'_>, signing: &Signing<'_>) -> Result<Id, Failure> {
        self.store.write(ObjectType::Commit, &commit::bytes(new, signing)?).map(Id)
    }

    /// Puts everything that was made into the repository; only then may a ref move.
    ///
    /// # Errors
    /// When the object database fails.
    pub fn finish(mut self) -> Result<(), Failure> {
        self.store.finish()
    }

    /// Returns how git stores a file, by the tree as it is now.
    fn storing(&mut self, path: &str, folders: &[&str]) -> Result<Storing, Failure> {
        let mut ends = vec![0];
        for folder in folders {
            ends.push(ends[ends.len() - 1] + folder.len() + 1);
        }
        for (depth, end) in ends.iter().enumerate() {
            if !self.rules.contains_key(&path[..*end]) {
                let rules = self.read_rules(path, &folders[..depth])?;
                self.rules.insert(path[..*end].to_owned(), rules);
            }
        }
        let above: Vec<_> =
            ends.iter().filter_map(|end| Some((*end, self.rules.get(&path[..*end])?.as_ref()?))).collect();
        if above.is_empty() { Ok(Storing::AsIs) } else { Ok(attributes::storing(path, &above)) }
    }

    /// Reads the `.gitattributes` of a folder.
    fn read_rules(&mut self, path: &str, folders: &[&str]) -> Result<Option<Rules>, Failure> {
        let folder = match self.root.open(self.repository, path, folders, false) {
            Ok(folder) => folder,
            Err(Failure::Path { .. }) => return Ok(None),
            Err(other) => return Err(other),
        };
        match folder.entries.get(attributes::FILE) {
            Some(Node::Stored { mode, id }) if matches!(Kind::of(*mode), Kind::File | Kind::Executable) => {
                let id = *id;
                let hint = self.repository.missing_hint();
                let text = self.store.read(id)?.ok_or(Failure::Missing { id: Id(id), hint })?;
                Ok(Some(Rules::parse(&text, folders.is_empty())))
            }
            _ => Ok(None),
        }
    }

    fn forget_rules(&mut self, name: &str) {
        if name.as_bytes() == attributes::FILE {
            self.rules.clear();
        }
    }
}

impl Folder {
    fn empty() -> Self {
        Self { entries: BTreeMap::new(), written: None }
    }

    fn load(repository: &Repository, id: Oid) -> Result<Self, Failure> {
        let tree = repository.tree(Id(id))?;
        let entries = tree
            .iter()
            .map(|e| (e.name_bytes().to_owned(), Node::Stored { mode: e.filemode_raw(), id: e.id() }))
            .collect();
        Ok(Self { entries, written: Some(id) })
    }

    /// Returns a folder below this one, read when it was not yet, made when `make` says so.
    fn open(
        &mut self,
        repository: &Repository,
        path: &str,
        folders: &[&str],
        make: bool,
    ) -> Result<&mut Self, Failure> {
        let Some((first, rest)) = folders.split_first() else { return Ok(self) };
        let inner = match self.entries.get_mut(first.as_bytes()) {
            Some(Node::Folder(_)) => None,
            Some(Node::Stored { mode, id }) if Kind::of(*mode) == Kind::Folder => {
                Some(Self::load(repository, *id)?)
            }
            Some(Node::Stored { mode, .. }) => {
                let what = in_the_way(Kind::of(*mode));
                return Err(refused(path, format!("{what} (at `{first}`)")));
            }
            None if make => Some(Self::empty()),
            None => return Err(refused(path, "there is no such folder".to_owned())),
        };
        if let Some(inner) = inner {
            self.entries.insert(first.as_bytes().to_owned(), Node::Folder(inner));
        }
        match self.entries.get_mut(first.as_bytes()) {
            Some(Node::Folder(inner)) => inner.open(repository, path, rest, make),
            _ => unreachable!("it was put there above"),
        }
    }

    /// Marks the folders of a path to be written anew.
    fn changed(&mut self, folders: &[&str]) {
        self.written = None;
        if let Some((first, rest)) = folders.split_first()
            && let Some(Node::Folder(inner)) = self.entries.get_mut(first.as_bytes())
        {
            inner.changed(rest);
        }
    }

    /// Removes the folders of a path that are empty, the deepest first.
    fn prune(&mut self, folders: &[&str]) {
        let Some((first, rest)) = folders.split_first() else { return };
        let Some(Node::Folder(inner)) = self.entries.get_mut(first.as_bytes()) else { return };
        inner.prune(rest);
        if inner.entries.is_empty() {
            self.entries.remove(first.as_bytes());
        }
    }

    /// Writes what changed here and below.
    fn write(&mut self, store: &mut Store<'_>) -> Result<Oid, Failure> {
        if let Some(id) = self.written {
            return Ok(id);
        }
        let mut lines = Vec::with_capacity(self.entries.len());
        for (name, node) in &mut self.entries {
            lines.push(match node {
                Node::Stored { mode, id } => (name, *mode, *id),
                Node::Folder(inner) => (name, TREE, inner.write(store)?),
            });
        }
        // git sorts a folder as if its name ended with a slash.
        let slash = |mode: i32| if Kind::of(mode) == Kind::Folder { b"/".as_slice() } else { b"" };
        lines.sort_by(|(a, am, _), (b, bm, _)| a.iter().chain(slash(*am)).cmp(b.iter().chain(slash(*bm))));
        let mut bytes = Vec::with_capacity(lines.len() * 48);
        for (name, mode, id) in lines {
            bytes.extend_from_slice(format!("{mode:o} ").as_bytes());
            bytes.extend_from_slice(name);
            bytes.push(0);
            bytes.extend_from_slice(id.as_bytes());
        }
        let id = store.write(ObjectType::Tree, &bytes)?;
        self.written = Some(id);
        Ok(id)
    }
}

/// Splits a path into its names, and refuses what git would refuse to check out.
fn parts(path: &str) -> Result<Vec<&str>, Failure> {
    let parts: Vec<&str> = path.split('/').collect();
    for part in &parts {
        let wrong = match *part {
            "" => "it has an empty part; a path is `folder/file`",
            "." | ".." => "`.` and `..` are no names in a tree",
            _ if part.contains('\0') => "it has a NUL character",
            _ if is_dot_git(part) => "`.git` is git's own folder",
            _ => continue,
        };
        return Err(refused(path, wrong.to_owned()));
    }
    Ok(parts)
}

/// Returns whether some file system takes a name for `.git`: NTFS drops spaces and dots at the end and knows
/// short names, HFS+ drops characters without width.
fn is_dot_git(name: &str) -> bool {
    let is_seen = |c: &char| !matches!(c, '\u{200c}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{206a}'..='\u{206f}' | '\u{feff}');
    let name: String = name.chars().filter(is_seen).collect::<String>().to_lowercase();
    // On Windows a backslash ends a name, and a colon begins a stream of it.
    let first = name.split(['\\', ':']).next().unwrap_or_default().trim_end_matches(['.', ' ']);
    first == ".git" || first == "git~1"
}

fn refused(path: &str, reason: String) -> Failure {
    Failure::Path { path: path.to_owned(), reason }
}

fn in_the_way(kind: Kind) -> String {
    match kind {
        Kind::Link => "a symbolic link is there, and pillion does not write through links: remove it, or write elsewhere",
        Kind::Gitlink => "a submodule is there: write elsewhere",
        Kind::Folder => "a folder is there: remove it, or write elsewhere",
        Kind::File | Kind::Executable => "a file is where a folder has to be: remove it, or write elsewhere",
    }
    .to_owned()
}
