//! The files of deploy/: manifests, the Helm chart, and monitoring.

mod chart;
mod manifests;
mod monitoring;

use pillion::yaml::{Document, split_documents};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Returns the text of a file of deploy/.
fn text(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(path)).unwrap()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().path())
        .flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] })
        // The files of the Helm chart are not manifests.
        .filter(|path| {
            path.extension().is_some_and(|e| e == "yaml") && !path.iter().any(|part| part == "helm")
        })
        .collect();
    found.sort();
    found
}

/// Every document of a file or folder of deploy/.
fn documents(path: &str) -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(path);
    let files = if path.is_dir() { files(&path) } else { vec![path] };
    let mut found = Vec::new();
    for file in files {
        let (name, text): (Arc<str>, _) = (file.to_string_lossy().into(), fs::read_to_string(&file).unwrap());
        let (pieces, diagnostics) = split_documents(&name, &text);
        assert_eq!(diagnostics, []);
        for (index, piece) in pieces.into_iter().enumerate() {
            let document = Document::read(&name, index, piece.first_line, &text[piece.span]).unwrap();
            assert_eq!(document.diagnostics(), []);
            found.push(document.value().clone());
        }
    }
    found
}

fn of_kind<'d>(documents: &'d [Value], kind: &str) -> &'d Value {
    documents.iter().find(|d| d["kind"] == kind).unwrap_or_else(|| panic!("no {kind}"))
}

fn words(value: &Value) -> BTreeSet<&str> {
    value.as_array().unwrap().iter().map(|v| v.as_str().unwrap()).collect()
}
