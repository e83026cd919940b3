//! Shows diagnostics to people: the line, what is wrong on it, what to do.

use super::{Diagnostic, Label, Severity, plain};
use annotate_snippets::{AnnotationKind, Element, Group, Level, Origin, Renderer, Snippet};
use std::ops::Range;
use std::sync::Arc;

/// Renders one diagnostic as text of several lines, ending with a line end.
pub fn render(diagnostic: &Diagnostic, color: bool) -> String {
    let diagnostic = &shown(diagnostic);
    let renderer = if color { Renderer::styled() } else { Renderer::plain() };
    let sources = sources(&diagnostic.labels);
    let mut group = Group::with_title(
        level(diagnostic.severity).primary_title(diagnostic.message.as_str()).id(diagnostic.code.name()),
    );
    for source in &sources {
        group = match source.marks.is_empty() {
            true => group.element(Element::from(Origin::path(&*source.file))),
            false => group.element(Element::from(snippet(source))),
        };
    }
    for note in &diagnostic.notes {
        group = group.element(Element::from(Level::NOTE.message(note.as_str())));
    }
    if let Some(help) = &diagnostic.help {
        group = group.element(Element::from(Level::HELP.message(help.as_str())));
    }
    let mut text = renderer.render(&[group]);
    text.push('\n');
    text
}

/// Returns a diagnostic as terminals may have it: a message stays on its line, notes and help keep theirs.
fn shown(diagnostic: &Diagnostic) -> Diagnostic {
    let mut shown = diagnostic.clone();
    shown.message = plain::line(&shown.message).into_owned();
    for label in &mut shown.labels {
        label.file = plain::line(&label.file).into();
        label.text = plain::line(&label.text).into_owned();
        label.source = plain::columns(&label.source).into();
    }
    for text in shown.notes.iter_mut().chain(&mut shown.help) {
        *text = plain::lines(text).into_owned();
    }
    shown
}

fn level(severity: Severity) -> Level<'static> {
    match severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
        Severity::Note => Level::NOTE,
    }
}

/// Lines of one file that are shown together.
struct Source {
    file: Arc<str>,
    first_line: usize,
    text: String,
    marks: Vec<Mark>,
}

struct Mark {
    span: Range<usize>,
    text: String,
    primary: bool,
}

/// Groups the labels: those of one file in one source, whose missing lines the renderer folds into `...`.
fn sources(labels: &[Label]) -> Vec<Source> {
    let mut order: Vec<(usize, &Label)> = labels.iter().enumerate().collect();
    // The file of the primary label first, each file's labels by line.
    order.sort_by_key(|(i, l)| {
        (labels.iter().position(|other| other.file == l.file).unwrap_or(*i), l.line, l.column)
    });
    let mut sources: Vec<Source> = Vec::new();
    for (i, label) in order {
        let joins = sources.last().is_some_and(|s| {
            let last = s.first_line + s.text.matches('\n').count();
            // A gap of exactly one line would be shown as an empty line that the file may not have.
            s.file == label.file && label.line - last != 2 && label.line - last < 10_000
        });
        if !joins {
            sources.push(Source {
                file: label.file.clone(),
                first_line: label.line,
                text: label.source.to_string(),
                marks: Vec::new(),
            });
        }
        if let Some(source) = sources.last_mut()
            && label.width > 0
        {
            add(source, label, i == 0);
        }
    }
    sources
}

fn add(source: &mut Source, label: &Label, primary: bool) {
    let last = source.first_line + source.text.matches('\n').count();
    if label.line > last {
        source.text.push_str(&"\n".repeat(label.line - last));
        source.text.push_str(&label.source);
    }
    let line_start = source.text.rfind('\n').map_or(0, |n| n + 1);
    let start = line_start + byte_of(&label.source, label.column - 1);
    let end = line_start + byte_of(&label.source, label.column - 1 + label.width);
    source.marks.push(Mark { span: start..end.max(start), text: label.text.clone(), primary });
}

fn byte_of(line: &str, chars: usize) -> usize {
    line.char_indices().nth(chars).map_or(line.len(), |(at, _)| at)
}

fn snippet(source: &Source) -> Snippet<'_, annotate_snippets::Annotation<'_>> {
    let annotations = source.marks.iter().map(|mark| {
        let kind = if mark.primary { AnnotationKind::Primary } else { AnnotationKind::Context };
        let annotation = kind.span(mark.span.clone());
        if mark.text.is_empty() { annotation } else { annotation.label(mark.text.as_str()) }
    });
    Snippet::source(source.text.as_str())
        .path(&*source.file)
        .line_start(source.first_line)
        .fold(true)
        .annotations(annotations)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::Code;

    fn label(line: usize, column: usize, width: usize, source: &str, text: &str) -> Label {
        Label {
            file: "sidecars/log-agent.yaml".into(),
            line,
            column,
            width,
            source: source.into(),
            text: text.into(),
        }
    }

    #[test]
    fn a_whole_file_needs_no_line() {
        let d = Diagnostic::error(Code::NotUtf8, "no text").at(Label::whole_file("a.yaml")).help("mend it");
        assert_eq!(render(&d, false), "error[not-utf8]: no text\n--> a.yaml\n = help: mend it\n");
    }

    #[test]
    fn two_places_of_one_file_share_a_snippet() {
        let d = Diagnostic::error(Code::WrongType, "`partition` and `selector` cannot be used together")
            .at(label(16, 5, 9, "    partition: 2", "and a number of pods is held back here"))
            .at(label(13, 5, 8, "    selector:", "canary pods are chosen here"))
            .because("the SidecarSet webhook of Kruise rejects this too")
            .help("keep one of the two fields");
        let expected = "\
error[wrong-type]: `partition` and `selector` cannot be used together
  --> sidecars/log-agent.yaml:16:5
   |
13 |     selector:
   |     -------- canary pods are chosen here
...
16 |     partition: 2
   |     ^^^^^^^^^ and a number of pods is held back here
   |
   = note: the SidecarSet webhook of Kruise rejects this too
   = help: keep one of the two fields
";
        assert_eq!(render(&d, false), expected);
    }
}
