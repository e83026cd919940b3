//! Warns of ConfigMaps and Secrets that new pods need and that their namespace does not have.

use super::{AdviceObject, AdviceWorkload};
use crate::diagnostics::{Code, Diagnostic, pluralize};
use crate::rollout::pod_requirements::ObjectReference;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Kinds that become a Secret of the same name, or of the name at a path.
pub(crate) const SECRET_SOURCES: [(&str, &str, &str); 4] = [
    ("", "Secret", "/metadata/name"),
    ("bitnami.com", "SealedSecret", "/spec/template/metadata/name"),
    ("external-secrets.io", "ExternalSecret", "/spec/target/name"),
    ("cert-manager.io", "Certificate", "/spec/secretName"),
];

/// The ConfigMap that a controller of Kubernetes puts into every namespace.
const ROOT_CERTIFICATE: &str = "kube-root-ca.crt";

/// Warns of each object that pods need with the new template and not with the old one.
///
/// Secrets are often not in git: they are looked for only where git or the cluster state has some.
pub(crate) fn missing_objects(
    subjects: &[AdviceWorkload<'_>],
    objects: &[AdviceObject<'_>],
) -> Vec<Diagnostic> {
    let known = KnownObjects::of(objects);
    // By namespace, so that a sidecar of a thousand workloads is one message for each namespace.
    let mut missing: BTreeMap<(&str, &ObjectReference), Vec<&AdviceWorkload<'_>>> = BTreeMap::new();
    for subject in subjects.iter().filter(|subject| subject.is_changed) {
        let old = &subject.old_requirements.objects;
        let new = subject.new_requirements.objects.keys().filter(|reference| !old.contains_key(reference));
        for reference in new.filter(|reference| !known.has(subject.namespace, reference)) {
            missing.entry((subject.namespace, reference)).or_default().push(subject);
        }
    }
    missing.into_iter().filter_map(|((_, reference), users)| missing_object(reference, &users)).collect()
}

fn missing_object(reference: &ObjectReference, users: &[&AdviceWorkload<'_>]) -> Option<Diagnostic> {
    let first = users.first()?;
    let (kind, name) = (reference.kind, &reference.name);
    let by = first.new_requirements.objects.get(reference)?.replace('"', "`");
    let more = match users.len() - 1 {
        0 => String::new(),
        n => format!(" and {}", pluralize(n as u64, "more workload")),
    };
    let namespace = first.namespace;
    let message = format!(
        "{kind} `{name}`, which {by} needs, is not in namespace `{namespace}`: new pods of {}{more} do not start",
        first.title()
    );
    let diagnostic = first.add_label(Diagnostic::warning(Code::ObjectMissing, message), "");
    let diagnostic =
        diagnostic.because("it is neither among the manifests nor in a file of `--cluster-state`");
    Some(diagnostic.help(format!(
        "add the {kind} to namespace `{namespace}`, or write `optional: true` at the reference; \
         if something else creates it, `lint: {{{}: allow}}`",
        Code::ObjectMissing.name()
    )))
}

/// The names that namespaces have, by kind.
struct KnownObjects<'a> {
    config_maps: BTreeSet<(&'a str, &'a str)>,
    secrets: BTreeSet<(&'a str, &'a str)>,
}

impl<'a> KnownObjects<'a> {
    fn of(objects: &[AdviceObject<'a>]) -> Self {
        let mut known = Self { config_maps: BTreeSet::new(), secrets: BTreeSet::new() };
        for object in objects {
            let own = object.object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
            if object.is_kind("", "ConfigMap") {
                known.config_maps.insert((object.namespace, own));
            }
            for (group, kind, path) in SECRET_SOURCES {
                if object.is_kind(group, kind) {
                    let written = object.object.pointer(path).and_then(Value::as_str);
                    known.secrets.insert((object.namespace, written.unwrap_or(own)));
                }
            }
        }
        known
    }

    fn has(&self, namespace: &str, reference: &ObjectReference) -> bool {
        let place = (namespace, reference.name.as_str());
        match reference.kind {
            "Secret" => self.secrets.is_empty() || self.secrets.contains(&place),
            _ => reference.name == ROOT_CERTIFICATE || self.config_maps.contains(&place),
        }
    }
}
