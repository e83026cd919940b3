//! Authors and times of commits.

use super::{Error, Repository};
use std::fmt;

/// Author and committer of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    name: String,
    email: String,
}

impl Identity {
    /// Checks a name and an e-mail address for git.
    ///
    /// # Errors
    /// When one is empty or has a character that would end it early: `<`, `>`, a line end or NUL.
    pub fn new(name: &str, email: &str) -> Result<Self, Error> {
        let (name, email) = (name.trim(), email.trim());
        for (field, text) in [("name", name), ("email", email)] {
            if text.is_empty() {
                return Err(Error::InvalidIdentity { field, problem: "is empty".to_owned() });
            }
            if let Some(character) = text.chars().find(|c| matches!(c, '<' | '>') || c.is_control()) {
                return Err(Error::InvalidIdentity {
                    field,
                    problem: format!("has the character {character:?}"),
                });
            }
        }
        Ok(Self { name: name.to_owned(), email: email.to_owned() })
    }

    /// Returns the identity in a commit, even if it is unusual.
    pub(super) fn from_git(signature: &git2::Signature<'_>) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self { name: text(signature.name_bytes()), email: text(signature.email_bytes()) }
    }

    /// Returns the name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the e-mail address.
    pub(crate) fn email(&self) -> &str {
        &self.email
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} <{}>", self.name, self.email)
    }
}

impl Repository {
    /// Returns the configured author: `GIT_AUTHOR_NAME` and `GIT_AUTHOR_EMAIL`, then `user.name` and `user.email` of
    /// git's configuration. None if neither is set: a name that git guesses from the machine does not count.
    ///
    /// # Errors
    /// When git cannot be asked.
    pub(crate) fn configured_author(&self) -> Result<Option<Identity>, Error> {
        let output = self.git(&["-c", "user.useConfigOnly=true", "var", "GIT_AUTHOR_IDENT"])?;
        let output_text = String::from_utf8_lossy(&output.stdout).into_owned();
        let parts = output_text.rsplit_once('>').and_then(|(who, _)| who.split_once('<'));
        let known = parts.filter(|_| output.code == Some(0));
        Ok(known.and_then(|(name, email)| Identity::new(name, email).ok()))
    }
}

/// A time as in a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct CommitTime {
    /// Seconds since 1970, in UTC.
    pub seconds: i64,
    /// Offset of the author's time zone, in minutes east of Greenwich.
    pub offset_minutes: i32,
}

impl CommitTime {
    pub(super) fn from_git(time: git2::Time) -> Self {
        Self { seconds: time.seconds(), offset_minutes: time.offset_minutes() }
    }
}
