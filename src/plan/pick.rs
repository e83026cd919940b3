//! Which workloads make the next batch: order, partition, steps, maxUnavailable.

use super::fleet::Effect;
use super::rest::Rest;
use super::state::{Matched, State};
use super::step::{Circumstances, Course, Move};
use super::{Labels, canary, partition, priority, rounded_up, scatter, total, unavailable};
use crate::model::ledger::Name;
use std::sync::Arc;

/// What was picked.
pub(super) enum Picked {
    /// The moves of a batch.
    Moves(Vec<Move>),
    /// Nothing: for this reason, or because all is done.
    Nothing(Option<Rest>),
}

/// What still fits into the batch.
struct Room {
    /// Pods until the step ends.
    step: u32,
    /// Pods until partition keeps the rest.
    cap: u32,
    /// Pods that may be down at once; None: no such bound.
    unavailable: Option<u32>,
}

/// Picks the next batch.
pub(super) fn pick(
    course: &Course<'_>,
    state: &State<'_>,
    (released, target): (&Name, &Name),
    given: &Circumstances,
) -> Picked {
    let is_rollback = released == target;
    let candidates = Candidates::of(course, state, target, is_rollback, given);
    if candidates.is_nothing_left() {
        return Picked::Nothing(None);
    }
    let order = order(course, state, &candidates.ready, is_rollback);
    let first: Vec<usize> =
        order.iter().copied().filter(|i| given.unhealthy.contains(state.matched[*i].unit.key())).collect();
    if is_rollback && !first.is_empty() {
        return Picked::Moves(first.iter().map(|i| whole(&state.matched[*i], false)).collect());
    }
    let bound = course.settings.strategy.max_unavailable.as_ref();
    let bound = bound.map(|b| saturated(unavailable::max_unavailable(b, state.pods as usize)));
    let kept = match is_rollback {
        true => 0,
        false => partition::keep(course.settings.strategy.partition.as_ref(), state.pods as usize),
    };
    let cap = state.pods.saturating_sub(saturated(kept)).saturating_sub(state.updated);
    let repairs = repairs(state, &order, (released, target), given, cap);
    if !repairs.is_empty() {
        return Picked::Moves(repairs);
    }
    let step = if is_rollback { u32::MAX } else { step(course, state.pods, state.updated) };
    let mut moves = fitting(state, &order, Room { step, cap, unavailable: bound });
    if moves.is_empty() && bound != Some(0) {
        let strategy = &course.settings.strategy;
        let has_own_order =
            is_rollback || strategy.priority_strategy.is_some() || !strategy.scatter_strategy.is_empty();
        moves.extend(oversized(state, &order, cap, kept > 0, has_own_order));
    }
    let updated = state.updated.saturating_add(total(moves.iter().map(|m| m.to - m.from)));
    moves.extend(next_runs(course, state, &order, updated, is_rollback));
    if !moves.is_empty() {
        return Picked::Moves(moves);
    }
    let is_held_by_bound =
        bound == Some(0) && cap > 0 && order.iter().any(|i| !state.matched[*i].is_next_run());
    Picked::Nothing(Some(candidates.rest(state, &order, is_held_by_bound)))
}

/// What is not done yet, by what may be done with it.
#[derive(Default)]
struct Candidates {
    ready: Vec<usize>,
    not_selected: Vec<Arc<str>>,
    waiting: Vec<(Arc<str>, String)>,
}

impl Candidates {
    fn of(
        course: &Course<'_>,
        state: &State<'_>,
        target: &Name,
        is_rollback: bool,
        given: &Circumstances,
    ) -> Self {
        let mut found = Self::default();
        let selector = course.settings.strategy.selector.as_ref().filter(|_| !is_rollback);
        for (i, matched) in state.matched.iter().enumerate().filter(|(_, m)| !m.is_done) {
            let unit = matched.unit;
            let rendering = course.fleet.rendering(unit, target);
            let broken = rendering.error.as_ref().map(|e| e.message.clone());
            let split = course.split_elsewhere.get(unit.key());
            let split =
                || split.map(|set| format!("the rollout of `{set}` has split it, and that has to end first"));
            let waiting = || given.waiting.get(unit.key()).cloned();
            let refused = || if is_rollback { None } else { refused(course, state, matched) };
            if let Some(reason) = broken.or_else(split).or_else(refused).or_else(waiting) {
                found.waiting.push((Arc::clone(unit.key()), reason));
            } else if canary::is_selected(selector, &unit.labels) {
                found.ready.push(i);
            } else {
                found.not_selected.push(Arc::clone(unit.key()));
            }
        }
        found
    }

    fn is_nothing_left(&self) -> bool {
        self.ready.is_empty() && self.not_selected.is_empty() && self.waiting.is_empty()
    }

    fn rest(self, state: &State<'_>, order: &[usize], is_held_by_bound: bool) -> Rest {
        if !self.waiting.is_empty() {
            Rest::Waiting(self.waiting)
        } else if is_held_by_bound {
            Rest::NothingMayBeUnavailable
        } else if self.ready.is_empty() {
            Rest::Canary(self.not_selected)
        } else {
            let workloads = order.iter().map(|i| Arc::clone(state.matched[*i].unit.key())).collect();
            Rest::Partition { updated: state.updated, pods: state.pods, workloads }
        }
    }
}

/// Says why no batch may move a workload, whatever a cluster says. Going back is never held up by it.
pub(super) fn refused(course: &Course<'_>, state: &State<'_>, matched: &Matched<'_>) -> Option<String> {
    let change = &matched.change;
    if let Some(name) = &change.twin {
        return Some(course.hot_upgrade_reason(name, change.taking.how));
    }
    (change.effect == Effect::Removed && !state.may_remove).then(|| {
        format!(
            "it would lose the sidecar, and the rollout was not started as a removal: `pillion stage --start {} --allow-removal` allows it",
            course.in_commands()
        )
    })
}

/// Kruise's order over workloads: namespace, name and kind, then priority, then scatter. On the way back the
/// latest batch comes first.
fn order(course: &Course<'_>, state: &State<'_>, ready: &[usize], is_rollback: bool) -> Vec<usize> {
    let strategy = &course.settings.strategy;
    let labels: Vec<&Labels> = state.matched.iter().map(|m| &m.unit.labels).collect();
    let mut order = ready.to_vec();
    if let Some(priorities) = &strategy.priority_strategy {
        priority::sort(priorities, &labels, &mut order);
    }
    if is_rollback {
        order.sort_by_key(|i| std::cmp::Reverse(state.matched[*i].line.as_ref().and_then(|l| l.batch)));
        return order;
    }
    scatter::scatter(&scatter::of_workloads(&strategy.scatter_strategy), &labels, order)
}

/// The pods that still fit into the step.
fn step(course: &Course<'_>, pods: u32, updated: u32) -> u32 {
    let Some(steps) = &course.settings.steps else { return u32::MAX };
    let ends = steps.iter().map(|s| saturated(rounded_up(s, pods as usize)));
    // Behind the last step everything fits: steps that end below 100% do not hold anything back.
    ends.filter(|end| *end > updated).min().map_or(u32::MAX, |end| end - updated)
}

/// Workloads that are not well on a revision that was given up: they get the target first, as many of their pods as
/// carry that revision, free of the bound, because waiting for them to be well would be waiting for ever.
fn repairs(
    state: &State<'_>,
    order: &[usize],
    (released, target): (&Name, &Name),
    given: &Circumstances,
    mut cap: u32,
) -> Vec<Move> {
    let mut moves = Vec::new();
    for matched in order.iter().map(|i| &state.matched[*i]).filter(|m| !m.is_next_run()) {
        let abandoned = matched.abandoned(released, target);
        let pods = if matched.can_split { abandoned.min(matched.left()) } else { matched.left() };
        if abandoned > 0 && pods <= cap && given.unhealthy.contains(matched.unit.key()) {
            cap -= pods;
            moves.push(Move { is_repair: true, ..part(matched, pods, false) });
        }
    }
    moves
}

/// The workloads that fit, in their order; what does not fit is passed over.
fn fitting(state: &State<'_>, order: &[usize], mut room: Room) -> Vec<Move> {
    let mut moves = Vec::new();
    for matched in order.iter().map(|i| &state.matched[*i]).filter(|m| !m.is_next_run() && m.size.is_some()) {
        let left = matched.left();
        let pods = room.step.min(room.cap);
        let taken = if matched.can_split { left.min(pods) } else { left };
        let taken = match room.unavailable {
            // A part of the pods cannot be down more than at once.
            Some(bound) if matched.can_split && matched.down(taken) > bound => taken.min(bound),
            _ => taken,
        };
        let down = matched.down(taken);
        if taken > pods || (taken == 0 && left > 0) || room.unavailable.is_some_and(|bound| down > bound) {
            continue;
        }
        room.step = room.step.saturating_sub(taken);
        room.cap -= taken;
        room.unavailable = room.unavailable.map(|bound| bound - down);
        moves.push(part(matched, taken, false));
    }
    moves
}

/// A workload that is bigger than the step or the bound is a batch of its own; so is one of unknown size, which
/// never goes where partition has to keep pods. Where nobody asked for an order the smallest risks least.
fn oversized(
    state: &State<'_>,
    order: &[usize],
    cap: u32,
    keeps_some: bool,
    has_own_order: bool,
) -> Option<Move> {
    let candidates = || order.iter().map(|i| &state.matched[*i]).filter(|m| !m.is_next_run());
    let mut fitting =
        candidates().filter(|m| m.size.is_some() && m.left() <= cap && !(m.can_split && cap == 0));
    let known = if has_own_order { fitting.next() } else { fitting.min_by_key(|m| m.left()) };
    let unknown = || candidates().find(|m| m.size.is_none() && !keeps_some);
    known.or_else(unknown).map(|m| whole(m, m.size.is_some()))
}

/// Workloads that count no pod go along with the share of pods that is updated.
fn next_runs(
    course: &Course<'_>,
    state: &State<'_>,
    order: &[usize],
    updated: u32,
    is_rollback: bool,
) -> Vec<Move> {
    let all = || state.matched.iter().filter(|m| m.is_next_run());
    let (count, done) = (saturated(all().count()), saturated(all().filter(|m| m.is_done).count()));
    let reachable = total(state.matched.iter().filter(|m| !m.is_next_run()).map(Matched::whole));
    let allowed = if is_rollback {
        count
    } else if reachable == 0 {
        let kept = partition::keep(course.settings.strategy.partition.as_ref(), count as usize);
        done.saturating_add(step(course, count, done)).min(count - saturated(kept))
    } else {
        saturated(usize::try_from(u64::from(count) * u64::from(updated) / u64::from(reachable)).unwrap_or(0))
    };
    let waiting = order.iter().map(|i| &state.matched[*i]).filter(|m| m.is_next_run());
    waiting.take(allowed.saturating_sub(done) as usize).map(|m| whole(m, false)).collect()
}

fn whole(matched: &Matched<'_>, is_oversized: bool) -> Move {
    part(matched, matched.left(), is_oversized)
}

fn part(matched: &Matched<'_>, taken: u32, is_oversized: bool) -> Move {
    let (from, size) = (matched.updated, matched.size);
    let to = from + taken;
    let counts = !matched.is_next_run();
    Move {
        key: Arc::clone(matched.unit.key()),
        carried: matched.carries.clone(),
        from: if counts { from } else { 0 },
        to: if counts { to } else { 0 },
        of: size,
        taking: matched.change.taking.clone(),
        partition: (counts && to < matched.whole()).then(|| size.unwrap_or(0) - to),
        effect: matched.change.effect,
        down: if counts { matched.down(taken) } else { 0 },
        is_oversized,
        is_repair: false,
        hold_ended: matched.hold_ended.clone(),
    }
}

fn saturated(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
