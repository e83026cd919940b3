//! A plan for programs: the `Plan` document (pillion.dev/v1alpha1), or with `--next` the `NextStep` document. Every key is in docs/plan.md.

use super::{ClusterRolloutPlan, PlanView};
use crate::cli::format::costs;
use crate::diagnostics::json as findings;
use crate::model::api::PILLION_API_VERSION;
use crate::model::ledger::revision_text;
use crate::read::map_in_order;
use crate::rollout::WorkloadCount;
use crate::rollout::report::{BatchReport, HeldWorkloadReport, WorkloadReport};
use crate::rollout::sidecar_costs::CostExtent;
use crate::stage::RenderedLocator;
use serde_json::{Map, Value, json};

/// Renders plans.
pub(in crate::cli) fn render(shown: &PlanView<'_>) -> String {
    let items: Vec<Value> = shown.plans.iter().map(|plan| plan_json(plan, shown.is_next)).collect();
    let mut document = json!({
        "apiVersion": PILLION_API_VERSION,
        "kind": if shown.is_next { "NextStep" } else { "Plan" },
        "base": shown.base,
        "items": items,
    });
    if let Some(costs) = &shown.costs {
        document["costs"] = costs::to_json(costs, CostExtent::Rollout);
    }
    format!("{document}\n")
}

fn plan_json(plan: &ClusterRolloutPlan<'_>, is_next: bool) -> Value {
    let report = &plan.report;
    let mut item = Map::new();
    item.insert("sidecarSet".into(), json!(plan.rollout.name()));
    if let Some(cluster) = &plan.cluster_view.cluster {
        item.insert("cluster".into(), json!(&**cluster));
    }
    item.insert("from".into(), json!(revision_text(&report.from)));
    item.insert("to".into(), json!(revision_text(&report.to)));
    item.insert("imageOnly".into(), json!(report.is_image_only));
    let mut matched = json!({"workloads": report.matched_workloads, "pods": report.matched_pods});
    if report.unknown_replicas > 0 {
        matched["unknownReplicas"] = json!(report.unknown_replicas);
    }
    item.insert("matched".into(), matched);
    let [updated, waiting] = &report.piggyback;
    if updated.workloads + waiting.workloads > 0 {
        let count = |of: &WorkloadCount| json!({"workloads": of.workloads, "pods": of.pods});
        let window = plan.rollout.context.settings.piggyback.as_ref().map(|window| &window.until);
        let value = json!({"until": window, "updated": count(updated), "waiting": count(waiting)});
        item.insert("piggyback".into(), value);
    }
    if let Some(removal) = &report.removal {
        let removed =
            json!({"workloads": removal.workloads, "of": removal.total, "reason": removal.cause.to_string()});
        item.insert("removal".into(), removed);
    }
    if let Some(paused) = &report.paused {
        let paused = json!({"batch": paused.batch, "reason": paused.reason, "by": paused.by});
        item.insert("paused".into(), paused);
    }
    if let Some(newer) = plan.rollout.newer_source() {
        item.insert("newer".into(), json!(revision_text(&newer)));
    }
    let held = report.held.iter().map(HeldWorkloadReport::to_json);
    let warnings = findings::to_json_values(&report.warnings);
    let batches = batches_json(plan);
    if is_next {
        item.insert("next".into(), next_json(plan, &batches));
    } else {
        item.insert("end".into(), report.end.to_json());
    }
    item.insert("held".into(), held.collect());
    item.insert("warnings".into(), warnings);
    if !is_next {
        item.insert("batches".into(), batches);
    }
    Value::Object(item)
}

/// Returns the next step; a Start has the batch that follows it.
fn next_json(plan: &ClusterRolloutPlan<'_>, batches: &Value) -> Value {
    let report = &plan.report;
    let batch = batches.get(0).cloned();
    match (plan.rollout.starts_rollout(), batch) {
        (true, batch) => json!({"kind": "Start", "batch": batch}),
        (false, Some(batch)) => json!({"kind": "Batch", "batch": batch}),
        (false, None) => report.end.to_json(),
    }
}

fn batches_json(plan: &ClusterRolloutPlan<'_>) -> Value {
    let places = plan.cluster_view.rendered_locator();
    // Patches render workloads again, on all cores.
    let all: Vec<(usize, &WorkloadReport)> = plan
        .report
        .batches
        .iter()
        .enumerate()
        .flat_map(|(i, b)| b.workloads.iter().map(move |w| (i, w)))
        .collect();
    let mut rendered = Vec::with_capacity(all.len());
    map_in_order(&all, |(batch, w)| workload_json(plan, &places, *batch, w), |value| rendered.push(value));
    let mut rendered = rendered.into_iter();
    let batches = plan.report.batches.iter();
    batches.map(|b| batch_json(b, rendered.by_ref().take(b.workloads.len()).collect())).collect()
}

fn batch_json(batch: &BatchReport, workloads: Value) -> Value {
    let mut value = json!({
        "batch": batch.number,
        "pods": batch.changed_pods,
        "updated": batch.updated_pods,
        "maxUnavailable": batch.max_unavailable,
        "containersRestarted": batch.restarted_containers,
        "requests": batch.added_requests.to_json(),
    });
    if let Some(half) = batch.half {
        value["half"] = json!(half.fraction());
    }
    if batch.surge.pods > 0 {
        let more = batch.surge.requests.to_json();
        value["surge"] = json!({"pods": batch.surge.pods, "cpu": more["cpu"], "memory": more["memory"]});
    }
    value["workloads"] = workloads;
    value
}

fn workload_json(
    plan: &ClusterRolloutPlan<'_>,
    places: &RenderedLocator<'_>,
    batch: usize,
    workload: &WorkloadReport,
) -> Value {
    let update = &workload.update;
    let mut value = json!({
        "workload": &*update.key,
        "from": update.updated_before,
        "to": update.updated_after,
        "of": update.replicas,
        "how": update.behavior.method.name(),
        "change": update.effect.name(),
    });
    if let Some(reason) = &update.behavior.reason {
        value["reason"] = json!(reason);
    }
    if let Some(ended) = &update.ended_hold {
        value["holdEnded"] = ended.to_json();
    }
    if let Some(planned) = plan.rollout.context.workloads.find(&update.key) {
        let place = places.locate(planned);
        value["file"] = json!(place.file);
        value["index"] = json!(place.index);
        value["patches"] = json!(plan.report.batch_patches(&plan.rollout, batch, planned, &place.base));
    }
    value
}
