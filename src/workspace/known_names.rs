//! The names of SidecarSets, workloads and clusters in the working folder, for completions. Nothing is built or rendered,
//! and what cannot be read has no names: the command that follows reports it.

use super::survey::workloads_in_text;
use super::{Configuration, Input, read_input, read_ledger_files, select_inputs};
use crate::model::workload::workload_key;
use crate::read::{Disk, map_in_order};
use crate::render::collect_objects;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The namespace of manifests that name none, where pillion.yaml specifies none.
const DEFAULT_NAMESPACE: &str = "default";

/// Returns the names of the SidecarSets that have a file or a ledger: a deleted one has a ledger until its rollout is
/// complete.
pub(crate) fn sidecar_set_names(configuration: &Configuration) -> BTreeSet<String> {
    let mut names = texts_of_sidecar_sets(configuration, |set| set.get("metadata")?.get("name")?.as_str());
    let ledgers = configuration.layout.find_ledgers(&Disk).0.into_iter();
    let stem = |ledger: &Input| Some(Path::new(&*ledger.name).file_stem()?.to_str()?.to_owned());
    names.extend(ledgers.filter_map(|ledger| stem(&ledger.input)));
    names
}

/// Returns the versions of the API group that SidecarSets in files have: `v1beta1`.
#[cfg(feature = "watch")]
pub(crate) fn sidecar_set_versions(configuration: &Configuration) -> BTreeSet<String> {
    texts_of_sidecar_sets(configuration, |set| Some(set.get("apiVersion")?.as_str()?.rsplit_once('/')?.1))
}

/// Returns a text of each SidecarSet in a file.
fn texts_of_sidecar_sets(
    configuration: &Configuration,
    text_of: impl Fn(&Value) -> Option<&str> + Sync,
) -> BTreeSet<String> {
    let layout = &configuration.layout;
    let paths = match layout.sidecar_sets.is_empty() {
        true => layout.source_paths(),
        false => layout.sidecar_set_paths(&Disk, &Disk),
    };
    let mut found = BTreeSet::new();
    let read = |input: &Input| {
        let text = read_input(input, &Disk).unwrap_or_default();
        if !text.contains("SidecarSet") {
            return Vec::new();
        }
        let sets = collect_objects(&input.name, &text, false).sidecar_sets.into_iter();
        sets.filter_map(|(document, path)| text_of(path.find(document.value())?).map(str::to_owned)).collect()
    };
    map_in_order(&select(configuration, &paths), read, |texts: Vec<String>| found.extend(texts));
    found
}

/// Returns the keys of the workloads in the sources and of the entries of ledgers, which also name workloads that are
/// built.
pub(crate) fn workload_keys(configuration: &Configuration) -> BTreeSet<String> {
    let layout = &configuration.layout;
    let mut keys = BTreeSet::new();
    let read = |input: &Input| {
        let text = read_input(input, &Disk).unwrap_or_default();
        let otherwise = if input.namespace.is_empty() { DEFAULT_NAMESPACE } else { &*input.namespace };
        let found = workloads_in_text(Path::new(&*input.name), &text).into_iter();
        let named = found.filter(|workload| !workload.name.is_empty());
        let key = |w: super::SurveyedWorkload| {
            workload_key(&w.api_version, &w.kind, w.namespace.as_deref().unwrap_or(otherwise), &w.name)
        };
        named.map(key).collect()
    };
    let sources = select(configuration, &layout.source_paths());
    map_in_order(&sources, read, |found: Vec<String>| keys.extend(found));
    let ledgers = layout.find_ledgers(&Disk).0;
    let (ledgers, _) = read_ledger_files(ledgers.iter().map(|ledger| &ledger.input), &Disk);
    for (document, path) in &ledgers.ledgers {
        let spec = path.find(document.value()).and_then(|ledger| ledger.get("spec"));
        let entries = spec.and_then(|spec| spec.get("workloads")).and_then(Value::as_object);
        keys.extend(entries.into_iter().flatten().map(|(key, _)| key.clone()));
    }
    keys
}

/// Returns the names of the clusters of pillion.yaml.
pub(crate) fn cluster_names(configuration: &Configuration) -> BTreeSet<String> {
    configuration.layout.clusters.iter().map(|cluster| cluster.name.to_string()).collect()
}

/// Returns the files of some paths.
fn select(configuration: &Configuration, paths: &[PathBuf]) -> Vec<Input> {
    let options = configuration.input_options(None);
    options.map_or_else(|_| Vec::new(), |options| select_inputs(&Disk, paths, &options).inputs)
}
