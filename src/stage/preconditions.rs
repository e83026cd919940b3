//! Why is a rollout not staged, although its plan is sound?

use super::{BatchRevert, BranchContents, DeployBranch, RolloutPlan, StagedBranch};
use crate::diagnostics::{Code, Diagnostic, Severity, Span, pluralize};
use crate::git::{Commit, ObjectId};
use crate::model::duration;
use crate::model::ledger::Ledger;
use crate::rollout::removal::SidecarRemoval;
use crate::rollout::{ExternalState, RolloutEnd, RolloutStep, advice, steps};
use std::path::Path;

/// Steps beyond the bound that are counted to say how many there are; behind that it is a guess.
const COUNT_FACTOR: u32 = 10;

/// Refuses a rollout that has not begun and needs more batches than a plan may have.
pub fn too_many_batches(rollout: &RolloutPlan<'_>) -> Option<Diagnostic> {
    if rollout.has_started() || !matches!(rollout.end(), RolloutEnd::TooManyBatches { .. }) {
        return None;
    }
    let most = rollout.context.settings.max_batches;
    let batches = estimate_batches(rollout, most.saturating_mul(COUNT_FACTOR));
    let soak = &rollout.context.settings.soak;
    let shortest = match duration::parse(soak) {
        Some(seconds) => {
            let whole = duration::humanize(seconds.saturating_mul(u64::from(batches)));
            format!("{whole} ({batches} x soak {soak})")
        }
        None => format!("{batches} x {soak}"),
    };
    let (field, written) = batch_size_field(rollout);
    let diagnostic = advice::too_many_batches(batches as usize, most as usize, &shortest, field, written)?;
    Some(Diagnostic { severity: Severity::Error, ..diagnostic })
}

/// Refuses to open a rollout that takes the sidecar away from workloads.
pub fn sidecar_removal(rollout: &RolloutPlan<'_>) -> Option<Diagnostic> {
    let started = rollout.steps.first().filter(|step| step.removed_workloads() > 0)?.started_ledger()?;
    let (context, ledger) = (&rollout.context, &rollout.ledger);
    let (removal, name) = (SidecarRemoval::of(context, started)?, rollout.name());
    let message = format!("starting the rollout of `{name}` removes its sidecar from {}", removal.share());
    let mut diagnostic = Diagnostic::error(Code::SidecarRemoval, message);
    diagnostic = match removal.cause_label(context) {
        Some(at) => diagnostic.at(at),
        None => {
            let path = rollout.view.configuration.ledger_path(rollout.view.cluster.as_deref(), name);
            diagnostic.at(Span::whole_file(path.unwrap_or_default()))
        }
    };
    let spaces = removal
        .namespaces
        .iter()
        .map(|(namespace, n)| format!("{} in namespace {namespace}", pluralize(*n as u64, "workload")));
    diagnostic = spaces.fold(diagnostic.because(removal.cause.to_string()), Diagnostic::because);
    let what = if ledger.target.is_some() { "moves the target" } else { "starts it" };
    Some(diagnostic.help(format!(
        "undo the change of the SidecarSet; where the sidecar is to go, `pillion start {} --allow-removal` {what}",
        context.command_arguments()
    )))
}

/// Counts the batches, or guesses their number from those that were counted.
fn estimate_batches(rollout: &RolloutPlan<'_>, limit: u32) -> u32 {
    let steps = steps(&rollout.context, &rollout.ledger, &ExternalState::default(), limit as usize);
    let Some(last) = steps.iter().filter_map(RolloutStep::batch).next_back() else { return 0 };
    if matches!(steps.last(), Some(RolloutStep::Batch(_))) && last.updated_pods > 0 {
        let whole = u64::from(last.number) * u64::from(last.matched_pods) / u64::from(last.updated_pods);
        return u32::try_from(whole).unwrap_or(u32::MAX);
    }
    last.number
}

/// The field that makes batches small, and where it stands.
fn batch_size_field(rollout: &RolloutPlan<'_>) -> (&'static str, Option<Span>) {
    let set = rollout.view.prepared.sets.iter().find(|s| s.name == rollout.name());
    match set.filter(|_| rollout.context.settings.strategy.max_unavailable.is_some()) {
        Some(set) => {
            let at = "spec.updateStrategy.maxUnavailable";
            ("updateStrategy.maxUnavailable", Some(set.label(at, "no batch takes more pods down than this")))
        }
        None => ("rollout.steps", None),
    }
}

/// Refuses to go on from a ledger whose last change took batches back by hand.
pub fn reverted_batch(
    deploy_branch: &DeployBranch<'_>,
    cluster: Option<&str>,
    ledger: &Ledger,
    found: &BatchRevert,
) -> Diagnostic {
    let BatchRevert { commit, from, .. } = found;
    let message = format!(
        "commit {} (\"{}\") takes batch {from} of `{}` back by hand",
        commit.id.short(),
        commit.subject(),
        ledger.name
    );
    let path = deploy_branch.configuration.ledger_path(cluster, &ledger.name).unwrap_or_default();
    manual_revert(Diagnostic::error(Code::UnplannedLedgerChange, message).at(Span::whole_file(path)), ledger)
}

/// Says what follows from a `git revert` of a batch, and the command that does what it was meant to do.
pub(super) fn manual_revert(mut diagnostic: Diagnostic, ledger: &Ledger) -> Diagnostic {
    let (name, batch) = (&ledger.name, ledger.last_batch());
    diagnostic.notes.clear();
    diagnostic.because(format!(
        "the ledger is what it was after batch {batch}, and nothing says that the rollout is to stay there: the next step would release batch {} again",
        batch + 1
    ))
    .help(format!(
        "`pillion rollback {name} --to {batch}` takes batches back and pauses the rollout there; where the revert is on `git.deploy` already, run that command on top of it, or revert the revert first"
    ))
}

/// Refuses to write over a branch whose base is no longer in the history of the deploy branch.
pub fn rewritten_branch(
    deploy_branch: &DeployBranch<'_>,
    branch: &StagedBranch,
    examined: &BranchContents,
) -> Option<Diagnostic> {
    let base = examined.lost_base()?;
    let which = format!("which `{}` was staged on", branch.short_name());
    let config = deploy_branch.configuration.layout.root.join("pillion.yaml");
    Some(
        RewrittenBranch {
            branch: &deploy_branch.branches.deploy,
            lost_commit: base,
            evidence: which,
            head: deploy_branch.head.id,
            config: &config,
        }
        .to_diagnostic(),
    )
}

/// A deploy branch that was rewritten.
pub(super) struct RewrittenBranch<'a> {
    /// The deploy branch.
    pub(super) branch: &'a str,
    /// A commit that was in its history.
    pub(super) lost_commit: &'a Commit,
    /// How that is known.
    pub(super) evidence: String,
    /// Its head now.
    pub(super) head: ObjectId,
    /// pillion.yaml.
    pub(super) config: &'a Path,
}

impl RewrittenBranch<'_> {
    pub(super) fn to_diagnostic(&self) -> Diagnostic {
        let Self { branch, lost_commit: gone, evidence: which, head, config } = self;
        let message = format!(
            "`{branch}` was rewritten: {} (\"{}\"), {which}, is no longer in its history",
            gone.id.short(),
            gone.subject()
        );
        let head = head.short();
        Diagnostic::error(Code::DeployBranchRewritten, message)
            .at(Span::whole_file(config.to_string_lossy()))
            .field("git.deploy")
            .because(format!("the head of `{branch}` is {head} now; what was released before may be taken back by it"))
            .help(format!(
                "look at what is gone (`git log {head}..{}`); where it is meant, `pillion stage --accept-rewritten --push` goes on from {head}, in every clone",
                gone.id.short()
            ))
    }
}

/// Says that a staged branch is left alone, because commits of somebody else are on it.
pub fn foreign_commits(
    config: &Path,
    (branch, sidecar_set): (&str, &str),
    foreign: &[Commit],
    options: &str,
) -> Option<Diagnostic> {
    let newest = foreign.first()?;
    let more = match foreign.len() {
        1 => String::new(),
        n => format!(" and {}", pluralize(n as u64 - 1, "more commit")),
    };
    let message = format!(
        "`{branch}` holds {} (\"{}\") by {}{more}, which pillion did not make",
        newest.id.short(),
        newest.subject(),
        newest.author
    );
    Some(
        Diagnostic::error(Code::ForeignCommits, message)
            .at(Span::whole_file(config.to_string_lossy()))
            .field("git.staged")
            .because("it is neither replaced nor removed; the rollout goes on without it, since nothing is ever taken from it")
            .help(format!(
                "where somebody needs them, `git branch NAME {}` keeps them; then `pillion stage {sidecar_set}{options} --force --push` replaces the branch",
                newest.id.short()
            )),
    )
}
