//! Reports launch orders that cannot be kept.

use super::launch_order::{EdgeReason, Node, OrderGraph};
use super::launch_priority::PRIORITY_ENV;
use super::set_store::SidecarSetStore;
use super::template::ContainerList;
use super::types::{ContainerSlot, SelectedSet};
use crate::diagnostics::{Code, Diagnostic, Span};
use crate::model::api::AFTER_ANNOTATION;
use crate::model::suggestion::closest_match;
use crate::yaml::{EntryPart, FieldPath};

impl OrderGraph<'_, '_> {
    /// An order of a set, or of the pod template, that cannot be read or names what is not there.
    pub(super) fn order_error(&self, set: Option<&SelectedSet<'_>>, message: String) -> Diagnostic {
        Diagnostic::error(Code::LaunchOrderUnknown, message).at(self.declaration_label(set, ""))
    }

    /// A label at the annotation of a set, or of the pod template.
    pub(super) fn declaration_label(&self, set: Option<&SelectedSet<'_>>, text: &str) -> Span {
        let of_pod = || FieldPath::dotted("metadata.annotations").child(AFTER_ANNOTATION);
        match set {
            Some(selected) => selected.content.set().after_label(text),
            None => self.pod.label(&of_pod(), EntryPart::Value, text),
        }
    }

    /// Each of `cycle` waits for the next one, and the last for the first.
    pub(super) fn cycle_error(&self, cycle: &[usize]) -> Diagnostic {
        let name = |at: usize| self.name(Node { list: ContainerList::Init, at });
        let steps = cycle.iter().zip(cycle.iter().skip(1).chain(cycle.first()));
        let chain: Vec<String> =
            cycle.iter().chain(cycle.first()).map(|at| format!("`{}`", name(*at))).collect();
        let message = format!(
            "containers of `{}` wait for each other: {}",
            self.pod.template.key,
            chain.join(" after ")
        );
        let mut diagnostic = Diagnostic::error(Code::LaunchOrderCycle, message)
            .because("a container starts after those that it waits for, so none of them could start")
            .help("remove one of these orders");
        for (after, before) in steps {
            let edge = self.edges.iter().find(|edge| edge.after == *after && edge.before == *before);
            let text = format!("`{}` starts after `{}`", name(*after), name(*before));
            let first = Node { list: ContainerList::Init, at: *before };
            diagnostic.spans.push(match edge.map(|edge| edge.reason) {
                Some(EdgeReason::Declared(set)) => self.declaration_label(set, &text),
                Some(EdgeReason::Priority(priority)) => {
                    self.label(first, &format!("{text}: this one has launch priority {priority}"))
                }
                Some(EdgeReason::Application) | None => {
                    self.label(first, &format!("{text}: the application's init containers keep their order"))
                }
            });
        }
        diagnostic
    }

    /// A name that the pod has not. It is an error unless some set has such a container.
    pub(super) fn unknown(
        &self,
        sets: &SidecarSetStore,
        set: Option<&SelectedSet<'_>>,
        container: &str,
        name: &str,
    ) -> Diagnostic {
        let key = self.pod.template.key;
        if sets.has_container_name(name) {
            let message = format!("`{container}` starts after `{name}`, which `{key}` does not have");
            return Diagnostic::warning(Code::LaunchOrderUnknown, message)
                .at(self.declaration_label(set, ""))
                .because("its SidecarSet does not select this workload, or is not released for it yet")
                .help("select the workload with both SidecarSets, or remove the name");
        }
        let message =
            format!("`{container}` starts after `{name}`, which neither `{key}` nor a SidecarSet contains");
        let known: Vec<&str> = self.nodes().map(|node| self.name(node)).filter(|n| *n != container).collect();
        let near = closest_match(name, known.iter().copied());
        let help = near
            .map_or_else(|| format!("it has {}", known.join(", ")), |near| format!("did you mean `{near}`?"));
        self.order_error(set, message).help(help)
    }

    fn impossible(&self, message: String) -> Diagnostic {
        Diagnostic::error(Code::LaunchOrderImpossible, message)
    }

    /// A native sidecar that is to start after a container.
    pub(super) fn starts_before_containers(
        &self,
        set: Option<&SelectedSet<'_>>,
        target: Node,
        node: Node,
    ) -> Diagnostic {
        let (first, second) = (self.name(target), self.name(node));
        let what = if self.is_native(node) { "native sidecars" } else { "init containers" };
        self.impossible(format!("`{second}` of `{}` cannot start after `{first}`", self.pod.template.key))
            .at(self.declaration_label(set, "asks for it"))
            .at(self.label(target, &format!("starts after all {what}")))
            .at(self.label(node, "starts before all containers"))
            .because("containers of a pod start together: no mode starts a sidecar after the application (a PostSidecar)")
            .help(format!("remove `{first}` from the order, or let `{second}` itself wait for the application"))
    }

    /// Two containers, which start together.
    pub(super) fn needs_native(&self, set: Option<&SelectedSet<'_>>, target: Node, node: Node) -> Diagnostic {
        let (first, second) = (self.name(target), self.name(node));
        let diagnostic = self
            .impossible(format!("`{second}` of `{}` cannot start after `{first}`", self.pod.template.key))
            .at(self.declaration_label(set, "asks for it"))
            .at(self.label(target, "a container, not a native sidecar"))
            .because("containers of a pod start together");
        match self.slot(target) {
            ContainerSlot::New(i) => {
                let selected = &self.selection.selected[self.new_containers[i].set_index];
                diagnostic.help(format!(
                    "set `pillion.dev/sidecar-mode: Auto` on SidecarSet `{}`, or `sidecarMode: Auto` in pillion.yaml",
                    selected.name()
                ))
            }
            ContainerSlot::Existing(_) => diagnostic.help(format!(
                "make `{first}` an init container with `restartPolicy: Always` in the application's manifest"
            )),
        }
    }

    pub(super) fn priority_impossible(
        &self,
        (first, higher): (Node, i64),
        (native, priority): (Node, i64),
    ) -> Diagnostic {
        let (name, container) = (self.name(native), self.name(first));
        let (first_text, native_text) = match self.is_ordered() {
            true => ("listed first".to_owned(), "listed behind it".to_owned()),
            false => (format!("launch priority {higher}"), format!("launch priority {priority}")),
        };
        self.impossible(format!(
            "`{name}` of `{}` cannot start after `{container}`: it is a native sidecar",
            self.pod.template.key
        ))
        .at(self.label(native, &native_text))
        .at(self.label(first, &first_text))
        .because("native sidecars start before all containers: no mode starts a sidecar after the application (a PostSidecar)")
        .help(format!(
            "give `{name}` at least the priority of `{container}`, or inject its SidecarSet with \
             `pillion.dev/sidecar-mode: Container`, which needs Kruise in the cluster"
        ))
    }

    pub(super) fn invalid_priority(&self, node: Node) -> Diagnostic {
        let message = format!(
            "{PRIORITY_ENV} of container `{}` in `{}` is not a whole number",
            self.name(node),
            self.pod.template.key
        );
        Diagnostic::error(Code::LaunchPriorityInvalid, message)
            .at(self.label(node, "of this container"))
            .because("Kruise denies a pod with such a container")
            .help("write a decimal number without blanks, as a plain `value`")
    }
}
