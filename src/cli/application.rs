//! What an application may not decide where it is rendered by a plugin: which SidecarSets and ledgers count for it. It
//! may add SidecarSets of its own to those of pillion.yaml.

use crate::diag::{Code, Diagnostic, Label};
use crate::read::Layout;
use crate::render::Found;
use crate::yaml::{Document, Part, Path as YamlPath};
use std::path::PathBuf;

/// Tells whether a SidecarSet that came in is one of these, unchanged: a kustomization may list what pillion.yaml names.
pub(super) fn is_one_of((document, path): &Found, known: &[Found]) -> bool {
    let set = path.find(document.value());
    let is_same = |other: &Found| {
        let other = other.1.find(other.0.value());
        matches!((set, other), (Some(a), Some(b)) if a["metadata"]["name"] == b["metadata"]["name"] && a["spec"] == b["spec"])
    };
    known.iter().any(is_same)
}

/// Refuses ledgers that an application chooses outside of the folder that pillion.yaml has for them.
pub(super) fn ledgers_elsewhere(paths: &[PathBuf], layout: &Layout, at: &Label) -> Vec<Diagnostic> {
    let of_repository = layout.ledgers.as_ref().map(|ledgers| layout.root.join(ledgers));
    let of_repository = of_repository.and_then(|folder| folder.canonicalize().ok());
    let is_there = |path: &&PathBuf| matches!((path.canonicalize(), &of_repository), (Ok(path), Some(folder)) if path.starts_with(folder));
    let refuse = |path: &PathBuf| {
        let message = format!("`{}` is not in the folder of ledgers of pillion.yaml", path.display());
        Diagnostic::error(Code::PathOutside, message)
            .at(at.clone())
            .because("an application could choose which revision of a sidecar it gets, or none")
            .help("name a folder or file below `ledgers` of pillion.yaml, or none at all")
    };
    paths.iter().filter(|path| !is_there(path)).map(refuse).collect()
}

/// Refuses a ledger among the manifests of an application.
pub(super) fn ledger_of_application(document: &Document, path: &YamlPath) -> Diagnostic {
    Diagnostic::error(Code::LedgerMisplaced, "a ledger among the manifests of an application does not count")
        .at(document.label(&path.join(&YamlPath::dotted("kind")), Part::Value, ""))
        .because("the application could choose which revision of a sidecar it gets, or none")
        .help("keep it in the folder that `ledgers` of pillion.yaml names")
}
