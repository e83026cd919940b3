//! Does a batch take down more pods than a PodDisruptionBudget would let be?

use super::{Batch, Neighbour, Subject, of_kind};
use crate::diag::{Code, Diagnostic, counted};
use crate::model::selector::Selector;
use crate::plan::amount::{self, Round};
use crate::plan::controller::at;
use crate::yaml::Path;
use serde_json::Value;
use std::collections::BTreeMap;

/// Warns of each budget that a batch's worst course goes beyond, with the worst of the batches.
pub fn disruption_budgets(
    subjects: &[Subject<'_>],
    neighbours: &[Neighbour<'_>],
    batches: &[Batch],
) -> Vec<Diagnostic> {
    let mut budgets = of_kind(neighbours, ("policy", "PodDisruptionBudget")).peekable();
    if budgets.peek().is_none() {
        return Vec::new();
    }
    let labels: Vec<_> = subjects.iter().map(Subject::labels).collect();
    budgets.filter_map(|budget| check(budget, subjects, &labels, batches)).collect()
}

fn check(
    budget: &Neighbour<'_>,
    subjects: &[Subject<'_>],
    labels: &[BTreeMap<String, String>],
    batches: &[Batch],
) -> Option<Diagnostic> {
    // policy/v1: an empty selector is about every pod of the namespace, and none at all about no pod.
    let selector = Selector::read(at(budget.object, "spec.selector")?.as_object()?);
    let version = budget.object.get("apiVersion").and_then(Value::as_str).unwrap_or_default();
    if selector.is_empty() && version == "policy/v1beta1" {
        return None;
    }
    let is_bound =
        |(s, labels): (&Subject<'_>, _)| s.namespace == budget.namespace && selector.matches(labels);
    let bound: Vec<bool> = subjects.iter().zip(labels).map(is_bound).collect();
    let pods = subjects.iter().zip(&bound).filter(|(_, b)| **b).map(|(s, _)| s.pods).sum();
    let (field, room) = room(budget.object, pods)?;
    let worst = |batch: &Batch| -> u64 {
        let moves = batch.moves.iter().filter(|(i, ..)| bound.get(*i) == Some(&true));
        moves.map(|(_, _, outcome)| outcome.unavailable).fold(0, u64::saturating_add)
    };
    let (batch, down) = batches.iter().map(|b| (b, worst(b))).rev().max_by_key(|(_, down)| *down)?;
    let first =
        batch.moves.iter().find(|(i, ..)| bound.get(*i) == Some(&true)).and_then(|(i, ..)| subjects.get(*i));
    (down > room).then(|| {
        let name = budget.name();
        let message = format!(
            "batch {} may take down {} at once, and PodDisruptionBudget {}/{name} allows {room}",
            batch.number,
            counted(down, "pod"),
            budget.namespace,
        );
        let diagnostic = Diagnostic::warning(Code::DisruptionBudgetExceeded, message);
        let diagnostic =
            budget.mark(diagnostic, &Path::dotted(field), &format!("of {} in git", counted(pods, "pod")));
        let diagnostic = match first {
            Some(subject) => subject.mark(diagnostic, "one of its workloads"),
            None => diagnostic,
        };
        diagnostic
            .because("rolling updates do not ask the budget, and while pods are down no node can be drained")
            .help("lower `maxUnavailable` of the SidecarSet or of the workload, or loosen the budget")
    })
}

// Kubernetes v1.36 pkg/controller/disruption getExpectedPodCount: both percentages are rounded up.
fn room(budget: &Value, pods: u64) -> Option<(&'static str, u64)> {
    let field = |key: &'static str| amount::pods(at(budget, key), pods, Round::Up).map(|n| (key, n));
    match field("spec.maxUnavailable") {
        Some((key, most)) => Some((key, most)),
        None => field("spec.minAvailable").map(|(key, least)| (key, pods.saturating_sub(least))),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Batch;
    use super::*;
    use crate::plan::simulate::{Move, Outcome};
    use serde_json::json;

    fn told(spec: Value, downs: &[u64]) -> Vec<String> {
        let object = json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "p"}, "spec": spec});
        let near = [Neighbour { namespace: "shop", object: &object, place: None }];
        let template = json!({"metadata": {"labels": {"app": "web"}}});
        let none = Value::Null;
        let subject = |namespace| Subject {
            group: "apps",
            kind: "Deployment",
            namespace,
            name: "web",
            object: &none,
            old: &template,
            new: &template,
            pods: 10,
            place: None,
        };
        let batch = |(i, down): (usize, &u64)| {
            let outcome = Outcome { unavailable: *down, ..Outcome::default() };
            let whole = Move { from: 0, to: 10, of: 10 };
            Batch {
                number: i + 1,
                moves: vec![(0, whole, outcome), (1, whole, outcome), (9, whole, outcome)],
            }
        };
        let batches: Vec<Batch> = downs.iter().enumerate().map(batch).collect();
        let found = disruption_budgets(&[subject("shop"), subject("data")], &near, &batches);
        found.into_iter().map(|d| d.message).collect()
    }

    #[test]
    fn the_worst_batch_is_named() {
        let wanted = "batch 2 may take down 3 pods at once, and PodDisruptionBudget shop/p allows 2";
        let web = json!({"matchLabels": {"app": "web"}});
        assert_eq!(told(json!({"maxUnavailable": "15%", "selector": web}), &[1, 3, 3]), [wanted]);
        assert_eq!(told(json!({"minAvailable": 8, "selector": {}}), &[1, 3, 2]), [wanted]);
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
            json!("odd"),
        ] {
            assert!(told(spec.clone(), &[1, 3]).is_empty(), "{spec}");
        }
        assert!(told(json!({"maxUnavailable": 0, "selector": {}}), &[]).is_empty());
    }
}
