//! Rules of injection that no recorded case in the repository shows. Sections are those of the notes on Kruise's
//! injection, which are not part of the repository.

mod containers;
mod metadata;
mod pod_spec;
mod rendering_again;
mod resources;
mod revisions;
mod selection;

use crate::support::injection::{InjectedTemplate, inject};
use crate::support::manifests::indent;
use indoc::{formatdoc, indoc};
use pillion::diagnostics::Severity;
use pillion::inject::{
    InjectionVerdict, NamespaceLabels, Options, PodTemplate, PreparedSet, SidecarSetStore,
};
use pillion::model::config::AnnotationMode;
use pillion::model::sidecar_set::decode;
use pillion::yaml::{Document, FieldPath};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What is injected into what.
pub(crate) struct InjectionCase {
    sets: Vec<Arc<PreparedSet>>,
    history: Vec<Arc<PreparedSet>>,
    pod: Arc<Document>,
    value: Value,
    is_pod: bool,
    namespace: &'static str,
    labels: Option<BTreeMap<String, String>>,
    annotations: AnnotationMode,
}

impl InjectionCase {
    /// A pod `web-0` with label `app: web`, with a `spec`, and sets as names with their `spec`.
    pub(crate) fn new(sets: &[(&str, &str)], spec: &str) -> Self {
        let spec = indent(spec, 2);
        let pod = formatdoc! {"
            metadata:
              name: web-0
              labels:
                app: web
            spec:
            {spec}
        "};
        Self::of(sets, &pod)
    }

    /// A pod given whole, without its kind.
    pub(crate) fn of(sets: &[(&str, &str)], pod: &str) -> Self {
        let text = format!("apiVersion: v1\nkind: Pod\n{pod}");
        let pod = Document::read(&"pod.yaml".into(), 0, 1, &text).expect("the pod is YAML");
        Self {
            sets: sets.iter().map(|(name, spec)| set(name, spec)).collect(),
            history: Vec::new(),
            value: pod.value().clone(),
            pod: Arc::new(pod),
            is_pod: true,
            namespace: "default",
            labels: Some(BTreeMap::new()),
            annotations: AnnotationMode::Minimal,
        }
    }

    pub(crate) fn history(mut self, sets: &[(&str, &str)]) -> Self {
        self.history = sets.iter().map(|(name, spec)| set(name, spec)).collect();
        self
    }

    pub(crate) fn sets(mut self, sets: &[(&str, &str)]) -> Self {
        self.sets = sets.iter().map(|(name, spec)| set(name, spec)).collect();
        self
    }

    pub(crate) fn template(mut self) -> Self {
        self.is_pod = false;
        self
    }

    pub(crate) fn annotations(mut self, annotations: AnnotationMode) -> Self {
        self.annotations = annotations;
        self
    }

    pub(crate) fn namespace(mut self, namespace: &'static str, labels: Option<&[(&str, &str)]>) -> Self {
        self.namespace = namespace;
        self.labels = labels.map(|l| l.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect());
        self
    }

    pub(crate) fn run(&self) -> InjectedTemplate {
        let template = PodTemplate {
            document: &self.pod,
            path: FieldPath::root(),
            value: &self.value,
            is_pod: self.is_pod,
            key: "Pod/default/web-0",
            namespace: self.namespace,
            runs_to_completion: false,
            volume_claims: &[],
            namespace_labels: self.labels.as_ref().map_or(NamespaceLabels::Unknown, NamespaceLabels::Known),
            overrides: &[],
        };
        let sets = SidecarSetStore::new(self.sets.clone(), self.history.clone());
        inject(
            &template,
            &sets,
            &Options { annotations: self.annotations, trace: true, ..Options::default() },
        )
    }

    /// The new template; no error is allowed.
    fn value(&self) -> Value {
        let outcome = self.run();
        assert!(outcome.diagnostics.iter().all(|d| !d.is_error()), "{:?}", outcome.diagnostics);
        outcome.template.unwrap_or_else(|| self.value.clone())
    }

    /// The same case with its result in the place of the pod.
    pub(crate) fn next(mut self) -> Self {
        self.value = self.value();
        self
    }

    /// Codes of what is reported, each once: errors, warnings and notes.
    fn codes(&self) -> Vec<&'static str> {
        let mut codes: Vec<_> = self.run().diagnostics.iter().map(|d| d.code.name()).collect();
        codes.dedup();
        codes
    }

    fn errors(&self) -> Vec<&'static str> {
        let outcome = self.run();
        assert!(outcome.template.is_none(), "an error comes without a result");
        outcome.diagnostics.iter().filter(|d| d.severity == Severity::Error).map(|d| d.code.name()).collect()
    }
}

fn set(name: &str, spec: &str) -> Arc<PreparedSet> {
    let version = if spec.contains("namespace:") { "v1alpha1" } else { "v1beta1" };
    let has_selector = spec.lines().any(|line| line.starts_with("selector:"));
    let selector = if has_selector { "" } else { "selector: {matchLabels: {app: web}}" };
    let spec = indent(spec, 2);
    let text = formatdoc! {"
        apiVersion: apps.kruise.io/{version}
        kind: SidecarSet
        metadata:
          name: {name}
        spec:
        {spec}
          {selector}
    "};
    let document = Document::read(&"sets.yaml".into(), 0, 1, &text).expect("the set is YAML");
    let (set, found) = decode(&Arc::new(document), &FieldPath::root());
    Arc::new(PreparedSet::new(Arc::new(set.unwrap_or_else(|| panic!("{text}\n{found:?}")))))
}

fn names(value: &Value, list: &str) -> Vec<String> {
    let items = value["spec"][list].as_array().cloned().unwrap_or_default();
    items.iter().map(|c| c["name"].as_str().unwrap_or_default().to_owned()).collect()
}

fn env(value: &Value, container: &str) -> Vec<String> {
    let lists =
        ["initContainers", "containers"].map(|l| value["spec"][l].as_array().cloned().unwrap_or_default());
    let found = lists.iter().flatten().find(|c| c["name"] == *container).expect("the container is there");
    let entries = found["env"].as_array().cloned().unwrap_or_default();
    entries
        .iter()
        .map(|e| format!("{}={}", e["name"].as_str().unwrap_or_default(), e["value"].as_str().unwrap_or("?")))
        .collect()
}

fn annotation<'v>(value: &'v Value, key: &str) -> Option<&'v str> {
    value["metadata"]["annotations"].get(key).and_then(Value::as_str)
}

const LIST: &str = "kruise.io/sidecarset-injected-list";
const HASH: &str = "kruise.io/sidecarset-hash";
const APP: &str = "containers: [{name: app, image: a}]";
const LOG: (&str, &str) = ("log", "containers: [{name: log, image: 'log:1'}]");

/// A map with one annotation.
fn one_annotation(key: &str, value: &str) -> String {
    format!("{{'{key}': '{value}'}}")
}

fn with_annotations(sets: &[(&str, &str)], annotations: &str) -> InjectionCase {
    let pod = formatdoc! {"
        metadata:
          name: web-0
          labels:
            app: web
          annotations: {annotations}
        spec:
          containers:
          - name: app
    "};
    InjectionCase::of(sets, &pod)
}
