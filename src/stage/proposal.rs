//! A commit that is proposed as a pull request: the name of its branch, and what its description says.
//!
//! The text is Markdown. Only numbers and words of pillion are outside of code: names and messages of others are for
//! the commit message and the diff, which the description fences.

use super::{CommitAction, DeployBranch, Error};
use crate::diagnostics::{Diagnostic, escape};
use crate::git::{Commit, ObjectId, trailer};
use crate::rollout::report::PlanReport;
use crate::rollout::update_method::UpdateMethod;
use crate::rollout::{Batch, PlanExtent, RolloutPlan, WorkloadUpdate};
use std::fmt::Write as _;

/// Prefix of the branches of pull requests.
const PULL_REQUEST_PREFIX: &str = "pillion/next";

/// In place of the SidecarSet, for the first ledgers. No SidecarSet has an underscore in its name.
const FIRST_LEDGERS: &str = "init_rollout";

/// In place of the SidecarSet, for a render of the sources.
const RENDER: &str = "render_branch";

/// Bytes of a diff that are read: more than any provider accepts.
const MAX_DIFF_BYTES: usize = 2 << 20;

/// Batches that the description of a Start lists.
const MAX_LISTED_BATCHES: usize = 20;

/// Warnings of the plan that are listed.
const MAX_LISTED_WARNINGS: usize = 10;

/// The branch of a pull request, and the commits that pillion may replace on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProposalBranch {
    /// Its short name.
    pub(crate) name: String,
    /// The SidecarSet; None: the first ledgers of several.
    pub(crate) sidecar_set: Option<String>,
}

impl ProposalBranch {
    /// The branch of the next step of a rollout: `pillion/next/[CLUSTER/]SIDECARSET/DEPLOY`.
    pub(crate) fn next_step(deploy: &str, cluster: Option<&str>, sidecar_set: &str) -> Self {
        let cluster = cluster.map_or_else(String::new, |cluster| format!("{cluster}/"));
        let name = format!("{PULL_REQUEST_PREFIX}/{cluster}{sidecar_set}/{deploy}");
        Self { name, sidecar_set: Some(sidecar_set.to_owned()) }
    }

    /// The branch of a decision of a person, beside that of the next step: `SIDECARSET_KIND`, where `subject` is a
    /// batch or a workload.
    pub(crate) fn decision(
        deploy: &str,
        cluster: Option<&str>,
        sidecar_set: &str,
        (action, subject): (CommitAction, Option<&str>),
    ) -> Self {
        let subject = subject.map_or_else(String::new, |subject| format!("_{}", ref_word(subject)));
        let kind = format!("{sidecar_set}_{}{subject}", action.name().to_ascii_lowercase());
        let branch = Self::next_step(deploy, cluster, &kind);
        Self { sidecar_set: Some(sidecar_set.to_owned()), ..branch }
    }

    /// The branch of the first ledgers.
    pub(crate) fn first_ledgers(deploy: &str, cluster: Option<&str>) -> Self {
        Self { sidecar_set: None, ..Self::next_step(deploy, cluster, FIRST_LEDGERS) }
    }

    /// The branch of a render of the sources onto the deploy branch.
    pub(crate) fn render(deploy: &str) -> Self {
        Self { sidecar_set: None, ..Self::next_step(deploy, None, RENDER) }
    }
}

/// Returns a text as a part of a branch name: `Deployment.apps/shop/web` as `deployment.apps_shop_web`. No name in
/// Kubernetes has an underscore, so two workloads have two names.
fn ref_word(text: &str) -> String {
    let word = |c: char| match c {
        c if c.is_ascii_alphanumeric() || c == '-' => c.to_ascii_lowercase(),
        '.' => '.',
        _ => '_',
    };
    text.chars().map(word).collect::<String>().replace("..", "._").trim_matches('.').to_owned()
}

/// What a description says besides the commit message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ProposalText {
    /// What merging does, and what the plan says.
    pub(crate) summary: String,
    /// The difference that the commit makes.
    pub(crate) diff: String,
    /// How many files it changes.
    pub(crate) changed_files: usize,
    /// Commands that check it.
    pub(crate) commands: String,
}

/// Describes a commit on top of the deploy branch; `rollout` is the plan that its step is from, where it is one.
///
/// # Errors
/// When git fails.
pub(crate) fn describe_proposal(
    deploy_branch: &DeployBranch<'_>,
    (commit, branch): (ObjectId, &ProposalBranch),
    rollout: Option<&RolloutPlan<'_>>,
) -> Result<ProposalText, Error> {
    let made = deploy_branch.repository.commit(commit)?;
    let action = CommitAction::of(&made);
    let mut summary = format!("Merging this {}\n", merging_effect(&made));
    if let Some(rollout) = rollout {
        match action {
            Some(CommitAction::Start) => {
                summary.push_str(&batch_table(rollout.batches(), rollout.last_batch()));
            }
            Some(CommitAction::Batch) => {
                summary.push_str(&batch_table(rollout.batches().take(1), rollout.last_batch()));
            }
            _ => {}
        }
        summary.push_str(&warning_list(rollout));
    }
    let diff = deploy_branch.repository.diff_trees(deploy_branch.head.tree, made.tree, MAX_DIFF_BYTES)?;
    Ok(ProposalText {
        summary,
        diff: diff.text,
        changed_files: diff.files,
        commands: check_commands(deploy_branch, branch),
    })
}

/// Returns what merging the pull request of a commit does, after "Merging it".
pub(crate) fn merging_effect(commit: &Commit) -> String {
    let what = match CommitAction::of(commit) {
        Some(CommitAction::Start) => {
            "starts the rollout. No running pod changes: the batches follow, one by one."
        }
        Some(CommitAction::Batch) => {
            let batch = commit.trailer(trailer::BATCH);
            let of = batch.as_deref().and_then(|batch| batch.split_once('/'));
            // Numbers only: the text is not escaped.
            let of = of.filter(|(number, all)| [number, all].iter().all(|n| n.parse::<u32>().is_ok()));
            return match of {
                Some((number, all)) => format!("releases batch {number} of {all}."),
                None => "releases the batch.".to_owned(),
            };
        }
        Some(CommitAction::Complete) => {
            "completes the rollout. No pod changes: every workload has the target."
        }
        Some(CommitAction::Pause) => "pauses the rollout: nothing more is released until it is resumed.",
        Some(CommitAction::Resume) => "resumes the rollout: the next batch may follow.",
        Some(CommitAction::RollBack) => "rolls the rollout back, as the commit message says.",
        Some(CommitAction::Approve) => "approves the batch, exactly as it is planned now.",
        Some(CommitAction::Hold) => "changes the hold of the workload.",
        Some(CommitAction::Init) => "adds the first ledgers. No workload changes.",
        Some(CommitAction::Render) => {
            "deploys what the sources have, rendered with the ledgers of the deploy branch: workloads that changed in the sources change at once."
        }
        Some(CommitAction::Accept) | None => "releases the commit.",
    };
    what.to_owned()
}

/// A table of batches, as far as they are listed.
fn batch_table<'b>(batches: impl Iterator<Item = &'b Batch>, last: u32) -> String {
    let batches: Vec<&Batch> = batches.collect();
    if batches.is_empty() {
        return String::new();
    }
    let mut text = String::from(
        "\n| Batch | Workloads | Pods | Updated after it | Unavailable at most |\n|---|---:|---:|---:|---:|\n",
    );
    for batch in batches.iter().take(MAX_LISTED_BATCHES) {
        let is_unknown = |update: &WorkloadUpdate| {
            update.replicas.is_none() && update.behavior.method != UpdateMethod::NextRun
        };
        let down = match batch.updates.iter().any(is_unknown) {
            true => "unknown".to_owned(),
            false => batch.max_unavailable_pods().to_string(),
        };
        let _ = writeln!(
            text,
            "| {} of {last}{} | {} | {} | {} of {} | {down} |",
            batch.number,
            batch.half().map_or_else(String::new, |half| format!(", half {}", half.fraction())),
            batch.updates.len(),
            batch.changed_pods(),
            batch.updated_pods,
            batch.matched_pods
        );
    }
    if let Some(more) = batches.len().checked_sub(MAX_LISTED_BATCHES).filter(|more| *more > 0) {
        let _ = writeln!(text, "\nand {more} more batches");
    }
    text
}

/// The warnings of the plan, in a fence: they name workloads.
fn warning_list(rollout: &RolloutPlan<'_>) -> String {
    let report = PlanReport::of(rollout, None, &[], PlanExtent::NextStep);
    let lines: Vec<String> = report.warnings.iter().map(warning_line).collect();
    if lines.is_empty() {
        return String::new();
    }
    let more = lines.len().saturating_sub(MAX_LISTED_WARNINGS);
    let mut shown = lines[..lines.len() - more].join("\n");
    if more > 0 {
        let _ = write!(shown, "\nand {more} more");
    }
    // Names have no backticks in Kubernetes, and a text that has them ends no fence of another character.
    format!("\nWhat the plan warns of:\n\n~~~text\n{}\n~~~\n", shown.replace('~', "-"))
}

fn warning_line(warning: &Diagnostic) -> String {
    let severity = warning.severity.name();
    escape::line(&format!("{severity}[{}]: {}", warning.code.name(), warning.message)).into_owned()
}

/// Commands that fetch the branch and check it.
fn check_commands(deploy_branch: &DeployBranch<'_>, branch: &ProposalBranch) -> String {
    let (remote, deploy) = (&deploy_branch.branches.remote, &deploy_branch.branches.deploy);
    let [base, tip] =
        [deploy, &branch.name].map(|name| escape::shell_word(&format!("{remote}/{name}")).into_owned());
    format!(
        "git fetch {} {} {}\ngit diff {base}...{tip}\npillion verify {tip} --base {base}\n",
        escape::shell_word(remote),
        escape::shell_word(deploy),
        escape::shell_word(&branch.name),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_kinds_of_commits_have_one_branch() {
        let name = |branch: ProposalBranch| branch.name;
        let decision = |action, subject| {
            name(ProposalBranch::decision("env/prod", Some("eu"), "log", (action, subject)))
        };
        assert_eq!(
            name(ProposalBranch::next_step("env/prod", Some("eu"), "log")),
            "pillion/next/eu/log/env/prod"
        );
        assert_eq!(decision(CommitAction::Pause, None), "pillion/next/eu/log_pause/env/prod");
        assert_eq!(decision(CommitAction::Approve, Some("2")), "pillion/next/eu/log_approve_2/env/prod");
        assert_eq!(
            decision(CommitAction::Hold, Some("Deployment.apps/shop/web")),
            "pillion/next/eu/log_hold_deployment.apps_shop_web/env/prod"
        );
        assert_eq!(name(ProposalBranch::first_ledgers("main", None)), "pillion/next/init_rollout/main");
    }

    #[test]
    fn a_name_is_one_word_of_a_shell() {
        assert_eq!(escape::shell_word("origin/env/prod"), "origin/env/prod");
        assert_eq!(escape::shell_word("a;rm -r '$HOME'"), r"'a;rm -r '\''$HOME'\'''");
        assert_eq!(ref_word("a..b/../.c"), "a._b_.__.c");
    }
}
