//! From the command line and pillion.yaml to the files that are read.

use super::Common;
use crate::diag::{Code, Diagnostic, Label};
use crate::model::repository::{self, Repository};
use crate::read::{Found, Skips, read_file, walk};
use crate::yaml::Document;
use clap::Args;
use serde_json::Value;
use std::collections::BTreeSet;
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
    /// Namespace of manifests that name none
    #[arg(long, value_name = "NAME")]
    pub(super) namespace: Option<String>,
}

/// Where the text of an input is.
#[derive(Debug, Clone)]
pub(super) enum Source {
    /// A file.
    File(PathBuf),
    /// Standard input, which can be read once.
    Stdin,
}

/// One input to be rendered.
#[derive(Debug, Clone)]
pub(super) struct Input {
    /// Where its text is.
    pub(super) source: Source,
    /// What it is called in messages.
    pub(super) name: Arc<str>,
    /// Its place in an output folder.
    pub(super) relative: PathBuf,
    /// A person named this very file.
    pub(super) is_named: bool,
    /// Namespace of its manifests that name none.
    pub(super) namespace: Arc<str>,
}

/// The inputs of a command.
#[derive(Debug, Default)]
pub(super) struct Inputs {
    /// The configuration, with defaults where there is none.
    pub(super) repository: Repository,
    /// The folder of pillion.yaml.
    pub(super) root: PathBuf,
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
    /// The command line or the configuration is wrong: nothing else is worth doing.
    pub(super) is_unusable: bool,
}

/// Finds the inputs. Nothing below the folder that is going to be written is one.
pub(super) fn find(args: &InputArgs, common: &Common, out: Option<&Path>) -> Inputs {
    let mut inputs = Inputs::default();
    let start = args.paths.iter().find(|p| p.as_os_str() != "-").cloned();
    let file = common.config.clone().or_else(|| nearest(start.as_deref().unwrap_or(Path::new("."))));
    if let Some(file) = &file {
        inputs.configure(file);
    }
    if inputs.is_unusable {
        return inputs;
    }
    let skips = match inputs.skips(out) {
        Ok(skips) => skips,
        Err(pattern) => {
            let label =
                Label::whole_file(file.as_deref().unwrap_or(Path::new("pillion.yaml")).to_string_lossy());
            let message = format!("`ignore` holds a pattern that cannot be read: {pattern}");
            inputs.refuse(Diagnostic::error(Code::InvalidConfiguration, message).at(label).field("ignore"));
            return inputs;
        }
    };
    let is_whole =
        file.is_some() && (args.paths.is_empty() || args.paths.iter().all(|p| same(p, &inputs.root)));
    let paths = match (is_whole, args.paths.is_empty()) {
        (true, _) if !inputs.repository.sources.is_empty() => inputs.in_root(&inputs.repository.sources),
        (true, _) if inputs.root.as_os_str().is_empty() => vec![PathBuf::from(".")],
        (true, _) => vec![inputs.root.clone()],
        (false, true) => vec![PathBuf::from(".")],
        (false, false) => args.paths.clone(),
    };
    let namespace = match &args.namespace {
        Some(name) => Namespace { otherwise: name.as_str().into(), rules: Vec::new() },
        None => Namespace { otherwise: "default".into(), rules: inputs.namespace_rules() },
    };
    let sets: Vec<PathBuf> = inputs
        .in_root(&inputs.repository.sidecar_sets)
        .into_iter()
        .chain(args.sidecar_sets.clone())
        .collect();
    inputs.manifests = inputs.collect(&paths, &skips, &namespace);
    inputs.sidecar_sets = inputs.collect(&sets, &skips, &namespace);
    inputs.named_for_sets = sets;
    inputs.history = inputs.collect(&args.history, &skips, &namespace);
    inputs
}

/// Which namespace the manifests of a file are in where they name none.
struct Namespace {
    otherwise: Arc<str>,
    rules: Vec<(PathBuf, Arc<str>)>,
}

impl Namespace {
    fn of(&self, file: &Path) -> Arc<str> {
        let rule = self.rules.iter().find(|(folder, _)| file.starts_with(folder));
        rule.map_or(&self.otherwise, |(_, name)| name).clone()
    }
}

impl Inputs {
    fn configure(&mut self, file: &Path) {
        let name: Arc<str> = file.to_string_lossy().into();
        let document = read_file(file, &name).and_then(|text| Document::read(&name, 0, 1, &text));
        match document {
            Ok(document) => {
                let (repository, wrong) = repository::decode(&document);
                self.is_unusable = wrong.iter().any(Diagnostic::is_error);
                self.diagnostics.extend(wrong);
                self.diagnostics.extend(without_effect(&document));
                self.repository = repository;
            }
            Err(error) => self.refuse(error),
        }
        self.root = file.parent().map(Path::to_owned).unwrap_or_default();
    }

    fn refuse(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
        self.is_unusable = true;
    }

    fn in_root(&self, paths: &[String]) -> Vec<PathBuf> {
        paths.iter().map(|p| plain(&self.root.join(p))).collect()
    }

    /// Rendered files and ledgers are not sources.
    fn skips(&self, out: Option<&Path>) -> Result<Skips, String> {
        let own = [&self.repository.rendered, &self.repository.ledgers].into_iter().flatten();
        let own = own.filter(|folder| *folder != ".").map(|folder| self.root.join(folder));
        Skips::new(&self.root, &self.repository.ignore, own.chain(out.map(Path::to_owned)).collect())
    }

    fn namespace_rules(&self) -> Vec<(PathBuf, Arc<str>)> {
        let with_folder =
            self.repository.namespaces.iter().filter_map(|r| Some((r.folder.as_ref()?, &r.name)));
        with_folder.map(|(folder, name)| (plain(&self.root.join(folder)), name.as_str().into())).collect()
    }

    /// Finds the files of some paths, each once.
    fn collect(&mut self, paths: &[PathBuf], skips: &Skips, namespace: &Namespace) -> Vec<Input> {
        let mut files: Vec<(Found, bool)> = Vec::new();
        let mut patches = BTreeSet::new();
        let mut collected = Vec::new();
        for path in paths {
            if path.as_os_str() == "-" {
                collected.push(stdin(namespace));
                continue;
            }
            if !path.exists() {
                let message = format!("`{}` does not exist", path.display());
                self.refuse(
                    Diagnostic::error(Code::UnreadableFile, message)
                        .at(Label::whole_file(path.to_string_lossy()))
                        .help("check the name of the file or folder"),
                );
                continue;
            }
            let found = walk(path, skips);
            self.diagnostics.extend(found.diagnostics);
            for kustomization in &found.kustomizations {
                patches.extend(patches_of(kustomization));
            }
            let is_named = !path.is_dir();
            files.extend(found.files.into_iter().map(|f| (f, is_named)));
        }
        let mut seen = BTreeSet::new();
        for (found, is_named) in files {
            if !is_named && patches.contains(&found.path) {
                self.diagnostics.push(
                    Diagnostic::note(
                        Code::FolderSkipped,
                        format!("`{}` is a patch of a kustomization and is skipped", found.name),
                    )
                    .at(Label::whole_file(found.path.to_string_lossy())),
                );
            } else if seen.insert(found.path.clone().into_os_string()) {
                let namespace = namespace.of(&found.path);
                collected.push(Input {
                    source: Source::File(found.path),
                    name: found.name,
                    relative: found.relative,
                    is_named,
                    namespace,
                });
            }
        }
        collected
    }
}

fn stdin(namespace: &Namespace) -> Input {
    Input {
        source: Source::Stdin,
        name: "<stdin>".into(),
        relative: "stdin.yaml".into(),
        is_named: true,
        namespace: namespace.of(Path::new("")),
    }
}

/// Files that a person named, as inputs; `-` is standard input.
pub(super) fn named(files: &[PathBuf]) -> Vec<Input> {
    let namespace: Arc<str> = "default".into();
    let input = |path: &PathBuf| match path.as_os_str() == "-" {
        true => stdin(&Namespace { otherwise: namespace.clone(), rules: Vec::new() }),
        false => Input {
            source: Source::File(path.clone()),
            name: path.to_string_lossy().into(),
            relative: path.clone(),
            is_named: true,
            namespace: namespace.clone(),
        },
    };
    files.iter().map(input).collect()
}

/// The files that a kustomization lists as patches; one that cannot be read lists none.
fn patches_of(kustomization: &Path) -> Vec<PathBuf> {
    let name: Arc<str> = kustomization.to_string_lossy().into();
    let document = read_file(kustomization, &name).and_then(|text| Document::read(&name, 0, 1, &text));
    let Ok(document) = document else { return Vec::new() };
    let folder = kustomization.parent().unwrap_or(Path::new(""));
    let listed = |key: &str| document.value().get(key).and_then(Value::as_array).cloned().unwrap_or_default();
    let merges = listed("patchesStrategicMerge").into_iter();
    let paths = ["patches", "patchesJson6902"].into_iter().flat_map(listed).map(|p| p["path"].clone());
    merges.chain(paths).filter_map(|p| p.as_str().map(|p| plain(&folder.join(p)))).collect()
}

/// Finds pillion.yaml in the folder of `start` or above, up to the root of the git repository.
fn nearest(start: &Path) -> Option<PathBuf> {
    let mut folder = if start.is_dir() { start.to_owned() } else { start.parent()?.to_owned() };
    // `..` in a name and the way above a relative one are found out by asking the file system.
    for _ in 0..256 {
        let candidate = plain(&folder.join("pillion.yaml"));
        if candidate.is_file() {
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

/// Takes `.` and, where names allow it, `..` out of a path.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir if matches!(plain.components().next_back(), Some(Component::Normal(_))) => {
                plain.pop();
            }
            other => plain.push(other),
        }
    }
    plain
}

/// Keys of pillion.yaml that no command of this version acts on.
fn without_effect(document: &Document) -> Vec<Diagnostic> {
    let path = |key: &str| crate::yaml::Path::root().then(key);
    ["ledgers", "clusters", "git", "rollout"]
        .into_iter()
        .filter(|key| document.value().get(*key).is_some())
        .map(|key| {
            Diagnostic::note(
                Code::WithoutEffect,
                format!("`{key}` is without effect yet: this version renders and validates only"),
            )
            .at(document.label(&path(key), crate::yaml::Part::Key, ""))
            .field(key)
            .help("nothing has to be done: a later version acts on it")
        })
        .collect()
}
