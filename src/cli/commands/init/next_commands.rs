//! The commands that lead from here to the first rollout, each of which works as printed.

use super::git_state::{GitState, HeadState};
use crate::diagnostics::escape;
use std::path::Path;

/// What the next commands depend on besides git.
#[derive(Debug)]
pub(super) struct SetupState {
    /// The files that are to be committed, relative to the working folder.
    pub(super) files: Vec<String>,
    /// pillion.yaml, relative to the working folder.
    pub(super) config: String,
    /// The folder of the ledgers.
    pub(super) ledgers: Option<String>,
    /// The branch of the sources.
    pub(super) source_branch: String,
    /// The branch that the cluster follows.
    pub(super) deploy_branch: String,
}

/// A command, and why it is needed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NextCommand {
    /// The command, to be typed as it is.
    pub(super) command: String,
    /// What it does.
    pub(super) reason: String,
}

/// Returns the commands up to the first staged rollout, in order.
pub(super) fn next_commands(git: &GitState, setup: &SetupState) -> Vec<NextCommand> {
    let mut commands = Vec::new();
    let branch = add_branch_commands(git, setup, &mut commands);
    let is_new = matches!(git.head, HeadState::NoRepository | HeadState::Unborn(_));
    let has_commit = !is_new && setup.files.is_empty() && git.contains("HEAD", &setup.config);
    if !has_commit {
        add(&mut commands, commit_command(git, setup, is_new), "commits what was written");
    }
    add_push_commands(git, setup, (branch, has_commit), &mut commands);
    add_rollout_commands(git, setup, &mut commands);
    commands
}

fn add(commands: &mut Vec<NextCommand>, command: String, reason: &str) {
    commands.push(NextCommand { command, reason: reason.to_owned() });
}

/// Adds the commands that lead to a branch with its history, and returns the branch.
fn add_branch_commands<'s>(
    git: &'s GitState,
    setup: &'s SetupState,
    commands: &mut Vec<NextCommand>,
) -> &'s str {
    let source_branch = &setup.source_branch;
    // A name from a remote may hold anything that git accepts, also what a shell would run.
    let shown_source = escape::shell_word(source_branch);
    let branch = match &git.head {
        HeadState::NoRepository => {
            let command = format!("git init --initial-branch={shown_source}");
            add(commands, command, "this folder is not in a git repository");
            source_branch
        }
        HeadState::Detached => {
            let command = format!("git switch {shown_source}");
            add(commands, command, "HEAD is detached: commits belong on a branch");
            source_branch
        }
        HeadState::Unborn(branch) | HeadState::Branch(branch) => branch,
    };
    if git.is_shallow {
        let command = "git fetch --unshallow".to_owned();
        add(commands, command, "the clone is shallow: rollouts read the history");
    }
    branch
}

/// Adds the commands that bring the commit onto the source branch of the remote.
fn add_push_commands(
    git: &GitState,
    setup: &SetupState,
    (branch, has_commit): (&str, bool),
    commands: &mut Vec<NextCommand>,
) {
    let source_branch = &setup.source_branch;
    let remote_name = git.remote_name();
    let remote_name = escape::shell_word(&remote_name);
    let pushed = git.remote.as_ref().map(|remote| format!("refs/remotes/{}/{source_branch}", remote.name));
    let is_pushed = has_commit && pushed.as_deref().is_some_and(|pushed| git.contains(pushed, &setup.config));
    match &git.remote {
        None => add(
            commands,
            local_remote_command(git, &format!("add {remote_name}")),
            "makes a remote beside this folder, to try everything; or add the one of your git provider and push",
        ),
        Some(_) if !is_pushed => {
            let upstream = if git.is_on_remote(branch) { "" } else { "--set-upstream " };
            let command = format!("git push {upstream}{remote_name} {}", escape::shell_word(branch));
            add(commands, command, "rollouts read the branch of the remote");
        }
        Some(_) => {}
    }
    if branch != source_branch {
        add(
            commands,
            format!("git push {remote_name} {}", escape::shell_word(&format!("{branch}:{source_branch}"))),
            "puts the commit onto the branch that is followed; or merge it by a pull request",
        );
    }
}

/// Adds the commands of pillion, from the deploy branch to the first staged rollout.
fn add_rollout_commands(git: &GitState, setup: &SetupState, commands: &mut Vec<NextCommand>) {
    let SetupState { source_branch, deploy_branch, .. } = setup;
    let deploy = git.remote.as_ref().map(|remote| format!("refs/remotes/{}/{deploy_branch}", remote.name));
    let has_ledgers = match (&setup.ledgers, &deploy) {
        (Some(ledgers), Some(deploy)) => git.contains(deploy, ledgers),
        _ => false,
    };
    if deploy_branch != source_branch && !git.is_on_remote(deploy_branch) {
        let branch = escape::shell_word(deploy_branch);
        add(
            commands,
            format!("pillion render --branch {branch} --create --without-sidecars --push"),
            "creates the branch that the cluster follows, without sidecars",
        );
    }
    if !has_ledgers {
        let command = "pillion init rollout --push".to_owned();
        add(commands, command, "writes the first ledgers: nothing is released, no pod changes");
    }
    let reason = "writes the first rollout as a stack of commits, for review";
    add(commands, "pillion stage".to_owned(), reason);
}

/// Returns the command that commits the files that were written, and nothing else.
fn commit_command(git: &GitState, setup: &SetupState, is_new: bool) -> String {
    let message = "git commit --quiet --message \"set up pillion\"";
    if is_new || setup.files.is_empty() {
        return format!("git add . && {message}");
    }
    let files: Vec<_> = setup.files.iter().map(|file| escape::shell_word(file)).collect();
    let files = files.join(" ");
    // A commit of paths leaves out what else is in the index.
    let only = if git.has_staged { format!(" -- {files}") } else { String::new() };
    format!("git add {files} && {message}{only}")
}

/// Returns the command that makes a bare copy of the repository beside it, and makes that the remote.
pub(super) fn local_remote_command(git: &GitState, remote_command: &str) -> String {
    let root = if git.root.as_os_str().is_empty() { Path::new(".") } else { &git.root };
    let name =
        root.canonicalize().ok().and_then(|root| Some(root.file_name()?.to_string_lossy().into_owned()));
    let copy = format!("../{}.git", name.as_deref().unwrap_or("remote"));
    let from_here = git.root.join(&copy).to_string_lossy().into_owned();
    format!(
        "git clone --quiet --bare {} {} && git remote {remote_command} {}",
        escape::shell_word(&root.to_string_lossy()),
        escape::shell_word(&from_here),
        // git takes it relative to the root of the working tree.
        escape::shell_word(&copy)
    )
}
