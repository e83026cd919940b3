//! Records the origin of each injected line, for `pillion explain`.

use crate::model::ledger::{LedgerEntry, RevisionName};
use crate::model::sidecar_override::OverrideHold;
use crate::yaml::{Document, FieldPath};
use std::fmt;
use std::sync::Arc;

/// Which sets were looked at and what each injected line came from.
#[derive(Debug, Clone, Default)]
pub struct InjectionTrace {
    /// Every set, in the order it was looked at.
    pub sets: Vec<SetTrace>,
    /// Every injected part of the template, in the order of the template.
    pub origins: Vec<PartOrigin>,
    /// What was removed: places in the template as it came, and why.
    pub removed: Vec<(FieldPath, String)>,
    /// What the ledgers say of the workload, in the order of their names.
    pub(crate) ledgers: Vec<LedgerTrace>,
}

/// What a ledger says of one workload.
#[derive(Debug, Clone)]
pub struct LedgerTrace {
    /// The set's name.
    pub(crate) set: Arc<str>,
    /// What a workload without a line has.
    pub(crate) released: RevisionName,
    /// Where the open rollout goes; the outer None: no rollout is open.
    pub(crate) target: Option<RevisionName>,
    /// The workload's line, as far as it counts.
    pub(crate) entry: Option<LedgerEntry>,
    /// A SidecarOverride that holds the workload.
    pub(crate) override_hold: Option<OverrideHold>,
}

/// What became of one set.
#[derive(Debug, Clone)]
pub struct SetTrace {
    /// The set's name.
    pub set: String,
    /// Whether it was injected.
    pub verdict: InjectionVerdict,
}

/// Whether a set was injected, and why (not).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InjectionVerdict {
    /// It was; which content, in words.
    Injected(String),
    /// It was not; why not, in words.
    Skipped(String),
}

impl SetTrace {
    pub(super) fn skipped(set: &str, why: impl Into<String>) -> Self {
        Self { set: set.to_owned(), verdict: InjectionVerdict::Skipped(why.into()) }
    }

    pub(super) fn injected(set: &str, why: impl Into<String>) -> Self {
        Self { set: set.to_owned(), verdict: InjectionVerdict::Injected(why.into()) }
    }
}

/// Where one part of the new template came from.
#[derive(Debug, Clone)]
pub struct PartOrigin {
    /// Its place in the new template, seen from the object that has `metadata` and `spec`.
    pub path: FieldPath,
    /// The set it belongs to; None for what concerns them all (the injected-list).
    pub(crate) set: Option<String>,
    /// What put it there, in words.
    pub reason: String,
    /// The place in the set's document that says so, where one does.
    pub(crate) from: Option<(Arc<Document>, FieldPath)>,
}

/// What put a list item into an injected container, other than the set's author.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ItemSource<'a> {
    /// The mark of injected containers.
    InjectedMark,
    /// `transferEnv`, from this container.
    Transferred(&'a str),
    /// A variable that a shared mount of this container needs.
    SubPathExpr(&'a str),
    /// A mount or device of this container.
    SharedMount(&'a str),
    /// A hot-upgrade pair.
    HotUpgrade,
}

impl fmt::Display for ItemSource<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InjectedMark => f.write_str("marks an injected container"),
            Self::Transferred(container) => write!(f, "`transferEnv` from container `{container}`"),
            Self::SubPathExpr(container) => {
                write!(f, "needed by a shared `subPathExpr` of container `{container}`")
            }
            Self::SharedMount(container) => write!(f, "shared with container `{container}`"),
            Self::HotUpgrade => f.write_str("marks the active container of a hot-upgrade pair"),
        }
    }
}
