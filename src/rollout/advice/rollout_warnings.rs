//! Warnings about a rollout as a whole: its bound, its canaries, its length, pods that do not recover.

use super::super::types::RolloutContext;
use super::AdviceWorkload;
use crate::diagnostics::{Code, Diagnostic, Span, pluralize};
use crate::model::duration;
use crate::model::selector::Selector;
use crate::model::workload::KindTraits;

/// How many workloads are named; the others are counted.
const MAX_SHOWN: usize = 5;

/// Warns of a workload that alone exceeds the rollout's `maxUnavailable`. `most` is the most pods that its own
/// strategy makes unavailable, `bound` the SidecarSet's `maxUnavailable` in pods, `written` its location.
pub fn exceeds_max_unavailable(
    subject: &AdviceWorkload<'_>,
    most: u64,
    bound: u64,
    written: Option<Span>,
) -> Option<Diagnostic> {
    if most <= bound {
        return None;
    }
    let message = format!(
        "{} alone may have {} unavailable at once, and `maxUnavailable` of the SidecarSet is {bound}",
        subject.title(),
        pluralize(most, "pod"),
    );
    let diagnostic = Diagnostic::warning(Code::WorkloadExceedsMaxUnavailable, message);
    let diagnostic = subject.add_label(diagnostic, "a batch of its own");
    let diagnostic = add_optional_label(diagnostic, written);
    let lower = KindTraits::of(subject.group, subject.kind)
        .max_unavailable
        .map_or_else(String::new, |field| format!("lower `{field}` of the workload, or "));
    Some(
        diagnostic
            .because("it cannot be split, and pillion changes no other field of its strategy")
            .help(format!("{lower}raise `updateStrategy.maxUnavailable` of the SidecarSet")),
    )
}

/// Warns of a canary selector that matches none of the workloads.
pub fn canary_matches_nothing(
    set: &str,
    selector: &Selector,
    subjects: &[AdviceWorkload<'_>],
    written: Option<Span>,
) -> Option<Diagnostic> {
    if subjects.iter().any(|s| selector.matches(&s.labels)) {
        return None;
    }
    let message = format!("the canary selector of SidecarSet {set} matches none of its workloads");
    let diagnostic = add_optional_label(Diagnostic::warning(Code::CanaryMatchesNothing, message), written);
    Some(
        diagnostic
            .because("it is compared with the labels of pod templates; nothing is rolled out")
            .help("correct `updateStrategy.selector`, or remove it to roll out to all"),
    )
}

/// Returns how long batches take at least: `50 min (5 x soak 10m)`.
fn shortest_duration(batches: usize, soak: &str) -> String {
    let seconds = duration::parse(soak).and_then(|seconds| seconds.checked_mul(batches as u64));
    match seconds {
        Some(seconds) => format!("{} ({batches} x soak {soak})", duration::humanize(seconds)),
        None => format!("{batches} x soak {soak}"),
    }
}

/// Reports a rollout with more batches than are staged. `is_counted`: there are no more than `batches`.
pub(crate) fn too_many_batches(context: &RolloutContext<'_>, batches: usize, is_counted: bool) -> Diagnostic {
    let settings = &context.settings;
    let (field, written) = match settings.strategy.max_unavailable {
        Some(_) => {
            let at = "spec.updateStrategy.maxUnavailable";
            ("updateStrategy.maxUnavailable", context.source.as_ref().map(|r| r.set.label(at, "")))
        }
        None => ("rollout.steps", settings.steps_label.clone()),
    };
    let message = format!(
        "the rollout needs {}{batches} batches, more than the {} of `maxBatches`",
        if is_counted { "" } else { "more than " },
        settings.max_batches
    );
    let shortest = shortest_duration(batches, &settings.soak);
    add_optional_label(Diagnostic::error(Code::TooManyBatches, message), written)
        .because(format!("it takes at least {shortest}, and is not staged"))
        .help(format!("raise `{field}`, or `maxBatches` in pillion.yaml"))
}

/// Warns once of all workloads that a failing new pod blocks until a person deletes it.
pub fn ordered_ready_stuck(subjects: &[AdviceWorkload<'_>]) -> Option<Diagnostic> {
    let stuck: Vec<_> = subjects
        .iter()
        .filter(|s| s.replicas > 0 && s.is_changed && KindTraits::of(s.group, s.kind).is_ordered(s.object))
        .collect();
    let first = stuck.first()?;
    let who = match stuck.len() {
        1 => first.title(),
        n => format!("{} and {} of ordered pods", first.title(), pluralize(n as u64 - 1, "other workload")),
    };
    let message = format!("a failing pod of {who} does not recover from git alone");
    let diagnostic = Diagnostic::warning(Code::OrderedReadyStuck, message);
    let shown = stuck.iter().take(MAX_SHOWN);
    let diagnostic = shown.fold(diagnostic, |d, s| s.add_label(d, "OrderedReady is the default"));
    Some(
        diagnostic
            .because("its controller waits for the failing pod even when git has the old template again")
            .help("after a rollback delete the failing pod by hand, or use `podManagementPolicy: Parallel`"),
    )
}

fn add_optional_label(diagnostic: Diagnostic, written: Option<Span>) -> Diagnostic {
    match written {
        Some(label) => diagnostic.at(label),
        None => diagnostic,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Map, Value, json};

    fn subject<'a>(kind: &'a str, object: &'a Value, new: &'a Value) -> AdviceWorkload<'a> {
        AdviceWorkload { kind, object, replicas: 3, ..AdviceWorkload::web(&Value::Null, new) }
    }

    #[test]
    fn a_bound_is_broken_only_beyond_it() {
        let web = subject("Deployment", &Value::Null, &Value::Null);
        assert_eq!(exceeds_max_unavailable(&web, 2, 2, None), None);
        let warning = exceeds_max_unavailable(&web, 3, 2, None).unwrap();
        let wanted = "Deployment shop/web alone may have 3 pods unavailable at once, and `maxUnavailable` of the SidecarSet is 2";
        assert_eq!(warning.message, wanted);
        assert!(warning.help.unwrap().starts_with("lower `spec.strategy.rollingUpdate.maxUnavailable`"));
    }

    #[test]
    fn a_canary_needs_labels() {
        let new = json!({"metadata": {"labels": {"canary": "yes"}}});
        let web = subject("Deployment", &Value::Null, &new);
        let selector =
            |v: &str| Selector::from_map(&Map::from_iter([("matchLabels".to_owned(), json!({"canary": v}))]));
        assert_eq!(canary_matches_nothing("log", &selector("yes"), std::slice::from_ref(&web), None), None);
        assert!(canary_matches_nothing("log", &selector("no"), &[web], None).is_some());
    }

    #[test]
    fn ordered_pods_are_told_once() {
        let new = json!({"metadata": {}});
        let parallel = json!({"spec": {"podManagementPolicy": "Parallel"}});
        let [a, b, c, d] = [
            subject("StatefulSet", &Value::Null, &new),
            subject("StatefulSet", &parallel, &new),
            subject("Deployment", &Value::Null, &new),
            subject("StatefulSet", &Value::Null, &Value::Null),
        ];
        assert_eq!(ordered_ready_stuck(&[b.clone(), c.clone(), d.clone()]), None);
        let warning = ordered_ready_stuck(&[a.clone(), b, c, d]).unwrap();
        assert_eq!(warning.message, "a failing pod of StatefulSet shop/web does not recover from git alone");
        let warning = ordered_ready_stuck(&[a.clone(), a.clone(), a]).unwrap();
        assert!(
            warning.message.contains("shop/web and 2 other workloads of ordered pods"),
            "{}",
            warning.message
        );
    }
}
