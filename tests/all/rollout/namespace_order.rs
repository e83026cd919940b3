//! The order of a rollout: spread over namespaces, and the same after each of its steps.

use crate::support::cluster_view::{Texts, load};
use crate::support::manifests::ONE_NAMESPACE;
use crate::support::rollout_fixtures::ledger_at;
use indoc::formatdoc;
use pillion::rollout::{Batch, ExternalState, RolloutStep, steps};
use proptest::prelude::*;
use std::collections::BTreeMap;

fn set(strategy: &str, image: u32) -> String {
    formatdoc! {r#"
        apiVersion: apps.kruise.io/v1beta1
        kind: SidecarSet
        metadata: {{name: log}}
        spec:
          selector: {{matchLabels: {{log: "true"}}}}
          updateStrategy: {{{strategy}}}
          containers:
          - {{name: logtail, image: "logtail:{image}"}}
    "#}
}

/// Deployments with one pod each, `NAMESPACE/NAME` and more labels, before a rollout that moves one at a time.
fn fleet(workloads: &[(&str, &str)], strategy: &str) -> Texts {
    let manifests = workloads.iter().map(|(workload, labels)| {
        let (namespace, name) = workload.split_once('/').unwrap();
        formatdoc! {r#"
            apiVersion: apps/v1
            kind: Deployment
            metadata: {{name: {name}, namespace: {namespace}}}
            spec:
              replicas: 1
              template:
                metadata: {{labels: {{log: "true", {labels}}}}}
                spec: {{containers: [{{name: app, image: app}}]}}
        "#}
    });
    let strategy = format!("maxUnavailable: 1, {strategy}");
    Texts::from([
        ("pillion.yaml".into(), ONE_NAMESPACE.to_owned()),
        ("sidecars/log.yaml".into(), set(&strategy, 2)),
        ("ledgers/log.yaml".into(), ledger_at(&set(&strategy, 1))),
        ("apps/all.yaml".into(), manifests.collect::<Vec<_>>().join("---\n")),
    ])
}

/// The order, as `NAMESPACE/NAME`. What follows from the ledger after any step must be the rest of it.
fn order(texts: &Texts) -> Vec<String> {
    let (view, diagnostics) = load(texts);
    assert!(!diagnostics.iter().any(|d| d.is_error()), "{diagnostics:?}");
    let (context, _) = view.rollout_context("log");
    let plan = |from| {
        let found = steps(&context, from, &ExternalState::default(), 200);
        let mut names = Vec::new();
        for batch in found.iter().filter_map(|step| match step {
            RolloutStep::Batch(batch) => Some(batch),
            _ => None,
        }) {
            assert_eq!(batch.updates.len(), 1);
            names.push(batch.updates[0].key.split_once('/').unwrap().1.to_owned());
        }
        (names, found)
    };
    let ledger = view.ledger("log");
    let (names, found) = plan(&ledger);
    for step in &found {
        if let RolloutStep::Batch(Batch { number, ledger, .. }) = step {
            assert_eq!(plan(ledger).0, names[*number as usize..], "after batch {number}");
        }
    }
    names
}

#[test]
fn the_first_workload_of_each_namespace_is_before_the_second_of_any() {
    let workloads = ["a/a", "a/b", "a/c", "b/a", "c/a", "c/b"].map(|workload| (workload, ""));
    assert_eq!(order(&fleet(&workloads, "")), ["a/a", "b/a", "c/a", "a/b", "c/b", "a/c"]);
}

#[test]
fn each_priority_is_spread_on_its_own() {
    let workloads =
        [("a/a", ""), ("a/b", "rank: p-2"), ("a/c", "rank: p-2"), ("b/a", "rank: p-2"), ("b/b", "rank: p-2")];
    let strategy = "priorityStrategy: {orderPriority: [{orderedKey: rank}]}";
    assert_eq!(order(&fleet(&workloads, strategy)), ["a/a", "a/b", "b/a", "a/c", "b/b"]);
}

#[test]
fn a_canary_is_spread_on_its_own() {
    let workloads = [
        ("a/a", ""),
        ("a/b", ""),
        ("a/p", "canary: first"),
        ("b/q", "canary: first"),
        ("b/r", "canary: first"),
    ];
    let canary = "selector: {matchLabels: {canary: first}}";
    assert_eq!(order(&fleet(&workloads, canary)), ["a/p", "b/q", "b/r"]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_namespace_is_two_workloads_ahead(sizes in prop::collection::vec(0..5_usize, 1..5)) {
        let names: Vec<String> = sizes
            .iter()
            .enumerate()
            .flat_map(|(n, size)| (0..*size).map(move |i| format!("team-{n}/app-{i}")))
            .collect();
        let workloads: Vec<(&str, &str)> = names.iter().map(|name| (&**name, "")).collect();
        prop_assume!(!workloads.is_empty());
        let order = order(&fleet(&workloads, ""));
        let mut updated: BTreeMap<&str, usize> = BTreeMap::new();
        for name in &order {
            let team = name.split_once('/').unwrap().0;
            *updated.entry(team).or_default() += 1;
            for (n, size) in sizes.iter().enumerate() {
                let other = updated.get(&*format!("team-{n}")).copied().unwrap_or(0);
                prop_assert!(other == *size || updated[team] <= other + 1, "{order:?}");
            }
        }
        prop_assert_eq!(order.len(), names.len());
    }
}
