//! Warns of batches that make more pods unavailable than a PodDisruptionBudget allows.

use super::{AdviceObject, AdviceWorkload, BatchImpact, objects_of_kind};
use crate::diagnostics::{Code, Diagnostic, pluralize};
use crate::model::int_or_percent::{RoundingMode, pods_of_field};
use crate::model::selector::Selector;
use crate::model::workload::value_at;
use crate::yaml::FieldPath;
use serde_json::Value;

/// Warns of each budget that the worst case of a batch exceeds, with the worst of the batches.
pub(crate) fn disruption_budgets(
    subjects: &[AdviceWorkload<'_>],
    objects: &[AdviceObject<'_>],
    batches: &[BatchImpact],
) -> Vec<Diagnostic> {
    let budgets = objects_of_kind(objects, ("policy", "PodDisruptionBudget"));
    budgets.filter_map(|budget| check_budget(budget, subjects, batches)).collect()
}

fn check_budget(
    budget: &AdviceObject<'_>,
    subjects: &[AdviceWorkload<'_>],
    batches: &[BatchImpact],
) -> Option<Diagnostic> {
    // policy/v1: an empty selector matches every pod of the namespace, an absent one none.
    let selector = Selector::from_map(value_at(budget.object, "spec.selector")?.as_object()?);
    let version = budget.object.get("apiVersion").and_then(Value::as_str).unwrap_or_default();
    if selector.is_empty() && version == "policy/v1beta1" {
        return None;
    }
    let is_bound = |s: &AdviceWorkload<'_>| s.namespace == budget.namespace && selector.matches(&s.labels);
    let bound: Vec<bool> = subjects.iter().map(is_bound).collect();
    let pods = subjects.iter().zip(&bound).filter(|(_, b)| **b).map(|(s, _)| s.replicas).sum();
    let (field, allowed) = allowed_disruptions(budget.object, pods)?;
    let worst = |batch: &BatchImpact| -> u64 {
        let updates = batch.updates.iter().filter(|(i, ..)| bound.get(*i) == Some(&true));
        updates.map(|(_, _, outcome)| outcome.unavailable).fold(0, u64::saturating_add)
    };
    let (batch, down) = batches.iter().map(|b| (b, worst(b))).rev().max_by_key(|(_, down)| *down)?;
    let first = batch
        .updates
        .iter()
        .find(|(i, ..)| bound.get(*i) == Some(&true))
        .and_then(|(i, ..)| subjects.get(*i));
    (down > allowed).then(|| {
        let name = budget.name();
        let message = format!(
            "batch {} may make {} unavailable at once, and PodDisruptionBudget {}/{name} allows {allowed}",
            batch.number,
            pluralize(down, "pod"),
            budget.namespace,
        );
        let diagnostic = Diagnostic::warning(Code::DisruptionBudgetExceeded, message);
        let diagnostic = budget.add_label(
            diagnostic,
            &FieldPath::dotted(field),
            &format!("of {} in git", pluralize(pods, "pod")),
        );
        let diagnostic = match first {
            Some(subject) => subject.add_label(diagnostic, "one of its workloads"),
            None => diagnostic,
        };
        diagnostic
            .because("rolling updates ignore the budget, and no node can be drained while these pods are unavailable")
            .help("lower `maxUnavailable` of the SidecarSet or of the workload, or loosen the budget")
    })
}

// Kubernetes v1.36 pkg/controller/disruption getExpectedPodCount: both percentages are rounded up.
fn allowed_disruptions(budget: &Value, pods: u64) -> Option<(&'static str, u64)> {
    let field =
        |key: &'static str| pods_of_field(value_at(budget, key), pods, RoundingMode::Up).map(|n| (key, n));
    match field("spec.maxUnavailable") {
        Some((key, most)) => Some((key, most)),
        None => field("spec.minAvailable").map(|(key, least)| (key, pods.saturating_sub(least))),
    }
}

#[cfg(test)]
mod tests {
    use super::super::BatchImpact;
    use super::*;
    use crate::rollout::simulation::{PodUpdateRange, SimulationOutcome};
    use serde_json::json;

    fn messages(spec: Value, downs: &[u64]) -> Vec<String> {
        let object = json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "p"}, "spec": spec});
        let related = [AdviceObject { namespace: "shop", object: &object, location: None }];
        let template = json!({"metadata": {"labels": {"app": "web"}}});
        let subject = |namespace| AdviceWorkload {
            namespace,
            replicas: 10,
            ..AdviceWorkload::web(&template, &template)
        };
        let batch = |(i, down): (usize, &u64)| {
            let outcome = SimulationOutcome { unavailable: *down, ..SimulationOutcome::default() };
            let whole = PodUpdateRange { updated_before: 0, updated_after: 10, replicas: 10 };
            BatchImpact {
                number: i + 1,
                updates: vec![(0, whole, outcome), (1, whole, outcome), (9, whole, outcome)],
            }
        };
        let batches: Vec<BatchImpact> = downs.iter().enumerate().map(batch).collect();
        let found = disruption_budgets(&[subject("shop"), subject("data")], &related, &batches);
        found.into_iter().map(|d| d.message).collect()
    }

    #[test]
    fn the_worst_batch_is_named() {
        let wanted = "batch 2 may make 3 pods unavailable at once, and PodDisruptionBudget shop/p allows 2";
        let web = json!({"matchLabels": {"app": "web"}});
        assert_eq!(messages(json!({"maxUnavailable": "15%", "selector": web}), &[1, 3, 3]), [wanted]);
        assert_eq!(messages(json!({"minAvailable": 8, "selector": {}}), &[1, 3, 2]), [wanted]);
    }

    #[test]
    fn what_has_room_or_is_about_others_is_silent() {
        let web = json!({"matchLabels": {"app": "web"}});
        for spec in [
            json!({"maxUnavailable": 3, "selector": web}),
            json!({"maxUnavailable": 0, "selector": {"matchLabels": {"app": "db"}}}),
            json!({"maxUnavailable": 0}),
            json!({"selector": web}),
            json!({"maxUnavailable": [], "selector": web}),
            json!("not an object"),
        ] {
            assert!(messages(spec.clone(), &[1, 3]).is_empty(), "{spec}");
        }
        assert!(messages(json!({"maxUnavailable": 0, "selector": {}}), &[]).is_empty());
    }
}
