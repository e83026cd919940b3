//! The one step that follows from what git holds: [`next_step`]. Everybody who plans, stages or watches takes it.

use super::fleet::{Fleet, Unit};
use super::how::Taking;
use super::pick::{Picked, pick};
use super::rest::Rest;
use super::settings::Settings;
use super::state::State;
use super::total;
use crate::model::ledger::{Ledger, Line, Name, Revision, name_text};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Everything about one rollout that does not change while it goes on.
#[derive(Debug)]
pub struct Course<'r> {
    /// The SidecarSet.
    pub name: Arc<str>,
    /// Its content in the sources; None: it is not there any more.
    pub source: Option<Revision>,
    /// What the rollout may do.
    pub settings: Settings,
    /// The workloads it may concern.
    pub fleet: Fleet<'r>,
    /// Workloads that the rollout of another SidecarSet has split, each with that set: one partition cannot serve
    /// two templates.
    pub split_elsewhere: BTreeMap<Arc<str>, Arc<str>>,
}

/// What comes from outside git: when something is done, never what.
#[derive(Debug, Clone, Default)]
pub struct Circumstances {
    /// Why a rollout must not be opened now (an earlier wave).
    pub not_before: Option<String>,
    /// Workloads that are passed over for now, each with the reason.
    pub waiting: BTreeMap<Arc<str>, String>,
    /// Workloads that go back first, free of the bound.
    pub unhealthy: BTreeSet<Arc<str>>,
    /// Observed pods of workloads, which Open writes down where git does not say.
    pub observed: BTreeMap<Arc<str>, u32>,
}

/// What is done next.
#[derive(Debug)]
pub enum Step {
    /// A rollout begins, or an open one gets another target; no rendered byte changes.
    Open(Ledger),
    /// Workloads get the target.
    Batch(Batch),
    /// The target is released; no rendered byte changes.
    Close(Ledger),
    /// Nothing, for now or for good.
    Rest(Rest),
}

/// Workloads that get the target together.
#[derive(Debug)]
pub struct Batch {
    /// Its number, from 1.
    pub number: u32,
    /// What moves, in the order of the rollout.
    pub moves: Vec<Move>,
    /// Workloads that count in this rollout.
    pub matched_workloads: usize,
    /// Their pods.
    pub matched_pods: u32,
    /// Pods that carry the target afterwards.
    pub updated: u32,
    /// The ledger afterwards.
    pub ledger: Ledger,
}

/// One workload of a batch.
#[derive(Debug, Clone)]
pub struct Move {
    /// `KIND[.GROUP]/NAMESPACE/NAME`.
    pub key: Arc<str>,
    /// The revision it carried.
    pub carried: Name,
    /// Pods that carried the target before.
    pub from: u32,
    /// Pods that carry it afterwards.
    pub to: u32,
    /// All its pods; None: nobody has said.
    pub of: Option<u32>,
    /// How its pods take the new template.
    pub taking: Taking,
    /// It is split: the pods that its own partition keeps old.
    pub partition: Option<u32>,
    /// The most of its pods that are down at once.
    pub down: u32,
    /// It is bigger than the step or the bound, and a batch of its own.
    pub is_oversized: bool,
}

impl Batch {
    /// Returns the pods whose template moves.
    pub fn pods(&self) -> u32 {
        total(self.moves.iter().map(|m| m.to - m.from))
    }

    /// Returns the most pods that are down at once.
    pub fn down(&self) -> u32 {
        total(self.moves.iter().map(|m| m.down))
    }
}

impl Course<'_> {
    /// Returns the pods of a workload: from the ledger, from git, from pillion.yaml. None: nobody says.
    pub fn size(&self, unit: &Unit, ledger: &Ledger) -> Option<u32> {
        let key = unit.key();
        let written = || unit.replicas.or_else(|| self.settings.pods.get(&**key).copied());
        ledger.sizes.get(key).copied().or_else(written)
    }

    /// Tells whether a workload's own partition can split it.
    pub(super) fn can_split(&self, unit: &Unit, size: Option<u32>) -> bool {
        let is_known = unit.replicas.is_some() && size == unit.replicas;
        is_known && !unit.is_autoscaled && size.is_some_and(|n| n > 1) && unit.can_split()
    }

    fn source_name(&self) -> Name {
        self.source.as_ref().map(|r| Arc::clone(&r.name))
    }
}

/// Returns the step that follows from a ledger.
pub fn next_step(course: &Course<'_>, ledger: &Ledger, given: &Circumstances) -> Step {
    if let Some(paused) = &ledger.paused {
        return Step::Rest(Rest::Paused(paused.clone()));
    }
    let source = course.source_name();
    let is_rejected = ledger.rejected.iter().any(|r| **r == *name_text(&source));
    let strategy = &course.settings.strategy;
    let is_stopped = match strategy.kind.as_str() {
        "NotUpdate" => Some(Rest::NotUpdate),
        _ if strategy.is_paused => Some(Rest::StrategyPaused),
        _ => None,
    };
    match &ledger.target {
        None if source == ledger.released => Step::Rest(Rest::Done),
        None if is_rejected => Step::Rest(Rest::Rejected(source)),
        None => match is_stopped.or_else(|| given.not_before.clone().map(Rest::EarlierWave)) {
            Some(rest) => Step::Rest(rest),
            None => Step::Open(opened(course, ledger, source, given)),
        },
        Some(target) if *target != source && !is_rejected => {
            Step::Open(opened(course, ledger, source, given))
        }
        // Going back is never held up by the strategy of what went wrong.
        Some(target) if *target == ledger.released => advance(course, ledger, target, given),
        Some(target) => match is_stopped {
            Some(rest) => Step::Rest(rest),
            None => advance(course, ledger, target, given),
        },
    }
}

/// Repeats [`next_step`] on its own result until nothing is left to be done, at most `limit` times.
pub fn steps(course: &Course<'_>, ledger: &Ledger, given: &Circumstances, limit: usize) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    while steps.len() < limit {
        let before = match steps.last() {
            None => ledger,
            Some(Step::Open(after) | Step::Batch(Batch { ledger: after, .. })) => after,
            Some(Step::Close(_) | Step::Rest(_)) => break,
        };
        steps.push(next_step(course, before, given));
    }
    steps
}

/// Returns the digest that an approval is for: the set, its revisions, the batch, its workloads and their sizes.
pub fn digest(course: &Course<'_>, before: &Ledger, number: u32, moves: &[Move]) -> String {
    let target = before.target.clone().unwrap_or_default();
    let workloads: Vec<_> = moves.iter().map(|m| json!([&*m.key, m.from, m.to, m.of, m.partition])).collect();
    let sizes: BTreeMap<&str, u32> = before.sizes.iter().map(|(k, n)| (&**k, *n)).collect();
    let content =
        json!([&*course.name, name_text(&before.released), name_text(&target), number, workloads, sizes,]);
    let digest = Sha256::digest(content.to_string());
    format!("sha256:{}", digest.iter().map(|b| format!("{b:02x}")).collect::<String>())
}

fn opened(course: &Course<'_>, ledger: &Ledger, source: Name, given: &Circumstances) -> Ledger {
    let mut ledger = cleaned(course, ledger);
    if let Some(revision) = &course.source {
        ledger.revisions.insert(Arc::clone(&revision.name), revision.clone());
    }
    ledger.approved.clear();
    for unit in course.fleet.units() {
        let (key, observed) = (unit.key(), given.observed.get(unit.key()));
        if let (None, false, Some(pods)) = (unit.replicas, ledger.sizes.contains_key(key), observed)
            && !course.fleet.change(unit, &ledger.released, &source).difference.is_empty()
        {
            ledger.sizes.insert(Arc::clone(key), *pods);
        }
    }
    ledger.target = Some(source);
    ledger.settle_revisions(course.settings.history_limit);
    ledger
}

fn advance(course: &Course<'_>, ledger: &Ledger, target: &Name, given: &Circumstances) -> Step {
    let state = State::of(course, ledger, target);
    match pick(course, &state, target, ledger.released == *target, given) {
        Picked::Moves(moves) => Step::Batch(batch(course, ledger, target, &state, moves)),
        Picked::Nothing(Some(rest)) => Step::Rest(rest),
        Picked::Nothing(None) => Step::Close(closed(course, ledger, target, &state)),
    }
}

fn batch(course: &Course<'_>, ledger: &Ledger, target: &Name, state: &State<'_>, moves: Vec<Move>) -> Batch {
    let number = ledger.last_batch().saturating_add(1);
    let mut after = cleaned(course, ledger);
    for moved in &moves {
        let template = course.fleet.find(&moved.key).filter(|_| moved.partition.is_some());
        after.lines.insert_mut(
            Arc::clone(&moved.key),
            Line {
                revision: target.clone(),
                batch: Some(number),
                partition: moved.partition,
                template: template.map(Unit::template_hash),
                ..Line::default()
            },
        );
    }
    after.settle_revisions(course.settings.history_limit);
    let moving = total(moves.iter().map(|m| m.to - m.from));
    Batch {
        number,
        moves,
        matched_workloads: state.matched.len(),
        matched_pods: state.pods,
        updated: state.updated.saturating_add(moving),
        ledger: after,
    }
}

fn closed(course: &Course<'_>, ledger: &Ledger, target: &Name, state: &State<'_>) -> Ledger {
    let mut after = cleaned(course, ledger);
    after.retain_lines(|_, line| line.held.is_some());
    for held in state.held.iter().filter(|h| !h.has_line) {
        let line = Line {
            revision: held.carries.clone(),
            template: Some(held.unit.template_hash()),
            held: Some(Arc::clone(&held.reason)),
            ..Line::default()
        };
        after.lines.insert_mut(Arc::clone(held.unit.key()), line);
    }
    after.released = target.clone();
    after.target = None;
    after.sizes.clear();
    after.approved.clear();
    after.settle_revisions(course.settings.history_limit);
    after
}

/// The ledger without lines of workloads that are gone or whose source has changed since.
fn cleaned(course: &Course<'_>, ledger: &Ledger) -> Ledger {
    let mut ledger = ledger.clone();
    ledger.retain_lines(|key, line| course.fleet.find(key).is_some_and(|unit| !unit.outdates(line)));
    ledger
}
