//! A plan for programs: the `Plan` document (pillion.dev/v1alpha1), or with `--next` the `NextStep` document. Every key is in docs/plan.md.

use super::by_workload::{Planned, Shown};
use crate::diag::json as findings;
use crate::model::ledger::name_text;
use crate::plan::report::{Batch, End, Held, Workload};
use crate::plan::requests::Requests;
use crate::read::in_order;
use crate::stage::RenderedPlaces;
use serde_json::{Map, Value, json};

/// Renders plans.
pub(super) fn render(shown: &Shown<'_>) -> String {
    let items: Vec<Value> = shown.plans.iter().map(|plan| item(plan, shown.is_next)).collect();
    let document = json!({
        "apiVersion": "pillion.dev/v1alpha1",
        "kind": if shown.is_next { "NextStep" } else { "Plan" },
        "base": shown.base,
        "items": items,
    });
    format!("{document}\n")
}

fn item(plan: &Planned<'_>, is_next: bool) -> Value {
    let report = &plan.report;
    let mut item = Map::new();
    item.insert("sidecarSet".into(), json!(&*report.set));
    if let Some(cluster) = &plan.site.cluster {
        item.insert("cluster".into(), json!(&**cluster));
    }
    item.insert("from".into(), json!(name_text(&report.from)));
    item.insert("to".into(), json!(name_text(&report.to)));
    item.insert("imageOnly".into(), json!(report.is_image_only));
    let mut matched = json!({"workloads": report.matched_workloads, "pods": report.matched_pods});
    if report.unknown_sizes > 0 {
        matched["unknownSizes"] = json!(report.unknown_sizes);
    }
    item.insert("matched".into(), matched);
    if let Some(removal) = &report.removal {
        let removed =
            json!({"workloads": removal.workloads, "of": removal.of, "reason": removal.why.to_string()});
        item.insert("removal".into(), removed);
    }
    if let Some(paused) = &report.paused {
        let paused = json!({"batch": paused.batch, "reason": paused.reason, "by": paused.by});
        item.insert("paused".into(), paused);
    }
    if let Some(newer) = &report.newer {
        item.insert("newer".into(), json!(name_text(newer)));
    }
    let held = report.held.iter().map(Held::json);
    let warnings = findings::values(&report.warnings);
    let batches = batches(plan);
    if is_next {
        item.insert("next".into(), next(plan, &batches));
    } else {
        item.insert("end".into(), end(&report.end));
    }
    item.insert("held".into(), held.collect());
    item.insert("warnings".into(), warnings);
    if !is_next {
        item.insert("batches".into(), batches);
    }
    Value::Object(item)
}

fn end(end: &End) -> Value {
    match end {
        End::Close => json!({"kind": "Close"}),
        End::Rest(rest) => json!({"kind": "Rest", "reason": rest.kind(), "message": rest.to_string()}),
        End::TooMany { .. } => json!({"kind": "TooManyBatches"}),
        End::More => json!({"kind": "More"}),
    }
}

/// The next step: with Open the batch that it makes way for.
fn next(plan: &Planned<'_>, batches: &Value) -> Value {
    let report = &plan.report;
    let batch = batches.get(0).cloned();
    match (report.opens(), batch) {
        (true, batch) => json!({"kind": "Open", "batch": batch}),
        (false, Some(batch)) => json!({"kind": "Batch", "batch": batch}),
        (false, None) => end(&report.end),
    }
}

fn batches(plan: &Planned<'_>) -> Value {
    let places = plan.site.rendered_places();
    // Patches render workloads anew, which all cores can share.
    let all: Vec<(usize, &Workload)> = plan
        .report
        .batches
        .iter()
        .enumerate()
        .flat_map(|(i, b)| b.workloads.iter().map(move |w| (i, w)))
        .collect();
    let mut rendered = Vec::with_capacity(all.len());
    in_order(&all, |(batch, w)| workload(plan, &places, *batch, w), |value| rendered.push(value));
    let mut rendered = rendered.into_iter();
    let batches = plan.report.batches.iter();
    batches.map(|b| batch(b, rendered.by_ref().take(b.workloads.len()).collect())).collect()
}

fn batch(batch: &Batch, workloads: Value) -> Value {
    let mut value = json!({
        "batch": batch.number,
        "pods": batch.pods,
        "updated": batch.updated,
        "maxUnavailable": batch.unavailable,
        "containersRestarted": batch.restarted,
        "requests": requests(&batch.requests),
    });
    if batch.surge.pods > 0 {
        let more = requests(&batch.surge.requests);
        value["surge"] = json!({"pods": batch.surge.pods, "cpu": more["cpu"], "memory": more["memory"]});
    }
    value["workloads"] = workloads;
    value
}

fn workload(plan: &Planned<'_>, places: &RenderedPlaces<'_>, batch: usize, workload: &Workload) -> Value {
    let moved = &workload.moved;
    let mut value = json!({
        "workload": &*moved.key,
        "from": moved.from,
        "to": moved.to,
        "of": moved.of,
        "how": moved.taking.how.name(),
        "change": moved.effect.name(),
    });
    if let Some(reason) = &moved.taking.reason {
        value["reason"] = json!(reason);
    }
    if let Some(day) = &moved.hold_ended {
        value["holdEnded"] = json!(&**day);
    }
    if let Some(unit) = plan.course.fleet.find(&moved.key) {
        let place = places.of(unit);
        value["file"] = json!(place.file);
        value["index"] = json!(place.index);
        value["patches"] = json!(plan.report.patches(&plan.course, batch, unit, &place.base));
    }
    value
}

fn requests(requests: &Requests) -> Value {
    let cpu = requests.cpu.clone().rounded_to_milli();
    json!({"cpu": cpu.to_string(), "memory": requests.memory.rounded_to_units().to_string()})
}
