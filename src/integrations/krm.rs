//! Renders a ResourceList: pillion as a KRM function of kustomize and kpt.
//!
//! The text keeps every byte except for what is injected, removed or reported in `results`.

use crate::diagnostics::{Code, Diagnostic, DiagnosticSink, Span, krm};
use crate::integrations::{
    self, IntegrationSession, STREAM_NAME, StreamObjects, explain_patch_error, is_from_file,
    is_function_config,
};
use crate::model::api::{KRUISE_GROUP, LOCAL_CONFIG_ANNOTATION, PILLION_GROUP};
use crate::model::config::function_config::{self, FunctionConfig, KeepSidecarSets, SidecarsSpec};
use crate::model::workload::{api_group, type_meta};
use crate::render::{CollectedObjects, DanglingReference, find_dangling_references};
use crate::workspace::FunctionOptions;
use crate::yaml::{Document, FieldPath, ItemChange, ListChange, emit, split_documents};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The group of a ResourceList; its versions (v1alpha1, v1beta1, v1) have the same form.
pub(crate) const GROUP: &str = "config.kubernetes.io";

/// Its kind.
pub(crate) const KIND: &str = "ResourceList";

/// The key of its items.
const ITEMS: &str = "items";

/// Renders a ResourceList and adds the diagnostics to its `results`. Returns no list where there is none to add them to.
pub(crate) fn render_resource_list(text: &str) -> (Option<String>, Vec<Diagnostic>) {
    let document = match read_resource_list(text) {
        Ok(document) => document,
        Err(error) => return (None, vec![*error]),
    };
    let mut sink = DiagnosticSink::default();
    let outcome = transform(&document, &mut sink);
    let mut results = Vec::new();
    let mut diagnostics = Vec::new();
    report(&document, sink.take(), &mut results, &mut diagnostics);
    if let Some((mut change, dangling)) = outcome.filter(|_| !sink.has_errors()) {
        let more = dangling.iter().map(|(d, about)| krm::to_result(d, about.as_ref()));
        set_results(&mut change, results.iter().cloned().chain(more).collect());
        match document.rewrite_list(&change) {
            Ok(text) => {
                diagnostics.extend(dangling.into_iter().map(|(d, _)| d));
                return (Some(text), diagnostics);
            }
            Err(error) => report(&document, vec![error], &mut results, &mut diagnostics),
        }
    }
    let mut change = ListChange::unchanged(&document, ITEMS);
    set_results(&mut change, results);
    match document.rewrite_list(&change) {
        Ok(text) => (Some(text), diagnostics),
        Err(error) => {
            diagnostics.push(error);
            (None, diagnostics)
        }
    }
}

/// Adds diagnostics to the results of a list, and to those that are returned.
fn report(
    list: &Document,
    new: Vec<Diagnostic>,
    results: &mut Vec<Value>,
    diagnostics: &mut Vec<Diagnostic>,
) {
    if new.is_empty() {
        return;
    }
    let items = StreamObjects::from_resource_list(list);
    for mut diagnostic in new {
        explain_patch_error(&mut diagnostic);
        let about = items.locate(&mut diagnostic);
        results.push(krm::to_result(&diagnostic, about));
        diagnostics.push(diagnostic);
    }
}

fn set_results(change: &mut ListChange, results: Vec<Value>) {
    change.entry = (!results.is_empty()).then(|| ("results", Value::Array(results)));
}

/// Reads a ResourceList. Aliases are expanded: kustomize splits the items before it reads them.
fn read_resource_list(text: &str) -> Result<Arc<Document>, Box<Diagnostic>> {
    let name: Arc<str> = STREAM_NAME.into();
    let (pieces, diagnostics) = split_documents(&name, text);
    if let Some(error) = diagnostics.into_iter().find(Diagnostic::is_error) {
        return Err(Box::new(error));
    }
    let mut documents = Vec::new();
    for (index, piece) in pieces.into_iter().enumerate() {
        let document = Document::read(&name, index, piece.first_line, &text[piece.span])?;
        if !document.value().is_null() {
            documents.push(document);
        }
    }
    let label = documents.get(1).map(|d| d.label(&FieldPath::root(), crate::yaml::EntryPart::Value, ""));
    let (1, Some(document)) = (documents.len(), documents.pop()) else {
        let error = Diagnostic::error(
            Code::InvalidYaml,
            "a document follows the ResourceList, which must be the only one",
        );
        return Err(Box::new(error.at(label.unwrap_or_else(|| Span::whole_file(STREAM_NAME)))));
    };
    match document.has_aliases() {
        true => Ok(Arc::new(Document::read(&name, 0, 1, &emit(document.value()))?)),
        false => Ok(Arc::new(document)),
    }
}

/// A diagnostic, and its item.
type ItemDiagnostic = (Diagnostic, Option<krm::ResourceRef>);

/// Returns what becomes of the list, and its dangling references then, unless there are errors.
fn transform(
    document: &Arc<Document>,
    sink: &mut DiagnosticSink,
) -> Option<(ListChange, Vec<ItemDiagnostic>)> {
    let (config, diagnostics) = match document.value().get("functionConfig") {
        Some(Value::Object(_)) => function_config::decode(document, &FieldPath::dotted("functionConfig")),
        _ => (Some(FunctionConfig::default()), Vec::new()),
    };
    sink.add(diagnostics);
    let config = config?;
    let spec = config.spec.clone();
    let at = document.label(&FieldPath::dotted("functionConfig"), crate::yaml::EntryPart::Value, "");
    let options = FunctionOptions {
        config_path: Some((Arc::clone(document), FieldPath::dotted("functionConfig"))),
        ..FunctionOptions::in_working_folder(config, at.clone())
    };
    let incoming = KrmInput::from_list(document);
    let is_generator = incoming.is_empty();
    let (session, diagnostics) =
        IntegrationSession::open(&options, CollectedObjects::from_document(document), true);
    sink.add(diagnostics);
    let session = session?;
    sink.set_lint_levels(session.lint_levels.clone());
    if sink.has_errors() {
        // Errors of workloads are reported too, but errors of sets are not repeated.
        sink.suppress_error_locations();
    }
    let (changes, diagnostics) = session.render_items(document);
    sink.add(diagnostics);
    let mut added = Vec::new();
    if is_generator {
        let (texts, diagnostics) = session.render_sources();
        sink.add(diagnostics);
        for (name, text) in &texts {
            let (values, diagnostics) = read_values(name, text);
            sink.add(diagnostics);
            added.extend(values.into_iter().filter(|v| is_manifest(v, &spec)));
        }
    }
    if sink.has_errors() {
        return None;
    }
    let change = match list_change(document, changes, &spec, added, &incoming) {
        Ok(change) if incoming.count > 0 && change.values(incoming.items).next().is_none() => {
            Err(Box::new(empty_output(at, is_generator)))
        }
        change => change,
    };
    let found = change.and_then(|change| {
        let dangling = dangling_references(document, &change, &session)?;
        Ok((change, dangling))
    });
    found.map_err(|error| sink.add([*error])).ok()
}

/// The incoming items.
struct KrmInput<'a> {
    /// The configuration, to recognize it among the items.
    config: Option<&'a Value>,
    items: &'a [Value],
    count: usize,
}

impl<'a> KrmInput<'a> {
    fn from_list(list: &'a Document) -> Self {
        let items = items_of(list);
        Self { config: list.value().get("functionConfig"), items, count: items.len() }
    }

    /// Returns whether only the configuration came in: then pillion is a generator.
    fn is_empty(&self) -> bool {
        self.items.iter().all(|item| self.is_own(item))
    }

    /// Returns whether an item is pillion's own, or the configuration that a generator finds among its items.
    fn is_own(&self, item: &Value) -> bool {
        let same = |key: &str| self.config.is_some_and(|c| c.get(key) == item.get(key));
        let is_config = || {
            let name = |v: &Value| v["metadata"]["name"].as_str().map(str::to_owned);
            is_function_config(item)
                && same("apiVersion")
                && same("kind")
                && self.config.and_then(name) == name(item)
        };
        type_meta(item).is_some_and(|(a, _)| api_group(a) == PILLION_GROUP) || is_config()
    }
}

/// What happens to an item besides injection.
enum ItemDisposition {
    Keep,
    Remove,
    MarkLocal,
}

fn item_disposition(item: &Value, spec: &SidecarsSpec, incoming: &KrmInput<'_>) -> ItemDisposition {
    // Where files are edited in place, removing an item deletes its file.
    let is_of_a_file = is_from_file(item);
    if incoming.is_own(item) {
        return if is_of_a_file { ItemDisposition::Keep } else { ItemDisposition::Remove };
    }
    if !is_sidecar_set(item) {
        return ItemDisposition::Keep;
    }
    let unless_said = if is_of_a_file { KeepSidecarSets::Keep } else { KeepSidecarSets::Strip };
    match spec.keep_sidecar_sets.unwrap_or(unless_said) {
        KeepSidecarSets::Keep => ItemDisposition::Keep,
        KeepSidecarSets::Strip => ItemDisposition::Remove,
        KeepSidecarSets::LocalConfig => ItemDisposition::MarkLocal,
    }
}

pub(super) fn is_sidecar_set(object: &Value) -> bool {
    type_meta(object).is_some_and(|(a, k)| api_group(a) == KRUISE_GROUP && k == "SidecarSet")
}

/// Returns whether a document of the sources is part of the output.
pub(super) fn is_manifest(value: &Value, spec: &SidecarsSpec) -> bool {
    let Some((api_version, kind)) = type_meta(value) else { return false };
    let is_own = match (api_group(api_version), kind) {
        (PILLION_GROUP, _) | ("kustomize.config.k8s.io", _) => true,
        (KRUISE_GROUP, "SidecarSet") => {
            !matches!(spec.keep_sidecar_sets, Some(KeepSidecarSets::Keep | KeepSidecarSets::LocalConfig))
        }
        _ => false,
    };
    !is_own
}

/// Returns what becomes of the list: items are rendered or taken out, some are added, and SidecarSets are marked as local.
fn list_change(
    list: &Document,
    mut rendered: BTreeMap<usize, ItemChange>,
    spec: &SidecarsSpec,
    added: Vec<Value>,
    incoming: &KrmInput<'_>,
) -> Result<ListChange, Box<Diagnostic>> {
    let mut items = Vec::with_capacity(incoming.count);
    for (i, item) in incoming.items.iter().enumerate() {
        items.push(match (item_disposition(item, spec, incoming), rendered.remove(&i)) {
            (ItemDisposition::Remove, _) => ItemChange::Remove,
            (ItemDisposition::MarkLocal, _) => ItemChange::Change(mark_local(list, i, item)?, None),
            (ItemDisposition::Keep, change) => change.unwrap_or(ItemChange::Keep),
        });
    }
    Ok(ListChange { key: ITEMS, items, added, entry: None })
}

/// Returns a SidecarSet with the annotation that keeps it out of clusters.
fn mark_local(list: &Document, index: usize, set: &Value) -> Result<Value, Box<Diagnostic>> {
    let annotations = FieldPath::dotted("metadata.annotations");
    let mark = annotations.child(LOCAL_CONFIG_ANNOTATION);
    if annotations.find(set).is_some_and(|found| !found.is_object() && !found.is_null()) {
        // There is no place for it: an edit of that place says so.
        list.rewrite(&FieldPath::root().child(ITEMS).child(index).join(&mark), &"true".into())?;
    }
    let mut marked = set.clone();
    mark.replace_in(&mut marked, "true".into());
    Ok(marked)
}

/// Returns the items of a list.
fn items_of(list: &Document) -> &[Value] {
    list.value().get(ITEMS).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// Reads a list that was made here.
fn read_output(text: &str) -> Result<Arc<Document>, Box<Diagnostic>> {
    Ok(Arc::new(Document::read(&STREAM_NAME.into(), 0, 1, text)?))
}

/// Reads the documents of a rendered file; a List is replaced by its items.
pub(super) fn read_values(name: &Arc<str>, text: &str) -> (Vec<Value>, Vec<Diagnostic>) {
    let (mut values, mut diagnostics) = (Vec::new(), Vec::new());
    for (index, piece) in split_documents(name, text).0.into_iter().enumerate() {
        match Document::read(name, index, piece.first_line, &text[piece.span]) {
            Ok(document) => match document.value() {
                Value::Object(map) if map.get("kind").is_some_and(|k| k == "List") => {
                    values.extend(map.get("items").and_then(Value::as_array).into_iter().flatten().cloned());
                }
                Value::Null => {}
                value => values.push(value.clone()),
            },
            Err(error) => diagnostics.push(error),
        }
    }
    (values, diagnostics)
}

/// Finds dangling references in the changed list. They are rare, so the list is made and read for them alone.
fn dangling_references(
    list: &Document,
    change: &ListChange,
    session: &IntegrationSession,
) -> Result<Vec<ItemDiagnostic>, Box<Diagnostic>> {
    let values: Vec<&Value> = change.values(items_of(list)).collect();
    let followed = super::kustomization::name_reference_kinds();
    let found = find_dangling_references(values.iter().copied(), &session.renderer, &followed);
    if found.is_empty() {
        return Ok(Vec::new());
    }
    let output = read_output(&list.rewrite_list(change)?)?;
    let objects = StreamObjects::from_resource_list(&output);
    let place = |found: DanglingReference| {
        let at = FieldPath::root().child(ITEMS).child(found.object);
        let mut diagnostic = found.into_diagnostic(&output, &at);
        let about = objects.locate(&mut diagnostic).cloned();
        (diagnostic, about)
    };
    Ok(found.into_iter().map(place).collect())
}

fn empty_output(at: Span, is_generator: bool) -> Diagnostic {
    match is_generator {
        true => integrations::empty_output(at, "no resource came in but pillion's own configuration")
            .help("as a generator, name manifests in `sources:`; a transformer needs `resources:` in its kustomization"),
        false => integrations::empty_output(at, "the resources are SidecarSets only, and these are left out")
            .help("list applications among the resources, or write `keepSidecarSets: keep`"),
    }
}
