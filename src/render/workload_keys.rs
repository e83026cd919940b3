//! Checks that each workload has one key everywhere: a ledger needs explicit namespaces, and its entries must match
//! existing workloads.

use super::renderer::Renderer;
use super::workload::WorkloadRef;
use crate::diagnostics::{Code, Diagnostic, Span};
use crate::yaml::{Document, EntryPart};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path};
use std::sync::Arc;

/// The kind of a workload with its group, and its name.
type KindNamePair<'a> = (&'a str, &'a str);

/// The namespace of a workload, and its key.
type NamespaceKeyPair<'a> = (&'a str, &'a Arc<str>);

impl Renderer {
    /// Reports workloads with a guessed namespace that a SidecarSet with a ledger selects.
    pub(crate) fn check_namespace(&self, document: &Document, workload: &WorkloadRef) -> Option<Diagnostic> {
        if !workload.is_namespace_guessed {
            return None;
        }
        let labels = workload.pod_template(document)["metadata"]["labels"].as_object();
        let labels: BTreeMap<String, String> = labels
            .into_iter()
            .flatten()
            .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
            .collect();
        let set = self.assignments.rollout_sets().find(|set| set.set().selector.matches(&labels))?;
        let folder = folder_of(document.file());
        let message = format!(
            "{} `{}` has no namespace, and `namespaces:` of pillion.yaml sets none for it",
            workload.kind.kind, workload.name
        );
        let error = Diagnostic::error(Code::NamespaceUnspecified, message)
            .at(document.label(&workload.path.child("metadata"), EntryPart::Key, ""))
            .because(format!(
                "SidecarSet `{}` has a ledger, which identifies a workload by its namespace: every command and plugin must use the same one",
                set.name()
            ));
        Some(error.help(format!(
            "write `metadata.namespace`, or add `- {{folder: {folder}, name: NAMESPACE}}` to `namespaces:` of pillion.yaml, even for `default`"
        )))
    }

    /// Finds entries of ledgers for workloads that are not there, where one of the same kind and name is, in another
    /// namespace. Namespaces that are both `declared` are those of two applications.
    pub(crate) fn find_unknown_entries(
        &self,
        present: &BTreeSet<Arc<str>>,
        declared: &BTreeSet<String>,
        at: &Span,
    ) -> Vec<Diagnostic> {
        let mut by_name: BTreeMap<KindNamePair<'_>, Vec<NamespaceKeyPair<'_>>> = BTreeMap::new();
        for key in present.iter().filter(|key| !self.assignments.has_entry(key)) {
            let Some((kind, namespace, name)) = split_workload_key(key) else { continue };
            by_name.entry((kind, name)).or_default().push((namespace, key));
        }
        let mut found = Vec::new();
        for (entry, set) in self.assignments.entry_keys().filter(|(entry, _)| !present.contains(*entry)) {
            let Some((kind, namespace, name)) = split_workload_key(entry) else { continue };
            let is_declared = |other: &str| declared.contains(namespace) && declared.contains(other);
            let same = by_name.get(&(kind, name)).into_iter().flatten();
            found.extend(same.filter(|(other, _)| !is_declared(other)).map(|(other, key)| {
                Diagnostic::error(
                    Code::LedgerWorkloadUnknown,
                    format!("the ledger of `{set}` has an entry for `{entry}`, but the rendered workload is `{key}`"),
                )
                .at(at.clone())
                .because("a batch with another key changes nothing here, and the end of the rollout would change everything at once")
                .help(format!(
                    "use the same namespace in the manifests or in `namespaces:` of pillion.yaml; for two applications, list both there: `- {{name: {namespace}}}` and `- {{name: {other}}}`"
                ))
            }));
        }
        found
    }
}

fn split_workload_key(key: &str) -> Option<(&str, &str, &str)> {
    let mut parts = key.splitn(3, '/');
    Some((parts.next()?, parts.next()?, parts.next()?))
}

/// The folder of a file as pillion.yaml names it: what leads to that from the working folder is omitted.
fn folder_of(file: &str) -> String {
    let folder = Path::new(file).parent().unwrap_or(Path::new(""));
    let inside = folder.components().filter(|part| matches!(part, Component::Normal(_)));
    let inside: Vec<_> = inside.map(|part| part.as_os_str().to_string_lossy()).collect();
    let is_file = [".yaml", ".yml", ".json"].iter().any(|end| file.ends_with(end));
    if inside.is_empty() || !is_file { ".".to_owned() } else { inside.join("/") }
}
