//! The one step that follows from what git holds: [`next_step`]. Everybody who plans, stages or watches takes it.

use super::fleet::{Effect, Fleet, Unit};
use super::how::{How, Taking};
use super::pick::{Picked, pick, refused};
use super::rest::Rest;
use super::scope::{Counted, is_anyone_concerned};
use super::settings::Settings;
use super::state::State;
use super::total;
use crate::model::ledger::{Ledger, Line, Name, Revision, Scope, name_text};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Everything about one rollout that does not change while it goes on.
#[derive(Debug)]
pub struct Course<'r> {
    /// The SidecarSet.
    pub name: Arc<str>,
    /// The cluster, where pillion.yaml names some.
    pub cluster: Option<Arc<str>>,
    /// Its content in the sources; None: it is not there any more.
    pub source: Option<Revision>,
    /// What the rollout may do.
    pub settings: Settings,
    /// The workloads it may concern.
    pub fleet: Fleet<'r>,
    /// Workloads that the rollout of another SidecarSet has split, each with that set: one partition cannot serve
    /// two templates.
    pub split_elsewhere: BTreeMap<Arc<str>, Arc<str>>,
    /// Pods of workloads that the ledgers of other SidecarSets know: Open takes them over.
    pub sizes_elsewhere: BTreeMap<Arc<str>, u32>,
    /// The manifests are no plain files: a command built them, or a person handed them over.
    pub is_built: bool,
    /// SidecarSets whose place this one takes, on workloads that they do not select any more.
    pub replaces: Vec<Arc<str>>,
    /// It brings all their containers.
    pub replaces_all: bool,
    /// SidecarSets that take the place of this one, on workloads that it does not select any more.
    pub replaced_by: Vec<Successor>,
    /// Workloads that a person holds in the ledger of a SidecarSet whose place this one takes, each with its line.
    pub held_elsewhere: BTreeMap<Arc<str>, Line>,
    /// Workloads that people hold, that stand in git, and that no SidecarSet selects any more: their holds last.
    pub held_unselected: BTreeSet<Arc<str>>,
}

/// A SidecarSet that takes the place of another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Successor {
    /// Its name.
    pub name: Arc<str>,
    /// Its rollout is closed.
    pub is_released: bool,
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
    /// A person allows the rollout that is open to take the sidecar away from workloads.
    pub allows_removal: bool,
    /// The day, `YYYY-MM-DD` in UTC: holds whose last day is before it are over. None: no hold is over.
    pub today: Option<String>,
    /// A person starts what the source holds: an open rollout gets it as its target.
    pub starts: bool,
    /// With [`starts`](Self::starts): a paused rollout, too; the person gives up what is paused.
    pub starts_paused: bool,
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
    /// A pause ends; no rendered byte changes. Only a person does that: [`next_step`] never does, and the plan of a
    /// paused rollout begins with it.
    Resume(Ledger),
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
    /// What becomes of the SidecarSet's containers.
    pub effect: Effect,
    /// The most of its pods that are down at once.
    pub down: u32,
    /// It is bigger than the step or the bound, and a batch of its own.
    pub is_oversized: bool,
    /// It is not well on a revision that was given up, and gets the target before all others.
    pub is_repair: bool,
    /// The last day of the hold that kept it until now.
    pub hold_ended: Option<Arc<str>>,
}

impl Move {
    /// Returns what becomes of the sidecar, where that has to be said: it is removed, or added while others change.
    /// `from` is what is released.
    pub fn mark(&self, from: &Name) -> Option<&'static str> {
        match self.effect {
            Effect::Removed => Some("sidecar removed"),
            Effect::Added if from.is_some() => Some("sidecar added"),
            Effect::Added | Effect::Updated => None,
        }
    }
}

impl Step {
    /// Returns the workloads that lose the sidecar by a rollout which this step opens; 0 for every other step.
    pub fn removed(&self) -> u32 {
        match self {
            Self::Open(ledger) => ledger.scope.as_ref().map_or(0, |scope| scope.removed),
            _ => 0,
        }
    }
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

/// Returns the option that commands name a cluster by, with a blank before it; nothing where there is only one.
pub fn cluster_option(cluster: Option<&str>) -> String {
    cluster.map_or_else(String::new, |cluster| format!(" --cluster {cluster}"))
}

impl Course<'_> {
    /// Returns the rollout as commands name it: `NAME`, with `--cluster` where there are several.
    pub fn in_commands(&self) -> String {
        format!("{}{}", self.name, cluster_option(self.cluster.as_deref()))
    }

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

    /// Says why a hot-upgrade container cannot be changed.
    pub(super) fn hot_upgrade_reason(&self, container: &str, how: How) -> String {
        let place = self.source.as_ref().map(|r| r.set.hot_upgrade_label(container, ""));
        let place = place.map_or_else(String::new, |at| format!(" ({}:{}:{})", at.file, at.line, at.column));
        let what = match how {
            How::InPlace => "this would restart the container that works, in place",
            _ => "its pods would be recreated, and the container that works with them",
        };
        format!("hot-upgrade: `{container}`{place} is upgraded hot, which pillion cannot stage yet; {what}")
    }

    fn source_name(&self) -> Name {
        self.source.as_ref().map(|r| Arc::clone(&r.name))
    }
}

/// Returns the step that follows from a ledger.
pub fn next_step(course: &Course<'_>, ledger: &Ledger, given: &Circumstances) -> Step {
    let source = course.source_name();
    let is_newer = newer(course, ledger).is_some();
    if let Some(paused) = &ledger.paused {
        if given.starts && given.starts_paused && can_start(course, ledger) {
            let resumed = Ledger { paused: None, ..ledger.clone() };
            return open(course, &resumed, source, given);
        }
        return Step::Rest(Rest::Paused(paused.clone()));
    }
    if let Some(step) = replaced(course, ledger, &source, given) {
        return step;
    }
    let is_rejected = is_rejected(ledger, &source);
    let strategy = &course.settings.strategy;
    let is_stopped = match strategy.kind.as_str() {
        "NotUpdate" => Some(Rest::NotUpdate),
        _ if strategy.is_paused => Some(Rest::StrategyPaused),
        _ => None,
    };
    match &ledger.target {
        None if source == ledger.released || is_rejected => {
            match is_stopped {
                _ if !has_ended_hold(course, ledger, given) => {}
                Some(rest) => return Step::Rest(rest),
                None => return Step::Open(opened(course, ledger, ledger.released.clone(), given)),
            }
            Step::Rest(if source == ledger.released { Rest::Done } else { Rest::Rejected(source) })
        }
        None => match is_stopped.or_else(|| given.not_before.clone().map(Rest::EarlierWave)) {
            Some(rest) => Step::Rest(rest),
            None => open(course, ledger, source, given),
        },
        Some(_) if given.starts && is_newer => open(course, ledger, source, given),
        Some(_) if is_newer && course.settings.starts_by_itself && !removes(course, ledger, given) => {
            open(course, ledger, source, given)
        }
        // Going back is never held up by the strategy of what went wrong.
        Some(target) if *target == ledger.released => advance(course, ledger, target, given),
        // What it replaces, or may remove, is another thing than when it was opened.
        Some(target) if *target == source && is_to_be_opened_again(course, ledger, given) => {
            open(course, ledger, source, given)
        }
        Some(target) => match is_stopped {
            Some(rest) => Step::Rest(rest),
            None => advance(course, ledger, target, given),
        },
    }
}

/// What is done next for a SidecarSet whose place others take: nothing, until these are released; and if it is gone from
/// git, its ledger is closed at nothing then, which changes no rendered byte. None: what no other set has taken over is
/// planned like everything else.
fn replaced(course: &Course<'_>, ledger: &Ledger, source: &Name, given: &Circumstances) -> Option<Step> {
    let is_settled = ledger.target.is_none() && *source == ledger.released;
    if is_settled || !ledger.is_carried() {
        return None;
    }
    if let Some(by) = course.replaced_by.iter().find(|by| !by.is_released) {
        return Some(Step::Rest(Rest::Replaced(Arc::clone(&by.name))));
    }
    if source.is_some() || course.replaced_by.is_empty() {
        return None;
    }
    let state = State::of(course, ledger, source, given.today.as_deref());
    state.matched.is_empty().then(|| Step::Close(closed(course, ledger, source, &state, given)))
}

/// Tells whether Start has to be repeated for a target that stays the same.
fn is_to_be_opened_again(course: &Course<'_>, ledger: &Ledger, given: &Circumstances) -> bool {
    let replaces_more = course.replaces.iter().any(|old| !ledger.replaces.contains(old));
    replaces_more || (given.allows_removal && !ledger.may_remove() && removed(course, ledger) > 0)
}

/// Opens a rollout, unless it concerns no workload, or none of it may be moved.
fn open(course: &Course<'_>, ledger: &Ledger, source: Name, given: &Circumstances) -> Step {
    let opened = opened(course, ledger, source.clone(), given);
    let state = State::of(course, &opened, &source, given.today.as_deref());
    let mut reasons = Vec::new();
    for matched in &state.matched {
        match matched.change.twin.as_ref().and_then(|_| refused(course, &state, matched)) {
            Some(reason) => reasons.push((Arc::clone(matched.unit.key()), reason)),
            None => return Step::Open(opened),
        }
    }
    match reasons.is_empty() {
        false => Step::Rest(Rest::Waiting(reasons)),
        true if state.held.is_empty() && !is_anyone_concerned(course, ledger, &source) => {
            Step::Rest(Rest::NoWorkloads)
        }
        true => Step::Open(opened),
    }
}

/// Tells whether the rollout of what the source holds would take the sidecar away: that never starts by itself.
fn removes(course: &Course<'_>, ledger: &Ledger, given: &Circumstances) -> bool {
    open(course, ledger, course.source_name(), given).removed() > 0
}

/// Returns what the source holds where an open rollout goes somewhere else: it waits until that is closed, or until it
/// is started in its place. The inner None: the SidecarSet is not there any more.
pub fn newer(course: &Course<'_>, ledger: &Ledger) -> Option<Name> {
    let source = course.source_name();
    let goes_elsewhere = ledger.target.as_ref().is_some_and(|target| *target != source);
    (goes_elsewhere && !is_rejected(ledger, &source)).then_some(source)
}

/// Tells whether the source holds something that a person may start in place of what is paused: another content than the
/// target's or, where no rollout is open, than the released one.
pub fn can_start(course: &Course<'_>, ledger: &Ledger) -> bool {
    let source = course.source_name();
    *ledger.target.as_ref().unwrap_or(&ledger.released) != source && !is_rejected(ledger, &source)
}

fn is_rejected(ledger: &Ledger, source: &Name) -> bool {
    ledger.rejected.iter().any(|r| **r == *name_text(source))
}

/// Tells whether a workload whose hold is over carries something else than the released revision.
fn has_ended_hold(course: &Course<'_>, ledger: &Ledger, given: &Circumstances) -> bool {
    let today = given.today.as_deref();
    let ended = ledger.lines.iter().filter(|(_, line)| line.has_ended(today));
    ended.filter_map(|(key, _)| course.fleet.find(key)).any(|unit| {
        let line = unit.line(ledger);
        line.is_some_and(|line| !course.fleet.change_of(unit, &line, &ledger.released).difference.is_empty())
    })
}

/// Repeats [`next_step`] on its own result until nothing is left to be done, at most `limit` times.
pub fn steps(course: &Course<'_>, ledger: &Ledger, given: &Circumstances, limit: usize) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    while steps.len() < limit {
        let before = match steps.last() {
            None => ledger,
            Some(Step::Open(after) | Step::Resume(after) | Step::Batch(Batch { ledger: after, .. })) => after,
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
    if let Some(revision) = course.source.as_ref().filter(|r| source.as_ref() == Some(&r.name)) {
        ledger.revisions.insert(Arc::clone(&revision.name), revision.clone());
    }
    ledger.approved.clear();
    for unit in course.fleet.units() {
        let key = unit.key();
        let observed = given.observed.get(key).or_else(|| course.sizes_elsewhere.get(key));
        if let (None, false, Some(pods)) = (unit.replicas, ledger.sizes.contains_key(key), observed)
            && !course.fleet.change(unit, &ledger.released, &source).difference.is_empty()
        {
            ledger.sizes.insert(Arc::clone(key), *pods);
        }
    }
    ledger.target = Some(source);
    ledger.replaces.clone_from(&course.replaces);
    ledger.scope = scope(course, &ledger);
    ledger.settle_revisions(course.settings.history_limit);
    ledger
}

/// What a rollout counts, and how many of its workloads lose the sidecar: later steps are held against it.
fn scope(course: &Course<'_>, ledger: &Ledger) -> Option<Scope> {
    let counted = ledger.target.as_ref().map(|_| Counted::of(course, ledger).scope(course.is_built))?;
    Some(Scope { removed: removed(course, ledger), ..counted })
}

/// The workloads that a rollout which opens takes the sidecar away from.
fn removed(course: &Course<'_>, ledger: &Ledger) -> u32 {
    let Some(target) = &ledger.target else { return 0 };
    let loses = |unit: &&Unit| {
        let line = unit.line(ledger);
        let carries = line.as_ref().map_or(&ledger.released, |l| &l.revision);
        if line.as_ref().is_some_and(|l| l.held.is_some()) || carries == target {
            return false;
        }
        let change = course.fleet.change(unit, carries, target);
        change.effect == Effect::Removed && change.taking.how != How::Never
    };
    // Going back takes the sidecar only from those that the rollout has brought it to.
    if *target == ledger.released {
        return 0;
    }
    u32::try_from(course.fleet.units().iter().filter(loses).count()).unwrap_or(u32::MAX)
}

fn advance(course: &Course<'_>, ledger: &Ledger, target: &Name, given: &Circumstances) -> Step {
    let state = State::of(course, ledger, target, given.today.as_deref());
    match pick(course, &state, (&ledger.released, target), given) {
        Picked::Moves(moves) => Step::Batch(batch(course, ledger, target, &state, moves)),
        Picked::Nothing(Some(rest)) => Step::Rest(rest),
        Picked::Nothing(None) => {
            // A person has accepted a scope of no workload.
            let is_accepted = ledger.scope.as_ref().is_some_and(|scope| scope.workloads == 0);
            let is_empty = state.matched.is_empty() && state.held.is_empty();
            if is_empty && !is_accepted && !is_anyone_concerned(course, ledger, target) {
                return Step::Rest(Rest::NoWorkloads);
            }
            Step::Close(closed(course, ledger, target, &state, given))
        }
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

fn closed(
    course: &Course<'_>,
    ledger: &Ledger,
    target: &Name,
    state: &State<'_>,
    given: &Circumstances,
) -> Ledger {
    let mut after = cleaned(course, ledger);
    after.retain_lines(|_, line| line.held.is_some() && !line.has_ended(given.today.as_deref()));
    for held in state.held.iter().filter(|h| !h.is_written()) {
        let line = Line {
            revision: held.carries.clone(),
            template: Some(held.unit.template_hash()),
            held: Some(Arc::clone(&held.reason)),
            by: held.elsewhere.and_then(|line| line.by.clone()),
            since: held.elsewhere.and_then(|line| line.since.clone()),
            until: held.elsewhere.and_then(|line| line.until.clone()),
            images: held.line.as_ref().map_or_else(BTreeMap::new, |l| l.images.clone()),
            ..Line::default()
        };
        after.lines.insert_mut(Arc::clone(held.unit.key()), line);
    }
    after.released = target.clone();
    after.target = None;
    after.scope = None;
    if !after.is_carried() {
        after.replaces.clear();
    }
    after.sizes.clear();
    after.approved.clear();
    after.settle_revisions(course.settings.history_limit);
    after
}

/// The ledger with the lines as they count: without those of workloads that are gone, or whose source has changed since.
/// A hold lasts where its workload is only not selected any more.
pub(super) fn cleaned(course: &Course<'_>, ledger: &Ledger) -> Ledger {
    let mut after = ledger.clone();
    for key in ledger.lines.keys() {
        match course.fleet.find(key).and_then(|unit| unit.line(ledger)) {
            None if course.held_unselected.contains(key) => {}
            None => {
                after.lines.remove_mut(key);
            }
            Some(Cow::Owned(line)) => {
                after.lines.insert_mut(Arc::clone(key), line);
            }
            Some(Cow::Borrowed(_)) => {}
        }
    }
    after
}
