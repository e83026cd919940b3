//! Renders one document.

use super::collect::{check_foreign, is_foreign_object};
use super::file::FileRenderOptions;
use super::find_objects::{DocumentObjects, LocatedWorkload};
use super::renderer::{Renderer, TextRole};
use super::scan::scan_object;
use super::unreadable::unreadable_document;
use super::workload::{InjectedWorkload, WorkloadEdit, WorkloadRef};
use super::{DocumentOutput, Manifest, RenderedDocument};
use crate::diagnostics::Diagnostic;
use crate::inject::InjectionOutcome;
use crate::yaml::{Document, FieldPath, TextEdits};
use serde_json::Value;

impl Renderer {
    /// Renders one document.
    pub(super) fn render_document(
        &self,
        manifest: &Manifest<'_>,
        how: FileRenderOptions,
    ) -> RenderedDocument {
        let scan = scan_object(manifest.text);
        let is_unchecked = how.checks_foreign && is_foreign_object(scan);
        let check = || if is_unchecked { check_foreign(manifest) } else { Vec::new() };
        match self.text_role(scan, manifest.text, how.explains) {
            TextRole::PassThrough => return RenderedDocument { diagnostics: check(), ..Default::default() },
            TextRole::Excluded => {
                return RenderedDocument { diagnostics: check(), ..RenderedDocument::excluded() };
            }
            TextRole::Parse => {}
        }
        match Document::read(manifest.file, manifest.index, manifest.first_line, manifest.text) {
            Ok(document) => {
                let mut rendered = self.render_parsed(&document, manifest);
                if is_unchecked {
                    // `kubectl` refuses duplicate keys.
                    rendered.diagnostics.extend(document.diagnostics().iter().cloned());
                }
                rendered
            }
            // Where it was checked before, `collect_objects` has reported the same.
            Err(error) => RenderedDocument {
                diagnostics: vec![unreadable_document(
                    error,
                    manifest.text,
                    manifest.first_line,
                    manifest.is_named,
                )],
                ..RenderedDocument::default()
            },
        }
    }

    /// Renders a document that was read already.
    pub(super) fn render_parsed(&self, document: &Document, manifest: &Manifest<'_>) -> RenderedDocument {
        let DocumentObjects { mut workloads, mut excluded } = self.find_objects(document, manifest);
        workloads.retain(|located| match located {
            Ok(workload) if self.is_undeployed_set(document, workload) => {
                excluded.push(workload.path.clone());
                false
            }
            _ => true,
        });
        if excluded.first() == Some(&FieldPath::root()) {
            return RenderedDocument::excluded();
        }
        let mut rendered = RenderedDocument::default();
        let mut edits = Vec::new();
        for located in &workloads {
            edits.extend(self.render_workload(document, located, &mut rendered, |workload| {
                let (edit, outcome) = match workload.path == FieldPath::root() {
                    true => self.inject_into_text(document, workload),
                    false => {
                        let InjectedWorkload { change, outcome } = self.inject(document, workload);
                        (change.map(|(at, new)| WorkloadEdit::Value(at, new)), outcome)
                    }
                };
                (edit.map(|edit| (workload.path.clone(), edit)), outcome)
            }));
        }
        if let Some(edit) = join_edits(document, edits) {
            apply_edit(document, edit, &mut rendered);
        }
        if !excluded.is_empty() && !rendered.diagnostics.iter().any(Diagnostic::is_error) {
            match remove_items(document, &excluded, &rendered.output) {
                Ok(output) => rendered.output = output,
                Err(error) => rendered.diagnostics.push(*error),
            }
        }
        rendered
    }

    /// Renders a workload that was looked for, and takes note of what is to be said of it. Returns its edit.
    pub(super) fn render_workload<T>(
        &self,
        document: &Document,
        located: &LocatedWorkload,
        rendered: &mut RenderedDocument,
        inject: impl FnOnce(&WorkloadRef) -> (Option<T>, InjectionOutcome),
    ) -> Option<T> {
        let workload = match located {
            Ok(workload) => workload,
            Err(diagnostic) => {
                rendered.diagnostics.extend(diagnostic.as_deref().cloned());
                return None;
            }
        };
        rendered.diagnostics.extend(self.check_namespace(document, workload));
        rendered.reached_overrides.extend(self.reached_overrides(document, workload));
        let (edit, outcome) = inject(workload);
        rendered.diagnostics.extend(outcome.diagnostics.iter().cloned());
        rendered.workloads.push((workload.key.to_string(), outcome));
        edit
    }
}

/// Makes one edit of those of all workloads, each with the path of its object, so that a long list is read once.
fn join_edits(document: &Document, mut edits: Vec<(FieldPath, WorkloadEdit)>) -> Option<WorkloadEdit> {
    if edits.first()?.0 == FieldPath::root() {
        return edits.pop().map(|(_, edit)| edit);
    }
    let list = FieldPath::dotted("items");
    let mut items = list.find(document.value())?.clone();
    for (_, edit) in edits {
        if let WorkloadEdit::Value(at, new) = edit {
            at.relative_to(&list).replace_in(&mut items, new);
        }
    }
    Some(WorkloadEdit::Value(list, items))
}

/// Takes items out of a List, in a step of its own: so each item that stays is known by its unchanged value, and
/// keeps its text. Lists that this empties go too.
fn remove_items(
    document: &Document,
    excluded: &[FieldPath],
    so_far: &DocumentOutput,
) -> Result<DocumentOutput, Box<Diagnostic>> {
    let length = document.text().len();
    let edited = match so_far {
        DocumentOutput::Changed(edits) => {
            let text = edits.apply(document.text());
            Some(Document::read(document.file(), document.index(), 1, &text)?)
        }
        DocumentOutput::Unchanged | DocumentOutput::Excluded => None,
    };
    let document = edited.as_ref().unwrap_or(document);
    match remaining_items(document.value(), &FieldPath::root(), excluded) {
        Some(items) => {
            let text = document.rewrite(&FieldPath::dotted("items"), &items)?;
            Ok(DocumentOutput::Changed(TextEdits::replace_all(length, text)))
        }
        None => Ok(DocumentOutput::Excluded),
    }
}

/// Returns the items of a list without those at some places; None when nothing is left.
fn remaining_items(list: &Value, base: &FieldPath, excluded: &[FieldPath]) -> Option<Value> {
    let items = list.get("items").and_then(Value::as_array)?;
    let mut left = Vec::new();
    for (i, item) in items.iter().enumerate() {
        let at = base.child("items").child(i);
        if excluded.contains(&at) {
            continue;
        }
        if !excluded.iter().any(|o| o.segments().starts_with(at.segments())) {
            left.push(item.clone());
        } else if let Some(inner) = remaining_items(item, &at, excluded) {
            let mut item = item.clone();
            FieldPath::dotted("items").replace_in(&mut item, inner);
            left.push(item);
        }
    }
    (!left.is_empty()).then_some(Value::Array(left))
}

/// Makes an edit the output of a document; a document with errors is left as it is.
fn apply_edit(document: &Document, edit: WorkloadEdit, rendered: &mut RenderedDocument) {
    rendered.diagnostics.extend(document.diagnostics().iter().cloned());
    if rendered.diagnostics.iter().any(Diagnostic::is_error) {
        return;
    }
    let edits = match edit {
        WorkloadEdit::Edits(edits) => Ok(edits),
        WorkloadEdit::Value(at, new) => {
            document.rewrite(&at, &new).map(|text| TextEdits::replace_all(document.text().len(), text))
        }
    };
    match edits {
        Ok(edits) => rendered.output = DocumentOutput::Changed(edits),
        Err(error) => rendered.diagnostics.push(error),
    }
}
