//! Kustomizations that use pillion, and whether it goes unnoticed if kustomize ignores it.

use super::yaml_files::find_yaml_files;
use super::{CheckState, DoctorCheck};
use crate::cli::GlobalArgs;
use crate::integrations::kustomization::FILE_NAMES;
use crate::model::config::function_config;
use crate::model::workload::type_meta;
use crate::read::decode_text;
use crate::sandbox::SandboxPath;
use crate::yaml::{Document, split_documents};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A document of the repository.
pub(super) struct DoctorDocument {
    pub(super) file: PathBuf,
    pub(super) value: Value,
}

/// The most bytes of a file that is looked at: doctor answers soon in any repository.
const MAX_FILE_BYTES: u64 = 16 << 20;

/// Which documents are of interest: kustomizations, configurations of pillion, and Applications.
pub(super) fn find_documents(path: &Path, _common: &GlobalArgs) -> Vec<DoctorDocument> {
    let mut found = Vec::new();
    for file in find_yaml_files(path) {
        let name: Arc<str> = file.to_string_lossy().into();
        let inner = file.strip_prefix(path).unwrap_or(&file);
        let Ok(bytes) = SandboxPath::from_user_path(path).join(inner).read(MAX_FILE_BYTES) else { continue };
        let Ok(text) = decode_text(bytes, &name) else { continue };
        let is_kustomization = file.file_name().is_some_and(|n| FILE_NAMES.iter().any(|k| n == *k));
        if !is_kustomization && !["Application", function_config::KIND].iter().any(|kind| text.contains(kind))
        {
            continue;
        }
        for (index, piece) in split_documents(&name, &text).0.into_iter().enumerate() {
            let read = Document::read(&name, index, piece.first_line, &text[piece.span]);
            let Ok(document) = read else { continue };
            let value = document.value().clone();
            let is_wanted = is_kustomization
                || type_meta(&value).is_some_and(|(_, k)| {
                    k == "Application" || k == "ApplicationSet" || k == function_config::KIND
                });
            if is_wanted {
                found.push(DoctorDocument { file: file.clone(), value });
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
    for kustomization in
        found.iter().filter(|f| f.file.file_name().is_some_and(|n| FILE_NAMES.iter().any(|k| n == *k)))
    {
        let folder = kustomization.file.parent().unwrap_or(Path::new(""));
        let listed = |key: &str| -> Vec<PathBuf> {
            let list = kustomization.value[key].as_array().into_iter().flatten();
            list.filter_map(Value::as_str).map(|p| crate::read::normalize_path(&folder.join(p))).collect()
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
