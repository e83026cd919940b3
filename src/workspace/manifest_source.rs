//! Gets the manifests of a cluster that are not plain files: the output of a `build` command of pillion.yaml, or the file
//! of `--manifests`. Every command gets the same ones.
//!
//! A build that fails or prints nothing is an error, never a cluster without workloads.

use super::{BuildDenial, BuildPolicy, Configuration};
use crate::diagnostics::{Code, Diagnostic, Span};
use crate::git::{ObjectId, Repository};
use crate::model::workload::type_meta;
use crate::programs::{
    self, CredentialAccess, Error, MAX_STDERR_BYTES, NO_SLOW_NOTICE, OutputLimit, ProgramLimits,
    ProgramOutput,
};
use crate::read::{MAX_FILE_BYTES, decode_text, map_in_order};
use crate::sandbox::or_current_dir;
use crate::yaml::{Document, EntryPart, FieldPath as YamlPath, split_documents};
use std::io::ErrorKind;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The time limit of a build.
pub const BUILD_LIMIT: Duration = Duration::from_secs(120);

/// Cached builds, so that a commit is built once.
const MAX_CACHED: usize = 8;

/// Shown lines of the end of a program's messages.
const MAX_SHOWN_LINES: usize = 10;

/// The reason why an empty build is an error.
const NO_MANIFESTS_NOTE: &str = "an empty cluster is refused: a rollout would complete without its workloads, and the next full set of manifests would be updated at once";

/// Manifests, after their name in messages.
pub type BuiltManifests = (Arc<str>, Arc<str>);

/// The source of manifests that are not plain files.
#[derive(Debug, Clone, Default)]
pub struct ManifestSource {
    /// The file of `--manifests`.
    provided: Option<Result<BuiltManifests, Diagnostic>>,
    /// Whether builds may run.
    build_policy: BuildPolicy,
    /// Finished builds, the newest last.
    build_cache: Arc<Mutex<Vec<(BuildKey, BuiltManifests)>>>,
}

/// The tree of a build, the folder in it and the command.
type BuildKey = (ObjectId, String, Vec<String>);

impl ManifestSource {
    /// Returns the source of the manifests of `--manifests`, which replace every build. An unreadable text, or one without
    /// manifests, is an error of each read.
    pub fn from_argument(name: &str, read: Result<String, Diagnostic>) -> Self {
        let name: Arc<str> = name.into();
        let named = read.and_then(|text| {
            check_manifests(&name, &text).map_err(|error| match error.code {
                Code::NoManifests => error
                    .at(Span::whole_file(Arc::clone(&name)))
                    .because(NO_MANIFESTS_NOTE)
                    .help("check the program that prints them; in a pipe, `set -o pipefail` shows that it failed"),
                _ => *error,
            })?;
            Ok((name, text.into()))
        });
        Self { provided: Some(named), ..Self::default() }
    }

    /// Returns the source of the manifests of `build` commands, where these may run.
    pub(crate) fn from_builds(builds: BuildPolicy) -> Self {
        Self { build_policy: builds, ..Self::default() }
    }

    /// Returns it with another build policy.
    #[must_use]
    pub(crate) fn with_build_policy(self, builds: BuildPolicy) -> Self {
        Self { build_policy: builds, ..self }
    }

    /// Returns the manifests that a build in the working folder makes for a cluster; None: they are plain files.
    ///
    /// # Errors
    /// When the build may not run or fails.
    pub(crate) fn for_folder(
        &self,
        configuration: &Configuration,
        cluster: Option<&str>,
    ) -> Result<Option<BuiltManifests>, Box<Diagnostic>> {
        if let Some(named) = &self.provided {
            return named.clone().map(Some).map_err(Box::new);
        }
        let Some(build) = BuildCommand::find(configuration, cluster) else { return Ok(None) };
        build.require_allowed(self.build_policy)?;
        let root = &configuration.layout.root;
        build.run(or_current_dir(root)).map(Some)
    }

    /// Returns the manifests that a build in a tree of git makes for a cluster; None: they are plain files.
    ///
    /// # Errors
    /// When the build may not run or fails.
    pub(crate) fn for_tree(
        &self,
        repository: &Repository,
        tree: ObjectId,
        configuration: &Configuration,
        cluster: Option<&str>,
    ) -> Result<Option<BuiltManifests>, Box<Diagnostic>> {
        if let Some(named) = &self.provided {
            return named.clone().map(Some).map_err(Box::new);
        }
        let Some(build) = BuildCommand::find(configuration, cluster) else { return Ok(None) };
        build.require_allowed(self.build_policy)?;
        let root = configuration.layout.root.to_string_lossy().into_owned();
        let wanted = (tree, root, build.arguments.to_owned());
        let known = |known: &[(BuildKey, BuiltManifests)]| {
            known.iter().find(|(t, _)| *t == wanted).map(|(_, b)| b.clone())
        };
        if let Some(built) = known(&self.lock_cache()) {
            return Ok(Some(built));
        }
        let failed = |why: String| build.failed_error("cannot be run", &why, "");
        let folder = tempfile::tempdir().map_err(|e| failed(e.to_string()))?;
        let left_out = repository.export_tree(tree, folder.path()).map_err(|e| failed(e.to_string()))?;
        let built = build.run(&folder.path().join(&configuration.layout.root)).map_err(|mut error| {
            error.notes.extend(missing_links_note(&left_out));
            error
        })?;
        let mut all = self.lock_cache();
        if all.len() >= MAX_CACHED {
            all.remove(0);
        }
        all.push((wanted, built.clone()));
        Ok(Some(built))
    }

    fn lock_cache(&self) -> std::sync::MutexGuard<'_, Vec<(BuildKey, BuiltManifests)>> {
        self.build_cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The `build` command of a cluster.
struct BuildCommand<'c> {
    arguments: &'c [String],
    cluster: Option<&'c str>,
    /// Its position.
    label: Option<Span>,
}

impl<'c> BuildCommand<'c> {
    /// Returns the command of a cluster: its own, else that of the repository.
    fn find(configuration: &'c Configuration, cluster: Option<&'c str>) -> Option<Self> {
        let repository = &configuration.repository;
        let place = repository.clusters.iter().position(|c| Some(c.name.as_str()) == cluster);
        let own = place.and_then(|i| repository.clusters[i].build.as_deref().map(|words| (i, words)));
        let (at, words) = match (own, repository.build.as_deref()) {
            (Some((i, words)), _) => (YamlPath::dotted("clusters").child(i).child("build"), words),
            (None, Some(words)) => (YamlPath::dotted("build"), words),
            (None, None) => return None,
        };
        let at = configuration.document.as_ref().map(|d| d.label(&at, EntryPart::Value, ""));
        Some(Self { arguments: words, cluster, label: at })
    }

    fn command_line(&self) -> String {
        self.arguments.join(" ")
    }

    /// Checks that the command may run here.
    fn require_allowed(&self, builds: BuildPolicy) -> Result<(), Box<Diagnostic>> {
        match builds {
            BuildPolicy::Allow => Ok(()),
            BuildPolicy::Deny(why) => Err(self.denied(why)),
        }
    }

    fn denied(&self, why: BuildDenial) -> Box<Diagnostic> {
        let error = self.build_error(Code::BuildNotAllowed, "is not run");
        Box::new(error.because(why.reason()).help(why.help()))
    }

    /// Runs the command in a folder and checks its output.
    fn run(&self, folder: &Path) -> Result<BuiltManifests, Box<Diagnostic>> {
        let Some((program, args)) = self.arguments.split_first() else {
            return Err(self.failed_error(
                "is empty",
                "",
                "write the program and its arguments: `build: [kustomize, build, overlays/eu]`",
            ));
        };
        let mut command = programs::command_without_secrets(program, CredentialAccess::None);
        command.args(args).current_dir(folder);
        let most = usize::try_from(MAX_FILE_BYTES).unwrap_or(usize::MAX);
        let limits = ProgramLimits {
            timeout: BUILD_LIMIT,
            output: OutputLimit::All(most),
            stderr_bytes: MAX_STDERR_BYTES,
        };
        let ended = programs::run_program(command, None, &limits, NO_SLOW_NOTICE)
            .map_err(|failure| self.stopped_error(failure))?;
        if !ended.status.success() {
            let why = format!("{}{}", ended.status, stderr_tail(&ended.stderr));
            return Err(self.failed_error("failed", &why, ""));
        }
        self.check_output(ended)
    }

    fn stopped_error(&self, failure: Error) -> Box<Diagnostic> {
        let program = self.arguments.first().map_or("", String::as_str);
        match failure {
            Error::Start(error) if error.kind() == ErrorKind::NotFound => {
                let why = format!("there is no program `{program}` on PATH, or no such folder");
                self.failed_error("cannot be started", &why, "install it, or write its path")
            }
            Error::Start(error) => self.failed_error("cannot be started", &error.to_string(), ""),
            Error::TimedOut(errors) => {
                let why =
                    format!("it did not finish within {} s{}", BUILD_LIMIT.as_secs(), stderr_tail(&errors));
                self.failed_error(
                    "was ended",
                    &why,
                    "what it reads from elsewhere may not answer: keep charts and bases in the repository",
                )
            }
            Error::OutputTooLarge(errors) => {
                let why =
                    format!("it printed more than {} MiB{}", MAX_FILE_BYTES >> 20, stderr_tail(&errors));
                self.failed_error("was ended", &why, "")
            }
            Error::OutputStillOpen => {
                self.failed_error("does not end", "a program that it started still holds its output open", "")
            }
            Error::Stopped => {
                self.failed_error("was ended", "pillion itself was stopped", "run the command again")
            }
        }
    }

    /// Checks that the output contains manifests.
    fn check_output(&self, ended: ProgramOutput) -> Result<BuiltManifests, Box<Diagnostic>> {
        let of = self.cluster.map_or_else(String::new, |c| format!(" (cluster {c})"));
        let name: Arc<str> = format!("{}{of}", self.command_line()).into();
        let text = decode_text(ended.stdout, &name).map_err(|error| self.with_command_label(error))?;
        check_manifests(&name, &text).map_err(|error| match error.code {
            Code::NoManifests => self.with_command_label(error.because(NO_MANIFESTS_NOTE)),
            _ => self.with_command_label(*error),
        })?;
        Ok((name, text.into()))
    }

    /// Adds the position of the command to an error in its output.
    fn with_command_label(&self, mut error: Diagnostic) -> Box<Diagnostic> {
        error.spans.extend(self.label.clone());
        let help =
            format!("run `{}` in the folder of pillion.yaml and check its output", self.command_line());
        Box::new(error.help(help))
    }

    fn failed_error(&self, what: &str, why: &str, help: &str) -> Box<Diagnostic> {
        let mut error = self.build_error(Code::BuildFailed, what);
        if !why.is_empty() {
            error = error.because(why);
        }
        Box::new(error.help(match help.is_empty() {
            true => "run it in the folder of pillion.yaml, or pass its output with `--manifests FILE`",
            false => help,
        }))
    }

    fn build_error(&self, code: Code, what: &str) -> Diagnostic {
        let of = self.cluster.map_or_else(String::new, |c| format!(" of cluster `{c}`"));
        let mut error = Diagnostic::error(code, format!("the build{of} {what}: `{}`", self.command_line()));
        error.spans.extend(self.label.clone());
        error
    }
}

/// Returns a note on links that a build does not find, because they lead out of the repository.
fn missing_links_note(left_out: &[String]) -> Option<String> {
    let shown: Vec<String> = left_out.iter().take(MAX_SHOWN_LINES).map(|path| format!("`{path}`")).collect();
    let more = left_out.len().saturating_sub(MAX_SHOWN_LINES);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let what = "a build does not see links with a target outside of the repository";
    (!shown.is_empty()).then(|| format!("{what}: {}{more}", shown.join(", ")))
}

/// Returns the end of the standard error of a program.
fn stderr_tail(errors: &[u8]) -> String {
    let text = String::from_utf8_lossy(errors);
    let lines: Vec<&str> = text.lines().filter(|l| !l.trim().is_empty()).collect();
    let shown = &lines[lines.len().saturating_sub(MAX_SHOWN_LINES)..];
    if shown.is_empty() { String::new() } else { format!("; standard error: {}", shown.join("\n")) }
}

/// Checks that a text contains manifests, and that all of it can be read.
fn check_manifests(name: &Arc<str>, text: &str) -> Result<(), Box<Diagnostic>> {
    if text.trim().is_empty() {
        return Err(Box::new(Diagnostic::error(
            Code::NoManifests,
            format!("`{name}` contains no manifest: it is empty"),
        )));
    }
    let (pieces, diagnostics) = split_documents(name, text);
    if let Some(error) = diagnostics.into_iter().find(Diagnostic::is_error) {
        return Err(Box::new(error));
    }
    let pieces: Vec<_> = pieces.into_iter().enumerate().collect();
    let (mut has_one, mut first) = (false, None);
    map_in_order(
        &pieces,
        |(index, piece)| {
            let document = Document::read(name, *index, piece.first_line, &text[piece.span.clone()])?;
            Ok(type_meta(document.value()).is_some())
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
            let message = format!("`{name}` contains no manifest: nothing in it has `apiVersion` and `kind`");
            Err(Box::new(Diagnostic::error(Code::NoManifests, message)))
        }
    }
}
