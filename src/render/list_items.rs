//! Renders the items of a list that was read already: each by itself, in any order and on any thread. What becomes of the
//! list is up to the caller.

use super::find_objects::LocatedWorkload;
use super::overrides::OverrideUse;
use super::renderer::Renderer;
use super::{Manifest, RenderedDocument};
use crate::diagnostics::Diagnostic;
use crate::yaml::{Document, FieldPath, ItemChange, ItemSplices, ListEditor, PathSegment};
use serde_json::Value;
use std::collections::BTreeMap;

/// The key of the items.
const ITEMS: &str = "items";

/// The workloads in the items of a list.
pub(crate) struct ListItems<'a> {
    renderer: &'a Renderer,
    document: &'a Document,
    /// The workloads, to be rendered one by one.
    pub(crate) workloads: Vec<LocatedWorkload>,
    editor: Option<ListEditor<'a>>,
}

/// What becomes of the items of a list.
#[derive(Debug, Default)]
pub(crate) struct RenderedList {
    /// The items that change, by their indices.
    pub(crate) changes: BTreeMap<usize, ItemChange>,
    /// What is wrong or worth knowing.
    pub(crate) diagnostics: Vec<Diagnostic>,
    /// What SidecarOverrides find in it.
    pub(crate) override_use: OverrideUse,
}

/// A rendered workload, and the change of its item.
pub(crate) struct RenderedItem {
    rendered: RenderedDocument,
    change: Option<PlaceChange>,
}

/// A place below an item that has another value, and the splices that make it so.
struct PlaceChange {
    index: usize,
    at: FieldPath,
    new: Value,
    splices: Option<ItemSplices>,
}

impl<'a> ListItems<'a> {
    /// Finds the workloads of a list; `namespace` is that of objects that name none.
    pub(crate) fn find(renderer: &'a Renderer, document: &'a Document, namespace: &str) -> Self {
        let manifest = Manifest {
            file: document.file(),
            index: document.index(),
            first_line: 1,
            start: 0,
            text: document.text(),
            namespace,
            is_named: true,
        };
        let workloads = renderer.find_objects(document, &manifest).workloads;
        Self { renderer, document, workloads, editor: ListEditor::new(document, ITEMS) }
    }

    /// Renders one of the workloads.
    pub(crate) fn render(&self, located: &LocatedWorkload) -> RenderedItem {
        let Self { renderer, document, editor, .. } = self;
        let mut rendered = RenderedDocument::default();
        let change = renderer.render_workload(document, located, &mut rendered, |workload| {
            let item = split_item_path(&workload.path);
            let direct = item.as_ref().filter(|(_, below)| below.segments().is_empty());
            let (change, outcome) = renderer.inject_into_item(document, workload, |parts| {
                let (index, _) = direct?;
                editor.as_ref()?.change_parts(
                    *index,
                    &workload.template_path.relative_to(&workload.path),
                    parts,
                )
            });
            let change = change.and_then(|(at, new, splices)| {
                let (index, at) = split_item_path(&at)?;
                let (at, new) = match direct {
                    Some(_) => (FieldPath::root(), at.copy_with(&document.value()[ITEMS][index], new)),
                    None => (at, new),
                };
                Some(PlaceChange { index, at, new, splices })
            });
            (change, outcome)
        });
        RenderedItem { rendered, change }
    }

    /// Takes note of a rendered workload.
    pub(crate) fn collect(&self, item: RenderedItem, list: &mut RenderedList) {
        let RenderedItem { rendered, change } = item;
        list.diagnostics.extend(rendered.diagnostics);
        list.override_use.workloads.extend(rendered.workloads.into_iter().map(|(key, _)| key.into()));
        list.override_use.reached.extend(rendered.reached_overrides);
        let Some(PlaceChange { index, at, new, splices }) = change else { return };
        // An item that is a list too may have several workloads.
        let value = match (at == FieldPath::root(), list.changes.remove(&index)) {
            (true, _) => new,
            (false, Some(ItemChange::Change(mut value, _))) => {
                at.replace_in(&mut value, new);
                value
            }
            (false, _) => at.copy_with(&self.document.value()[ITEMS][index], new),
        };
        list.changes.insert(index, ItemChange::Change(value, splices));
    }
}

/// Splits a path into the index of an item and the path below it.
fn split_item_path(path: &FieldPath) -> Option<(usize, FieldPath)> {
    match path.segments() {
        [PathSegment::Key(key), PathSegment::Index(index), below @ ..] if key == ITEMS => {
            Some((*index, FieldPath::from(below.to_vec())))
        }
        _ => None,
    }
}
