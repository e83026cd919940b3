//! Collects the warnings of a rollout plan.

use super::super::advice::{self, AdviceLocation, AdviceWorkload};
use super::super::piggyback::{piggyback_refusal, waiting_workloads};
use super::super::plan::RolloutPlan;
use super::super::progress::{MatchedWorkload, RolloutProgress};
use super::super::types::{RolloutContext, RolloutEnd};
use super::super::update_method::UpdateMethod;
use super::super::workload_set::{PlannedWorkload, TemplateChange};
use super::super::{RelatedObject, saturating_sum, simulation};
use super::{BatchReport, PlanReport, workload_title};
use crate::diagnostics::{Code, Diagnostic, Span, pluralize};
use crate::model::int_or_percent::IntOrPercent;
use crate::yaml::EntryPart;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

/// How many workloads a message names; the others are counted.
const MAX_NAMED: usize = 3;

/// Warns where `piggyback` has no effect, or still has one although it was removed.
fn piggyback_warning(plan: &RolloutPlan<'_>) -> Option<Diagnostic> {
    let (context, started) = (&plan.context, plan.started_ledger());
    let refusal = piggyback_refusal(context, started);
    let reason = match &context.settings.piggyback {
        Some(_) => refusal?,
        None => "pillion.yaml does not set it any more",
    };
    let waiting = waiting_workloads(context, started);
    let warning = match waiting.workloads {
        0 if refusal.is_none() => return None,
        0 => {
            Diagnostic::warning(Code::PiggybackWithoutEffect, format!("`piggyback` has no effect: {reason}"))
                .because("no workload takes the target with its own change; batches follow as without it")
                .help("no change is needed")
        }
        _ => {
            let message =
                format!("{waiting} still take the target with their own next change, although {reason}");
            let name = context.command_arguments();
            Diagnostic::warning(Code::PiggybackWithoutEffect, message)
                .because("Start has recorded them, and the next batch ends it")
                .help(format!("`pillion pause {name}` and `pillion resume {name}` end it now"))
        }
    };
    Some(warning)
}

/// Returns the warnings, those about the rollout as a whole first.
pub(super) fn warnings(
    plan: &RolloutPlan<'_>,
    report: &PlanReport,
    state: &RolloutProgress<'_>,
    related: &[&RelatedObject],
) -> Vec<Diagnostic> {
    let context = &plan.context;
    let mut diagnostics = Vec::new();
    if matches!(report.end, RolloutEnd::TooManyBatches { .. }) {
        diagnostics.extend(plan.too_many_batches());
    }
    diagnostics.extend(piggyback_warning(plan));
    diagnostics.extend(hot_upgrade_errors(context, report, state));
    diagnostics.extend(hot_upgrade_partition_errors(report, state));
    // The percentages of a SidecarSet hold for any number of pods.
    if context.kruise.is_none() {
        diagnostics.extend(unknown_replica_warnings(plan, state));
    }
    diagnostics.extend(native_partition_note(state));
    let changes: Vec<Arc<TemplateChange>> =
        context.workloads.as_slice().iter().map(|u| whole_change(plan, report, u)).collect();
    let sizes = replicas_by_workload(plan);
    let subjects: Vec<AdviceWorkload<'_>> = context
        .workloads
        .as_slice()
        .iter()
        .zip(&changes)
        .map(|(workload, change)| {
            advice_subject(context, workload, change, sizes.get(&**workload.key()).copied().unwrap_or(0))
        })
        .collect();
    let index: BTreeMap<&str, usize> =
        context.workloads.as_slice().iter().enumerate().map(|(i, workload)| (&**workload.key(), i)).collect();
    let matched: Vec<AdviceWorkload<'_>> = state
        .matched
        .iter()
        .filter_map(|m| subjects.get(*index.get(&**m.workload.key())?).cloned())
        .collect();
    if !report.is_rollback && context.kruise.is_none() {
        diagnostics.extend(canary_warning(context, &matched));
    }
    diagnostics.extend(oversized_warnings(context, report, &subjects, &index));
    diagnostics.extend(advice::ordered_ready_stuck(&moving_subjects(report, &subjects, &index)));
    let objects: Vec<_> = related.iter().map(|n| n.as_advice_object()).collect();
    let batches: Vec<advice::BatchImpact> =
        report.batches.iter().map(|b| to_batch_impact(b, &index)).collect();
    diagnostics.extend(advice::advise(&subjects, &objects, &batches));
    diagnostics
}

/// Returns the change from the present to the final template of a workload.
fn whole_change(
    plan: &RolloutPlan<'_>,
    report: &PlanReport,
    workload: &PlannedWorkload,
) -> Arc<TemplateChange> {
    let today = plan.external.today.as_deref();
    let entry = workload.active_entry(&plan.ledger);
    let released = plan.ledger.released.clone();
    let present = entry.as_ref().map_or_else(|| released.clone(), |l| l.revision.clone());
    let is_held = entry.is_some_and(|l| l.hold_reason.is_some() && !workload.is_hold_over(&l, today))
        || (workload.active_override_hold(today).is_some() && present != report.to);
    let old = if present == report.to && !report.is_rollback { released } else { present.clone() };
    let new = if is_held { present } else { report.to.clone() };
    plan.context.workloads.change_to(workload, &old, &new)
}

fn advice_subject<'a>(
    context: &'a RolloutContext<'_>,
    workload: &'a PlannedWorkload,
    change: &'a TemplateChange,
    pods: u32,
) -> AdviceWorkload<'a> {
    let (located, kind) = (workload.manifest(), &workload.manifest().kind);
    let [old, new] = &change.summaries;
    AdviceWorkload {
        group: &kind.group,
        kind: &kind.kind,
        namespace: &located.namespace,
        name: &located.name,
        object: workload.object(),
        labels: Cow::Borrowed(&workload.labels),
        old_template: &old.template,
        new_template: &new.template,
        old_requirements: &old.requirements,
        new_requirements: &new.requirements,
        namespace_labels: context.workloads.namespace_labels(&located.namespace),
        is_changed: !change.diff.is_empty(),
        replicas: pods.into(),
        location: Some(AdviceLocation { source: &workload.outline.source, path: located.path.clone() }),
    }
}

fn replicas_by_workload<'c>(plan: &'c RolloutPlan<'_>) -> BTreeMap<&'c str, u32> {
    let started = plan.started_ledger();
    let size =
        |workload: &'c PlannedWorkload| Some((&**workload.key(), plan.context.replicas(workload, started)?));
    plan.context.workloads.as_slice().iter().filter_map(size).collect()
}

fn to_batch_impact(batch: &BatchReport, index: &BTreeMap<&str, usize>) -> advice::BatchImpact {
    let updates = batch.workloads.iter().filter_map(|w| {
        let of = w.update.replicas?;
        let pods = simulation::PodUpdateRange {
            updated_before: w.update.changed_from().into(),
            updated_after: w.update.updated_after.into(),
            replicas: of.into(),
        };
        Some((*index.get(&*w.update.key)?, pods, w.worst_case?))
    });
    advice::BatchImpact { number: batch.number as usize, updates: updates.collect() }
}

/// Returns the workloads with updated pods in some batch.
fn moving_subjects<'a>(
    report: &PlanReport,
    subjects: &[AdviceWorkload<'a>],
    index: &BTreeMap<&str, usize>,
) -> Vec<AdviceWorkload<'a>> {
    let workloads = report.batches.iter().flat_map(|b| &b.workloads);
    let moving = workloads.filter(|w| w.update.behavior.method.replaces_or_restarts());
    let mut places: Vec<usize> = moving.filter_map(|w| index.get(&*w.update.key).copied()).collect();
    places.sort_unstable();
    places.dedup();
    places.into_iter().map(|i| subjects[i].clone()).collect()
}

fn canary_warning(context: &RolloutContext<'_>, matched: &[AdviceWorkload<'_>]) -> Option<Diagnostic> {
    let selector = context.settings.strategy.selector.as_ref()?;
    let written = set_label(context, "spec.updateStrategy.selector");
    let diagnostic = advice::canary_matches_nothing(&context.name, selector, matched, written);
    diagnostic.filter(|_| !matched.is_empty())
}

/// Reports workloads that are a batch of their own because they exceed `maxUnavailable`, or the step.
fn oversized_warnings(
    context: &RolloutContext<'_>,
    report: &PlanReport,
    subjects: &[AdviceWorkload<'_>],
    index: &BTreeMap<&str, usize>,
) -> Vec<Diagnostic> {
    let bound = context.settings.strategy.max_unavailable_pods(report.matched_pods.into());
    let mut diagnostics = Vec::new();
    let mut above_step = Vec::new();
    let workloads = report.batches.iter().flat_map(|b| &b.workloads);
    for update in workloads.map(|w| &w.update).filter(|m| m.is_oversized) {
        let Some(subject) = index.get(&*update.key).map(|i| &subjects[*i]) else { continue };
        let written = set_label(context, "spec.updateStrategy.maxUnavailable");
        let diagnostic = bound.and_then(|b| {
            advice::exceeds_max_unavailable(subject, update.max_unavailable.into(), b, written)
        });
        match diagnostic {
            Some(diagnostic) => diagnostics.push(diagnostic),
            // The author did not ask for the default steps.
            None if context.settings.has_default_steps => {}
            None => above_step.push(&*update.key),
        }
    }
    diagnostics.extend(above_step_note(context, &above_step));
    diagnostics
}

fn above_step_note(context: &RolloutContext<'_>, keys: &[&str]) -> Option<Diagnostic> {
    let is_one = keys.len() == 1;
    let (is, own, each) =
        if is_one { ("is", "a batch of its own", "") } else { ("are", "batches of their own", " each") };
    let message = format!("{}{each} {is} larger than the step, and {own}", join_titles(keys)?);
    let note = Diagnostic::note(Code::WorkloadExceedsStep, message);
    let note = match &context.settings.steps_label {
        Some(at) => note.at(at.clone()),
        None => note,
    };
    Some(note.because("only kinds with a native partition and `replicas` in git can be split"))
}

/// Reports workloads with a native partition that keeps pods on the old template after the rollout.
fn native_partition_note(state: &RolloutProgress<'_>) -> Option<Diagnostic> {
    let keeps = |m: &&MatchedWorkload<'_>| {
        m.replicas.is_some_and(|size| m.target_pods() < size)
            && !m.counts_no_pods()
            && !m.keeps_pods_from_upgrade()
    };
    let matched: Vec<_> = state.matched.iter().filter(keeps).collect();
    let pods = saturating_sum(matched.iter().map(|m| m.replicas.unwrap_or(0) - m.target_pods()));
    let (who, _) = describe_workloads(&matched)?;
    let keep = if pods == 1 { "pod keeps" } else { "pods keep" };
    let own = if matched.len() == 1 { "its" } else { "their" };
    let message =
        format!("{pods} {keep} the old template in {who}: {own} native partition is left unchanged");
    let note = Diagnostic::note(Code::NativePartitionKept, message);
    let note = matched.first().and_then(|m| partition_label(m)).into_iter().fold(note, Diagnostic::at);
    Some(note.because("the rollout completes nevertheless: their templates have the target"))
}

/// Returns the place of the native partition of a workload, where it has one.
fn partition_label(matched: &MatchedWorkload<'_>) -> Option<Span> {
    let partition = matched.strategy.partition.as_ref()?;
    let path = matched.workload.manifest().path.join(&partition.path);
    Some(matched.workload.outline.source.label(&path, EntryPart::Value, ""))
}

/// Reports workloads with a native partition that keeps pods from the halves of a hot upgrade.
fn hot_upgrade_partition_errors(report: &PlanReport, state: &RolloutProgress<'_>) -> Vec<Diagnostic> {
    let keeping =
        state.matched.iter().filter(|m| !report.is_rollback && !m.is_done && m.keeps_pods_from_upgrade());
    let refused = |matched: &MatchedWorkload<'_>| {
        let who = workload_title(matched.workload.key());
        let kept = pluralize(matched.strategy.kept_old, "pod");
        let message = format!("the native partition of {who} keeps {kept} from its hot upgrade");
        let error = Diagnostic::error(Code::HotUpgrade, message);
        partition_label(matched)
            .into_iter()
            .fold(error, Diagnostic::at)
            .because("a lower partition would later bring them from the old image to the end of the upgrade, and restart the working container")
            .help("set the partition to 0, or use `upgradeType: ColdUpgrade`")
    };
    keeping.map(refused).collect()
}

/// Reports workloads with replicas that do not come from git.
fn unknown_replica_warnings(plan: &RolloutPlan<'_>, state: &RolloutProgress<'_>) -> Vec<Diagnostic> {
    let opens = plan.starts_rollout() || !plan.has_started();
    let silent = state.matched.iter().filter(|m| {
        m.workload.replicas.is_none()
            && !m.is_done
            && m.change.behavior.method.replaces_or_restarts()
            && !plan.ledger.replicas.contains_key(m.workload.key())
    });
    let started = plan.started_ledger();
    let (mut observed, mut defaulted, mut unknown) = (Vec::new(), Vec::new(), Vec::new());
    for matched in silent {
        let key = matched.workload.key();
        match matched.replicas {
            None => unknown.push(matched),
            Some(_) if opens && plan.external.observed_replicas.contains_key(key) => observed.push(matched),
            Some(_) if plan.context.has_default_replicas(matched.workload, started) => {
                defaulted.push(matched)
            }
            Some(_) => {}
        }
    }
    let pods = saturating_sum(observed.iter().filter_map(|m| m.replicas));
    let recorded = describe_workloads(&observed).map(|(who, has)| {
        let message =
            format!("{who} {has} no `replicas`; Start records the {pods} observed pods in the ledger");
        Diagnostic::warning(Code::ReplicasNotInGit, message)
    });
    let counted = describe_workloads(&defaulted).map(|(who, has)| {
        let each = if defaulted.len() == 1 { "it counts" } else { "each counts" };
        let message = format!("{who} {has} no `replicas` and no autoscaler in git: {each} as 1 pod");
        let cause = "Kubernetes creates 1 pod where `replicas` is absent";
        let note = Diagnostic::note(Code::ReplicasDefault, message).because(cause);
        note.help(format!("if it has more pods, {}", replicas_help(opens)))
    });
    let share = &plan.context.settings.unknown_per_batch;
    let uncounted = describe_workloads(&unknown)
        .map(|(who, _)| unknown_replicas_warning(&who, (unknown.len(), share), opens));
    recorded.into_iter().chain(counted).chain(uncounted).collect()
}

fn unknown_replicas_warning(who: &str, (n, share): (usize, &IntOrPercent), opens: bool) -> Diagnostic {
    let message = match n {
        1 => format!("the replica count of {who} is unknown: a batch of its own, and not counted"),
        _ => format!("the replica counts of {who} are unknown: they share batches, and are not counted"),
    };
    let warning = Diagnostic::warning(Code::ReplicasUnknown, message).help(replicas_help(opens));
    match n {
        1 => warning,
        _ => warning.because(format!("`unknownPerBatch` of `rollout` says how many share a batch: {share}")),
    }
}

/// Returns how to make a replica count known.
fn replicas_help(opens: bool) -> &'static str {
    if opens {
        "pass `--cluster-state FILE` or `--context NAME`, or set the number in `rollout: {pods: {…}}` of pillion.yaml"
    } else {
        "set the number in `rollout: {pods: {…}}` of pillion.yaml: an open rollout takes no observed replicas"
    }
}

fn describe_workloads(matched: &[&MatchedWorkload<'_>]) -> Option<(String, &'static str)> {
    let keys: Vec<&str> = matched.iter().map(|m| &**m.workload.key()).collect();
    Some((join_titles(&keys)?, if keys.len() == 1 { "has" } else { "have" }))
}

/// Names the first workloads: `Deployment shop/web, Deployment shop/api and 2 other workloads`.
fn join_titles(keys: &[&str]) -> Option<String> {
    let titles: Vec<String> = keys.iter().take(MAX_NAMED).map(|key| workload_title(key)).collect();
    let (last, front) = titles.split_last()?;
    Some(match keys.len() - titles.len() {
        0 if front.is_empty() => last.clone(),
        0 => format!("{} and {last}", front.join(", ")),
        1 => format!("{} and one other workload", titles.join(", ")),
        more => format!("{} and {more} other workloads", titles.join(", ")),
    })
}

/// Reports workloads that no batch contains because the active container of a hot-upgrade pair would change.
fn hot_upgrade_errors(
    context: &RolloutContext<'_>,
    report: &PlanReport,
    state: &RolloutProgress<'_>,
) -> Vec<Diagnostic> {
    let mut containers: BTreeMap<&Arc<str>, Vec<&MatchedWorkload<'_>>> = BTreeMap::new();
    for matched in state.matched.iter().filter(|m| !report.is_rollback && !m.is_done) {
        if let Some(name) = &matched.change.hot_upgrade_container {
            containers.entry(name).or_default().push(matched);
        }
    }
    let refused = |(name, matched): (&Arc<str>, Vec<&MatchedWorkload<'_>>)| {
        let who = describe_workloads(&matched)?.0;
        let message = format!("hot-upgrade container `{name}` cannot be changed in {who}");
        let diagnostic = Diagnostic::error(Code::HotUpgrade, message);
        let diagnostic = match &context.source {
            Some(source) => diagnostic.at(source.set.hot_upgrade_label(name, "")),
            None => diagnostic,
        };
        let is_in_place = |m: &&MatchedWorkload<'_>| m.change.behavior.method == UpdateMethod::InPlace;
        let diagnostic = match matched.iter().any(is_in_place) {
            true => diagnostic.because(
                "more than its image changes: an in-place update would restart the working container",
            ),
            false => diagnostic,
        };
        let diagnostic = match matched.iter().all(is_in_place) {
            true => diagnostic,
            false => diagnostic.because("recreating a pod recreates its working container"),
        };
        Some(
            diagnostic
                .because("no batch contains such a workload")
                .help(format!(
                    "change nothing but the image of `{name}`, on workloads that update their pods in place; or use `upgradeType: ColdUpgrade`"
                )),
        )
    };
    containers.into_iter().filter_map(refused).collect()
}

fn set_label(context: &RolloutContext<'_>, field: &str) -> Option<Span> {
    context.source.as_ref().map(|r| r.set.label(field, ""))
}
