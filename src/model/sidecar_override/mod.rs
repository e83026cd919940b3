//! SidecarOverrides: what one application changes in the sidecars of its workloads.

mod decode;
mod resolve;
mod wire;

pub(crate) use decode::decode;
pub(crate) use resolve::{ChosenChange, ResolvedOverrides};
pub(crate) use wire::json_schema;

use super::config::OverridableField;
use super::selector::Selector;
use crate::diagnostics::Span;
use crate::yaml::{Document, EntryPart, FieldPath};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// The kind of the document.
pub(crate) const KIND: &str = "SidecarOverride";

/// How the holder of a ledger entry begins where a SidecarOverride holds the workload.
pub(crate) const HOLDER_PREFIX: &str = "SidecarOverride ";

/// One SidecarOverride.
#[derive(Debug)]
pub struct SidecarOverride {
    /// `metadata.name`.
    pub(crate) name: String,
    /// `metadata.namespace`; None: workloads of every namespace.
    pub(crate) namespace: Option<String>,
    /// `sidecarSet`.
    pub(crate) sidecar_set: String,
    /// The workloads.
    pub(crate) target: OverrideTarget,
    /// What changes, each field by itself, in the order of the document.
    pub(crate) changes: Vec<OverrideChange>,
    /// The document.
    pub(crate) document: Arc<Document>,
    /// Its path in the document.
    pub(crate) path: FieldPath,
}

/// The workloads of a SidecarOverride, as far as their folder and namespace do not exclude them.
#[derive(Debug)]
pub(crate) enum OverrideTarget {
    /// All.
    Folder,
    /// Those with labels.
    Selector(Selector),
    /// One.
    Workload {
        /// Kind, with or without its group.
        kind: String,
        /// Name.
        name: String,
    },
}

/// The precedence of a SidecarOverride: a later one wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum OverrideRank {
    /// It names no workload.
    Folder,
    /// It has a selector.
    Selector,
    /// It names one workload.
    Workload,
}

impl OverrideRank {
    /// Returns it in words.
    pub(crate) fn description(self) -> &'static str {
        match self {
            Self::Folder => "for all workloads beside them",
            Self::Selector => "by selector",
            Self::Workload => "for this workload",
        }
    }
}

/// A hold of one workload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OverrideHold {
    /// The last day, `YYYY-MM-DD` in UTC.
    pub(crate) until: Arc<str>,
    /// Why.
    pub(crate) reason: Arc<str>,
    /// Who: `SidecarOverride NAME`.
    pub(crate) by: Arc<str>,
    /// The place of the hold, `file:line:column`.
    pub(crate) place: String,
}

/// One changed field.
#[derive(Debug)]
pub(crate) struct OverrideChange {
    /// The field.
    pub(crate) field: OverrideField,
    /// Its value, as in a pod; null: it is removed. Of a hold, `until` and `reason`.
    pub(crate) value: Value,
    /// The path of the value in the document.
    pub(crate) path: FieldPath,
}

/// A field that SidecarOverrides change: of those for one workload, only one may change it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum OverrideField {
    /// Whether the workload goes without the SidecarSet.
    Exclude,
    /// A hold.
    Hold,
    /// A field of a container of the SidecarSet.
    Container {
        /// Its name.
        container: String,
        /// The field.
        part: ContainerField,
    },
}

/// A field of a container.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ContainerField {
    /// A request or limit.
    Resource {
        /// `requests` or `limits`.
        list: &'static str,
        /// `cpu`, `memory` or `ephemeral-storage`.
        resource: String,
    },
    /// A variable, by its name.
    Variable(String),
    /// The arguments.
    Args,
    /// A mount, by its path.
    Mount(String),
}

impl OverrideField {
    /// Returns the word for it in `overrides:` of pillion.yaml.
    pub(crate) fn permission(&self) -> OverridableField {
        match self {
            Self::Exclude => OverridableField::Exclude,
            Self::Hold => OverridableField::Hold,
            Self::Container { part: ContainerField::Resource { .. }, .. } => OverridableField::Resources,
            Self::Container { part: ContainerField::Variable(_), .. } => OverridableField::Env,
            Self::Container { part: ContainerField::Args, .. } => OverridableField::Args,
            Self::Container { part: ContainerField::Mount(_), .. } => OverridableField::VolumeMounts,
        }
    }
}

impl fmt::Display for OverrideField {
    /// Writes what it is, in words.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (container, part) = match self {
            Self::Exclude => return f.write_str("`exclude`"),
            Self::Hold => return f.write_str("`hold`"),
            Self::Container { container, part } => (container, part),
        };
        match part {
            ContainerField::Resource { list, resource } => {
                write!(f, "`resources.{list}.{resource}` of container `{container}`")
            }
            ContainerField::Variable(name) => write!(f, "variable `{name}` of container `{container}`"),
            ContainerField::Args => write!(f, "`args` of container `{container}`"),
            ContainerField::Mount(path) => write!(f, "the mount at `{path}` of container `{container}`"),
        }
    }
}

impl SidecarOverride {
    /// Returns its precedence.
    pub(crate) fn rank(&self) -> OverrideRank {
        match self.target {
            OverrideTarget::Folder => OverrideRank::Folder,
            OverrideTarget::Selector(_) => OverrideRank::Selector,
            OverrideTarget::Workload { .. } => OverrideRank::Workload,
        }
    }

    /// Returns whether it is for a workload, by its key and the labels of its pod template. The caller compares folders.
    pub(crate) fn matches(&self, key: &str, labels: &BTreeMap<String, String>) -> bool {
        let mut parts = key.splitn(3, '/');
        let [kind, namespace, name] = [(); 3].map(|()| parts.next().unwrap_or_default());
        if self.namespace.as_ref().is_some_and(|own| own != namespace) {
            return false;
        }
        match &self.target {
            OverrideTarget::Folder => true,
            OverrideTarget::Selector(selector) => selector.matches(labels),
            OverrideTarget::Workload { kind: wanted, name: wanted_name } => {
                let is_kind = wanted == kind || kind.split('.').next() == Some(wanted);
                is_kind && wanted_name == name
            }
        }
    }

    /// Returns a label at a field below `spec`.
    pub(crate) fn spec_label(&self, field: &str, text: impl Into<String>) -> Span {
        let path = self.path.join(&FieldPath::dotted("spec")).join(&FieldPath::dotted(field));
        self.document.label(&path, EntryPart::Value, text)
    }

    /// Returns how ledgers and reports name it: `SidecarOverride NAME`.
    pub(crate) fn title(&self) -> String {
        format!("{HOLDER_PREFIX}{}", self.name)
    }

    /// Returns all that changes pods, for digests; None: it only holds.
    pub(crate) fn content(&self) -> Option<Value> {
        let changes = self.changes.iter().filter(|change| change.field != OverrideField::Hold);
        let changes: Vec<Value> = changes.map(|c| json!([c.field.to_string(), c.value])).collect();
        (!changes.is_empty()).then(|| json!([self.sidecar_set, self.rank().description(), changes]))
    }
}
