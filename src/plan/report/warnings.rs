//! What should a reviewer know of this rollout before it starts?

use super::super::advice::{self, Place, Subject};
use super::super::fleet::{Rendering, Unit};
use super::super::how::How;
use super::super::state::{Matched, State};
use super::super::step::{Circumstances, Course};
use super::super::{Near, simulate, total, unavailable};
use super::{Batch, End, Report, title};
use crate::diag::{Code, Diagnostic, Label, Severity};
use crate::model::duration;
use crate::yaml::Part;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Workloads that a message names; the others are counted.
const NAMED: usize = 3;

/// Returns the warnings, those of the rollout as a whole first.
pub(super) fn warnings(
    course: &Course<'_>,
    report: &Report,
    state: &State<'_>,
    given: &Circumstances,
    near: &[&Near],
) -> Vec<Diagnostic> {
    let today = given.today.as_deref();
    let mut found = Vec::new();
    found.extend(too_many_batches(course, report));
    found.extend(hot_upgrade(course, report, state));
    found.extend(sizes(report, state, given));
    found.extend(kept(state));
    let ends: Vec<[Arc<Rendering>; 2]> =
        course.fleet.units().iter().map(|u| renderings(course, report, u, today)).collect();
    let sizes = sizes_of(course, report);
    let subjects: Vec<Subject<'_>> = course
        .fleet
        .units()
        .iter()
        .zip(&ends)
        .map(|(unit, [old, new])| subject(unit, old, new, sizes.get(&**unit.key()).copied().unwrap_or(0)))
        .collect();
    let index: BTreeMap<&str, usize> =
        course.fleet.units().iter().enumerate().map(|(i, unit)| (&**unit.key(), i)).collect();
    let matched: Vec<Subject<'_>> =
        state.matched.iter().filter_map(|m| subjects.get(*index.get(&**m.unit.key())?).cloned()).collect();
    if !report.is_back {
        found.extend(canary(course, &matched));
    }
    found.extend(oversized(course, report, &subjects, &index));
    found.extend(advice::ordered_ready(&moved(report, &subjects, &index)));
    let neighbours: Vec<_> = near.iter().map(|n| n.neighbour()).collect();
    let batches: Vec<advice::Batch> = report.batches.iter().map(|b| for_advice(b, &index)).collect();
    found.extend(advice::advise(&subjects, &neighbours, &batches));
    found
}

/// What a workload carries now, and what it carries in the end.
fn renderings(course: &Course<'_>, report: &Report, unit: &Unit, today: Option<&str>) -> [Arc<Rendering>; 2] {
    let line = unit.line(&report.start);
    let released = report.start.released.clone();
    let carried = line.as_ref().map_or_else(|| released.clone(), |l| l.revision.clone());
    let is_held = line.is_some_and(|l| l.held.is_some() && !l.has_ended(today));
    let old = if carried == report.to && !report.is_back { released } else { carried.clone() };
    let new = if is_held { carried } else { report.to.clone() };
    [old, new].map(|name| course.fleet.rendering(unit, &name))
}

fn subject<'a>(unit: &'a Unit, old: &'a Rendering, new: &'a Rendering, pods: u32) -> Subject<'a> {
    let (located, kind) = (&unit.located, &unit.located.kind);
    Subject {
        group: &kind.group,
        kind: &kind.kind,
        namespace: &located.namespace,
        name: &located.name,
        object: located.object(&unit.document),
        old: old.template(unit),
        new: new.template(unit),
        pods: pods.into(),
        place: Some(Place { document: &unit.document, path: located.base.clone() }),
    }
}

fn sizes_of<'c>(course: &'c Course<'_>, report: &Report) -> BTreeMap<&'c str, u32> {
    let size = |unit: &'c Unit| Some((&**unit.key(), course.size(unit, report.opened())?));
    course.fleet.units().iter().filter_map(size).collect()
}

fn for_advice(batch: &Batch, index: &BTreeMap<&str, usize>) -> advice::Batch {
    let moves = batch.workloads.iter().filter_map(|w| {
        let of = w.moved.of?;
        let pods = simulate::Move { from: w.moved.from.into(), to: w.moved.to.into(), of: of.into() };
        Some((*index.get(&*w.moved.key)?, pods, w.outcome?))
    });
    advice::Batch { number: batch.number as usize, moves: moves.collect() }
}

/// The workloads that move pods in some batch.
fn moved<'a>(report: &Report, subjects: &[Subject<'a>], index: &BTreeMap<&str, usize>) -> Vec<Subject<'a>> {
    let workloads = report.batches.iter().flat_map(|b| &b.workloads);
    let moving = workloads.filter(|w| w.moved.taking.how.moves_pods());
    let mut places: Vec<usize> = moving.filter_map(|w| index.get(&*w.moved.key).copied()).collect();
    places.sort_unstable();
    places.dedup();
    places.into_iter().map(|i| subjects[i].clone()).collect()
}

fn canary(course: &Course<'_>, matched: &[Subject<'_>]) -> Option<Diagnostic> {
    let selector = course.settings.strategy.selector.as_ref()?;
    let written = label(course, "spec.updateStrategy.selector");
    let told = advice::canary_matches_nothing(&course.name, selector, matched, written);
    told.filter(|_| !matched.is_empty())
}

/// Workloads that are a batch of their own because they are bigger than the bound, or than the step.
fn oversized(
    course: &Course<'_>,
    report: &Report,
    subjects: &[Subject<'_>],
    index: &BTreeMap<&str, usize>,
) -> Vec<Diagnostic> {
    let bound = course.settings.strategy.max_unavailable.as_ref();
    let bound = bound.map(|b| unavailable::max_unavailable(b, report.matched_pods as usize) as u64);
    let mut found = Vec::new();
    let mut above_step = Vec::new();
    let workloads = report.batches.iter().flat_map(|b| &b.workloads);
    for moved in workloads.map(|w| &w.moved).filter(|m| m.is_oversized) {
        let Some(subject) = index.get(&*moved.key).map(|i| &subjects[*i]) else { continue };
        let written = label(course, "spec.updateStrategy.maxUnavailable");
        let told = bound.and_then(|b| advice::above_max_unavailable(subject, moved.down.into(), b, written));
        match told {
            Some(told) => found.push(told),
            // Nobody asked for the steps that count by default.
            None if course.settings.has_default_steps => {}
            None => above_step.push(&*moved.key),
        }
    }
    found.extend(above_the_step(course, &above_step));
    found
}

fn above_the_step(course: &Course<'_>, keys: &[&str]) -> Option<Diagnostic> {
    let is_one = keys.len() == 1;
    let (is, own, each) =
        if is_one { ("is", "a batch of its own", "") } else { ("are", "batches of their own", " each") };
    let message = format!("{}{each} {is} bigger than the step, and {own}", named(keys)?);
    let note = Diagnostic::note(Code::WorkloadAboveStep, message);
    let note = match &course.settings.steps_at {
        Some(at) => note.at(at.clone()),
        None => note,
    };
    Some(note.because("only kinds with a native partition and `replicas` in git can be split"))
}

/// Workloads whose own partition keeps pods old when the rollout is done.
fn kept(state: &State<'_>) -> Option<Diagnostic> {
    let keeps = |m: &&Matched<'_>| m.size.is_some_and(|size| m.whole() < size) && !m.is_next_run();
    let matched: Vec<_> = state.matched.iter().filter(keeps).collect();
    let pods = total(matched.iter().map(|m| m.size.unwrap_or(0) - m.whole()));
    let (who, _) = names(&matched)?;
    let (stay, own) = if pods == 1 { ("pod stays", "its") } else { ("pods stay", "their") };
    let own = if matched.len() == 1 { "its" } else { own };
    let message = format!("{pods} {stay} old in {who}: {own} own partition is never lowered");
    let note = Diagnostic::note(Code::OwnPartition, message);
    let at = |m: &&Matched<'_>| {
        let partition = m.strategy.partition.as_ref()?;
        let path = m.unit.located.base.join(&partition.path);
        Some(m.unit.document.label(&path, Part::Value, ""))
    };
    let note = matched.first().and_then(at).into_iter().fold(note, Diagnostic::at);
    Some(note.because("the rollout closes all the same: what their templates say is the target"))
}

/// Where the number of pods is not from git.
fn sizes(report: &Report, state: &State<'_>, given: &Circumstances) -> Vec<Diagnostic> {
    let opens = report.opens() || report.start.target.is_none();
    let silent = state
        .matched
        .iter()
        .filter(|m| m.unit.replicas.is_none() && !m.is_done && m.change.taking.how.moves_pods());
    let known = |m: &&Matched<'_>| report.start.sizes.contains_key(m.unit.key());
    let (written, unknown): (Vec<_>, Vec<_>) = silent.filter(|m| !known(m)).partition(|m| m.size.is_some());
    let observed: Vec<_> =
        written.into_iter().filter(|m| opens && given.observed.contains_key(m.unit.key())).collect();
    let mut found = Vec::new();
    let pods = total(observed.iter().filter_map(|m| m.size));
    found.extend(names(&observed).map(|(who, has)| {
        let message =
            format!("{who} {has} no `replicas`; {pods} observed pods are written to the ledger by Open");
        Diagnostic::warning(Code::PodsNotInGit, message)
    }));
    found.extend(names(&unknown).map(|(who, has)| unknown_size(&who, has, unknown.len(), opens)));
    found
}

fn unknown_size(who: &str, has: &str, n: usize, opens: bool) -> Diagnostic {
    let own = if n == 1 { "a batch of its own" } else { "each a batch of its own" };
    let message = format!("nobody says how many pods {who} {has}: {own}, and the numbers leave it out");
    let help = if opens {
        "give `--observed FILE`, or write the number in `rollout: {pods: {…}}` of pillion.yaml"
    } else {
        "write the number in `rollout: {pods: {…}}` of pillion.yaml: an open rollout takes no observed sizes"
    };
    Diagnostic::warning(Code::PodsUnknown, message).help(help)
}

fn names(matched: &[&Matched<'_>]) -> Option<(String, &'static str)> {
    let keys: Vec<&str> = matched.iter().map(|m| &**m.unit.key()).collect();
    Some((named(&keys)?, if keys.len() == 1 { "has" } else { "have" }))
}

/// Names a few workloads: `Deployment shop/web, Deployment shop/api and 2 other workloads`.
fn named(keys: &[&str]) -> Option<String> {
    let titles: Vec<String> = keys.iter().take(NAMED).map(|key| title(key)).collect();
    let (last, front) = titles.split_last()?;
    Some(match keys.len() - titles.len() {
        0 if front.is_empty() => last.clone(),
        0 => format!("{} and {last}", front.join(", ")),
        1 => format!("{} and one other workload", titles.join(", ")),
        more => format!("{} and {more} other workloads", titles.join(", ")),
    })
}

/// Workloads that no batch contains because the container of a hot-upgrade pair that works would change.
fn hot_upgrade(course: &Course<'_>, report: &Report, state: &State<'_>) -> Vec<Diagnostic> {
    let mut containers: BTreeMap<&Arc<str>, Vec<&Matched<'_>>> = BTreeMap::new();
    for matched in state.matched.iter().filter(|m| !report.is_back && !m.is_done) {
        if let Some(name) = &matched.change.twin {
            containers.entry(name).or_default().push(matched);
        }
    }
    let refused = |(name, matched): (&Arc<str>, Vec<&Matched<'_>>)| {
        let who = names(&matched)?.0;
        let message = format!("hot-upgrade container `{name}` cannot be changed in {who}");
        let found = Diagnostic::error(Code::HotUpgrade, message);
        let found = match &course.source {
            Some(source) => found.at(source.set.hot_upgrade_label(name, "")),
            None => found,
        };
        let is_in_place = |m: &&Matched<'_>| m.change.taking.how == How::InPlace;
        let found = match matched.iter().any(is_in_place) {
            true => found.because("in place, the container that works would be restarted"),
            false => found,
        };
        let found = match matched.iter().all(is_in_place) {
            true => found,
            false => found.because("where pods are recreated, the container that works goes with its pod"),
        };
        Some(found.because("pillion cannot stage hot upgrades yet, so no batch contains such a workload").help(
            format!("take the change of `{name}` back, or bring the new version as a container of another name"),
        ))
    };
    containers.into_iter().filter_map(refused).collect()
}

fn too_many_batches(course: &Course<'_>, report: &Report) -> Option<Diagnostic> {
    let End::TooMany { is_counted } = report.end else { return None };
    let (field, written) = match course.settings.strategy.max_unavailable {
        Some(_) => ("updateStrategy.maxUnavailable", label(course, "spec.updateStrategy.maxUnavailable")),
        None => ("rollout.steps", course.settings.steps_at.clone()),
    };
    let soak = &course.settings.soak;
    let batches = report.batches.len();
    let whole = report.shortest.map_or_else(String::new, |s| format!("{} (", duration::words(s)));
    let end = if report.shortest.is_some() { ")" } else { "" };
    let shortest = format!("{whole}{batches} x soak {soak}{end}");
    let most = course.settings.max_batches as usize;
    let told = advice::too_many_batches(batches, most, &shortest, field, written)?;
    let more = |text: String| {
        if is_counted { text } else { text.replace("the rollout needs ", "the rollout needs more than ") }
    };
    // Such a rollout is not staged.
    Some(Diagnostic { severity: Severity::Error, message: more(told.message.clone()), ..told })
}

fn label(course: &Course<'_>, field: &str) -> Option<Label> {
    course.source.as_ref().map(|r| r.set.label(field, ""))
}
