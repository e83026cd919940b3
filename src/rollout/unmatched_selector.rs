//! Selectors that match no workload: explains why, and suggests what was meant.

use super::LabelMap;
use crate::diagnostics::{Code, Diagnostic, pluralize};
use crate::model::api::NAMESPACE_NAME_LABEL;
use crate::model::selector::{Selector, SelectorOperator};
use crate::model::sidecar_set::SidecarSet;
use crate::model::suggestion::closest_match;
use crate::yaml::{EntryPart, FieldPath};
use std::collections::{BTreeMap, BTreeSet};

/// What a SidecarSet can select.
#[derive(Debug, Default)]
pub(crate) struct SelectorCandidates {
    /// The labels of every pod template, with the namespace.
    pub(crate) workloads: Vec<(String, LabelMap)>,
    /// The labels of namespaces, as far as they are known.
    pub(crate) namespaces: BTreeMap<String, LabelMap>,
}

/// One term of a selector: a key, and the allowed values; none where any value is.
struct SelectorTerm<'s> {
    list: &'static str,
    path: FieldPath,
    key: &'s str,
    values: Vec<&'s str>,
}

/// Reports that a SidecarSet selects no workload; `with_sidecar`: how many workloads have its sidecar now.
pub(crate) fn unmatched_selector(
    set: &SidecarSet,
    candidates: &SelectorCandidates,
    with_sidecar: usize,
) -> Diagnostic {
    let of_pods: Vec<&LabelMap> = candidates.workloads.iter().map(|(_, labels)| labels).collect();
    let selects = |labels: &&&LabelMap| set.selector.matches(labels);
    let by_labels = of_pods.iter().filter(selects).count();
    let (field, selector, labels) = match &set.namespace_selector {
        // The pods match, and their namespaces do not.
        Some(selector) if by_labels > 0 => ("namespaceSelector", selector, namespaces(candidates)),
        _ => ("selector", &set.selector, of_pods.into_iter().cloned().collect()),
    };
    let terms = terms(field, selector);
    let missed = terms.iter().find(|t| !labels.iter().any(|l| t.matches(l))).or(terms.first());
    let all = pluralize(candidates.workloads.len() as u64, "workload");
    let name = &set.name;
    let message = match missed {
        Some(term) => format!("`{}` of SidecarSet `{name}` selects none of {all}", term.description()),
        None => format!("`{field}` of SidecarSet `{name}` selects none of {all}"),
    };
    let at = missed.map_or_else(|| FieldPath::dotted("spec").child(field), |term| term.path.clone());
    let diagnostic = Diagnostic::error(Code::SelectsNothing, message)
        .at(set.document.label(&set.path.join(&at), EntryPart::Value, ""))
        .field(at.to_string());
    let diagnostic = match with_sidecar {
        0 => diagnostic.because("no workload would get its sidecar"),
        n => diagnostic.because(format!("{} would lose its sidecar", pluralize(n as u64, "workload"))),
    };
    let remove = "to remove a sidecar, delete the file of its SidecarSet";
    match missed.and_then(|term| suggest_label(term, &labels)) {
        Some(meant) => diagnostic.help(format!("did you mean {meant}? {remove}")),
        None => diagnostic.help(format!("correct the selector; {remove}")),
    }
}

/// Returns the labels of the namespaces of workloads.
fn namespaces(candidates: &SelectorCandidates) -> Vec<LabelMap> {
    let used: BTreeSet<&String> = candidates.workloads.iter().map(|(namespace, _)| namespace).collect();
    let labels = |name: &&String| {
        let mut labels = candidates.namespaces.get(*name).cloned().unwrap_or_default();
        labels.insert(NAMESPACE_NAME_LABEL.to_owned(), (*name).clone());
        labels
    };
    used.iter().map(labels).collect()
}

fn terms<'s>(field: &'static str, selector: &'s Selector) -> Vec<SelectorTerm<'s>> {
    let spec = FieldPath::dotted("spec").child(field);
    let labels = selector.match_labels.iter().map(|(key, value)| SelectorTerm {
        list: "matchLabels",
        path: spec.child("matchLabels").child(key.clone()),
        key,
        values: vec![value],
    });
    let expressions = selector.match_expressions.iter().enumerate().filter_map(|(i, requirement)| {
        let values = match &requirement.operator {
            SelectorOperator::In(values) => values.iter().map(String::as_str).collect(),
            SelectorOperator::Exists => Vec::new(),
            SelectorOperator::NotIn(_) | SelectorOperator::DoesNotExist => return None,
        };
        let place = spec.child("matchExpressions").child(i);
        Some(SelectorTerm { list: "matchExpressions", path: place, key: &requirement.key, values })
    });
    labels.chain(expressions).collect()
}

impl SelectorTerm<'_> {
    fn matches(&self, labels: &LabelMap) -> bool {
        labels.get(self.key).is_some_and(|value| self.values.is_empty() || self.values.contains(&&**value))
    }

    fn description(&self) -> String {
        match (self.list, &self.values[..]) {
            ("matchLabels", [value]) => format!("matchLabels: {{{}: {value:?}}}", self.key),
            (_, []) => format!("matchExpressions: {} Exists", self.key),
            (_, values) => format!("matchExpressions: {} In [{}]", self.key, values.join(", ")),
        }
    }
}

/// Returns the label that was probably meant, and how many have it.
fn suggest_label(term: &SelectorTerm<'_>, labels: &[LabelMap]) -> Option<String> {
    let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for (key, value) in labels.iter().flatten() {
        *counts.entry((key, value)).or_default() += 1;
    }
    let values = || counts.keys().filter(|(key, _)| *key == term.key).map(|(_, value)| *value);
    let of_value = term.values.iter().find_map(|value| closest_match(value, values()));
    let of_key = || {
        let keys = counts.keys().filter(|(_, v)| term.values.is_empty() || term.values.contains(v));
        let key = closest_match(term.key, keys.map(|(key, _)| *key))?;
        let value =
            counts.keys().find(|(k, v)| *k == key && (term.values.is_empty() || term.values.contains(v)));
        value.copied()
    };
    let found = of_value.map(|value| (term.key, value)).or_else(of_key)?;
    let (key, value) = found;
    let have = counts.get(&found).copied().unwrap_or(0);
    let noun = if term.path.to_string().contains("namespaceSelector") { "namespace" } else { "workload" };
    let verb = if have == 1 { "has" } else { "have" };
    Some(format!("`{key}: {value:?}`, which {} {verb}", pluralize(have as u64, noun)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> LabelMap {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn near_labels_are_found() {
        let all = [labels(&[("log", "true"), ("app", "web")]), labels(&[("log", "true"), ("app", "api")])];
        let meant = |key, values: &[&'static str]| {
            let place = FieldPath::dotted("spec.selector.matchLabels").child("x");
            suggest_label(
                &SelectorTerm { list: "matchLabels", path: place, key, values: values.to_vec() },
                &all,
            )
        };
        assert_eq!(meant("lgo", &["true"]).as_deref(), Some("`log: \"true\"`, which 2 workloads have"));
        assert_eq!(meant("log", &["treu"]).as_deref(), Some("`log: \"true\"`, which 2 workloads have"));
        assert_eq!(meant("log", &["True"]).as_deref(), Some("`log: \"true\"`, which 2 workloads have"));
        assert_eq!(meant("apq", &[]).as_deref(), Some("`app: \"api\"`, which 1 workload has"));
        assert_eq!(meant("team", &["a"]), None);
        assert_eq!(meant("log", &["no"]), None);
    }
}
