//! Sidecars that a manifest has without pillion: a person, istioctl or a copied example wrote them.

use super::pod_comparison::container_names;
use crate::diagnostics::Diagnostic;
use crate::inject::has_injected_mark;
use crate::model::sidecar_set::SidecarSet;
use crate::yaml::{Document, FieldPath, emit};
use serde_json::Value;

/// Returns a document without the containers that render would refuse because the application has them: those that a
/// person or istioctl wrote. None: it has none of them.
pub(crate) fn without_foreign_containers(
    document: &Document,
    template: &FieldPath,
    set: &SidecarSet,
) -> Option<Result<Document, Diagnostic>> {
    let names = container_names(set);
    let is_foreign = |container: &Value| {
        container["name"].as_str().is_some_and(|name| names.contains(name)) && !has_injected_mark(container)
    };
    let mut changed = template.find(document.value())?.clone();
    let mut is_changed = false;
    for list in ["initContainers", "containers"] {
        if let Some(containers) = changed["spec"].get_mut(list).and_then(Value::as_array_mut) {
            let before = containers.len();
            containers.retain(|container| !is_foreign(container));
            is_changed |= containers.len() != before;
        }
    }
    is_changed.then(|| {
        let mut whole = document.value().clone();
        template.replace_in(&mut whole, changed);
        Document::read(document.file(), document.index(), 1, &emit(&whole))
    })
}
