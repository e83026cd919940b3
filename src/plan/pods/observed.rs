//! From what `kubectl get -o json` or `-o yaml` printed to the pods in it.

use super::pod::Pod;
use crate::diag::{Code, Diagnostic};
use crate::model::workload::{group_of, type_of, type_of_item};
use crate::yaml::{Document, Part, Path};
use serde_json::Value;
use std::collections::BTreeMap;

/// Findings about observed objects that are shown: whoever wrote one of them wrote the rest.
const MOST: usize = 20;

/// Reads the pods among observed objects: Pods, and those of a List or PodList. Objects of other kinds are passed
/// over. Of everything that is no object, no pod can be made of and is there twice there is an error.
pub fn observed(documents: &[Document]) -> (Vec<Pod>, Vec<Diagnostic>) {
    let mut observed = Observed::default();
    for document in documents {
        observed.found.extend(document.diagnostics().iter().cloned());
        observed.object(document);
    }
    if observed.pods.is_empty() && observed.passed_over > 0 && observed.found.is_empty() {
        observed.found.extend(documents.first().map(without_pods));
    }
    (observed.pods, observed.found)
}

#[derive(Default)]
struct Observed<'a> {
    pods: Vec<Pod>,
    /// Where each pod stands.
    places: BTreeMap<(String, String), (&'a Document, Path)>,
    passed_over: usize,
    found: Vec<Diagnostic>,
}

impl<'a> Observed<'a> {
    fn object(&mut self, document: &'a Document) {
        let (root, value) = (Path::root(), document.value());
        match type_of(value) {
            None => self.tell(|| no_object(document, &root)),
            Some((api_version, kind)) => self.typed(document, &root, value, api_version, kind),
        }
    }

    fn typed(
        &mut self,
        document: &'a Document,
        path: &Path,
        value: &'a Value,
        api_version: &str,
        kind: &str,
    ) {
        match kind {
            "Pod" if group_of(api_version).is_empty() => self.pod(document, path, value),
            _ if kind.ends_with("List") => self.items(document, path, value),
            _ => self.passed_over += 1,
        }
    }

    fn items(&mut self, document: &'a Document, path: &Path, list: &'a Value) {
        let path = path.then("items");
        let items = match list.get("items") {
            None | Some(Value::Null) => return,
            Some(Value::Array(items)) => items,
            Some(_) => return self.tell(|| wrong_type(document, &path, "a list")),
        };
        for (i, item) in items.iter().enumerate() {
            match type_of_item(list, item) {
                None => self.tell(|| no_object(document, &path.then(i))),
                Some((api_version, kind)) => self.typed(document, &path.then(i), item, &api_version, &kind),
            }
        }
    }

    fn pod(&mut self, document: &'a Document, path: &Path, value: &'a Value) {
        let pod = match Pod::read(value) {
            Ok(pod) if pod.name.is_empty() => return self.tell(|| without_name(document, path)),
            Ok(pod) => pod,
            Err(misfit) => {
                return self.tell(|| wrong_type(document, &path.join(&misfit.path()), misfit.wanted));
            }
        };
        let key = (pod.namespace.clone(), pod.name.clone());
        if let Some((first_document, first)) = self.places.get(&key) {
            let twice = twice(&pod, (document, path), (first_document, first));
            return self.tell(|| twice);
        }
        self.places.insert(key, (document, path.clone()));
        self.pods.push(pod);
    }

    fn tell(&mut self, finding: impl FnOnce() -> Diagnostic) {
        if self.found.len() < MOST {
            self.found.push(finding());
        }
    }
}

/// Whatever is wrong, the pods are better observed once more.
const AGAIN: &str = "give what `kubectl get pods -A -o json` prints";

fn no_object(document: &Document, path: &Path) -> Diagnostic {
    Diagnostic::error(Code::WrongType, "an observed object has no `apiVersion` and `kind`")
        .at(document.label(path, Part::Value, ""))
        .field(path.to_string())
        .help(AGAIN)
}

fn wrong_type(document: &Document, path: &Path, wanted: &str) -> Diagnostic {
    Diagnostic::error(Code::WrongType, format!("`{path}` must be {wanted}"))
        .at(document.label(path, Part::Value, ""))
        .field(path.to_string())
        .help(AGAIN)
}

fn without_name(document: &Document, path: &Path) -> Diagnostic {
    let name = path.join(&Path::dotted("metadata.name"));
    Diagnostic::error(Code::MissingField, "an observed pod has no name")
        .at(document.label(&name, Part::Key, ""))
        .field(name.to_string())
        .because("a pod template has no name of its own; only pods that run can be observed")
        .help(AGAIN)
}

fn twice(pod: &Pod, second: (&Document, &Path), first: (&Document, &Path)) -> Diagnostic {
    let label = |(document, path): (&Document, &Path), text: &str| {
        document.label(&path.join(&Path::dotted("metadata.name")), Part::Value, text)
    };
    Diagnostic::error(Code::DuplicateValue, format!("the pod `{}` is observed twice", pod.key()))
        .at(label(second, "here again"))
        .at(label(first, "first here"))
        .help("observe each cluster by itself, and each pod once")
}

fn without_pods(document: &Document) -> Diagnostic {
    Diagnostic::error(Code::NoPods, "there is no Pod among the observed objects")
        .at(document.label(&Path::root(), Part::Value, ""))
        .help(AGAIN)
}
