//! Kustomizations that use pillion, and whether it goes unnoticed if kustomize ignores it.

use super::{CheckState, DoctorCheck};
use crate::model::config::function_config;
use crate::model::workload::type_meta;
use crate::read::{decode_text, list_visible_files, normalize_path};
use crate::sandbox::SandboxPath;
use crate::workspace::is_kustomization;
use crate::yaml::{Document, split_documents};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A document of the repository.
pub(super) struct DoctorDocument {
    pub(super) file: PathBuf,
    pub(super) value: Value,
}

/// YAML files that are read at most, and bytes of each: doctor must be quick in any repository.
const MAX_SCANNED_FILES: usize = 20_000;
const MAX_SCANNED_BYTES: u64 = 16 << 20;

/// Finds the kustomizations, configurations of pillion and Applications below a folder.
pub(super) fn find_documents(folder: &Path) -> Vec<DoctorDocument> {
    let is_yaml = |path: &Path| {
        path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml")
            || is_kustomization(path)
    };
    let mut found = Vec::new();
    for inner in list_visible_files(folder, MAX_SCANNED_FILES, is_yaml) {
        let file = normalize_path(&folder.join(&inner));
        let name: Arc<str> = file.to_string_lossy().into();
        let bytes = SandboxPath::from_user_path(folder).join(&inner).read(MAX_SCANNED_BYTES);
        let Some(text) = bytes.ok().and_then(|bytes| decode_text(bytes, &name).ok()) else { continue };
        let has_kind =
            |kind: &str| kind == function_config::KIND || matches!(kind, "Application" | "ApplicationSet");
        let is_candidate = [function_config::KIND, "Application"].iter().any(|kind| text.contains(kind));
        if !is_candidate && !is_kustomization(&file) {
            continue;
        }
        for (index, piece) in split_documents(&name, &text).0.into_iter().enumerate() {
            let read = Document::read(&name, index, piece.first_line, &text[piece.span]);
            let Ok(document) = read else { continue };
            let value = document.value();
            if is_kustomization(&file) || type_meta(value).is_some_and(|(_, kind)| has_kind(kind)) {
                found.push(DoctorDocument { file: file.clone(), value: value.clone() });
            }
        }
    }
    found
}

pub(super) fn check(found: &[DoctorDocument]) -> Vec<DoctorCheck> {
    let mut checks = Vec::new();
    let is_configuration = |file: &Path| {
        found
            .iter()
            .any(|f| f.file == file && type_meta(&f.value).is_some_and(|(_, k)| k == function_config::KIND))
    };
    for kustomization in found.iter().filter(|found| is_kustomization(&found.file)) {
        let folder = kustomization.file.parent().unwrap_or(Path::new(""));
        let listed = |key: &str| -> Vec<PathBuf> {
            let list = kustomization.value[key].as_array().into_iter().flatten();
            list.filter_map(Value::as_str).map(|p| normalize_path(&folder.join(p))).collect()
        };
        let resources = listed("resources");
        for transformer in listed("transformers").iter().filter(|p| is_configuration(p)) {
            let name = kustomization.file.display();
            checks.push(match resources.contains(transformer) {
                true => DoctorCheck::new(CheckState::Ok, "kustomization", format!("`{name}`: pillion is a transformer, with a guard document")),
                false => DoctorCheck::new(CheckState::Warning, "kustomization", format!("`{name}`: pillion is a transformer without a guard document"))
                    .help(format!("list `{}` under `resources:` too: kustomize without `--enable-exec` skips functions silently, and then this document stays in the output", transformer.display())),
            });
        }
    }
    checks
}
