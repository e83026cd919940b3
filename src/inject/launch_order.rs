//! Launch order of native sidecars: `pillion.dev/after`, and launch priorities of containers that a mode makes native.
//!
//! The kubelet starts init containers one after another, and waits for the startup probe of a native sidecar before it
//! starts the next one. So an order is a place in `initContainers`, and a startup probe of what others wait for.

use super::launch_priority::{self, PRIORITY_ENV};
use super::set_store::SidecarSetStore;
use super::startup_probes;
use super::template::{ContainerList, PodView, container_path, item_name, list_items};
use super::types::{
    ContainerSlot, InjectionContext, NewContainer, SelectedSet, SetSelection, container_label,
};
use crate::diagnostics::Span;
use crate::model::api::AFTER_ANNOTATION;
use crate::model::sidecar_set::{InjectPolicy, LaunchOrder, SidecarMode, parse_launch_order};
use crate::model::suggestion::closest_match;
use crate::yaml::EntryPart;
use serde_json::Value;
use std::collections::BTreeSet;

/// Puts init containers into the order that is asked for, and gives startup probes to those that others wait for.
pub(super) fn arrange_containers(
    pod: &PodView<'_>,
    sets: &SidecarSetStore,
    selection: &SetSelection<'_>,
    [init, regular]: [Vec<ContainerSlot>; 2],
    new_containers: &mut [NewContainer<'_>],
    context: &mut InjectionContext<'_>,
) -> Vec<ContainerSlot> {
    let mut order = OrderGraph {
        pod,
        selection,
        new_containers,
        init: &init,
        regular: &regular,
        edges: Vec::new(),
        waited: BTreeSet::new(),
    };
    let application = order.read_application(context);
    order.add_declared(sets, application.as_ref(), context);
    order.add_priorities(context);
    if order.edges.is_empty() && order.waited.is_empty() {
        return init;
    }
    let arranged = match order.sort() {
        Ok(arranged) => arranged,
        Err(cycle) => {
            context.report(order.cycle_error(&cycle));
            return init;
        }
    };
    let waited = std::mem::take(&mut order.waited);
    for slot in waited.into_iter().map(|at| init[at]) {
        match slot {
            ContainerSlot::New(i) => {
                let selected = &selection.selected[new_containers[i].set_index];
                startup_probes::ensure_probe(pod, selected, &mut new_containers[i], context);
            }
            ContainerSlot::Existing(i) => startup_probes::check_application_probe(pod, i, context),
        }
    }
    arranged.into_iter().map(|at| init[at]).collect()
}

/// Returns whether an order is asked for that the containers of a set have a part in.
pub(super) fn concerns_set(
    pod: &PodView<'_>,
    selection: &[SelectedSet<'_>],
    selected: &SelectedSet<'_>,
) -> bool {
    let containers = &selected.content.set().containers;
    let is_named = |order: &LaunchOrder| {
        let has = |name: &str| containers.iter().any(|c| c.name == name);
        order.entries().any(|(container, after)| has(container) || after.iter().any(|name| has(name)))
    };
    let application = pod.annotation(AFTER_ANNOTATION).and_then(|text| parse_launch_order(text).ok());
    if selection.iter().any(|other| is_named(&other.content.set().after))
        || application.is_some_and(|o| is_named(&o))
    {
        return true;
    }
    let own = containers.iter().map(|c| Value::Object(c.container.clone()));
    let mut priorities: BTreeSet<i64> = own.map(|c| priority_of(&c).unwrap_or_default()).collect();
    let application = pod.containers.iter().filter(|c| !super::injected_mark::has_injected_mark(c));
    priorities.extend(application.map(|c| priority_of(c).unwrap_or_default()));
    priorities.len() > 1 || launch_priority::is_ordered(pod.annotations)
}

/// The launch priority of a container; None where it is not a number. Kruise v1.9.0 getPriority: the last entry counts.
fn priority_of(container: &Value) -> Option<i64> {
    let mut entries =
        list_items(container, "env").iter().rev().filter(|entry| item_name(entry) == PRIORITY_ENV);
    let Some(entry) = entries.next() else { return Some(0) };
    entry.get("value").and_then(Value::as_str).unwrap_or_default().parse().ok()
}

/// Why one init container is before another.
#[derive(Clone, Copy)]
pub(super) enum EdgeReason<'a> {
    /// `pillion.dev/after` of a set, or of the pod template.
    Declared(Option<&'a SelectedSet<'a>>),
    /// The launch priority of the first is higher.
    Priority(i64),
    /// The application's init containers keep their order.
    Application,
}

/// An init container that is before another one, by their indexes.
pub(super) struct Edge<'a> {
    pub(super) before: usize,
    pub(super) after: usize,
    pub(super) reason: EdgeReason<'a>,
}

/// The containers of the new pod, and what is known of their order.
pub(super) struct OrderGraph<'a, 'c> {
    pub(super) pod: &'a PodView<'a>,
    pub(super) selection: &'a SetSelection<'a>,
    pub(super) new_containers: &'c [NewContainer<'c>],
    init: &'a [ContainerSlot],
    regular: &'a [ContainerSlot],
    pub(super) edges: Vec<Edge<'a>>,
    /// Indexes of init containers that another container waits for.
    waited: BTreeSet<usize>,
}

/// A container of the new pod.
#[derive(Clone, Copy)]
pub(super) struct Node {
    pub(super) list: ContainerList,
    /// Its index in the new list.
    pub(super) at: usize,
}

impl<'a, 'c> OrderGraph<'a, 'c> {
    pub(super) fn slot(&self, node: Node) -> ContainerSlot {
        match node.list {
            ContainerList::Init => self.init[node.at],
            ContainerList::Regular => self.regular[node.at],
        }
    }

    /// The name by which an order knows a container: of a hot-upgrade pair, the one in the set.
    pub(super) fn name(&self, node: Node) -> &str {
        match self.slot(node) {
            ContainerSlot::Existing(i) => item_name(&node.list.in_pod(self.pod)[i]),
            ContainerSlot::New(i) => &self.new_containers[i].sidecar.name,
        }
    }

    pub(super) fn nodes(&self) -> impl Iterator<Item = Node> + use<> {
        let init = (0..self.init.len()).map(|at| Node { list: ContainerList::Init, at });
        init.chain((0..self.regular.len()).map(|at| Node { list: ContainerList::Regular, at }))
    }

    fn named(&self, name: &str) -> Vec<Node> {
        self.nodes().filter(|node| self.name(*node) == name).collect()
    }

    pub(super) fn is_native(&self, node: Node) -> bool {
        node.list == ContainerList::Init
            && match self.slot(node) {
                ContainerSlot::Existing(i) => {
                    let policy = self.pod.init_containers[i].get("restartPolicy").and_then(Value::as_str);
                    policy == Some("Always")
                }
                ContainerSlot::New(i) => self.new_containers[i].sidecar.is_native_sidecar,
            }
    }

    /// A label at the name of a container.
    pub(super) fn label(&self, node: Node, text: &str) -> Span {
        match self.slot(node) {
            ContainerSlot::Existing(i) => {
                self.pod.label(&container_path(node.list, i).child("name"), EntryPart::Value, text)
            }
            ContainerSlot::New(i) => {
                let new = &self.new_containers[i];
                container_label(&self.selection.selected[new.set_index], new.sidecar, text)
            }
        }
    }

    /// Reads the order in the pod template, and reports what is wrong with it.
    fn read_application(&self, context: &mut InjectionContext<'_>) -> Option<LaunchOrder> {
        let text = self.pod.annotation(AFTER_ANNOTATION)?;
        let own = |list: ContainerList| {
            list.in_pod(self.pod).iter().filter(|c| !super::injected_mark::has_injected_mark(c))
        };
        let own: Vec<&str> =
            own(ContainerList::Init).chain(own(ContainerList::Regular)).map(item_name).collect();
        let order = match parse_launch_order(text) {
            Ok(order) => order,
            Err(problem) => {
                let message =
                    format!("`{AFTER_ANNOTATION}` of `{}` cannot be read: {problem}", self.pod.template.key);
                context.report(self.order_error(None, message).help(
                    "write YAML such as `app: [proxy]`: the container, then those that it starts after",
                ));
                return None;
            }
        };
        for (container, _) in order.entries().filter(|(container, _)| !own.contains(container)) {
            let message = format!(
                "`{AFTER_ANNOTATION}` of `{}` orders `{container}`, which the application does not contain",
                self.pod.template.key
            );
            let help = closest_match(container, own.iter().copied()).map_or_else(
                || "write the order of a sidecar in the annotation of its SidecarSet".to_owned(),
                |near| format!("did you mean `{near}`?"),
            );
            context.report(self.order_error(None, message).help(help));
        }
        Some(order)
    }

    fn add_declared(
        &mut self,
        sets: &SidecarSetStore,
        application: Option<&LaunchOrder>,
        context: &mut InjectionContext<'_>,
    ) {
        let of_sets = self.selection.selected.iter().map(|s| (Some(s), &s.content.set().after));
        for (set, order) in of_sets.chain(application.map(|order| (None, order))) {
            for (container, after) in order.entries() {
                let waiting = self.named(container);
                for name in after.iter().filter(|_| !waiting.is_empty()) {
                    let targets = self.named(name);
                    if targets.is_empty() {
                        context.report(self.unknown(sets, set, container, name));
                    }
                    for target in targets {
                        waiting.iter().for_each(|node| self.declare(set, target, *node, context));
                    }
                }
            }
        }
    }

    /// Adds that `node` starts after `target`.
    fn declare(
        &mut self,
        set: Option<&'a SelectedSet<'a>>,
        target: Node,
        node: Node,
        context: &mut InjectionContext<'_>,
    ) {
        match (target.list, node.list) {
            (ContainerList::Init, list) => {
                if self.is_native(target) {
                    self.waited.insert(target.at);
                }
                if list == ContainerList::Init {
                    let reason = EdgeReason::Declared(set);
                    self.edges.push(Edge { before: target.at, after: node.at, reason });
                }
            }
            (ContainerList::Regular, ContainerList::Init) => {
                context.report(self.starts_before_containers(set, target, node));
            }
            (ContainerList::Regular, ContainerList::Regular) => {
                context.report(self.needs_native(set, target, node));
            }
        }
    }

    /// Adds the launch priorities of a pod that has native sidecars of a set with a mode.
    fn add_priorities(&mut self, context: &mut InjectionContext<'_>) {
        let natives: Vec<(Node, i64)> = self.native_priorities(context);
        if natives.is_empty() {
            return;
        }
        let regular: Vec<(Node, i64)> = (0..self.regular.len())
            .map(|at| Node { list: ContainerList::Regular, at })
            .map(|node| {
                (node, if self.is_ordered() { 0 } else { self.written_priority(node).unwrap_or_default() })
            })
            .collect();
        for (native, priority) in &natives {
            if let Some((first, higher)) = regular.iter().find(|(_, other)| other > priority) {
                context.report(self.priority_impossible((*first, *higher), (*native, *priority)));
            }
            if regular.iter().chain(&natives).any(|(_, other)| other < priority) {
                self.waited.insert(native.at);
            }
        }
        let levels: BTreeSet<i64> = natives.iter().map(|(_, priority)| *priority).collect();
        let levels: Vec<i64> = levels.into_iter().collect();
        for two in levels.windows(2) {
            let of = |level: i64| natives.iter().filter(move |(_, priority)| *priority == level);
            for (before, priority) in of(two[1]) {
                let reason = EdgeReason::Priority(*priority);
                let edges = of(two[0]).map(|(after, _)| Edge { before: before.at, after: after.at, reason });
                self.edges.extend(edges);
            }
        }
    }

    pub(super) fn is_ordered(&self) -> bool {
        launch_priority::is_ordered(self.pod.annotations)
    }

    fn native_priorities(&self, context: &mut InjectionContext<'_>) -> Vec<(Node, i64)> {
        let mut natives = Vec::new();
        for at in 0..self.init.len() {
            let node = Node { list: ContainerList::Init, at };
            let ContainerSlot::New(i) = self.slot(node) else { continue };
            let new = &self.new_containers[i];
            let set = self.selection.selected[new.set_index].content.set();
            if set.mode == SidecarMode::Container || !new.sidecar.is_native_sidecar {
                continue;
            }
            // Kruise v1.9.0: the annotation orders all containers as they are listed, whatever their own priorities.
            let priority = match (self.is_ordered(), new.sidecar.pod_inject_policy) {
                (false, _) => self.written_priority(node),
                (true, _) if !new.sidecar.is_converted => Some(i64::MAX),
                (true, InjectPolicy::BeforeAppContainer) => i64::try_from(self.init.len() - at).ok(),
                (true, InjectPolicy::AfterAppContainer) => Some(-1),
            };
            match priority {
                Some(priority) => natives.push((node, priority)),
                None => context.report(self.invalid_priority(node)),
            }
        }
        natives
    }

    fn written_priority(&self, node: Node) -> Option<i64> {
        match self.slot(node) {
            ContainerSlot::Existing(i) => priority_of(&node.list.in_pod(self.pod)[i]),
            ContainerSlot::New(i) => priority_of(&self.new_containers[i].container.value()),
        }
    }

    /// Returns the indexes of the init containers in their order: each in its place unless something before it waits.
    fn sort(&mut self) -> Result<Vec<usize>, Vec<usize>> {
        let is_own = |at: &usize| matches!(self.init[*at], ContainerSlot::Existing(_));
        let own: Vec<usize> = (0..self.init.len()).filter(is_own).collect();
        let chain =
            own.windows(2).map(|two| Edge { before: two[0], after: two[1], reason: EdgeReason::Application });
        self.edges.extend(chain);
        let mut done: Vec<usize> = Vec::with_capacity(self.init.len());
        while done.len() < self.init.len() {
            let waits_for = |at: usize| {
                self.edges.iter().find(|e| e.after == at && !done.contains(&e.before)).map(|e| e.before)
            };
            let mut rest = (0..self.init.len()).filter(|at| !done.contains(at));
            match rest.clone().find(|at| waits_for(*at).is_none()) {
                Some(next) => done.push(next),
                None => {
                    // Each of the rest waits for another one: following them leads into a cycle.
                    let mut path: Vec<usize> = rest.next().into_iter().collect();
                    while let Some(next) = path.last().and_then(|at| waits_for(*at)) {
                        if let Some(start) = path.iter().position(|at| *at == next) {
                            return Err(path.split_off(start));
                        }
                        path.push(next);
                    }
                    return Err(path);
                }
            }
        }
        Ok(done)
    }
}
