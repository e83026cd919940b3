//! Checks that Argo CD syncs an Application after a commit of a rollout, which changes ledgers.

use super::kustomizations::DoctorDocument;
use super::{CheckState, DoctorCheck};
use crate::model::workload::{api_group, type_meta};
use crate::read::{Disk, normalize_path};
use crate::workspace::{Configuration, find_config};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// The annotation that makes Argo CD pass over commits that change nothing below some paths.
const PATHS_ANNOTATION: &str = "argocd.argoproj.io/manifest-generate-paths";

pub(super) fn check(found: &[DoctorDocument], path: &Path) -> Vec<DoctorCheck> {
    let Some(config) = find_config(path) else { return Vec::new() };
    let Some(configuration) = Configuration::read(&Disk, &config).0 else { return Vec::new() };
    let repository = &configuration.repository;
    let Some(ledgers) = repository.ledgers.as_deref() else { return Vec::new() };
    // What a commit of a rollout may change that is not a manifest of the Application.
    let watched: Vec<&str> =
        std::iter::once(ledgers).chain(repository.sidecar_sets.iter().map(String::as_str)).collect();
    let applications = found.iter().filter_map(|f| {
        let (api_version, kind) = type_meta(&f.value)?;
        let is_one =
            api_group(api_version) == "argoproj.io" && (kind == "Application" || kind == "ApplicationSet");
        is_one.then(|| (f, if kind == "Application" { &f.value } else { &f.value["spec"]["template"] }))
    });
    let mut checks = Vec::new();
    for (found, application) in applications {
        let name = format!(
            "{} in `{}`",
            application["metadata"]["name"]
                .as_str()
                .or(found.value["metadata"]["name"].as_str())
                .unwrap_or("an Application"),
            found.file.display()
        );
        let Some(paths) = application["metadata"]["annotations"][PATHS_ANNOTATION].as_str() else {
            checks.push(DoctorCheck::new(
                CheckState::Ok,
                "Application",
                format!("{name} looks at every commit"),
            ));
            continue;
        };
        let sources: Vec<&str> =
            application_sources(application).filter_map(|s| s["path"].as_str()).collect();
        let missing: Vec<&&str> = watched.iter().filter(|folder| !covers(paths, &sources, folder)).collect();
        checks.push(match &missing[..] {
            [] => DoctorCheck::new(CheckState::Ok, "Application", format!("{name} looks at commits of ledgers")),
            // Rendered files change with the ledger, and are what the Application follows.
            _ if repository.rendered.is_some()
                && follows_rendered(repository.rendered.as_deref(), &sources) =>
            {
                DoctorCheck::new(CheckState::Ok, "Application", format!("{name} follows rendered files"))
            }
            missing => DoctorCheck::new(
                CheckState::Error,
                "Application",
                format!("{name} passes over commits that change only {}", quote_all(missing)),
            )
            .help(format!(
                "a batch of a rollout would not become a sync: add `{}` to the annotation `{PATHS_ANNOTATION}`",
                missing.iter().map(|f| format!(";/{}", f.trim_matches('/'))).collect::<String>()
            )),
        });
    }
    checks
}

fn application_sources(application: &Value) -> impl Iterator<Item = &Value> {
    let spec = &application["spec"];
    spec["sources"].as_array().into_iter().flatten().chain(spec.get("source"))
}

fn follows_rendered(rendered: Option<&str>, sources: &[&str]) -> bool {
    let Some(rendered) = rendered else { return false };
    let rendered = normalize_path(Path::new(rendered));
    !sources.is_empty() && sources.iter().all(|s| normalize_path(Path::new(s)).starts_with(&rendered))
}

/// Returns whether one of the paths has a folder: `/…` counts from the root, others from the Application's path
/// (argo-cd util/argo/path).
fn covers(paths: &str, sources: &[&str], folder: &str) -> bool {
    let folder = normalize_path(Path::new(folder));
    let of = |source: &Path, path: &str| -> PathBuf {
        match path.strip_prefix('/') {
            Some(rest) => normalize_path(Path::new(rest)),
            None => normalize_path(&source.join(path)),
        }
    };
    paths
        .split(';')
        .map(str::trim)
        .filter(|p| !p.is_empty())
        .any(|path| sources.iter().any(|source| folder.starts_with(of(Path::new(source), path))))
}

fn quote_all(folders: &[&&str]) -> String {
    folders.iter().map(|f| format!("`{f}`")).collect::<Vec<_>>().join(" and ")
}

#[cfg(test)]
mod tests {
    use super::covers;

    #[test]
    fn a_path_is_relative_to_the_application_unless_it_has_a_slash() {
        assert!(covers(".;/ledgers", &["apps/shop"], "ledgers"));
        assert!(covers("../..", &["apps/shop"], "ledgers"));
        assert!(!covers(".", &["apps/shop"], "ledgers"));
        assert!(!covers("ledgers", &["apps/shop"], "ledgers"));
    }
}
