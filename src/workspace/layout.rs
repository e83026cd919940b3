//! The layout of a folder as pillion.yaml describes it: sources, SidecarSets, ledgers, clusters. Paths are relative to its
//! folder.

use super::inputs::{Input, InputOptions, InputSource, NamespaceRules, UNSPECIFIED_NAMESPACE};
use crate::diagnostics::{Code, Diagnostic, Span};
use crate::model::defaults::SOURCES;
use crate::read::{FileSource, IgnoreRules, normalize_path};
use crate::sandbox::RepositoryRoot;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The layout of the files of a repository.
#[derive(Debug, Clone, Default)]
pub struct Layout {
    /// The folder of pillion.yaml, as the user would name it.
    pub root: PathBuf,
    /// Folders and files with manifests; without any, the whole folder.
    pub sources: Vec<String>,
    /// Folders and files with SidecarSets.
    pub sidecar_sets: Vec<String>,
    /// Patterns of ignored files, in gitignore syntax.
    pub ignore: Vec<String>,
    /// Folder of the rendered files.
    pub rendered: Option<String>,
    /// Folder of the ledgers.
    pub ledgers: Option<String>,
    /// Folders and the namespaces of their manifests that name none.
    pub namespaces: Vec<(String, Arc<str>)>,
    /// Clusters; none: one without a name.
    pub clusters: Vec<ClusterLayout>,
    /// The repository, where its files may lead out of it.
    pub repository_root: Option<RepositoryRoot>,
}

/// A cluster that follows a part of the repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterLayout {
    /// Its name, also of its folder of ledgers.
    pub name: Arc<str>,
    /// The folder of its manifests; without one, all are its own.
    pub folder: Option<String>,
}

impl Layout {
    /// Returns paths of pillion.yaml as paths of the user.
    pub fn paths_in_root(&self, paths: &[String]) -> Vec<PathBuf> {
        paths.iter().map(|p| normalize_path(&self.root.join(p))).collect()
    }

    /// Returns the files and folders with manifests.
    pub fn source_paths(&self) -> Vec<PathBuf> {
        match (self.sources.is_empty(), self.root.as_os_str().is_empty()) {
            (false, _) => self.paths_in_root(&self.sources),
            (true, true) => SOURCES.map(PathBuf::from).to_vec(),
            (true, false) => vec![self.root.clone()],
        }
    }

    /// Returns the files and folders with SidecarSets. Where there are ledgers, a missing folder had the last SidecarSet:
    /// git keeps no empty folders.
    pub(crate) fn sidecar_set_paths(&self, files: &dyn FileSource, ledgers: &dyn FileSource) -> Vec<PathBuf> {
        let mut paths = self.paths_in_root(&self.sidecar_sets);
        if paths.iter().any(|p| files.kind(p).is_none()) && !self.find_ledgers(ledgers).0.is_empty() {
            paths.retain(|p| files.kind(p).is_some());
        }
        paths
    }

    /// Reports missing files and folders of `sidecarSets:` where they count as deleted: a misspelled name looks the same.
    pub(crate) fn missing_sidecar_sets(
        &self,
        files: &dyn FileSource,
        ledgers: &dyn FileSource,
    ) -> Vec<Diagnostic> {
        let found = self.sidecar_set_paths(files, ledgers);
        let missing = self.paths_in_root(&self.sidecar_sets).into_iter().filter(|path| !found.contains(path));
        let say = |path: PathBuf| {
            let message = format!("`{}` does not exist: its SidecarSets count as deleted", path.display());
            Diagnostic::warning(Code::UnreadableFile, message)
                .at(Span::whole_file(path.to_string_lossy()))
                .because("`sidecarSets:` of pillion.yaml names it, and there are ledgers")
                .help("correct the name or restore it; where the last SidecarSet was deleted, take it out of `sidecarSets:`")
        };
        missing.map(say).collect()
    }

    /// Returns the rules for files that are not manifests: rendered files, ledgers, `ignore`, and the output folder.
    ///
    /// # Errors
    /// The first invalid pattern of `ignore`.
    pub fn ignore_rules(&self, out: Option<&Path>) -> Result<IgnoreRules, String> {
        let own = [&self.rendered, &self.ledgers].into_iter().flatten();
        let own = own.filter(|folder| *folder != ".").map(|folder| self.root.join(folder));
        IgnoreRules::new(&self.root, &self.ignore, own.chain(out.map(Path::to_owned)).collect())
    }

    /// Returns the paths below a folder of rendered files that belong there: ledgers; and in the folder of pillion.yaml,
    /// that file and the paths it names.
    pub(crate) fn managed_paths_below(&self, folder: &Path, config: Option<&Path>) -> Vec<PathBuf> {
        let mut own: Vec<PathBuf> = self.ledgers.iter().map(|l| normalize_path(&self.root.join(l))).collect();
        if let Some(config) = config.filter(|_| *folder == normalize_path(&self.root)) {
            own.extend(self.source_paths().iter().map(|source| normalize_path(source)));
            own.extend(self.paths_in_root(&self.sidecar_sets));
            own.push(normalize_path(config));
        }
        own.retain(|own| own.starts_with(folder));
        own
    }

    /// Returns the namespaces of manifests that name none.
    pub fn namespace_rules(&self) -> NamespaceRules {
        let rule =
            |(folder, name): &(String, Arc<str>)| (normalize_path(&self.root.join(folder)), name.clone());
        NamespaceRules {
            default: UNSPECIFIED_NAMESPACE.into(),
            rules: self.namespaces.iter().map(rule).collect(),
        }
    }

    /// Returns how inputs are selected.
    pub(crate) fn input_options(&self, ignore_rules: IgnoreRules) -> InputOptions {
        InputOptions {
            ignore_rules,
            namespaces: self.namespace_rules(),
            repository_root: self.repository_root.clone(),
            user_paths: Vec::new(),
        }
    }

    /// Makes sure that a cluster is one of pillion.yaml.
    ///
    /// # Errors
    /// When there is no such cluster.
    pub(crate) fn check_cluster(&self, name: Option<&str>) -> Result<(), Box<Diagnostic>> {
        let Some(name) = name.filter(|name| self.clusters.iter().all(|c| *c.name != **name)) else {
            return Ok(());
        };
        let known: Vec<&str> = self.clusters.iter().map(|c| &*c.name).collect();
        let help = match known.is_empty() {
            true => "leave out `--cluster`: pillion.yaml names none".to_owned(),
            false => format!("it has {}", known.join(", ")),
        };
        let message = format!("pillion.yaml has no cluster `{name}`");
        Err(Box::new(Diagnostic::error(Code::NoCluster, message).help(help)))
    }

    /// Returns the names of the clusters, in the order of pillion.yaml; without clusters, one without a name.
    pub(crate) fn cluster_names(&self) -> Vec<Option<&str>> {
        if self.clusters.is_empty() {
            vec![None]
        } else {
            self.clusters.iter().map(|c| Some(&*c.name)).collect()
        }
    }

    /// Returns the cluster of a name, else all of them; None is the only one where pillion.yaml names none.
    pub(crate) fn selected_clusters(&self, name: Option<&str>) -> Vec<Option<ClusterLayout>> {
        if self.clusters.is_empty() {
            return vec![None];
        }
        let is_selected = |c: &&ClusterLayout| name.is_none_or(|name| *c.name == *name);
        self.clusters.iter().filter(is_selected).cloned().map(Some).collect()
    }

    /// Returns whether a manifest belongs to a cluster; standard input is in no folder.
    pub fn cluster_contains(&self, cluster: &ClusterLayout, manifest: &Input) -> bool {
        if let Some(built_for) = &manifest.cluster {
            return *built_for == cluster.name;
        }
        let Some(folder) = &cluster.folder else { return true };
        match &manifest.source {
            InputSource::File(path) => path.starts_with(normalize_path(&self.root.join(folder))),
            InputSource::Stdin | InputSource::Text(_) => false,
        }
    }
}
