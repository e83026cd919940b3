//! Workloads that git does not give a number of pods: they share batches, after all others.

use crate::support::cluster_view::{Texts, load};
use crate::support::manifests::ONE_NAMESPACE;
use crate::support::rollout_fixtures::ledger_at;
use indoc::formatdoc;
use pillion::model::ledger::{Ledger, emit};
use pillion::rollout::{Batch, ExternalState, RolloutStep, steps};

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

fn workload(kind: &str, name: &str, spec: &str) -> String {
    formatdoc! {r#"
        apiVersion: apps/v1
        kind: {kind}
        metadata: {{name: {name}, namespace: infra}}
        spec:
          {spec}
          template:
            metadata: {{labels: {{log: "true"}}}}
            spec: {{containers: [{{name: app, image: app}}]}}
    "#}
}

/// A fleet of DaemonSets `agent-000`, `agent-001` and so on, with their own update strategy, before a rollout.
fn fleet(daemon_sets: usize, own: &str, strategy: &str, rollout: &str) -> Texts {
    let mut texts = Texts::from([
        ("pillion.yaml".into(), format!("{ONE_NAMESPACE}rollout: {{{rollout}}}\n")),
        ("sidecars/log.yaml".into(), set(strategy, 2)),
        ("ledgers/log.yaml".into(), ledger_at(&set(strategy, 1))),
    ]);
    let manifests: Vec<String> = (0..daemon_sets)
        .map(|n| workload("DaemonSet", &format!("agent-{n:03}"), &format!("updateStrategy: {{{own}}}")))
        .collect();
    texts.insert("apps/agents.yaml".into(), manifests.join("---\n"));
    texts
}

/// The workloads of each batch, and how the plan ends.
fn plan(texts: &Texts) -> (Vec<Vec<String>>, String) {
    plan_from(texts, None)
}

fn plan_from(texts: &Texts, ledger: Option<&Ledger>) -> (Vec<Vec<String>>, String) {
    let (view, diagnostics) = load(texts);
    assert!(!diagnostics.iter().any(|d| d.is_error()), "{diagnostics:?}");
    let (context, _) = view.rollout_context("log");
    let first = ledger.cloned().unwrap_or_else(|| view.ledger("log"));
    let found = steps(&context, &first, &ExternalState::default(), 1000);
    let names =
        |batch: &Batch| batch.updates.iter().map(|m| m.key.rsplit('/').next().unwrap().to_owned()).collect();
    let end = match found.last() {
        Some(RolloutStep::Complete(_)) => "complete".to_owned(),
        other => other.and_then(RolloutStep::reason).unwrap_or_default(),
    };
    let batches = found.iter().filter_map(|step| match step {
        RolloutStep::Batch(batch) => Some(names(batch)),
        _ => None,
    });
    (batches.collect(), end)
}

fn sizes(texts: &Texts) -> Vec<usize> {
    plan(texts).0.iter().map(Vec::len).collect()
}

#[test]
fn hundreds_of_daemon_sets_need_about_ten_batches() {
    let texts = fleet(611, "", "", "");
    // The steps 1, 10%, 50% and 100% are over workloads here, and a batch has 10% of all: 62.
    assert_eq!(sizes(&texts), [1, 61, 62, 62, 62, 58, 62, 62, 62, 62, 57]);
    assert_eq!(plan(&texts).1, "complete");
    let all: Vec<String> = plan(&texts).0.concat();
    assert_eq!(all, (0..611).map(|n| format!("agent-{n:03}")).collect::<Vec<_>>());
}

#[test]
fn the_number_of_a_batch_is_configured() {
    assert_eq!(sizes(&fleet(7, "", "", "steps: [100%], unknownPerBatch: 3")), [3, 3, 1]);
    assert_eq!(sizes(&fleet(7, "", "", "steps: [100%], unknownPerBatch: 50%")), [4, 3]);
    assert_eq!(sizes(&fleet(7, "", "", "steps: [100%], unknownPerBatch: 1%")), [1; 7]);
    assert_eq!(sizes(&fleet(7, "", "", "steps: [100%], unknownPerBatch: 99")), [7]);
    assert_eq!(sizes(&fleet(1, "", "", "")), [1]);
}

#[test]
fn known_pods_come_first_and_their_steps_do_not_count_the_unknown() {
    let mut texts = fleet(20, "", "", "steps: [1, 100%]");
    let known = ["b", "c"].map(|name| workload("Deployment", name, "replicas: 1"));
    texts.insert("apps/known.yaml".into(), known.join("---\n"));
    let (batches, _) = plan(&texts);
    assert_eq!(batches[..2], [["b"], ["c"]]);
    assert_eq!(batches[2..].iter().map(Vec::len).collect::<Vec<_>>(), [2; 10]);
}

#[test]
fn max_unavailable_of_the_set_bounds_a_batch() {
    let bounded = |own: &str, strategy: &str| sizes(&fleet(40, own, strategy, ""));
    // Each DaemonSet updates 1 pod at a time, unless it says otherwise.
    assert_eq!(bounded("", "maxUnavailable: 3")[..2], [3, 3]);
    assert_eq!(bounded("rollingUpdate: {maxUnavailable: 2}", "maxUnavailable: 4")[..2], [2, 2]);
    assert_eq!(bounded("rollingUpdate: {maxUnavailable: 9}", "maxUnavailable: 4")[..2], [1, 1]);
    // A share of an unknown number of pods may be more than any bound.
    assert_eq!(bounded("rollingUpdate: {maxUnavailable: 10%}", "maxUnavailable: 30"), [1; 40]);
    // A share of all pods is at least that share of one pod each.
    assert_eq!(bounded("", "maxUnavailable: 5%")[..2], [2, 2]);
    let (batches, end) = plan(&fleet(40, "", "maxUnavailable: 0", ""));
    assert_eq!((batches.len(), end.as_str()), (0, "`updateStrategy.maxUnavailable` is 0"));
}

#[test]
fn a_partition_keeps_all_of_them() {
    for partition in ["1", "50%", "1%"] {
        let (batches, end) = plan(&fleet(3, "", &format!("partition: {partition}"), ""));
        assert!(batches.is_empty(), "{batches:?}");
        assert!(end.contains("`updateStrategy.partition`") && end.contains("agent-000"), "{end}");
    }
    assert_eq!(plan(&fleet(3, "", "partition: 0%", "")).1, "complete");
}

#[test]
fn an_open_rollout_keeps_what_is_updated() {
    let texts = fleet(30, "", "", "steps: [100%]");
    let (view, _) = load(&texts);
    let (context, _) = view.rollout_context("log");
    let whole = steps(&context, &view.ledger("log"), &ExternalState::default(), 1000);
    let (batches, _) = plan(&texts);
    for (number, step) in whole.iter().enumerate() {
        let (RolloutStep::Start(after) | RolloutStep::Batch(Batch { ledger: after, .. })) = step else {
            continue;
        };
        // What follows from any state is the rest of the plan.
        let rest = plan_from(&texts, Some(after)).0;
        assert_eq!(rest, batches[number..], "after step {number}:\n{}", emit(after));
    }
}
