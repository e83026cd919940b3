//! Locates the workloads of a rollout in the rendered files of the deploy branch.

use super::ClusterView;
use crate::rollout::workload_set::PlannedWorkload;
use crate::workspace::Input;
use crate::yaml::{self, DocumentSource, PathSegment, split_documents};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The location of a workload in the rendered files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RenderedLocation {
    /// The file; None where git has no rendered files.
    pub(crate) file: Option<String>,
    /// The index of its document, from 0.
    pub(crate) index: usize,
    /// The path of its object in the document.
    pub(crate) base: yaml::FieldPath,
}

/// Locates workloads in the rendered files.
pub(crate) struct RenderedLocator<'s> {
    view: &'s ClusterView,
    inputs: BTreeMap<&'s str, &'s (Input, Arc<str>)>,
}

impl ClusterView {
    /// Returns a locator for the rendered files.
    pub(crate) fn rendered_locator(&self) -> RenderedLocator<'_> {
        let inputs = self.inputs().iter().map(|input| (&*input.0.name, input)).collect();
        RenderedLocator { view: self, inputs }
    }
}

impl RenderedLocator<'_> {
    /// Returns the location of a workload in the rendered files: documents that render omits do not count.
    pub(crate) fn locate(&self, workload: &PlannedWorkload) -> RenderedLocation {
        let document = &workload.outline.source;
        let input = self.inputs.get(&**document.file());
        let before = match input {
            Some((_, text)) if document.index() > 0 => {
                let pieces = split_documents(document.file(), text).0.into_iter().take(document.index());
                pieces.filter(|p| self.view.prepared.renderer.excludes(&text[p.span.clone()])).count()
            }
            _ => 0,
        };
        RenderedLocation {
            file: input.and_then(|(input, _)| {
                self.view.configuration.rendered_path(self.view.cluster.as_deref(), input)
            }),
            index: document.index() - before,
            base: self.rendered_base(document, &workload.manifest().path),
        }
    }

    /// Returns the index of an item without the omitted items before it.
    fn rendered_base(&self, source: &DocumentSource, base: &yaml::FieldPath) -> yaml::FieldPath {
        if *base == yaml::FieldPath::root() {
            return base.clone();
        }
        let document = source.read();
        let (mut list, mut found) = (document.value(), yaml::FieldPath::root());
        for step in base.segments() {
            found = match step {
                PathSegment::Key(key) => found.child(key.clone()),
                PathSegment::Index(i) => {
                    let items = list["items"].as_array().map_or(&[][..], Vec::as_slice);
                    let renderer = &self.view.prepared.renderer;
                    let excluded =
                        items.iter().take(*i).filter(|item| renderer.excludes_item(list, item)).count();
                    list = &list["items"][*i];
                    found.child(i - excluded)
                }
            };
        }
        found
    }
}
