//! docs/configuration.md: every key of pillion.yaml, generated from its JSON Schema.

use serde_json::Value;
use std::fmt::Write as _;

const HEAD: &str = "# Configuration

This page is generated from the types in `src/model`; a test compares them.
`pillion schema` prints the JSON Schema, for editors.

`pillion.yaml` describes a repository.
pillion looks for it in the working folder and then upwards, to the root of the git repository; `--config FILE` names another one.
Plugins and functions use the topmost one ([integrations.md](integrations.md#which-pillionyaml-counts)).
All keys but `apiVersion` and `kind` are optional, and an unknown key is an error.

```yaml
apiVersion: pillion.dev/v1alpha1
kind: Repository
sources: [apps]
sidecarSets: [sidecars]
rendered: rendered
ledgers: ledgers
namespaces:
- {folder: apps/shop, name: shop, labels: {team: shop}}
git:
  deploy: main
rollout:
  steps: [1, 25%, 100%]
  soak: 5m
  onFailure: RollBack
```

The annotation `pillion.dev/rollout` of a SidecarSet takes the keys of `rollout` as YAML, and wins:

```yaml
metadata:
  annotations:
    pillion.dev/rollout: |
      soak: 1h
      approve: [1]
```

What SidecarOverrides may change, and how: [overrides.md](overrides.md).
The annotations `pillion.dev/sidecar-mode` and `pillion.dev/after` set the mode and the launch order of one SidecarSet: [sidecar-modes.md](sidecar-modes.md).

`lint` sets the level of warnings and notes by their code, which messages have in brackets:

```yaml
lint:
  transfer-env-missing: allow
  unknown-field: deny
```

Errors cannot be allowed, `job-never-completes` aside, and `--strict` makes every other warning an error.
`pillion explain CODE` says what a code means and how to fix what it reports; [codes.md](codes.md) has all of them.
`pillion watch` does not read `lint`: check the sources before they are merged.

Write lengths of time in hours, minutes and seconds: `90s`, `10m`, `1h30m`.
Paths are relative to pillion.yaml; absolute paths and symbolic links are errors.
";

/// Returns the text of docs/configuration.md.
pub(super) fn configuration_reference() -> String {
    let mut text = HEAD.to_owned();
    let mut sections = vec![(String::new(), pillion::model::config::json_schema().clone())];
    while !sections.is_empty() {
        let (path, schema) = sections.remove(0);
        let title = if path.is_empty() { "Top level".to_owned() } else { format!("`{path}`") };
        write!(text, "\n## {title}\n\n| key | type | default | meaning |\n|---|---|---|---|\n").unwrap();
        let properties = schema["properties"].as_object().unwrap();
        for (key, property) in properties {
            let full = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            let is_required =
                schema["required"].as_array().is_some_and(|r| r.contains(&Value::from(key.as_str())));
            let default = if is_required { "required".to_owned() } else { default_of(property) };
            let kind = kind_of(property);
            let meaning = property["description"].as_str().unwrap_or_default().replace('\n', " ");
            writeln!(text, "| `{key}` | {kind} | {default} | {meaning}{} |", values_of(property)).unwrap();
            if property["properties"].is_object() {
                sections.push((full, property.clone()));
            } else if property["items"]["properties"].is_object() {
                sections.push((format!("{full}[]"), property["items"].clone()));
            }
        }
    }
    text
}

/// Returns the default of a property; `-` where there is none.
fn default_of(property: &Value) -> String {
    match flow(&property["default"]) {
        nothing if ["", "[]", "{}", "null", "false"].contains(&&*nothing) => "-".to_owned(),
        default => format!("`{default}`"),
    }
}

/// Returns a value in the flow style of YAML, without quotes.
fn flow(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => format!("[{}]", items.iter().map(flow).collect::<Vec<_>>().join(", ")),
        Value::Object(entries) => {
            let entries: Vec<String> = entries.iter().map(|(k, v)| format!("{k}: {}", flow(v))).collect();
            format!("{{{}}}", entries.join(", "))
        }
        other => other.to_string(),
    }
}

/// Returns the type of a property as people write it.
fn kind_of(property: &Value) -> String {
    if !variants(property).is_empty() {
        return "one of".to_owned();
    }
    if property["anyOf"].is_array() {
        return "number or percentage".to_owned();
    }
    let kind = match &property["type"] {
        Value::Array(kinds) => kinds[0].as_str(),
        kind => kind.as_str(),
    };
    match kind.unwrap_or("object") {
        "integer" => "number".to_owned(),
        "array" if property["items"]["properties"].is_object() => "list".to_owned(),
        "array" if !variants(&property["items"]).is_empty() => {
            let names: Vec<String> =
                variants(&property["items"]).iter().map(|(name, _)| format!("`{name}`")).collect();
            format!("list of {}", names.join(", "))
        }
        "array" => format!(
            "list of {}s",
            kind_of(&property["items"]).replace(" or ", "s or ").replace("percentages", "percentage")
        ),
        "object" if !variants(&property["additionalProperties"]).is_empty() => {
            let values = variants(&property["additionalProperties"]);
            let names: Vec<String> = values.iter().map(|(name, _)| format!("`{name}`")).collect();
            format!("map to {}", names.join(", "))
        }
        "object" if property["additionalProperties"].is_object() => {
            format!("map to {}s", kind_of(&property["additionalProperties"]))
        }
        "object" => "object".to_owned(),
        other => other.to_owned(),
    }
}

/// Returns the named values of an enum with their meanings.
fn variants(property: &Value) -> Vec<(&str, &str)> {
    let choices = property["anyOf"].as_array().and_then(|any| any.iter().find_map(|o| o["oneOf"].as_array()));
    let choices = choices.or_else(|| property["oneOf"].as_array());
    choices
        .into_iter()
        .flatten()
        .filter_map(|choice| Some((choice["const"].as_str()?, choice["description"].as_str()?)))
        .collect()
}

fn values_of(property: &Value) -> String {
    let lines: Vec<String> = variants(property)
        .iter()
        .map(|(name, meaning)| format!("`{name}`: {}", meaning.trim_end_matches('.').replace('\n', " ")))
        .collect();
    if lines.is_empty() { String::new() } else { format!(" {}.", lines.join("; ")) }
}
