//! Does a SidecarSet apply to this pod template, and if not, which term is to blame?

use super::revision::Chosen;
use super::sets::{PreparedSet, Sets};
use super::template::Pod;
use super::trace::SetTrace;
use super::{NamespaceLabels, PodTemplate, Work, order, revision};
use crate::diag::{Code, Diagnostic};
use crate::model::selector::{Operator, Selector};
use crate::model::sidecar_set::SidecarSet;
use crate::yaml::Part;
use serde_json::Value;
use std::fmt;

/// The label that the API server puts on every namespace.
pub(super) const NAMESPACE_NAME: &str = "kubernetes.io/metadata.name";

/// The label whose mere presence keeps Kruise's webhook away from a namespace.
const CONTROL_PLANE: &str = "control-plane";

/// The sets that apply, in the order of injection.
pub(super) struct Choice<'s> {
    pub(super) chosen: Vec<Chosen<'s>>,
    /// Sets that would apply if their injection were not paused.
    pub(super) paused: Vec<&'s PreparedSet>,
    /// The webhook is called for pods of this namespace.
    pub(super) is_webhook_called: bool,
}

/// Finds the sets that apply and the content each of them gives.
pub(super) fn choose<'s>(pod: &Pod<'_>, sets: &'s Sets, work: &mut Work<'_>) -> Choice<'s> {
    let mut choice = Choice { chosen: Vec::new(), paused: Vec::new(), is_webhook_called: true };
    if !is_webhook_called(pod.template) {
        choice.is_webhook_called = false;
        work.note_all(
            sets,
            "the namespace has the label `control-plane`: Kruise's webhook is not called for it",
        );
        return choice;
    }
    for prepared in order::candidates(sets, pod.template.namespace) {
        let set = prepared.set();
        let judgement = judge(set, pod.labels, pod.template);
        let verdict = match judgement {
            _ if set.injection_paused => {
                if judgement.may_select() {
                    choice.paused.push(prepared);
                }
                Some(SetTrace::passed(set.name.as_str(), "`injectionStrategy.paused` is set"))
            }
            Judgement::Selected => revision::pick(pod, prepared, sets, work).map(|chosen| {
                let verdict = SetTrace::injected(set.name.as_str(), chosen.why.words());
                choice.chosen.push(chosen);
                verdict
            }),
            Judgement::Unknown(key) => {
                work.tell(labels_unknown(set, pod.template.namespace, key));
                None
            }
            Judgement::Missed(ref missed) if work.trace.is_some() => {
                Some(SetTrace::passed(set.name.as_str(), missed.to_string()))
            }
            Judgement::Missed(_) => None,
        };
        if let (Some(trace), Some(verdict)) = (&mut work.trace, verdict) {
            trace.sets.push(verdict);
        }
    }
    choice
}

/// Kruise v1.9.0: the webhook configuration leaves out namespaces that carry this label, whatever its value.
pub(super) fn is_webhook_called(template: &PodTemplate<'_>) -> bool {
    match template.namespace_labels {
        NamespaceLabels::Known(labels) => !labels.contains_key(CONTROL_PLANE),
        NamespaceLabels::Unknown => true,
    }
}

/// Whether a set applies, its pause aside.
pub(super) enum Judgement<'a> {
    /// Every term holds.
    Selected,
    /// A term does not hold.
    Missed(Miss<'a>),
    /// No term fails, but this label of the namespace, which nobody has told, is asked for.
    Unknown(&'a str),
}

impl Judgement<'_> {
    pub(super) fn may_select(&self) -> bool {
        !matches!(self, Self::Missed(_))
    }
}

/// Judges the pod's labels first: a set that does not want the pod never asks for the namespace's labels.
pub(super) fn judge<'a>(
    set: &'a SidecarSet,
    labels: Option<&'a Value>,
    template: &'a PodTemplate<'_>,
) -> Judgement<'a> {
    // Kruise v1.9.0: an empty selector matches nothing here, unlike an empty namespaceSelector.
    if set.selector.is_empty() {
        return Judgement::Missed(Miss::EmptySelector);
    }
    let label = |key: &str| match labels.and_then(|l| l.get(key)) {
        Some(value) => Lookup::Value(value.as_str().unwrap_or_default()),
        None => Lookup::Absent,
    };
    match first_miss(&set.selector, label, "pod") {
        Judgement::Selected => {}
        missed => return missed,
    }
    judge_namespace(set, template.namespace, template.namespace_labels)
}

fn judge_namespace<'a>(
    set: &'a SidecarSet,
    namespace: &'a str,
    labels: NamespaceLabels<'a>,
) -> Judgement<'a> {
    let label = |key: &str| match labels {
        _ if key == NAMESPACE_NAME => Lookup::Value(namespace),
        NamespaceLabels::Known(labels) => labels.get(key).map_or(Lookup::Absent, |v| Lookup::Value(v)),
        NamespaceLabels::Unknown => Lookup::Unknown,
    };
    set.namespace_selector.as_ref().map_or(Judgement::Selected, |s| first_miss(s, label, "namespace"))
}

/// Tells whether a set applies to a namespace.
///
/// # Errors
/// A diagnostic where that hangs on a label which nobody has told.
pub fn selects_namespace(
    set: &SidecarSet,
    namespace: &str,
    labels: NamespaceLabels<'_>,
) -> Result<bool, Diagnostic> {
    match judge_namespace(set, namespace, labels) {
        Judgement::Selected => Ok(true),
        Judgement::Missed(_) => Ok(false),
        Judgement::Unknown(key) => Err(labels_unknown(set, namespace, key)),
    }
}

enum Lookup<'a> {
    Value(&'a str),
    Absent,
    Unknown,
}

/// The term that keeps a set away.
pub(super) enum Miss<'a> {
    /// The selector has no term.
    EmptySelector,
    /// A term does not hold.
    Term { of: &'static str, key: &'a str, wanted: Wanted<'a>, found: Option<&'a str> },
}

/// What a term asks of a label.
pub(super) enum Wanted<'a> {
    Equal(&'a str),
    Operator(&'a Operator),
}

impl Wanted<'_> {
    fn holds(&self, found: Option<&str>) -> bool {
        match self {
            Self::Equal(value) => found == Some(value),
            Self::Operator(Operator::In(values)) => found.is_some_and(|f| values.iter().any(|v| v == f)),
            Self::Operator(Operator::NotIn(values)) => !found.is_some_and(|f| values.iter().any(|v| v == f)),
            Self::Operator(Operator::Exists) => found.is_some(),
            Self::Operator(Operator::DoesNotExist) => found.is_none(),
        }
    }
}

fn first_miss<'a>(
    selector: &'a Selector,
    look: impl Fn(&'a str) -> Lookup<'a>,
    of: &'static str,
) -> Judgement<'a> {
    let labels = selector.match_labels.iter().map(|(k, v)| (k.as_str(), Wanted::Equal(v)));
    let expressions =
        selector.match_expressions.iter().map(|r| (r.key.as_str(), Wanted::Operator(&r.operator)));
    let mut unknown = None;
    for (key, wanted) in labels.chain(expressions) {
        let found = match look(key) {
            Lookup::Unknown => {
                unknown = unknown.or(Some(key));
                continue;
            }
            Lookup::Value(value) => Some(value),
            Lookup::Absent => None,
        };
        if !wanted.holds(found) {
            return Judgement::Missed(Miss::Term { of, key, wanted, found });
        }
    }
    unknown.map_or(Judgement::Selected, Judgement::Unknown)
}

impl fmt::Display for Miss<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Term { of, key, wanted, found } = self else {
            return f.write_str("its selector is empty, which matches nothing");
        };
        match found {
            Some(value) => write!(f, "the {of}'s label `{key}` is `{value}`, ")?,
            None => write!(f, "the {of} has no label `{key}`, ")?,
        }
        match wanted {
            Wanted::Equal(value) => write!(f, "the selector wants `{value}`"),
            Wanted::Operator(Operator::In(values)) => {
                write!(f, "the selector wants one of {}", quoted(values))
            }
            Wanted::Operator(Operator::NotIn(values)) => {
                write!(f, "the selector wants none of {}", quoted(values))
            }
            Wanted::Operator(Operator::Exists) => f.write_str("the selector wants it to exist"),
            Wanted::Operator(Operator::DoesNotExist) => f.write_str("the selector wants it absent"),
        }
    }
}

fn quoted(values: &[String]) -> String {
    values.iter().map(|v| format!("`{v}`")).collect::<Vec<_>>().join(", ")
}

fn labels_unknown(set: &SidecarSet, namespace: &str, key: &str) -> Diagnostic {
    let message =
        format!("SidecarSet `{}` asks for labels of namespace `{namespace}`, which are not known", set.name);
    let at = set.path.then("spec").then("namespaceSelector");
    Diagnostic::error(Code::NamespaceLabelsUnknown, message)
        .at(set.document.label(&at, Part::Key, format!("wants to know `{key}`")))
        .field("spec.namespaceSelector")
        .because("without them nobody can tell whether its pods get this sidecar")
        .help(format!(
            "add `- {{name: {namespace}, labels: {{{key}: VALUE}}}}` under `namespaces:` in pillion.yaml, or the \
             manifest of the Namespace"
        ))
}
