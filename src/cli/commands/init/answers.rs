//! The questions of `pillion init`: flags answer them, then a person at a terminal, else the survey.

use super::git_state::{CiSystem, GitState};
use crate::cli::error::CommandError;
use crate::diagnostics::escape;
use crate::workspace::{RepositorySurvey, SourceChoice, SourcePlan, shown_path};
use clap::{Args, ValueEnum};
use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};

/// The answers that flags give.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct SetupArgs {
    /// Write the files without questions
    #[arg(short, long)]
    pub(super) yes: bool,
    /// Where sources, rendered files and ledgers are [default: one-branch; ledger-only with builds]
    #[arg(long, value_enum)]
    pub(super) layout: Option<LayoutArg>,
    /// File or folder with manifests, or folder of a kustomization or chart (repeatable)
    #[arg(long, value_name = "PATH", value_delimiter = ',')]
    pub(super) sources: Vec<PathBuf>,
    /// Folder for SidecarSets, if the repository has none [default: sidecars]
    #[arg(long = "sidecarsets", value_name = "DIR")]
    pub(super) sidecar_sets: Option<String>,
    /// Folder for rendered files [default: rendered]
    #[arg(long, value_name = "DIR")]
    pub(super) rendered: Option<String>,
    /// Branch that the cluster follows [default: the branch of HEAD; with two branches env/prod]
    #[arg(long, value_name = "BRANCH")]
    pub(super) deploy_branch: Option<String>,
    /// Namespace of manifests that name none [default: that of their Application, else default]
    #[arg(long, value_name = "NAME")]
    pub(super) namespace: Option<String>,
    /// CI system to write a check for [default: the one that the repository or its remote shows]
    #[arg(long, value_enum)]
    pub(super) ci: Option<CiSystem>,
}

/// Where sources, rendered files and ledgers are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum LayoutArg {
    /// Everything on one branch, rendered files in a folder
    OneBranch,
    /// Sources on one branch, rendered files and ledgers on the one that the cluster follows
    TwoBranches,
    /// No rendered files: kustomize or Argo CD runs pillion
    LedgerOnly,
}

/// Everything that is decided before files are written.
#[derive(Debug)]
pub(super) struct SetupAnswers {
    /// The layout.
    pub(super) layout: LayoutArg,
    /// The sources.
    pub(super) choice: SourceChoice,
    /// The namespace that `--namespace` names.
    pub(super) namespace: Option<String>,
    /// The files and folders with SidecarSets; None: an example is written to the folder.
    pub(super) sidecar_sets: Result<Vec<PathBuf>, String>,
    /// The folder of rendered files.
    pub(super) rendered: String,
    /// The folder of ledgers.
    pub(super) ledgers: String,
    /// The branch of the sources.
    pub(super) source_branch: String,
    /// The branch that the cluster follows.
    pub(super) deploy_branch: String,
    /// The remote.
    pub(super) remote: String,
    /// The CI system.
    pub(super) ci: CiSystem,
}

impl SetupAnswers {
    /// Answers every question from flags and the survey.
    ///
    /// # Errors
    /// When `--sources` names what cannot be a source, or there is no workload.
    pub(super) fn propose(
        args: &SetupArgs,
        survey: &RepositorySurvey,
        git: &GitState,
    ) -> Result<Self, CommandError> {
        let choice = match args.sources.is_empty() {
            true => survey.choose_sources(),
            false => use_sources(survey, &args.sources)?,
        };
        let layout = choose_layout(args.layout, &choice)?;
        let known: Vec<PathBuf> = sidecar_set_paths(survey);
        let sidecar_sets = match (known.is_empty(), &args.sidecar_sets) {
            (false, _) => Ok(known),
            (true, named) => Err(named.clone().unwrap_or_else(|| "sidecars".to_owned())),
        };
        let source_branch = git.source_branch();
        let deploy_branch = args.deploy_branch.clone().unwrap_or_else(|| match layout {
            LayoutArg::TwoBranches => "env/prod".to_owned(),
            LayoutArg::OneBranch | LayoutArg::LedgerOnly => source_branch.clone(),
        });
        if layout == LayoutArg::TwoBranches && deploy_branch == source_branch {
            return Err(CommandError::usage(format!(
                "with two branches the cluster follows another one than `{source_branch}`, which has the sources: `--deploy-branch env/prod`"
            )));
        }
        Ok(Self {
            layout,
            choice,
            namespace: args.namespace.clone(),
            sidecar_sets,
            rendered: args.rendered.clone().unwrap_or_else(|| free_folder("rendered")),
            ledgers: free_folder("ledgers"),
            source_branch,
            deploy_branch,
            remote: git.remote_name(),
            ci: args.ci.unwrap_or_else(|| git.ci_system()),
        })
    }

    /// Asks for what flags leave open; an empty line takes the proposal. Returns whether the files are to be written.
    ///
    /// # Errors
    /// When the terminal is gone, or an answer names what cannot be a source.
    pub(super) fn ask(
        &mut self,
        args: &SetupArgs,
        survey: &RepositorySurvey,
        terminal: &mut Terminal<'_>,
    ) -> Result<bool, CommandError> {
        if args.sources.is_empty() {
            let proposal = self.shown_sources().join(", ");
            let answer = terminal.ask("Which manifests get sidecars?", &proposal)?;
            if answer != proposal {
                let paths: Vec<PathBuf> = answer.split(',').map(|p| PathBuf::from(p.trim())).collect();
                self.choice = use_sources(survey, &paths)?;
                self.layout = choose_layout(args.layout, &self.choice)?;
            }
        }
        if args.layout.is_none() && !matches!(self.choice.plan, SourcePlan::Built(_)) {
            let options = ["one-branch", "two-branches", "ledger-only"];
            let question = "Where are rendered files? (one-branch: a folder beside the sources; two-branches: another branch; ledger-only: nowhere, kustomize or Argo CD runs pillion)";
            self.layout = match terminal.choose(question, &options)? {
                1 => LayoutArg::TwoBranches,
                2 => LayoutArg::LedgerOnly,
                _ => LayoutArg::OneBranch,
            };
            if self.layout == LayoutArg::TwoBranches && args.deploy_branch.is_none() {
                "env/prod".clone_into(&mut self.deploy_branch);
            }
        }
        if args.deploy_branch.is_none() {
            self.deploy_branch =
                terminal.ask("Which branch does the cluster follow?", &self.deploy_branch)?;
        }
        Ok(terminal.choose("Write the files?", &["yes", "no"])? == 0)
    }

    /// Returns the sources as a person types them.
    pub(super) fn shown_sources(&self) -> Vec<String> {
        match &self.choice.plan {
            SourcePlan::Plain(_) => self.choice.paths.iter().map(|path| shown_path(path)).collect(),
            SourcePlan::Built(clusters) => {
                let parts = clusters.iter().flat_map(|cluster| &cluster.parts);
                parts.map(|part| shown_path(part.folder())).collect()
            }
            SourcePlan::Nothing => Vec::new(),
        }
    }
}

/// Returns the layout: manifests of builds have no path in git, so there are no rendered files of them.
fn choose_layout(named: Option<LayoutArg>, choice: &SourceChoice) -> Result<LayoutArg, CommandError> {
    match (named, &choice.plan) {
        (Some(LayoutArg::OneBranch | LayoutArg::TwoBranches), SourcePlan::Built(_)) => {
            Err(CommandError::usage(
                "rendered files need plain manifests as sources: what a build prints has no file in git",
            )
            .hint("use `--layout ledger-only`, or name plain manifests with `--sources`"))
        }
        (None, SourcePlan::Built(_)) => Ok(LayoutArg::LedgerOnly),
        (named, _) => Ok(named.unwrap_or(LayoutArg::OneBranch)),
    }
}

/// Takes the sources that a person names.
fn use_sources(survey: &RepositorySurvey, paths: &[PathBuf]) -> Result<SourceChoice, CommandError> {
    let paths: Vec<PathBuf> = paths.iter().map(|path| crate::read::normalize_path(path)).collect();
    survey.use_sources(&paths).map_err(|unknown| CommandError::usage(unknown.to_string()))
}

/// Returns the files or folders that hold SidecarSets only.
fn sidecar_set_paths(survey: &RepositorySurvey) -> Vec<PathBuf> {
    let has_workload = |folder: &Path| survey.workloads.iter().any(|w| w.file.starts_with(folder));
    let path_of = |file: &PathBuf| match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() && !has_workload(folder) => folder.to_owned(),
        _ => file.clone(),
    };
    let mut paths: Vec<PathBuf> = survey.sidecar_sets.keys().map(path_of).collect();
    paths.dedup();
    paths
}

/// Returns a name that no file of the working folder has.
fn free_folder(name: &str) -> String {
    match Path::new(name).exists() {
        true => format!("pillion/{name}"),
        false => name.to_owned(),
    }
}

/// A person at a terminal.
pub(super) struct Terminal<'t> {
    /// What the person types.
    pub(super) input: &'t mut dyn BufRead,
    /// Where questions go.
    pub(super) output: &'t mut dyn Write,
}

impl Terminal<'_> {
    /// Asks a question; an empty line is the proposal.
    fn ask(&mut self, question: &str, proposal: &str) -> Result<String, CommandError> {
        let gone =
            |error: std::io::Error| CommandError::environment(format!("the terminal is gone: {error}"));
        write!(self.output, "{question} [{}] ", escape::lines(proposal)).map_err(gone)?;
        self.output.flush().map_err(gone)?;
        let mut line = String::new();
        if self.input.read_line(&mut line).map_err(gone)? == 0 {
            return Err(CommandError::usage("nothing was written: the questions were not answered"));
        }
        Ok(match line.trim() {
            "" => proposal.to_owned(),
            answer => answer.to_owned(),
        })
    }

    /// Asks for one of some words, until it is one; the first is the proposal.
    fn choose(&mut self, question: &str, options: &[&str]) -> Result<usize, CommandError> {
        let question = format!("{question} {}", options.join(" | "));
        loop {
            let answer = self.ask(&question, options[0])?;
            if let Some(found) = options.iter().position(|option| option.starts_with(&answer.to_lowercase()))
            {
                return Ok(found);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_line_takes_the_proposal_and_a_wrong_word_is_asked_again() {
        let mut output = Vec::new();
        let mut input = &b"\nwrong\nn\n"[..];
        let mut terminal = Terminal { input: &mut input, output: &mut output };
        assert_eq!(terminal.ask("Branch?", "main").unwrap(), "main");
        assert_eq!(terminal.choose("Write?", &["yes", "no"]).unwrap(), 1);
        assert!(terminal.ask("More?", "x").is_err());
        let shown = String::from_utf8(output).unwrap();
        assert_eq!(shown, "Branch? [main] Write? yes | no [yes] Write? yes | no [yes] More? [x] ");
    }
}
