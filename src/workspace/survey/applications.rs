//! Reads what a GitOps agent follows: Applications and ApplicationSets of Argo CD, Kustomizations of Flux.

use crate::model::workload::{api_group, type_meta};
use crate::read::normalize_path;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// The agent that an object configures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ApplicationTool {
    /// Argo CD.
    ArgoCd,
    /// Flux.
    Flux,
}

/// A part of the repository that an agent follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SurveyedApplication {
    /// The file with the object.
    pub(crate) file: PathBuf,
    /// `metadata.name`.
    pub(crate) name: String,
    /// The agent.
    pub(crate) tool: ApplicationTool,
    /// The followed folder; of `apps/*`, the folder before the pattern.
    pub(crate) path: PathBuf,
    /// The namespace of manifests that name none.
    pub(crate) namespace: Option<String>,
    /// The followed branch.
    pub(crate) branch: Option<String>,
}

impl SurveyedApplication {
    /// Reads the folders that an object follows.
    pub(super) fn read(file: &Path, object: &Value) -> Vec<Self> {
        let Some((api_version, kind)) = type_meta(object) else { return Vec::new() };
        match (api_group(api_version), kind) {
            ("argoproj.io", "Application") => argo_paths(file, object, &object["spec"]),
            ("argoproj.io", "ApplicationSet") => {
                let template = &object["spec"]["template"]["spec"];
                let generators = object["spec"]["generators"].as_array().into_iter().flatten();
                let folders =
                    generators.flat_map(|g| g["git"]["directories"].as_array().into_iter().flatten());
                let folders = folders.filter(|d| d["exclude"] != true).filter_map(|d| d["path"].as_str());
                let of_folder = |path: &str| Self {
                    path: before_pattern(path),
                    ..new_application(file, object, template, template)
                };
                folders.map(of_folder).chain(argo_paths(file, object, template)).collect()
            }
            ("kustomize.toolkit.fluxcd.io", "Kustomization") => {
                let spec = &object["spec"];
                let path = spec["path"].as_str().unwrap_or(".");
                vec![Self {
                    file: file.to_owned(),
                    name: name_of(object),
                    tool: ApplicationTool::Flux,
                    path: before_pattern(path),
                    namespace: spec["targetNamespace"].as_str().map(str::to_owned),
                    branch: None,
                }]
            }
            _ => Vec::new(),
        }
    }

    /// Returns whether it follows a folder, or a part of it.
    pub(crate) fn follows(&self, folder: &Path) -> bool {
        folder.starts_with(&self.path) || self.path.starts_with(folder)
    }
}

fn argo_paths(file: &Path, object: &Value, spec: &Value) -> Vec<SurveyedApplication> {
    let sources = spec["sources"].as_array().into_iter().flatten().chain(spec.get("source"));
    let with_path = sources.filter(|source| source["path"].as_str().is_some_and(|path| !path.contains("{{")));
    with_path.map(|source| new_application(file, object, spec, source)).collect()
}

fn new_application(file: &Path, object: &Value, spec: &Value, source: &Value) -> SurveyedApplication {
    let plain = |value: &Value| value.as_str().filter(|text| !text.contains("{{")).map(str::to_owned);
    SurveyedApplication {
        file: file.to_owned(),
        name: name_of(object),
        tool: ApplicationTool::ArgoCd,
        path: before_pattern(source["path"].as_str().unwrap_or(".")),
        namespace: plain(&spec["destination"]["namespace"]),
        branch: plain(&source["targetRevision"]).filter(|branch| branch != "HEAD"),
    }
}

fn name_of(object: &Value) -> String {
    object["metadata"]["name"].as_str().unwrap_or_default().to_owned()
}

/// Returns a path up to the first part with a pattern or a template.
fn before_pattern(path: &str) -> PathBuf {
    let plain = |part: &&str| !part.contains(['*', '{', '[', '?']);
    let parts: Vec<&str> = path.trim_start_matches('/').split('/').take_while(plain).collect();
    normalize_path(Path::new(&parts.join("/")))
}
