//! Reads pillion.yaml, and says how the files of its folder are laid out and selected.

use super::config_paths::check_config_paths;
use super::{ClusterLayout, InputOptions, Layout, kustomization};
use crate::diagnostics::{Code, Diagnostic, Span};
use crate::model::config::{self, NamespaceRule, RepositoryConfig};
use crate::read::{FileSource, IgnoreRules};
use crate::sandbox::SandboxPath;
use crate::yaml::Document;
use std::path::Path;
use std::sync::Arc;

/// pillion.yaml, read.
#[derive(Debug, Clone, Default)]
pub struct Configuration {
    /// What it says.
    pub repository: RepositoryConfig,
    /// What it says of files.
    pub layout: Layout,
    /// The document, for places in it.
    pub document: Option<Arc<Document>>,
}

impl Configuration {
    /// Reads pillion.yaml of a repository; with an error there is no configuration.
    pub fn read(files: &dyn FileSource, file: &Path) -> (Option<Self>, Vec<Diagnostic>) {
        let folder = file.parent().unwrap_or(Path::new(""));
        let place = files.repository_root(folder, None).and_then(|top| top.resolve(file));
        Self::read_at(files, file, &place.unwrap_or_else(|| SandboxPath::from_user_path(file)))
    }

    /// Reads a file that a person named as pillion.yaml, which may be a link.
    pub fn read_argument(files: &dyn FileSource, file: &Path) -> (Option<Self>, Vec<Diagnostic>) {
        Self::read_at(files, file, &SandboxPath::from_user_path(file))
    }

    fn read_at(files: &dyn FileSource, file: &Path, place: &SandboxPath) -> (Option<Self>, Vec<Diagnostic>) {
        let name: Arc<str> = file.to_string_lossy().into();
        let folder = file.parent().unwrap_or(Path::new(""));
        match files.read_confined_text(place, file, &name).and_then(|text| Document::read(&name, 0, 1, &text))
        {
            Ok(document) => {
                let (repository, mut wrong) = config::decode(&document);
                let layout = Layout {
                    repository_root: files.repository_root(folder, None),
                    ..layout_of(&repository, folder)
                };
                wrong.extend(check_config_paths(files, &layout, &document));
                let is_sound = !wrong.iter().any(Diagnostic::is_error);
                let document = Some(Arc::new(document));
                (is_sound.then_some(Self { repository, layout, document }), wrong)
            }
            Err(error) => (None, vec![error]),
        }
    }
}

/// What pillion.yaml says of files.
pub fn layout_of(repository: &RepositoryConfig, root: &Path) -> Layout {
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

/// Returns how the inputs of a folder are chosen.
pub fn input_choice(layout: &Layout) -> (InputOptions, Vec<Diagnostic>) {
    let (skips, wrong) = match layout.ignore_rules(None) {
        Ok(skips) => (skips, Vec::new()),
        Err(pattern) => {
            let message = format!("`ignore` holds a pattern that cannot be read: {pattern}");
            let file = layout.root.join("pillion.yaml");
            let label = Span::whole_file(file.to_string_lossy());
            let wrong = Diagnostic::error(Code::InvalidConfiguration, message).at(label).field("ignore");
            (IgnoreRules::empty(), vec![wrong])
        }
    };
    let choice = InputOptions {
        ignore_rules: skips,
        namespaces: layout.namespace_rules(),
        list_patches: kustomization::patch_files,
        repository_root: layout.repository_root.clone(),
        user_paths: Vec::new(),
    };
    (choice, wrong)
}
