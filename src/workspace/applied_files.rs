//! Detects the files that `kubectl apply -R`, Argo CD or Flux apply from a folder.

use crate::read::KUSTOMIZATION_NAMES;
use crate::yaml::{Document, split_documents};
use std::path::Path;
use std::sync::Arc;

/// The name prefix of files that change an Application of Argo CD.
const ARGOCD_SOURCE_PREFIX: &str = ".argocd-source";

/// Returns whether a file may be applied, by its name.
pub(crate) fn may_be_applied(name: &Path) -> bool {
    let extension = name.extension().map(|e| e.to_string_lossy().to_lowercase());
    let is_manifest = |e: &str| matches!(e, "yaml" | "yml" | "json" | "jsonnet");
    is_entry_file(name) || extension.as_deref().is_some_and(is_manifest)
}

/// Returns whether a file is applied, or changes what is applied. Unreadable text counts as applied.
pub(crate) fn is_applied(name: &Path, text: &str) -> bool {
    if !may_be_applied(name) {
        return false;
    }
    let is_program = name.extension().is_some_and(|e| e.eq_ignore_ascii_case("jsonnet"));
    if is_entry_file(name) || is_program {
        return true;
    }
    let file: Arc<str> = name.to_string_lossy().into();
    let (pieces, diagnostics) = split_documents(&file, text);
    !diagnostics.is_empty()
        || pieces.into_iter().enumerate().any(|(i, piece)| {
            let document = Document::read(&file, i, piece.first_line, &text[piece.span]);
            // The workflow of a git provider has neither, and is not applied.
            document
                .map_or(true, |d| d.value().get("kind").is_some() || d.value().get("apiVersion").is_some())
        })
}

/// Returns whether a file selects what else is applied, whatever its content; names in another case count too.
fn is_entry_file(name: &Path) -> bool {
    let name = name.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    KUSTOMIZATION_NAMES.iter().chain(&["Chart.yaml"]).any(|entry| name.eq_ignore_ascii_case(entry))
        || name.starts_with(ARGOCD_SOURCE_PREFIX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_agent_applies_is_found() {
        let is = |name: &str, text: &str| is_applied(Path::new(name), text);
        let pod = "apiVersion: v1\nkind: Pod\n";
        for name in ["a.yaml", "shop/a.yml", "a.YAML", ".hidden.yaml"] {
            assert!(is(name, pod), "{name}");
        }
        assert!(is("a.json", "{\"apiVersion\": \"v1\", \"kind\": \"Pod\"}"));
        assert!(is("a.json", "{\"kind\": \"Pod\"}\n{\"kind\": \"Pod\"}"));
        assert!(is("a.yaml", &format!("# nothing\n---\n{pod}")));
        assert!(is("a.yaml", "a: [") && is("a.jsonnet", "{}"));
        assert!(
            is("kustomization.yaml", "resources: [a]") && is("Kustomization", "") && is("Chart.yaml", "")
        );
        assert!(is(".argocd-source.yaml", "kustomize: {images: [a=b]}"));
    }

    #[test]
    fn what_nobody_applies_is_none_of_it() {
        let is = |name: &str, text: &str| is_applied(Path::new(name), text);
        assert!(!is("README.md", "kind: Pod") && !is("a.txt", "kind: Pod") && !is("a", "kind: Pod"));
        assert!(!is(".github/workflows/ci.yaml", "on: [push]\njobs: {}\n"));
        assert!(!is("values.json", "{\"a\": 1}") && !is("a.yaml", "# nothing\n") && !is("a.yaml", ""));
    }
}
