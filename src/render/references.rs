//! Finds ConfigMaps and Secrets of sidecars that kustomize or Helm renames.

use super::renderer::Renderer;
use super::scan::scan_type_meta;
use crate::diagnostics::{Code, Diagnostic};
use crate::inject::IS_INJECTED;
use crate::model::workload::{api_group, is_known_to_kustomize, type_meta};
use crate::yaml::{Document, EntryPart, FieldPath};
use memchr::memmem;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// What kustomize notes on an object with a name that gets a hash, and on one that had other names before.
const NEEDS_HASH_ANNOTATION: &str = "internal.config.kubernetes.io/needsHashSuffix";
const PREVIOUS_NAMES_ANNOTATION: &str = "internal.config.kubernetes.io/previousNames";
/// kustomize's hashes have this many characters (api/hasher), of this alphabet.
const HASH_LENGTH: usize = 10;
const HASH_ALPHABET: &str = "bcdfghkmt2456789";

/// A ConfigMap or Secret.
struct NamedObject<'a> {
    kind: &'a str,
    namespace: Option<&'a str>,
    name: &'a str,
    previous_names: &'a str,
    needs_hash: bool,
}

/// Returns whether [`find_dangling_references`] may need a document: it may be a ConfigMap or Secret, or have an injected
/// container that refers to one.
pub(crate) fn may_concern_references(text: &str) -> bool {
    let contains = |word: &str| memmem::find(text.as_bytes(), word.as_bytes()).is_some();
    match scan_type_meta(text) {
        Some((_, "ConfigMap" | "Secret")) | None => true,
        Some(_) => contains(IS_INJECTED) && (contains("configMap") || contains("secret")),
    }
}

/// A reference that leads nowhere, to be located.
pub(crate) struct DanglingReference {
    /// The index of its object.
    pub(crate) object: usize,
    path: FieldPath,
    diagnostic: Diagnostic,
}

impl DanglingReference {
    /// Returns the warning; its object is at a place of a document.
    pub(crate) fn into_diagnostic(self, document: &Document, at: &FieldPath) -> Diagnostic {
        self.diagnostic.at(document.label(&at.join(&self.path), EntryPart::Value, ""))
    }
}

/// Warns of references of injected containers that lead nowhere while an object with such a name and a prefix or
/// hash is there. `followed` are further pairs of kinds (ConfigMap, CloneSet) in which kustomize changes names.
pub(crate) fn find_dangling_references<'v>(
    objects: impl Iterator<Item = &'v Value> + Clone,
    renderer: &Renderer,
    followed: &BTreeSet<(String, String)>,
) -> Vec<DanglingReference> {
    let named: Vec<NamedObject<'_>> = objects.clone().filter_map(NamedObject::from_value).collect();
    if named.is_empty() {
        return Vec::new();
    }
    let mut found = Vec::new();
    // Many workloads refer to few objects.
    let mut known: BTreeMap<_, Option<&NamedObject<'_>>> = BTreeMap::new();
    for (object, value) in objects.enumerate() {
        let Some(kind) = renderer.kind_of(value) else { continue };
        let Some((_, kind_name)) = type_meta(value) else { continue };
        let namespace = value["metadata"]["namespace"].as_str();
        let is_builtin = is_known_to_kustomize(kind_name);
        for template in &kind.template_paths {
            let Some(pod) = template.find(value) else { continue };
            visit_references(pod, |referred, name, path| {
                let is_followed =
                    is_builtin || followed.contains(&(referred.to_owned(), kind_name.to_owned()));
                let renamed = known.entry((referred, namespace, name, is_followed)).or_insert_with(|| {
                    let same = named.iter().filter(|n| n.kind == referred && n.namespace == namespace);
                    find_renamed(name, same, is_followed)
                });
                let Some(renamed) = *renamed else { return };
                let path = template.join(&path());
                let help = match renamed.needs_hash || !renamed.previous_names.is_empty() {
                    true => {
                        "put what `pillion print kustomizeconfig` prints into a file and list it in `configurations:` of the kustomization"
                    }
                    false => {
                        "render where names are not changed yet: list pillion as a transformer of the kustomization"
                    }
                };
                let becomes = match renamed.name == name {
                    true => "gets a hash at the end of its name".to_owned(),
                    false => format!("is called `{}` here", renamed.name),
                };
                let message = format!("{referred} `{name}`, which a sidecar refers to, {becomes}");
                let diagnostic = Diagnostic::warning(Code::DanglingReference, message)
                    .field(path.to_string())
                    .because(format!(
                        "nothing changes the name in a {kind_name}, so its pods would wait for `{name}`"
                    ))
                    .help(help);
                found.push(DanglingReference { object, path, diagnostic });
            });
        }
    }
    found
}

impl<'a> NamedObject<'a> {
    fn from_value(value: &'a Value) -> Option<Self> {
        let (api_version, kind) = type_meta(value)?;
        let is_one = api_group(api_version).is_empty() && (kind == "ConfigMap" || kind == "Secret");
        let metadata = value.get("metadata")?;
        let annotation = |key: &str| metadata.get("annotations").and_then(|a| a.get(key)?.as_str());
        is_one.then_some(Self {
            kind,
            namespace: metadata.get("namespace").and_then(Value::as_str),
            name: metadata.get("name")?.as_str()?,
            previous_names: annotation(PREVIOUS_NAMES_ANNOTATION).unwrap_or_default(),
            needs_hash: annotation(NEEDS_HASH_ANNOTATION).is_some_and(|v| v != "false"),
        })
    }
}

/// Returns the object that was meant, where the name will not lead to it.
fn find_renamed<'n, 'a: 'n>(
    name: &str,
    mut named: impl Iterator<Item = &'n NamedObject<'a>>,
    is_followed: bool,
) -> Option<&'n NamedObject<'a>> {
    let mut renamed = None;
    let is_there = named.any(|n| {
        let was = n.previous_names.split(',').any(|p| p == name);
        if n.name == name || was {
            let is_lost = !is_followed && (n.needs_hash || n.name != name);
            renamed = is_lost.then_some(n);
            return !is_lost;
        }
        if renamed.is_none() && is_original_name(name, n.name) {
            renamed = Some(n);
        }
        false
    });
    if is_there { None } else { renamed }
}

/// Returns whether a name is another one with a prefix, a suffix or a hash.
fn is_original_name(name: &str, other: &str) -> bool {
    let hashless = other
        .rsplit_once('-')
        .filter(|(_, hash)| hash.len() == HASH_LENGTH && hash.chars().all(|c| HASH_ALPHABET.contains(c)));
    let ends =
        |text: &str| text.strip_suffix(name).is_some_and(|prefix| prefix.is_empty() || prefix.ends_with('-'));
    match hashless {
        Some((stem, _)) => ends(stem),
        None => other != name && ends(other),
    }
}

/// Visits the ConfigMaps and Secrets that injected containers of a pod refer to: kind, name, and how to make the path.
fn visit_references<'a>(
    pod: &'a Value,
    mut visit: impl FnMut(&'static str, &'a str, &dyn Fn() -> FieldPath),
) {
    let spec = FieldPath::dotted("spec");
    let mut mounted = BTreeSet::new();
    for list in ["initContainers", "containers"] {
        for (i, container) in array_at(&pod["spec"], list).enumerate() {
            let is_injected =
                array_at(container, "env").any(|e| e["name"] == IS_INJECTED && e["value"] == "true");
            if !is_injected {
                continue;
            }
            let at = || spec.child(list).child(i);
            mounted.extend(array_at(container, "volumeMounts").filter_map(|m| m["name"].as_str()));
            for (j, env) in array_at(container, "env").enumerate() {
                let from = || at().child("env").child(j).child("valueFrom");
                visit_reference(&mut visit, &env["valueFrom"], &from, ("configMapKeyRef", "name"));
                visit_reference(&mut visit, &env["valueFrom"], &from, ("secretKeyRef", "name"));
            }
            for (j, from) in array_at(container, "envFrom").enumerate() {
                let at = || at().child("envFrom").child(j);
                visit_reference(&mut visit, from, &at, ("configMapRef", "name"));
                visit_reference(&mut visit, from, &at, ("secretRef", "name"));
            }
        }
    }
    for (i, volume) in array_at(&pod["spec"], "volumes").enumerate() {
        if !volume["name"].as_str().is_some_and(|name| mounted.contains(name)) {
            continue;
        }
        let at = || spec.child("volumes").child(i);
        visit_reference(&mut visit, volume, &at, ("configMap", "name"));
        visit_reference(&mut visit, volume, &at, ("secret", "secretName"));
        for (j, source) in array_at(&volume["projected"], "sources").enumerate() {
            let at = || at().child("projected").child("sources").child(j);
            visit_reference(&mut visit, source, &at, ("configMap", "name"));
            visit_reference(&mut visit, source, &at, ("secret", "name"));
        }
    }
}

/// Visits the reference below a key, with its name below another one.
fn visit_reference<'a>(
    visit: &mut impl FnMut(&'static str, &'a str, &dyn Fn() -> FieldPath),
    value: &'a Value,
    at: &dyn Fn() -> FieldPath,
    (key, name): (&'static str, &'static str),
) {
    let kind = if key.starts_with("secret") { "Secret" } else { "ConfigMap" };
    // What is optional may be missing.
    if let Some(reference) = value.get(key).filter(|r| r["optional"] != true)
        && let Some(text) = reference[name].as_str()
    {
        visit(kind, text, &|| at().child(key).child(name));
    }
}

fn array_at<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    value.get(key).and_then(Value::as_array).into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_or_a_prefix_is_seen() {
        for other in ["agent-6ft88t2625", "acme-agent-6ft88t2625", "acme-agent"] {
            assert!(is_original_name("agent", other), "{other}");
        }
        for other in ["agent", "agents", "agent-config", "myagent", "agent-6ft88t262x"] {
            assert!(!is_original_name("agent", other), "{other}");
        }
    }
}
