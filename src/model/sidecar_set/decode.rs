//! Decodes a SidecarSet from a document: deprecated syntax, types, conversion, defaults, hashes.

use super::canonical::canonicalize;
use super::field_locations::FieldLocations;
use super::schema::{ObjectSchema, SIDECAR_SET_SPEC_V1BETA1, SIDECAR_SET_V1ALPHA1, SIDECAR_SET_V1BETA1};
use super::spec_fields;
use super::{
    DecodeMode, LaunchOrder, SidecarMode, SidecarSet, defaults, deprecated_syntax, hash, lifecycle,
    type_check, v1alpha1,
};
use crate::diagnostics::{Code, Diagnostic};
use crate::model::json::{JsonObject, object_at, objects_at, string_at, text_at};
use crate::yaml::{Document, EntryPart, FieldPath};
use serde_json::{Value, json};
use std::sync::Arc;

/// Fields that control injection and rollout. They do not change what a ledger renders.
pub(crate) const ROLLOUT_FIELDS: &[&str] =
    &["updateStrategy", "injectionStrategy", "revisionHistoryLimit", "customVersion"];

/// The maximum number of reported fields that crash Kruise.
const MAX_CRASHES: usize = 20;

/// Decodes the SidecarSet at a path of a document (the root, or an item of a List) for rendering.
///
/// Returns no set if one of the diagnostics is an error.
pub fn decode(document: &Arc<Document>, path: &FieldPath) -> (Option<SidecarSet>, Vec<Diagnostic>) {
    decode_for(DecodeMode::Render, document, path)
}

/// Decodes the SidecarSet at a path of a document in a mode; see [`decode`].
pub fn decode_for(
    mode: DecodeMode,
    document: &Arc<Document>,
    path: &FieldPath,
) -> (Option<SidecarSet>, Vec<Diagnostic>) {
    let locations = FieldLocations::new(document, path);
    let Some(Value::Object(written)) = path.find(document.value()) else {
        let diagnostic = Diagnostic::error(Code::WrongType, "a SidecarSet must be a mapping");
        let label = locations.label(&FieldPath::root(), EntryPart::Value, "");
        return (None, vec![diagnostic.at(label).help("write `apiVersion`, `kind`, `metadata` and `spec`")]);
    };
    decode_object(mode, written, locations)
}

/// Decodes the content of a revision: a v1beta1 spec inside another document, the mode and the launch order.
pub fn decode_content(
    name: &str,
    content: &JsonObject,
    (mode, after): (SidecarMode, LaunchOrder),
    document: &Arc<Document>,
    path: &FieldPath,
) -> (Option<SidecarSet>, Vec<Diagnostic>) {
    let written = json!({
        "apiVersion": "apps.kruise.io/v1beta1", "kind": "SidecarSet", "metadata": {"name": name}, "spec": content
    });
    let mut locations = FieldLocations::new(document, path);
    locations.record_move(FieldPath::dotted("spec"), FieldPath::dotted("sidecarSet"));
    lifecycle::record_ledger_keys(&mut locations);
    let written = written.as_object().cloned().unwrap_or_default();
    let (set, diagnostics) = decode_object(DecodeMode::Render, &written, locations);
    (set.map(|set| SidecarSet { mode, has_own_mode: true, after, ..set }), diagnostics)
}

fn decode_object(
    mode: DecodeMode,
    written: &JsonObject,
    mut locations: FieldLocations,
) -> (Option<SidecarSet>, Vec<Diagnostic>) {
    let (mut written, mut diagnostics) = deprecated_syntax::modernize(written, mode, &mut locations);
    let Some(version) = decode_version(&written, &locations, &mut diagnostics) else {
        return (None, diagnostics);
    };
    if !version.is_alpha
        && let Some(Value::Object(spec)) = written.get_mut("spec")
    {
        diagnostics.extend(v1alpha1::drop_namespace(spec, &locations));
    }
    let (mut set, mismatches) =
        type_check::check_type(&Value::Object(written.clone()), version.schema, &locations);
    diagnostics.extend(mismatches);
    let mut part = |key: &str| match set.shift_remove(key) {
        Some(Value::Object(map)) => map,
        _ => JsonObject::new(),
    };
    let (mut metadata, mut spec) = (part("metadata"), part("spec"));
    diagnostics.extend(check_name(&metadata, &locations));
    diagnostics.extend(check_field_refs(&spec, &locations));
    if diagnostics.iter().any(Diagnostic::is_error) {
        return (None, diagnostics);
    }
    if version.is_alpha {
        diagnostics.extend(v1alpha1::convert(&mut metadata, &mut spec, &mut locations));
    }
    let has_containers = written.get("spec").and_then(|s| s.get("containers")).is_some_and(Value::is_array);
    let (mode, after, problems) = lifecycle::read_lifecycle(&metadata, &spec, &locations);
    let is_sound = problems.is_empty();
    diagnostics.extend(problems);
    let set = SidecarSet {
        mode: mode.unwrap_or_default(),
        has_own_mode: mode.is_some(),
        after,
        ..build_set(metadata, spec, has_containers, locations)
    };
    (is_sound.then_some(set), diagnostics)
}

fn build_set(
    metadata: JsonObject,
    spec: JsonObject,
    has_containers: bool,
    locations: FieldLocations,
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
        // Kruise's hashes of an empty list and of no list differ.
        content.entry("containers").or_insert_with(|| Value::Array(Vec::new()));
    }
    SidecarSet {
        document: locations.document.clone(),
        path: locations.root.clone(),
        selector: spec_fields::read_selector(&spec, "selector").unwrap_or_default(),
        namespace_selector: spec_fields::read_selector(&spec, "namespaceSelector"),
        init_containers: spec_fields::read_sidecars(&spec, "initContainers", &locations.root),
        containers: spec_fields::read_sidecars(&spec, "containers", &locations.root),
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
        mode: SidecarMode::default(),
        has_own_mode: false,
        after: LaunchOrder::default(),
        content,
        name,
        metadata,
        locations,
    }
}

/// One of the two versions of the API.
struct SetApiVersion {
    is_alpha: bool,
    schema: &'static ObjectSchema,
}

fn decode_version(
    set: &JsonObject,
    locations: &FieldLocations,
    diagnostics: &mut Vec<Diagnostic>,
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
            let label = locations.label(&FieldPath::root().child(key), EntryPart::Value, "");
            let help = "write `apiVersion: apps.kruise.io/v1beta1` and `kind: SidecarSet`";
            diagnostics.push(error.at(label).field(key).help(help));
            None
        }
    }
}

fn kind_text(set: &JsonObject) -> String {
    type_check::shorten(text_at(set, "kind"))
}

fn check_name(metadata: &JsonObject, locations: &FieldLocations) -> Option<Diagnostic> {
    if metadata.contains_key("name") {
        return None;
    }
    let label = locations.label(&FieldPath::dotted("metadata"), EntryPart::Key, "");
    let diagnostic = Diagnostic::error(Code::MissingField, "a SidecarSet needs a name").at(label);
    Some(
        diagnostic.field("metadata.name").help("write `metadata.name`; rollouts and annotations refer to it"),
    )
}

/// Kruise v1.9.0 apis/apps/defaults dereferences `fieldRef` without a check and crashes on such a set.
fn check_field_refs(spec: &JsonObject, locations: &FieldLocations) -> Vec<Diagnostic> {
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
        .map(|(at, _)| crash_diagnostic(&at, locations))
        .collect()
}

fn crash_diagnostic(term: &FieldPath, locations: &FieldLocations) -> Diagnostic {
    let at = term.child("sourceContainerNameFrom");
    let help = "write `fieldRef: {fieldPath: metadata.labels['KEY']}`, or name the container in `sourceContainerName`";
    Diagnostic::error(Code::MissingField, "`sourceContainerNameFrom` needs a `fieldRef`")
        .at(locations.label(&at, EntryPart::Key, ""))
        .field(at.child("fieldRef").to_string())
        .because("Kruise's webhook crashes on this SidecarSet")
        .help(help)
}
