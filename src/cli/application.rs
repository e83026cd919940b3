//! What the files of an application may not decide where a plugin renders it: which SidecarSets and ledgers count. They
//! may add SidecarSets to those of pillion.yaml. What the Application itself says, the object, is another matter.

use crate::diagnostics::{Code, Diagnostic};
use crate::render::DocumentObject;
use crate::yaml::{Document, EntryPart, FieldPath as YamlPath};

/// Tells whether a SidecarSet that came in is one of these, unchanged: a kustomization may list what pillion.yaml names.
pub(super) fn is_known_sidecar_set((document, path): &DocumentObject, known: &[DocumentObject]) -> bool {
    let set = path.find(document.value());
    let is_same = |other: &DocumentObject| {
        let other = other.1.find(other.0.value());
        matches!((set, other), (Some(a), Some(b)) if a["metadata"]["name"] == b["metadata"]["name"] && a["spec"] == b["spec"])
    };
    known.iter().any(is_same)
}

/// Refuses a ledger among the manifests of an application.
pub(super) fn application_ledger(document: &Document, path: &YamlPath) -> Diagnostic {
    Diagnostic::error(Code::LedgerMisplaced, "a ledger among the manifests of an application does not count")
        .at(document.label(&path.join(&YamlPath::dotted("kind")), EntryPart::Value, ""))
        .because("the application could choose which revision of a sidecar it gets, or none")
        .help("keep it in the folder that `ledgers` of pillion.yaml names")
}
