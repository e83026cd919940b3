//! Object ids.

use std::fmt;
use std::str::FromStr;

/// An object id: the SHA-1 of the content.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectId(pub(super) git2::Oid);

impl ObjectId {
    /// Returns the first ten digits, for people.
    pub fn short(self) -> String {
        let mut text = self.to_string();
        text.truncate(10);
        text
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl fmt::Debug for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl FromStr for ObjectId {
    type Err = ParseObjectIdError;

    /// Parses forty hexadecimal digits; a shorter name is a revision, see [`super::Repository::resolve`].
    fn from_str(text: &str) -> Result<Self, ParseObjectIdError> {
        if text.len() != 40 {
            return Err(ParseObjectIdError);
        }
        git2::Oid::from_str(text).map(Self).map_err(|_| ParseObjectIdError)
    }
}

/// The text is not a full object id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the forty hexadecimal digits of a commit id")]
pub struct ParseObjectIdError;
