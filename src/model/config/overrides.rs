//! `overrides:` of pillion.yaml: what SidecarOverrides may change.

use crate::diagnostics::{Code, Diagnostic};
use crate::model::quantity::Quantity;
use crate::yaml::{Document, EntryPart, FieldPath};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

/// What SidecarOverrides may change. Without it, nothing.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub(crate) struct OverridesConfig {
    /// Fields that SidecarOverrides may change where no rule matches.
    pub(crate) allow: Vec<OverridableField>,
    /// Highest amounts that they may set where no rule matches.
    pub(crate) maximum: ResourceMaximum,
    /// Rules for parts of the repository. The first matching rule applies, in place of `allow` and `maximum` above.
    pub(crate) rules: Vec<OverrideRule>,
}

/// A rule for some SidecarOverrides.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct OverrideRule {
    /// Folder of the SidecarOverrides. Without it, every folder, and manifests that a command builds.
    pub(crate) folder: Option<String>,
    /// Names of SidecarSets. Without it, all of them.
    #[serde(default)]
    pub(crate) sidecar_sets: Vec<String>,
    /// Fields that may be changed.
    #[serde(default)]
    pub(crate) allow: Vec<OverridableField>,
    /// Highest amounts that may be set.
    #[serde(default)]
    pub(crate) maximum: ResourceMaximum,
}

/// A field that SidecarOverrides can change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) enum OverridableField {
    /// `resources` of containers.
    Resources,
    /// `env` of containers.
    Env,
    /// `args` of containers.
    Args,
    /// `volumeMounts` of containers.
    VolumeMounts,
    /// `exclude`: workloads without the SidecarSet.
    Exclude,
    /// `hold`: workloads that stay at their revision until a date.
    Hold,
}

impl OverridableField {
    /// Returns its name in pillion.yaml.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Resources => "resources",
            Self::Env => "env",
            Self::Args => "args",
            Self::VolumeMounts => "volumeMounts",
            Self::Exclude => "exclude",
            Self::Hold => "hold",
        }
    }
}

/// Highest amounts of a container.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub(crate) struct ResourceMaximum {
    /// Highest limits. A limit with a maximum cannot be removed.
    pub(crate) limits: AmountMaximum,
    /// Highest requests.
    pub(crate) requests: AmountMaximum,
}

/// Highest amounts of resources. A resource without one has no maximum.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct AmountMaximum {
    /// `500m`, `1`.
    #[schemars(schema_with = "Quantity::schema")]
    cpu: Value,
    /// `256Mi`, `1Gi`.
    #[schemars(schema_with = "Quantity::schema")]
    memory: Value,
    /// `1Gi`.
    #[serde(rename = "ephemeral-storage")]
    #[schemars(schema_with = "Quantity::schema")]
    ephemeral_storage: Value,
}

impl ResourceMaximum {
    /// Returns the highest amount of a resource; `list` is `limits` or `requests`.
    pub(crate) fn amount(&self, list: &str, resource: &str) -> Option<Quantity> {
        let amounts = if list == "limits" { &self.limits } else { &self.requests };
        let value = match resource {
            "cpu" => &amounts.cpu,
            "memory" => &amounts.memory,
            "ephemeral-storage" => &amounts.ephemeral_storage,
            _ => return None,
        };
        Quantity::read(value)
    }

    fn validate(&self, document: &Document, base: &FieldPath) -> Vec<Diagnostic> {
        let mut found = Vec::new();
        for (list, amounts) in [("limits", &self.limits), ("requests", &self.requests)] {
            let written = [
                ("cpu", &amounts.cpu),
                ("memory", &amounts.memory),
                ("ephemeral-storage", &amounts.ephemeral_storage),
            ];
            for (resource, value) in written.into_iter().filter(|(_, value)| !value.is_null()) {
                let Err(error) = Quantity::from_value(value) else { continue };
                let path = base.child(list).child(resource);
                found.push(
                    Diagnostic::error(Code::InvalidQuantity, error.to_string())
                        .at(document.label(&path, EntryPart::Value, ""))
                        .field(path.to_string())
                        .help("write a quantity such as `100m`, `0.5` or `1Gi`"),
                );
            }
        }
        found
    }
}

impl OverridesConfig {
    /// Reports invalid amounts.
    pub(super) fn validate(&self, document: &Document) -> Vec<Diagnostic> {
        let base = FieldPath::dotted("overrides");
        let mut found = self.maximum.validate(document, &base.child("maximum"));
        for (i, rule) in self.rules.iter().enumerate() {
            found.extend(rule.maximum.validate(document, &base.child("rules").child(i).child("maximum")));
        }
        found
    }
}
