//! What an earlier injection left in a template, and what of it has to go.
//!
//! Kruise's webhook sees pods once and never takes anything away; a template is rendered again and again.
//! Only a template whose injected-list names a set is taken for one that was rendered before. Containers are
//! known by their mark; volumes, pull secrets and patched annotations only by a known content of the set that
//! wrote them.

use super::containers::{List, Merged};
use super::env::is_marked;
use super::selects::Choice;
use super::sets::{PreparedSet, Sets};
use super::template::{Pod, items, name};
use super::{Work, containers};
use crate::diag::{Code, Diagnostic};
use crate::model::annotations::{INJECTED_LIST, injected_sets};
use crate::yaml::{Part, Path};
use serde_json::Value;
use std::collections::BTreeSet;

/// What an earlier injection says of itself.
pub(super) struct Previous<'a> {
    /// The names in the injected-list, not trimmed.
    pub(super) listed: BTreeSet<&'a str>,
    /// Those of them that have to leave the list.
    pub(super) dropped: BTreeSet<&'a str>,
}

impl<'a> Previous<'a> {
    /// Reads the injected-list. A set that is known and is not injected now leaves it; one that nobody knows
    /// (a deleted set) leaves it with its containers, so that a list that somebody else wrote stays as it is.
    pub(super) fn read(pod: &Pod<'a>, sets: &Sets, choice: &Choice<'_>) -> Self {
        let listed = injected_sets(pod.annotation(INJECTED_LIST).unwrap_or_default());
        let stays = |name: &&str| {
            choice.chosen.iter().any(|c| c.name() == *name) || choice.paused.iter().any(|p| p.name() == *name)
        };
        let was_rendered = !listed.is_empty() && pod.all_containers().any(is_marked);
        let is_known = |name: &str| sets.known(name).next().is_some();
        let dropped = listed.iter().copied().filter(|n| !stays(n) && (is_known(n) || was_rendered)).collect();
        Self { listed, dropped }
    }

    /// Returns what a pod says that no set was ever injected into.
    pub(super) fn none() -> Self {
        Self { listed: BTreeSet::new(), dropped: BTreeSet::new() }
    }

    /// Tells whether some set was injected before.
    pub(super) fn is_ours(&self) -> bool {
        self.listed.iter().any(|name| !name.is_empty())
    }

    /// Tells whether this set was injected before.
    pub(super) fn lists(&self, set: &str) -> bool {
        self.listed.contains(&set)
    }

    /// Tells whether a set that was injected before brings this pull secret, in any content that is known of it.
    pub(super) fn brought_secret(&self, sets: &Sets, secret: &str) -> bool {
        self.known(sets).any(|set| set.brings_secret(secret))
    }

    /// The known contents of the sets that were injected before.
    fn known<'s>(&self, sets: &'s Sets) -> impl Iterator<Item = &'s PreparedSet> {
        self.listed.iter().flat_map(|name| sets.known(name))
    }
}

/// What becomes of a container of the pod as it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is the application's, or a sidecar that somebody else put there.
    Own,
    /// A set brings it anew.
    Replaced,
    /// No set brings it any more.
    Gone,
}

/// The fates of all containers.
pub(super) struct Fates {
    init: Vec<Fate>,
    main: Vec<Fate>,
}

impl Fates {
    /// Returns those of one list, in its order.
    pub(super) fn of(&self, list: List) -> &[Fate] {
        match list {
            List::Init => &self.init,
            List::Main => &self.main,
        }
    }

    /// Returns the containers that go or are replaced.
    fn earlier<'a>(&self, pod: &Pod<'a>) -> impl Iterator<Item = (List, usize, &'a Value, Fate)> {
        [List::Init, List::Main].into_iter().flat_map(move |list| {
            let with_fate = list.of(pod).iter().zip(self.of(list)).enumerate();
            with_fate.filter(|(_, (_, f))| **f != Fate::Own).map(move |(i, (c, f))| (list, i, c, *f))
        })
    }

    /// Returns the names of the containers that go.
    pub(super) fn gone<'a>(&self, pod: &Pod<'a>) -> BTreeSet<&'a str> {
        self.earlier(pod).filter(|(.., fate)| *fate == Fate::Gone).map(|(_, _, c, _)| name(c)).collect()
    }
}

/// Decides what becomes of the pod's containers. Sets whose injection is paused keep what they have put
/// there.
pub(super) fn fates(pod: &Pod<'_>, sets: &Sets, choice: &Choice<'_>, previous: &Previous<'_>) -> Fates {
    let of = |list: List| {
        if !list.of(pod).iter().any(is_marked) {
            return vec![Fate::Own; list.of(pod).len()];
        }
        let fate = |container: &Value| match name(container) {
            _ if !is_marked(container) => Fate::Own,
            n if choice.chosen.iter().any(|c| c.content.brings(list, n)) => Fate::Replaced,
            n if choice.paused.iter().any(|p| sets.known(p.name()).any(|c| c.brings(list, n))) => Fate::Own,
            _ if previous.is_ours() => Fate::Gone,
            _ => Fate::Own,
        };
        list.of(pod).iter().map(fate).collect()
    };
    Fates { init: of(List::Init), main: of(List::Main) }
}

/// Tells of the containers that go.
pub(super) fn record(pod: &Pod<'_>, fates: &Fates, work: &mut Work<'_>) {
    let Some(trace) = &mut work.trace else { return };
    for (list, index, _, _) in fates.earlier(pod).filter(|(.., fate)| *fate == Fate::Gone) {
        let why = "an earlier injection put it there, and no SidecarSet brings it now";
        trace.removed.push((containers::path(list, index), why.to_owned()));
    }
}

/// Returns `fresh` where everything in `old` keeps its order by that, else `old` and then what it lacks of
/// `fresh`. Each name is taken once.
pub(super) fn settled<'a>(old: &[&'a str], fresh: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut seen = BTreeSet::new();
    let wanted: Vec<&str> = fresh.filter(|name| seen.insert(*name)).collect();
    let stands: BTreeSet<&str> = old.iter().copied().collect();
    if wanted.iter().filter(|n| stands.contains(*n)).eq(old) {
        return wanted;
    }
    let new = wanted.into_iter().filter(|n| !stands.contains(n));
    old.iter().copied().chain(new).collect()
}

/// Returns the pod's volumes that go: an earlier content of a set wrote them and nothing uses them now.
pub(super) fn volumes<'a>(
    pod: &Pod<'a>,
    sets: &Sets,
    choice: &Choice<'_>,
    previous: &Previous<'_>,
    fates: &Fates,
    lists: [&Merged; 2],
    work: &mut Work<'_>,
) -> BTreeSet<&'a str> {
    let mut gone = BTreeSet::new();
    if !previous.is_ours() {
        return gone;
    }
    let now = used(lists.iter().flat_map(|list| &list.values).chain(pod.ephemeral_containers));
    let before = used(fates.earlier(pod).map(|(_, _, container, _)| container));
    for (i, volume) in pod.volumes.iter().enumerate() {
        let name = name(volume);
        if now.contains(name) || choice.chosen.iter().any(|c| c.content.volume(name).is_some()) {
            continue;
        }
        if previous.known(sets).any(|set| has_written(set, volume)) {
            gone.insert(name);
        } else if before.contains(name) {
            work.tell(volume_left(pod, i, name));
        }
    }
    gone
}

/// Tells whether a volume of the pod was written by the set that brings this name: it is as one of the set's
/// known contents defines it.
pub(super) fn wrote_volume(
    pod: &Pod<'_>,
    index: usize,
    sets: &Sets,
    previous: &Previous<'_>,
    set: &PreparedSet,
    work: &mut Work<'_>,
) -> bool {
    let volume = &pod.volumes[index];
    if !previous.lists(set.name()) {
        return false;
    }
    if has_written(set, volume) || sets.known(set.name()).any(|s| has_written(s, volume)) {
        return true;
    }
    if sets.earlier(set.name()).is_empty() {
        work.tell(volume_differs(pod, index, set));
    }
    false
}

fn has_written(set: &PreparedSet, volume: &Value) -> bool {
    set.volume(name(volume)).is_some_and(|at| volume.as_object() == Some(&set.set().volumes[at]))
}

/// The volumes that containers use.
fn used<'v>(containers: impl Iterator<Item = &'v Value>) -> BTreeSet<&'v str> {
    containers
        .flat_map(|c| items(c, "volumeMounts").iter().chain(items(c, "volumeDevices")))
        .map(name)
        .collect()
}

/// Returns the pod's pull secrets that go: an earlier content of a set had them and no set has them now.
pub(super) fn secrets<'a>(
    pod: &Pod<'a>,
    sets: &Sets,
    choice: &Choice<'_>,
    previous: &Previous<'_>,
    fates: &Fates,
    work: &mut Work<'_>,
) -> BTreeSet<&'a str> {
    if !previous.is_ours() || pod.image_pull_secrets.is_empty() {
        return BTreeSet::new();
    }
    let is_kept = |name: &str| {
        choice.chosen.iter().any(|c| c.content.brings_secret(name))
            || choice.paused.iter().any(|p| p.brings_secret(name))
    };
    let loose = pod.image_pull_secrets.iter().map(name).filter(|n| !is_kept(n));
    let (gone, left): (BTreeSet<&str>, BTreeSet<&str>) =
        loose.partition(|name| previous.known(sets).any(|set| set.brings_secret(name)));
    let is_explained = |list: List, name: &str| previous.known(sets).any(|set| set.brings(list, name));
    let mut gone_containers = fates.earlier(pod).filter(|(.., fate)| *fate == Fate::Gone);
    if !left.is_empty() && gone_containers.any(|(list, _, c, _)| !is_explained(list, name(c))) {
        work.tell(secrets_left(pod, &left));
    }
    gone
}

fn volume_left(pod: &Pod<'_>, index: usize, name: &str) -> Diagnostic {
    let at = Path::dotted("spec.volumes").then(index).then("name");
    let message = format!(
        "nothing in `{}` uses volume `{name}` any more, and nobody can tell whose it is",
        pod.template.key
    );
    cannot_tell(message).at(pod.label(&at, Part::Value, "only a sidecar of an earlier injection used it"))
}

fn volume_differs(pod: &Pod<'_>, index: usize, set: &PreparedSet) -> Diagnostic {
    let volume = name(&pod.volumes[index]);
    let at = Path::dotted("spec.volumes").then(index).then("name");
    let message =
        format!("volume `{volume}` of `{}` is not as SidecarSet `{}` has it", pod.template.key, set.name());
    let defined =
        set.set().volumes.iter().position(|v| v.get("name").and_then(Value::as_str) == Some(volume));
    let diagnostic =
        cannot_tell(message).at(pod.label(&at, Part::Value, "the application's, or of an earlier injection"));
    match defined {
        None => diagnostic,
        Some(i) => {
            let path = set.set().path.join(&Path::dotted("spec.volumes")).then(i);
            diagnostic.at(set.set().document.label(&path, Part::Value, "defined here"))
        }
    }
}

fn secrets_left(pod: &Pod<'_>, left: &BTreeSet<&str>) -> Diagnostic {
    let at = Path::dotted("spec.imagePullSecrets");
    let message = format!(
        "nobody can tell whose pull secrets `{}` of `{}` are",
        left.iter().copied().collect::<Vec<_>>().join("`, `"),
        pod.template.key
    );
    cannot_tell(message).at(pod.label(&at, Part::Key, "a sidecar that goes may have brought them"))
}

fn cannot_tell(message: String) -> Diagnostic {
    Diagnostic::warning(Code::CannotTellWhose, message)
        .because("it stays as it is: no known earlier state of a SidecarSet tells where it came from")
        .help("give the earlier states with `--history FILE`, or remove it by hand where it is not needed")
}

#[cfg(test)]
mod tests {
    use super::settled;

    #[test]
    fn new_names_find_their_place_only_where_nothing_moves() {
        for (old, fresh, result) in [
            (vec!["own", "a"], vec!["own", "new", "a"], vec!["own", "new", "a"]),
            (vec!["a", "own"], vec!["own", "new", "a"], vec!["a", "own", "new"]),
            (vec!["own"], vec!["own", "a", "a"], vec!["own", "a"]),
            (vec![], vec![], vec![]),
        ] {
            assert_eq!(settled(&old, fresh.into_iter()), result);
        }
    }
}
