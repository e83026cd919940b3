//! The words and numbers that every form of a plan shares.

use super::ClusterRolloutPlan;
use crate::diagnostics::pluralize;
use crate::model::duration;
use crate::model::ledger::revision_text;
use crate::model::sidecar_set::UpdateStrategy;
use crate::model::workload::is_sidecar_set_key;
use crate::rollout::pod_resources::PodResources;
use crate::rollout::report::{BatchReport, SetChanges, WorkloadReport, workload_title};
use crate::rollout::settings::RolloutSettings;
use crate::rollout::workload_set::SidecarEffect;
use crate::rollout::{BlockedReason, RolloutEnd, cluster_option, piggybacked_text};

/// What goes from where to where: `log`, `logtail 1.4.2 -> 1.5.0 (log-5448b598bc -> log-6767bf76cb), image only`.
pub(super) fn heading(plan: &ClusterRolloutPlan<'_>) -> (String, String) {
    let report = &plan.report;
    let cluster = plan.cluster_view.cluster.as_ref().map_or_else(String::new, |c| format!(" in {c}"));
    let name = format!("{}{cluster}", plan.rollout.name());
    let (from, to) = (revision_text(&report.from), revision_text(&report.to));
    if report.is_idle() {
        let present = match report.to.is_none() {
            true => "nothing is released".to_owned(),
            false => format!("every workload has {to}"),
        };
        return (name, format!("nothing to do, {present}"));
    }
    if report.is_hold_release {
        return (name, format!("holds have expired ({from} -> {to})"));
    }
    let back = if report.is_rollback { "rolling back, " } else { "" };
    let only = if report.is_image_only { ", image only" } else { "" };
    let what = format!("{back}{} ({from} -> {to}){only}", report.changes);
    match removal_text(plan) {
        Some(removed) if report.changes == SetChanges::Deleted => {
            (name, format!("{removed}, {from} -> {to}"))
        }
        Some(removed) => (name, format!("{removed}; {what}")),
        None => (name, what),
    }
}

/// Says which workloads lose the sidecar, and why: what a reviewer must not miss.
fn removal_text(plan: &ClusterRolloutPlan<'_>) -> Option<String> {
    let is_replaced = matches!(plan.report.end, RolloutEnd::Blocked(BlockedReason::ReplacedBy(_)));
    let removal = plan.report.removal.as_ref().filter(|_| !is_replaced)?;
    Some(format!("REMOVED from {} ({})", removal.share(), removal.cause_text(&plan.rollout.context)))
}

/// What a rollout does in one line: `Plan: 3 workloads updated, 0 added, 0 removed; 21 pods in 3 batches; ...`.
fn summary(plan: &ClusterRolloutPlan<'_>) -> Option<String> {
    let report = &plan.report;
    if report.batches.is_empty()
        || matches!(report.end, RolloutEnd::MoreSteps | RolloutEnd::TooManyBatches { .. })
    {
        return None;
    }
    let effects = report.effects();
    let count = |effect| effects.get(&effect).copied().unwrap_or(0);
    let noun = if plan.rollout.context.kruise.is_some() { "SidecarSet" } else { "workload" };
    let updated = pluralize(count(SidecarEffect::Updated) as u64, noun);
    let mut parts = vec![format!(
        "Plan: {updated} updated, {} added, {} removed",
        count(SidecarEffect::Added),
        count(SidecarEffect::Removed)
    )];
    let pods = report.batches.iter().fold(0_u32, |sum, b| sum.saturating_add(b.moved_pods));
    let moved = match (report.unknown_replicas, pods) {
        (0, pods) => pluralize(pods.into(), "pod"),
        (_, 0) => "an unknown number of pods".to_owned(),
        (_, pods) => format!("at least {}", pluralize(pods.into(), "pod")),
    };
    parts.push(format!("{moved} in {}", pluralize(report.batch_count() as u64, "batch")));
    let down: Option<Vec<u64>> = report.batches.iter().map(|b| b.max_unavailable).collect();
    parts.extend(down.map(|down| format!("at most {} unavailable", down.into_iter().max().unwrap_or(0))));
    let surge = report.batches.iter().map(|b| b.surge.pods).max().unwrap_or(0);
    parts.extend((surge > 0).then(|| format!("+{} of surge", pluralize(surge, "pod"))));
    Some(parts.join("; "))
}

/// What counts, and what bounds it.
pub(super) fn limits(plan: &ClusterRolloutPlan<'_>) -> String {
    let report = &plan.report;
    let settings = &plan.rollout.context.settings;
    let (unknown, pods) = match &plan.rollout.context.kruise {
        Some(selection) => (usize::from(selection.pods().is_none()), selection.pods().unwrap_or(0)),
        None => (report.unknown_replicas, report.matched_pods),
    };
    let counted = match (unknown, pods) {
        (0, pods) => pluralize(pods.into(), "pod"),
        (_, 0) => "number of pods unknown".to_owned(),
        (_, pods) => format!(">={}", pluralize(pods.into(), "pod")),
    };
    let workloads = match &plan.rollout.context.kruise {
        Some(selection) => format!("{} in git", pluralize(selection.workloads.len() as u64, "workload")),
        None => pluralize(report.matched_workloads as u64, "workload"),
    };
    let mut parts = vec![format!("{workloads}, {counted}")];
    parts.push(match report.is_rollback {
        true => "latest batch first, free of steps".to_owned(),
        false => describe_steps(settings),
    });
    parts.extend(describe_max_unavailable(plan, pods));
    if !report.is_rollback {
        parts.push(describe_partition(&settings.strategy, pods));
        parts.extend(settings.strategy.selector.as_ref().map(|_| "canaries only".to_owned()));
    }
    if let Some(failures) = settings.max_failures.as_ref().map(ToString::to_string) {
        let of = if failures.ends_with('%') { " of the released pods" } else { "" };
        parts.push(format!("up to {failures}{of} may fail"));
    }
    parts.join("; ")
}

/// `steps 1, 10%, 100% (pillion.yaml:7:10)`.
fn describe_steps(settings: &RolloutSettings) -> String {
    let Some(steps) = &settings.steps else { return "no steps".to_owned() };
    let steps: Vec<String> = steps.iter().map(ToString::to_string).collect();
    let default = if settings.has_default_steps { " (default)" } else { "" };
    let at = settings.steps_label.as_ref().map_or_else(|| default.to_owned(), |at| format!(" ({at})"));
    format!("steps {}{at}", steps.join(", "))
}

/// `at most 3 (10%) unavailable (sidecars/log.yaml:6:57)`; None: the SidecarSet writes no bound.
fn describe_max_unavailable(plan: &ClusterRolloutPlan<'_>, pods: u32) -> Option<String> {
    let context = &plan.rollout.context;
    let strategy = &context.settings.strategy;
    let written = strategy.max_unavailable.as_ref()?.to_string();
    let source = context.source.as_ref();
    let at = source.map(|revision| revision.set.label("spec.updateStrategy.maxUnavailable", ""));
    let at = at.filter(|at| at.width > 0).map(|at| format!(" ({at})"));
    let bound = strategy.max_unavailable_pods(pods.into()).unwrap_or(0);
    let share = if written.ends_with('%') { format!(" ({written})") } else { String::new() };
    Some(format!("at most {bound}{share} unavailable{}", at.unwrap_or_default()))
}

/// `partition 5 (50%)`, of the pods that count.
fn describe_partition(strategy: &UpdateStrategy, pods: u32) -> String {
    let kept = strategy.kept_pods(pods.into());
    let written = strategy.partition.as_ref().map(ToString::to_string).filter(|w| w.ends_with('%'));
    let share = written.map_or_else(String::new, |written| format!(" ({written})"));
    let all = if kept > 0 && kept >= pods.into() { ", which keeps all" } else { "" };
    format!("partition {kept}{share}{all}")
}

/// `1/3`; `1/3 half 2/2` of a hot upgrade.
pub(super) fn batch_number(plan: &ClusterRolloutPlan<'_>, batch: &BatchReport) -> String {
    let number = whole_batch_number(plan, batch);
    match batch.half {
        Some(half) => format!("{number} half {}", half.fraction()),
        None => number,
    }
}

fn whole_batch_number(plan: &ClusterRolloutPlan<'_>, batch: &BatchReport) -> String {
    match (&plan.report.end, plan.rollout.last_batch()) {
        (RolloutEnd::MoreSteps | RolloutEnd::TooManyBatches { is_counted: false }, _) => {
            batch.number.to_string()
        }
        (_, last) => format!("{}/{last}", batch.number),
    }
}

/// The pods of a workload: `3/8`, `10`, `?`, `-`.
pub(super) fn pod_count(workload: &WorkloadReport) -> String {
    let moved = &workload.update;
    match moved.replicas {
        _ if !workload.counts_pods() => "-".to_owned(),
        None if is_sidecar_set_key(&moved.key) => {
            format!("{}%", 100 - moved.partition_percent.unwrap_or(0).min(100))
        }
        None => "?".to_owned(),
        Some(of) if workload.is_partial() => format!("{}/{of}", moved.updated_after),
        Some(of) => of.to_string(),
    }
}

/// Returns whether a batch updates a workload with an unknown number of pods; it updates no known ones then.
pub(super) fn has_unknown_pods(batch: &BatchReport) -> bool {
    batch.workloads.iter().any(|workload| workload.counts_pods() && workload.update.replicas.is_none())
}

/// The pods that a batch updates.
pub(super) fn moved_pods(batch: &BatchReport) -> String {
    if has_unknown_pods(batch) { "?".to_owned() } else { batch.changed_pods.to_string() }
}

/// How a workload takes the template, with the reason where there is one.
pub(super) fn update_method(plan: &ClusterRolloutPlan<'_>, workload: &WorkloadReport) -> String {
    let taking = &workload.update.behavior;
    let half = workload.update.half.map_or_else(String::new, |half| format!(", {}", half.description()));
    let mark = plan.report.effect_note(&workload.update).map_or_else(String::new, |mark| format!(", {mark}"));
    let how = match &taking.reason {
        Some(reason) => format!("{}{half}{mark}: {reason}", taking.method.description()),
        None => format!("{}{half}{mark}", taking.method.description()),
    };
    match &workload.update.ended_hold {
        Some(ended) => format!("{how}; {ended}"),
        None => how,
    }
}

/// A share of all pods, never rounded to nothing or everything.
pub(super) fn percent(updated: u32, pods: u32) -> u32 {
    match (updated, pods) {
        (_, 0) => 100,
        (0, _) => 0,
        (updated, pods) if updated >= pods => 100,
        (updated, pods) => {
            let share = (u64::from(updated) * 200 + u64::from(pods)) / (2 * u64::from(pods));
            u32::try_from(share).unwrap_or(99).clamp(1, 99)
        }
    }
}

/// The pods that are updated, and their share.
pub(super) fn updated_pods(plan: &ClusterRolloutPlan<'_>, batch: &BatchReport) -> String {
    format!("{} ({})", batch.updated_pods, updated_share(plan, batch))
}

/// The share of the pods that are updated: `29%`; `>=29%` of those that are known where a workload has an unknown
/// number, `100% of known` when only such workloads are left, and `?` where no number is known.
pub(super) fn updated_share(plan: &ClusterRolloutPlan<'_>, batch: &BatchReport) -> String {
    let pods = plan.report.matched_pods;
    match plan.report.unknown_replicas {
        0 => format!("{}%", percent(batch.updated_pods, pods)),
        _ if pods == 0 => "?".to_owned(),
        _ if batch.updated_pods >= pods => "100% of known".to_owned(),
        _ => format!(">={}%", percent(batch.updated_pods, pods)),
    }
}

/// A number that may be unknown.
pub(super) fn or_unknown(n: Option<u64>) -> String {
    n.map_or_else(|| "?".to_owned(), |n| n.to_string())
}

/// What a batch requests more: `=`, `cpu +450m, memory +384Mi`, `+3 pods of surge: …`.
pub(super) fn request_delta(batch: &BatchReport) -> String {
    if batch.max_unavailable.is_none() {
        return "?".to_owned();
    }
    let mut parts = Vec::new();
    parts.extend(added_requests(&batch.added_requests));
    if batch.surge.pods > 0 {
        let requests = added_requests(&batch.surge.requests).map_or_else(String::new, |r| format!(": {r}"));
        parts.push(format!("+{} of surge{requests}", pluralize(batch.surge.pods, "pod")));
    }
    if parts.is_empty() { "=".to_owned() } else { parts.join("; ") }
}

fn added_requests(requests: &PodResources) -> Option<String> {
    let each = [
        ("cpu", &requests.cpu, requests.cpu_text()),
        ("memory", &requests.memory, requests.memory.humanize()),
    ];
    let changed = each.into_iter().filter(|(_, amount, _)| amount.sign() != 0);
    let phrases: Vec<String> = changed
        .map(|(name, amount, text)| format!("{name} {}{text}", if amount.sign() > 0 { "+" } else { "" }))
        .collect();
    (!phrases.is_empty()).then(|| phrases.join(", "))
}

/// What stands below the batches, one sentence a line.
pub(super) fn closing_lines(plan: &ClusterRolloutPlan<'_>) -> Vec<String> {
    let report = &plan.report;
    let name = plan.rollout.context.command_arguments();
    let mut lines = Vec::new();
    lines.extend(piggyback_lines(plan));
    if !report.batches.is_empty() {
        lines.extend(minimum_duration(plan));
        let waiting = report
            .batches
            .iter()
            .filter(|b| plan.rollout.context.settings.approval_batches.contains(&b.number));
        lines.extend(waiting.map(|b| format!("batch {0} waits for `pillion approve {name} {0}`", b.number)));
    }
    let is_empty = report.batches.is_empty();
    match &report.end {
        RolloutEnd::Complete if is_empty && plan.rollout.starts_rollout() => {
            lines.push("no workload changes: Start is followed by Complete".to_owned());
        }
        RolloutEnd::Complete if is_empty => lines.push("every workload has it: Complete is next".to_owned()),
        RolloutEnd::Blocked(rest) => {
            lines.push(format!("{}: {rest}", if is_empty { "blocked" } else { "then blocked" }));
        }
        RolloutEnd::MoreSteps if plan.rollout.starts_rollout() => {
            lines.push("next is Start, which changes no running pod; this batch follows it".to_owned());
        }
        RolloutEnd::MoreSteps => lines.push("this batch is next; leave out `--next` to see all".to_owned()),
        RolloutEnd::Complete | RolloutEnd::Idle | RolloutEnd::TooManyBatches { .. } => {}
    }
    let is_in_place = |batch: &BatchReport| batch.workloads.iter().any(WorkloadReport::counts_pods);
    if plan.rollout.context.kruise.is_some()
        && plan.rollout.starts_rollout()
        && report.batches.first().is_some_and(is_in_place)
    {
        lines.push(
            "pods that are created from Start on get it at once: Kruise's webhook knows no partition"
                .to_owned(),
        );
    }
    if let Some(paused) = &report.paused {
        let by = paused.by.as_ref().map_or_else(String::new, |by| format!(" by {by}"));
        let then = if is_empty { "resumes it" } else { "continues with these batches" };
        lines.push(format!("paused at batch {}{by}: {}", paused.batch, paused.reason));
        lines.push(format!("`pillion resume {name}` {then}"));
    }
    if let Some(newer) = plan.rollout.newer_source() {
        lines.push(format!(
            "the file of `{}` holds {}, which waits: {}",
            plan.rollout.name(),
            newer.as_deref().unwrap_or("nothing"),
            plan.rollout.newer_source_hint(&cluster_option(plan.rollout.context.cluster.as_deref()))
        ));
    }
    if report.removal.is_some() && plan.rollout.starts_rollout() {
        lines.push(format!("it never starts by itself: `pillion start {name} --allow-removal`"));
    }
    lines.extend(summary(plan));
    lines
}

/// What workloads took, or take, with their own changes: no batch names them.
fn piggyback_lines(plan: &ClusterRolloutPlan<'_>) -> Vec<String> {
    let context = &plan.rollout.context;
    let mut lines: Vec<String> =
        piggybacked_text(context, plan.rollout.started_ledger()).into_iter().collect();
    let [_, waiting] = &plan.report.piggyback;
    if waiting.workloads > 0 {
        let to = revision_text(&plan.report.to);
        let own = if waiting.workloads == 1 { ("takes", "its") } else { ("take", "their") };
        let window = context.settings.piggyback.as_ref();
        let then = window.map_or_else(
            || "until `piggyback` ends with the next batch".to_owned(),
            |window| format!("the batches wait until {} after the start", window.until),
        );
        lines.push(format!(
            "piggyback: {waiting} {} {to} with {} own next change, which saves {}; {then}",
            own.0,
            own.1,
            waiting.saved_restarts()
        ));
    }
    lines
}

/// The shortest time that a rollout takes.
fn minimum_duration(plan: &ClusterRolloutPlan<'_>) -> Option<String> {
    let report = &plan.report;
    if report.is_rollback {
        return Some("without soak; starting pods and syncing take their time".to_owned());
    }
    if matches!(report.end, RolloutEnd::TooManyBatches { .. } | RolloutEnd::MoreSteps) {
        return None;
    }
    let (soak, freezes) = (&plan.rollout.context.settings.soak, plan.rollout.context.settings.has_freezes);
    let more = match (freezes, report.piggyback[1].workloads > 0) {
        (false, false) => "starting pods and syncing",
        (true, false) => "starting pods, syncing and freezes",
        (false, true) => "starting pods, syncing and the time of `piggyback`",
        (true, true) => "starting pods, syncing, freezes and the time of `piggyback`",
    };
    let n = report.batches.len();
    Some(format!(
        "not before {} ({n} x soak {soak}; {more} come on top)",
        duration::humanize(report.minimum_seconds?)
    ))
}

/// Returns the first workloads of a batch, each as `format` writes its title.
pub(super) fn first_workloads(batch: &BatchReport, format: impl Fn(&str) -> String) -> String {
    const SHOWN: usize = 3;
    let workloads = batch.workloads.iter().take(SHOWN);
    let mut names: Vec<String> = workloads.map(|w| format(&workload_title(&w.update.key))).collect();
    let more = batch.workloads.len().saturating_sub(SHOWN);
    names.extend((more > 0).then(|| format!("and {more} more")));
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::percent;

    #[test]
    fn shares_are_never_rounded_to_the_end() {
        let cases =
            [(1, 21, 5), (6, 21, 29), (21, 21, 100), (1, 1000, 1), (999, 1000, 99), (0, 9, 0), (0, 0, 100)];
        for (updated, pods, wanted) in cases {
            assert_eq!(percent(updated, pods), wanted, "{updated} of {pods}");
        }
    }
}
