//! `Sidecars`: what a kustomize transformer, a KRM function or a plugin is told to inject.

use super::config::AnnotationMode;
use super::document_schema::SchemaCheck;
use crate::diagnostics::{Code, Diagnostic};
use crate::yaml::{Document, EntryPart, FieldPath, emit};
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

/// Configuration of a kustomize transformer or generator; also the `functionConfig` of a KRM function.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
#[schemars(title = "Sidecars")]
pub struct SidecarsConfig {
    /// `pillion.dev/v1alpha1`.
    pub api_version: String,
    /// `Sidecars`.
    pub kind: String,
    /// Name, and the annotation `config.kubernetes.io/function`.
    pub metadata: Map<String, Value>,
    /// What to inject.
    pub spec: SidecarsSpec,
}

/// What to inject.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct SidecarsSpec {
    /// Files and folders with SidecarSets, seen from the kustomization, below the nearest pillion.yaml; SidecarSets
    /// among the resources count too.
    pub sidecar_sets: Vec<String>,
    /// Files and folders with ledgers, seen from the kustomization; ledgers among the resources count too.
    pub ledgers: Vec<String>,
    /// Whole SidecarSets.
    pub inline: Vec<Map<String, Value>>,
    /// As a generator: files and folders with manifests to read and render.
    pub sources: Vec<String>,
    /// Labels of namespaces that are not among the resources.
    pub namespaces: Vec<SidecarsNamespace>,
    /// Which annotations are written.
    pub annotations: Option<AnnotationMode>,
    /// What becomes of SidecarSets among the resources.
    pub keep_sidecar_sets: Option<KeepSidecarSets>,
}

/// Labels of a namespace.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SidecarsNamespace {
    /// Name of the namespace.
    pub name: String,
    /// Its labels, all of them.
    pub labels: BTreeMap<String, String>,
}

/// What becomes of SidecarSets among the resources.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum KeepSidecarSets {
    /// They stay.
    Keep,
    /// They are left out.
    Strip,
    /// They stay and are marked with `config.kubernetes.io/local-config`, so that kustomize leaves them out at the end.
    LocalConfig,
}

/// A configuration, and the SidecarSets that it holds itself.
#[derive(Debug, Clone, Default)]
pub struct FunctionConfig {
    /// What it says.
    pub spec: SidecarsSpec,
    /// The SidecarSets that stand in it: the document and the place in it.
    pub inline: Vec<(Arc<Document>, FieldPath)>,
}

/// The kind of the configuration.
pub const KIND: &str = "Sidecars";

/// Returns the JSON Schema of `Sidecars`.
pub fn json_schema() -> &'static Value {
    static SCHEMA: LazyLock<Value> = LazyLock::new(|| {
        let settings = SchemaSettings::draft2020_12().with(|s| s.inline_subschemas = true);
        settings.into_generator().into_root_schema_for::<SidecarsConfig>().to_value()
    });
    &SCHEMA
}

/// Reads the configuration at a place of a document: a `Sidecars`, or a ConfigMap with the keys of its `spec`.
pub fn decode(document: &Arc<Document>, at: &FieldPath) -> (Option<FunctionConfig>, Vec<Diagnostic>) {
    let value = at.find(document.value()).unwrap_or(&Value::Null);
    let text = |key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default();
    match (text("apiVersion"), text("kind")) {
        ("v1", "ConfigMap") => decode_config_map(document, at, value),
        (version, KIND) if version.starts_with("pillion.dev/") => decode_sidecars(document, at),
        (version, kind) => {
            let message = format!(
                "the function's configuration is `{kind}` of `{version}`, which says nothing to pillion"
            );
            let wrong = Diagnostic::error(Code::InvalidConfiguration, message)
                .at(document.label(&at.child("kind"), EntryPart::Value, ""))
                .help("write `apiVersion: pillion.dev/v1alpha1` and `kind: Sidecars`, or a ConfigMap");
            (None, vec![wrong])
        }
    }
}

fn decode_sidecars(document: &Arc<Document>, at: &FieldPath) -> (Option<FunctionConfig>, Vec<Diagnostic>) {
    let check = SchemaCheck::at_path(document, at, "pillion schema sidecars", json_schema());
    let (decoded, wrong) = check.decode::<SidecarsConfig>(KIND);
    let decoded = decoded.map(|sidecars| {
        let place = |i| (Arc::clone(document), at.join(&FieldPath::dotted("spec.inline")).child(i));
        let inline = (0..sidecars.spec.inline.len()).map(place).collect();
        FunctionConfig { spec: sidecars.spec, inline }
    });
    (decoded, wrong)
}

/// The keys of a ConfigMap are those of `spec`: lists as words or lines, mappings as YAML.
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
            Err(mut wrong) => {
                wrong.message = format!("`{key}` is no YAML: {}", wrong.message);
                return (
                    None,
                    vec![wrong.at(document.label(
                        &at.child("data").child(key.clone()),
                        EntryPart::Key,
                        "it is this",
                    ))],
                );
            }
        };
    }
    let sidecars = json!({"apiVersion": super::document_schema::API_VERSION, "kind": KIND, "spec": spec});
    match Document::read(&file, 0, 1, &emit(&sidecars)) {
        Ok(made) => decode_sidecars(&Arc::new(made), &FieldPath::root()),
        Err(wrong) => (None, vec![wrong]),
    }
}

/// One SidecarSet may stand for a list of one.
fn wrap_in_list(key: &str, value: Value) -> Value {
    if key == "inline" && value.is_object() { Value::Array(vec![value]) } else { value }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Option<FunctionConfig>, Vec<String>) {
        let document = Arc::new(Document::read(&"f.yaml".into(), 0, 1, text).unwrap());
        let (decoded, wrong) = decode(&document, &FieldPath::root());
        (decoded, wrong.into_iter().map(|d| d.message).collect())
    }

    #[test]
    fn the_example_of_the_design_is_accepted() {
        let text = "apiVersion: pillion.dev/v1alpha1\nkind: Sidecars\nmetadata:\n  name: sidecars\n  annotations: {config.kubernetes.io/function: \"exec: {path: pillion}\"}\nspec:\n  sidecarSets: [../../../sidecars]\n  ledgers: [../../../ledgers/prod-eu]\n  inline: []\n  sources: []\n  namespaces: [{name: shop, labels: {team: shop}}]\n  annotations: minimal\n  keepSidecarSets: local-config\n";
        let (decoded, wrong) = read(text);
        assert_eq!(wrong, [] as [&str; 0]);
        let spec = decoded.unwrap().spec;
        assert_eq!(spec.sidecar_sets, ["../../../sidecars"]);
        assert_eq!(spec.keep_sidecar_sets, Some(KeepSidecarSets::LocalConfig));
    }

    #[test]
    fn a_config_map_says_the_same_in_words() {
        let text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata:\n  sidecarSets: a.yaml, b\n  annotations: kruise\n  inline: |\n    kind: SidecarSet\n";
        let (decoded, wrong) = read(text);
        assert_eq!(wrong, [] as [&str; 0]);
        let decoded = decoded.unwrap();
        assert_eq!(decoded.spec.sidecar_sets, ["a.yaml", "b"]);
        assert_eq!(decoded.inline.len(), 1);
        let (_, wrong) =
            read("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {sidecarsets: a}\n");
        assert_eq!(wrong, ["unknown key `spec.sidecarsets`"]);
    }
}
