//! `lint:` of pillion.yaml: checks the codes, and returns their levels.

use super::{LintLevel, RepositoryConfig};
use crate::diagnostics::{Code, Diagnostic, LintLevels, Severity};
use crate::model::suggestion::closest_match;
use crate::yaml::{Document, EntryPart, FieldPath};
use std::collections::BTreeMap;

/// Reports unknown codes, and errors that are to be less than errors.
pub(super) fn validate(lint: &BTreeMap<String, LintLevel>, document: &Document) -> Vec<Diagnostic> {
    let report = |name: &str, message: String, help: String| {
        let path = FieldPath::dotted("lint").child(name);
        Diagnostic::error(Code::InvalidConfiguration, message)
            .at(document.label(&path, EntryPart::Key, ""))
            .field(path.to_string())
            .help(help)
    };
    let check = |(name, level): (&String, &LintLevel)| match Code::from_name(name) {
        None => {
            let near = closest_match(name, Code::ALL.iter().map(|code| code.name()));
            let help = near.map_or_else(
                || {
                    "remove it; messages have their code in brackets, as in `warning[unknown-field]`"
                        .to_owned()
                },
                |near| format!("did you mean `{near}`?"),
            );
            Some(report(name, format!("`lint` has an unknown code `{name}`"), help))
        }
        Some(code) if code.is_always_error() && *level != LintLevel::Deny => {
            let message = format!("`{name}` is an error, which `lint` cannot lower");
            let help = format!("remove it; `pillion explain {name}` says how to correct what it reports");
            Some(report(name, message, help))
        }
        Some(_) => None,
    };
    lint.iter().filter_map(check).collect()
}

impl RepositoryConfig {
    /// Returns the levels of codes.
    pub(crate) fn lint_levels(&self) -> LintLevels {
        let severity = |level: &LintLevel| match level {
            LintLevel::Allow => None,
            LintLevel::Warn => Some(Severity::Warning),
            LintLevel::Deny => Some(Severity::Error),
        };
        let levels =
            self.lint.iter().filter_map(|(name, level)| Some((Code::from_name(name)?, severity(level))));
        LintLevels { severities: levels.collect(), is_strict: false }
    }
}
