//! Creates the first ledgers. They change no rendered byte: the rendered files show what is released; where they do
//! not, nothing is, and the first injection is a rollout like any other.

use super::branch_render::output_collision;
use super::drift::{check_rendered_files, drift_span};
use super::ledger_history::find_ledger_removal;
use super::{ClusterView, DeployBranch, Error};
use crate::diagnostics::{Code, Diagnostic};
use crate::git::{FileEdit, ObjectId};
use crate::model::file_list::{self, to_slash};
use crate::model::ledger::{Ledger, Revision, emit};
use crate::model::sidecar_set::SidecarSet;
use crate::read::{FileSource as _, map_in_order};
use crate::yaml::{EntryPart, FieldPath as YamlPath};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

/// Up to this number of SidecarSets, all combinations of released ones are compared with the rendered files.
const MAX_COMPARED_SETS: usize = 4;

/// What to do about a rendered file that does not follow from the sources.
const DRIFT_HELP: &str = "undo the edit, or move it into the sources; if workloads have an earlier content of a SidecarSet, restore that content in its file until the ledgers exist";

/// Which content workloads have of SidecarSets without a ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum InitialRevision {
    /// The content of the files.
    Current,
    /// Nothing: the first rollout adds it.
    Nothing,
    /// The content of the files of these SidecarSets, and nothing of all others.
    CurrentOf(BTreeSet<Arc<str>>),
}

/// What shows which content is released.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum RevisionEvidence {
    /// The rendered files.
    #[default]
    Rendered,
    /// The sources, which the first rendered files are made from.
    Sources,
    /// The manifests alone: git has no rendered files.
    Manifests,
}

/// The initial state of one cluster.
#[derive(Debug, Default)]
pub(crate) struct InitialLedgers {
    /// The cluster, where pillion.yaml names clusters.
    pub(crate) cluster: Option<String>,
    /// The new ledgers.
    pub(crate) ledgers: Vec<Ledger>,
    /// What shows which content is released.
    pub(crate) evidence: RevisionEvidence,
    /// The first rendered files, by path.
    pub(crate) files: BTreeMap<String, String>,
    /// The rendered files that pillion manages from now on, relative to their folder.
    pub(crate) listed_files: BTreeSet<String>,
}

/// Creates a ledger for every SidecarSet of a view that has none, and adds it to the view. `released` is the choice
/// of the user; else the rendered files decide. Files that would change are errors.
///
/// # Errors
/// When git fails.
pub(crate) fn init_ledgers(
    deploy_branch: &DeployBranch<'_>,
    view: &mut ClusterView,
    released: Option<&InitialRevision>,
) -> Result<(InitialLedgers, Vec<Diagnostic>), Error> {
    let known = &view.prepared.ledgers;
    let missing: Vec<Arc<SidecarSet>> =
        view.prepared.sets.iter().filter(|s| !known.contains_key(s.name.as_str())).cloned().collect();
    let cluster = view.cluster.as_ref().map(ToString::to_string);
    if missing.is_empty() {
        return Ok((InitialLedgers { cluster, ..InitialLedgers::default() }, Vec::new()));
    }
    let evidence = find_evidence(deploy_branch, view);
    if released.is_none() && evidence != RevisionEvidence::Rendered {
        let removed = removed_ledgers(deploy_branch, view, &missing)?;
        if !removed.is_empty() {
            return Ok((InitialLedgers { cluster, ..InitialLedgers::default() }, removed));
        }
    }
    let way = match released {
        Some(InitialRevision::Nothing) => ReleasedSubset::default(),
        Some(InitialRevision::Current) => ReleasedSubset::all_sets(&missing),
        Some(InitialRevision::CurrentOf(names)) => {
            ReleasedSubset::of(&missing, |set| names.contains(set.name.as_str()))
        }
        None if view.prepared.renderer.is_kruise_runtime() => {
            deployed_sets(deploy_branch, view, &missing, evidence)
        }
        None if evidence == RevisionEvidence::Manifests && !known.is_empty() => ReleasedSubset::default(),
        None => closest_subset(deploy_branch, view, &missing, evidence)?,
    };
    let ledgers = way.apply(view, &missing);
    let diagnostics = match (evidence, released) {
        (RevisionEvidence::Rendered, _) => drift_errors(deploy_branch, view)?,
        (_, None) => altered_manifests(view),
        (_, Some(_)) => render_errors(view),
    };
    let (mut files, mut listed) = (BTreeMap::new(), BTreeSet::new());
    let mut diagnostics = diagnostics;
    let mut inputs: BTreeMap<String, Arc<str>> = BTreeMap::new();
    for (number, (input, text)) in view.inputs().iter().enumerate() {
        let Some(path) = deploy_branch.configuration.rendered_path(view.cluster.as_deref(), input) else {
            continue;
        };
        let file = view.render_input(number, &view.prepared.renderer);
        if !file.is_dropped {
            if let Some(first) = inputs.insert(path.clone(), Arc::clone(&input.name)) {
                diagnostics.push(output_collision(&path, &first, &input.name));
            }
            listed.insert(to_slash(&input.output_path));
            if evidence == RevisionEvidence::Sources {
                files.insert(path, file.text(text).into_owned());
            }
        }
    }
    Ok((InitialLedgers { cluster, ledgers, evidence, files, listed_files: listed }, diagnostics))
}

/// Reports ledgers that were removed: without them, a new ledger would update every workload that they had updated.
fn removed_ledgers(
    deploy_branch: &DeployBranch<'_>,
    view: &ClusterView,
    missing: &[Arc<SidecarSet>],
) -> Result<Vec<Diagnostic>, Error> {
    let cluster = view.cluster.as_deref();
    let mut diagnostics = Vec::new();
    for set in missing {
        let Some(commit) = find_ledger_removal(deploy_branch, cluster, &set.name)? else { continue };
        let path = deploy_branch.configuration.ledger_path(cluster, &set.name).ok_or(Error::NoLedgers)?;
        let (id, subject) = (commit.id.short(), commit.subject());
        let message =
            format!("SidecarSet `{}` had a ledger, which commit {id} (\"{subject}\") removed", set.name);
        diagnostics.push(
            Diagnostic::error(Code::NoLedger, message)
                .at(set.document.label(&set.path.join(&YamlPath::dotted("metadata.name")), EntryPart::Value, ""))
                .because("nothing else records the revisions of workloads")
                .help(format!(
                    "`git checkout {id}~1 -- {path}` restores it; to begin without it, choose what is released: `--released current` or `--released nothing`"
                )),
        );
    }
    Ok(diagnostics)
}

/// Returns the files of the deploy branch to write: ledgers, first rendered files, and the list of rendered files.
///
/// # Errors
/// When pillion.yaml sets no folder for ledgers.
pub(crate) fn init_edits(
    deploy_branch: &DeployBranch<'_>,
    all: &[InitialLedgers],
) -> Result<BTreeMap<String, FileEdit>, Error> {
    let mut edits = BTreeMap::new();
    for initial in all {
        for ledger in &initial.ledgers {
            let path = deploy_branch.configuration.ledger_path(initial.cluster.as_deref(), &ledger.name);
            edits.insert(path.ok_or(Error::NoLedgers)?, FileEdit::Put(emit(ledger).into_bytes()));
        }
        let files = initial.files.iter();
        edits.extend(files.map(|(path, text)| (path.clone(), FileEdit::Put(text.as_bytes().to_owned()))));
    }
    let listed: BTreeSet<String> =
        all.iter().flat_map(|initial| initial.listed_files.iter().cloned()).collect();
    if let Some(list) = deploy_branch.configuration.file_list_path().filter(|_| !listed.is_empty()) {
        let known = deploy_branch.listed_files();
        let all: BTreeSet<String> = known.union(&listed).cloned().collect();
        if all != known {
            edits.insert(list, FileEdit::Put(file_list::emit(&all).into_bytes()));
        }
    }
    Ok(edits)
}

fn find_evidence(deploy_branch: &DeployBranch<'_>, view: &ClusterView) -> RevisionEvidence {
    let path = |input| deploy_branch.configuration.rendered_path(view.cluster.as_deref(), input);
    let places: Vec<String> = view.inputs().iter().filter_map(|(input, _)| path(input)).collect();
    if places.is_empty() {
        return RevisionEvidence::Manifests;
    }
    let is_there = |path: &String| deploy_branch.rendered_files().file_id(Path::new(path)).is_some();
    // With ledgers there were rendered files: this command does not restore missing ones.
    let is_fresh = view.prepared.ledgers.is_empty()
        && !places.iter().any(is_there)
        && (view.cluster.is_some() || deploy_branch.listed_files().is_empty());
    if is_fresh { RevisionEvidence::Sources } else { RevisionEvidence::Rendered }
}

/// Returns the SidecarSets that are deployed, where Kruise injects them: those with a rendered file; all of them, as they
/// are written, where nothing was rendered yet.
fn deployed_sets(
    deploy_branch: &DeployBranch<'_>,
    view: &ClusterView,
    missing: &[Arc<SidecarSet>],
    evidence: RevisionEvidence,
) -> ReleasedSubset {
    if evidence != RevisionEvidence::Rendered {
        return ReleasedSubset::all_sets(missing);
    }
    let input_of = |set: &SidecarSet| {
        let mut inputs = view.inputs().iter().map(|(input, _)| input);
        inputs.find(|input| *input.name == **set.document.file())
    };
    let path =
        |set: &SidecarSet| deploy_branch.configuration.rendered_path(view.cluster.as_deref(), input_of(set)?);
    let is_there = |path: String| deploy_branch.rendered_files().file_id(Path::new(&path)).is_some();
    ReleasedSubset::of(missing, |set| path(set).is_some_and(is_there))
}

/// Which of the SidecarSets without a ledger are released, by their index.
#[derive(Debug, Clone, Default)]
struct ReleasedSubset(BTreeSet<usize>);

impl ReleasedSubset {
    fn of(sets: &[Arc<SidecarSet>], is_released: impl Fn(&SidecarSet) -> bool) -> Self {
        Self((0..sets.len()).filter(|n| is_released(&sets[*n])).collect())
    }

    fn all_sets(sets: &[Arc<SidecarSet>]) -> Self {
        Self::of(sets, |_| true)
    }

    /// Creates the ledgers of the sets.
    fn apply(&self, view: &mut ClusterView, sets: &[Arc<SidecarSet>]) -> Vec<Ledger> {
        let ledger = |(n, set): (usize, &Arc<SidecarSet>)| {
            let (revision, mut ledger) = (Revision::from_set(set), Ledger::new(&set.name));
            if self.0.contains(&n) {
                ledger.released = Some(Arc::clone(&revision.name));
                ledger.revisions.insert(Arc::clone(&revision.name), revision);
            }
            ledger
        };
        let ledgers: Vec<Ledger> = sets.iter().enumerate().map(ledger).collect();
        ledgers.iter().for_each(|ledger| view.prepared.insert_ledger(ledger.clone()));
        ledgers
    }

    /// Returns all combinations worth a comparison, the one with the least released first.
    fn candidates(sets: &[Arc<SidecarSet>]) -> Vec<Self> {
        let bits = |way: usize| Self((0..sets.len()).filter(|n| way & 1 << n != 0).collect());
        let mut ways: Vec<Self> = match sets.len() {
            n if n <= MAX_COMPARED_SETS => (0..1 << n).map(bits).collect(),
            n => {
                let single = (0..n).map(|set| Self(BTreeSet::from([set])));
                let most = (0..n).map(|set| Self((0..n).filter(|other| *other != set).collect()));
                [Self::default()]
                    .into_iter()
                    .chain(single)
                    .chain(most)
                    .chain([Self::all_sets(sets)])
                    .collect()
            }
        };
        ways.sort_by_key(|way| way.0.len());
        ways
    }
}

/// Returns the combination with the fewest differing lines.
fn closest_subset(
    deploy_branch: &DeployBranch<'_>,
    view: &mut ClusterView,
    sets: &[Arc<SidecarSet>],
    evidence: RevisionEvidence,
) -> Result<ReleasedSubset, Error> {
    let mut best: Option<(usize, ReleasedSubset)> = None;
    for way in ReleasedSubset::candidates(sets) {
        way.apply(view, sets);
        let differing = count_differing_lines(deploy_branch, view, evidence)?;
        if best.as_ref().is_none_or(|(fewest, _)| differing < *fewest) {
            best = Some((differing, way));
        }
        if differing == 0 {
            break;
        }
    }
    Ok(best.map(|(_, way)| way).unwrap_or_default())
}

/// Counts the lines that differ from the rendered output.
fn count_differing_lines(
    deploy_branch: &DeployBranch<'_>,
    view: &ClusterView,
    evidence: RevisionEvidence,
) -> Result<usize, Error> {
    let numbers: Vec<usize> = (0..view.inputs().len()).collect();
    let (configuration, files) = (&deploy_branch.configuration, deploy_branch.rendered_files());
    let count = |number: &usize| -> Result<usize, Error> {
        let (input, text) = &view.inputs()[*number];
        let rendered = view.render_input(*number, &view.prepared.renderer);
        let new = &rendered.text(text);
        if rendered.is_dropped {
            return Ok(0);
        }
        if evidence != RevisionEvidence::Rendered {
            return Ok(differing_lines(text, new));
        }
        let path = configuration.rendered_path(view.cluster.as_deref(), input);
        let Some(path) = path else { return Ok(0) };
        if files.file_id(Path::new(&path)) == Some(&ObjectId::hash_blob(new.as_bytes())?) {
            return Ok(0);
        }
        let present = files.read_text(Path::new(&path), &path.as_str().into()).unwrap_or_default();
        Ok(differing_lines(&present, new).max(1))
    };
    let (mut all, mut failure) = (0, None);
    map_in_order(&numbers, count, |result| match result {
        Ok(lines) => all += lines,
        Err(error) => failure = Some(error),
    });
    failure.map_or(Ok(all), Err)
}

/// Counts the lines between the common start and end of two texts.
fn differing_lines(one: &str, other: &str) -> usize {
    let (one, other): (Vec<&str>, Vec<&str>) = (one.lines().collect(), other.lines().collect());
    let begin = one.iter().zip(&other).take_while(|(a, b)| a == b).count();
    let rest = one[begin..].iter().rev().zip(other[begin..].iter().rev());
    let end = rest.take_while(|(a, b)| a == b).count();
    one.len().max(other.len()) - begin - end
}

/// Reports rendered files that do not follow from the ledgers, and what cannot be rendered.
fn drift_errors(deploy_branch: &DeployBranch<'_>, view: &ClusterView) -> Result<Vec<Diagnostic>, Error> {
    let mut found = check_rendered_files(deploy_branch, view)?;
    found.retain(Diagnostic::is_error);
    for stray in found.iter_mut().filter(|d| d.code == Code::DeployBranchNotRendered) {
        // Without ledgers there is no render yet that could fix it.
        stray.help = Some(DRIFT_HELP.to_owned());
    }
    Ok(found)
}

/// Reports what cannot be rendered.
fn render_errors(view: &ClusterView) -> Vec<Diagnostic> {
    let mut diagnostics = Vec::new();
    view.render_all(&view.prepared.renderer, |_, _, file| diagnostics.extend(file.diagnostics));
    diagnostics.retain(Diagnostic::is_error);
    diagnostics
}

/// Reports manifests that would change without a decision by the user.
fn altered_manifests(view: &ClusterView) -> Vec<Diagnostic> {
    let mut found = render_errors(view);
    view.render_all(&view.prepared.renderer, |input, text, file| {
        let new = file.text(text);
        if file.is_dropped || *new == **text {
            return;
        }
        let message = format!("`{}` has some containers of SidecarSets, and would change", input.name);
        let error = Diagnostic::error(Code::DeployBranchNotRendered, message)
            .at(drift_span(&input.name, text, &new))
            .because("other workloads do not have them, so nothing is released")
            .help("remove the injected parts from the manifests, or set what every workload runs: `pillion init rollout --released current`");
        found.push(error);
    });
    found
}
