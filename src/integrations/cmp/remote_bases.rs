//! Finds what kustomize would fetch from outside of the repository: checks every reference of a kustomization, and of the
//! local ones that it lists, before kustomize starts (kustomize v5 api/internal/loader/fileloader.go,
//! api/internal/git/repospec.go).

use super::ALLOW_REMOTE_VARIABLE;
use crate::diagnostics::{Code, Diagnostic};
use crate::read::{KUSTOMIZATION_NAMES, normalize_path, read_file};
use crate::sandbox::or_current_dir;
use crate::yaml::{Document, EntryPart, FieldPath, split_documents};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Keys for files, folders with a kustomization, and repositories.
const BASE_KEYS: &[&str] = &["resources", "bases", "components"];

/// Keys for configurations of plugins: files, folders, repositories, or the configuration itself.
const PLUGIN_KEYS: &[&str] = &["generators", "transformers", "validators"];

/// Keys for files and URLs of files, of kustomizations and of built-in plugins.
const FILE_KEYS: &[&str] = &[
    "configurations",
    "crds",
    "env",
    "envs",
    "files",
    "patchesjson6902",
    "patchesstrategicmerge",
    "path",
    "paths",
];

/// Keys for texts of the user, which name no files.
const TEXT_KEYS: &[&str] =
    &["commonannotations", "commonlabels", "labels", "literals", "metadata", "options", "patch"];

/// Finds the references of a folder's kustomization that lead out of the repository.
pub(super) fn find_remote_bases(folder: &Path) -> Vec<Diagnostic> {
    let mut search = RemoteBaseSearch::default();
    search.search_folder(&normalize_path(folder), false);
    search.diagnostics
}

#[derive(Default)]
struct RemoteBaseSearch {
    /// Folders and files that were searched, each with whether as a plugin.
    visited: BTreeSet<(PathBuf, bool)>,
    diagnostics: Vec<Diagnostic>,
}

/// Where a reference is written.
struct ReferenceLocation<'a> {
    document: &'a Document,
    folder: &'a Path,
    /// The kustomization builds configurations of plugins.
    is_plugin: bool,
}

impl RemoteBaseSearch {
    fn mark_visited(&mut self, path: &Path, is_plugin: bool) -> bool {
        let Ok(path) = or_current_dir(path).canonicalize() else { return false };
        self.visited.insert((path, is_plugin))
    }

    fn search_folder(&mut self, folder: &Path, is_plugin: bool) {
        if !self.mark_visited(folder, is_plugin) {
            return;
        }
        for file in KUSTOMIZATION_NAMES.iter().map(|name| folder.join(name)).filter(|file| file.is_file()) {
            self.search_file(&file, folder, is_plugin);
        }
    }

    /// Searches a kustomization, or the configuration of a plugin.
    fn search_file(&mut self, file: &Path, folder: &Path, is_plugin: bool) {
        let name: Arc<str> = file.to_string_lossy().into();
        match read_file(file, &name) {
            Ok(text) => self.search_text(&name, &text, folder, is_plugin),
            Err(diagnostic) => self.diagnostics.push(diagnostic),
        }
    }

    fn search_text(&mut self, name: &Arc<str>, text: &str, folder: &Path, is_plugin: bool) {
        let (pieces, diagnostics) = split_documents(name, text);
        self.diagnostics.extend(diagnostics.into_iter().filter(Diagnostic::is_error));
        for (index, piece) in pieces.into_iter().enumerate() {
            match Document::read(name, index, piece.first_line, &text[piece.span]) {
                Ok(document) => {
                    let place = ReferenceLocation { document: &document, folder, is_plugin };
                    self.search_value(&place, &FieldPath::root(), document.value());
                }
                // What cannot be read here may be read by kustomize.
                Err(diagnostics) => self.diagnostics.push(diagnostics),
            }
        }
    }

    fn search_value(&mut self, place: &ReferenceLocation<'_>, path: &FieldPath, value: &Value) {
        match value {
            Value::Object(map) => {
                for (key, value) in map {
                    self.search_entry(place, &path.child(key.as_str()), key, value);
                }
            }
            Value::Array(list) => {
                for (i, value) in list.iter().enumerate() {
                    self.search_value(place, &path.child(i), value);
                }
            }
            _ => {}
        }
    }

    fn search_entry(&mut self, place: &ReferenceLocation<'_>, path: &FieldPath, key: &str, value: &Value) {
        // kustomize reads keys as Go's JSON does: upper and lower case are one, and so are `s` and the long one.
        let key = key.to_lowercase().replace('\u{17f}', "s");
        let is_one_of = |keys: &[&str]| keys.contains(&key.as_str());
        if is_one_of(TEXT_KEYS) {
            return;
        }
        for (path, text) in string_entries(path, value) {
            if is_one_of(BASE_KEYS) {
                self.check_base(place, &path, text, place.is_plugin);
            } else if is_one_of(PLUGIN_KEYS) {
                self.check_plugin(place, &path, text);
            } else if is_one_of(FILE_KEYS) && is_file_url(text) {
                self.diagnostics.push(remote_base(place, &path, text));
            }
        }
        self.search_value(place, path, value);
    }

    /// Checks a folder, file or repository that a kustomization lists.
    fn check_base(&mut self, place: &ReferenceLocation<'_>, path: &FieldPath, text: &str, is_plugin: bool) {
        let local = normalize_path(&place.folder.join(text));
        if is_remote(text, &local) {
            self.diagnostics.push(remote_base(place, path, text));
        } else if local.is_dir() {
            self.search_folder(&local, is_plugin);
        } else if is_plugin && local.is_file() && self.mark_visited(&local, true) {
            self.search_file(&local, place.folder, true);
        }
    }

    /// Checks the configuration of a plugin, or a reference to one.
    fn check_plugin(&mut self, place: &ReferenceLocation<'_>, path: &FieldPath, text: &str) {
        if is_inline_config(text) {
            let name = format!("{}, at `{path}`", place.document.label(path, EntryPart::Value, "").file);
            self.search_text(&name.as_str().into(), text, place.folder, true);
        } else {
            self.check_base(place, path, text, true);
        }
    }
}

/// Returns whether a text is a configuration and not a path: kustomize tries that first.
fn is_inline_config(text: &str) -> bool {
    let read = Document::read(&"inline".into(), 0, 1, text);
    text.contains('\n') || read.is_ok_and(|document| document.value().is_object())
}

/// Returns the texts of a text or list.
fn string_entries<'v>(path: &FieldPath, value: &'v Value) -> Vec<(FieldPath, &'v str)> {
    match value {
        Value::String(text) => vec![(path.clone(), text)],
        Value::Array(list) => {
            list.iter().enumerate().filter_map(|(i, v)| Some((path.child(i), v.as_str()?))).collect()
        }
        _ => Vec::new(),
    }
}

/// Returns whether kustomize reads a reference as the URL of a file or repository.
fn is_remote(text: &str, local: &Path) -> bool {
    // kustomize reads an existing file before it considers a repository.
    is_file_url(text) || (!local.is_file() && is_repository_url(text))
}

/// Returns whether kustomize fetches a file; `key=path` gives it another name.
fn is_file_url(text: &str) -> bool {
    let is_address = |text: &str| {
        let text = text.trim_start().to_lowercase();
        text.starts_with("http:") || text.starts_with("https:")
    };
    is_address(text) || text.split_once('=').is_some_and(|(_, path)| is_address(path))
}

fn is_repository_url(text: &str) -> bool {
    let text = text.trim_start().to_lowercase();
    let host = text.split('/').next().unwrap_or_default();
    text.contains("://")
        || ["git::", "gh:", "oci:", "github.com:", "github.com/"].iter().any(|start| text.starts_with(start))
        || text.contains("_git/")
        || host.contains('@')
}

fn remote_base(place: &ReferenceLocation<'_>, path: &FieldPath, text: &str) -> Diagnostic {
    let message = format!("`{}` is not in the repository, and the plugin fetches nothing", text.trim());
    Diagnostic::error(Code::RemoteBase, message)
        .at(place.document.label(path, EntryPart::Value, ""))
        .because("a kustomization could then reach what the plugin reaches, and no review covers what comes from there")
        .help(format!("copy it into the repository; the operator of the plugin allows it with `--allow-remote-bases` or `{ALLOW_REMOTE_VARIABLE}=true`"))
}
