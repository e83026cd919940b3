//! Matches SidecarSets against a pod template and explains mismatches.

use super::set_store::{PreparedSet, SidecarSetStore};
use super::template::{NamespaceLabels, PodTemplate, PodView};
use super::trace::SetTrace;
use super::types::{InjectionContext, SelectedSet, SetSelection};
use super::{order, revision};
use crate::diagnostics::{Code, Diagnostic};
use crate::model::api::NAMESPACE_NAME_LABEL;
use crate::model::selector::{Selector, SelectorOperator};
use crate::model::sidecar_override::ResolvedOverrides;
use crate::model::sidecar_set::SidecarSet;
use crate::yaml::EntryPart;
use serde_json::Value;
use std::fmt;

/// The label that excludes a namespace from Kruise's webhook.
const CONTROL_PLANE_LABEL: &str = "control-plane";

/// Finds the sets that apply and the content each of them gives.
pub(super) fn select_sets<'s>(
    pod: &PodView<'s>,
    sets: &'s SidecarSetStore,
    context: &mut InjectionContext<'_>,
) -> SetSelection<'s> {
    let mut selection =
        SetSelection { selected: Vec::new(), paused_sets: Vec::new(), is_webhook_called: true };
    if !is_webhook_called(pod.template) {
        selection.is_webhook_called = false;
        context.trace_all_skipped(
            sets,
            "the namespace has the label `control-plane`: Kruise's webhook is not called for it",
        );
        return selection;
    }
    for prepared in order::in_injection_order(sets, pod.template.namespace) {
        let set = prepared.set();
        let PodTemplate { namespace, namespace_labels, .. } = pod.template;
        let selector_match = match_set(set, pod.labels, namespace, *namespace_labels);
        let verdict = match selector_match {
            _ if set.is_injection_paused => {
                if selector_match.may_select() {
                    selection.paused_sets.push(prepared);
                }
                Some(SetTrace::skipped(set.name.as_str(), "`injectionStrategy.paused` is set"))
            }
            SelectorMatch::Selected => {
                add_selected_set(pod, (prepared, sets), context, &mut selection.selected)
            }
            SelectorMatch::Unknown(key) => {
                context.report(namespace_labels_unknown(set, pod.template.namespace, key));
                None
            }
            SelectorMatch::NoMatch(ref mismatch) if context.trace.is_some() => {
                Some(SetTrace::skipped(set.name.as_str(), mismatch.to_string()))
            }
            SelectorMatch::NoMatch(_) => None,
        };
        if let (Some(trace), Some(verdict)) = (&mut context.trace, verdict) {
            trace.sets.push(verdict);
        }
    }
    selection
}

/// Adds a set that selects the pod with its content and its overrides, unless one of them excludes the pod. Returns the
/// verdict.
fn add_selected_set<'s>(
    pod: &PodView<'s>,
    (prepared, sets): (&'s PreparedSet, &'s SidecarSetStore),
    context: &mut InjectionContext<'_>,
    selected: &mut Vec<SelectedSet<'s>>,
) -> Option<SetTrace> {
    let (template, name) = (pod.template, prepared.set().name.as_str());
    let (overrides, conflicts) = ResolvedOverrides::choose(template.overrides, name, template.key);
    conflicts.into_iter().for_each(|conflict| context.report(conflict));
    if let Some(exclusion) = overrides.exclusion() {
        let why =
            format!("SidecarOverride `{}` excludes it ({})", exclusion.source.name, exclusion.label(""));
        return Some(SetTrace::skipped(name, why));
    }
    let chosen = revision::select_revision(pod, prepared, sets, context)?;
    let verdict = SetTrace::injected(name, chosen.reason.description());
    selected.push(SelectedSet { overrides, ..chosen });
    Some(verdict)
}

/// Kruise v1.9.0: the webhook configuration omits namespaces that have this label, whatever its value.
pub(super) fn is_webhook_called(template: &PodTemplate<'_>) -> bool {
    match template.namespace_labels {
        NamespaceLabels::Known(labels) => !labels.contains_key(CONTROL_PLANE_LABEL),
        NamespaceLabels::Unknown => true,
    }
}

/// Whether a set applies, its pause aside.
pub(super) enum SelectorMatch<'a> {
    /// Every term holds.
    Selected,
    /// A term does not hold.
    NoMatch(SelectorMismatch<'a>),
    /// No term fails, but this label of the namespace is needed and unknown.
    Unknown(&'a str),
}

impl SelectorMatch<'_> {
    pub(super) fn may_select(&self) -> bool {
        !matches!(self, Self::NoMatch(_))
    }
}

/// Matches the labels of the pod first: the labels of its namespace are needed only if those match.
pub(super) fn match_set<'a>(
    set: &'a SidecarSet,
    labels: Option<&'a Value>,
    namespace: &'a str,
    namespace_labels: NamespaceLabels<'a>,
) -> SelectorMatch<'a> {
    // Kruise v1.9.0: an empty selector matches nothing here, unlike an empty namespaceSelector.
    if set.selector.is_empty() {
        return SelectorMatch::NoMatch(SelectorMismatch::EmptySelector);
    }
    let label = |key: &str| match labels.and_then(|l| l.get(key)) {
        Some(value) => LabelLookup::Value(value.as_str().unwrap_or_default()),
        None => LabelLookup::Absent,
    };
    match first_mismatch(&set.selector, label, "pod") {
        SelectorMatch::Selected => {}
        mismatch => return mismatch,
    }
    match_namespace(set, namespace, namespace_labels)
}

fn match_namespace<'a>(
    set: &'a SidecarSet,
    namespace: &'a str,
    labels: NamespaceLabels<'a>,
) -> SelectorMatch<'a> {
    let label = |key: &str| match labels {
        _ if key == NAMESPACE_NAME_LABEL => LabelLookup::Value(namespace),
        NamespaceLabels::Known(labels) => {
            labels.get(key).map_or(LabelLookup::Absent, |v| LabelLookup::Value(v))
        }
        NamespaceLabels::Unknown => LabelLookup::Unknown,
    };
    set.namespace_selector.as_ref().map_or(SelectorMatch::Selected, |s| first_mismatch(s, label, "namespace"))
}

/// Returns whether a set applies to a namespace.
///
/// # Errors
/// A diagnostic if the answer depends on an unknown label.
pub(crate) fn selects_namespace(
    set: &SidecarSet,
    namespace: &str,
    labels: NamespaceLabels<'_>,
) -> Result<bool, Diagnostic> {
    match match_namespace(set, namespace, labels) {
        SelectorMatch::Selected => Ok(true),
        SelectorMatch::NoMatch(_) => Ok(false),
        SelectorMatch::Unknown(key) => Err(namespace_labels_unknown(set, namespace, key)),
    }
}

enum LabelLookup<'a> {
    Value(&'a str),
    Absent,
    Unknown,
}

/// The term that keeps a set away.
pub(super) enum SelectorMismatch<'a> {
    /// The selector has no term.
    EmptySelector,
    /// A term does not hold.
    Term { subject: &'static str, key: &'a str, requirement: LabelRequirement<'a>, actual: Option<&'a str> },
}

/// The requirement of a term on a label.
pub(super) enum LabelRequirement<'a> {
    Equal(&'a str),
    Operator(&'a SelectorOperator),
}

impl LabelRequirement<'_> {
    fn matches(&self, found: Option<&str>) -> bool {
        match self {
            Self::Equal(value) => found == Some(value),
            Self::Operator(SelectorOperator::In(values)) => {
                found.is_some_and(|f| values.iter().any(|v| v == f))
            }
            Self::Operator(SelectorOperator::NotIn(values)) => {
                !found.is_some_and(|f| values.iter().any(|v| v == f))
            }
            Self::Operator(SelectorOperator::Exists) => found.is_some(),
            Self::Operator(SelectorOperator::DoesNotExist) => found.is_none(),
        }
    }
}

fn first_mismatch<'a>(
    selector: &'a Selector,
    look: impl Fn(&'a str) -> LabelLookup<'a>,
    of: &'static str,
) -> SelectorMatch<'a> {
    let labels = selector.match_labels.iter().map(|(k, v)| (k.as_str(), LabelRequirement::Equal(v)));
    let expressions =
        selector.match_expressions.iter().map(|r| (r.key.as_str(), LabelRequirement::Operator(&r.operator)));
    let mut unknown = None;
    for (key, wanted) in labels.chain(expressions) {
        let found = match look(key) {
            LabelLookup::Unknown => {
                unknown = unknown.or(Some(key));
                continue;
            }
            LabelLookup::Value(value) => Some(value),
            LabelLookup::Absent => None,
        };
        if !wanted.matches(found) {
            return SelectorMatch::NoMatch(SelectorMismatch::Term {
                subject: of,
                key,
                requirement: wanted,
                actual: found,
            });
        }
    }
    unknown.map_or(SelectorMatch::Selected, SelectorMatch::Unknown)
}

impl fmt::Display for SelectorMismatch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Term { subject: of, key, requirement: wanted, actual: found } = self else {
            return f.write_str("its selector is empty, which matches nothing");
        };
        match found {
            Some(value) => write!(f, "the {of}'s label `{key}` is `{value}`, ")?,
            None => write!(f, "the {of} has no label `{key}`, ")?,
        }
        match wanted {
            LabelRequirement::Equal(value) => write!(f, "the selector requires `{value}`"),
            LabelRequirement::Operator(SelectorOperator::In(values)) => {
                write!(f, "the selector requires one of {}", quote_values(values))
            }
            LabelRequirement::Operator(SelectorOperator::NotIn(values)) => {
                write!(f, "the selector requires none of {}", quote_values(values))
            }
            LabelRequirement::Operator(SelectorOperator::Exists) => {
                f.write_str("the selector requires it to exist")
            }
            LabelRequirement::Operator(SelectorOperator::DoesNotExist) => {
                f.write_str("the selector requires it to be absent")
            }
        }
    }
}

fn quote_values(values: &[String]) -> String {
    values.iter().map(|v| format!("`{v}`")).collect::<Vec<_>>().join(", ")
}

fn namespace_labels_unknown(set: &SidecarSet, namespace: &str, key: &str) -> Diagnostic {
    let message =
        format!("SidecarSet `{}` needs labels of namespace `{namespace}`, which are unknown", set.name);
    let at = set.path.child("spec").child("namespaceSelector");
    Diagnostic::error(Code::NamespaceLabelsUnknown, message)
        .at(set.document.label(&at, EntryPart::Key, format!("needs `{key}`")))
        .field("spec.namespaceSelector")
        .because("without them pillion cannot decide whether its pods get this sidecar")
        .help(format!(
            "add `- {{name: {namespace}, labels: {{{key}: VALUE}}}}` under `namespaces:` in pillion.yaml, or the \
             manifest of the Namespace"
        ))
}
