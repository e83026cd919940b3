//! Formats diagnostics for people: the source line, the problem, the fix.

use super::{Diagnostic, Severity, Span, escape};
use annotate_snippets::{AnnotationKind, Element, Group, Level, Origin, Renderer, Snippet};
use std::ops::Range;
use std::sync::Arc;

/// Renders one diagnostic as text of several lines, ending with a line end.
pub(crate) fn render(diagnostic: &Diagnostic, color: bool) -> String {
    let diagnostic = &sanitize(diagnostic);
    let renderer = if color { Renderer::styled() } else { Renderer::plain() };
    let sources = group_into_excerpts(&diagnostic.spans);
    let mut group = Group::with_title(
        level(diagnostic.severity).primary_title(diagnostic.message.as_str()).id(diagnostic.code.name()),
    );
    for source in &sources {
        group = match source.annotations.is_empty() {
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
fn sanitize(diagnostic: &Diagnostic) -> Diagnostic {
    let mut shown = diagnostic.clone();
    shown.message = escape::line(&shown.message).into_owned();
    for label in &mut shown.spans {
        label.file = escape::line(&label.file).into();
        label.label = escape::line(&label.label).into_owned();
        label.source_line = escape::columns(&label.source_line).into();
    }
    for text in shown.notes.iter_mut().chain(&mut shown.help) {
        *text = escape::lines(text).into_owned();
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
struct SourceExcerpt {
    file: Arc<str>,
    first_line: usize,
    text: String,
    annotations: Vec<ExcerptAnnotation>,
}

struct ExcerptAnnotation {
    range: Range<usize>,
    label: String,
    is_primary: bool,
}

/// Groups the labels: those of one file are one source. The renderer folds lines without labels into `...`.
fn group_into_excerpts(labels: &[Span]) -> Vec<SourceExcerpt> {
    let mut order: Vec<(usize, &Span)> = labels.iter().enumerate().collect();
    // The file of the primary label first, each file's labels by line.
    order.sort_by_key(|(i, l)| {
        (labels.iter().position(|other| other.file == l.file).unwrap_or(*i), l.line, l.column)
    });
    let mut sources: Vec<SourceExcerpt> = Vec::new();
    for (i, label) in order {
        let joins = sources.last().is_some_and(|s| {
            let last = s.first_line + s.text.matches('\n').count();
            // A gap of exactly one line would be shown as an empty line that the file may not have.
            s.file == label.file && label.line - last != 2 && label.line - last < 10_000
        });
        if !joins {
            sources.push(SourceExcerpt {
                file: label.file.clone(),
                first_line: label.line,
                text: label.source_line.to_string(),
                annotations: Vec::new(),
            });
        }
        if let Some(source) = sources.last_mut()
            && label.width > 0
        {
            add_annotation(source, label, i == 0);
        }
    }
    sources
}

fn add_annotation(source: &mut SourceExcerpt, label: &Span, primary: bool) {
    let last = source.first_line + source.text.matches('\n').count();
    if label.line > last {
        source.text.push_str(&"\n".repeat(label.line - last));
        source.text.push_str(&label.source_line);
    }
    let line_start = source.text.rfind('\n').map_or(0, |n| n + 1);
    let start = line_start + byte_offset(&label.source_line, label.column - 1);
    let end = line_start + byte_offset(&label.source_line, label.column - 1 + label.width);
    source.annotations.push(ExcerptAnnotation {
        range: start..end.max(start),
        label: label.label.clone(),
        is_primary: primary,
    });
}

fn byte_offset(line: &str, chars: usize) -> usize {
    line.char_indices().nth(chars).map_or(line.len(), |(at, _)| at)
}

fn snippet(source: &SourceExcerpt) -> Snippet<'_, annotate_snippets::Annotation<'_>> {
    let annotations = source.annotations.iter().map(|mark| {
        let kind = if mark.is_primary { AnnotationKind::Primary } else { AnnotationKind::Context };
        let annotation = kind.span(mark.range.clone());
        if mark.label.is_empty() { annotation } else { annotation.label(mark.label.as_str()) }
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
    use crate::diagnostics::Code;

    fn label(line: usize, column: usize, width: usize, source: &str, text: &str) -> Span {
        Span {
            file: "sidecars/log-agent.yaml".into(),
            line,
            column,
            width,
            source_line: source.into(),
            label: text.into(),
        }
    }

    #[test]
    fn a_whole_file_needs_no_line() {
        let d = Diagnostic::error(Code::NotUtf8, "no text").at(Span::whole_file("a.yaml")).help("fix it");
        assert_eq!(render(&d, false), "error[not-utf8]: no text\n--> a.yaml\n = help: fix it\n");
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
