//! `pillion.yaml`: how a repository is laid out, and what its rollouts look like.
//!
//! The types here are the single source: the JSON Schema is made from them, and files are checked against it.

use super::nearest::nearest;
use super::workload::Kind;
use crate::diag::{Code, Diagnostic};
use crate::yaml::{Document, Part, Path, Seg};
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// Configuration of a repository, `pillion.yaml` at its root; all keys are optional.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
#[schemars(title = "pillion.yaml")]
pub struct Repository {
    /// `pillion.dev/v1alpha1`.
    pub api_version: String,
    /// `Repository`.
    pub kind: String,
    /// Folders and files with manifests, relative to this file.
    pub sources: Vec<String>,
    /// What to leave out besides .gitignore, in gitignore syntax.
    pub ignore: Vec<String>,
    /// Folders and files with SidecarSets.
    pub sidecar_sets: Vec<String>,
    /// Folder of the rendered files; `.` with two branches; absent: ledger only.
    pub rendered: Option<String>,
    /// Folder of the ledgers on the live branch.
    pub ledgers: Option<String>,
    /// Which annotations a render writes.
    pub annotations: Option<Annotations>,
    /// Namespaces of manifests that name none, and labels of namespaces; the first folder that matches wins.
    pub namespaces: Vec<NamespaceRule>,
    /// Further kinds with a pod template.
    pub kinds: Vec<KindRule>,
    /// Clusters; absent: one.
    pub clusters: Vec<Cluster>,
    /// Branches, remote and identity of commits.
    pub git: Option<Git>,
    /// Rollouts; overridden by the annotation `pillion.dev/rollout` on a SidecarSet.
    pub rollout: Option<Rollout>,
}

/// Which annotations a render writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Annotations {
    /// `kruise.io/sidecarset-injected-list` only.
    Minimal,
    /// All that the webhook of Kruise writes, but no timestamp.
    Kruise,
    /// None; the output is no source for another render.
    None,
}

/// The namespace of the manifests below a folder, or the labels of a namespace.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NamespaceRule {
    /// Folder whose manifests are in this namespace where they name none; absent: the rule only gives labels.
    pub folder: Option<String>,
    /// Name of the namespace.
    pub name: String,
    /// Labels that answer `namespaceSelector` where no Namespace manifest is found.
    pub labels: Option<BTreeMap<String, String>>,
}

/// A kind with a pod template.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KindRule {
    /// API group; empty for the core group.
    #[serde(default)]
    pub group: String,
    /// Kind.
    pub kind: String,
    /// Where the pod template is (`spec.podTemplate`).
    pub template: String,
    /// Where the number of pods is (`spec.size`).
    pub replicas: Option<String>,
}

/// A cluster that follows a part of the repository.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Cluster {
    /// Name, also of its folder of ledgers.
    pub name: String,
    /// Folder of its manifests.
    pub folder: Option<String>,
    /// Context of the kubeconfig.
    pub context: Option<String>,
    /// Ledgers of later waves open when those of earlier ones are closed.
    pub wave: Option<u32>,
    /// Command whose output is the manifests, where git holds no plain ones.
    pub build: Option<Vec<String>>,
    /// Unreachable for now; waves do not wait for it.
    #[serde(default)]
    pub away: bool,
}

/// Branches, remote and identity.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Git {
    /// Branch that the cluster follows.
    pub live: Option<String>,
    /// Branch of the sources; differs from `live` in the two-branch layout.
    pub source: Option<String>,
    /// Name of the staged branches; `{live}` and `{sidecarSet}` are filled in.
    pub staged: Option<String>,
    /// Name of the remote.
    pub remote: Option<String>,
    /// Author and committer of every commit.
    pub identity: Option<Identity>,
}

/// Author and committer of commits.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Identity {
    /// Name.
    pub name: String,
    /// Address.
    pub email: String,
}

/// How rollouts go.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Rollout {
    /// A SidecarSet without a ledger is an error.
    pub require_ledger: Option<bool>,
    /// Who opens a rollout.
    pub start: Option<Start>,
    /// Cumulative pods, numbers or percentages.
    pub steps: Option<Vec<IntOrText>>,
    /// Whether workloads are split over batches.
    pub split: Option<Split>,
    /// The most batches a plan may have.
    pub max_batches: Option<u32>,
    /// How long the pods of a batch must stay healthy.
    pub soak: Option<String>,
    /// How long a batch may take.
    pub progress_deadline: Option<String>,
    /// When a batch counts as not applied.
    pub not_applied_after: Option<String>,
    /// What follows an unhealthy batch.
    pub on_failure: Option<OnFailure>,
    /// Pods of workloads, where neither git nor the ledger says.
    pub pods: BTreeMap<String, u32>,
    /// Times in which nothing is released.
    pub freeze: Vec<Freeze>,
    /// Batches that wait for `pillion approve`.
    pub approve: Vec<u32>,
}

/// Who opens a rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum Start {
    /// A person.
    Manual,
    /// The watcher.
    Auto,
}

/// Whether workloads are split over batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum Split {
    /// By their own partition, where they have one.
    Auto,
    /// Never.
    Never,
}

/// What follows an unhealthy batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum OnFailure {
    /// Nothing more is released.
    Pause,
    /// The released revision becomes the target.
    RollBack,
}

/// A number or a percentage.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum IntOrText {
    /// A number.
    Int(u32),
    /// A percentage.
    Text(String),
}

/// A time in which nothing is released.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Freeze {
    /// When it starts.
    pub cron: String,
    /// How long it lasts.
    pub length: String,
    /// Time zone of `cron`.
    pub time_zone: Option<String>,
}

/// Returns the JSON Schema of pillion.yaml.
pub fn json_schema() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|s| s.inline_subschemas = true);
    settings.into_generator().into_root_schema_for::<Repository>().to_value()
}

/// Reads the configuration, and says everything that is wrong with it.
pub fn decode(document: &Document) -> (Repository, Vec<Diagnostic>) {
    let schema = json_schema();
    let mut check = Check { document, found: document.diagnostics().to_vec() };
    check.value(document.value(), &schema, &Path::root());
    for (key, expected) in [("apiVersion", "pillion.dev/v1alpha1"), ("kind", "Repository")] {
        let found = document.value().get(key).and_then(Value::as_str);
        if found != Some(expected) {
            check.say(
                Code::InvalidConfiguration,
                &Path::root().then(key),
                format!("`{key}` must be `{expected}`"),
                Some(format!("write `{key}: {expected}`")),
            );
        }
    }
    if check.found.iter().any(Diagnostic::is_error) {
        return (Repository::default(), check.found);
    }
    match serde_json::from_value(document.value().clone()) {
        Ok(repository) => (repository, check.found),
        Err(error) => {
            check.say(Code::InvalidConfiguration, &Path::root(), error.to_string(), None);
            (Repository::default(), check.found)
        }
    }
}

impl Repository {
    /// Returns the further kinds.
    pub fn kinds(&self) -> impl Iterator<Item = Kind> {
        self.kinds.iter().map(|k| Kind {
            group: k.group.clone(),
            kind: k.kind.clone(),
            templates: vec![Path::dotted(&k.template)],
            replicas: k.replicas.as_deref().map(Path::dotted),
        })
    }
}

/// Compares a document with the schema and collects what does not fit.
struct Check<'a> {
    document: &'a Document,
    found: Vec<Diagnostic>,
}

impl Check<'_> {
    fn value(&mut self, value: &Value, schema: &Value, path: &Path) {
        let options: Vec<&Value> =
            schema["anyOf"].as_array().map_or_else(|| vec![schema], |all| all.iter().collect());
        let Some(fitting) = options.iter().find(|o| fits(value, o)) else {
            let wanted: Vec<String> = options.iter().filter_map(|o| noun(o)).collect();
            let message = format!("`{path}` must be {}, not {}", wanted.join(" or "), found(value));
            let help = "`pillion schema` prints what pillion.yaml may hold".to_owned();
            return self.say(Code::WrongType, path, message, Some(help));
        };
        match value {
            Value::Object(entries) => {
                for (key, inner) in entries {
                    self.entry(key, inner, fitting, path);
                }
                for required in fitting["required"].as_array().into_iter().flatten().filter_map(Value::as_str)
                {
                    if !entries.contains_key(required) {
                        self.say(
                            Code::InvalidConfiguration,
                            path,
                            format!("`{path}` lacks `{required}`"),
                            Some(format!("write `{required}` here; `pillion schema` says what it means")),
                        );
                    }
                }
            }
            Value::Array(items) => {
                for (i, item) in items.iter().enumerate() {
                    self.value(item, &fitting["items"], &path.then(i));
                }
            }
            _ => {}
        }
    }

    fn entry(&mut self, key: &str, value: &Value, schema: &Value, path: &Path) {
        let at = path.then(key.to_owned());
        if let Some(known) = schema["properties"].get(key) {
            self.value(value, known, &at);
        } else if schema["additionalProperties"].is_object() {
            self.value(value, &schema["additionalProperties"], &at);
        } else {
            let keys = schema["properties"].as_object().into_iter().flat_map(|p| p.keys());
            let near = nearest(key, keys.map(String::as_str));
            let help = near.map_or_else(
                || "remove it; `pillion schema` lists the keys".to_owned(),
                |k| format!("did you mean `{k}`?"),
            );
            self.say(Code::InvalidConfiguration, &at, format!("unknown key `{at}`"), Some(help));
        }
    }

    fn say(&mut self, code: Code, path: &Path, message: String, help: Option<String>) {
        let part = if matches!(path.steps().last(), Some(Seg::Key(_))) && code == Code::InvalidConfiguration {
            Part::Key
        } else {
            Part::Value
        };
        let mut diagnostic =
            Diagnostic::error(code, message).field(path.to_string()).at(self.document.label(path, part, ""));
        diagnostic.help = help;
        self.found.push(diagnostic);
    }
}

/// The types a schema allows.
fn types(schema: &Value) -> Vec<&str> {
    match &schema["type"] {
        Value::String(one) => vec![one],
        Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

/// The texts a schema allows, where it lists them (`enum`, or `oneOf` with `const`).
fn choices(schema: &Value) -> Vec<&str> {
    let listed = schema["enum"].as_array().into_iter().flatten();
    let described = schema["oneOf"].as_array().into_iter().flatten().map(|o| &o["const"]);
    listed.chain(described).filter_map(Value::as_str).collect()
}

fn fits(value: &Value, schema: &Value) -> bool {
    let allowed = choices(schema);
    if !allowed.is_empty() {
        return value.as_str().is_some_and(|v| allowed.contains(&v));
    }
    types(schema).into_iter().any(|kind| match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.as_u64().is_some_and(|n| n <= u64::from(u32::MAX)),
        // An optional key that is written and empty is as if absent.
        "null" => value.is_null(),
        _ => false,
    })
}

fn noun(schema: &Value) -> Option<String> {
    let allowed = choices(schema);
    if !allowed.is_empty() {
        return Some(allowed.iter().map(|c| format!("`{c}`")).collect::<Vec<_>>().join(" or "));
    }
    types(schema).into_iter().find_map(|kind| match kind {
        "object" => Some("a mapping".to_owned()),
        "array" => Some("a list".to_owned()),
        "string" => Some("a string".to_owned()),
        "boolean" => Some("`true` or `false`".to_owned()),
        "integer" => Some("a whole number from 0".to_owned()),
        _ => None,
    })
}

fn found(value: &Value) -> String {
    match value {
        Value::Null => "empty".to_owned(),
        Value::Bool(b) => format!("`{b}`"),
        Value::Number(n) => format!("`{n}`"),
        Value::String(s) => format!("`{s}`"),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "a mapping".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(text: &str) -> Vec<String> {
        let document = Document::read(&"pillion.yaml".into(), 0, 1, text).unwrap();
        decode(&document).1.into_iter().map(|d| d.message).collect()
    }

    const HEAD: &str = "apiVersion: pillion.dev/v1alpha1\nkind: Repository\n";

    #[test]
    fn everything_wrong_is_said_at_once() {
        let text = format!(
            "{HEAD}sorces: [a]\nannotations: all\nkinds:\n- {{group: x, kind: Worker}}\nrollout: {{steps: [1, 25%], maxBatches: lots, start: Auto}}\n"
        );
        assert_eq!(
            messages(&text),
            [
                "unknown key `sorces`",
                "`annotations` must be `minimal` or `kruise` or `none`, not `all`",
                "`kinds[0]` lacks `template`",
                "`rollout.maxBatches` must be a whole number from 0, not `lots`",
            ]
        );
        assert_eq!(messages("kind: Repository\n"), ["`apiVersion` must be `pillion.dev/v1alpha1`"]);
    }

    #[test]
    fn the_whole_example_of_the_design_is_accepted() {
        let text = format!(
            "{HEAD}sources: [apps]\nrendered: rendered\nnamespaces:\n- {{folder: apps/shop, name: shop, labels: {{team: shop}}}}\nclusters:\n- {{name: eu, folder: apps, wave: 1, build: [kustomize, build, x]}}\ngit: {{live: main, identity: {{name: p, email: p@x}}}}\nrollout: {{steps: [1, 25%, 100%], freeze: [{{cron: \"0 17 * * FRI\", length: 63h}}], approve: [1], pods: {{DaemonSet.apps/infra/edge: 40}}}}\n"
        );
        let document = Document::read(&"pillion.yaml".into(), 0, 1, &text).unwrap();
        let (repository, wrong) = decode(&document);
        assert_eq!(wrong, []);
        assert_eq!(repository.rollout.unwrap().steps.unwrap()[1], IntOrText::Text("25%".into()));
    }
}
