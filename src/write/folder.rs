//! A folder of rendered files: written beside and renamed, without what is no longer made, and never anything
//! that pillion did not write.

use super::Failure;
use crate::confine::{self, Changes, Failed, Place, Refusal, unusable_name};
use crate::diag::{Code, Diagnostic, Label};
use crate::model::file_list::{self, slashes};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The most bytes of a rendered file that are read: 512 MiB, as of a manifest.
const MAX_FILE: u64 = 512 << 20;
/// The most bytes of a list: 64 MiB, half a million files.
const MAX_LIST: u64 = 64 << 20;

/// A folder that holds rendered files, and the new state it is to have.
#[derive(Debug)]
pub struct Folder {
    /// As the user names it.
    name: PathBuf,
    /// Nothing below it is reached through a symbolic link.
    place: Place,
    /// What pillion wrote earlier.
    known: BTreeSet<String>,
    /// What there will be.
    made: BTreeSet<String>,
    /// The input that each of these files is made from.
    inputs: BTreeMap<String, Arc<str>>,
    /// The new files, and how many.
    changes: Changes,
    written: usize,
}

impl Folder {
    /// Opens a folder, which is called `name`; it need not exist yet.
    ///
    /// # Errors
    /// When it or its list is reached through a symbolic link, or the list is no regular file.
    pub fn open(name: &Path, place: Place) -> Result<Self, Box<Diagnostic>> {
        if let Some(link) = place.link() {
            return Err(Box::new(Refusal::Link(link).diagnostic(&name.to_string_lossy())));
        }
        let list = read(&place, name, Path::new(file_list::NAME), MAX_LIST)?.unwrap_or_default();
        Ok(Self {
            name: name.to_owned(),
            place,
            known: file_list::parse(&list),
            made: BTreeSet::new(),
            inputs: BTreeMap::new(),
            changes: Changes::default(),
            written: 0,
        })
    }

    /// Returns the present text of a file; None where there is none.
    ///
    /// # Errors
    /// When it is reached through a symbolic link, no regular file or too large.
    pub fn present(&self, relative: &Path) -> Result<Option<String>, Box<Diagnostic>> {
        read(&self.place, &self.name, relative, MAX_FILE)
    }

    /// Takes note that a file belongs to the new state, without writing it.
    ///
    /// # Errors
    /// When another input has the same place, or its name cannot stand in a list.
    pub fn expect_file(&mut self, relative: &Path, input: &Arc<str>) -> Result<(), Box<Diagnostic>> {
        if let Some(wrong) = unusable_name(relative) {
            return Err(Box::new(wrong));
        }
        let name = slashes(relative);
        if let Some(first) = self.inputs.insert(name.clone(), Arc::clone(input)) {
            return Err(Box::new(collision(&self.name.join(relative), &first, input)));
        }
        self.made.insert(name);
        Ok(())
    }

    /// Takes the new text of a file, made from `input`. Nothing is visible until [`Folder::commit`].
    ///
    /// # Errors
    /// The outer one when the file system fails; the inner one when something is in the way.
    pub fn put(
        &mut self,
        relative: &Path,
        input: &Arc<str>,
        text: &str,
    ) -> Result<Result<(), Box<Diagnostic>>, Failure> {
        if let Err(wrong) = self.expect_file(relative, input) {
            return Ok(Err(wrong));
        }
        let name = slashes(relative);
        let is_known = self.known.contains(&name);
        let shown = self.name.join(relative);
        match self.place.join(relative).read_present(MAX_FILE) {
            Ok(Some(present)) if present == text.as_bytes() => {
                if !is_known {
                    // It happens to be right, and stays another program's: it is not to be removed one day.
                    self.made.remove(&name);
                }
                return Ok(Ok(()));
            }
            Ok(Some(_)) if !is_known => return Ok(Err(Box::new(not_ours(&shown)))),
            // A link in the place of a file that pillion wrote is replaced, and what it leads to stays.
            Err(Refusal::Link(link)) if is_known && link == self.place.join(relative).path() => {}
            Err(refused) if !matches!(refused, Refusal::TooLarge(_)) || !is_known => {
                return Ok(Err(Box::new(refused.diagnostic(&shown.to_string_lossy()))));
            }
            _ => {}
        }
        self.written += 1;
        let put = self.changes.put(&self.place.join(relative), &self.place, text.as_bytes());
        settled(put, &self.name.join(relative))
    }

    /// Returns what pillion wrote earlier and makes no longer.
    pub fn stale(&self) -> impl Iterator<Item = &str> {
        self.known.difference(&self.made).map(String::as_str)
    }

    /// Returns what lies in the folder and belongs neither to the new state nor to what pillion wrote earlier; a link or a
    /// pipe has no text, and neither has what cannot be read.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn foreign(&self) -> Result<Vec<(PathBuf, Option<String>)>, Box<Diagnostic>> {
        let below = self.place.below();
        let below = below.map_err(|refused| Box::new(refused.diagnostic(&self.name.to_string_lossy())))?;
        let is_known = |path: &Path| {
            let name = slashes(path);
            name == file_list::NAME || self.made.contains(&name) || self.known.contains(&name)
        };
        let foreign = below.into_iter().filter(|(path, _)| !is_known(path));
        Ok(foreign
            .map(|(path, is_regular)| {
                let text = is_regular.then(|| self.present(&path).ok().flatten()).flatten();
                (path, text)
            })
            .collect())
    }

    /// Returns the files of the new state that are there, and that the list does not name.
    pub fn unlisted(&self) -> impl Iterator<Item = &str> {
        let unlisted = self.made.difference(&self.known).map(String::as_str);
        unlisted.filter(|name| matches!(self.present(Path::new(name)), Ok(Some(_))))
    }

    /// Puts every new file in its place, and removes what is no longer made; where one of them fails, nothing is
    /// changed. Returns how many files were written and how many removed.
    ///
    /// # Errors
    /// The outer one when the file system fails; the inner one when something is in the way.
    pub fn commit(self) -> Result<Result<(usize, usize), Box<Diagnostic>>, Failure> {
        let stale: Vec<String> = self.stale().map(str::to_owned).collect();
        let mut changes = Changes::default();
        // A run that is killed on the way must not disown what it has written.
        let both: BTreeSet<String> = self.known.union(&self.made).cloned().collect();
        let list = self.place.join(Path::new(file_list::NAME));
        let shown = self.name.join(file_list::NAME);
        let put_list = |changes: &mut Changes, names: &BTreeSet<String>, present: &BTreeSet<String>| {
            if names == present {
                return Ok(Ok(()));
            }
            settled(changes.put(&list, &self.place, file_list::emit(names).as_bytes()), &shown)
        };
        if let Err(wrong) = put_list(&mut changes, &both, &self.known)? {
            return Ok(Err(wrong));
        }
        changes.append(self.changes);
        for name in &stale {
            let removed = changes.remove(&self.place.join(Path::new(name)), &self.place);
            if let Err(wrong) = settled(removed, &self.name.join(name))? {
                return Ok(Err(wrong));
            }
        }
        if let Err(wrong) = put_list(&mut changes, &self.made, &both)? {
            return Ok(Err(wrong));
        }
        if let Err(wrong) = settled(changes.commit(), &self.name)? {
            return Ok(Err(wrong));
        }
        for name in &stale {
            self.place.remove_empty_folders(Path::new(name));
        }
        self.place.remove_leftovers();
        Place::typed(&self.place.top).remove_leftovers();
        Ok(Ok((self.written, stale.len())))
    }
}

fn read(folder: &Place, name: &Path, relative: &Path, most: u64) -> Result<Option<String>, Box<Diagnostic>> {
    match folder.join(relative).read_present(most) {
        Ok(bytes) => Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned())),
        Err(refused) => Err(Box::new(refused.diagnostic(&name.join(relative).to_string_lossy()))),
    }
}

/// Tells what a person can mend in the repository from what the file system refuses.
fn settled(done: Result<(), Failed>, shown: &Path) -> Result<Result<(), Box<Diagnostic>>, Failure> {
    match done {
        Ok(()) => Ok(Ok(())),
        Err(Failed { why: Refusal::Io(source), path }) => {
            Err(Failure::Write { path: confine::shown(&path), source })
        }
        Err(Failed { why, .. }) => Ok(Err(Box::new(why.diagnostic(&shown.to_string_lossy())))),
    }
}

/// Replaces files together, keeping their permissions; where one of them fails, all stay as they are.
///
/// # Errors
/// The outer one when the file system fails; the inner one when something is in the way.
pub fn replace_files(files: &[(Place, String)]) -> Result<Result<(), Box<Diagnostic>>, Failure> {
    let mut changes = Changes::default();
    let mut tops = BTreeSet::new();
    for (place, text) in files {
        let place = followed(place);
        let beside = Place::typed(&place.top);
        if let Err(wrong) = settled(changes.put(&place, &beside, text.as_bytes()), &place.path())? {
            return Ok(Err(wrong));
        }
        tops.insert(place.top.to_path_buf());
    }
    if let Err(wrong) = settled(changes.commit(), Path::new("."))? {
        return Ok(Err(wrong));
    }
    for top in tops {
        Place::typed(&top).remove_leftovers();
    }
    Ok(Ok(()))
}

/// Renaming over a link that a person typed would take the link away: what it leads to is replaced.
fn followed(place: &Place) -> Place {
    if !place.inner.as_os_str().is_empty() {
        return place.clone();
    }
    let target = place.top.canonicalize().unwrap_or_else(|_| place.top.to_path_buf());
    let parent = target.parent().unwrap_or(Path::new(""));
    Place { top: parent.into(), inner: target.file_name().map(PathBuf::from).unwrap_or_default() }
}

fn not_ours(path: &Path) -> Diagnostic {
    let message = format!("`{}` is in the way: pillion did not write it", path.display());
    let list = file_list::NAME;
    Diagnostic::error(Code::FileNotOurs, message)
        .at(Label::whole_file(path.to_string_lossy()))
        .help(format!("remove it, or choose another folder; `{list}` in the folder lists what pillion wrote"))
}

fn collision(path: &Path, first: &Arc<str>, second: &Arc<str>) -> Diagnostic {
    let message = format!("`{first}` and `{second}` would both be written to `{}`", path.display());
    Diagnostic::error(Code::OutputCollision, message)
        .at(Label::whole_file(second.clone()))
        .at(Label::whole_file(first.clone()))
        .help("render their folders one by one, or name a folder that holds both")
}
