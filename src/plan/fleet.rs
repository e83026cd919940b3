//! The workloads that a rollout of one SidecarSet may concern, and what each becomes with which revision.

use super::Labels;
use super::difference::Difference;
use super::how::{How, Taking, how};
use super::strategy::{self, Strategy};
use super::working_twin;
use crate::diag::Diagnostic;
use crate::model::ledger::{Ledger, Line, Name, template_hash};
use crate::render::{Located, Renderer};
use crate::yaml::{Document, Path};
use serde_json::Value;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// The workloads of one cluster, seen by one SidecarSet.
#[derive(Debug)]
pub struct Fleet<'r> {
    renderer: &'r Renderer,
    set: Arc<str>,
    units: Vec<Unit>,
    by_key: BTreeMap<Arc<str>, usize>,
}

/// From one revision to another.
type Way = [Name; 2];

/// The pods of a workload, and how they take a template.
type Taken = (u64, How);

/// One workload.
#[derive(Debug)]
pub struct Unit {
    /// The document of the sources it stands in.
    pub document: Arc<Document>,
    /// What it is called and where it stands.
    pub located: Located,
    /// The labels of its pod template.
    pub labels: Labels,
    /// The number of pods that git says, where it does.
    pub replicas: Option<u32>,
    /// A HorizontalPodAutoscaler of git decides about the number of pods.
    pub is_autoscaled: bool,
    renderings: Mutex<Vec<(Name, Arc<Rendering>)>>,
    changes: Mutex<Vec<(Way, Arc<Change>)>>,
    // A plan of a hundred batches asks each workload a hundred times.
    strategies: Mutex<Vec<(Taken, Arc<Strategy>)>>,
    template_hash: OnceLock<Arc<str>>,
    can_split: OnceLock<bool>,
}

/// What a workload is with some revision.
#[derive(Debug)]
pub struct Rendering {
    /// Its pod template, where that is not the one of the sources.
    changed: Option<Value>,
    /// The names of the containers that the SidecarSet brings into it; none where it does not select the workload.
    sidecars: Vec<Arc<str>>,
    /// Why it cannot be rendered.
    pub error: Option<Diagnostic>,
}

/// What it means to a workload to go from one revision to another.
#[derive(Debug)]
pub struct Change {
    /// What differs in its pod template.
    pub difference: Difference,
    /// How its pods take the new template.
    pub taking: Taking,
    /// What becomes of the SidecarSet's containers.
    pub effect: Effect,
    /// A hot-upgrade container, by its name in the SidecarSet, of which the container that works would change.
    pub twin: Option<Arc<str>>,
}

/// What a change does to the containers that a workload has of a SidecarSet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    /// It gets them.
    Added,
    /// It has some before and afterwards, or has them of another set then.
    Updated,
    /// It loses them.
    Removed,
}

impl Effect {
    /// Returns its name in data.
    pub fn name(self) -> &'static str {
        match self {
            Self::Added => "Added",
            Self::Updated => "Updated",
            Self::Removed => "Removed",
        }
    }
}

impl Unit {
    /// Takes up a workload of a document.
    pub fn new(document: Arc<Document>, located: Located) -> Self {
        let template = located.pod_template(&document);
        let labels = template["metadata"]["labels"].as_object().into_iter().flatten();
        let labels = labels.map(|(k, v)| (k.clone(), v.as_str().unwrap_or_default().to_owned())).collect();
        let replicas = located.kind.replicas.as_ref().and_then(|at| at.find(located.object(&document)));
        let replicas = replicas.and_then(Value::as_u64).and_then(|n| u32::try_from(n).ok());
        Self {
            labels,
            replicas: if located.kind.is_pod() { Some(1) } else { replicas },
            is_autoscaled: false,
            document,
            located,
            renderings: Mutex::default(),
            changes: Mutex::default(),
            strategies: Mutex::default(),
            template_hash: OnceLock::new(),
            can_split: OnceLock::new(),
        }
    }

    /// Returns its key.
    pub fn key(&self) -> &Arc<str> {
        &self.located.key
    }

    /// Returns the hash of its pod template in the sources.
    pub fn template_hash(&self) -> Arc<str> {
        let hash = || template_hash(self.located.pod_template(&self.document)).into();
        Arc::clone(self.template_hash.get_or_init(hash))
    }

    /// Returns its line in a ledger as far as it counts ([`Line::in_force`]).
    pub fn line<'l>(&self, ledger: &'l Ledger) -> Option<Cow<'l, Line>> {
        ledger.lines.get(self.key())?.in_force(&ledger.released, || self.template_hash())
    }

    /// Returns its own rolling behaviour, for a number of pods that take a template in some way.
    pub fn strategy(&self, pods: u64, how: How) -> Arc<Strategy> {
        let mut known = lock(&self.strategies);
        if let Some((_, strategy)) = known.iter().find(|(of, _)| *of == (pods, how)) {
            return Arc::clone(strategy);
        }
        let kind = &self.located.kind;
        let object = self.located.object(&self.document);
        let strategy = Arc::new(strategy::strategy(&kind.group, &kind.kind, object, pods, how));
        known.push(((pods, how), Arc::clone(&strategy)));
        strategy
    }

    /// Tells whether its own partition can split it, as far as its manifest says.
    pub fn can_split(&self) -> bool {
        *self.can_split.get_or_init(|| {
            let kind = &self.located.kind;
            let object = self.located.object(&self.document);
            kind.partition.is_some()
                && strategy::can_split(&kind.group, &kind.kind, object, self.is_autoscaled)
        })
    }
}

impl Rendering {
    /// Returns the pod template of the workload that this is a rendering of.
    pub fn template<'a>(&'a self, unit: &'a Unit) -> &'a Value {
        self.changed.as_ref().unwrap_or_else(|| unit.located.pod_template(&unit.document))
    }

    /// Returns whether the workload has containers of the SidecarSet.
    pub fn has_sidecars(&self) -> bool {
        !self.sidecars.is_empty()
    }
}

impl Change {
    fn between(unit: &Unit, ends: [&Rendering; 2]) -> Self {
        let [old, new] = ends.map(|rendering| rendering.template(unit));
        let object = unit.located.object(&unit.document);
        let kind = &unit.located.kind;
        let taking = how(&kind.group, &kind.kind, object, old, new);
        Self {
            difference: Difference::between(old, new),
            effect: effect(unit, ends),
            twin: working_twin::changed(old, new, &taking),
            taking,
        }
    }
}

impl<'r> Fleet<'r> {
    /// Takes workloads, in any order; of two with one key the first in the order of files stays.
    pub fn new(renderer: &'r Renderer, set: &str, mut units: Vec<Unit>) -> Self {
        // DESIGN 5: the last order is namespace, name, kind.
        units.sort_by(|a, b| order(a).cmp(&order(b)));
        units.dedup_by(|a, b| a.key() == b.key());
        let by_key = units.iter().enumerate().map(|(i, unit)| (Arc::clone(unit.key()), i)).collect();
        Self { renderer, set: set.into(), units, by_key }
    }

    /// Returns the workloads, by namespace, name and kind.
    pub fn units(&self) -> &[Unit] {
        &self.units
    }

    /// Returns the workload of a key.
    pub fn find(&self, key: &str) -> Option<&Unit> {
        self.by_key.get(key).map(|at| &self.units[*at])
    }

    /// Returns what a workload is with a revision.
    pub fn rendering(&self, unit: &Unit, revision: &Name) -> Arc<Rendering> {
        if let Some((_, known)) = lock(&unit.renderings).iter().find(|(name, _)| name == revision) {
            return Arc::clone(known);
        }
        let rendering = Arc::new(self.rendered(unit, &Line::carrying(revision.clone())));
        lock(&unit.renderings).push((revision.clone(), Arc::clone(&rendering)));
        rendering
    }

    /// Returns what a workload is with its line: with its emergency images, where it has some.
    pub fn rendering_of(&self, unit: &Unit, line: &Line) -> Arc<Rendering> {
        match line.images.is_empty() {
            true => self.rendering(unit, &line.revision),
            false => Arc::new(self.rendered(unit, line)),
        }
    }

    fn rendered(&self, unit: &Unit, line: &Line) -> Rendering {
        let injected = self.renderer.inject_as(&unit.document, &unit.located, &self.set, line);
        let changed = injected.change.map(|(at, new)| {
            if at == unit.located.template {
                return new;
            }
            // Another rollout has split the workload: the whole object is new.
            let within = Path::from(unit.located.template.steps()[at.steps().len()..].to_vec());
            within.find(&new).cloned().unwrap_or_default()
        });
        let is_injected = injected.outcome.injected.iter().any(|name| **name == *self.set);
        let names = line.revision.as_deref().filter(|_| is_injected);
        let sidecars = names.into_iter().flat_map(|name| self.renderer.container_names(name)).map(Arc::from);
        let sidecars = sidecars.collect();
        let error = injected.outcome.diagnostics.into_iter().find(Diagnostic::is_error);
        Rendering { changed, sidecars, error }
    }

    /// Returns the whole object of a workload as it is rendered with a line.
    pub fn object(&self, unit: &Unit, line: &Line) -> Value {
        let injected = self.renderer.inject_as(&unit.document, &unit.located, &self.set, line);
        injected.object(&unit.document, &unit.located.base).into_owned()
    }

    /// Returns what it means to a workload to go from one revision to another.
    pub fn change(&self, unit: &Unit, from: &Name, to: &Name) -> Arc<Change> {
        let wanted = |pair: &[Name; 2]| pair[0] == *from && pair[1] == *to;
        if let Some((_, known)) = lock(&unit.changes).iter().find(|(pair, _)| wanted(pair)) {
            return Arc::clone(known);
        }
        let ends = [from, to].map(|name| self.rendering(unit, name));
        let change = Arc::new(Change::between(unit, ends.each_ref().map(|rendering| &**rendering)));
        lock(&unit.changes).push(([from.clone(), to.clone()], Arc::clone(&change)));
        change
    }

    /// Returns what it means to a workload to go from what its line says to a revision.
    pub fn change_of(&self, unit: &Unit, line: &Line, to: &Name) -> Arc<Change> {
        if line.images.is_empty() {
            return self.change(unit, &line.revision, to);
        }
        Arc::new(Change::between(unit, [&self.rendered(unit, line), &self.rendering(unit, to)]))
    }
}

/// Containers that another set brings from then on, or has brought until then, are neither lost nor new.
fn effect(unit: &Unit, [old, new]: [&Rendering; 2]) -> Effect {
    let is_in = |rendering: &Rendering, name: &Arc<str>| {
        let spec = &rendering.template(unit)["spec"];
        let lists = ["containers", "initContainers"].map(|list| spec[list].as_array());
        lists.into_iter().flatten().flatten().any(|c| c["name"] == **name)
    };
    match (old.has_sidecars(), new.has_sidecars()) {
        (false, true) if !new.sidecars.iter().any(|name| is_in(old, name)) => Effect::Added,
        // What cannot be rendered is not released either.
        (true, false) if new.error.is_none() && !old.sidecars.iter().all(|name| is_in(new, name)) => {
            Effect::Removed
        }
        _ => Effect::Updated,
    }
}

fn order(unit: &Unit) -> (&str, &str, &str, &str, &Arc<str>, usize) {
    let located = &unit.located;
    let kind = &located.kind;
    (&located.namespace, &located.name, &kind.kind, &kind.group, unit.document.file(), unit.document.index())
}

/// A thread that panicked has put nothing half into the list.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
