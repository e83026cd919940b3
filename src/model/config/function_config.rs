//! `Sidecars`: the configuration of a kustomize transformer, a KRM function or a plugin.

use super::AnnotationMode;
use crate::diagnostics::{Code, Diagnostic};
use crate::model::api::{PILLION_API_VERSION, PILLION_GROUP};
use crate::model::document_schema::{SchemaCheck, schema_of};
use crate::model::workload::api_group;
use crate::yaml::{Document, EntryPart, FieldPath, emit};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

/// Configuration of a kustomize transformer or generator; also the `functionConfig` of a KRM function.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
#[schemars(title = "Sidecars")]
pub(crate) struct SidecarsConfig {
    /// `pillion.dev/v1alpha1`.
    pub(crate) api_version: String,
    /// `Sidecars`.
    pub(crate) kind: String,
    /// Name, and the annotation `config.kubernetes.io/function`.
    pub(crate) metadata: Map<String, Value>,
    /// What to inject.
    pub(crate) spec: SidecarsSpec,
}

/// What to inject.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub(crate) struct SidecarsSpec {
    /// Files and folders with SidecarSets, relative to the kustomization and below the nearest pillion.yaml.
    /// SidecarSets among the resources are used too.
    pub(crate) sidecar_sets: Vec<String>,
    /// Files and folders with ledgers, relative to the kustomization. Ledgers among the resources are used too.
    pub(crate) ledgers: Vec<String>,
    /// Whole SidecarSets.
    pub(crate) inline: Vec<Map<String, Value>>,
    /// For a generator: files and folders with the manifests to render.
    pub(crate) sources: Vec<String>,
    /// Labels of namespaces that are not among the resources.
    pub(crate) namespaces: Vec<SidecarsNamespace>,
    /// Annotations that pillion writes.
    pub(crate) annotations: Option<AnnotationMode>,
    /// What happens to SidecarSets among the resources.
    pub(crate) keep_sidecar_sets: Option<KeepSidecarSets>,
}

/// Labels of a namespace.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct SidecarsNamespace {
    /// Name of the namespace.
    pub(crate) name: String,
    /// All its labels.
    pub(crate) labels: BTreeMap<String, String>,
}

/// What happens to SidecarSets among the resources.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum KeepSidecarSets {
    /// Keep them.
    Keep,
    /// Remove them.
    Strip,
    /// Keep them, annotated with `config.kubernetes.io/local-config`, so that kustomize removes them at the end.
    LocalConfig,
}

/// A configuration and its inline SidecarSets.
#[derive(Debug, Clone, Default)]
pub(crate) struct FunctionConfig {
    /// `spec`.
    pub(crate) spec: SidecarsSpec,
    /// The inline SidecarSets: the document and the path in it.
    pub(crate) inline: Vec<(Arc<Document>, FieldPath)>,
}

/// The kind of the configuration.
pub(crate) const KIND: &str = "Sidecars";

/// Returns the JSON Schema of `Sidecars`.
pub(crate) fn json_schema() -> &'static Value {
    static SCHEMA: LazyLock<Value> = LazyLock::new(schema_of::<SidecarsConfig>);
    &SCHEMA
}

/// Reads the configuration at a place of a document: a `Sidecars`, or a ConfigMap with the keys of its `spec`.
pub(crate) fn decode(document: &Arc<Document>, at: &FieldPath) -> (Option<FunctionConfig>, Vec<Diagnostic>) {
    let value = at.find(document.value()).unwrap_or(&Value::Null);
    let text = |key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default();
    match (text("apiVersion"), text("kind")) {
        ("v1", "ConfigMap") => decode_config_map(document, at, value),
        (version, KIND) if api_group(version) == PILLION_GROUP => decode_sidecars(document, at),
        (version, kind) => {
            let message = format!(
                "the function's configuration is `{kind}` of `{version}`, which pillion does not support"
            );
            let error = Diagnostic::error(Code::InvalidConfiguration, message)
                .at(document.label(&at.child("kind"), EntryPart::Value, ""))
                .help("write `apiVersion: pillion.dev/v1alpha1` and `kind: Sidecars`, or a ConfigMap");
            (None, vec![error])
        }
    }
}

fn decode_sidecars(document: &Arc<Document>, at: &FieldPath) -> (Option<FunctionConfig>, Vec<Diagnostic>) {
    let check = SchemaCheck::at_path(document, at, "pillion schema sidecars", json_schema());
    let (decoded, diagnostics) = check.decode::<SidecarsConfig>(KIND);
    let decoded = decoded.map(|sidecars| {
        let place = |i| (Arc::clone(document), at.join(&FieldPath::dotted("spec.inline")).child(i));
        let inline = (0..sidecars.spec.inline.len()).map(place).collect();
        FunctionConfig { spec: sidecars.spec, inline }
    });
    (decoded, diagnostics)
}

/// Reads a ConfigMap with the keys of `spec`: lists as words or lines, mappings as YAML.
fn decode_config_map(
    document: &Arc<Document>,
    at: &FieldPath,
    value: &Value,
) -> (Option<FunctionConfig>, Vec<Diagnostic>) {
    let name = value["metadata"]["name"].as_str().unwrap_or_default();
    let file: Arc<str> = format!("data of ConfigMap/{name}").into();
    let mut spec = Map::new();
    for (key, text) in value.get("data").and_then(Value::as_object).into_iter().flatten() {
        let text = text.as_str().unwrap_or_default();
        let read = match key.as_str() {
            "sidecarSets" | "ledgers" | "sources" => {
                let words = text.split([',', '\n', ' ']).map(str::trim).filter(|w| !w.is_empty());
                Ok(words.map(|w| w.trim_start_matches("- ")).filter(|w| *w != "-").collect())
            }
            "inline" | "namespaces" => Document::read(&file, 0, 1, text).map(|read| read.value().clone()),
            _ => Ok(Value::String(text.trim().to_owned())),
        };
        match read {
            Ok(value) => spec.insert(key.clone(), wrap_in_list(key, value)),
            Err(mut error) => {
                error.message = format!("`{key}` is not valid YAML: {}", error.message);
                return (
                    None,
                    vec![error.at(document.label(&at.child("data").child(key.clone()), EntryPart::Key, ""))],
                );
            }
        };
    }
    let sidecars = json!({"apiVersion": PILLION_API_VERSION, "kind": KIND, "spec": spec});
    match Document::read(&file, 0, 1, &emit(&sidecars)) {
        Ok(made) => decode_sidecars(&Arc::new(made), &FieldPath::root()),
        Err(error) => (None, vec![error]),
    }
}

/// Turns a single inline SidecarSet into a list.
fn wrap_in_list(key: &str, value: Value) -> Value {
    if key == "inline" && value.is_object() { Value::Array(vec![value]) } else { value }
}

#[cfg(test)]
mod tests {
    use super::*;
    use indoc::indoc;

    fn read(text: &str) -> (Option<FunctionConfig>, Vec<String>) {
        let document = Arc::new(Document::read(&"f.yaml".into(), 0, 1, text).unwrap());
        let (decoded, diagnostics) = decode(&document, &FieldPath::root());
        (decoded, diagnostics.into_iter().map(|d| d.message).collect())
    }

    #[test]
    fn the_example_of_the_design_is_accepted() {
        let text = indoc! {r#"
            apiVersion: pillion.dev/v1alpha1
            kind: Sidecars
            metadata:
              name: sidecars
              annotations: {config.kubernetes.io/function: "exec: {path: pillion}"}
            spec:
              sidecarSets: [../../../sidecars]
              ledgers: [../../../ledgers/prod-eu]
              inline: []
              sources: []
              namespaces:
              - name: shop
                labels: {team: shop}
              annotations: minimal
              keepSidecarSets: local-config
        "#};
        let (decoded, diagnostics) = read(text);
        assert_eq!(diagnostics, [] as [&str; 0]);
        let spec = decoded.unwrap().spec;
        assert_eq!(spec.sidecar_sets, ["../../../sidecars"]);
        assert_eq!(spec.keep_sidecar_sets, Some(KeepSidecarSets::LocalConfig));
    }

    #[test]
    fn a_config_map_has_the_same_keys() {
        let text = indoc! {"
            apiVersion: v1
            kind: ConfigMap
            metadata: {name: c}
            data:
              sidecarSets: a.yaml, b
              annotations: kruise
              inline: |
                kind: SidecarSet
        "};
        let (decoded, diagnostics) = read(text);
        assert_eq!(diagnostics, [] as [&str; 0]);
        let decoded = decoded.unwrap();
        assert_eq!(decoded.spec.sidecar_sets, ["a.yaml", "b"]);
        assert_eq!(decoded.inline.len(), 1);
        let (_, diagnostics) =
            read("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {sidecarsets: a}\n");
        assert_eq!(diagnostics, ["unknown key `spec.sidecarsets`"]);
    }
}
