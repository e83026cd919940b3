//! The kinds of documents that pillion reads by itself: one row each.

use super::api::{KRUISE_GROUP, PILLION_GROUP};
use super::config::{self, function_config};
use super::ledger;
use super::sidecar_override;
use super::suggestion::closest_match;
use serde_json::Value;

/// A kind of document that pillion reads.
#[derive(Debug)]
pub(crate) struct OwnKind {
    /// The group of its `apiVersion`.
    pub(crate) group: &'static str,
    /// Its `kind`.
    pub(crate) kind: &'static str,
    /// What a render collects it for; None if it is found by the name of its file or handed over by another program.
    pub(crate) input: Option<RenderInput>,
    /// Its JSON Schema.
    pub(crate) schema: Option<OwnSchema>,
}

/// What a document contributes to a render.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RenderInput {
    /// A SidecarSet.
    SidecarSet,
    /// A ledger.
    Ledger,
    /// A SidecarOverride.
    Override,
}

/// A JSON Schema, as `pillion schema` prints it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OwnSchema {
    /// The word for it on the command line.
    pub(crate) name: &'static str,
    /// What it describes.
    pub(crate) about: &'static str,
    /// Returns it.
    pub(crate) json: fn() -> &'static Value,
}

/// Every kind.
pub(crate) static OWN_KINDS: &[OwnKind] = &[
    OwnKind {
        group: PILLION_GROUP,
        kind: "Repository",
        input: None,
        schema: Some(OwnSchema { name: "repository", about: "pillion.yaml", json: config::json_schema }),
    },
    OwnKind {
        group: PILLION_GROUP,
        kind: "SidecarRollout",
        input: Some(RenderInput::Ledger),
        schema: Some(OwnSchema {
            name: "ledger",
            about: "Ledgers (SidecarRollout)",
            json: ledger::json_schema,
        }),
    },
    OwnKind {
        group: PILLION_GROUP,
        kind: function_config::KIND,
        input: None,
        schema: Some(OwnSchema {
            name: "sidecars",
            about: "The configuration of a kustomize transformer or a KRM function (Sidecars)",
            json: function_config::json_schema,
        }),
    },
    OwnKind {
        group: PILLION_GROUP,
        kind: sidecar_override::KIND,
        input: Some(RenderInput::Override),
        schema: Some(OwnSchema {
            name: "override",
            about: "What an application changes in its sidecars (SidecarOverride)",
            json: sidecar_override::json_schema,
        }),
    },
    OwnKind { group: KRUISE_GROUP, kind: "SidecarSet", input: Some(RenderInput::SidecarSet), schema: None },
];

/// What the type of an object says about it.
#[derive(Debug)]
pub(crate) enum KindMatch {
    /// It is of this kind.
    Own(&'static OwnKind),
    /// No program knows such a type. It was probably meant to be of this kind.
    Misspelled(Option<&'static OwnKind>),
    /// It is of another program, or a list.
    Foreign,
}

/// Compares the type of an object with the kinds that pillion reads. pillion alone has kinds in its own group, so each unknown one there is an error; the
/// group of Kruise has many kinds, and another group may have any.
pub(crate) fn match_kind(group: &str, kind: Option<&str>) -> KindMatch {
    let of_group = OWN_KINDS.iter().filter(|own| own.group == group);
    let Some(kind) = kind else {
        return match group {
            // Most objects of this group that lost their kind are SidecarSets of old articles, with `Kind:`.
            KRUISE_GROUP => KindMatch::Misspelled(of_group.clone().next()),
            PILLION_GROUP => KindMatch::Misspelled(None),
            _ => KindMatch::Foreign,
        };
    };
    if let Some(own) = of_group.clone().find(|own| own.kind == kind) {
        return KindMatch::Own(own);
    }
    if kind.ends_with("List") {
        return KindMatch::Foreign;
    }
    let is_spelling = |own: &&OwnKind| {
        own.input.is_some()
            && (kind.eq_ignore_ascii_case(own.kind) || kind.strip_suffix('s') == Some(own.kind))
    };
    let alike = || closest_match(kind, of_group.clone().map(|own| own.kind));
    let spelled = OWN_KINDS.iter().find(is_spelling);
    match spelled.or_else(|| alike().and_then(|alike| of_group.clone().find(|own| own.kind == alike))) {
        Some(own) => KindMatch::Misspelled(Some(own)),
        None if group == PILLION_GROUP => KindMatch::Misspelled(None),
        None => KindMatch::Foreign,
    }
}
