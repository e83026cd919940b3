//! Compares SidecarOverrides with `overrides:` of pillion.yaml.

use crate::diagnostics::{Code, Diagnostic, Span};
use crate::model::config::{OverridableField, OverridesConfig, ResourceMaximum};
use crate::model::quantity::Quantity;
use crate::model::sidecar_override::{ContainerField, OverrideChange, OverrideField, SidecarOverride};
use crate::yaml::{Document, EntryPart, FieldPath};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// `overrides:` of pillion.yaml, with the folders of its rules as the user would name them.
#[derive(Debug, Clone, Default)]
pub(crate) struct OverrideRules {
    /// The content; None: it is not written, and nothing may be overridden.
    config: Option<OverridesConfig>,
    /// The folder of each rule, where it has one.
    folders: Vec<Option<PathBuf>>,
    /// pillion.yaml.
    document: Option<Arc<Document>>,
}

/// What one SidecarOverride may do.
struct Permission<'r> {
    allow: &'r [OverridableField],
    maximum: &'r ResourceMaximum,
    /// The path in pillion.yaml.
    path: FieldPath,
}

impl OverrideRules {
    /// Takes `overrides:` of pillion.yaml; `resolve` returns the path of a folder.
    pub(crate) fn new(
        config: Option<&OverridesConfig>,
        document: Option<&Arc<Document>>,
        resolve: impl Fn(&str) -> PathBuf,
    ) -> Self {
        let rules = config.iter().flat_map(|config| &config.rules);
        Self {
            config: config.cloned(),
            folders: rules.map(|rule| rule.folder.as_deref().map(&resolve)).collect(),
            document: document.cloned(),
        }
    }

    /// Reports what a SidecarOverride of a folder must not change.
    pub(super) fn check(&self, over: &SidecarOverride, folder: Option<&Path>) -> Vec<Diagnostic> {
        let permission = self.permission_of(over, folder);
        let mut found: Vec<Diagnostic> = Vec::new();
        let mut refused: Vec<OverridableField> = Vec::new();
        for change in &over.changes {
            let field = change.field.permission();
            let is_allowed = permission.as_ref().is_some_and(|p| p.allow.contains(&field));
            if is_allowed {
                found.extend(permission.iter().filter_map(|p| self.check_maximum(over, change, p)));
            } else if !refused.contains(&field) {
                refused.push(field);
                found.push(self.not_allowed(over, change, permission.as_ref()));
            }
        }
        found
    }

    fn permission_of(&self, over: &SidecarOverride, folder: Option<&Path>) -> Option<Permission<'_>> {
        let config = self.config.as_ref()?;
        let base = FieldPath::dotted("overrides");
        let matching = config.rules.iter().zip(&self.folders).enumerate().find(|(_, (rule, rule_folder))| {
            let is_in = |of: &PathBuf| folder.is_some_and(|folder| folder.starts_with(of));
            rule_folder.as_ref().is_none_or(is_in)
                && (rule.sidecar_sets.is_empty() || rule.sidecar_sets.contains(&over.sidecar_set))
        });
        Some(match matching {
            Some((i, (rule, _))) => {
                Permission { allow: &rule.allow, maximum: &rule.maximum, path: base.child("rules").child(i) }
            }
            None => Permission { allow: &config.allow, maximum: &config.maximum, path: base },
        })
    }

    fn label(&self, path: &FieldPath, text: &str) -> Option<Span> {
        let document = self.document.as_ref()?;
        path.find(document.value()).map(|_| document.label(path, EntryPart::Value, text))
    }

    fn not_allowed(
        &self,
        over: &SidecarOverride,
        change: &OverrideChange,
        permission: Option<&Permission<'_>>,
    ) -> Diagnostic {
        let field = change.field.permission().name();
        let message = format!("SidecarOverride `{}` must not change {}", over.name, change.field);
        let mut diagnostic = Diagnostic::error(Code::OverrideNotAllowed, message)
            .at(over.document.label(&change.path, EntryPart::Key, ""))
            .field(change.path.to_string());
        let Some(permission) = permission else {
            return diagnostic
                .because("pillion.yaml has no `overrides:`, so SidecarOverrides may change nothing")
                .help(format!("remove it, or add `overrides: {{allow: [{field}]}}` to pillion.yaml"));
        };
        let allow = permission.path.child("allow");
        let label =
            self.label(&allow, "allowed here").or_else(|| self.label(&permission.path, "decided here"));
        diagnostic.spans.extend(label);
        let allowed: Vec<String> = permission.allow.iter().map(|f| format!("`{}`", f.name())).collect();
        let allowed = if allowed.is_empty() { "nothing".to_owned() } else { allowed.join(", ") };
        diagnostic
            .because(format!("`{}` of pillion.yaml decides about it and allows {allowed}", permission.path))
            .help(format!("remove it, or add `{field}` to `{allow}` of pillion.yaml"))
    }

    fn check_maximum(
        &self,
        over: &SidecarOverride,
        change: &OverrideChange,
        permission: &Permission<'_>,
    ) -> Option<Diagnostic> {
        let OverrideField::Container { part: ContainerField::Resource { list, resource }, container } =
            &change.field
        else {
            return None;
        };
        let maximum = permission.maximum.amount(list, resource)?;
        let message = match &change.value {
            Value::Null if *list == "requests" => return None,
            Value::Null => format!(
                "SidecarOverride `{}` removes the {resource} limit of `{container}`, which has the maximum `{maximum}`",
                over.name
            ),
            value => {
                let amount = Quantity::from_value(value).ok().filter(|amount| *amount > maximum)?;
                let list = list.trim_end_matches('s');
                format!(
                    "SidecarOverride `{}` gives `{container}` a {resource} {list} of `{amount}`, above the maximum of `{maximum}`",
                    over.name
                )
            }
        };
        let at = permission.path.child("maximum").child(*list).child(resource.as_str());
        let mut diagnostic = Diagnostic::error(Code::OverrideAboveLimit, message)
            .at(over.document.label(&change.path, EntryPart::Value, ""))
            .field(change.path.to_string());
        diagnostic.spans.extend(self.label(&at, "the maximum"));
        Some(diagnostic.help(format!("write at most `{maximum}`, or raise `{at}` of pillion.yaml")))
    }
}
