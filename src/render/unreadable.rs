//! Reports documents that Kubernetes cannot read. Every command uses this rule.

use crate::diagnostics::{Diagnostic, Severity};
use crate::model::sidecar_set::repair;

/// Lines of a repaired text that are shown.
const MAX_LINES_SHOWN: usize = 10;

/// Returns what is said of a document that cannot be read: an error, unless it is certainly no object of Kubernetes.
///
/// `is_named`: a person named this very file, or it lies where pillion.yaml expects SidecarSets or ledgers.
pub(super) fn unreadable_document(
    mut error: Diagnostic,
    text: &str,
    first_line: usize,
    is_named: bool,
) -> Diagnostic {
    if !is_named && !may_be_object(text) {
        error.severity = Severity::Warning;
        error.notes.push("it has no `apiVersion`, so it is passed through unchanged".to_owned());
        return error;
    }
    if let Some(repaired) = repair(text) {
        let new: Vec<&str> = repaired.text.lines().collect();
        let shown =
            repaired.moved_lines.iter().take(MAX_LINES_SHOWN).filter_map(|at| Some((at, new.get(at - 1)?)));
        error
            .notes
            .extend(shown.map(|(at, line)| format!("repaired, line {} reads `{line}`", at + first_line - 1)));
        let more = repaired.moved_lines.len().saturating_sub(MAX_LINES_SHOWN);
        error.notes.extend((more > 0).then(|| format!("and {more} more lines")));
        let file = error.spans.first().map_or("FILE", |label| &*label.file);
        error.help = Some(match file.starts_with('<') {
            true => "fix it at its origin".to_owned(),
            false => format!(
                "`pillion fix {file}` writes the repaired text; with `--check` it shows the difference"
            ),
        });
    }
    error
}

/// Returns whether a text that cannot be read may be an object of Kubernetes: a line of it starts like `apiVersion` or
/// `kind` does, in any case and quotes, or an escape could hide such a word.
fn may_be_object(text: &str) -> bool {
    let is_word = |line: &str| {
        let words = line.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
        let mut words = words.map(str::to_ascii_lowercase);
        words.next().is_some_and(|first| first.starts_with("apiversion") || first.starts_with("kind"))
    };
    let bytes = text.as_bytes();
    text.lines().any(is_word)
        || bytes.windows(10).any(|word| word.eq_ignore_ascii_case(b"apiversion"))
        || bytes.windows(2).any(|pair| matches!(pair, b"\\x" | b"\\u" | b"\\U"))
}

#[cfg(test)]
mod tests {
    use super::may_be_object;

    #[test]
    fn only_what_certainly_is_no_object_is_passed_through() {
        for text in [
            "a: [\napiversion : v1",
            "kind Pod\n",
            "{\"kind\": ",
            "- 'Kind': [",
            "\"\\u006bind\": ]",
            "? kind",
        ] {
            assert!(may_be_object(text), "{text:?}");
        }
        assert!(!may_be_object("a: {{ .Values.kind }}\n# this kind of thing\n"));
    }
}
