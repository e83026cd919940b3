//! Converts SidecarSets of apps.kruise.io/v1alpha1 to v1beta1, the version of all other modules.

use super::field_locations::FieldLocations;
use crate::diagnostics::{Code, Diagnostic};
use crate::model::api::NAMESPACE_NAME_LABEL;
use crate::model::json::JsonObject;
use crate::yaml::{EntryPart, FieldPath};
use serde_json::{Value, json};

/// The label with the custom version.
const CUSTOM_VERSION_LABEL: &str = "apps.kruise.io/sidecarset-custom-version";

/// Converts the checked `metadata` and `spec` of v1alpha1 to those of v1beta1.
pub(crate) fn convert(
    metadata: &mut JsonObject,
    spec: &mut JsonObject,
    locations: &mut FieldLocations,
) -> Vec<Diagnostic> {
    let mut diagnostics = Vec::new();
    if let Some(namespace) = spec.shift_remove("namespace") {
        diagnostics.extend(spec.contains_key("namespaceSelector").then(|| selector_ignored(locations)));
        spec.insert("namespaceSelector".into(), json!({"matchLabels": {NAMESPACE_NAME_LABEL: namespace}}));
        locations
            .record_move(FieldPath::dotted("spec.namespaceSelector"), FieldPath::dotted("spec.namespace"));
    }
    let labels = metadata.get_mut("labels").and_then(Value::as_object_mut);
    if let Some(version) = labels.and_then(|l| l.shift_remove(CUSTOM_VERSION_LABEL)) {
        spec.insert("customVersion".into(), version);
        locations.record_move(
            FieldPath::dotted("spec.customVersion"),
            FieldPath::dotted("metadata.labels").child(CUSTOM_VERSION_LABEL),
        );
    }
    diagnostics
}

/// Removes `namespace` from a v1beta1 spec, which does not have it.
pub(crate) fn drop_namespace(spec: &mut JsonObject, locations: &FieldLocations) -> Option<Diagnostic> {
    let namespace = spec.shift_remove("namespace")?;
    let name = namespace.as_str().unwrap_or("team-a");
    let warning = Diagnostic::warning(
        Code::NamespaceDropped,
        "`namespace` does not exist in apps.kruise.io/v1beta1: the SidecarSet applies to the whole cluster",
    )
    .at(locations.label(&FieldPath::dotted("spec.namespace"), EntryPart::Key, "Kruise drops this"))
    .field("spec.namespace")
    .help(format!("write `namespaceSelector: {{matchLabels: {{{NAMESPACE_NAME_LABEL}: {name}}}}}` instead"));
    Some(warning)
}

fn selector_ignored(locations: &FieldLocations) -> Diagnostic {
    // Kruise v1.9.0 apis/apps/v1alpha1 ConvertTo: namespace wins, namespaceSelector is dropped.
    Diagnostic::warning(Code::NamespaceSelectorIgnored, "`namespaceSelector` is ignored beside `namespace`")
        .at(locations.label(
            &FieldPath::dotted("spec.namespaceSelector"),
            EntryPart::Key,
            "this has no effect",
        ))
        .at(locations.label(
            &FieldPath::dotted("spec.namespace"),
            EntryPart::Key,
            "because this is written too",
        ))
        .field("spec.namespaceSelector")
        .help("keep one of the two fields")
}
