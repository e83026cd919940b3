//! The workloads of a cluster, and how each is rendered with the revisions of a SidecarSet.

use super::hot_upgrade;
use super::pod_resources::{PodResources, requests_of_containers};
use super::template_diff::TemplateDiff;
use super::template_summary::{TemplateSummaries, TemplateSummary};
use super::update_method::{UpdateBehavior, UpdateMethod, update_behavior};
use super::workload_strategy::{self, WorkloadStrategy};
use super::{LabelMap, push_exact, template_labels};
use crate::diagnostics::Diagnostic;
use crate::model::api::KRUISE_GROUP;
use crate::model::ledger::{HotUpgrades, Ledger, LedgerEntry, RevisionName};
use crate::model::sidecar_override::OverrideHold;
use crate::render::{Renderer, WorkloadOutline, WorkloadRef};
use crate::yaml::{Document, FieldPath};
use serde_json::Value;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// The most pods that a workload can ask for.
const LARGEST_WORKLOAD: u64 = i32::MAX as u64;

/// The workloads of one cluster, as one SidecarSet sees them.
#[derive(Debug)]
pub struct WorkloadSet<'r> {
    renderer: &'r Renderer,
    set: Arc<str>,
    workloads: Vec<PlannedWorkload>,
    index_by_key: BTreeMap<Arc<str>, usize>,
    summaries: TemplateSummaries,
    /// Workloads are rendered as the pods that Kruise's webhook makes of them.
    simulates_webhook: bool,
}

/// From one revision to another.
type RevisionPair = [RevisionName; 2];

/// The pods of a workload, and how they are updated.
type StrategyKey = (u64, UpdateMethod);

/// One workload.
#[derive(Debug)]
pub struct PlannedWorkload {
    /// What is kept of its manifest.
    pub(crate) outline: Arc<WorkloadOutline>,
    /// The labels of its pod template.
    pub(crate) labels: LabelMap,
    /// Its replicas in git.
    pub(crate) replicas: Option<u32>,
    /// Git leaves its replicas to the default of its kind.
    has_default_replicas: bool,
    /// A HorizontalPodAutoscaler in git sets its replicas.
    pub(crate) is_autoscaled: bool,
    /// Its hold by a SidecarOverride, whether its last day is over or not.
    pub(crate) override_hold: Option<OverrideHold>,
    change_cache: Mutex<Vec<(RevisionPair, Arc<TemplateChange>)>>,
    // A plan of a hundred batches asks each workload a hundred times.
    strategy_cache: Mutex<Vec<(StrategyKey, Arc<WorkloadStrategy>)>>,
    template_hash_cache: OnceLock<Arc<str>>,
    can_split_cache: OnceLock<bool>,
}

/// A workload rendered with a revision. Templates are large, so none is kept.
struct WorkloadRendering<'d> {
    /// Its pod template.
    template: Cow<'d, Value>,
    /// The names of the containers of the SidecarSet in it; empty where the SidecarSet does not select the workload.
    sidecar_names: Vec<Arc<str>>,
    /// Why it cannot be rendered.
    error: Option<Diagnostic>,
}

/// The change of a workload from one revision to another.
#[derive(Debug)]
pub(crate) struct TemplateChange {
    /// The differences of its pod template.
    pub(crate) diff: TemplateDiff,
    /// How its pods are updated.
    pub(crate) behavior: UpdateBehavior,
    /// What happens to the containers of the SidecarSet.
    pub(crate) effect: SidecarEffect,
    /// A hot-upgrade container, by its name in the SidecarSet, with a change that is not the next half of an upgrade.
    pub(crate) hot_upgrade_container: Option<Arc<str>>,
    /// The workload had containers of the SidecarSet before.
    pub(crate) had_sidecars: bool,
    /// The workload has containers of the SidecarSet afterwards.
    has_sidecars: bool,
    /// Containers that restart when a pod is updated in place.
    pub(crate) restarted_in_place: u64,
    /// What warnings and sums of requests read of its pod template, before and afterwards.
    pub(crate) summaries: [Arc<TemplateSummary>; 2],
    /// Why it cannot be rendered with the new revision.
    pub(crate) error: Option<Box<str>>,
}

/// How a change affects the containers of a SidecarSet in a workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum SidecarEffect {
    /// The workload gets them.
    Added,
    /// The workload has some before and afterwards, or has those of another set.
    Updated,
    /// The workload loses them.
    Removed,
}

impl SidecarEffect {
    /// Returns its name in data.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Added => "Added",
            Self::Updated => "Updated",
            Self::Removed => "Removed",
        }
    }
}

impl PlannedWorkload {
    /// Reads a workload.
    pub(crate) fn new(outline: Arc<WorkloadOutline>) -> Self {
        let labels = template_labels(outline.template());
        let kind = &outline.manifest.kind;
        let replicas = kind.replicas_path.as_ref().and_then(|at| at.find(outline.object()));
        let has_default_replicas = replicas.is_none_or(Value::is_null);
        let replicas = replicas.and_then(Value::as_u64).and_then(|n| u32::try_from(n).ok());
        Self {
            labels,
            replicas: if kind.is_pod() { Some(1) } else { replicas },
            has_default_replicas,
            is_autoscaled: false,
            override_hold: None,
            outline,
            change_cache: Mutex::default(),
            strategy_cache: Mutex::default(),
            template_hash_cache: OnceLock::new(),
            can_split_cache: OnceLock::new(),
        }
    }

    /// Returns its key and its location.
    pub fn manifest(&self) -> &WorkloadRef {
        &self.outline.manifest
    }

    /// Returns its key.
    pub fn key(&self) -> &Arc<str> {
        &self.outline.manifest.key
    }

    /// Returns its object without the `spec` of its pod template.
    pub(crate) fn object(&self) -> &Value {
        self.outline.object()
    }

    /// Returns the replicas that Kubernetes gives it where git sets none; None: an autoscaler sets them, or its kind
    /// has no default.
    pub(crate) fn default_replicas(&self) -> Option<u32> {
        let default = self.manifest().kind.traits.default_replicas;
        default.filter(|_| self.has_default_replicas && !self.is_autoscaled)
    }

    /// Returns the hash of its source.
    pub(crate) fn template_hash(&self) -> Arc<str> {
        Arc::clone(self.template_hash_cache.get_or_init(|| self.outline.template_hash()))
    }

    /// Returns its valid entry in a ledger ([`LedgerEntry::effective`]).
    pub(crate) fn active_entry<'l>(&self, ledger: &'l Ledger) -> Option<Cow<'l, LedgerEntry>> {
        ledger.entry(self.key(), || self.template_hash(), || self.override_hold.is_some())
    }

    /// Returns its hold by a SidecarOverride, if its last day is not over.
    pub(crate) fn active_override_hold(&self, today: Option<&str>) -> Option<&OverrideHold> {
        self.override_hold.as_ref().filter(|hold| today.is_none_or(|today| *hold.until >= *today))
    }

    /// Returns whether the hold of its entry is over. One by a SidecarOverride lasts as long as that says.
    pub(crate) fn is_hold_over(&self, entry: &LedgerEntry, today: Option<&str>) -> bool {
        match entry.is_held_by_override() {
            true => self.active_override_hold(today).is_none(),
            false => entry.is_hold_expired(today),
        }
    }

    /// Returns its own update strategy, for a number of pods and an update method.
    pub(crate) fn strategy(&self, pods: u64, how: UpdateMethod) -> Arc<WorkloadStrategy> {
        let mut known = lock(&self.strategy_cache);
        if let Some((_, strategy)) = known.iter().find(|(of, _)| *of == (pods, how)) {
            return Arc::clone(strategy);
        }
        let (kind, object) = (&self.manifest().kind, self.object());
        let strategy = Arc::new(workload_strategy::strategy_of(&kind.group, &kind.kind, object, pods, how));
        push_exact(&mut known, ((pods, how), Arc::clone(&strategy)));
        strategy
    }

    /// Returns the most pods that its own strategy makes unavailable at once, whatever their number is; None: it depends
    /// on their number.
    pub(crate) fn max_unavailable_of_any(&self, how: UpdateMethod) -> Option<u32> {
        let [half, all] = [LARGEST_WORKLOAD / 2, LARGEST_WORKLOAD].map(|pods| self.strategy(pods, how));
        let is_fixed = half.max_unavailable == all.max_unavailable;
        is_fixed.then(|| u32::try_from(all.max_unavailable).unwrap_or(u32::MAX).max(1))
    }

    /// Returns whether its native partition can split it, by its manifest.
    pub(crate) fn can_split(&self) -> bool {
        *self.can_split_cache.get_or_init(|| {
            let (kind, object) = (&self.manifest().kind, self.object());
            kind.partition_path.is_some()
                && workload_strategy::can_split(&kind.group, &kind.kind, object, self.is_autoscaled)
        })
    }
}

impl TemplateChange {
    fn between(
        workload: &PlannedWorkload,
        [before, after]: [&WorkloadRendering<'_>; 2],
        hot_upgrades: [&HotUpgrades; 2],
        summaries: &TemplateSummaries,
    ) -> Self {
        let (old, new) = (&*before.template, &*after.template);
        let kind = &workload.manifest().kind;
        let behavior = update_behavior(&kind.group, &kind.kind, workload.object(), old, new);
        let diff = TemplateDiff::between(old, new);
        Self {
            restarted_in_place: diff.restarts_in_place(new, kind.group == KRUISE_GROUP),
            effect: sidecar_effect([before, after]),
            // Kruise itself upgrades the pairs of the SidecarSets that it injects.
            hot_upgrade_container: match kind.is_sidecar_set() {
                true => None,
                false => hot_upgrade::changed_hot_upgrade_container([old, new], hot_upgrades, &behavior),
            },
            had_sidecars: !before.sidecar_names.is_empty(),
            has_sidecars: !after.sidecar_names.is_empty(),
            summaries: summaries.share_both([old, new], &diff),
            error: after.error.as_ref().map(|error| error.message.as_str().into()),
            diff,
            behavior,
        }
    }
}

impl<'r> WorkloadSet<'r> {
    /// Collects workloads, in any order; of two with one key the first in the order of files stays.
    pub(crate) fn new(renderer: &'r Renderer, set: &str, mut workloads: Vec<PlannedWorkload>) -> Self {
        // DESIGN 5: the last criterion of the order is namespace, name, kind.
        workloads.sort_by(|a, b| sort_key(a).cmp(&sort_key(b)));
        workloads.dedup_by(|a, b| a.key() == b.key());
        let by_key =
            workloads.iter().enumerate().map(|(i, workload)| (Arc::clone(workload.key()), i)).collect();
        Self {
            renderer,
            set: set.into(),
            workloads,
            index_by_key: by_key,
            summaries: TemplateSummaries::default(),
            simulates_webhook: false,
        }
    }

    /// As [`Self::new`]; where Kruise injects the sidecars, workloads have those of the pods that its webhook makes.
    pub(crate) fn simulating_webhook(
        renderer: &'r Renderer,
        set: &str,
        workloads: Vec<PlannedWorkload>,
    ) -> Self {
        Self { simulates_webhook: true, ..Self::new(renderer, set, workloads) }
    }

    /// Returns the labels of a namespace, where they are known.
    pub(crate) fn namespace_labels(&self, namespace: &str) -> Option<&BTreeMap<String, String>> {
        self.renderer.namespace_labels(namespace)
    }

    /// Returns the workloads, by namespace, name and kind.
    pub fn as_slice(&self) -> &[PlannedWorkload] {
        &self.workloads
    }

    /// Returns the workload with a key.
    pub(crate) fn find(&self, key: &str) -> Option<&PlannedWorkload> {
        self.find_with_position(key).map(|(_, workload)| workload)
    }

    /// Returns the workload with a key, and its position.
    pub(super) fn find_with_position(&self, key: &str) -> Option<(usize, &PlannedWorkload)> {
        self.index_by_key.get(key).map(|at| (*at, &self.workloads[*at]))
    }

    /// Returns the pod template of a workload, rendered with an entry.
    #[cfg(feature = "watch")]
    pub(crate) fn template(&self, workload: &PlannedWorkload, entry: &LedgerEntry) -> Value {
        let document = workload.outline.source.read();
        self.render(workload, &document, entry).template.into_owned()
    }

    /// Returns why a workload cannot be rendered with a revision.
    pub(crate) fn injection_error(
        &self,
        workload: &PlannedWorkload,
        revision: &RevisionName,
    ) -> Option<Diagnostic> {
        // A change to the revision that is known already says whether there is an error at all.
        let known = lock(&workload.change_cache).iter().find(|(pair, _)| pair[1] == *revision).cloned();
        if known.is_some_and(|(_, change)| change.error.is_none()) {
            return None;
        }
        let document = workload.outline.source.read();
        self.render(workload, &document, &LedgerEntry::with_revision(revision.clone())).error
    }

    /// Renders a workload of a document.
    fn render<'d>(
        &self,
        workload: &PlannedWorkload,
        document: &'d Document,
        entry: &LedgerEntry,
    ) -> WorkloadRendering<'d> {
        let manifest = workload.manifest();
        let injected = match self.simulates_webhook {
            true => self.renderer.inject_as_webhook(document, manifest, &self.set, entry),
            false => self.renderer.inject_with_entry(document, manifest, &self.set, entry),
        };
        let template = match injected.change {
            None => Cow::Borrowed(manifest.pod_template(document)),
            Some((at, new)) if at == manifest.template_path => Cow::Owned(new),
            Some((at, new)) => {
                // Another rollout has split the workload: the whole object is new.
                let within = manifest.template_path.segments()[at.segments().len()..].to_vec();
                Cow::Owned(FieldPath::from(within).find(&new).cloned().unwrap_or_default())
            }
        };
        let is_injected = injected.outcome.injected_sets.iter().any(|name| **name == *self.set);
        let names = entry.revision.as_deref().filter(|_| is_injected);
        let sidecars = names.into_iter().flat_map(|name| self.renderer.container_names(name)).map(Arc::from);
        WorkloadRendering {
            template,
            sidecar_names: sidecars.collect(),
            error: injected.outcome.diagnostics.into_iter().find(Diagnostic::is_error),
        }
    }

    /// Returns the whole object of a workload, rendered with an entry.
    pub(crate) fn object(&self, workload: &PlannedWorkload, entry: &LedgerEntry) -> Value {
        let (document, manifest) = (workload.outline.source.read(), workload.manifest());
        let injected = self.renderer.inject_with_entry(&document, manifest, &self.set, entry);
        injected.object(&document, &manifest.path).into_owned()
    }

    /// Returns the change of a workload from one revision to another.
    pub(crate) fn change_to(
        &self,
        workload: &PlannedWorkload,
        from: &RevisionName,
        to: &RevisionName,
    ) -> Arc<TemplateChange> {
        let wanted = |pair: &[RevisionName; 2]| pair[0] == *from && pair[1] == *to;
        if let Some((_, known)) = lock(&workload.change_cache).iter().find(|(pair, _)| wanted(pair)) {
            return Arc::clone(known);
        }
        let [old, new] = [from, to].map(|revision| LedgerEntry::with_revision(revision.clone()));
        let change = Arc::new(self.change_uncached(workload, &old, &new));
        push_exact(&mut lock(&workload.change_cache), ([from.clone(), to.clone()], Arc::clone(&change)));
        change
    }

    /// Returns what the containers of the SidecarSet add to the requests of a pod, where the workload has this entry.
    /// None: it has no container of the SidecarSet then.
    pub(crate) fn sidecar_requests(
        &self,
        workload: &PlannedWorkload,
        entry: &LedgerEntry,
    ) -> Option<PodResources> {
        let revision = entry.revision.as_deref()?;
        let (summary, has_sidecars) = self.summary_with(workload, entry);
        let names = || self.renderer.container_names(revision).collect();
        has_sidecars.then(|| requests_of_containers(&summary.template, &names()))
    }

    /// Returns the containers of the SidecarSet in a workload with an entry, each with its image.
    pub(crate) fn sidecar_images(
        &self,
        workload: &PlannedWorkload,
        entry: &LedgerEntry,
    ) -> Vec<(String, String)> {
        let document = workload.outline.source.read();
        let rendering = self.render(workload, &document, entry);
        let spec = &rendering.template["spec"];
        let lists = ["initContainers", "containers"].into_iter();
        let containers = lists.filter_map(|list| spec[list].as_array()).flatten();
        let image_of = |container: &Value| {
            let name = container["name"].as_str()?;
            let is_sidecar = rendering.sidecar_names.iter().any(|sidecar| **sidecar == *name);
            let image = container["image"].as_str().unwrap_or_default();
            is_sidecar.then(|| (name.to_owned(), image.to_owned()))
        };
        containers.filter_map(image_of).collect()
    }

    /// Returns the summary of a workload with an entry, and whether it has containers of the SidecarSet then.
    fn summary_with(&self, workload: &PlannedWorkload, entry: &LedgerEntry) -> (Arc<TemplateSummary>, bool) {
        if is_plain(entry) {
            for (pair, change) in lock(&workload.change_cache).iter() {
                if let Some(side) = pair.iter().position(|revision| *revision == entry.revision) {
                    let has_sidecars = [change.had_sidecars, change.has_sidecars][side];
                    return (Arc::clone(&change.summaries[side]), has_sidecars);
                }
            }
        }
        let change = self.change_between(workload, entry, entry);
        (Arc::clone(&change.summaries[0]), change.had_sidecars)
    }

    /// Returns the change of a workload from its entry to a revision; the containers of its hot-upgrade pairs that work
    /// stay the same.
    pub(crate) fn change_from_entry(
        &self,
        workload: &PlannedWorkload,
        entry: &LedgerEntry,
        to: &RevisionName,
    ) -> Arc<TemplateChange> {
        let hot_upgrades = HotUpgrades { from: None, ..entry.hot_upgrades.clone() };
        let new = LedgerEntry { hot_upgrades, ..LedgerEntry::with_revision(to.clone()) };
        self.change_between(workload, entry, &new)
    }

    /// Returns the change of a workload from one entry to another.
    pub(crate) fn change_between(
        &self,
        workload: &PlannedWorkload,
        old: &LedgerEntry,
        new: &LedgerEntry,
    ) -> Arc<TemplateChange> {
        if is_plain(old) && is_plain(new) {
            return self.change_to(workload, &old.revision, &new.revision);
        }
        Arc::new(self.change_uncached(workload, old, new))
    }

    fn change_uncached(
        &self,
        workload: &PlannedWorkload,
        before: &LedgerEntry,
        after: &LedgerEntry,
    ) -> TemplateChange {
        let steps = [&before.hot_upgrades, &after.hot_upgrades];
        let document = workload.outline.source.read();
        let old = self.render(workload, &document, before);
        let is_same = before.revision == after.revision && before.images == after.images;
        if is_same && before.hot_upgrades == after.hot_upgrades {
            return TemplateChange::between(workload, [&old, &old], steps, &self.summaries);
        }
        let new = self.render(workload, &document, after);
        TemplateChange::between(workload, [&old, &new], steps, &self.summaries)
    }
}

/// Returns the effect on a workload. Containers that another set has from then on, or had until then, are neither
/// removed nor added.
fn sidecar_effect([old, new]: [&WorkloadRendering<'_>; 2]) -> SidecarEffect {
    let is_in = |rendering: &WorkloadRendering<'_>, name: &Arc<str>| {
        let spec = &rendering.template["spec"];
        let lists = ["containers", "initContainers"].map(|list| spec[list].as_array());
        lists.into_iter().flatten().flatten().any(|c| c["name"] == **name)
    };
    match (!old.sidecar_names.is_empty(), !new.sidecar_names.is_empty()) {
        (false, true) if !new.sidecar_names.iter().any(|name| is_in(old, name)) => SidecarEffect::Added,
        // What cannot be rendered is not released.
        (true, false) if new.error.is_none() && !old.sidecar_names.iter().all(|name| is_in(new, name)) => {
            SidecarEffect::Removed
        }
        _ => SidecarEffect::Updated,
    }
}

/// Returns whether nothing but its revision says what an entry renders.
fn is_plain(entry: &LedgerEntry) -> bool {
    entry.images.is_empty() && entry.hot_upgrades.is_initial()
}

fn sort_key(workload: &PlannedWorkload) -> (&str, &str, &str, &str, &Arc<str>, usize) {
    let located = workload.manifest();
    let kind = &located.kind;
    (
        &located.namespace,
        &located.name,
        &kind.kind,
        &kind.group,
        workload.outline.source.file(),
        workload.outline.source.index(),
    )
}

/// A thread that panicked has left the list valid.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
