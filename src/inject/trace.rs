//! Where each injected line came from, for `pillion explain`.

use super::revision::Why;
use crate::yaml::{Document, Path};
use std::fmt;
use std::sync::Arc;

/// Which sets were looked at and what each injected line came from.
#[derive(Debug, Clone, Default)]
pub struct Trace {
    /// Every set, in the order it was looked at.
    pub sets: Vec<SetTrace>,
    /// Every injected part of the template, in the order of the template.
    pub origins: Vec<Origin>,
    /// What was taken out: places in the template as it came, and why.
    pub removed: Vec<(Path, String)>,
}

/// What became of one set.
#[derive(Debug, Clone)]
pub struct SetTrace {
    /// The set's name.
    pub set: String,
    /// Whether it was injected.
    pub verdict: Verdict,
}

/// Whether a set was injected, and why (not).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It was; which content, in words.
    Injected(String),
    /// It was not; why not, in words.
    Passed(String),
}

impl SetTrace {
    pub(super) fn passed(set: &str, why: impl Into<String>) -> Self {
        Self { set: set.to_owned(), verdict: Verdict::Passed(why.into()) }
    }

    pub(super) fn injected(set: &str, why: impl Into<String>) -> Self {
        Self { set: set.to_owned(), verdict: Verdict::Injected(why.into()) }
    }
}

/// Where one part of the new template came from.
#[derive(Debug, Clone)]
pub struct Origin {
    /// Its place in the new template, seen from the object that has `metadata` and `spec`.
    pub path: Path,
    /// The set it belongs to; None for what concerns them all (the injected-list).
    pub set: Option<String>,
    /// What put it there, in words.
    pub why: String,
    /// The place in the set's document that says so, where one does.
    pub from: Option<(Arc<Document>, Path)>,
}

/// What put a list item into an injected container, other than the set's author.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source<'a> {
    /// The mark of injected containers.
    Mark,
    /// `transferEnv`, from this container.
    Transferred(&'a str),
    /// A variable that a shared mount of this container needs.
    SubPathExpr(&'a str),
    /// A mount or device of this container.
    Shared(&'a str),
    /// A hot-upgrade pair.
    HotUpgrade,
}

impl fmt::Display for Source<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mark => f.write_str("marks an injected container"),
            Self::Transferred(container) => write!(f, "`transferEnv` from container `{container}`"),
            Self::SubPathExpr(container) => write!(f, "needed by a shared `subPathExpr` of container `{container}`"),
            Self::Shared(container) => write!(f, "shared with container `{container}`"),
            Self::HotUpgrade => f.write_str("tells a hot-upgrade container whether it works"),
        }
    }
}

impl Why {
    /// Returns the reason in words.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Latest => "the set as it is",
            Self::Named => "the revision that `injectionStrategy` names",
            Self::PartialLatest => "the set as it is: `policy: Partial` leaves this workload out",
        }
    }
}
