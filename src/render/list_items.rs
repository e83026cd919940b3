//! Renders the items of a list that was read already. What becomes of the list is up to the caller.

use super::overrides::OverrideUse;
use super::renderer::Renderer;
use super::{Manifest, RenderedDocument};
use crate::diagnostics::Diagnostic;
use crate::yaml::{Document, FieldPath, ItemChange, ListEditor, PathSegment};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The key of the items.
const ITEMS: &str = "items";

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

/// Renders the workloads in the items of a list; `namespace` is that of objects that name none.
pub(crate) fn render_items(list: &Document, namespace: &str, renderer: &Renderer) -> RenderedList {
    let manifest = Manifest {
        file: list.file(),
        index: list.index(),
        first_line: 1,
        start: 0,
        text: list.text(),
        namespace,
        is_named: true,
    };
    let editor = ListEditor::new(list, ITEMS);
    let (mut changes, mut rendered) = (BTreeMap::new(), RenderedDocument::default());
    for located in &renderer.find_objects(list, &manifest).workloads {
        let change = renderer.render_workload(list, located, &mut rendered, |workload| {
            let direct = split_item_path(&workload.path).filter(|(_, below)| below.segments().is_empty());
            renderer.inject_into_item(list, workload, |parts| {
                let (index, _) = direct?;
                let at = workload.template_path.relative_to(&workload.path);
                editor.as_ref()?.change_parts(index, &at, parts)
            })
        });
        let Some((at, new, splices)) = change else { continue };
        let Some((index, at)) = split_item_path(&at) else { continue };
        let change = match changes.remove(&index) {
            // An item that is a list too may have several workloads.
            Some(ItemChange::Change(mut value, _)) => {
                at.replace_in(&mut value, new);
                ItemChange::Change(value, None)
            }
            _ => ItemChange::Change(at.copy_with(&list.value()[ITEMS][index], new), splices),
        };
        changes.insert(index, change);
    }
    let RenderedDocument { diagnostics, workloads, reached_overrides, .. } = rendered;
    let override_use = OverrideUse {
        files: BTreeSet::from([Arc::clone(list.file())]),
        workloads: workloads.into_iter().map(|(key, _)| key.into()).collect(),
        reached: reached_overrides.into_iter().collect(),
    };
    RenderedList { changes, diagnostics, override_use }
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
