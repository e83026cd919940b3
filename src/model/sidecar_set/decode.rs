//! From a document to a SidecarSet: old forms, types, conversion, defaults, hashes.

use super::canonical::canonicalize;
use super::field_locations::FieldLocations;
use super::schema::{ObjectSchema, SIDECAR_SET_SPEC_V1BETA1, SIDECAR_SET_V1ALPHA1, SIDECAR_SET_V1BETA1};
use super::spec_fields;
use super::{DecodeMode, SidecarSet, defaults, deprecated_syntax, hash, type_check, v1alpha1};
use crate::diagnostics::{Code, Diagnostic};
use crate::model::json::{JsonObject, object_at, objects_at, string_at, text_at};
use crate::yaml::{Document, EntryPart, FieldPath};
use serde_json::{Value, json};
use std::sync::Arc;

/// What says how a set is injected and rolled out, and changes nothing of what is rendered by a ledger.
const ROLLOUT_FIELDS: &[&str] =
    &["updateStrategy", "injectionStrategy", "revisionHistoryLimit", "customVersion"];

/// Places at which Kruise would crash that are shown.
const MAX_CRASHES: usize = 20;

/// Reads the SidecarSet at a path of a document, to render it: the root, or an item of a List.
///
/// No set comes back when something in it is an error; every misfit is reported.
pub fn decode(document: &Arc<Document>, path: &FieldPath) -> (Option<SidecarSet>, Vec<Diagnostic>) {
    decode_for(DecodeMode::Render, document, path)
}

/// Reads the SidecarSet at a path of a document for a purpose; see [`decode`].
pub fn decode_for(
    mode: DecodeMode,
    document: &Arc<Document>,
    path: &FieldPath,
) -> (Option<SidecarSet>, Vec<Diagnostic>) {
    let places = FieldLocations::new(document, path);
    let Some(Value::Object(written)) = path.find(document.value()) else {
        let found = Diagnostic::error(Code::WrongType, "a SidecarSet must be a mapping");
        let label = places.label(&FieldPath::root(), EntryPart::Value, "");
        return (None, vec![found.at(label).help("write `apiVersion`, `kind`, `metadata` and `spec`")]);
    };
    decode_object(mode, written, places)
}

/// Reads the content of a revision, which stands somewhere in another document: the spec alone, in v1beta1's form.
pub(crate) fn decode_content(
    name: &str,
    content: &JsonObject,
    document: &Arc<Document>,
    path: &FieldPath,
) -> (Option<SidecarSet>, Vec<Diagnostic>) {
    let written = json!({
        "apiVersion": "apps.kruise.io/v1beta1", "kind": "SidecarSet", "metadata": {"name": name}, "spec": content
    });
    let mut places = FieldLocations::new(document, path);
    places.record_move(FieldPath::dotted("spec"), FieldPath::dotted("sidecarSet"));
    decode_object(DecodeMode::Render, written.as_object().unwrap_or(&JsonObject::new()), places)
}

fn decode_object(
    mode: DecodeMode,
    written: &JsonObject,
    mut places: FieldLocations,
) -> (Option<SidecarSet>, Vec<Diagnostic>) {
    let (mut written, mut found) = deprecated_syntax::modernize(written, mode, &mut places);
    let Some(version) = decode_version(&written, &places, &mut found) else { return (None, found) };
    if !version.is_alpha
        && let Some(Value::Object(spec)) = written.get_mut("spec")
    {
        found.extend(v1alpha1::drop_namespace(spec, &places));
    }
    let (mut set, misfits) = type_check::check_type(&Value::Object(written.clone()), version.schema, &places);
    found.extend(misfits);
    let mut part = |key: &str| match set.shift_remove(key) {
        Some(Value::Object(map)) => map,
        _ => JsonObject::new(),
    };
    let (mut metadata, mut spec) = (part("metadata"), part("spec"));
    found.extend(check_name(&metadata, &places));
    found.extend(check_field_refs(&spec, &places));
    if found.iter().any(Diagnostic::is_error) {
        return (None, found);
    }
    if version.is_alpha {
        found.extend(v1alpha1::convert(&mut metadata, &mut spec, &mut places));
    }
    let has_containers = written.get("spec").and_then(|s| s.get("containers")).is_some_and(Value::is_array);
    (Some(build_set(metadata, spec, has_containers, places)), found)
}

fn build_set(
    metadata: JsonObject,
    spec: JsonObject,
    has_containers: bool,
    places: FieldLocations,
) -> SidecarSet {
    let name = text_at(&metadata, "name").to_owned();
    let mut defaulted = spec.clone();
    defaults::fill_defaults(&mut defaulted);
    let stored_spec = canonicalize(&defaulted, &SIDECAR_SET_SPEC_V1BETA1);
    let (hash, hash_without_image) = hash::hashes(&stored_spec, has_containers);
    let (injection_paused, injection_revision) = spec_fields::read_injection_strategy(&spec);
    let mut content = spec.clone();
    for strategy in ROLLOUT_FIELDS {
        content.shift_remove(*strategy);
    }
    if has_containers {
        // Kruise's hashes tell an empty list from none.
        content.entry("containers").or_insert_with(|| Value::Array(Vec::new()));
    }
    SidecarSet {
        document: places.document.clone(),
        path: places.root.clone(),
        selector: spec_fields::read_selector(&spec, "selector").unwrap_or_default(),
        namespace_selector: spec_fields::read_selector(&spec, "namespaceSelector"),
        init_containers: spec_fields::read_sidecars(&spec, "initContainers", &places.root),
        containers: spec_fields::read_sidecars(&spec, "containers", &places.root),
        volumes: spec_fields::read_volumes(&spec),
        image_pull_secrets: spec_fields::read_image_pull_secrets(&spec),
        patch_pod_metadata: spec_fields::read_patch_pod_metadata(&spec),
        is_injection_paused: injection_paused,
        injection_revision,
        update_strategy: spec_fields::read_update_strategy(&spec),
        custom_version: string_at(&spec, "customVersion").map(str::to_owned),
        hash,
        hash_without_image,
        revision_name: hash::revision_name(&name, &stored_spec),
        revision_history_limit: spec.get("revisionHistoryLimit").and_then(Value::as_i64),
        canonical_spec: stored_spec,
        content,
        name,
        metadata,
        locations: places,
    }
}

/// One of the two versions of the API.
struct SetApiVersion {
    is_alpha: bool,
    schema: &'static ObjectSchema,
}

fn decode_version(
    set: &JsonObject,
    places: &FieldLocations,
    found: &mut Vec<Diagnostic>,
) -> Option<SetApiVersion> {
    let version = text_at(set, "apiVersion");
    let is_set = string_at(set, "kind") == Some("SidecarSet");
    match version {
        "apps.kruise.io/v1beta1" if is_set => {
            Some(SetApiVersion { is_alpha: false, schema: &SIDECAR_SET_V1BETA1 })
        }
        "apps.kruise.io/v1alpha1" if is_set => {
            Some(SetApiVersion { is_alpha: true, schema: &SIDECAR_SET_V1ALPHA1 })
        }
        _ => {
            let key = if is_set { "apiVersion" } else { "kind" };
            let error = Diagnostic::error(
                Code::UnknownVersion,
                format!("Kruise has no `{}` in `{}`", kind_text(set), type_check::shorten(version)),
            );
            let label = places.label(&FieldPath::root().child(key), EntryPart::Value, "");
            let help = "write `apiVersion: apps.kruise.io/v1beta1` and `kind: SidecarSet`";
            found.push(error.at(label).field(key).help(help));
            None
        }
    }
}

fn kind_text(set: &JsonObject) -> String {
    type_check::shorten(text_at(set, "kind"))
}

fn check_name(metadata: &JsonObject, places: &FieldLocations) -> Option<Diagnostic> {
    if metadata.contains_key("name") {
        return None;
    }
    let label = places.label(&FieldPath::dotted("metadata"), EntryPart::Key, "");
    let found = Diagnostic::error(Code::MissingField, "a SidecarSet needs a name").at(label);
    Some(found.field("metadata.name").help("write `metadata.name`; rollouts and annotations go by it"))
}

/// Kruise v1.9.0 apis/apps/defaults dereferences `fieldRef` without looking, and crashes on such a set.
fn check_field_refs(spec: &JsonObject, places: &FieldLocations) -> Vec<Diagnostic> {
    let lists = ["initContainers", "containers"].into_iter().flat_map(|list| {
        let at = FieldPath::dotted("spec").child(list);
        objects_at(spec, list)
            .enumerate()
            .map(move |(i, container)| (at.child(i).child("transferEnv"), container))
    });
    let terms = lists.flat_map(|(at, container)| {
        objects_at(container, "transferEnv").enumerate().map(move |(i, term)| (at.child(i), term))
    });
    let lacks = |term: &JsonObject| {
        object_at(term, "sourceContainerNameFrom").is_some_and(|f| !f.contains_key("fieldRef"))
    };
    terms
        .filter(|(_, term)| lacks(term))
        .take(MAX_CRASHES)
        .map(|(at, _)| crash_diagnostic(&at, places))
        .collect()
}

fn crash_diagnostic(term: &FieldPath, places: &FieldLocations) -> Diagnostic {
    let at = term.child("sourceContainerNameFrom");
    let help = "write `fieldRef: {fieldPath: metadata.labels['KEY']}`, or name the container in `sourceContainerName`";
    Diagnostic::error(Code::MissingField, "`sourceContainerNameFrom` needs a `fieldRef`")
        .at(places.label(&at, EntryPart::Key, ""))
        .field(at.child("fieldRef").to_string())
        .because("Kruise's webhook crashes on such a SidecarSet")
        .help(help)
}
