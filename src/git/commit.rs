//! Builds commits from their parts alone: the same parts give the same commit on every machine.

use super::{Commit, CommitTime, Error, Identity, ObjectId, Repository, Signing, trailer};
use git2::ObjectType;

/// The parts of a commit.
#[derive(Debug, Clone, Copy)]
pub struct NewCommit<'a> {
    /// The tree of its files.
    pub tree: ObjectId,
    /// The commits before it.
    pub parents: &'a [ObjectId],
    /// The whole message; [`super::trailer::format_message`] builds one.
    pub message: &'a str,
    /// Who wrote it, and when.
    pub author: Signature<'a>,
    /// Who put it into this history, and when.
    pub committer: Signature<'a>,
}

/// An identity and a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signature<'a> {
    /// The identity.
    pub(crate) identity: &'a Identity,
    /// The time: an argument, never the clock.
    pub(crate) time: CommitTime,
}

/// The time of a commit's release to a branch that others follow, and the person who released it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReleaseStamp<'a> {
    /// The committer's date.
    pub at: CommitTime,
    /// The person who released it: the author, whom the trailer `Pillion-By` names, too. None: only the committer.
    pub by: Option<&'a Identity>,
    /// A paragraph that the release adds to the body of the message.
    pub note: Option<&'a str>,
}

impl<'a> Signature<'a> {
    /// Combines an identity and a time.
    pub fn new(identity: &'a Identity, time: CommitTime) -> Self {
        Self { identity, time }
    }
}

impl Repository {
    /// Writes a copy of a commit with its time of release as the committer's date, and with the person who released
    /// it, if any, as its author. Tree, parents and the rest of the message stay. Returns the original's id if
    /// nothing would change.
    ///
    /// # Errors
    /// When the other commit is not in the repository, or as [`Repository::write_commit`].
    pub(crate) fn release_commit(
        &self,
        commit: ObjectId,
        release: &ReleaseStamp<'_>,
        signing: &Signing<'_>,
    ) -> Result<ObjectId, Error> {
        let made = self.commit(commit)?;
        self.release_onto(&made, &made.parents, release, signing)
    }

    /// As [`Repository::release_commit`], for a chain of commits, the first one first. Returns the released commits.
    ///
    /// # Errors
    /// As [`Repository::release_commit`].
    pub(crate) fn release_commits(
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
        if release.by.is_none()
            && release.note.is_none()
            && made.time == release.at
            && *parents == made.parents
        {
            return Ok(made.id);
        }
        let message = release.note.map(|note| trailer::add_paragraph(&made.message, note));
        let message = message.unwrap_or_else(|| made.message.clone());
        let (message, author) = match release.by {
            Some(by) => {
                (trailer::add_trailer(&message, trailer::BY, &by.to_string()), Signature::new(by, release.at))
            }
            None => (message, Signature::new(&made.author, made.author_time)),
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
        // A commit with missing objects would damage the repository.
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

/// Formats identity and time as in a commit.
fn signature_line(who: Signature<'_>) -> String {
    let Signature { identity, time } = who;
    let (sign, minutes) =
        if time.offset_minutes < 0 { ('-', -time.offset_minutes) } else { ('+', time.offset_minutes) };
    format!("{identity} {} {sign}{:02}{:02}", time.seconds, minutes / 60, minutes % 60)
}
