//! In which order sets are injected, and where that order shows.

use super::Work;
use super::containers::List;
use super::patches;
use super::revision::Chosen;
use super::selects::{Choice, NAMESPACE_NAME};
use super::sets::{PreparedSet, Sets};
use super::template::{self, Pod};
use crate::diag::{Code, Diagnostic};
use crate::model::selector::Operator;
use crate::model::sidecar_set::{InjectPolicy, SidecarSet};
use crate::yaml::{Part, Path};
use serde_json::Value;
use std::collections::BTreeSet;

/// With how many of those behind it a set is compared, so that a great many sets do not take for ever.
const MOST_FOLLOWERS: usize = 16;

/// Returns the sets in the order they are looked at: those bound to the namespace by name, then all others.
///
/// Inside each group a cluster has no order at all; pillion takes that of their names.
pub(super) fn candidates<'s>(sets: &'s Sets, namespace: &str) -> impl Iterator<Item = &'s PreparedSet> {
    let group = move |bound: bool| {
        sets.current()
            .iter()
            .map(AsRef::as_ref)
            .filter(move |s: &&PreparedSet| is_bound(s.set(), namespace) == bound)
    };
    group(true).chain(group(false))
}

/// Kruise v1.9.0 indexes sets by the namespace name in `matchLabels`, else by the values of the first In
/// expression over it; every other set is listed as cluster-wide.
fn is_bound(set: &SidecarSet, namespace: &str) -> bool {
    let Some(selector) = &set.namespace_selector else { return false };
    if let Some(name) = selector.match_labels.get(NAMESPACE_NAME) {
        return name == namespace;
    }
    let names = selector.match_expressions.iter().find_map(|r| match &r.operator {
        Operator::In(values) if r.key == NAMESPACE_NAME => Some(values),
        _ => None,
    });
    names.is_some_and(|names| names.iter().any(|n| n == namespace))
}

/// Tells about pairs of sets whose order, which a cluster does not fix, shows in the result.
pub(super) fn warn(pod: &Pod<'_>, choice: &Choice<'_>, work: &mut Work<'_>) {
    let namespace = pod.template.namespace;
    for (i, first) in choice.chosen.iter().enumerate() {
        let bound = is_bound(first.current.set(), namespace);
        for second in choice.chosen.iter().skip(i + 1).take(MOST_FOLLOWERS) {
            if is_bound(second.current.set(), namespace) != bound {
                continue;
            }
            let content = differing_content(pod, first, second);
            let order = differing_order(pod, first, second);
            if content.is_some() || !order.is_empty() {
                work.tell(diagnostic(first, second, content, &order));
            }
        }
    }
}

/// What of the pod has another content, not only another place, when the two sets change places.
fn differing_content(pod: &Pod<'_>, first: &Chosen<'_>, second: &Chosen<'_>) -> Option<String> {
    let (a, b) = (first.content, second.content);
    if let Some(key) = patches::differing_key(pod, a, b) {
        return Some(format!("annotation `{key}` gets another value"));
    }
    let mut of_a = a.volumes().filter_map(|(name, definition)| Some((name, definition?)));
    let shared = of_a.find(|(name, definition)| {
        let in_pod = || pod.volumes.iter().any(|v| template::name(v) == *name);
        b.volume(name).is_some_and(|at| b.set().volumes[at] != **definition) && !in_pod()
    });
    shared.map(|(name, _)| format!("volume `{name}` is defined otherwise"))
}

/// The lists of the pod in which items change places with the two sets.
fn differing_order(pod: &Pod<'_>, first: &Chosen<'_>, second: &Chosen<'_>) -> Vec<&'static str> {
    let (a, b) = (first.content, second.content);
    let mut lists = Vec::new();
    if [true, false]
        .into_iter()
        .any(|before| adds_container(pod, a, before) && adds_container(pod, b, before))
    {
        lists.push("containers");
    }
    let volumes = |set: &PreparedSet| set.volumes().map(|(name, _)| name.to_owned()).collect();
    if is_order_visible(volumes(a), volumes(b), pod.volumes) {
        lists.push("volumes");
    }
    let secrets = |set: &PreparedSet| set.secrets().map(str::to_owned).collect();
    if is_order_visible(secrets(a), secrets(b), pod.image_pull_secrets) {
        lists.push("imagePullSecrets");
    }
    lists
}

fn adds_container(pod: &Pod<'_>, set: &PreparedSet, before: bool) -> bool {
    let is_before = |policy| policy == InjectPolicy::BeforeAppContainer;
    set.final_names(List::Main).any(|(name, sidecar)| {
        is_before(sidecar.pod_inject_policy) == before
            && !pod.containers.iter().any(|c| template::name(c) == name)
    })
}

/// Tells whether two lists of names, each name once and without those of the pod, differ when joined the
/// other way round.
fn is_order_visible(a: Vec<String>, b: Vec<String>, in_pod: &[Value]) -> bool {
    if a.is_empty() || b.is_empty() {
        return false;
    }
    let joined = |first: &[String], second: &[String]| {
        let mut seen: BTreeSet<String> = in_pod.iter().map(|item| template::name(item).to_owned()).collect();
        first.iter().chain(second).filter(|name| seen.insert((*name).clone())).cloned().collect::<Vec<_>>()
    };
    joined(&a, &b) != joined(&b, &a)
}

fn diagnostic(
    first: &Chosen<'_>,
    second: &Chosen<'_>,
    content: Option<String>,
    order: &[&str],
) -> Diagnostic {
    let pair = format!("SidecarSets `{}` and `{}`", first.name(), second.name());
    let place = |chosen: &Chosen<'_>, text: &str| {
        let set = chosen.current.set();
        set.document.label(&set.path.join(&Path::dotted("metadata.name")), Part::Value, text)
    };
    let diagnostic = match content {
        Some(what) => Diagnostic::warning(Code::SetOrderMatters, format!("{what} when {pair} change places"))
            .help("let one set alone decide it, or give both the same value"),
        None => Diagnostic::note(
            Code::SetOrderMatters,
            format!("the order of `{}` hangs on the order of {pair}", order.join("`, `")),
        )
        .help("nothing has to be done; where the order must be another, rename a set or join the two"),
    };
    diagnostic
        .at(place(first, "injected first"))
        .at(place(second, "injected second"))
        .because("pillion injects by name; in a cluster Kruise takes them in any order")
}
