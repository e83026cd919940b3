//! Surveys a repository for `init` and `doctor`: plain manifests, kustomizations, charts, Applications, SidecarSets. Texts
//! go in and a value comes out; only `folder.rs` reads files, and nothing is run.

mod applications;
mod built_clusters;
mod folder;
mod helm_releases;
mod kustomizations;
mod source_choice;
mod surveyed_workloads;

pub(crate) use applications::SurveyedApplication;
pub(crate) use built_clusters::{BuildPart, BuiltCluster};
pub(crate) use folder::{MAX_SURVEYED_FILES, survey_folder};
pub(crate) use helm_releases::SurveyedHelmRelease;
pub(crate) use kustomizations::SurveyedKustomization;
pub(crate) use source_choice::{ManifestFolder, SourceChoice, SourcePlan};
pub(crate) use surveyed_workloads::{SurveyedWorkload, workloads_in_text};

use crate::diagnostics::Diagnostic;
use crate::model::file_list::to_slash;
use crate::model::workload::type_meta;
use crate::read::KUSTOMIZATION_NAMES;
use crate::yaml::{Document, split_documents};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

/// What a repository contains. All paths are relative to the surveyed folder.
#[derive(Debug, Default)]
pub(crate) struct RepositorySurvey {
    /// The workloads of files with plain manifests, also of files that a kustomization lists.
    pub(crate) workloads: Vec<SurveyedWorkload>,
    /// The kustomizations, by folder.
    pub(crate) kustomizations: BTreeMap<PathBuf, SurveyedKustomization>,
    /// The charts, by folder.
    pub(crate) charts: BTreeMap<PathBuf, SurveyedChart>,
    /// Applications and ApplicationSets of Argo CD, Kustomizations of Flux.
    pub(crate) applications: Vec<SurveyedApplication>,
    /// The files with SidecarSets, and the names of these.
    pub(crate) sidecar_sets: BTreeMap<PathBuf, BTreeSet<String>>,
    /// The files with plain manifests, workloads or not.
    pub(crate) manifest_files: BTreeSet<PathBuf>,
    /// The HelmReleases of Flux, which renders their charts in the cluster.
    pub(crate) helm_releases: Vec<SurveyedHelmRelease>,
    /// Where their charts are, by kind and name.
    chart_repositories: BTreeMap<(String, String), helm_releases::ChartRepository>,
    /// The files that look like manifests and cannot be read.
    pub(crate) unreadable: BTreeMap<PathBuf, Diagnostic>,
    /// There are more files than are surveyed.
    pub(crate) is_cut: bool,
}

/// A Helm chart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SurveyedChart {
    /// `name`.
    pub(crate) name: String,
    /// `type: library`: it creates nothing by itself.
    pub(crate) is_library: bool,
    /// Whether a template contains a kind with a pod template.
    pub(crate) has_workloads: bool,
    /// Names of charts that it needs and that are not in the repository: `helm dependency build` downloads them.
    pub(crate) missing_dependencies: Vec<String>,
}

impl RepositorySurvey {
    /// Surveys files by their paths and texts.
    pub(crate) fn from_files(mut files: Vec<(PathBuf, String)>) -> Self {
        files.sort_by(|(a, _), (b, _)| a.cmp(b));
        let files = &files[..];
        let mut survey = Self::default();
        let chart_folders: BTreeSet<&Path> =
            files.iter().filter(|(path, _)| is_chart(path)).filter_map(|(path, _)| path.parent()).collect();
        for (path, text) in files {
            // The topmost chart: those below its `charts/` are its dependencies.
            let above: Vec<&Path> = path.ancestors().skip(1).collect();
            let charts = above.into_iter().rev().filter(|folder| chart_folders.contains(folder));
            match charts.into_iter().find(|chart| is_part_of_chart(path, chart)) {
                Some(chart) if path.parent() == Some(chart) && is_chart(path) => {
                    survey.add_chart(path, text, files);
                }
                Some(_) => {}
                None => survey.add_file(path, text),
            }
        }
        survey
    }

    /// Returns the kustomization that a file or folder is below, the topmost one.
    pub(crate) fn kustomization_above<'p>(&self, path: &'p Path) -> Option<&'p Path> {
        let mut above: Vec<&Path> = path.ancestors().collect();
        above.reverse();
        above.into_iter().find(|folder| self.kustomizations.contains_key(*folder))
    }

    fn add_chart(&mut self, path: &Path, text: &str, files: &[(PathBuf, String)]) {
        let folder = path.parent().unwrap_or(Path::new(""));
        let name: Arc<str> = path.to_string_lossy().into();
        let chart = match Document::read(&name, 0, 1, text) {
            Ok(document) => document.value().clone(),
            Err(error) => {
                self.unreadable.insert(path.to_owned(), error);
                return;
            }
        };
        // The files are sorted, so those of a folder are beside each other.
        let begin = files.partition_point(|(path, _)| path.as_path() < folder);
        let own = files[begin..].iter().take_while(|(path, _)| path.starts_with(folder));
        let own: Vec<&(PathBuf, String)> = own.collect();
        let below = |inner: &str| {
            let inner = folder.join(inner);
            own.iter().filter(move |(path, _)| path.starts_with(&inner))
        };
        let dependencies = chart["dependencies"].as_array().into_iter().flatten();
        let missing = dependencies
            .filter(|dependency| !dependency["repository"].as_str().unwrap_or_default().starts_with("file:"))
            .filter_map(|dependency| dependency["name"].as_str())
            .filter(|name| {
                below("charts").all(|(path, _)| !path.starts_with(folder.join("charts").join(name)))
            });
        let surveyed = SurveyedChart {
            name: chart["name"].as_str().unwrap_or("chart").to_owned(),
            is_library: chart["type"] == "library",
            has_workloads: below("templates").any(|(_, text)| surveyed_workloads::names_workload_kind(text)),
            missing_dependencies: missing.map(str::to_owned).collect(),
        };
        self.charts.insert(folder.to_owned(), surveyed);
    }

    fn add_file(&mut self, path: &Path, text: &str) {
        let name: Arc<str> = path.to_string_lossy().into();
        if is_kustomization(path) {
            match Document::read(&name, 0, 1, text) {
                Ok(document) => {
                    let folder = path.parent().unwrap_or(Path::new(""));
                    let read = SurveyedKustomization::read(path, document.value());
                    self.kustomizations.insert(folder.to_owned(), read);
                }
                Err(error) => drop(self.unreadable.insert(path.to_owned(), error)),
            }
            return;
        }
        if !text.contains("kind") {
            return;
        }
        let (pieces, errors) = split_documents(&name, text);
        let mut first_error = errors.into_iter().find(Diagnostic::is_error);
        for (index, piece) in pieces.into_iter().enumerate() {
            match Document::read(&name, index, piece.first_line, &text[piece.span]) {
                Ok(document) => self.add_object(path, document.value()),
                Err(error) => first_error = first_error.or(Some(error)),
            }
        }
        if let Some(error) = first_error {
            self.unreadable.insert(path.to_owned(), error);
        }
    }

    fn add_object(&mut self, path: &Path, object: &Value) {
        self.workloads.extend(surveyed_workloads::workloads_of(path, object));
        let Some((api_version, kind)) = type_meta(object) else { return };
        if surveyed_workloads::is_sidecar_set(api_version, kind) {
            let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
            self.sidecar_sets.entry(path.to_owned()).or_default().insert(name);
        }
        self.manifest_files.insert(path.to_owned());
        self.add_flux_object(kind, object);
        self.applications.extend(SurveyedApplication::read(path, object));
    }
}

/// Returns a path for messages and pillion.yaml: with slashes, `.` for the surveyed folder itself.
pub(crate) fn shown_path(path: &Path) -> String {
    match to_slash(path) {
        path if path.is_empty() => ".".to_owned(),
        path => path,
    }
}

/// Folders with copies of manifests rather than with what a cluster applies.
const SIDE_FOLDERS: &[&str] = &[
    "test",
    "tests",
    "testdata",
    "e2e",
    "example",
    "examples",
    "sample",
    "samples",
    "doc",
    "docs",
    "hack",
    "vendor",
    "third_party",
    "node_modules",
];

/// Returns whether a folder is one of the side folders, or below one.
fn is_side_folder(path: &Path) -> bool {
    path.components().any(|component| is_side_name(&component))
}

fn is_side_name(component: &Component<'_>) -> bool {
    SIDE_FOLDERS.iter().any(|name| component.as_os_str() == *name)
}

/// Returns whether a sorted set has a path that is a folder or below it.
fn has_path_below<'s>(mut from_folder: impl Iterator<Item = &'s PathBuf>, folder: &Path) -> bool {
    from_folder.next().is_some_and(|path| path.starts_with(folder))
}

fn is_chart(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == "Chart.yaml")
}

/// Returns whether a file is a kustomization, by its name.
pub(crate) fn is_kustomization(path: &Path) -> bool {
    path.file_name().is_some_and(|name| KUSTOMIZATION_NAMES.iter().any(|known| name == *known))
}

/// Returns whether a file is input of Helm and no manifest.
fn is_part_of_chart(path: &Path, chart: &Path) -> bool {
    let Ok(inner) = path.strip_prefix(chart) else { return false };
    let first = inner.components().next().map(|c| c.as_os_str().to_string_lossy().into_owned());
    let is_input =
        |name: &str| matches!(name, "templates" | "charts" | "crds" | "ci") || name.starts_with("values");
    is_chart(inner) || first.is_some_and(|first| is_input(&first))
}

#[cfg(test)]
use source_choice::UnknownSource;

#[cfg(test)]
mod tests;
