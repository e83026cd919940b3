//! How a commit gets onto the live branch: by a push with a lease, or where there is no remote by moving the ref.

use super::repository::Opened;
use crate::git::{Expected, Id};
use crate::stage::{Failure, Live};

/// Where commits wait that are not to be pushed.
const OUTBOX: &str = "refs/pillion/outbox";

/// What became of a commit.
pub(super) enum Landed {
    /// It is there; in words.
    At(String),
    /// Somebody else was faster.
    Moved,
}

impl Opened {
    /// Puts a commit on top of what is live; with `stays` it is left in this repository.
    pub(super) fn land(&self, live: &Live<'_>, commit: Id, stays: bool) -> Result<Landed, Failure> {
        if stays {
            self.repository.update_ref(OUTBOX, commit, Expected::Anything, "pillion: left here by --no-push")?;
            return Ok(Landed::At(format!("left at {OUTBOX}: `git push {} {OUTBOX}:{}` releases it", self.branches.remote, self.branches.live)));
        }
        let expected = Expected::read(Some(live.head.id));
        match self.repository.update_ref(&self.branches.local(), commit, expected, "pillion") {
            Ok(()) => Ok(Landed::At(format!("on {}", self.branches.live))),
            Err(crate::git::Failure::RefMoved { .. }) => Ok(Landed::Moved),
            Err(failure) => Err(failure.into()),
        }
    }
}
