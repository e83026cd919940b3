//! Resolves the labels of namespaces.

use super::collect::CollectedObjects;
use crate::inject::NamespaceLabels;
use crate::model::api::NAMESPACE_NAME_LABEL;
use crate::model::config::RepositoryConfig;
use std::collections::BTreeMap;

/// Labels of namespaces, from Namespace manifests first and pillion.yaml second.
#[derive(Debug, Default)]
pub(crate) struct NamespaceIndex(BTreeMap<String, BTreeMap<String, String>>);

impl NamespaceIndex {
    /// Collects what Namespace manifests say, and then what pillion.yaml says of the others.
    pub(crate) fn from_inputs(collected: &CollectedObjects, repository: &RepositoryConfig) -> Self {
        let mut namespaces = Self::default();
        for (name, labels) in &collected.namespaces {
            namespaces.add(name, labels);
        }
        for rule in &repository.namespaces {
            if let Some(labels) = &rule.labels {
                namespaces.add(&rule.name, labels);
            }
        }
        namespaces
    }

    /// Adds the labels of a namespace, unless some are known already.
    pub(crate) fn add(&mut self, name: &str, labels: &BTreeMap<String, String>) {
        self.0.entry(name.to_owned()).or_insert_with(|| {
            let mut labels = labels.clone();
            labels.insert(NAMESPACE_NAME_LABEL.to_owned(), name.to_owned());
            labels
        });
    }

    /// Returns what is known about a namespace.
    pub(crate) fn labels_of(&self, name: &str) -> NamespaceLabels<'_> {
        self.0.get(name).map_or(NamespaceLabels::Unknown, NamespaceLabels::Known)
    }

    /// Returns everything that is known, by the names of the namespaces.
    pub(crate) fn into_map(self) -> BTreeMap<String, BTreeMap<String, String>> {
        self.0
    }
}
