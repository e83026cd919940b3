//! From a document to a SidecarSet: old forms, types, conversion, defaults, hashes.

use super::places::Places;
use super::read::{self, inside, objects, text};
use super::schema::{Object as Type, SIDECAR_SET_V1ALPHA1, SIDECAR_SET_V1BETA1, SPEC};
use super::stored::stored;
use super::{Mode, SidecarSet, defaults, hash, old_forms, v1alpha1, walk};
use crate::diag::{Code, Diagnostic};
use crate::yaml::{Document, Part, Path};
use serde_json::{Map, Value, json};
use std::sync::Arc;

type Object = Map<String, Value>;

/// What says how a set is injected and rolled out, and changes nothing of what is rendered by a ledger.
const NOT_RENDERED: &[&str] =
    &["updateStrategy", "injectionStrategy", "revisionHistoryLimit", "customVersion"];

/// Places at which Kruise would crash that are shown.
const MOST_CRASHES: usize = 20;

/// Reads the SidecarSet at a path of a document, to render it: the root, or an item of a List.
///
/// No set comes back when something in it is an error; every misfit is reported.
pub fn decode(document: &Arc<Document>, path: &Path) -> (Option<SidecarSet>, Vec<Diagnostic>) {
    decode_for(Mode::Render, document, path)
}

/// Reads the SidecarSet at a path of a document for a purpose; see [`decode`].
pub fn decode_for(
    mode: Mode,
    document: &Arc<Document>,
    path: &Path,
) -> (Option<SidecarSet>, Vec<Diagnostic>) {
    let places = Places::new(document, path);
    let Some(Value::Object(written)) = path.find(document.value()) else {
        let found = Diagnostic::error(Code::WrongType, "a SidecarSet must be a mapping");
        let label = places.label(&Path::root(), Part::Value, "");
        return (None, vec![found.at(label).help("write `apiVersion`, `kind`, `metadata` and `spec`")]);
    };
    decode_written(mode, written, places)
}

/// Reads the content of a revision, which stands somewhere in another document: the spec alone, in v1beta1's form.
pub(crate) fn decode_content(
    name: &str,
    content: &Object,
    document: &Arc<Document>,
    path: &Path,
) -> (Option<SidecarSet>, Vec<Diagnostic>) {
    let written = json!({
        "apiVersion": "apps.kruise.io/v1beta1", "kind": "SidecarSet", "metadata": {"name": name}, "spec": content
    });
    let mut places = Places::new(document, path);
    places.note_move(Path::dotted("spec"), Path::dotted("sidecarSet"));
    decode_written(Mode::Render, written.as_object().unwrap_or(&Object::new()), places)
}

fn decode_written(mode: Mode, written: &Object, mut places: Places) -> (Option<SidecarSet>, Vec<Diagnostic>) {
    let (mut written, mut found) = old_forms::modernize(written, mode, &mut places);
    let Some(version) = version(&written, &places, &mut found) else { return (None, found) };
    if !version.is_alpha
        && let Some(Value::Object(spec)) = written.get_mut("spec")
    {
        found.extend(v1alpha1::drop_namespace(spec, &places));
    }
    let (mut set, misfits) = walk::check(&Value::Object(written.clone()), version.kind, &places);
    found.extend(misfits);
    let mut part = |key: &str| match set.shift_remove(key) {
        Some(Value::Object(map)) => map,
        _ => Object::new(),
    };
    let (mut metadata, mut spec) = (part("metadata"), part("spec"));
    found.extend(without_name(&metadata, &places));
    found.extend(without_field_ref(&spec, &places));
    if found.iter().any(Diagnostic::is_error) {
        return (None, found);
    }
    if version.is_alpha {
        found.extend(v1alpha1::convert(&mut metadata, &mut spec, &mut places));
    }
    let has_containers = written.get("spec").and_then(|s| s.get("containers")).is_some_and(Value::is_array);
    (Some(build(metadata, spec, has_containers, places)), found)
}

fn build(metadata: Object, spec: Object, has_containers: bool, places: Places) -> SidecarSet {
    let name = text(&metadata, "name").unwrap_or_default().to_owned();
    let mut defaulted = spec.clone();
    defaults::fill(&mut defaulted);
    let stored_spec = stored(&defaulted, &SPEC);
    let (hash, hash_without_image) = hash::hashes(&stored_spec, has_containers);
    let (injection_paused, injection_revision) = read::injection(&spec);
    let mut content = spec.clone();
    for strategy in NOT_RENDERED {
        content.shift_remove(*strategy);
    }
    if has_containers {
        // Kruise's hashes tell an empty list from none.
        content.entry("containers").or_insert_with(|| Value::Array(Vec::new()));
    }
    SidecarSet {
        document: places.document.clone(),
        path: places.root.clone(),
        selector: read::selector(&spec, "selector").unwrap_or_default(),
        namespace_selector: read::selector(&spec, "namespaceSelector"),
        init_containers: read::sidecars(&spec, "initContainers", &places.root),
        containers: read::sidecars(&spec, "containers", &places.root),
        volumes: read::volumes(&spec),
        image_pull_secrets: read::image_pull_secrets(&spec),
        patch_pod_metadata: read::patch_pod_metadata(&spec),
        injection_paused,
        injection_revision,
        update_strategy: read::update_strategy(&spec),
        custom_version: text(&spec, "customVersion").map(str::to_owned),
        hash,
        hash_without_image,
        revision_name: hash::revision_name(&name, &stored_spec),
        revision_history_limit: spec.get("revisionHistoryLimit").and_then(Value::as_i64),
        stored_spec,
        content,
        name,
        metadata,
        places,
    }
}

/// One of the two versions of the API.
struct Version {
    is_alpha: bool,
    kind: &'static Type,
}

fn version(set: &Object, places: &Places, found: &mut Vec<Diagnostic>) -> Option<Version> {
    let version = text(set, "apiVersion").unwrap_or_default();
    let is_set = text(set, "kind") == Some("SidecarSet");
    match version {
        "apps.kruise.io/v1beta1" if is_set => Some(Version { is_alpha: false, kind: &SIDECAR_SET_V1BETA1 }),
        "apps.kruise.io/v1alpha1" if is_set => Some(Version { is_alpha: true, kind: &SIDECAR_SET_V1ALPHA1 }),
        _ => {
            let key = if is_set { "apiVersion" } else { "kind" };
            let error = Diagnostic::error(
                Code::UnknownVersion,
                format!("Kruise has no `{}` in `{}`", kind(set), walk::shortened(version)),
            );
            let label = places.label(&Path::root().then(key), Part::Value, "");
            let help = "write `apiVersion: apps.kruise.io/v1beta1` and `kind: SidecarSet`";
            found.push(error.at(label).field(key).help(help));
            None
        }
    }
}

fn kind(set: &Object) -> String {
    walk::shortened(text(set, "kind").unwrap_or_default())
}

fn without_name(metadata: &Object, places: &Places) -> Option<Diagnostic> {
    if metadata.contains_key("name") {
        return None;
    }
    let label = places.label(&Path::dotted("metadata"), Part::Key, "");
    let found = Diagnostic::error(Code::MissingField, "a SidecarSet needs a name").at(label);
    Some(found.field("metadata.name").help("write `metadata.name`; rollouts and annotations go by it"))
}

/// Kruise v1.9.0 apis/apps/defaults dereferences `fieldRef` without looking, and crashes on such a set.
fn without_field_ref(spec: &Object, places: &Places) -> Vec<Diagnostic> {
    let lists = ["initContainers", "containers"].into_iter().flat_map(|list| {
        let at = Path::dotted("spec").then(list);
        objects(spec, list).enumerate().map(move |(i, container)| (at.then(i).then("transferEnv"), container))
    });
    let terms = lists.flat_map(|(at, container)| {
        objects(container, "transferEnv").enumerate().map(move |(i, term)| (at.then(i), term))
    });
    let lacks =
        |term: &Object| inside(term, "sourceContainerNameFrom").is_some_and(|f| !f.contains_key("fieldRef"));
    terms.filter(|(_, term)| lacks(term)).take(MOST_CRASHES).map(|(at, _)| crash(&at, places)).collect()
}

fn crash(term: &Path, places: &Places) -> Diagnostic {
    let at = term.then("sourceContainerNameFrom");
    let help = "write `fieldRef: {fieldPath: metadata.labels['KEY']}`, or name the container in `sourceContainerName`";
    Diagnostic::error(Code::MissingField, "`sourceContainerNameFrom` needs a `fieldRef`")
        .at(places.label(&at, Part::Key, ""))
        .field(at.then("fieldRef").to_string())
        .because("Kruise's webhook crashes on such a SidecarSet")
        .help(help)
}
