//! Manifests of a cluster that are no plain files of git: what a `build` command of pillion.yaml prints, or what a
//! person hands over with `--manifests`.
//!
//! Whoever makes a site gets them here, so that every command sees the same ones. A build that fails or prints nothing
//! is an error, never a cluster without workloads.

use super::{Builds, Configuration, NoBuild};
use crate::diag::{Code, Diagnostic, Label};
use crate::git::{Id, Repository};
use crate::model::workload::type_of;
use crate::programs::{self, Ended, Failure, KEPT_ERRORS, Kept, Limits, NEVER, Trust};
use crate::read::{MAX_FILE, in_order, text_of};
use crate::yaml::{Document, Part, Path as YamlPath, split};
use std::io::ErrorKind;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long a build may take.
pub const BUILD_LIMIT: Duration = Duration::from_secs(120);

/// Builds that are remembered, so that a commit which is read again is not built again.
const REMEMBERED: usize = 8;

/// Lines of the end of a program's messages that are shown.
const SHOWN_LINES: usize = 10;

/// Why manifests without a manifest are not believed.
const NOTHING: &str = "a cluster without workloads is not believed: a rollout would be completed over nothing, and the next full set of manifests would be updated at once";

/// Manifests with the name that they have in messages.
pub type Built = (Arc<str>, Arc<str>);

/// Where manifests come from that are no plain files.
#[derive(Debug, Clone, Default)]
pub struct Manifests {
    /// Those that a person has handed over.
    named: Option<Result<Built, Diagnostic>>,
    /// Whether builds may run.
    builds: Builds,
    /// What was built, the newest last.
    built: Arc<Mutex<Vec<(Tree, Built)>>>,
}

/// What a build was run for: the tree, the folder in it and the command.
type Tree = (Id, String, Vec<String>);

impl Manifests {
    /// Takes the manifests that a person hands over with `--manifests`; they win over every build. Where there are
    /// none in the text, or it cannot be read, whoever asks for them hears why.
    pub fn handed_over(name: &str, read: Result<String, Diagnostic>) -> Self {
        let name: Arc<str> = name.into();
        let named = read.and_then(|text| {
            check(&name, &text).map_err(|error| match error.code {
                Code::NoManifests => error
                    .at(Label::whole_file(Arc::clone(&name)))
                    .because(NOTHING)
                    .help("check the program that makes them; in a pipe, `set -o pipefail` shows that it has failed"),
                _ => *error,
            })?;
            Ok((name, text.into()))
        });
        Self { named: Some(named), ..Self::default() }
    }

    /// Takes those that `build` commands make, where these may run.
    pub fn built(builds: Builds) -> Self {
        Self { builds, ..Self::default() }
    }

    /// Returns them with another answer to whether builds may run.
    #[must_use]
    pub fn with_builds(self, builds: Builds) -> Self {
        Self { builds, ..self }
    }

    /// Tells whether a person has handed manifests over.
    pub fn are_handed_over(&self) -> bool {
        self.named.is_some()
    }

    /// Returns the manifests of a cluster as the working folder makes them; None: they are plain files.
    ///
    /// # Errors
    /// What is wrong with the build.
    pub fn of_folder(
        &self,
        configuration: &Configuration,
        cluster: Option<&str>,
    ) -> Result<Option<Built>, Box<Diagnostic>> {
        if let Some(named) = &self.named {
            return named.clone().map(Some).map_err(Box::new);
        }
        let Some(build) = Build::of(configuration, cluster) else { return Ok(None) };
        build.allowed(self.builds)?;
        let root = &configuration.layout.root;
        build.run(if root.as_os_str().is_empty() { Path::new(".") } else { root }).map(Some)
    }

    /// Returns the manifests of a cluster as a tree of git makes them; None: they are plain files.
    ///
    /// # Errors
    /// What is wrong with the build.
    pub fn of_tree(
        &self,
        repository: &Repository,
        tree: Id,
        configuration: &Configuration,
        cluster: Option<&str>,
    ) -> Result<Option<Built>, Box<Diagnostic>> {
        if let Some(named) = &self.named {
            return named.clone().map(Some).map_err(Box::new);
        }
        let Some(build) = Build::of(configuration, cluster) else { return Ok(None) };
        build.allowed(self.builds)?;
        let root = configuration.layout.root.to_string_lossy().into_owned();
        let wanted = (tree, root, build.words.to_owned());
        let known =
            |known: &[(Tree, Built)]| known.iter().find(|(t, _)| *t == wanted).map(|(_, b)| b.clone());
        if let Some(built) = known(&self.lock()) {
            return Ok(Some(built));
        }
        let failed = |why: String| build.failed("cannot be run", &why, "");
        let folder = tempfile::tempdir().map_err(|e| failed(e.to_string()))?;
        let left_out = repository.export(tree, folder.path()).map_err(|e| failed(e.to_string()))?;
        let built = build.run(&folder.path().join(&configuration.layout.root)).map_err(|mut error| {
            error.notes.extend(missing_links(&left_out));
            error
        })?;
        let mut all = self.lock();
        if all.len() >= REMEMBERED {
            all.remove(0);
        }
        all.push((wanted, built.clone()));
        Ok(Some(built))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<(Tree, Built)>> {
        self.built.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The `build` command of a cluster.
struct Build<'c> {
    words: &'c [String],
    cluster: Option<&'c str>,
    /// Where it is written.
    at: Option<Label>,
}

impl<'c> Build<'c> {
    /// Returns the command of a cluster: its own, else that of the repository.
    fn of(configuration: &'c Configuration, cluster: Option<&'c str>) -> Option<Self> {
        let repository = &configuration.repository;
        let place = repository.clusters.iter().position(|c| Some(c.name.as_str()) == cluster);
        let own = place.and_then(|i| repository.clusters[i].build.as_deref().map(|words| (i, words)));
        let (at, words) = match (own, repository.build.as_deref()) {
            (Some((i, words)), _) => (YamlPath::dotted("clusters").then(i).then("build"), words),
            (None, Some(words)) => (YamlPath::dotted("build"), words),
            (None, None) => return None,
        };
        let at = configuration.document.as_ref().map(|d| d.label(&at, Part::Value, ""));
        Some(Self { words, cluster, at })
    }

    fn called(&self) -> String {
        self.words.join(" ")
    }

    /// Makes sure that the command may run here.
    fn allowed(&self, builds: Builds) -> Result<(), Box<Diagnostic>> {
        match builds {
            Builds::Run => Ok(()),
            Builds::Off(why) => Err(self.off(why)),
        }
    }

    fn off(&self, why: NoBuild) -> Box<Diagnostic> {
        let error = self.diagnostic(Code::BuildNotAllowed, "is not run");
        Box::new(error.because(why.reason()).help(why.help()))
    }

    /// Runs the command in a folder and looks at what it prints.
    fn run(&self, folder: &Path) -> Result<Built, Box<Diagnostic>> {
        let Some((program, args)) = self.words.split_first() else {
            return Err(self.failed(
                "is empty",
                "",
                "write the program and its arguments: `build: [kustomize, build, overlays/eu]`",
            ));
        };
        let mut command = programs::without_secrets(program, Trust::Nobody);
        command.args(args).current_dir(folder);
        let most = usize::try_from(MAX_FILE).unwrap_or(usize::MAX);
        let limits = Limits { time: BUILD_LIMIT, output: Kept::All(most), errors: KEPT_ERRORS };
        let ended = programs::run(command, None, &limits, NEVER).map_err(|failure| self.stopped(failure))?;
        if !ended.status.success() {
            let why = format!("{}{}", ended.status, said(&ended.errors));
            return Err(self.failed("failed", &why, ""));
        }
        self.printed(ended)
    }

    fn stopped(&self, failure: Failure) -> Box<Diagnostic> {
        let program = self.words.first().map_or("", String::as_str);
        match failure {
            Failure::Start(error) if error.kind() == ErrorKind::NotFound => {
                let why = format!("there is no program `{program}` on PATH, or no such folder");
                self.failed("cannot be started", &why, "install it, or write its path")
            }
            Failure::Start(error) => self.failed("cannot be started", &error.to_string(), ""),
            Failure::TooLong(errors) => {
                let why = format!("it did not end within {} s{}", BUILD_LIMIT.as_secs(), said(&errors));
                self.failed(
                    "was ended",
                    &why,
                    "what it reads from elsewhere may not answer: keep charts and bases in the repository",
                )
            }
            Failure::TooMuch(errors) => {
                let why = format!("it printed more than {} MiB{}", MAX_FILE >> 20, said(&errors));
                self.failed("was ended", &why, "")
            }
            Failure::StillOpen | Failure::Stopped => {
                self.failed("does not end", "a program that it started still holds its output open", "")
            }
        }
    }

    /// Makes sure that there are manifests in what the command printed.
    fn printed(&self, ended: Ended) -> Result<Built, Box<Diagnostic>> {
        let of = self.cluster.map_or_else(String::new, |c| format!(" (cluster {c})"));
        let name: Arc<str> = format!("{}{of}", self.called()).into();
        let text = text_of(ended.output, &name).map_err(|error| self.explain(error))?;
        check(&name, &text).map_err(|error| match error.code {
            Code::NoManifests => self.explain(error.because(NOTHING)),
            _ => self.explain(*error),
        })?;
        Ok((name, text.into()))
    }

    /// Adds where the command is written to what is wrong with its output.
    fn explain(&self, mut error: Diagnostic) -> Box<Diagnostic> {
        error.labels.extend(self.at.clone());
        let help =
            format!("run `{}` in the folder of pillion.yaml and look at what it prints", self.called());
        Box::new(error.help(help))
    }

    fn failed(&self, what: &str, why: &str, help: &str) -> Box<Diagnostic> {
        let mut error = self.diagnostic(Code::BuildFailed, what);
        if !why.is_empty() {
            error = error.because(why);
        }
        Box::new(error.help(match help.is_empty() {
            true => "run it in the folder of pillion.yaml, or hand its output over with `--manifests FILE`",
            false => help,
        }))
    }

    fn diagnostic(&self, code: Code, what: &str) -> Diagnostic {
        let of = self.cluster.map_or_else(String::new, |c| format!(" of cluster `{c}`"));
        let mut error = Diagnostic::error(code, format!("the build{of} {what}: `{}`", self.called()));
        error.labels.extend(self.at.clone());
        error
    }
}

/// What a build does not find, because it leads out of the repository.
fn missing_links(left_out: &[String]) -> Option<String> {
    let shown: Vec<String> = left_out.iter().take(SHOWN_LINES).map(|path| format!("`{path}`")).collect();
    let more = left_out.len().saturating_sub(SHOWN_LINES);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let what = "a build does not see links that lead to nothing in the repository";
    (!shown.is_empty()).then(|| format!("{what}: {}{more}", shown.join(", ")))
}

/// The end of what a program said on standard error.
fn said(errors: &[u8]) -> String {
    let text = String::from_utf8_lossy(errors);
    let lines: Vec<&str> = text.lines().filter(|l| !l.trim().is_empty()).collect();
    let shown = &lines[lines.len().saturating_sub(SHOWN_LINES)..];
    if shown.is_empty() { String::new() } else { format!("; it said: {}", shown.join("\n")) }
}

/// Makes sure that a text holds manifests, and that all of it can be read.
fn check(name: &Arc<str>, text: &str) -> Result<(), Box<Diagnostic>> {
    if text.trim().is_empty() {
        return Err(Box::new(Diagnostic::error(
            Code::NoManifests,
            format!("`{name}` gives no manifest: it is empty"),
        )));
    }
    let (pieces, wrong) = split(name, text);
    if let Some(error) = wrong.into_iter().find(Diagnostic::is_error) {
        return Err(Box::new(error));
    }
    let pieces: Vec<_> = pieces.into_iter().enumerate().collect();
    let (mut has_one, mut first) = (false, None);
    in_order(
        &pieces,
        |(index, piece)| {
            let document = Document::read(name, *index, piece.first_line, &text[piece.span.clone()])?;
            Ok(type_of(document.value()).is_some())
        },
        |read: Result<bool, Diagnostic>| match read {
            Ok(is_one) => has_one |= is_one,
            Err(error) => first = first.take().or(Some(error)),
        },
    );
    match (first, has_one) {
        (Some(error), _) => Err(Box::new(error)),
        (None, true) => Ok(()),
        (None, false) => {
            let message = format!("`{name}` gives no manifest: nothing in it has `apiVersion` and `kind`");
            Err(Box::new(Diagnostic::error(Code::NoManifests, message)))
        }
    }
}
