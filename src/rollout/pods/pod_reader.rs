//! Reads pods from the output of `kubectl get -o json` or `-o yaml`.

use super::pod::SidecarPod;
use crate::diagnostics::{Code, Diagnostic};
use crate::model::workload::{api_group, item_type_meta, type_meta};
use crate::yaml::{Document, EntryPart, FieldPath};
use serde_json::Value;
use std::collections::BTreeMap;

/// How many findings about observed objects are reported: the others have the same cause.
const MAX_DIAGNOSTICS: usize = 20;

/// Reads the pods among observed objects: Pods, and the items of a List or PodList. Objects of other kinds are
/// ignored. Values that are not objects, invalid pods and duplicates are errors.
pub fn read_pods(documents: &[Document]) -> (Vec<SidecarPod>, Vec<Diagnostic>) {
    let mut observed = PodCollector::default();
    for document in documents {
        observed.diagnostics.extend(document.diagnostics().iter().cloned());
        observed.add_document(document);
    }
    if observed.pods.is_empty() && observed.ignored_objects > 0 && observed.diagnostics.is_empty() {
        observed.diagnostics.extend(documents.first().map(no_pods));
    }
    (observed.pods, observed.diagnostics)
}

#[derive(Default)]
struct PodCollector<'a> {
    pods: Vec<SidecarPod>,
    /// Locates each pod.
    locations: BTreeMap<(String, String), (&'a Document, FieldPath)>,
    ignored_objects: usize,
    diagnostics: Vec<Diagnostic>,
}

impl<'a> PodCollector<'a> {
    fn add_document(&mut self, document: &'a Document) {
        let (root, value) = (FieldPath::root(), document.value());
        match type_meta(value) {
            None => self.add_diagnostic(|| not_an_object(document, &root)),
            Some((api_version, kind)) => self.add_object(document, &root, value, api_version, kind),
        }
    }

    fn add_object(
        &mut self,
        document: &'a Document,
        path: &FieldPath,
        value: &'a Value,
        api_version: &str,
        kind: &str,
    ) {
        match kind {
            "Pod" if api_group(api_version).is_empty() => self.add_pod(document, path, value),
            _ if kind.ends_with("List") => self.add_list(document, path, value),
            _ => self.ignored_objects += 1,
        }
    }

    fn add_list(&mut self, document: &'a Document, path: &FieldPath, list: &'a Value) {
        let path = path.child("items");
        let items = match list.get("items") {
            None | Some(Value::Null) => return,
            Some(Value::Array(items)) => items,
            Some(_) => return self.add_diagnostic(|| wrong_type(document, &path, "a list")),
        };
        for (i, item) in items.iter().enumerate() {
            match item_type_meta(list, item) {
                None => self.add_diagnostic(|| not_an_object(document, &path.child(i))),
                Some((api_version, kind)) => {
                    self.add_object(document, &path.child(i), item, &api_version, &kind)
                }
            }
        }
    }

    fn add_pod(&mut self, document: &'a Document, path: &FieldPath, value: &'a Value) {
        let pod = match SidecarPod::from_value(value) {
            Ok(pod) if pod.name.is_empty() => {
                return self.add_diagnostic(|| pod_without_name(document, path));
            }
            Ok(pod) => pod,
            Err(error) => {
                return self
                    .add_diagnostic(|| wrong_type(document, &path.join(&error.path()), error.expected));
            }
        };
        let key = (pod.namespace.clone(), pod.name.clone());
        if let Some((first_document, first)) = self.locations.get(&key) {
            let diagnostic = duplicate_pod(&pod, (document, path), (first_document, first));
            return self.add_diagnostic(|| diagnostic);
        }
        self.locations.insert(key, (document, path.clone()));
        self.pods.push(pod);
    }

    fn add_diagnostic(&mut self, finding: impl FnOnce() -> Diagnostic) {
        if self.diagnostics.len() < MAX_DIAGNOSTICS {
            self.diagnostics.push(finding());
        }
    }
}

/// Adds the remedy of every such finding: observe the pods again.
const KUBECTL_HELP: &str = "pass the output of `kubectl get pods -A -o json`";

fn not_an_object(document: &Document, path: &FieldPath) -> Diagnostic {
    Diagnostic::error(Code::WrongType, "an observed object has no `apiVersion` and `kind`")
        .at(document.label(path, EntryPart::Value, ""))
        .field(path.to_string())
        .help(KUBECTL_HELP)
}

fn wrong_type(document: &Document, path: &FieldPath, wanted: &str) -> Diagnostic {
    Diagnostic::error(Code::WrongType, format!("`{path}` must be {wanted}"))
        .at(document.label(path, EntryPart::Value, ""))
        .field(path.to_string())
        .help(KUBECTL_HELP)
}

fn pod_without_name(document: &Document, path: &FieldPath) -> Diagnostic {
    let name = path.join(&FieldPath::dotted("metadata.name"));
    Diagnostic::error(Code::MissingField, "an observed pod has no name")
        .at(document.label(&name, EntryPart::Key, ""))
        .field(name.to_string())
        .because("a pod template has no name; only running pods can be observed")
        .help(KUBECTL_HELP)
}

fn duplicate_pod(
    pod: &SidecarPod,
    second: (&Document, &FieldPath),
    first: (&Document, &FieldPath),
) -> Diagnostic {
    let label = |(document, path): (&Document, &FieldPath), text: &str| {
        document.label(&path.join(&FieldPath::dotted("metadata.name")), EntryPart::Value, text)
    };
    Diagnostic::error(Code::DuplicateValue, format!("duplicate pod `{}`", pod.key()))
        .at(label(second, "here again"))
        .at(label(first, "first here"))
        .help("pass the pods of one cluster, each pod once")
}

fn no_pods(document: &Document) -> Diagnostic {
    Diagnostic::error(Code::NoPods, "the cluster state has no Pod")
        .at(document.label(&FieldPath::root(), EntryPart::Value, ""))
        .help(KUBECTL_HELP)
}
