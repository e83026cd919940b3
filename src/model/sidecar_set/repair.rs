//! Repairs SidecarSets of older articles that are not valid YAML because keys are indented too deep.
//!
//! The repaired text is only shown, and written by `pillion fix`; no command reads it as a SidecarSet.

use super::{DecodeMode, decode_for};
use crate::diagnostics::{Code, Diagnostic};
use crate::yaml::{Document, FieldPath};
use std::sync::Arc;

/// The repaired text of a SidecarSet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepairedText {
    /// The whole text.
    pub text: String,
    /// The lines that were moved to the left, counted from 1.
    pub moved_lines: Vec<usize>,
}

/// Repairs the text of a SidecarSet with keys that are indented deeper than their siblings, as after `- name: x`.
///
/// Returns None if the text is not a SidecarSet, if no line is misplaced, or if a moved line is invalid at its new
/// place: then only the author knows what it means.
pub fn repair(text: &str) -> Option<RepairedText> {
    if !is_sidecar_set(text) {
        return None;
    }
    let repaired = dedent_misplaced_lines(text)?;
    let document = Document::read(&"".into(), 0, 1, &repaired.text).ok()?;
    let is_valid = document.diagnostics().is_empty();
    let (_, diagnostics) = decode_for(DecodeMode::Render, &Arc::new(document), &FieldPath::root());
    let is_mismatch = |d: &Diagnostic| {
        (d.is_error() || d.code == Code::UnknownField)
            && d.spans.iter().any(|label| repaired.moved_lines.contains(&label.line))
    };
    (is_valid && !diagnostics.iter().any(is_mismatch)).then_some(repaired)
}

/// Moves misplaced lines to the left, to the column of their siblings.
fn dedent_misplaced_lines(text: &str) -> Option<RepairedText> {
    let mut lines: Vec<String> = text.split('\n').map(str::to_owned).collect();
    let mut moved = Vec::new();
    // The column of the next key, after an entry that is complete on its line.
    let mut siblings_at: Option<usize> = None;
    // The indentation of the lines that are being moved, and their new one.
    let mut shift: Option<(usize, usize)> = None;
    // The column at which a block scalar ends.
    let mut block: Option<usize> = None;
    for (at, line) in lines.iter_mut().enumerate() {
        let indent = indentation(line);
        if line.trim().is_empty()
            || block.is_some_and(|column| indent > column)
            || line.trim().starts_with('#')
        {
            continue;
        }
        shift = shift.filter(|(from, _)| indent >= *from);
        if shift.is_none() {
            shift = siblings_at
                .filter(|column| indent > *column && key_column(line).is_some())
                .map(|c| (indent, c));
        }
        if let Some((from, to)) = shift {
            line.replace_range(to..from, "");
            moved.push(at + 1);
        }
        let column = key_column(line);
        siblings_at = column.filter(|column| has_plain_value(&line[*column..]));
        block = opens_block_scalar(line).then(|| column.unwrap_or(indent));
    }
    (!moved.is_empty()).then(|| RepairedText { text: lines.join("\n"), moved_lines: moved })
}

/// Returns whether a text has the `apiVersion` and `kind` of a SidecarSet.
fn is_sidecar_set(text: &str) -> bool {
    let entry = |line: &str| {
        let (key, value) = line.split_once(':')?;
        Some((key.trim().to_lowercase(), value.trim().to_owned()))
    };
    let top = text.lines().filter(|l| !l.starts_with([' ', '#', '-'])).filter_map(entry).collect::<Vec<_>>();
    top.iter().any(|(k, v)| k == "kind" && v == "SidecarSet")
        && top.iter().any(|(k, v)| k == "apiversion" && v.starts_with("apps.kruise.io/"))
}

fn indentation(line: &str) -> usize {
    line.len() - line.trim_start_matches(' ').len()
}

/// Returns the column of the key of `key: …` or `- key: …`.
fn key_column(line: &str) -> Option<usize> {
    let mut column = indentation(line);
    while let Some(rest) = line[column..].strip_prefix("- ") {
        column += 2 + indentation(rest);
    }
    let key = line[column..].split_once(':')?.0.trim_end();
    let is_key = !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || "._-/".contains(c));
    is_key.then_some(column)
}

/// Returns whether a block scalar follows the line.
fn opens_block_scalar(line: &str) -> bool {
    let last = line.split(" #").next().unwrap_or("").split_whitespace().next_back().unwrap_or("");
    last.starts_with(['|', '>']) && last.len() <= 3
}

/// Returns whether `key: value` is complete on its line, so that no deeper line may follow it.
fn has_plain_value(entry: &str) -> bool {
    let value = entry.split_once(':').map_or("", |(_, v)| v).trim();
    let value = value.split(" #").next().unwrap_or("").trim();
    !value.is_empty()
        && !value.starts_with(['|', '>', '"', '\'', '{', '[', '&', '*', '!', '#', '%', '@', '`'])
}

#[cfg(test)]
mod tests {
    use super::repair;
    use indoc::indoc;

    const HEAD: &str = indoc! {"
        apiVersion : apps.kruise.io/v1alpha1
        Kind : SidecarSet
        metadata:
          name: s
        spec:
          containers:
    "};

    #[test]
    fn moves_an_entry_below_the_key_it_belongs_to() {
        let text = format!(
            "{HEAD}  - name: log\n    transferEnv:\n    - sourceContainerName: web\n      # the zone\n        envName: TZ\n    \
             image: x\n"
        );
        let fixed = repair(&text).expect("there is something to move");
        assert!(fixed.text.contains("\n      envName: TZ\n    image: x\n"), "{}", fixed.text);
        assert_eq!(fixed.moved_lines, [11]);
    }

    #[test]
    fn leaves_sound_and_foreign_texts_alone() {
        let sound =
            format!("{HEAD}  - name: log\n    command:\n    - sh\n    args: |\n      a: b\n        c: d\n");
        assert_eq!(repair(&sound), None);
        assert_eq!(repair("kind: ConfigMap\ndata:\n  a: b\n    c: d\n"), None);
    }

    #[test]
    fn what_fits_nowhere_is_left_to_a_person() {
        let image_twice = format!("{HEAD}  - name: log\n    image: x\n      image: y\n");
        assert_eq!(repair(&image_twice), None);
        let unknown = format!("{HEAD}  - name: log\n    image: x\n      mountPath: /a\n");
        assert_eq!(repair(&unknown), None);
        let still_broken = format!("{HEAD}  - name: log\n      image: x\n    env: [\n");
        assert_eq!(repair(&still_broken), None);
    }
}
