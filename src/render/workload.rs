//! One workload of a document: where it is, and what injection makes of it.

use super::{Manifest, Renderer};
use crate::diag::{Code, Diagnostic};
use crate::inject::{self, NamespaceLabels, Outcome, PodTemplate};
use crate::model::ledger::Line;
use crate::model::sidecar_set::SidecarSet;
use crate::model::workload::{self, Kind};
use crate::yaml::{Document, Part, Path, Seg};
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::contents::Given;

/// A workload and its place in a document.
#[derive(Debug, Clone)]
pub struct Located {
    /// `KIND[.GROUP]/NAMESPACE/NAME`.
    pub key: Arc<str>,
    /// Its kind.
    pub kind: Arc<Kind>,
    /// Its namespace.
    pub namespace: Arc<str>,
    /// Neither the manifest nor anybody else says its namespace.
    pub is_guessed: bool,
    /// Its name.
    pub name: Arc<str>,
    /// Where the object stands in its document.
    pub base: Path,
    /// Where its pod template stands in the document.
    pub template: Path,
}

/// What a workload becomes.
#[derive(Debug, Default)]
pub struct Injected {
    /// The place and its new value: of the pod template, or of the whole object where its partition changes too.
    pub change: Option<(Path, Value)>,
    /// What injection did.
    pub outcome: Outcome,
}

impl Injected {
    /// Returns the whole new object, which stood at `base` of its document.
    pub fn object<'d>(&self, document: &'d Document, base: &Path) -> Cow<'d, Value> {
        let old = base.find(document.value()).unwrap_or(&Value::Null);
        match &self.change {
            None => Cow::Borrowed(old),
            Some((at, new)) => {
                let mut object = old.clone();
                put(&mut object, &at.steps()[base.steps().len()..], new.clone());
                Cow::Owned(object)
            }
        }
    }
}

impl Located {
    /// Returns the pod template in the document.
    pub fn pod_template<'d>(&self, document: &'d Document) -> &'d Value {
        self.template.find(document.value()).unwrap_or(&Value::Null)
    }

    /// Returns the object in the document.
    pub fn object<'d>(&self, document: &'d Document) -> &'d Value {
        self.base.find(document.value()).unwrap_or(&Value::Null)
    }
}

impl Renderer {
    /// Finds out what the object at a place is called, and where its pod template is. None: it has none, and
    /// perhaps a diagnostic says so.
    pub(super) fn locate(
        &self,
        document: &Document,
        base: &Path,
        kind: &Arc<Kind>,
        manifest: &Manifest<'_>,
    ) -> Result<Located, Option<Box<Diagnostic>>> {
        let object = base.find(document.value()).ok_or(None)?;
        if self.skips_hooks && is_hook(object) {
            return Err(None);
        }
        let templates = kind.templates.iter().filter_map(|t| t.find(object).map(|v| (base.join(t), v)));
        let found = templates.filter(|(_, v)| !v.is_null()).min_by_key(|(_, v)| !v.is_object());
        let Some((template, value)) = found else {
            return Err(no_template(document, base, kind, object).map(Box::new));
        };
        if !value.is_object() {
            return Err(Some(Box::new(no_mapping(document, &template, kind))));
        }
        let text = |key: &str| object.get("metadata").and_then(|m| m.get(key)).and_then(Value::as_str);
        let said = text("namespace").or(Some(manifest.namespace)).filter(|n| !n.is_empty());
        let said = said.or(Some(manifest.namespace)).filter(|n| !n.is_empty());
        let namespace = said.unwrap_or(&self.otherwise);
        let name = text("name").or(text("generateName")).unwrap_or_default();
        let api_version = object.get("apiVersion").and_then(Value::as_str).unwrap_or_default();
        Ok(Located {
            key: workload::key(api_version, &kind.kind, namespace, name).into(),
            kind: Arc::clone(kind),
            namespace: namespace.into(),
            is_guessed: said.is_none(),
            name: name.into(),
            base: base.clone(),
            template,
        })
    }

    /// Renders a workload as the ledgers say, or the files where there are none.
    pub fn inject(&self, document: &Document, located: &Located) -> Injected {
        let template = located.pod_template(document);
        let mut injected = self.give(document, located, self.contents.of(&located.key, template));
        if self.options.trace {
            injected.outcome.trace.carried = self.contents.carried(&located.key, template);
        }
        injected
    }

    /// Renders a workload as if its line in the ledger of a SidecarSet were this one.
    pub fn inject_as(&self, document: &Document, located: &Located, set: &str, line: &Line) -> Injected {
        let template = located.pod_template(document);
        self.give(document, located, self.contents.with(&located.key, template, set, line))
    }

    /// Returns whether a SidecarSet selects a workload; where labels of its namespace are not known, it may.
    pub fn selects(&self, document: &Document, located: &Located, set: &SidecarSet) -> bool {
        inject::selects(&self.pod_template(document, located, &[]), set)
    }

    /// Returns the labels of a namespace, where they are known.
    pub fn namespace_labels(&self, namespace: &str) -> Option<&BTreeMap<String, String>> {
        match self.namespaces.labels_of(namespace) {
            NamespaceLabels::Known(labels) => Some(labels),
            NamespaceLabels::Unknown => None,
        }
    }

    /// Returns the names that the containers of a revision have in a pod.
    pub fn container_names(&self, revision: &str) -> impl Iterator<Item = &str> {
        self.contents.container_names(revision)
    }

    fn pod_template<'a>(
        &'a self,
        document: &'a Document,
        located: &'a Located,
        claims: &'a [&'a str],
    ) -> PodTemplate<'a> {
        PodTemplate {
            document,
            path: located.template.clone(),
            value: located.pod_template(document),
            is_pod: located.kind.is_pod(),
            key: &located.key,
            namespace: &located.namespace,
            claims,
            namespace_labels: self.namespaces.labels_of(&located.namespace),
        }
    }

    fn give(&self, document: &Document, located: &Located, given: Given<'_>) -> Injected {
        let object = located.object(document);
        let value = located.pod_template(document);
        let claims = claims(object, &located.template, &located.base);
        let template = self.pod_template(document, located, &claims);
        let given = &self.contents.settle(given, |set| inject::selects(&template, set));
        let mut outcome = inject::inject(&template, &given.sets, &self.options);
        let new = outcome.value.take();
        if new.is_some() && value["spec"]["containers"].as_array().is_none_or(Vec::is_empty) {
            outcome.diagnostics.push(without_containers(document, &located.template, &located.key));
            outcome.injected.clear();
            return Injected { change: None, outcome };
        }
        let change = match given.partition().zip(located.kind.partition.as_ref()) {
            Some((partition, at)) => {
                let mut object = object.clone();
                if let Some(new) = new {
                    put(&mut object, &located.template.steps()[located.base.steps().len()..], new);
                }
                put(&mut object, at.steps(), partition.into());
                Some((located.base.clone(), object))
            }
            None => new.map(|new| (located.template.clone(), new)),
        };
        Injected { change, outcome }
    }
}

/// Puts a value at a path; mappings that are missing on the way, or are no mappings, are made.
pub(super) fn put(whole: &mut Value, path: &[Seg], new: Value) {
    let mut place = whole;
    for step in path {
        place = match step {
            Seg::Key(key) => {
                if !place.is_object() {
                    *place = Value::Object(Map::new());
                }
                match place.as_object_mut() {
                    Some(map) => map.entry(key.clone()).or_insert(Value::Null),
                    None => return,
                }
            }
            Seg::Index(i) => match place.get_mut(*i) {
                Some(item) => item,
                None => return,
            },
        };
    }
    *place = new;
}

/// Tells whether Helm runs an object by itself, at some point of a release, instead of installing it with the others.
fn is_hook(object: &Value) -> bool {
    object.pointer("/metadata/annotations").is_some_and(|all| all.get("helm.sh/hook").is_some())
}

/// A workload without a pod template: what should be injected stands somewhere else, or lost its indentation.
fn no_template(document: &Document, base: &Path, kind: &Kind, object: &Value) -> Option<Diagnostic> {
    // A Rollout of Argo may take its pods from the Deployment it names.
    if Path::dotted("spec.workloadRef").find(object).is_some() {
        return None;
    }
    let places: Vec<String> = kind.templates.iter().map(|t| format!("`{t}`")).collect();
    let at = base.join(kind.templates.first()?);
    let message = format!("this {} has no pod template, so nothing is injected", kind.kind);
    let label = document.label(&at, Part::Key, "");
    let help = format!("write it at {}; where it is there, check its indentation", places.join(" or "));
    Some(Diagnostic::warning(Code::MissingField, message).field(at.to_string()).at(label).help(help))
}

fn no_mapping(document: &Document, template: &Path, kind: &Kind) -> Diagnostic {
    Diagnostic::error(Code::WrongType, format!("the pod template of this {} is not a mapping", kind.kind))
        .field(template.to_string())
        .at(document.label(template, Part::Value, ""))
        .help("write the template's `metadata` and `spec` here")
}

/// The names of the `volumeClaimTemplates` beside a pod template.
fn claims<'a>(object: &'a Value, template: &Path, base: &Path) -> Vec<&'a str> {
    let within = template.steps().get(base.steps().len()..).unwrap_or_default();
    let beside = within.split_last().map_or(&[][..], |(_, above)| above);
    let owner = Path::from(beside.to_vec()).find(object);
    let list = owner.and_then(|o| o.get("volumeClaimTemplates")).and_then(Value::as_array);
    list.into_iter().flatten().filter_map(|c| c["metadata"]["name"].as_str()).collect()
}

/// No pod can be made of such a template: it is a patch of one.
fn without_containers(document: &Document, template: &Path, key: &str) -> Diagnostic {
    let path = template.then("spec");
    Diagnostic::warning(Code::NoContainers, format!("`{key}` has no containers and is left as it is"))
        .field(path.then("containers").to_string())
        .at(document.label(&path, Part::Key, "a SidecarSet selects it"))
        .because("it looks like a patch: render what comes out when it is applied")
        .help("leave it out with `ignore:` in pillion.yaml")
}
