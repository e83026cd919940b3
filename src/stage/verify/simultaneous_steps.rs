//! Detects batches that were pushed to the deploy branch at once.
//!
//! A commit with several steps shows it. Staged commits that are pushed unchanged, or rebased together, have one
//! date, while each commit that `watch` or `promote` releases has its own date, and its person. Commits with forged
//! dates, or staged commits pushed one by one in good time, cannot be told from released ones.

use super::audited_change::{AuditedChange, LedgerKey};
use super::ledger_action::LedgerAction;
use crate::diagnostics::{Code, Diagnostic, Span};
use crate::git::{Commit, Identity, trailer};
use crate::rollout::cluster_option;
use crate::stage::DeployBranch;
use std::collections::BTreeMap;

/// Releases within so few seconds were not judged, unless pillion recorded their time.
const SAME_PUSH_SECONDS: u64 = 10;

/// Reports a commit with more than one step that must be judged.
pub(super) fn steps_in_one_commit(
    deploy_branch: &DeployBranch<'_>,
    changed: &AuditedChange,
) -> Option<Diagnostic> {
    let steps = changed.action.steps_needing_health();
    let [first, .., last] = &steps[..] else { return None };
    let message = format!(
        "commit {} releases several steps of `{}` at once: {first} to {last}",
        changed.commit.id.short(),
        changed.key.1
    );
    Some(simultaneous_steps(deploy_branch, changed, message))
}

/// Reports commits, oldest first, that were pushed to the deploy branch together.
pub(super) fn steps_pushed_together(
    deploy_branch: &DeployBranch<'_>,
    changes: &[&AuditedChange],
) -> Vec<Diagnostic> {
    let mut steps: BTreeMap<&LedgerKey, Vec<&AuditedChange>> = BTreeMap::new();
    for changed in changes.iter().filter(|changed| !changed.action.steps_needing_health().is_empty()) {
        steps.entry(&changed.key).or_default().push(changed);
    }
    let identity = &deploy_branch.branches.identity;
    let runs = steps.values().flat_map(|steps| {
        steps.chunk_by(|before, after| is_one_push(&before.commit, &after.commit, identity))
    });
    runs.filter_map(|run| check_run(deploy_branch, run)).collect()
}

fn check_run(deploy_branch: &DeployBranch<'_>, run: &[&AuditedChange]) -> Option<Diagnostic> {
    let [first, .., last] = run else { return None };
    let message = format!(
        "commits {} to {} release {} steps of `{}` at once: {} to {}",
        first.commit.id.short(),
        last.commit.id.short(),
        run.len(),
        first.key.1,
        first.action,
        last.action
    );
    let after_first = run.get(1)?;
    Some(simultaneous_steps(deploy_branch, after_first, message))
}

fn is_one_push(before: &Commit, after: &Commit, identity: &Identity) -> bool {
    if [before, after].iter().any(|commit| commit.trailer(trailer::BY).is_some()) {
        return false;
    }
    let apart = after.time.seconds.abs_diff(before.time.seconds);
    let is_by_hand = |commit: &Commit| commit.committer != *identity;
    apart == 0 || (apart <= SAME_PUSH_SECONDS && is_by_hand(before) && is_by_hand(after))
}

fn simultaneous_steps(
    deploy_branch: &DeployBranch<'_>,
    changed: &AuditedChange,
    message: String,
) -> Diagnostic {
    let (cluster, name) = &changed.key;
    let option = cluster_option(cluster.as_deref());
    let path = deploy_branch.configuration.ledger_path(cluster.as_deref(), name).unwrap_or_default();
    let back = match &changed.action {
        LedgerAction::Steps(steps) => steps.iter().find_map(|step| match step {
            super::ledger_action::AuditedStep::Batch(batch) => Some(batch.number.saturating_sub(1)),
            _ => None,
        }),
        _ => None,
    };
    let back = match back {
        Some(batch) => format!("`pillion rollback {name} --to {batch}{option}` rolls them back"),
        None => format!("`pillion rollback {name}{option}` rolls it back"),
    };
    Diagnostic::error(Code::BatchesAtOnce, message)
        .at(Span::whole_file(path))
        .because("each of them is a step of the planner, but the pods of each were not healthy before the next; `pillion promote` releases them one by one in the name of a person")
        .help(format!(
            "if it is not on the deploy branch yet, undo it and use `pillion promote {name}{option}`; otherwise `pillion pause {name}{option}` stops the rollout to check the pods, {back}, and `pillion resume {name}{option}` after the pause accepts it"
        ))
}
