//! The files with SidecarSets of clusters where Kruise injects the sidecars: these are rendered, like manifests.

use super::{Configuration, Input};
use crate::model::config::Runtime;
use crate::read::normalize_path;
use std::path::PathBuf;
use std::sync::Arc;

/// The folder of such SidecarSets in the rendered files of a cluster.
const FOLDER: &str = "sidecarsets";

/// Returns the files of `sidecarSets:` as manifests of a cluster; those that are among its sources are left out. None
/// where Kruise does not inject its sidecars.
pub(super) fn deployed_set_inputs(
    configuration: &Configuration,
    cluster: Option<&str>,
    set_files: &[Input],
    manifests: &[Input],
) -> Vec<Input> {
    let Configuration { repository, layout, .. } = configuration;
    if repository.runtime_of(cluster) != Some(Runtime::Kruise) {
        return Vec::new();
    }
    let owner = layout.clusters.iter().find(|c| Some(&*c.name) == cluster);
    let is_source = |file: &Input| {
        let own = |input: &&Input| owner.is_none_or(|owner| layout.cluster_contains(owner, input));
        manifests.iter().filter(own).any(|input| input.source == file.source)
    };
    let configured = layout.paths_in_root(&layout.sidecar_sets);
    let is_configured = |file: &Input| {
        file.file().is_some_and(|path| configured.iter().any(|own| normalize_path(path).starts_with(own)))
    };
    let folder = folder_of(configuration, cluster).join(FOLDER);
    let files = set_files.iter().filter(|file| is_configured(file) && !is_source(file));
    files
        .map(|file| Input {
            output_path: folder.join(&file.output_path),
            cluster: cluster.map(Arc::from),
            ..file.clone()
        })
        .collect()
}

/// Returns the folder of a cluster in the rendered files: that of its manifests, else one of its name.
fn folder_of(configuration: &Configuration, cluster: Option<&str>) -> PathBuf {
    let layout = &configuration.layout;
    let Some(name) = cluster else { return PathBuf::new() };
    let folder = layout.clusters.iter().find(|c| *c.name == *name).and_then(|c| c.folder.as_ref());
    let folder = folder.map(|folder| normalize_path(&layout.root.join(folder)));
    let within = folder.and_then(|folder| {
        let sources = layout.source_paths();
        let mut below = sources.iter().filter_map(|s| folder.strip_prefix(normalize_path(s)).ok());
        below.find(|path| !path.as_os_str().is_empty()).map(PathBuf::from)
    });
    within.unwrap_or_else(|| name.into())
}
