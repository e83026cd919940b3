//! From the command line and pillion.yaml to the files that are read.

use super::Common;
use crate::confine::{Place, Top};
use crate::diag::{Code, Diagnostic, Label};
use crate::model::kustomization;
use crate::model::repository::{self, Repository};
use crate::read::{Choice, Cluster, Disk, Files, Input, Layout, Namespaces, Source, built, choose, plain};
use crate::stage::{Builds, Configuration, Manifests, layout, stray_paths};
use crate::yaml::Document;
use clap::Args;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

/// What to read.
#[derive(Debug, Clone, Args)]
pub(super) struct InputArgs {
    /// Files and folders with manifests, `-` for standard input; without any, what pillion.yaml says, else `.`
    #[arg(value_name = "PATH")]
    pub(super) paths: Vec<PathBuf>,
    /// File or folder with further SidecarSets; may be given several times
    #[arg(long = "sidecarsets", value_name = "PATH")]
    pub(super) sidecar_sets: Vec<PathBuf>,
    /// Earlier states of SidecarSets, oldest first, where no ledger holds them
    #[arg(long, value_name = "FILE")]
    pub(super) history: Vec<PathBuf>,
    /// The cluster of pillion.yaml that the manifests are of, where their folder does not say
    #[arg(long, value_name = "NAME")]
    pub(super) cluster: Option<String>,
    /// Namespace of manifests that name none
    #[arg(long, value_name = "NAME")]
    pub(super) namespace: Option<String>,
}

/// The inputs of a command.
pub(super) struct Inputs<'a> {
    /// Where they are.
    pub(super) files: &'a dyn Files,
    /// The configuration, with defaults where there is none.
    pub(super) repository: Repository,
    /// What it says of files.
    pub(super) layout: Layout,
    /// The cluster that was named.
    pub(super) cluster: Option<String>,
    /// pillion.yaml, for places in it.
    document: Option<Arc<Document>>,
    /// What is rendered, in order.
    pub(super) manifests: Vec<Input>,
    /// Files that only add SidecarSets.
    pub(super) sidecar_sets: Vec<Input>,
    /// Files with earlier states of SidecarSets.
    pub(super) history: Vec<Input>,
    /// Errors and notes so far.
    pub(super) diagnostics: Vec<Diagnostic>,
    /// Places of SidecarSets that the command line or pillion.yaml names.
    pub(super) named_for_sets: Vec<PathBuf>,
    /// Everything that pillion.yaml names is read, and nothing else.
    pub(super) is_whole: bool,
    /// The command line or the configuration is wrong: nothing else is worth doing.
    pub(super) is_unusable: bool,
}

/// Finds the inputs. Nothing below the folder that is going to be written is one.
pub(super) fn find(args: &InputArgs, common: &Common, out: Option<&Path>) -> Inputs<'static> {
    let start = args.paths.iter().find(|p| p.as_os_str() != "-").cloned();
    let config = common.config.clone().or_else(|| nearest(start.as_deref().unwrap_or(Path::new("."))));
    let mut inputs = match &common.config {
        Some(file) => Inputs::configured_by(&Disk, file, None),
        None => Inputs::configured(&Disk, config.as_deref()),
    };
    let root = inputs.layout.root.clone();
    inputs.name_cluster(args.cluster.as_deref());
    let is_whole = config.is_some() && (args.paths.is_empty() || args.paths.iter().all(|p| same(p, &root)));
    let paths = match (is_whole, args.paths.is_empty()) {
        (true, _) => inputs.layout.sources(),
        (false, true) => vec![PathBuf::from(".")],
        (false, false) => args.paths.clone(),
    };
    inputs.is_whole = is_whole;
    let Some(mut choice) = inputs.choice(config.as_deref(), out) else { return inputs };
    choice.typed = args.paths.iter().chain(&args.sidecar_sets).chain(&args.history).cloned().collect();
    if let Some(name) = &args.namespace {
        choice.namespaces = Namespaces { otherwise: name.as_str().into(), rules: Vec::new() };
    }
    let here = namespace_of(Path::new("."), &inputs.layout).filter(|_| args.namespace.is_none());
    let sets = inputs.layout.sidecar_sets(inputs.files, inputs.files);
    inputs.diagnostics.extend(inputs.layout.missing_sidecar_sets(inputs.files, inputs.files));
    inputs.named_for_sets = sets.into_iter().chain(args.sidecar_sets.clone()).collect();
    let (built, plain) =
        if args.paths.is_empty() { inputs.build(&choice, common.builds()) } else { (Vec::new(), None) };
    inputs.manifests = match &plain {
        Some(clusters) if clusters.is_empty() => Vec::new(),
        _ => inputs.choose(&paths, &choice),
    };
    if let Some(clusters) = plain {
        let layout = &inputs.layout;
        inputs.manifests.retain(|input| clusters.iter().any(|c| layout.is_in(c, input)));
    }
    inputs.manifests.extend(built);
    for input in inputs.manifests.iter_mut().filter(|input| input.source == Source::Stdin) {
        input.namespace = here.clone().unwrap_or_else(|| Arc::clone(&input.namespace));
    }
    inputs.sidecar_sets = inputs.choose(&inputs.named_for_sets.clone(), &choice);
    inputs.history = inputs.choose(&args.history, &choice);
    inputs
}

impl<'a> Inputs<'a> {
    /// Reads the configuration of a repository, and finds no input yet.
    pub(super) fn configured(files: &'a dyn Files, config: Option<&Path>) -> Self {
        Self::configured_below(files, config, None)
    }

    /// The same where a caller knows the root of the repository.
    pub(super) fn configured_below(files: &'a dyn Files, config: Option<&Path>, top: Option<&Path>) -> Self {
        let mut inputs = Self::new(files);
        if let Some(config) = config {
            let top = files.top(config.parent().unwrap_or(Path::new("")), top);
            let place = top.as_ref().and_then(|top| top.place(config));
            inputs.configure(config, &place.unwrap_or_else(|| Place::typed(config)), top);
        }
        inputs
    }

    /// Reads a configuration that a person named, which may be a link.
    pub(super) fn configured_by(files: &'a dyn Files, config: &Path, top: Option<&Path>) -> Self {
        let mut inputs = Self::new(files);
        let top = files.top(config.parent().unwrap_or(Path::new("")), top);
        inputs.configure(config, &Place::typed(config), top);
        inputs
    }

    fn new(files: &'a dyn Files) -> Self {
        Self {
            files,
            repository: Repository::default(),
            layout: Layout::default(),
            cluster: None,
            document: None,
            manifests: Vec::new(),
            sidecar_sets: Vec::new(),
            history: Vec::new(),
            diagnostics: Vec::new(),
            named_for_sets: Vec::new(),
            is_whole: false,
            is_unusable: false,
        }
    }

    fn configure(&mut self, file: &Path, place: &Place, top: Option<Top>) {
        let name: Arc<str> = file.to_string_lossy().into();
        let text = self.files.text_at(place, file, &name);
        let document = match text.and_then(|text| Document::read(&name, 0, 1, &text)) {
            Ok(document) => document,
            Err(error) => {
                self.layout.root = file.parent().unwrap_or(Path::new("")).to_owned();
                return self.refuse(error);
            }
        };
        let (repository, mut wrong) = repository::decode(&document);
        self.layout = Layout { top, ..layout(&repository, file.parent().unwrap_or(Path::new(""))) };
        wrong.extend(stray_paths(self.files, &self.layout, &document));
        self.is_unusable = wrong.iter().any(Diagnostic::is_error);
        self.diagnostics.extend(wrong);
        self.repository = repository;
        self.document = Some(Arc::new(document));
    }

    /// Prepares choosing; None when the configuration is of no use.
    pub(super) fn choice(&mut self, config: Option<&Path>, out: Option<&Path>) -> Option<Choice> {
        if self.is_unusable {
            return None;
        }
        match self.layout.skips(out) {
            Ok(skips) => Some(Choice {
                skips,
                namespaces: self.layout.namespaces(),
                patches_of: kustomization::patches,
                top: self.layout.top.clone(),
                typed: Vec::new(),
            }),
            Err(pattern) => {
                let file = config.unwrap_or(Path::new("pillion.yaml"));
                let message = format!("`ignore` holds a pattern that cannot be read: {pattern}");
                self.refuse(
                    Diagnostic::error(Code::InvalidConfiguration, message)
                        .at(Label::whole_file(file.to_string_lossy()))
                        .field("ignore"),
                );
                None
            }
        }
    }

    /// Builds the manifests of clusters that a command makes, and returns them; beside them the clusters that are left
    /// with plain files, where some are built.
    fn build(&mut self, choice: &Choice, builds: Builds) -> (Vec<Input>, Option<Vec<Cluster>>) {
        let configuration = Configuration {
            repository: self.repository.clone(),
            layout: self.layout.clone(),
            document: self.document.clone(),
        };
        let (mut found, mut plain, mut is_built) = (Vec::new(), Vec::new(), false);
        for cluster in self.clusters() {
            let name = cluster.as_ref().map(|c| &*c.name);
            match Manifests::built(builds).of_folder(&configuration, name) {
                Ok(Some((title, text))) => {
                    let place = (&*self.layout.root, &choice.namespaces);
                    found.push(built(&title, &text, name, place));
                    is_built = true;
                }
                Ok(None) => plain.extend(cluster),
                Err(wrong) => {
                    self.diagnostics.push(*wrong);
                    is_built = true;
                }
            }
        }
        (found, is_built.then_some(plain))
    }

    /// Takes one cluster of pillion.yaml.
    pub(super) fn name_cluster(&mut self, name: Option<&str>) {
        let Some(name) = name else { return };
        let known: Vec<&str> = self.layout.clusters.iter().map(|c| &*c.name).collect();
        if !known.contains(&name) {
            let message = format!("pillion.yaml has no cluster `{name}`");
            let help = match known.is_empty() {
                true => "leave out `--cluster`: pillion.yaml names none".to_owned(),
                false => format!("it has {}", known.join(", ")),
            };
            self.refuse(Diagnostic::error(Code::NoCluster, message).help(help));
        }
        self.cluster = Some(name.to_owned());
    }

    /// Leaves out the manifests that stand in the folder of another cluster than the one that was named.
    pub(super) fn leave_out_other_clusters(&mut self) {
        let Some(name) = self.cluster.as_deref() else { return };
        let (layout, mut manifests) = (&self.layout, std::mem::take(&mut self.manifests));
        let has_folder = |c: &&Cluster| c.folder.is_some();
        manifests.retain(|input| {
            let mut owners =
                layout.clusters.iter().filter(has_folder).filter(|c| layout.is_in(c, input)).peekable();
            owners.peek().is_none() || owners.any(|c| *c.name == *name)
        });
        self.manifests = manifests;
    }

    /// Returns the clusters that count; None stands for the only one where pillion.yaml names none.
    pub(super) fn clusters(&self) -> Vec<Option<Cluster>> {
        if self.layout.clusters.is_empty() {
            return vec![None];
        }
        let counts = |c: &&Cluster| self.cluster.as_deref().is_none_or(|name| *c.name == *name);
        self.layout.clusters.iter().filter(counts).cloned().map(Some).collect()
    }

    fn refuse(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
        self.is_unusable = true;
    }

    /// Finds the files of some paths.
    pub(super) fn choose(&mut self, paths: &[PathBuf], choice: &Choice) -> Vec<Input> {
        let chosen = choose(self.files, paths, choice);
        self.diagnostics.extend(chosen.diagnostics);
        self.is_unusable |= chosen.is_missing;
        chosen.inputs
    }
}

/// Returns the namespace that a rule of pillion.yaml gives to a folder.
pub(super) fn namespace_of(folder: &Path, layout: &Layout) -> Option<Arc<str>> {
    let named =
        |folder: &Path| if folder.as_os_str().is_empty() { PathBuf::from(".") } else { folder.to_owned() };
    let here = named(folder).canonicalize().ok()?;
    let holds = |folder: &Path| named(folder).canonicalize().is_ok_and(|f| here.starts_with(f));
    layout.namespaces().rules.into_iter().find(|(folder, _)| holds(folder)).map(|(_, name)| name)
}

/// Finds pillion.yaml in the folder of `start` or above, up to the root of the git repository.
pub(super) fn nearest(start: &Path) -> Option<PathBuf> {
    let mut folder = if start.is_dir() { start.to_owned() } else { start.parent()?.to_owned() };
    // `..` in a name and the way above a relative one are found out by asking the file system.
    for _ in 0..256 {
        let candidate = plain(&folder.join("pillion.yaml"));
        // One that cannot be read is the configuration all the same: without it nothing would be as it says.
        if candidate.symlink_metadata().is_ok() {
            return Some(candidate);
        }
        if folder.join(".git").exists() {
            return None;
        }
        folder = above(&folder)?;
    }
    None
}

/// Returns the folder above, by name where the name says it.
fn above(folder: &Path) -> Option<PathBuf> {
    let folder = plain(folder);
    match folder.components().next_back() {
        Some(Component::Normal(_)) => folder.parent().map(Path::to_owned),
        Some(Component::RootDir | Component::Prefix(_)) => None,
        _ => {
            let absolute = if folder.as_os_str().is_empty() { PathBuf::from(".") } else { folder.clone() }
                .canonicalize()
                .ok()?;
            absolute.parent().map(|_| folder.join(".."))
        }
    }
}

fn same(a: &Path, b: &Path) -> bool {
    let b = if b.as_os_str().is_empty() { Path::new(".") } else { b };
    matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}
