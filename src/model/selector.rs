//! Label selectors, as apimachinery reads them (metav1.LabelSelector, labels.Selector).

use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// What one requirement asks of the value of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SelectorOperator {
    /// The key is there and its value is one of these.
    In(Vec<String>),
    /// The key is absent or its value is none of these.
    NotIn(Vec<String>),
    /// The key is there.
    Exists,
    /// The key is absent.
    DoesNotExist,
}

/// One term of `matchExpressions`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Requirement {
    /// The label key.
    pub(crate) key: String,
    /// What is asked of it.
    pub(crate) operator: SelectorOperator,
}

/// A label selector; all its terms must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selector {
    /// `matchLabels`.
    pub match_labels: BTreeMap<String, String>,
    /// `matchExpressions`.
    pub(crate) match_expressions: Vec<Requirement>,
}

impl Selector {
    /// Reads a selector; what the API server would refuse is skipped or matches nothing.
    pub(crate) fn from_map(written: &Map<String, Value>) -> Self {
        let labels = written.get("matchLabels").and_then(Value::as_object).into_iter().flatten();
        let expressions = written.get("matchExpressions").and_then(Value::as_array).into_iter().flatten();
        Self {
            match_labels: labels.filter_map(|(k, v)| Some((k.clone(), v.as_str()?.to_owned()))).collect(),
            match_expressions: expressions.filter_map(Value::as_object).map(parse_requirement).collect(),
        }
    }

    /// Returns whether there is not a term at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.match_labels.is_empty() && self.match_expressions.is_empty()
    }

    /// Returns whether every term holds for these labels. A selector without terms holds for everything.
    pub(crate) fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.match_labels.iter().all(|(k, v)| labels.get(k) == Some(v))
            && self.match_expressions.iter().all(|r| {
                let value = labels.get(&r.key);
                match &r.operator {
                    SelectorOperator::In(values) => value.is_some_and(|v| values.contains(v)),
                    SelectorOperator::NotIn(values) => value.is_none_or(|v| !values.contains(v)),
                    SelectorOperator::Exists => value.is_some(),
                    SelectorOperator::DoesNotExist => value.is_none(),
                }
            })
    }
}

fn parse_requirement(written: &Map<String, Value>) -> Requirement {
    let text = |key: &str| written.get(key).and_then(Value::as_str);
    let values = written.get("values").and_then(Value::as_array).into_iter().flatten();
    let values = values.filter_map(|v| v.as_str().map(str::to_owned)).collect();
    let operator = match text("operator") {
        Some("In") => SelectorOperator::In(values),
        Some("NotIn") => SelectorOperator::NotIn(values),
        Some("Exists") => SelectorOperator::Exists,
        Some("DoesNotExist") => SelectorOperator::DoesNotExist,
        // Validation refuses any other operator, and nothing may match by accident.
        _ => SelectorOperator::In(Vec::new()),
    };
    Requirement { key: text("key").unwrap_or_default().into(), operator }
}
