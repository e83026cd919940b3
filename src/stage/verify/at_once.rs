//! Were several batches put onto the live branch at once? What git tells of it.
//!
//! A commit with several steps says so itself. Staged commits that are pushed as they are, or rebased together, have one
//! date, while each commit that `watch` or `promote` releases says when, and which person did it. Somebody who writes
//! other dates, or pushes one staged commit after the other in good time, cannot be told from the planner.

use super::deed::Deed;
use super::judge::{Changed, Key};
use crate::diag::{Code, Diagnostic, Label};
use crate::git::{Commit, Identity, trailer};
use crate::plan::cluster_option;
use crate::stage::Live;
use std::collections::BTreeMap;

/// Nobody judges a batch in so few seconds, where it is not pillion that says when.
const MOMENT: i64 = 10;

/// Says that a commit holds more than one step that is judged.
pub(super) fn in_one(live: &Live<'_>, changed: &Changed) -> Option<Diagnostic> {
    let steps = changed.deed.judged_steps();
    let [first, .., last] = &steps[..] else { return None };
    let message = format!(
        "commit {} releases several steps of `{}` in one: {first} to {last}",
        changed.commit.id.short(),
        changed.key.1
    );
    Some(told(live, changed, message))
}

/// Says which commits, oldest first, were put onto the live branch together.
pub(super) fn together(live: &Live<'_>, changes: &[&Changed]) -> Vec<Diagnostic> {
    let mut steps: BTreeMap<&Key, Vec<&Changed>> = BTreeMap::new();
    for changed in changes.iter().filter(|changed| !changed.deed.judged_steps().is_empty()) {
        steps.entry(&changed.key).or_default().push(changed);
    }
    let identity = &live.branches.identity;
    let runs = steps.values().flat_map(|steps| {
        steps.chunk_by(|before, after| is_one_push(&before.commit, &after.commit, identity))
    });
    runs.filter_map(|run| one_run(live, run)).collect()
}

fn one_run(live: &Live<'_>, run: &[&Changed]) -> Option<Diagnostic> {
    let [first, .., last] = run else { return None };
    let message = format!(
        "commits {} to {} release {} steps of `{}` at once: {} to {}",
        first.commit.id.short(),
        last.commit.id.short(),
        run.len(),
        first.key.1,
        first.deed,
        last.deed
    );
    let after_first = run.get(1)?;
    Some(told(live, after_first, message))
}

fn is_one_push(before: &Commit, after: &Commit, identity: &Identity) -> bool {
    if [before, after].iter().any(|commit| commit.trailer(trailer::BY).is_some()) {
        return false;
    }
    let apart = (after.time.seconds - before.time.seconds).abs();
    let is_by_hand = |commit: &Commit| commit.committer != *identity;
    apart == 0 || (apart <= MOMENT && is_by_hand(before) && is_by_hand(after))
}

fn told(live: &Live<'_>, changed: &Changed, message: String) -> Diagnostic {
    let (cluster, name) = &changed.key;
    let option = cluster_option(cluster.as_deref());
    let place = live.configuration.ledger_place(cluster.as_deref(), name).unwrap_or_default();
    let back = match &changed.deed {
        Deed::Steps(steps) => steps.iter().find_map(|step| match step {
            super::deed::Step::Batch(batch) => Some(batch.number.saturating_sub(1)),
            _ => None,
        }),
        _ => None,
    };
    let back = match back {
        Some(batch) => format!("`pillion rollback {name} --to {batch}{option}` takes them back"),
        None => format!("`pillion rollback {name}{option}` takes it back"),
    };
    Diagnostic::error(Code::BatchesAtOnce, message)
        .at(Label::whole_file(place))
        .because("each of them is what the planner makes, but nobody has seen the pods of one healthy before the next; `pillion promote` releases one after the other in the name of a person")
        .help(format!(
            "where it is not live yet, take it back and use `pillion promote {name}{option}`; where it is, `pillion pause {name}{option}` stops the rollout to look at the pods, {back}, and `pillion resume {name}{option}` after the pause accepts it"
        ))
}
