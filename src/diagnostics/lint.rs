//! Levels of codes: `lint:` of pillion.yaml, and `--strict`.

use super::{Code, Diagnostic, Severity};
use std::collections::BTreeMap;

/// The levels that differ from those of the registry. Errors stay errors.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LintLevels {
    /// The severity of the warnings and notes of a code; None: they are not reported.
    pub(crate) severities: BTreeMap<Code, Option<Severity>>,
    /// Warnings are errors.
    pub(crate) is_strict: bool,
}

impl LintLevels {
    /// Returns the severity that is written for a code: None inside for one that is not reported.
    pub(crate) fn severity_of(&self, code: Code) -> Option<Option<Severity>> {
        self.severities.get(&code).copied()
    }

    /// Returns a diagnostic with its level; None if it is allowed.
    pub(crate) fn apply(&self, mut diagnostic: Diagnostic) -> Option<Diagnostic> {
        if diagnostic.is_error() {
            return Some(diagnostic);
        }
        let mut reason = "`lint:` in pillion.yaml makes it an error";
        if let Some(severity) = self.severities.get(&diagnostic.code) {
            diagnostic.severity = (*severity)?;
        }
        if self.is_strict && diagnostic.severity == Severity::Warning {
            diagnostic.severity = Severity::Error;
            reason = "`--strict` makes it an error";
        }
        if diagnostic.is_error() {
            diagnostic.notes.push(reason.to_owned());
        }
        Some(diagnostic)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn level_of(levels: &LintLevels, severity: Severity) -> Option<Severity> {
        let diagnostic = Diagnostic { severity, ..Diagnostic::note(Code::SetOrderMatters, "order") };
        levels.apply(diagnostic).map(|d| d.severity)
    }

    #[test]
    fn errors_stay_errors() {
        let (error, warning, note) = (Severity::Error, Severity::Warning, Severity::Note);
        let with = |level, is_strict| LintLevels {
            severities: BTreeMap::from([(Code::SetOrderMatters, level)]),
            is_strict,
        };
        let allow = with(None, true);
        assert_eq!([error, warning, note].map(|s| level_of(&allow, s)), [Some(error), None, None]);
        let warn = with(Some(warning), false);
        assert_eq!([error, warning, note].map(|s| level_of(&warn, s)), [error, warning, warning].map(Some));
        let deny = with(Some(error), false);
        assert_eq!([error, warning, note].map(|s| level_of(&deny, s)), [Some(error); 3]);
        let strict = LintLevels { is_strict: true, ..LintLevels::default() };
        assert_eq!([error, warning, note].map(|s| level_of(&strict, s)), [error, error, note].map(Some));
    }
}
