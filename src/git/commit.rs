//! How is a commit made? From its parts alone, so that the same parts are the same commit on every machine.

use super::{Failure, Id, Identity, Repository, Signing, Time};
use git2::ObjectType;

/// What a commit is made of.
#[derive(Debug, Clone, Copy)]
pub struct NewCommit<'a> {
    /// The tree of its files.
    pub tree: Id,
    /// The commits before it.
    pub parents: &'a [Id],
    /// The whole message; [`super::trailer::message`] makes one.
    pub message: &'a str,
    /// Author and committer.
    pub identity: &'a Identity,
    /// When: an argument, never the clock.
    pub time: Time,
}

impl Repository {
    /// Writes a commit and returns its id; no ref is moved.
    ///
    /// # Errors
    /// When the message cannot be written or the object database fails.
    pub fn write_commit(&self, new: &NewCommit<'_>, signing: &Signing<'_>) -> Result<Id, Failure> {
        let bytes = bytes(new, signing)?;
        let odb = self.inner.odb().map_err(Failure::git("opening the object database"))?;
        odb.write(ObjectType::Commit, &bytes).map(Id).map_err(Failure::git("writing a commit"))
    }
}

/// Returns the bytes of a commit object.
pub(super) fn bytes(new: &NewCommit<'_>, signing: &Signing<'_>) -> Result<Vec<u8>, Failure> {
    signing.sign(text(new)?.into_bytes(), new.identity)
}

/// Returns the text of a commit object.
fn text(new: &NewCommit<'_>) -> Result<String, Failure> {
    if new.message.contains('\0') {
        return Err(Failure::Message);
    }
    let (sign, minutes) = if new.time.offset_minutes < 0 {
        ('-', -new.time.offset_minutes)
    } else {
        ('+', new.time.offset_minutes)
    };
    let who = format!(
        "{} <{}> {} {sign}{:02}{:02}",
        new.identity.name(),
        new.identity.email(),
        new.time.seconds,
        minutes / 60,
        minutes % 60
    );
    let mut text = format!("tree {}\n", new.tree);
    for parent in new.parents {
        text.push_str(&format!("parent {parent}\n"));
    }
    text.push_str(&format!("author {who}\ncommitter {who}\n\n{}", new.message));
    if !text.ends_with('\n') {
        text.push('\n');
    }
    Ok(text)
}
