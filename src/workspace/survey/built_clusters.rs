//! The clusters that kustomizations and charts build, and the folders that belong to each.

use super::{RepositorySurvey, SurveyedWorkload, is_side_folder, shown_path};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The folder in which Flux keeps its own controllers.
const FLUX_SYSTEM: &str = "flux-system";

/// The manifests of a cluster, as a build prints them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BuiltCluster {
    /// Its name, where there are several.
    pub(crate) name: Option<String>,
    /// The folders that are built.
    pub(crate) parts: Vec<BuildPart>,
    /// Its workloads, as far as they are known without a build.
    pub(crate) workloads: Vec<SurveyedWorkload>,
    /// The namespace of manifests that name none, where an Application or a kustomization says it.
    pub(crate) namespace: Option<String>,
}

/// A folder that is built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum BuildPart {
    /// A kustomization; with charts it needs `--enable-helm`.
    Kustomization { folder: PathBuf, has_charts: bool },
    /// A chart. Missing dependencies have to be downloaded first.
    Chart { folder: PathBuf, name: String, missing_dependencies: Vec<String> },
}

impl BuildPart {
    /// Returns its folder.
    pub(crate) fn folder(&self) -> &Path {
        match self {
            Self::Kustomization { folder, .. } | Self::Chart { folder, .. } => folder,
        }
    }
}

impl RepositorySurvey {
    /// Returns the kustomizations that build workloads and that nothing else is built from. Those of Flux itself and those
    /// that test others are left out where there are further ones.
    pub(crate) fn built_roots(&self) -> Vec<&Path> {
        let with_workloads = self.root_kustomizations().into_iter();
        let roots: Vec<&Path> =
            with_workloads.filter(|root| !self.kustomization_workloads(root).is_empty()).collect();
        let roots: Vec<&Path> = roots.into_iter().filter(|root| !root.ends_with(FLUX_SYSTEM)).collect();
        let main: Vec<&Path> = roots.iter().copied().filter(|root| !is_side_folder(root)).collect();
        if main.is_empty() { roots } else { main }
    }

    /// Returns the clusters that kustomizations make: overlays of the same base are one cluster each.
    pub(super) fn kustomized_clusters(&self, roots: &[&Path]) -> Vec<BuiltCluster> {
        let files: Vec<BTreeSet<PathBuf>> = roots
            .iter()
            .map(|root| self.kustomization_workloads(root).into_iter().map(|w| w.file).collect())
            .collect();
        let overlap = |group: &[usize]| {
            group
                .iter()
                .enumerate()
                .any(|(n, a)| group[n + 1..].iter().any(|b| !files[*a].is_disjoint(&files[*b])))
        };
        let all: Vec<usize> = (0..roots.len()).collect();
        let mut groups: BTreeMap<Option<String>, Vec<usize>> = BTreeMap::new();
        if overlap(&all) {
            for (n, root) in roots.iter().enumerate() {
                groups
                    .entry(Some(cluster_name(root.file_name().map(Path::new).unwrap_or(root))))
                    .or_default()
                    .push(n);
            }
            if groups.values().any(|group| overlap(group)) {
                groups =
                    roots.iter().enumerate().map(|(n, root)| (Some(cluster_name(root)), vec![n])).collect();
            }
        } else {
            groups.insert(None, all);
        }
        let cluster = |(name, group): (Option<String>, Vec<usize>)| {
            let roots: Vec<&Path> = group.iter().map(|n| roots[*n]).collect();
            let namespace_of = |root: &&Path| {
                let application = self.application_of(root).and_then(|a| a.namespace.clone());
                application.or_else(|| self.kustomizations.get(*root)?.namespace.clone())
            };
            BuiltCluster {
                name,
                namespace: roots.iter().find_map(namespace_of),
                workloads: roots.iter().flat_map(|root| self.kustomization_workloads(root)).collect(),
                parts: roots.iter().map(|root| self.kustomization_part(root)).collect(),
            }
        };
        groups.into_iter().map(cluster).collect()
    }

    pub(crate) fn workload_charts(&self) -> Vec<PathBuf> {
        let charts = self.charts.iter().filter(|(_, chart)| !chart.is_library && chart.has_workloads);
        let charts: Vec<PathBuf> = charts.map(|(folder, _)| folder.clone()).collect();
        let main: Vec<PathBuf> = charts.iter().filter(|folder| !is_side_folder(folder)).cloned().collect();
        if main.is_empty() { charts } else { main }
    }

    pub(super) fn charted_cluster(&self, charts: Vec<PathBuf>) -> BuiltCluster {
        let namespace = charts.iter().find_map(|chart| self.application_of(chart)?.namespace.clone());
        let part = |folder: PathBuf| {
            let chart = self.charts.get(&folder);
            BuildPart::Chart {
                name: chart.map_or_else(|| "chart".to_owned(), |chart| release_name(&chart.name)),
                missing_dependencies: chart.map_or_else(Vec::new, |chart| chart.missing_dependencies.clone()),
                folder,
            }
        };
        let parts = charts.into_iter().map(part).collect();
        BuiltCluster { name: None, parts, workloads: Vec::new(), namespace }
    }

    pub(super) fn kustomization_part(&self, folder: &Path) -> BuildPart {
        let has_charts = self.kustomizations.get(folder).is_some_and(|k| k.has_charts);
        BuildPart::Kustomization { folder: folder.to_owned(), has_charts }
    }
}

/// Returns a name for the release of a chart: that of the chart, if it is one that Helm accepts.
fn release_name(chart: &str) -> String {
    let is_valid = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    match chart.len() <= 53
        && chart.chars().all(is_valid)
        && chart.starts_with(|c: char| c.is_ascii_alphanumeric())
    {
        true => chart.to_owned(),
        false => "release".to_owned(),
    }
}

/// Returns a cluster's name for a path: lower-case letters, digits and dashes.
fn cluster_name(path: &Path) -> String {
    let text = shown_path(path).to_lowercase();
    let name: String = text.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    match name.trim_matches('-') {
        "" => "main".to_owned(),
        name => name.to_owned(),
    }
}
