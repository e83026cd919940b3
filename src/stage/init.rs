//! The first ledgers. They change no rendered byte: what is released is read from what is rendered, and where that does
//! not tell, nothing is, so that the first injection is a rollout like any other.

use super::history::removal;
use super::own_render::{check_rendered_files, first_difference};
use super::{Failure, Live, Site};
use crate::diag::{Code, Diagnostic};
use crate::git::{Edit, Id};
use crate::model::file_list::{self, slashes};
use crate::model::ledger::{Ledger, Revision, emit};
use crate::model::sidecar_set::SidecarSet;
use crate::read::{Files as _, in_order};
use crate::yaml::{Part, Path as YamlPath};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

/// SidecarSets up to whose number every way to have released some of them is compared with what is there.
const COMPARED: usize = 4;

/// What to do about a rendered file that does not follow from what is there.
const STRAY: &str = "take the edit back, or put it into the sources as well; where workloads carry an earlier content of a SidecarSet, put that into its file until there are ledgers";

/// What the workloads carry of SidecarSets that have no ledger yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Released {
    /// What the files hold.
    Current,
    /// Nothing: the first rollout brings it.
    Nothing,
}

/// What tells which content is released.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Evidence {
    /// The rendered files.
    #[default]
    Rendered,
    /// The sources, of which the first rendered files are made.
    Fresh,
    /// The manifests alone: git holds no rendered files of them.
    Manifests,
}

/// What one cluster gets.
#[derive(Debug, Default)]
pub struct Initial {
    /// The cluster, where pillion.yaml names some.
    pub cluster: Option<String>,
    /// The new ledgers.
    pub ledgers: Vec<Ledger>,
    /// What told which content is released.
    pub evidence: Evidence,
    /// The first rendered files, by their place.
    pub files: BTreeMap<String, String>,
    /// The rendered files that are pillion's from now on, relative to their folder.
    pub listed: BTreeSet<String>,
}

/// Makes a ledger for every SidecarSet of a site that has none, and takes it up. `released` is what a person says, else
/// what is rendered tells. What is there and would not stay as it is, is refused.
///
/// # Errors
/// When git fails.
pub fn init(
    live: &Live<'_>,
    site: &mut Site,
    released: Option<Released>,
) -> Result<(Initial, Vec<Diagnostic>), Failure> {
    let known = &site.prepared.ledgers;
    let missing: Vec<Arc<SidecarSet>> =
        site.prepared.sets.iter().filter(|s| !known.contains_key(s.name.as_str())).cloned().collect();
    let cluster = site.cluster.as_ref().map(ToString::to_string);
    if missing.is_empty() {
        return Ok((Initial { cluster, ..Initial::default() }, Vec::new()));
    }
    let evidence = evidence(live, site);
    if released.is_none() && evidence != Evidence::Rendered {
        let removed = removed(live, site, &missing)?;
        if !removed.is_empty() {
            return Ok((Initial { cluster, ..Initial::default() }, removed));
        }
    }
    let way = match released {
        Some(Released::Nothing) => Way(0),
        Some(Released::Current) => Way::everything(&missing),
        None if evidence == Evidence::Manifests && !known.is_empty() => Way(0),
        None => nearest(live, site, &missing, evidence)?,
    };
    let ledgers = way.take(site, &missing);
    let diagnostics = match (evidence, released) {
        (Evidence::Rendered, _) => strays(live, site)?,
        (_, None) => altered(site),
        (_, Some(_)) => wrong(site),
    };
    let (mut files, mut listed) = (BTreeMap::new(), BTreeSet::new());
    for (number, (input, text)) in site.inputs().iter().enumerate() {
        let Some(place) = live.configuration.rendered_place(site.cluster.as_deref(), input) else { continue };
        let file = site.render_one(number, &site.prepared.renderer);
        if !file.is_dropped {
            listed.insert(slashes(&input.relative));
            if evidence == Evidence::Fresh {
                files.insert(place, file.new.unwrap_or_else(|| text.to_string()));
            }
        }
    }
    Ok((Initial { cluster, ledgers, evidence, files, listed }, diagnostics))
}

/// Ledgers that were there: without what they said, a new one would move every workload that they had moved.
fn removed(live: &Live<'_>, site: &Site, missing: &[Arc<SidecarSet>]) -> Result<Vec<Diagnostic>, Failure> {
    let cluster = site.cluster.as_deref();
    let mut found = Vec::new();
    for set in missing {
        let Some(commit) = removal(live, cluster, &set.name)? else { continue };
        let place = live.configuration.ledger_place(cluster, &set.name).ok_or(Failure::NoLedgers)?;
        let (id, subject) = (commit.id.short(), commit.subject());
        let message =
            format!("SidecarSet `{}` had a ledger, which commit {id} (\"{subject}\") removed", set.name);
        found.push(
            Diagnostic::error(Code::NoLedger, message)
                .at(set.document.label(&set.path.join(&YamlPath::dotted("metadata.name")), Part::Value, ""))
                .because("nothing else tells which workloads carry what")
                .help(format!(
                    "`git checkout {id}~1 -- {place}` takes it back; where rollouts are to begin anew, say what is released: `--released current` or `--released nothing`"
                )),
        );
    }
    Ok(found)
}

/// The files of the live branch that are written: ledgers, first rendered files, and the list of rendered files.
///
/// # Errors
/// When pillion.yaml names no place for ledgers.
pub fn edits_of(live: &Live<'_>, all: &[Initial]) -> Result<BTreeMap<String, Edit>, Failure> {
    let mut edits = BTreeMap::new();
    for initial in all {
        for ledger in &initial.ledgers {
            let place = live.configuration.ledger_place(initial.cluster.as_deref(), &ledger.name);
            edits.insert(place.ok_or(Failure::NoLedgers)?, Edit::Put(emit(ledger).into_bytes()));
        }
        let files = initial.files.iter();
        edits.extend(files.map(|(place, text)| (place.clone(), Edit::Put(text.as_bytes().to_owned()))));
    }
    let listed: BTreeSet<String> = all.iter().flat_map(|initial| initial.listed.iter().cloned()).collect();
    if let Some(list) = live.configuration.list_place().filter(|_| !listed.is_empty()) {
        let known = known(live);
        let all: BTreeSet<String> = known.union(&listed).cloned().collect();
        if all != known {
            edits.insert(list, Edit::Put(file_list::emit(&all).into_bytes()));
        }
    }
    Ok(edits)
}

/// What pillion has rendered so far.
fn known(live: &Live<'_>) -> BTreeSet<String> {
    let list = live.configuration.list_place();
    let text = list.and_then(|list| live.rendered().text(Path::new(&list), &list.as_str().into()).ok());
    file_list::parse(&text.unwrap_or_default())
}

fn evidence(live: &Live<'_>, site: &Site) -> Evidence {
    let place = |input| live.configuration.rendered_place(site.cluster.as_deref(), input);
    let places: Vec<String> = site.inputs().iter().filter_map(|(input, _)| place(input)).collect();
    if places.is_empty() {
        return Evidence::Manifests;
    }
    let is_there = |place: &String| live.rendered().file(Path::new(place)).is_some();
    // With ledgers there were rendered files: that they are gone is not for this command to mend.
    let is_fresh = site.prepared.ledgers.is_empty()
        && !places.iter().any(is_there)
        && (site.cluster.is_some() || known(live).is_empty());
    if is_fresh { Evidence::Fresh } else { Evidence::Rendered }
}

/// Which of the SidecarSets without a ledger are released as they are written: a bit for each.
#[derive(Debug, Clone, Copy)]
struct Way(u64);

impl Way {
    fn everything(sets: &[Arc<SidecarSet>]) -> Self {
        sets.iter().enumerate().fold(Self(0), |way, (n, _)| way.with(n))
    }

    /// Further sets than there are bits are released when all are.
    fn with(self, set: usize) -> Self {
        Self(self.0 | 1 << set.min(63))
    }

    fn without(self, set: usize) -> Self {
        Self(self.0 & !(1 << set.min(63)))
    }

    /// Gives the sets their ledgers.
    fn take(self, site: &mut Site, sets: &[Arc<SidecarSet>]) -> Vec<Ledger> {
        let ledger = |(n, set): (usize, &Arc<SidecarSet>)| {
            let (revision, mut ledger) = (Revision::of(set), Ledger::new(&set.name));
            if self.0 & 1 << n.min(63) != 0 {
                ledger.released = Some(Arc::clone(&revision.name));
                ledger.revisions.insert(Arc::clone(&revision.name), revision);
            }
            ledger
        };
        let ledgers: Vec<Ledger> = sets.iter().enumerate().map(ledger).collect();
        ledgers.iter().for_each(|ledger| site.prepared.take_ledger(ledger.clone()));
        ledgers
    }

    /// All ways worth a comparison, the one with the least released first.
    fn all(sets: &[Arc<SidecarSet>]) -> Vec<Self> {
        let whole = Self::everything(sets);
        let mut ways: Vec<Self> = match sets.len() {
            n if n <= COMPARED => (0..1 << n).map(Self).collect(),
            n => {
                let single = (0..n).map(|set| Self(0).with(set));
                let most = (0..n).map(|set| whole.without(set));
                [Self(0)].into_iter().chain(single).chain(most).chain([whole]).collect()
            }
        };
        ways.sort_by_key(|way| way.0.count_ones());
        ways
    }
}

/// The way by which the fewest lines are others than they are.
fn nearest(
    live: &Live<'_>,
    site: &mut Site,
    sets: &[Arc<SidecarSet>],
    evidence: Evidence,
) -> Result<Way, Failure> {
    let mut best: Option<(usize, Way)> = None;
    for way in Way::all(sets) {
        way.take(site, sets);
        let differing = differing(live, site, evidence)?;
        if best.is_none_or(|(fewest, _)| differing < fewest) {
            best = Some((differing, way));
        }
        if differing == 0 {
            break;
        }
    }
    Ok(best.map_or(Way(0), |(_, way)| way))
}

/// Counts the lines that render makes otherwise than they are.
fn differing(live: &Live<'_>, site: &Site, evidence: Evidence) -> Result<usize, Failure> {
    let numbers: Vec<usize> = (0..site.inputs().len()).collect();
    let (configuration, files) = (&live.configuration, live.rendered());
    let count = |number: &usize| -> Result<usize, Failure> {
        let (input, text) = &site.inputs()[*number];
        let rendered = site.render_one(*number, &site.prepared.renderer);
        let new = rendered.new.as_deref().unwrap_or(text);
        if rendered.is_dropped {
            return Ok(0);
        }
        if evidence != Evidence::Rendered {
            return Ok(differing_lines(text, new));
        }
        let place = configuration.rendered_place(site.cluster.as_deref(), input);
        let Some(place) = place else { return Ok(0) };
        if files.file(Path::new(&place)) == Some(&Id::of_blob(new.as_bytes())?) {
            return Ok(0);
        }
        let present = files.text(Path::new(&place), &place.as_str().into()).unwrap_or_default();
        Ok(differing_lines(&present, new).max(1))
    };
    let (mut all, mut failure) = (0, None);
    in_order(&numbers, count, |result| match result {
        Ok(lines) => all += lines,
        Err(wrong) => failure = Some(wrong),
    });
    failure.map_or(Ok(all), Err)
}

/// Counts the lines between those that two texts begin and end with.
fn differing_lines(one: &str, other: &str) -> usize {
    let (one, other): (Vec<&str>, Vec<&str>) = (one.lines().collect(), other.lines().collect());
    let begin = one.iter().zip(&other).take_while(|(a, b)| a == b).count();
    let rest = one[begin..].iter().rev().zip(other[begin..].iter().rev());
    let end = rest.take_while(|(a, b)| a == b).count();
    one.len().max(other.len()) - begin - end
}

/// What of the rendered files does not follow from the ledgers, and what cannot be rendered.
fn strays(live: &Live<'_>, site: &Site) -> Result<Vec<Diagnostic>, Failure> {
    let mut found = check_rendered_files(live, site)?;
    found.retain(Diagnostic::is_error);
    for stray in found.iter_mut().filter(|d| d.code == Code::LiveNotRendered) {
        // Without ledgers there is no render yet that could put it right.
        stray.help = Some(STRAY.to_owned());
    }
    Ok(found)
}

/// What cannot be rendered.
fn wrong(site: &Site) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    site.render(&site.prepared.renderer, |_, _, file| found.extend(file.diagnostics));
    found.retain(Diagnostic::is_error);
    found
}

/// Manifests that would not stay as they are, although nobody has said that they are to change.
fn altered(site: &Site) -> Vec<Diagnostic> {
    let mut found = wrong(site);
    site.render(&site.prepared.renderer, |input, text, file| {
        let Some(new) = file.new.filter(|new| !file.is_dropped && **new != **text) else { return };
        let message = format!("`{}` carries a part of what SidecarSets bring, and would not stay as it is", input.name);
        let error = Diagnostic::error(Code::LiveNotRendered, message)
            .at(first_difference(&input.name, text, &new))
            .because("other workloads do not carry it, so that nothing is released")
            .help("take what was injected out of the manifests; or say what every workload runs: `pillion init rollout --released current`");
        found.push(error);
    });
    found
}
