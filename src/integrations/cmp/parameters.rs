//! Reads and describes the parameters of an Application that uses pillion as a plugin.

use crate::diagnostics::{Code, Diagnostic, Span};
use crate::model::config::AnnotationMode;
use crate::model::config::function_config::{KeepSidecarSets, SidecarsSpec};
use serde_json::{Value, json};

/// The parameters of an Application.
#[derive(Debug, Default)]
pub(super) struct CmpParameters {
    /// The settings that a function configuration has too.
    pub(super) spec: SidecarsSpec,
    /// The namespace of manifests that name none.
    pub(super) namespace: Option<String>,
    /// The cluster of pillion.yaml.
    pub(super) cluster: Option<String>,
}

/// Name, title, tooltip, and whether it is a list.
const PARAMETERS: [(&str, &str, &str, bool); 6] = [
    (
        "sidecarsets",
        "SidecarSets",
        "Files and folders with SidecarSets, relative to the Application's path; without any, those of pillion.yaml",
        true,
    ),
    (
        "ledgers",
        "Ledgers",
        "Files and folders with ledgers, relative to the Application's path; without any, those of pillion.yaml",
        true,
    ),
    ("cluster", "Cluster", "The cluster of pillion.yaml with the ledgers to use", false),
    (
        "namespace",
        "Namespace",
        "Namespace of manifests that name none; without one, what pillion.yaml says, else the Application's destination",
        false,
    ),
    ("annotations", "Annotations", "minimal, kruise or none", false),
    (
        "keep-sidecarsets",
        "Keep SidecarSets",
        "keep or strip: whether SidecarSets among the manifests are handed to the cluster",
        false,
    ),
];

/// The location of parameters in messages.
pub(super) const PARAMETERS_NAME: &str = "the parameters of the Application";

/// Returns what `parameters.dynamic` of a plugin prints.
pub(crate) fn parameters_json() -> String {
    let all = PARAMETERS.iter().map(|(name, title, tooltip, is_list)| {
        let collection = if *is_list { "array" } else { "string" };
        json!({
            "name": name, "title": title, "tooltip": tooltip, "required": false, "itemType": "string",
            "collectionType": collection,
        })
    });
    let mut text =
        serde_json::to_string_pretty(&Value::Array(all.collect())).expect("texts always serialize");
    text.push('\n');
    text
}

/// Reads ARGOCD_APP_PARAMETERS (the names of variables PARAM_… are ambiguous).
pub(super) fn read_parameters(text: &str) -> (CmpParameters, Vec<Diagnostic>) {
    let (mut parameters, mut diagnostics) = (CmpParameters::default(), Vec::new());
    if text.trim().is_empty() {
        return (parameters, diagnostics);
    }
    let read: Value = match serde_json::from_str(text) {
        Ok(read) => read,
        Err(error) => {
            diagnostics.push(invalid_parameter(
                &format!("ARGOCD_APP_PARAMETERS is not JSON: {error}"),
                "Argo CD sets this variable; if something else sets it, correct the value",
            ));
            return (parameters, diagnostics);
        }
    };
    let list = match read {
        // An Application without parameters.
        Value::Null => Vec::new(),
        Value::Array(list) => list,
        _ => {
            diagnostics.push(invalid_parameter(
                "ARGOCD_APP_PARAMETERS is not a JSON array",
                "write each parameter as `{\"name\": ..., \"string\": ...}` or with `array`",
            ));
            return (parameters, diagnostics);
        }
    };
    for parameter in &list {
        let name = parameter["name"].as_str().unwrap_or_default();
        if let Err((message, help)) = parameters.set_parameter(name, parameter) {
            diagnostics.push(invalid_parameter(&message, &help));
        }
    }
    (parameters, diagnostics)
}

impl CmpParameters {
    fn set_parameter(&mut self, name: &str, parameter: &Value) -> Result<(), (String, String)> {
        let Some((.., is_list)) = PARAMETERS.iter().find(|p| p.0 == name) else {
            let known: Vec<&str> = PARAMETERS.iter().map(|p| p.0).collect();
            return Err((
                format!("there is no parameter `{name}`"),
                format!("there are {}", known.join(", ")),
            ));
        };
        if *is_list {
            let Some(list) = parameter["array"].as_array() else {
                return Err((
                    format!("the parameter `{name}` must be an array"),
                    format!("write `{name}` with `array: [...]`"),
                ));
            };
            let words: Option<Vec<String>> =
                list.iter().map(|item| item.as_str().map(str::to_owned)).collect();
            let Some(words) = words else {
                return Err((
                    format!("the parameter `{name}` must be an array of strings"),
                    "put numbers and booleans in quotes".to_owned(),
                ));
            };
            match name {
                "ledgers" => self.spec.ledgers = words,
                _ => self.spec.sidecar_sets = words,
            }
            return Ok(());
        }
        let Some(text) = parameter["string"].as_str() else {
            return Err((
                format!("the parameter `{name}` must be a string"),
                format!("write `{name}` with `string: ...`"),
            ));
        };
        match (name, text) {
            (_, "") => {}
            ("cluster", text) => self.cluster = Some(text.to_owned()),
            ("namespace", text) => self.namespace = Some(text.to_owned()),
            ("annotations", "minimal") => self.spec.annotations = Some(AnnotationMode::Minimal),
            ("annotations", "kruise") => self.spec.annotations = Some(AnnotationMode::Kruise),
            ("annotations", "none") => self.spec.annotations = Some(AnnotationMode::None),
            ("keep-sidecarsets", "keep") => self.spec.keep_sidecar_sets = Some(KeepSidecarSets::Keep),
            ("keep-sidecarsets", "strip") => self.spec.keep_sidecar_sets = Some(KeepSidecarSets::Strip),
            (_, text) => {
                let choices = PARAMETERS.iter().find(|p| p.0 == name).map_or("", |p| p.2);
                return Err((format!("the parameter `{name}` cannot be `{text}`"), choices.to_owned()));
            }
        }
        Ok(())
    }
}

fn invalid_parameter(message: &str, help: &str) -> Diagnostic {
    Diagnostic::error(Code::InvalidConfiguration, message).at(Span::whole_file(PARAMETERS_NAME)).help(help)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_wrong_is_said() {
        let (_, diagnostics) = read_parameters(
            r#"[{"name":"ledger","string":"x"},{"name":"ledgers","string":"x"},{"name":"annotations","string":"all"}]"#,
        );
        let diagnostics: Vec<_> = diagnostics.into_iter().map(|d| d.message).collect();
        assert_eq!(
            diagnostics,
            [
                "there is no parameter `ledger`",
                "the parameter `ledgers` must be an array",
                "the parameter `annotations` cannot be `all`"
            ]
        );
    }

    #[test]
    fn what_is_not_a_list_of_texts_is_an_error() {
        let message = |text: &str| read_parameters(text).1.first().map(|d| d.message.clone());
        let not_an_array = "ARGOCD_APP_PARAMETERS is not a JSON array";
        assert_eq!(message(r#"{"name":"ledgers","array":["a"]}"#).as_deref(), Some(not_an_array));
        let not_strings = "the parameter `ledgers` must be an array of strings";
        assert_eq!(message(r#"[{"name":"ledgers","array":["a",1]}]"#).as_deref(), Some(not_strings));
        assert_eq!((message("null"), message("[]"), message(" ")), (None, None, None));
    }

    #[test]
    fn an_application_says_where_things_are() {
        let (parameters, diagnostics) = read_parameters(
            r#"[{"name":"ledgers","array":["../ledgers/eu"]},{"name":"namespace","string":"shop"},{"name":"cluster","string":""}]"#,
        );
        assert_eq!(diagnostics, []);
        assert_eq!(
            (parameters.spec.ledgers, parameters.namespace.as_deref(), parameters.cluster),
            (vec!["../ledgers/eu".to_owned()], Some("shop"), None)
        );
    }
}
