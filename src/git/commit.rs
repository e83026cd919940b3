//! How is a commit made? From its parts alone, so that the same parts are the same commit on every machine.

use super::{Commit, CommitTime, Error, Identity, ObjectId, Repository, Signing, trailer};
use git2::ObjectType;

/// What a commit is made of.
#[derive(Debug, Clone, Copy)]
pub struct NewCommit<'a> {
    /// The tree of its files.
    pub tree: ObjectId,
    /// The commits before it.
    pub parents: &'a [ObjectId],
    /// The whole message; [`super::trailer::format_message`] makes one.
    pub message: &'a str,
    /// Who wrote it, and when.
    pub author: Signature<'a>,
    /// Who put it into this history, and when.
    pub committer: Signature<'a>,
}

/// Who, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signature<'a> {
    /// Who.
    pub identity: &'a Identity,
    /// When: an argument, never the clock.
    pub time: CommitTime,
}

/// When a commit is put onto a branch that others follow, and by whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReleaseStamp<'a> {
    /// The committer's date.
    pub at: CommitTime,
    /// The person who did it: the author, whom the trailer `Pillion-By` names too. None: nobody but the committer.
    pub by: Option<&'a Identity>,
}

impl<'a> Signature<'a> {
    /// Returns who and when.
    pub fn new(identity: &'a Identity, time: CommitTime) -> Self {
        Self { identity, time }
    }
}

impl Repository {
    /// Writes a commit like another one, with the moment of its release as the committer's date, and with the person
    /// who released it as its author, where there is one. Tree, parents and the rest of the message stay. Returns the
    /// other one's own id where that says all of it already.
    ///
    /// # Errors
    /// When the other commit is not in the repository, or as [`Repository::write_commit`].
    pub fn release_commit(
        &self,
        commit: ObjectId,
        release: &ReleaseStamp<'_>,
        signing: &Signing<'_>,
    ) -> Result<ObjectId, Error> {
        let made = self.commit(commit)?;
        self.release_onto(&made, &made.parents, release, signing)
    }

    /// As [`Repository::release_commit`], for commits that stand on each other, the first one first. Returns them as
    /// they were released.
    ///
    /// # Errors
    /// As [`Repository::release_commit`].
    pub fn release_commits(
        &self,
        commits: &[ObjectId],
        release: &ReleaseStamp<'_>,
        signing: &Signing<'_>,
    ) -> Result<Vec<ObjectId>, Error> {
        let mut released: Vec<ObjectId> = Vec::new();
        for commit in commits {
            let made = self.commit(*commit)?;
            let parents = released.last().map_or_else(|| made.parents.clone(), |before| vec![*before]);
            released.push(self.release_onto(&made, &parents, release, signing)?);
        }
        Ok(released)
    }

    fn release_onto(
        &self,
        made: &Commit,
        parents: &[ObjectId],
        release: &ReleaseStamp<'_>,
        signing: &Signing<'_>,
    ) -> Result<ObjectId, Error> {
        if release.by.is_none() && made.time == release.at && *parents == made.parents {
            return Ok(made.id);
        }
        let (message, author) = match release.by {
            Some(by) => (
                trailer::add_trailer(&made.message, trailer::BY, &by.to_string()),
                Signature::new(by, release.at),
            ),
            None => (made.message.clone(), Signature::new(&made.author, made.author_time)),
        };
        let committer = Signature::new(&made.committer, release.at);
        let new = NewCommit { tree: made.tree, parents, message: &message, author, committer };
        self.write_commit(&new, signing)
    }

    /// Writes a commit and returns its id; no ref is moved.
    ///
    /// # Errors
    /// When the message cannot be written, the tree or a parent is not in the repository (a tree of an editor is
    /// not before [`TreeEditor::finish`](super::TreeEditor::finish)), or the object database fails.
    pub fn write_commit(&self, new: &NewCommit<'_>, signing: &Signing<'_>) -> Result<ObjectId, Error> {
        let bytes = encode_commit(new, signing)?;
        let odb = self.inner.odb().map_err(Error::from_git("opening the object database"))?;
        // A commit that names what is not there would leave a damaged repository behind.
        for id in std::iter::once(&new.tree).chain(new.parents) {
            if !odb.exists(id.0) {
                return Err(Error::MissingObject { id: *id, hint: self.missing_hint() });
            }
        }
        odb.write(ObjectType::Commit, &bytes).map(ObjectId).map_err(Error::from_git("writing a commit"))
    }
}

/// Returns the bytes of a commit object.
pub(super) fn encode_commit(new: &NewCommit<'_>, signing: &Signing<'_>) -> Result<Vec<u8>, Error> {
    signing.sign(commit_text(new)?.into_bytes(), new.committer.identity)
}

/// Returns the text of a commit object.
fn commit_text(new: &NewCommit<'_>) -> Result<String, Error> {
    if new.message.contains('\0') {
        return Err(Error::InvalidMessage);
    }
    let mut text = format!("tree {}\n", new.tree);
    for parent in new.parents {
        text.push_str(&format!("parent {parent}\n"));
    }
    let (author, committer) = (signature_line(new.author), signature_line(new.committer));
    text.push_str(&format!("author {author}\ncommitter {committer}\n\n{}", new.message));
    if !text.ends_with('\n') {
        text.push('\n');
    }
    Ok(text)
}

/// Returns who and when as a commit writes it.
fn signature_line(who: Signature<'_>) -> String {
    let Signature { identity, time } = who;
    let (sign, minutes) =
        if time.offset_minutes < 0 { ('-', -time.offset_minutes) } else { ('+', time.offset_minutes) };
    format!("{identity} {} {sign}{:02}{:02}", time.seconds, minutes / 60, minutes % 60)
}
