//! `pillion init` without a subcommand: survey, questions, files, a check of what they do, and what to type next.

use super::answers::{SetupAnswers, SetupArgs, Terminal};
use super::example_set::ExampleSet;
use super::files::{KustomizeProgram, ci_files, configuration_text};
use super::git_state::{GitState, HeadState, host_of};
use super::next_commands::{SetupState, local_remote_command, next_commands};
use super::preview::{InjectionPreview, known_workloads};
use super::template_values;
use crate::cli::error::CommandError;
use crate::cli::reporter::Reporter;
use crate::cli::{EXIT_FINDINGS, EXIT_SUCCESS, GlobalArgs, print_text};
use crate::diagnostics::escape::shell_word;
use crate::diagnostics::{escape, pluralize};
use crate::programs::find_on_path;
use crate::read::{Disk, MAX_FILE_BYTES, normalize_path};
use crate::sandbox::{RepositoryRoot, SandboxPath};
use crate::workspace::{
    BuildPart, Configuration, MAX_SURVEYED_FILES, RepositorySurvey, SourcePlan, find_config, shown_path,
    survey_folder,
};
use crate::write::replace_files;
use std::fmt::Write as _;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

/// The name of the configuration.
const CONFIG: &str = "pillion.yaml";

/// Runs `pillion init`.
pub(super) fn run(
    args: &SetupArgs,
    global: &GlobalArgs,
    reporter: &mut Reporter,
) -> Result<u8, CommandError> {
    let git = GitState::read()?;
    if let Some(config) = find_config(Path::new(".")) {
        return continue_setup(&config, &git, reporter);
    }
    let survey = survey_folder(Path::new(""));
    let mut answers = SetupAnswers::propose(args, &survey, &git)?;
    reporter.print_note(describe_survey(&survey, &git, &answers).trim_end());
    if let Some(unbuilt) = describe_unbuilt(&survey, &answers).filter(|_| args.sources.is_empty()) {
        reporter.print_note(&unbuilt);
    }
    if answers.choice.plan == SourcePlan::Nothing {
        return Err(no_workload(&survey));
    }
    let mut is_accepted = args.yes;
    if !args.yes && std::io::stdin().is_terminal() && std::io::stderr().is_terminal() {
        let (mut input, mut output) = (std::io::stdin().lock(), std::io::stderr().lock());
        let mut terminal = Terminal { input: &mut input, output: &mut output };
        if !answers.ask(args, &survey, &mut terminal)? {
            reporter.print_note("nothing was written");
            return Ok(EXIT_SUCCESS);
        }
        is_accepted = true;
    }
    let files = new_files(&answers, &survey, &git, global);
    if !is_accepted {
        let names: Vec<String> = files.iter().map(|file| format!("  {}\n", file.shown)).collect();
        print_text(&format!("would write:\n{}", names.concat()))?;
        let message = "nothing was written: there is no terminal for questions";
        return Err(CommandError::usage(message).hint(
            "`pillion init --yes` takes these answers; `pillion init --help` lists the flags that change them",
        ));
    }
    let written = write_new_files(&files)?;
    let mut text = String::new();
    for (file, state) in files.iter().zip(&written) {
        let _ = writeln!(text, "{} {}", state, file.shown);
    }
    let preview = preview_injection(global)?;
    reporter.add(preview.diagnostics);
    let _ = writeln!(text, "{}", preview.summary);
    if !reporter.has_errors() {
        let committed: Vec<String> = files.iter().map(|file| file.shown.clone()).collect();
        text.push_str(&next_text(&git, &setup_state(&answers, committed)));
    }
    print_text(&text)?;
    Ok(if reporter.has_errors() { EXIT_FINDINGS } else { EXIT_SUCCESS })
}

/// pillion.yaml exists: says so, and what is left to do.
fn continue_setup(config: &Path, git: &GitState, reporter: &mut Reporter) -> Result<u8, CommandError> {
    let (configuration, diagnostics) = Configuration::read(&Disk, config);
    reporter.add(diagnostics);
    let configuration = configuration.ok_or_else(|| CommandError::invalid_config([]))?;
    let shown = shown_path(config);
    let branches = crate::stage::BranchConfig::from_repository(&configuration.repository)?;
    let is_changed = |file: &str| {
        let path = shown_path(&normalize_path(&git.prefix.join(file)));
        git.changes.contains(&path)
    };
    let folder = config.parent().unwrap_or(Path::new(""));
    let sets = configuration
        .repository
        .sidecar_sets
        .iter()
        .map(|set| shown_path(&normalize_path(&folder.join(set))));
    let files = std::iter::once(shown.clone()).filter(|file| is_changed(file)).chain(sets.filter(|set| {
        let below = shown_path(&normalize_path(&git.prefix.join(set)));
        git.changes.iter().any(|changed| Path::new(changed).starts_with(&below))
    }));
    let setup = SetupState {
        files: files.collect(),
        ledgers: configuration
            .repository
            .ledgers
            .as_ref()
            .map(|l| shown_path(&normalize_path(&folder.join(l)))),
        source_branch: branches.source_branch().to_owned(),
        deploy_branch: branches.deploy.clone(),
        config: shown.clone(),
    };
    let text = format!("{shown} exists: nothing was written\n{}", next_text(git, &setup));
    print_text(&text)?;
    Ok(EXIT_SUCCESS)
}

/// A file to be written.
struct NewFile {
    /// Its path, relative to the working folder.
    path: PathBuf,
    /// The path for messages and commands.
    shown: String,
    text: String,
}

/// Returns the files of the answers.
fn new_files(
    answers: &SetupAnswers,
    survey: &RepositorySurvey,
    git: &GitState,
    global: &GlobalArgs,
) -> Vec<NewFile> {
    let kustomize = match (find_on_path("kustomize"), find_on_path("kubectl")) {
        (None, Some(_)) => KustomizeProgram::Kubectl,
        _ => KustomizeProgram::Kustomize,
    };
    let config = configuration_text(answers, kustomize);
    let mut files = vec![(PathBuf::from(CONFIG), config.clone())];
    if let Err(folder) = &answers.sidecar_sets {
        let workloads = known_workloads(&answers.choice.plan, &config, survey, global);
        let example = ExampleSet::for_workloads(&workloads);
        files.push((Path::new(folder).join(format!("{}.yaml", example.name)), example.text));
    }
    let values = template_values::from_answers(answers, git);
    let ci = if values.find_unusable().is_none() { ci_files(answers, &values) } else { Vec::new() };
    files.extend(ci.into_iter().map(|(path, text)| (git.root.join(path), text)));
    let file = |(path, text): (PathBuf, String)| {
        let path = normalize_path(&path);
        NewFile { shown: shown_path(&path), path, text }
    };
    files.into_iter().map(file).collect()
}

/// Writes the files that do not exist, together; returns what happened to each.
fn write_new_files(files: &[NewFile]) -> Result<Vec<&'static str>, CommandError> {
    let top = RepositoryRoot::of_git_repository(Path::new(""));
    let (mut places, mut states, mut refusals) =
        (Vec::<(SandboxPath, String)>::new(), Vec::new(), Vec::new());
    for file in files {
        let place = RepositoryRoot::resolve_user_path(top.as_ref(), &file.path);
        match place.read_if_exists(MAX_FILE_BYTES) {
            Ok(None) => {
                places.push((place, file.text.clone()));
                states.push("created");
            }
            Ok(Some(_)) => states.push("kept"),
            Err(refused) => refusals.push(refused.to_diagnostic(&file.shown)),
        }
    }
    if !refusals.is_empty() {
        return Err(CommandError::from_diagnostics(refusals));
    }
    if let Err(diagnostic) = replace_files(&places)? {
        return Err(CommandError::from_diagnostics([*diagnostic]));
    }
    Ok(states)
}

fn preview_injection(global: &GlobalArgs) -> Result<InjectionPreview, CommandError> {
    let (configuration, diagnostics) = Configuration::read(&Disk, Path::new(CONFIG));
    let configuration = configuration.ok_or_else(|| CommandError::invalid_config(diagnostics))?;
    Ok(InjectionPreview::of(&configuration, global))
}

fn setup_state(answers: &SetupAnswers, files: Vec<String>) -> SetupState {
    SetupState {
        files,
        config: CONFIG.to_owned(),
        ledgers: Some(answers.ledgers.clone()),
        source_branch: answers.source_branch.clone(),
        deploy_branch: answers.deploy_branch.clone(),
    }
}

/// Returns the next commands as text, and what to know about them.
fn next_text(git: &GitState, setup: &SetupState) -> String {
    let mut text = String::new();
    let others = git.changes.len();
    if others > 0 {
        let _ = writeln!(
            text,
            "note: {} not committed: rollouts read commits, not the working folder",
            match others {
                1 => "1 changed file is".to_owned(),
                n => format!("{n} changed files are"),
            }
        );
    }
    text.push_str("next:\n");
    for next in next_commands(git, setup) {
        let _ = writeln!(text, "  {:<40}  # {}", next.command, next.reason);
    }
    if let Some(remote) = git.remote.as_ref().filter(|remote| !host_of(&remote.url).is_empty()) {
        let _ = writeln!(
            text,
            "if you cannot push to {}, fork it; to try everything on this machine, run `{}` instead of the push",
            escape::lines(&remote.url),
            local_remote_command(git, &format!("set-url {}", escape::shell_word(&remote.name))),
        );
    }
    text
}

/// Says what was found, and what is taken.
fn describe_survey(survey: &RepositorySurvey, git: &GitState, answers: &SetupAnswers) -> String {
    let mut text = String::new();
    let roots = survey.root_kustomizations().len();
    let mut found = vec![pluralize(survey.workloads.len() as u64, "workload")];
    let counts = [
        (survey.kustomizations.len(), format!("kustomization ({} built by no other)", roots)),
        (survey.charts.len(), "chart".to_owned()),
        (survey.applications.len(), "Application".to_owned()),
        (survey.sidecar_sets.values().map(std::collections::BTreeSet::len).sum(), "SidecarSet".to_owned()),
    ];
    for (count, noun) in counts {
        let (noun, rest) =
            noun.split_once(' ').map_or((noun.as_str(), String::new()), |(n, r)| (n, format!(" {r}")));
        if count > 0 {
            found.push(format!("{}{rest}", pluralize(count as u64, noun)));
        }
    }
    let _ = writeln!(text, "found {}", found.join(", "));
    if survey.is_cut {
        let _ = writeln!(
            text,
            "looked at the first {MAX_SURVEYED_FILES} files only: name the others with `--sources`"
        );
    }
    match &git.head {
        HeadState::NoRepository => text.push_str("this folder is not in a git repository\n"),
        HeadState::Unborn(branch) => {
            let _ = writeln!(text, "the branch `{branch}` has no commit yet");
        }
        HeadState::Detached => text.push_str("HEAD is detached\n"),
        HeadState::Branch(branch) => {
            let at = git.remote.as_ref().map_or_else(
                || "without a remote".to_owned(),
                |remote| match git.is_on_remote(branch) {
                    true => format!("with the remote `{}`", remote.name),
                    false => format!("which the remote `{}` does not have yet", remote.name),
                },
            );
            let _ = writeln!(text, "on branch `{branch}`, {at}");
        }
    }
    for line in answers.shown_sources() {
        let _ = writeln!(text, "takes {line}");
    }
    for (path, reason) in &answers.choice.left_out {
        let _ = writeln!(text, "leaves out {}: {}", shown_path(path), escape::lines(reason));
    }
    for path in &answers.choice.ignored {
        if survey.unreadable.contains_key(path) {
            let _ = writeln!(text, "leaves out {}: it cannot be read as YAML", shown_path(path));
        }
    }
    for hint in program_hints(answers) {
        let _ = writeln!(text, "{hint}");
    }
    text
}

/// Says what a build would make of this repository, where plain manifests are taken; None: nothing.
fn describe_unbuilt(survey: &RepositorySurvey, answers: &SetupAnswers) -> Option<String> {
    if !matches!(answers.choice.plan, SourcePlan::Plain(_)) {
        return None;
    }
    let (roots, charts) = (survey.built_roots(), survey.workload_charts());
    let first = roots.first().copied().or_else(|| charts.first().map(PathBuf::as_path))?;
    let counts = [(roots.len(), "kustomization"), (charts.len(), "chart")];
    let counts: Vec<String> =
        counts.iter().filter(|(n, _)| *n > 0).map(|(n, noun)| pluralize(*n as u64, noun)).collect();
    Some(format!(
        "leaves out {}, which need a build; `pillion init --sources {}` takes the first of them instead",
        counts.join(" and "),
        shell_word(&shown_path(first))
    ))
}

/// Says which programs the builds need and this machine does not have.
fn program_hints(answers: &SetupAnswers) -> Vec<String> {
    let SourcePlan::Built(clusters) = &answers.choice.plan else { return Vec::new() };
    let parts: Vec<&BuildPart> = clusters.iter().flat_map(|cluster| &cluster.parts).collect();
    let is_missing = |name: &str| find_on_path(name).is_none();
    let mut hints = Vec::new();
    if parts.iter().any(|part| matches!(part, BuildPart::Kustomization { .. }))
        && is_missing("kustomize")
        && is_missing("kubectl")
    {
        hints.push("kustomize is not on PATH: install it (https://kubectl.docs.kubernetes.io/installation/kustomize) or kubectl, before the next commands".to_owned());
    }
    if parts.iter().any(|part| matches!(part, BuildPart::Chart { .. })) && is_missing("helm") {
        hints.push(
            "helm is not on PATH: install it (https://helm.sh/docs/intro/install) before the next commands"
                .to_owned(),
        );
    }
    for part in parts {
        if let BuildPart::Chart { folder, missing_dependencies, .. } = part
            && !missing_dependencies.is_empty()
        {
            hints.push(format!(
                "{} needs the charts {}: run `helm dependency build {}` and commit its `charts/`",
                shown_path(folder),
                missing_dependencies.join(", "),
                shown_path(folder)
            ));
        }
    }
    hints
}

/// Says how the charts of HelmReleases get into git, with the command for the first one that git says enough of.
fn helm_release_hint(survey: &RepositorySurvey) -> String {
    let known = survey.helm_releases.iter().find_map(|release| {
        Some((survey.template_command(release)?, shell_word(&release.name).into_owned()))
    });
    let (command, name) = known.unwrap_or_else(|| ("helm template NAME CHART".to_owned(), "NAME".to_owned()));
    format!(
        "Flux renders the charts of {} in the cluster, and pillion reads manifests: write them with `mkdir -p manifests && {command} > manifests/{name}.yaml` (add `--values FILE` for what is below `values`), commit them and let Flux apply `rendered/` in place of the HelmRelease; then run `pillion init` again",
        pluralize(survey.helm_releases.len() as u64, "HelmRelease")
    )
}

fn no_workload(survey: &RepositorySurvey) -> CommandError {
    let message = "there is no workload in this folder: nothing to inject sidecars into";
    if !survey.helm_releases.is_empty() {
        return CommandError::findings(message).hint(helm_release_hint(survey));
    }
    match survey.charts.iter().find(|(_, chart)| chart.is_library) {
        Some((folder, _)) => CommandError::findings(message).hint(format!(
            "`{}` is a library chart, which creates nothing by itself: run this where charts use it",
            shown_path(folder)
        )),
        None => CommandError::findings(message).hint(
            "run `pillion init` in the folder of your manifests, kustomizations or charts; without a repository, `kubectl kustomize DIR | pillion render -` and `helm template DIR | pillion render -` inject into what they print",
        ),
    }
}
