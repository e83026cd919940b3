//! What every front door does between its reader and its writer: from a configuration to a renderer, paths confined.

use super::application::{is_one_of, ledger_of_application};
use super::inputs::{Inputs, namespace_of};
use super::items::STREAM;
use super::pipeline::{gather_files, gather_manifests};
use super::topmost::{PINNED, private_root_of, root_of, topmost};
use crate::confine::{Place, Top};
use crate::diag::{Code, Diagnostic, Label};
use crate::model::repository::{NamespaceRule, Repository};
use crate::model::sidecars::{Decoded, KeepSidecarSets, Spec};
use crate::read::{
    Bounds, Choice, Disk, Files as _, Input, Kind, Layout, Source, UNSPECIFIED, confined, in_order, named,
    text,
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
    /// The manifests are those of an application: they add SidecarSets to those of pillion.yaml, and replace neither
    /// them nor their ledgers.
    pub(super) is_application: bool,
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
            is_application: false,
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
    let root = told.top.clone().or_else(|| root_of(&told.folder));
    let outermost = root.clone().unwrap_or_else(|| private_root_of(&told.folder));
    let pinned = match pinned(&outermost, &told.at) {
        Ok(pinned) => pinned,
        Err(wrong) => return (None, vec![*wrong]),
    };
    let config = pinned.clone().or_else(|| topmost(&told.folder, &outermost));
    let mut inputs = match &pinned {
        Some(file) => Inputs::configured_by(&Disk, file, root.as_deref()),
        None => Inputs::configured_below(&Disk, config.as_deref(), root.as_deref()),
    };
    inputs.name_cluster(told.cluster.as_deref());
    let Some(mut choice) = inputs.choice(config.as_deref(), None) else {
        return (None, inputs.diagnostics);
    };
    let own_top = || Top::of(&told.folder, root.as_deref());
    let of_config = inputs.layout.top.clone().or_else(own_top);
    let choice_of_sets = Choice { top: of_config.clone(), ..choice.clone() };
    // The operator's pillion.yaml may be elsewhere.
    let top = if pinned.is_some() { own_top() } else { of_config };
    choice.top.clone_from(&top);
    let namespace = namespace(told, &inputs.layout);
    choice.namespaces.otherwise = Arc::clone(&namespace);
    if told.namespace.is_some() {
        choice.namespaces.rules.clear();
    }
    let spec = &told.config.spec;
    let bounds = bounds(told, root.as_deref(), config.as_deref());
    let mut paths = Paths { told, bounds, top: top.as_ref(), wrong: Vec::new() };
    let own_set_paths = paths.confined("sidecarSets", &spec.sidecar_sets);
    let source_paths = paths.confined("sources", &spec.sources);
    let ledger_paths = paths.confined("ledgers", &spec.ledgers);
    let mut diagnostics = paths.wrong;
    let has_own = !own_set_paths.is_empty() || !told.config.inline.is_empty();
    let set_paths = match !has_own && (told.is_application || items.sidecar_sets.is_empty()) {
        true => inputs.layout.sidecar_sets(&Disk, &Disk),
        false => Vec::new(),
    };
    let sources = inputs.choose(&source_paths, &choice);
    // A SidecarSet in a folder of sources may be named a second time.
    let known: BTreeSet<PathBuf> = sources.iter().filter_map(resolved).collect();
    let mut set_files = inputs.choose(&set_paths, &choice_of_sets);
    set_files.extend(inputs.choose(&own_set_paths, &choice));
    set_files.retain(|file| resolved(file).is_none_or(|path| !known.contains(&path)));
    let mut sidecar_sets = gather_files(&set_files, &Disk);
    sidecar_sets.sidecar_sets.extend(told.config.inline.iter().cloned());
    items.sidecar_sets.retain(|own| !is_one_of(own, &sidecar_sets.sidecar_sets));
    items.merge(gather_manifests(&sources, &Disk));
    if told.is_application && config.is_some() {
        diagnostics
            .extend(items.ledgers.drain(..).map(|(document, path)| ledger_of_application(&document, &path)));
    }
    let (ledgers, wrong) = ledgers(spec, &ledger_paths, &inputs, (told, top.as_ref()));
    diagnostics.extend(wrong);
    diagnostics.append(&mut inputs.diagnostics);
    let is_nothing = [&sidecar_sets, &items].iter().all(|found| found.sidecar_sets.is_empty())
        && [&ledgers, &items].iter().all(|found| found.ledgers.is_empty());
    let repository = with_namespaces(&inputs.repository, spec);
    let (prepared, wrong) = prepare(Ingredients {
        manifests: items,
        sidecar_sets,
        ledgers,
        history: Gathered::default(),
        named_for_sets: &[set_paths, own_set_paths].concat(),
        repository: &repository,
        annotations: spec.annotations,
        keeps_sidecar_sets: !matches!(spec.keep_sidecar_sets, None | Some(KeepSidecarSets::Strip)),
        trace: false,
        supposed: None,
    });
    diagnostics.extend(wrong);
    if is_nothing && !diagnostics.iter().any(Diagnostic::is_error) {
        diagnostics.push(nothing_to_inject(&told.at, config.as_deref()));
    }
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

/// Returns the pillion.yaml that the operator names, whatever the repository holds.
fn pinned(root: &Path, at: &Label) -> Result<Option<PathBuf>, Box<Diagnostic>> {
    let Some(named) = std::env::var_os(PINNED).filter(|named| !named.is_empty()) else { return Ok(None) };
    let file = root.join(named);
    if file.is_file() {
        return Ok(Some(file));
    }
    let message = format!("`{PINNED}` names `{}`, which is no file", file.display());
    let wrong = Diagnostic::error(Code::UnreadableFile, message).at(at.clone());
    Err(Box::new(
        wrong.help("give it the path of pillion.yaml from the root of the repository, or an absolute one"),
    ))
}

/// Which folder must paths not leave?
fn bounds(told: &Told, root: Option<&Path>, config: Option<&Path>) -> Bounds {
    let of_config = config.map(|config| config.parent().unwrap_or(Path::new("")).to_owned());
    let is_above = |folder: &PathBuf| {
        let here = named_folder(&told.folder).canonicalize();
        matches!((here, named_folder(folder).canonicalize()), (Ok(here), Ok(above)) if here.starts_with(&above))
    };
    if let Some(root) = of_config.filter(is_above) {
        return Bounds { root, because: "files are read from the folder of pillion.yaml and below" };
    }
    if let Some(root) = root {
        return Bounds { root: root.to_owned(), because: "files are read from the repository only" };
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

fn nothing_to_inject(at: &Label, config: Option<&Path>) -> Diagnostic {
    let looked = match config {
        Some(config) => format!("`{}` names none, and none is among the resources", config.display()),
        None => "there is no pillion.yaml up to the root of the repository, and none is among the resources"
            .to_owned(),
    };
    Diagnostic::error(Code::NoSidecarSet, "there is no SidecarSet, so every sidecar would go")
        .at(at.clone())
        .because(looked)
        .help(format!(
            "name them in `sidecarSets:` of the topmost pillion.yaml, or say with `{PINNED}` which pillion.yaml counts"
        ))
}
