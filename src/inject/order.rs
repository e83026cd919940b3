//! Orders SidecarSets for injection, and reports where the order matters.

use super::metadata_patches;
use super::set_store::{PreparedSet, SidecarSetStore};
use super::template::{ContainerList, PodView, item_name};
use super::types::{InjectionContext, SelectedSet, SetSelection};
use crate::diagnostics::{Code, Diagnostic, Span};
use crate::model::api::NAMESPACE_NAME_LABEL;
use crate::model::selector::SelectorOperator;
use crate::model::sidecar_set::{InjectPolicy, SidecarSet};
use serde_json::Value;
use std::collections::BTreeSet;

/// With how many of those behind it a set is compared, so that a great many sets do not take forever.
const MAX_COMPARED_SETS: usize = 16;

/// Returns the sets in the order they are looked at: those bound to the namespace by name, then all others.
///
/// Inside each group a cluster has no order at all; pillion takes that of their names.
pub(super) fn in_injection_order<'s>(
    sets: &'s SidecarSetStore,
    namespace: &str,
) -> impl Iterator<Item = &'s PreparedSet> {
    let group = move |bound: bool| {
        sets.current()
            .iter()
            .map(AsRef::as_ref)
            .filter(move |s: &&PreparedSet| is_bound_to_namespace(s.set(), namespace) == bound)
    };
    group(true).chain(group(false))
}

/// Kruise v1.9.0 indexes sets by the namespace name in `matchLabels`, else by the values of the first In
/// expression over it; every other set is listed as cluster-wide.
fn is_bound_to_namespace(set: &SidecarSet, namespace: &str) -> bool {
    let Some(selector) = &set.namespace_selector else { return false };
    if let Some(name) = selector.match_labels.get(NAMESPACE_NAME_LABEL) {
        return name == namespace;
    }
    let names = selector.match_expressions.iter().find_map(|r| match &r.operator {
        SelectorOperator::In(values) if r.key == NAMESPACE_NAME_LABEL => Some(values),
        _ => None,
    });
    names.is_some_and(|names| names.iter().any(|n| n == namespace))
}

/// Reports pairs of sets with an order that shows in the result and that a cluster does not fix.
pub(super) fn warn_order(
    pod: &PodView<'_>,
    selection: &SetSelection<'_>,
    context: &mut InjectionContext<'_>,
) {
    let namespace = pod.template.namespace;
    for (i, first) in selection.selected.iter().enumerate() {
        let bound = is_bound_to_namespace(first.current.set(), namespace);
        for second in selection.selected.iter().skip(i + 1).take(MAX_COMPARED_SETS) {
            if is_bound_to_namespace(second.current.set(), namespace) != bound {
                continue;
            }
            let content = differing_content(pod, first, second);
            let order = differing_order(pod, first, second);
            if content.is_some() || !order.is_empty() {
                context.report(order_diagnostic(first, second, content, &order));
            }
        }
    }
}

/// What of the pod has another content, not only another place, when the two sets change places.
fn differing_content(pod: &PodView<'_>, first: &SelectedSet<'_>, second: &SelectedSet<'_>) -> Option<String> {
    let (a, b) = (first.content, second.content);
    if let Some(key) = metadata_patches::differing_key(pod, a, b) {
        return Some(format!("annotation `{key}` gets another value"));
    }
    let mut of_a = a.mounted_volumes().filter_map(|(name, definition)| Some((name, definition?)));
    let shared = of_a.find(|(name, definition)| {
        let in_pod = || pod.volumes.iter().any(|v| item_name(v) == *name);
        b.volume_index(name).is_some_and(|at| b.set().volumes[at] != **definition) && !in_pod()
    });
    shared.map(|(name, _)| format!("volume `{name}` is defined differently"))
}

/// The lists of the pod in which items change places with the two sets.
fn differing_order(
    pod: &PodView<'_>,
    first: &SelectedSet<'_>,
    second: &SelectedSet<'_>,
) -> Vec<&'static str> {
    let (a, b) = (first.content, second.content);
    let mut lists = Vec::new();
    if [true, false]
        .into_iter()
        .any(|before| adds_container(pod, a, before) && adds_container(pod, b, before))
    {
        lists.push("containers");
    }
    let volumes = |set| PreparedSet::mounted_volumes(set).map(|(name, _)| name).collect();
    if is_order_visible(volumes(a), volumes(b), pod.volumes) {
        lists.push("volumes");
    }
    if is_order_visible(a.secrets().collect(), b.secrets().collect(), pod.image_pull_secrets) {
        lists.push("imagePullSecrets");
    }
    lists
}

fn adds_container(pod: &PodView<'_>, set: &PreparedSet, before: bool) -> bool {
    let is_before = |policy| policy == InjectPolicy::BeforeAppContainer;
    set.pod_names(ContainerList::Regular).any(|(name, sidecar)| {
        is_before(sidecar.pod_inject_policy) == before && !pod.containers.iter().any(|c| item_name(c) == name)
    })
}

/// Returns whether two lists of names, each name once and without those of the pod, differ when joined the
/// other way round.
fn is_order_visible(a: Vec<&str>, b: Vec<&str>, in_pod: &[Value]) -> bool {
    if a.is_empty() || b.is_empty() {
        return false;
    }
    let in_pod: BTreeSet<&str> = in_pod.iter().map(item_name).collect();
    let mut seen = in_pod.clone();
    let ab: Vec<&str> = a.iter().chain(&b).copied().filter(|name| seen.insert(name)).collect();
    let mut seen = in_pod;
    let ba = b.iter().chain(&a).copied().filter(|name| seen.insert(name));
    !ba.eq(ab)
}

fn order_diagnostic(
    first: &SelectedSet<'_>,
    second: &SelectedSet<'_>,
    content: Option<String>,
    order: &[&str],
) -> Diagnostic {
    let pair = format!("SidecarSets `{}` and `{}`", first.name(), second.name());
    let place = |selected: &SelectedSet<'_>, text: &str| Span {
        label: text.to_owned(),
        ..selected.current.name_span().clone()
    };
    let diagnostic = match content {
        Some(what) => {
            Diagnostic::warning(Code::SetOrderMatters, format!("{what} if the order of {pair} changes"))
                .help("set it in one SidecarSet only, or use the same value in both")
        }
        None => Diagnostic::note(
            Code::SetOrderMatters,
            format!("the order of `{}` depends on the order of {pair}", order.join("`, `")),
        )
        .help("no change is needed; to change the order, rename a SidecarSet or join the two"),
    };
    diagnostic
        .at(place(first, "injected first"))
        .at(place(second, "injected second"))
        .because("pillion injects in order of names; in a cluster Kruise uses any order")
}
