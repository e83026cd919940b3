//! What every front door does between its reader and its writer: from a configuration to a renderer, paths confined.

use super::inputs::{Inputs, namespace_of, nearest};
use super::items::STREAM;
use super::pipeline::{gather_files, gather_manifests};
use crate::confine::{Place, Top};
use crate::diag::{Code, Diagnostic, Label};
use crate::model::repository::{NamespaceRule, Repository};
use crate::model::sidecars::{Decoded, KeepSidecarSets, Spec};
use crate::read::{
    Bounds, Disk, Files as _, Input, Kind, Layout, Source, UNSPECIFIED, confined, in_order, named, text,
};
use crate::render::{File, Gathered, How, Ingredients, Renderer, prepare, render_file};
use crate::stage::gather_ledgers;
use crate::yaml::{Document, Part, Path as YamlPath};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What a door was told.
#[derive(Debug)]
pub(super) struct Told {
    /// The configuration, and the SidecarSets that stand in it.
    pub(super) config: Decoded,
    /// Where the configuration is written, for messages.
    pub(super) at: Label,
    /// The document that it is written in, and its place there.
    pub(super) written: Option<(Arc<Document>, YamlPath)>,
    /// The folder that its paths count from.
    pub(super) folder: PathBuf,
    /// The root of the repository, where somebody knows it: pillion.yaml is not looked for above.
    pub(super) top: Option<PathBuf>,
    /// `--config`.
    pub(super) configuration: Option<PathBuf>,
    /// The namespace of manifests that name none.
    pub(super) namespace: Option<String>,
    /// The same, where pillion.yaml does not say it either.
    pub(super) otherwise: Option<String>,
    /// Nothing is left out of what is rendered: the caller decides that.
    pub(super) keeps_all: bool,
    /// The cluster of pillion.yaml.
    pub(super) cluster: Option<String>,
}

impl Told {
    /// What a plugin of kustomize is told: paths count from the folder of the kustomization, which is the working one.
    pub(super) fn in_working_folder(config: Decoded, at: Label) -> Self {
        Self {
            config,
            at,
            written: None,
            folder: PathBuf::new(),
            top: None,
            configuration: None,
            namespace: None,
            otherwise: None,
            keeps_all: false,
            cluster: None,
        }
    }
}

/// A door that is ready to render.
pub(super) struct Door {
    /// Renders.
    pub(super) renderer: Renderer,
    /// The namespace of manifests that name none.
    namespace: Arc<str>,
    /// The manifests that the configuration names.
    sources: Vec<Input>,
    /// Namespaces that pillion.yaml or a Namespace manifest names.
    declared: BTreeSet<String>,
    /// Where the configuration is written.
    at: Label,
}

/// What became of a file, and the workloads that were looked at.
type Rendered = (String, Vec<Diagnostic>, BTreeSet<Arc<str>>);

/// Opens a door for manifests in which something was found already. Without a door the diagnostics say why.
pub(super) fn open(told: &Told, mut items: Gathered) -> (Option<Door>, Vec<Diagnostic>) {
    let config = told.configuration.clone().or_else(|| nearest_below(&told.folder, told.top.as_deref()));
    let mut inputs = match &told.configuration {
        Some(file) => Inputs::configured_by(&Disk, file),
        None => Inputs::configured_below(&Disk, config.as_deref(), told.top.as_deref()),
    };
    inputs.name_cluster(told.cluster.as_deref());
    let Some(mut choice) = inputs.choice(config.as_deref(), None) else {
        return (None, inputs.diagnostics);
    };
    let top = inputs.layout.top.clone().or_else(|| Top::of(&told.folder, told.top.as_deref()));
    choice.top.clone_from(&top);
    let namespace = namespace(told, &inputs.layout);
    choice.namespaces.otherwise = Arc::clone(&namespace);
    if told.namespace.is_some() {
        choice.namespaces.rules.clear();
    }
    let spec = &told.config.spec;
    let bounds = bounds(told, config.as_deref());
    let mut paths = Paths { told, bounds, top: top.as_ref(), wrong: Vec::new() };
    let mut set_paths = paths.confined("sidecarSets", &spec.sidecar_sets);
    let source_paths = paths.confined("sources", &spec.sources);
    let ledger_paths = paths.confined("ledgers", &spec.ledgers);
    let mut diagnostics = paths.wrong;
    let has_own = !spec.sidecar_sets.is_empty() || !told.config.inline.is_empty();
    if !has_own && items.sidecar_sets.is_empty() {
        set_paths = inputs.layout.sidecar_sets(&Disk, &Disk);
    }
    let sources = inputs.choose(&source_paths, &choice);
    // A SidecarSet in a folder of sources may be named a second time.
    let known: BTreeSet<PathBuf> = sources.iter().filter_map(resolved).collect();
    let mut set_files = inputs.choose(&set_paths, &choice);
    set_files.retain(|file| resolved(file).is_none_or(|path| !known.contains(&path)));
    let mut sidecar_sets = gather_files(&set_files, &Disk);
    sidecar_sets.sidecar_sets.extend(told.config.inline.iter().cloned());
    items.merge(gather_manifests(&sources, &Disk));
    let (ledgers, wrong) = ledgers(spec, &ledger_paths, &inputs, (told, top.as_ref()));
    diagnostics.extend(wrong);
    diagnostics.append(&mut inputs.diagnostics);
    if sidecar_sets.sidecar_sets.is_empty()
        && items.sidecar_sets.is_empty()
        && set_paths.is_empty()
        && !has_own
    {
        diagnostics.extend(ledgers.ledgers.is_empty().then(|| nothing_to_inject(&told.at)));
    }
    let repository = with_namespaces(&inputs.repository, spec);
    let (prepared, wrong) = prepare(Ingredients {
        manifests: items,
        sidecar_sets,
        ledgers,
        history: Gathered::default(),
        named_for_sets: &set_paths,
        repository: &repository,
        annotations: spec.annotations,
        keeps_sidecar_sets: !matches!(spec.keep_sidecar_sets, None | Some(KeepSidecarSets::Strip)),
        trace: false,
        supposed: None,
    });
    diagnostics.extend(wrong);
    let renderer = match told.otherwise.as_deref().filter(|n| !n.is_empty()) {
        Some(namespace) => prepared.renderer.guessing(namespace),
        None => prepared.renderer,
    };
    let renderer = if told.keeps_all { renderer.keeping_all() } else { renderer };
    let (declared, at) = (prepared.declared_namespaces, told.at.clone());
    (Some(Door { renderer, namespace, sources, declared, at }), diagnostics)
}

fn resolved(input: &Input) -> Option<PathBuf> {
    match &input.source {
        Source::File(path) => path.canonicalize().ok(),
        Source::Stdin | Source::Text(_) => None,
    }
}

impl Door {
    /// Renders a text that was read already.
    pub(super) fn render(&self, name: &Arc<str>, text: &str) -> (String, Vec<Diagnostic>) {
        let file = File { name, namespace: &self.namespace, is_named: true, text, documents: &[] };
        let (text, mut wrong, keys) = self.file(&file);
        wrong.extend(self.strangers(&keys));
        (text, wrong)
    }

    fn file(&self, file: &File<'_>) -> Rendered {
        let rendered = render_file(file, &self.renderer, How::default());
        let text = rendered.new.unwrap_or_else(|| file.text.to_owned());
        let keys = rendered.workloads.iter().map(|(key, _)| key.as_str().into()).collect();
        (if rendered.is_dropped { String::new() } else { text }, rendered.diagnostics, keys)
    }

    /// Entries of ledgers for workloads of another namespace than those that are here.
    fn strangers(&self, keys: &BTreeSet<Arc<str>>) -> Vec<Diagnostic> {
        self.renderer.strangers(keys, &self.declared, &self.at)
    }

    /// Reads and renders the manifests that the configuration names; each file with its name.
    pub(super) fn render_sources(&self) -> (Vec<(Arc<str>, String)>, Vec<Diagnostic>) {
        let (mut texts, mut diagnostics, mut present) = (Vec::new(), Vec::new(), BTreeSet::new());
        let work = |input: &Input| {
            let text = text(input, &Disk)?;
            Ok(self.file(&File {
                name: &input.name,
                namespace: &input.namespace,
                is_named: input.is_named,
                text: &text,
                documents: &[],
            }))
        };
        let mut names = self.sources.iter().map(|input| Arc::clone(&input.name));
        in_order(&self.sources, work, |done: Result<_, Diagnostic>| {
            let name = names.next().unwrap_or_else(|| "".into());
            match done {
                Ok((text, wrong, keys)) => {
                    texts.push((name, text));
                    diagnostics.extend(wrong);
                    present.extend(keys);
                }
                Err(error) => diagnostics.push(error),
            }
        });
        diagnostics.extend(self.strangers(&present));
        (texts, diagnostics)
    }
}

/// Says what is different where manifests come out of kustomize; not yet placed diagnostics only.
pub(super) fn explain_patches(diagnostic: &mut Diagnostic) {
    let is_image =
        diagnostic.field.as_deref().is_some_and(|f| f.starts_with("spec.") && f.ends_with(".image"));
    let came_over_stream = diagnostic.labels.first().is_some_and(|label| &*label.file == STREAM);
    if diagnostic.code == Code::MissingField && is_image && came_over_stream {
        diagnostic.notes.push(
            "a strategic-merge patch of a SidecarSet replaces the whole list of containers, images and all"
                .to_owned(),
        );
        diagnostic.help = Some("name the image; in a kustomization, patch the SidecarSet with JSON 6902 (`patches: [{target: …, patch: '- op: replace …'}]`)".to_owned());
    }
}

/// Looks for pillion.yaml in a folder and above, but not above `top`.
fn nearest_below(folder: &Path, top: Option<&Path>) -> Option<PathBuf> {
    let found = nearest(named_folder(folder))?;
    let Some(top) = top.map(Path::canonicalize) else { return Some(found) };
    let is_below = found.canonicalize().ok()?.starts_with(top.ok()?);
    is_below.then_some(found)
}

/// Which folder must paths not leave?
fn bounds(told: &Told, config: Option<&Path>) -> Bounds {
    if let Some(config) = config {
        let root = config.parent().unwrap_or(Path::new("")).to_owned();
        return Bounds {
            root,
            because: "files are read from the folder of the nearest pillion.yaml and below",
        };
    }
    if let Some(top) = &told.top {
        return Bounds { root: top.clone(), because: "files are read from the repository only" };
    }
    let mut above = told.folder.clone();
    for _ in 0..64 {
        if named_folder(&above).join(".git").exists() {
            return Bounds { root: above, because: "files are read from the git repository only" };
        }
        above.push("..");
    }
    Bounds {
        root: told.folder.clone(),
        because: "there is no pillion.yaml above, so files are read from this folder and below",
    }
}

fn named_folder(folder: &Path) -> &Path {
    if folder.as_os_str().is_empty() { Path::new(".") } else { folder }
}

struct Paths<'a> {
    told: &'a Told,
    bounds: Bounds,
    top: Option<&'a Top>,
    wrong: Vec<Diagnostic>,
}

impl Paths<'_> {
    fn confined(&mut self, key: &str, written: &[String]) -> Vec<PathBuf> {
        let mut paths = Vec::new();
        for (i, path) in written.iter().enumerate() {
            let at = match &self.told.written {
                Some((document, base)) => {
                    document.label(&base.then("spec").then(key).then(i), Part::Value, "")
                }
                None => self.told.at.clone(),
            };
            match confined(path, &self.told.folder, &self.bounds, self.top, &at) {
                Ok(path) => paths.push(path),
                Err(wrong) => self.wrong.push(wrong),
            }
        }
        paths
    }
}

/// The ledgers that the configuration names, else those of pillion.yaml.
fn ledgers(
    spec: &Spec,
    paths: &[PathBuf],
    inputs: &Inputs<'_>,
    (told, top): (&Told, Option<&Top>),
) -> (Gathered, Vec<Diagnostic>) {
    let mut diagnostics = Vec::new();
    let mut files = Vec::new();
    if spec.ledgers.is_empty() {
        let (found, wrong) = inputs.layout.ledgers(&Disk);
        diagnostics.extend(wrong);
        let cluster = match cluster(inputs, told) {
            Ok(cluster) => cluster,
            Err(wrong) => {
                diagnostics.push(*wrong);
                return (Gathered::default(), diagnostics);
            }
        };
        files.extend(found.into_iter().filter(|l| l.cluster == cluster).map(|l| l.input));
    }
    for path in paths {
        if Disk.kind(path) == Some(Kind::Folder) {
            let ledgers = Some(path.to_string_lossy().into_owned());
            let layout = Layout { ledgers, top: top.cloned(), ..Layout::default() };
            let (found, wrong) = layout.ledgers(&Disk);
            diagnostics.extend(wrong);
            files.extend(found.into_iter().map(|l| l.input));
        } else {
            let place = top.and_then(|top| top.place(path)).unwrap_or_else(|| Place::typed(path));
            files.extend(
                named(std::slice::from_ref(path))
                    .into_iter()
                    .map(|file| Input { place: place.clone(), ..file }),
            );
        }
    }
    let (gathered, wrong) = gather_ledgers(&files, &Disk);
    diagnostics.extend(wrong);
    (gathered, diagnostics)
}

/// The cluster of pillion.yaml whose ledgers count: the one that was named, the only one, or the one whose folder this is.
fn cluster(inputs: &Inputs<'_>, told: &Told) -> Result<Option<Arc<str>>, Box<Diagnostic>> {
    let clusters = inputs.clusters();
    if let [one] = &clusters[..] {
        return Ok(one.as_ref().map(|c| Arc::clone(&c.name)));
    }
    let here = named_folder(&told.folder).canonicalize().unwrap_or_default();
    let mut holding = clusters.iter().flatten().filter(|c| {
        let folder = c.folder.as_ref().map(|f| inputs.layout.root.join(f));
        folder.and_then(|f| f.canonicalize().ok()).is_some_and(|f| here.starts_with(f))
    });
    match (inputs.layout.ledgers.is_some(), holding.next(), holding.next()) {
        (false, _, _) => Ok(None),
        (true, Some(one), None) => Ok(Some(Arc::clone(&one.name))),
        _ => {
            let names: Vec<&str> = clusters.iter().flatten().map(|c| &*c.name).collect();
            let message = format!(
                "pillion.yaml has the clusters {}, and nothing says whose ledgers count here",
                names.join(", ")
            );
            let wrong = Diagnostic::error(Code::NoCluster, message).at(told.at.clone());
            Err(Box::new(wrong.help(
                "name the folder of the ledgers in `ledgers:`, such as `ledgers: [../../ledgers/NAME]`",
            )))
        }
    }
}

/// The namespace of manifests that name none: what was said, else the rule of pillion.yaml for the door's folder. What
/// Argo CD says of an Application is a guess: the stages of a rollout do not know it.
fn namespace(told: &Told, layout: &Layout) -> Arc<str> {
    if let Some(name) = told.namespace.as_deref().filter(|n| !n.is_empty()) {
        return name.into();
    }
    namespace_of(&told.folder, layout).unwrap_or_else(|| UNSPECIFIED.into())
}

/// What pillion.yaml says, the labels of namespaces and the ledgers as the configuration says.
fn with_namespaces(repository: &Repository, spec: &Spec) -> Repository {
    let mut repository = repository.clone();
    let rule = |n: &crate::model::sidecars::Namespace| NamespaceRule {
        folder: None,
        name: n.name.clone(),
        labels: Some(n.labels.clone()),
    };
    repository.namespaces.splice(0..0, spec.namespaces.iter().map(rule));
    if let Some(ledgers) = spec.ledgers.first() {
        repository.ledgers = Some(ledgers.clone());
    }
    repository
}

fn nothing_to_inject(at: &Label) -> Diagnostic {
    Diagnostic::warning(Code::NoSidecarSet, "there is no SidecarSet, so nothing is injected")
        .at(at.clone())
        .help("name files in `sidecarSets:`, write some in `inline:`, or list them among the resources")
}
