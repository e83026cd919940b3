//! Merges the files of an integration into files that exist, where the format allows it. Lines that are not concerned stay
//! byte for byte.

use crate::diagnostics::Diagnostic;
use crate::yaml::{Document, FieldPath};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;

/// Why a file is not merged.
#[derive(Debug)]
pub(crate) enum MergeError {
    /// It has other content, and its format has no place for more; the text that it would be overwritten with.
    Different(String),
    /// It cannot be read or edited.
    Unreadable(Box<Diagnostic>),
}

impl From<Diagnostic> for MergeError {
    fn from(error: Diagnostic) -> Self {
        Self::Unreadable(Box::new(error))
    }
}

/// Returns the text of an existing file with what a template adds.
///
/// # Errors
/// When the file has other content and is not merged, or cannot be read.
pub(crate) fn merge_file(path: &str, old: &str, template: &str) -> Result<String, MergeError> {
    if old == template {
        return Ok(old.to_owned());
    }
    match path {
        ".pre-commit-config.yaml" => Ok(merge_pre_commit(path, old, template)?),
        _ => Err(MergeError::Different(template.to_owned())),
    }
}

/// Adds the repository of the hooks, or brings its entry up to date: `rev`, and hooks that are missing.
fn merge_pre_commit(path: &str, old: &str, template: &str) -> Result<String, Diagnostic> {
    let name: Arc<str> = path.into();
    let document = Document::read(&name, 0, 1, old)?;
    let template = Document::read(&name, 0, 1, template)?;
    let new = &template.value()["repos"][0];
    let at = FieldPath::dotted("repos");
    let mut repos = document.value()["repos"].as_array().cloned().unwrap_or_default();
    match repos.iter_mut().find(|entry| entry["repo"] == new["repo"]) {
        Some(entry) => {
            entry["rev"] = new["rev"].clone();
            let hooks = entry["hooks"].as_array().cloned().unwrap_or_default();
            let is_missing = |hook: &&Value| !hooks.iter().any(|known| known["id"] == hook["id"]);
            let missing = new["hooks"].as_array().into_iter().flatten().filter(is_missing).cloned();
            entry["hooks"] = hooks.iter().cloned().chain(missing).collect();
        }
        None => repos.push(new.clone()),
    }
    document.rewrite(&at, &Value::Array(repos))
}

/// Lists the files of an integration in the kustomization of their folder: the configuration of pillion as a resource and
/// a transformer, and names of Kruise's kinds.
///
/// # Errors
/// When the kustomization cannot be read or edited.
pub(crate) fn add_to_kustomization(file: &Path, old: &str, names: &[&str]) -> Result<String, MergeError> {
    let shown: Arc<str> = file.to_string_lossy().into();
    let additions = [
        ("resources", "sidecars.yaml"),
        ("transformers", "sidecars.yaml"),
        ("configurations", "kustomizeconfig.yaml"),
    ];
    let mut text = old.to_owned();
    for (key, name) in additions.into_iter().filter(|(_, name)| names.contains(name)) {
        let document = Document::read(&shown, 0, 1, &text)?;
        let listed = document.value()[key].as_array().cloned().unwrap_or_default();
        let is_listed =
            listed.iter().filter_map(Value::as_str).any(|item| item.trim_start_matches("./") == name);
        if !is_listed {
            let new: Vec<Value> = listed.into_iter().chain([json!(name)]).collect();
            text = document.rewrite(&FieldPath::dotted(key), &Value::Array(new))?;
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use indoc::indoc;

    #[test]
    fn hooks_are_added_beside_those_of_others() {
        let template = "repos:\n- repo: https://github.com/a/pillion\n  rev: v2.0.0\n  hooks:\n  - id: pillion-check\n  - id: pillion-validate\n";
        let old = indoc! {"
            # ours
            repos:
              - repo: https://github.com/b/other  # pinned
                rev: v1
                hooks: [{id: x}]
        "};
        let merged = merge_file(".pre-commit-config.yaml", old, template).unwrap();
        assert!(merged.starts_with(old), "{merged}");
        assert!(merged.contains("repo: https://github.com/a/pillion"), "{merged}");
        assert_eq!(merge_file(".pre-commit-config.yaml", &merged, template).unwrap(), merged);
        let older = merged.replace("v2.0.0", "v1.0.0");
        assert_eq!(merge_file(".pre-commit-config.yaml", &older, template).unwrap(), merged);
    }

    #[test]
    fn a_kustomization_lists_the_files_once() {
        let old = "# ours\nresources:\n- ../../base\nnamePrefix: eu-\n";
        let names = ["sidecars.yaml", "kustomizeconfig.yaml"];
        let new = add_to_kustomization(Path::new("kustomization.yaml"), old, &names).unwrap();
        assert!(
            new.starts_with("# ours\nresources:\n- ../../base\n- sidecars.yaml\nnamePrefix: eu-\n"),
            "{new}"
        );
        assert!(new.contains("transformers:") && new.contains("configurations:"), "{new}");
        assert_eq!(add_to_kustomization(Path::new("kustomization.yaml"), &new, &names).unwrap(), new);
    }

    #[test]
    fn other_files_are_not_merged() {
        assert!(matches!(merge_file("Kptfile", "a: b\n", "c: d\n"), Err(MergeError::Different(_))));
    }
}
