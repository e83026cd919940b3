//! Reads pillion.yaml and the layout of files that it describes.

use super::config_lookup::find_config;
use super::config_paths::check_config_paths;
use super::{ClusterLayout, InputOptions, Layout};
use crate::diagnostics::{Code, Diagnostic, Span};
use crate::model::config::{self, NamespaceRule, RepositoryConfig};
use crate::read::{Disk, FileSource, normalize_path};
use crate::render::OverrideRules;
use crate::sandbox::{RepositoryRoot, SandboxPath};
use crate::yaml::Document;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// pillion.yaml and its layout; the defaults where there is none.
#[derive(Debug, Clone, Default)]
pub struct Configuration {
    /// The content of pillion.yaml.
    pub repository: RepositoryConfig,
    /// The layout of files that it describes.
    pub(crate) layout: Layout,
    /// The document, for positions in it; None without a pillion.yaml.
    pub(crate) document: Option<Arc<Document>>,
}

impl Configuration {
    /// Finds and reads the pillion.yaml of a command: the file of `--config`, which may be a link, else the nearest one
    /// in the folder of `start` or above. Without one these are the defaults; with an error there is no configuration.
    pub(crate) fn find(argument: Option<&Path>, start: &Path) -> (Option<Self>, Vec<Diagnostic>) {
        match argument {
            Some(file) => Self::read_argument(&Disk, file, None),
            None => find_config(start)
                .map_or_else(|| (Some(Self::default()), Vec::new()), |file| Self::read(&Disk, &file)),
        }
    }

    /// Reads pillion.yaml of a repository; with an error there is no configuration.
    pub fn read(files: &dyn FileSource, file: &Path) -> (Option<Self>, Vec<Diagnostic>) {
        Self::read_in_repository(files, file, None)
    }

    /// Reads pillion.yaml of a repository with a known root folder.
    pub(crate) fn read_in_repository(
        files: &dyn FileSource,
        file: &Path,
        root: Option<&Path>,
    ) -> (Option<Self>, Vec<Diagnostic>) {
        let root = files.repository_root(folder_of(file), root);
        let path = root.as_ref().and_then(|root| root.resolve(file));
        Self::read_at(files, file, &path.unwrap_or_else(|| SandboxPath::from_user_path(file)), root)
    }

    /// Reads the file that a person names as pillion.yaml, which may be a link.
    pub(crate) fn read_argument(
        files: &dyn FileSource,
        file: &Path,
        root: Option<&Path>,
    ) -> (Option<Self>, Vec<Diagnostic>) {
        let root = files.repository_root(folder_of(file), root);
        Self::read_at(files, file, &SandboxPath::from_user_path(file), root)
    }

    fn read_at(
        files: &dyn FileSource,
        file: &Path,
        path: &SandboxPath,
        repository_root: Option<RepositoryRoot>,
    ) -> (Option<Self>, Vec<Diagnostic>) {
        let name: Arc<str> = file.to_string_lossy().into();
        let text = files.read_confined_text(path, file, &name);
        let document = match text.and_then(|text| Document::read(&name, 0, 1, &text)) {
            Ok(document) => document,
            Err(error) => return (None, vec![error]),
        };
        let (repository, mut diagnostics) = config::decode(&document);
        let layout = Layout { repository_root, ..layout_of(&repository, folder_of(file)) };
        diagnostics.extend(check_config_paths(files, &layout, &document));
        let is_valid = !diagnostics.iter().any(Diagnostic::is_error);
        let document = Some(Arc::new(document));
        (is_valid.then_some(Self { repository, layout, document }), diagnostics)
    }

    /// Reads the text of a pillion.yaml that is not written yet; None: it is invalid.
    pub(crate) fn from_text(text: &str, folder: &Path) -> Option<Self> {
        let document = Document::read(&"pillion.yaml".into(), 0, 1, text).ok()?;
        let (repository, diagnostics) = config::decode(&document);
        let layout = layout_of(&repository, folder);
        let is_valid = !diagnostics.iter().any(Diagnostic::is_error);
        is_valid.then(|| Self { repository, layout, document: Some(Arc::new(document)) })
    }

    /// Returns the path of pillion.yaml, which may have another name (`--config`). Without a pillion.yaml it is the path
    /// that the file would have.
    pub(crate) fn path(&self) -> PathBuf {
        let document = self.document.as_ref().map(|document| Path::new(&**document.file()));
        self.layout.root.join(document.and_then(Path::file_name).unwrap_or("pillion.yaml".as_ref()))
    }

    /// Returns what SidecarOverrides may change.
    pub(crate) fn override_rules(&self) -> OverrideRules {
        let folder = |folder: &str| normalize_path(&self.layout.root.join(folder));
        OverrideRules::new(self.repository.overrides.as_ref(), self.document.as_ref(), folder)
    }

    /// Returns how inputs are selected; nothing below the `output` folder is one.
    ///
    /// # Errors
    /// When `ignore` has an invalid pattern.
    pub(crate) fn input_options(&self, output: Option<&Path>) -> Result<InputOptions, Box<Diagnostic>> {
        let ignore_rules = self.layout.ignore_rules(output).map_err(|pattern| {
            let message = format!("`ignore` contains an invalid pattern: {pattern}");
            let name = self.path().to_string_lossy().into_owned();
            Diagnostic::error(Code::InvalidConfiguration, message).at(Span::whole_file(name)).field("ignore")
        })?;
        Ok(self.layout.input_options(ignore_rules))
    }

    /// Returns how the inputs of a selected cluster are selected; nothing below the `output` folder is one.
    ///
    /// # Errors
    /// When there is no such cluster, or `ignore` has an invalid pattern.
    pub(crate) fn cluster_input_options(
        &self,
        cluster: Option<&str>,
        output: Option<&Path>,
    ) -> Result<InputOptions, Box<Diagnostic>> {
        self.layout.check_cluster(cluster)?;
        self.input_options(output)
    }
}

/// Returns the folder of a file.
fn folder_of(file: &Path) -> &Path {
    file.parent().unwrap_or(Path::new(""))
}

/// Returns the layout that pillion.yaml in a folder describes.
fn layout_of(repository: &RepositoryConfig, root: &Path) -> Layout {
    let rule = |r: &NamespaceRule| Some((r.folder.clone()?, r.name.as_str().into()));
    let cluster =
        |c: &config::ClusterConfig| ClusterLayout { name: c.name.as_str().into(), folder: c.folder.clone() };
    Layout {
        root: root.to_owned(),
        sources: repository.sources.clone(),
        sidecar_sets: repository.sidecar_sets.clone(),
        ignore: repository.ignore.clone(),
        rendered: repository.rendered.clone(),
        ledgers: repository.ledgers.clone(),
        namespaces: repository.namespaces.iter().filter_map(rule).collect(),
        clusters: repository.clusters.iter().map(cluster).collect(),
        repository_root: None,
    }
}
