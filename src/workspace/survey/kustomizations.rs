//! Reads kustomizations: what they are built from, and which of them nothing else is built from.

use super::{RepositorySurvey, SurveyedWorkload};
use crate::read::normalize_path;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// A kustomization.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct SurveyedKustomization {
    /// Its file.
    pub(crate) file: PathBuf,
    /// `kind: Component`: it is built as a part of others only.
    pub(crate) is_component: bool,
    /// `namespace`: of everything that it builds.
    pub(crate) namespace: Option<String>,
    /// The files and folders of this repository that it lists under `resources`, `bases` and `components`.
    pub(crate) parts: Vec<PathBuf>,
    /// The files under `resources`.
    pub(crate) resources: Vec<PathBuf>,
    /// The files under `transformers`.
    pub(crate) transformers: Vec<PathBuf>,
    /// Whether it inflates charts, which needs `--enable-helm`.
    pub(crate) has_charts: bool,
}

impl SurveyedKustomization {
    /// Reads one.
    pub(super) fn read(file: &Path, value: &Value) -> Self {
        let folder = file.parent().unwrap_or(Path::new(""));
        let listed = |key: &str| -> Vec<PathBuf> {
            let list = value[key].as_array().into_iter().flatten().filter_map(Value::as_str);
            list.filter(|path| !path.contains("://")).map(|path| normalize_path(&folder.join(path))).collect()
        };
        let resources = listed("resources");
        Self {
            file: file.to_owned(),
            is_component: value["kind"] == "Component",
            namespace: value["namespace"].as_str().map(str::to_owned),
            parts: resources.iter().cloned().chain(listed("bases")).chain(listed("components")).collect(),
            resources,
            transformers: listed("transformers"),
            has_charts: value.get("helmCharts").is_some(),
        }
    }
}

impl RepositorySurvey {
    /// Returns the folders of the kustomizations that no other one is built from, and no component.
    pub(crate) fn root_kustomizations(&self) -> Vec<&Path> {
        let used: BTreeSet<&Path> =
            self.kustomizations.values().flat_map(|k| &k.parts).map(PathBuf::as_path).collect();
        let roots = self
            .kustomizations
            .iter()
            .filter(|(folder, k)| !k.is_component && !used.contains(folder.as_path()));
        roots.map(|(folder, _)| folder.as_path()).collect()
    }

    /// Returns the workloads that a kustomization is built from, as far as they are plain files of this repository. Names
    /// are those of the base.
    pub(crate) fn kustomization_workloads(&self, folder: &Path) -> Vec<SurveyedWorkload> {
        let (mut found, mut seen) = (Vec::new(), BTreeSet::new());
        let mut pending: Vec<(&Path, Option<&str>)> = vec![(folder, None)];
        while let Some((folder, namespace)) = pending.pop() {
            let Some((folder, kustomization)) = self.kustomizations.get_key_value(folder) else { continue };
            if !seen.insert(folder) {
                continue;
            }
            let namespace = namespace.or(kustomization.namespace.as_deref());
            for part in &kustomization.parts {
                if self.kustomizations.contains_key(part) {
                    pending.push((part, namespace));
                    continue;
                }
                found.extend(self.workloads_of_file(part).iter().cloned().map(|workload| SurveyedWorkload {
                    namespace: namespace.map(str::to_owned).or(workload.namespace),
                    ..workload
                }));
            }
        }
        found.sort_by(|a, b| (&a.file, &a.name).cmp(&(&b.file, &b.name)));
        found
    }

    /// Returns the workloads of a file; they are sorted by file.
    fn workloads_of_file(&self, file: &Path) -> &[SurveyedWorkload] {
        let begin = self.workloads.partition_point(|workload| workload.file.as_path() < file);
        let count = self.workloads[begin..].iter().take_while(|workload| workload.file == file).count();
        &self.workloads[begin..begin + count]
    }
}
