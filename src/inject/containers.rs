//! The containers that sets bring: how they are built, named and placed.

use super::env::{self, Env};
use super::hot_upgrade::{self, Twin};
use super::removal::{Fate, Fates};
use super::revision::Chosen;
use super::selects::Choice;
use super::template::{Object, Pod, items, name};
use super::trace::Source;
use super::{Work, resources, volumes};
use crate::diag::{Code, Diagnostic};
use crate::model::sidecar_set::{InjectPolicy, SidecarContainer};
use crate::yaml::{Part, Path};
use serde_json::Value;
use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};

/// One of the two lists that containers are injected into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum List {
    /// `initContainers`
    Init,
    /// `containers`
    Main,
}

impl List {
    /// Returns the key in the pod and in the set.
    pub(super) fn key(self) -> &'static str {
        match self {
            Self::Init => "initContainers",
            Self::Main => "containers",
        }
    }

    /// Returns the other one.
    pub(super) fn other(self) -> Self {
        match self {
            Self::Init => Self::Main,
            Self::Main => Self::Init,
        }
    }

    /// Returns the pod's containers of this list.
    pub(super) fn of<'a>(self, pod: &Pod<'a>) -> &'a [Value] {
        match self {
            Self::Init => pod.init_containers,
            Self::Main => pod.containers,
        }
    }
}

/// The application's part of a pod: what sidecars may read.
pub(super) struct Apps<'a> {
    pub(super) labels: Option<&'a Value>,
    /// `containers` without those that an earlier injection put there: sidecars never see each other.
    pub(super) containers: Vec<&'a Value>,
    /// The native sidecars among `initContainers`, likewise.
    pub(super) native_sidecars: Vec<&'a Value>,
    /// The variables of every container, by names; made when the first one is asked for.
    variables: OnceCell<BTreeMap<&'a str, BTreeMap<&'a str, Defined<'a>>>>,
}

impl<'a> Apps<'a> {
    fn of(pod: &Pod<'a>, fates: &Fates) -> Self {
        let own = |list: List| {
            let fates = fates.of(list);
            list.of(pod)
                .iter()
                .zip(fates)
                .filter(|(_, fate)| **fate == Fate::Own)
                .map(|(container, _)| container)
        };
        let is_native = |c: &&Value| c.get("restartPolicy").and_then(Value::as_str) == Some("Always");
        Self {
            labels: pod.labels,
            containers: own(List::Main).collect(),
            native_sidecars: own(List::Init).filter(is_native).collect(),
            variables: OnceCell::new(),
        }
    }

    /// Returns the definitions of a variable in the containers of a name.
    pub(super) fn variable(&self, container: &str, variable: &str) -> Option<&Defined<'a>> {
        let variables = self.variables.get_or_init(|| {
            let mut all: BTreeMap<&str, BTreeMap<&str, Defined<'_>>> = BTreeMap::new();
            for container in &self.containers {
                let of_container = all.entry(name(container)).or_default();
                for entry in items(container, "env") {
                    let defined = Defined { first: entry, last: entry };
                    of_container.entry(name(entry)).and_modify(|d| d.last = entry).or_insert(defined);
                }
            }
            all
        });
        variables.get(container)?.get(variable)
    }
}

/// A variable, which may be defined more than once.
pub(super) struct Defined<'a> {
    /// The definition that `subPathExpr` takes.
    pub(super) first: &'a Value,
    /// The one that `transferEnv` takes.
    pub(super) last: &'a Value,
}

/// A container that a set brings, as it goes into the pod.
#[derive(Clone)]
pub(super) struct Brought<'a> {
    /// The index of the set in the order of injection.
    pub(super) set: usize,
    pub(super) sidecar: &'a SidecarContainer,
    pub(super) list: List,
    /// Its name in the pod.
    pub(super) name: String,
    pub(super) twin: Option<Twin>,
    pub(super) container: Object,
    /// What in it the set's author did not write: key, index in the list below it, source.
    pub(super) sources: Vec<(&'static str, usize, Source<'a>)>,
}

/// Builds what every set brings, in the order of injection: per set its init containers, then its containers.
pub(super) fn build<'a>(
    pod: &Pod<'a>,
    choice: &'a Choice<'_>,
    fates: &Fates,
    annotations: &'a Object,
    work: &mut Work<'_>,
) -> Vec<Brought<'a>> {
    let apps = Apps::of(pod, fates);
    let mut brought = Vec::new();
    for (index, chosen) in choice.chosen.iter().enumerate() {
        for list in [List::Init, List::Main] {
            for (sidecar, policy) in chosen.content.sidecars(list) {
                check_sidecar(chosen, list, sidecar, work);
                let mut one = assemble(pod, chosen, sidecar, &apps, annotations, work);
                one.set = index;
                one.list = list;
                if let Some(policy) = policy {
                    let place = (chosen, sidecar);
                    resources::apply(pod, choice, &apps, place, policy, &mut one.container, work);
                }
                brought.extend(twins(one));
            }
        }
    }
    brought
}

fn assemble<'a>(
    pod: &Pod<'_>,
    chosen: &'a Chosen<'_>,
    sidecar: &'a SidecarContainer,
    apps: &Apps<'a>,
    annotations: &'a Object,
    work: &mut Work<'_>,
) -> Brought<'a> {
    let mut container = sidecar.container.clone();
    let mut env = Env::of(&container);
    for missing in env::transfer(&mut env, sidecar, apps, annotations) {
        let term = &sidecar.transfer_env[missing.term];
        // A term without any source is a fault of the set, which its validation tells.
        if term.source_container_name.is_empty() && term.source_container_name_from.is_none() {
            continue;
        }
        work.tell(nothing_to_transfer(pod, chosen, sidecar, &missing));
    }
    let shared = volumes::share(sidecar, apps);
    for (variable, app) in &shared.variables {
        env.offer(variable, Source::SubPathExpr(app));
    }
    if let Some(mount) = shared.token_mount() {
        work.tell(volumes::shares_token(pod, chosen, sidecar, mount));
    }
    let mut sources: Vec<_> = env.sources.iter().map(|(i, source)| ("env", *i, *source)).collect();
    container.insert("env".to_owned(), Value::Array(env.entries));
    for (key, added) in [("volumeMounts", &shared.mounts), ("volumeDevices", &shared.devices)] {
        sources.extend(volumes::append(&mut container, key, added));
    }
    let name = sidecar.name.clone();
    Brought { set: 0, sidecar, list: List::Main, name, twin: None, container, sources }
}

/// Makes two of a container that is upgraded hot.
fn twins(one: Brought<'_>) -> Vec<Brought<'_>> {
    if !hot_upgrade::is_pair(one.sidecar, one.list) {
        return vec![one];
    }
    let second = one.clone();
    vec![hot_upgrade::twin(one, Twin::Working), hot_upgrade::twin(second, Twin::Empty)]
}

/// Where a container of the new list comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Slot {
    /// The container of this index in the pod as it came.
    Pod(usize),
    /// What a set brings, by its index; it may replace a container of the pod.
    Brought(usize),
}

/// A new list of containers.
pub(super) struct Merged {
    pub(super) list: List,
    pub(super) values: Vec<Value>,
    pub(super) slots: Vec<Slot>,
}

/// Returns a list as the pod has it.
pub(super) fn as_they_are(pod: &Pod<'_>, list: List) -> Merged {
    let values = list.of(pod).to_vec();
    Merged { list, slots: (0..values.len()).map(Slot::Pod).collect(), values }
}

/// Puts what sets bring into one list of the pod, and takes it out of `brought`.
pub(super) fn merge(pod: &Pod<'_>, list: List, fates: &Fates, brought: &mut [Brought<'_>]) -> Merged {
    let slots = place(list.of(pod), fates.of(list), list, brought);
    let values = slots.iter().map(|slot| match slot {
        Slot::Pod(i) => list.of(pod)[*i].clone(),
        Slot::Brought(i) => Value::Object(std::mem::take(&mut brought[*i].container)),
    });
    Merged { list, values: values.collect(), slots }
}

/// Kruise v1.9.0: a name that is in the pod keeps its place there; new ones go before or behind all of the
/// pod's own. What pillion adds: where a set that is injected already brings one more, it goes where a first
/// injection would put it, provided that nothing else moves by that.
fn place(old: &[Value], fates: &[Fate], list: List, brought: &[Brought<'_>]) -> Vec<Slot> {
    let mut ours: Vec<usize> = (0..brought.len()).filter(|i| brought[*i].list == list).collect();
    if list == List::Init {
        ours.sort_by(|a, b| brought[*a].name.cmp(&brought[*b].name));
    }
    let by_name: BTreeMap<&str, usize> = ours.iter().map(|i| (brought[*i].name.as_str(), *i)).collect();
    let is_before = |i: &usize| brought[*i].sidecar.pod_inject_policy == InjectPolicy::BeforeAppContainer;
    let kept = old.iter().zip(fates).enumerate().filter(|(_, (_, fate))| **fate != Fate::Gone);
    let standing: Vec<Slot> = kept
        .map(|(i, (container, fate))| match fate {
            Fate::Replaced => by_name.get(name(container)).map_or(Slot::Pod(i), |i| Slot::Brought(*i)),
            _ => Slot::Pod(i),
        })
        .collect();
    let in_place: BTreeSet<Slot> = standing.iter().copied().collect();
    let around = |middle: Vec<Slot>, all: bool| {
        let new = |i: &&usize| all || !in_place.contains(&Slot::Brought(**i));
        let before = ours.iter().filter(|i| is_before(i)).filter(new).map(|i| Slot::Brought(*i));
        let after = ours.iter().filter(|i| !is_before(i)).filter(new).map(|i| Slot::Brought(*i));
        before.chain(middle).chain(after).collect::<Vec<_>>()
    };
    let own = standing.iter().copied().filter(|s| matches!(s, Slot::Pod(_))).collect();
    let fresh = around(own, true);
    if fresh.iter().filter(|s| in_place.contains(s)).eq(&standing) {
        fresh
    } else {
        around(standing.clone(), false)
    }
}

/// Tells of an init container that is put first; what Kruise ignores in a set is told by its validation.
fn check_sidecar(chosen: &Chosen<'_>, list: List, sidecar: &SidecarContainer, work: &mut Work<'_>) {
    if list != List::Init || sidecar.pod_inject_policy != InjectPolicy::BeforeAppContainer {
        return;
    }
    let at = sidecar.path.then("podInjectPolicy");
    let message = format!("init container `{}` is put before the application's own", sidecar.name);
    work.tell(
        Diagnostic::warning(Code::InitBeforeApp, message)
            .at(chosen.content.set().document.label(&at, Part::Value, ""))
            .field(at.to_string())
            .because("Kruise does so too, although its API documentation says that the policy has no effect")
            .help("leave the policy out to put it behind them"),
    );
}

/// Returns a label at the name of a container of a set.
pub(super) fn label(chosen: &Chosen<'_>, sidecar: &SidecarContainer, text: &str) -> crate::diag::Label {
    chosen.content.set().document.label(&sidecar.path.then("name"), Part::Value, text)
}

/// Returns the path of a container in the template.
pub(super) fn path(list: List, index: usize) -> Path {
    Path::dotted("spec").then(list.key()).then(index)
}

/// What articles and slips of the pen call `env`.
const ENV_MISSPELT: [&str; 3] = ["envs", "Env", "environment"];

fn nothing_to_transfer(
    pod: &Pod<'_>,
    chosen: &Chosen<'_>,
    sidecar: &SidecarContainer,
    missing: &env::Missing<'_>,
) -> Diagnostic {
    let (why, here) = match missing.container {
        None => ("the field that names the container is empty".to_owned(), "not named here"),
        Some(container) if !pod.containers.iter().any(|c| name(c) == container) => {
            (format!("there is no container `{container}`"), "no such container")
        }
        Some(container) => (format!("container `{container}` has none"), "no such variable"),
    };
    let variables = missing.variables.join("`, `");
    let message = format!("`{}` gets no variable `{variables}`: {why}", sidecar.name);
    let at = missing.container.and_then(|c| pod.containers.iter().position(|p| name(p) == c));
    let place = at.map_or_else(|| Path::dotted("spec.containers"), |i| path(List::Main, i).then("name"));
    let misspelt = at.and_then(|i| {
        let container = pod.containers.get(i)?;
        let key = ENV_MISSPELT.into_iter().find(|key| container.get(*key).is_some())?;
        Some((path(List::Main, i).then(key), key))
    });
    let (label, help) = match misspelt {
        Some((place, key)) => (
            pod.label(&place, Part::Key, "containers have no such field"),
            format!("write `env` instead of `{key}`"),
        ),
        None => (
            pod.label(&place, Part::Value, here),
            "add the variable to the workload, or take it out of `transferEnv`".to_owned(),
        ),
    };
    let term = sidecar.path.then("transferEnv").then(missing.term);
    Diagnostic::warning(Code::TransferEnvMissing, message)
        .at(label)
        .at(chosen.content.set().document.label(&term, Part::Value, "asked for here"))
        .because("Kruise passes over it without a word")
        .help(help)
}
