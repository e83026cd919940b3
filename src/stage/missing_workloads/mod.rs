//! Checks that the workloads of an open rollout are still present. Workloads that disappear without a commit that
//! removes them are an error, not a complete rollout.

mod held;
mod past_rollout;

pub(crate) use past_rollout::LedgerHistory;

use super::{ClusterView, DeployBranch};
use crate::diagnostics::{Code, Diagnostic, Span, pluralize};
use crate::model::ledger::{Ledger, RolloutScope};
use crate::rollout::{CountedWorkloads, cluster_option};
use crate::workspace::{TreeFiles, WorkloadFile, WorkloadFiles};
use past_rollout::{PastRollout, PastScope};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How many workloads are named.
const MAX_NAMED: usize = 5;

impl DeployBranch<'_> {
    /// Reads one cluster: manifests and SidecarSets of the source commit, ledgers of the head. Runs a `build`
    /// command, and checks that the workloads of open rollouts are still present.
    pub fn cluster_view(&self, cluster: Option<&str>) -> (ClusterView, Vec<Diagnostic>) {
        let (view, mut diagnostics) = self.unchecked_cluster_view(cluster);
        // Errors of the manifests themselves come first; a missing ledger is another matter.
        if !diagnostics.iter().any(|d| d.is_error() && d.code != Code::NoLedger) {
            diagnostics.extend(missing_workloads(
                &view,
                &TreeFiles::from_commit(self.source_files()),
                Some(&self.ledger_history()),
            ));
        }
        (view, diagnostics)
    }

    /// Returns where earlier states of rollouts are found.
    pub(crate) fn ledger_history(&self) -> LedgerHistory<'_> {
        let Self { repository, branches, config, head, manifests, .. } = self;
        LedgerHistory { repository, branches, config, head: head.id, manifests }
    }
}

/// Reports workloads of open rollouts that are missing from a view with the files `now`. Without history only their
/// number is checked.
pub(crate) fn missing_workloads(
    view: &ClusterView,
    now: &TreeFiles<'_>,
    past: Option<&LedgerHistory<'_>>,
) -> Vec<Diagnostic> {
    view.prepared.ledgers.values().filter_map(|ledger| missing_in_ledger(view, now, past, ledger)).collect()
}

/// As [`missing_workloads`], for a ledger that is about to be pushed.
pub(crate) fn missing_after_change(
    deploy_branch: &DeployBranch<'_>,
    view: &ClusterView,
    ledger: &Ledger,
) -> Option<Diagnostic> {
    missing_in_ledger(
        view,
        &TreeFiles::from_commit(deploy_branch.source_files()),
        Some(&deploy_branch.ledger_history()),
        ledger,
    )
}

/// As [`missing_workloads`], for one ledger, which may differ from the one of the view; and reports missing held
/// workloads, whether a rollout is open or not.
pub(super) fn missing_in_ledger(
    view: &ClusterView,
    now: &TreeFiles<'_>,
    past: Option<&LedgerHistory<'_>>,
    ledger: &Ledger,
) -> Option<Diagnostic> {
    missing_counted(view, now, past, ledger).or_else(|| held::missing_held(view, now, past, ledger))
}

fn missing_counted(
    view: &ClusterView,
    now: &TreeFiles<'_>,
    past: Option<&LedgerHistory<'_>>,
    ledger: &Ledger,
) -> Option<Diagnostic> {
    let (scope, _) = (ledger.scope.as_ref()?, ledger.target.as_ref()?);
    let case = ScopeCheck { view, files: now, ledger, scope };
    if scope.is_from_build && !view.is_built {
        return Some(case.missing_build());
    }
    if scope.workloads == 0 {
        return None;
    }
    let context = view.rollout_context_for(ledger).0;
    let present = CountedWorkloads::of(&context, ledger);
    let is_whole = |counted: &CountedWorkloads| {
        counted.digest() == scope.digest || matches_with_holds(counted, ledger, scope)
    };
    let mut rejected = before_rollback(ledger).map(|ledger| CountedWorkloads::of(&context, &ledger));
    if is_whole(&present) || rejected.any(|counted| is_whole(&counted)) {
        return None;
    }
    match past.map(|past| past.find_scope(&case)) {
        Some(PastScope::Same(then)) => case.missing_by_key(&present, &then),
        Some(PastScope::Different(then)) => case.missing_by_count(&present, &then.held),
        Some(PastScope::NotFound) | None => case.missing_by_count(&present, &BTreeSet::new()),
    }
}

/// Returns the ledger of a rollback with each target that it may come from: the scope was counted with one of them, and
/// the way back counts only workloads that have gone forth.
fn before_rollback(ledger: &Ledger) -> impl Iterator<Item = Ledger> {
    let is_rollback = ledger.target.as_ref() == Some(&ledger.released);
    let known = move |name: &&Arc<str>| is_rollback && ledger.revisions.contains_key(*name);
    let rejected = ledger.rejected.iter().filter(known);
    rejected.map(|name| Ledger { target: Some(Some(Arc::clone(name))), ..ledger.clone() })
}

/// Returns whether all workloads of the scope are present, some of them held by people since.
fn matches_with_holds(present: &CountedWorkloads, ledger: &Ledger, scope: &RolloutScope) -> bool {
    let is_by_person =
        |key: &&Arc<str>| ledger.entries.get(*key).is_some_and(|entry| entry.held_by.is_some());
    let held = present.held.iter().filter(is_by_person);
    let all: BTreeSet<&str> = present.keys.iter().chain(held).map(|key| &**key).collect();
    RolloutScope::digest_of(all.into_iter()) == scope.digest
}

/// One rollout, and its present workloads.
struct ScopeCheck<'a> {
    view: &'a ClusterView,
    files: &'a TreeFiles<'a>,
    ledger: &'a Ledger,
    scope: &'a RolloutScope,
}

impl ScopeCheck<'_> {
    /// Reports workloads that are known by name and not accounted for.
    fn missing_by_key(&self, present: &CountedWorkloads, then: &PastRollout<'_>) -> Option<Diagnostic> {
        let missing: BTreeSet<Arc<str>> =
            then.keys.iter().filter(|key| !present.keys.contains(*key)).map(Arc::clone).collect();
        let stand = self.view.present_workloads(&missing);
        let missing: BTreeSet<Arc<str>> = missing.into_iter().filter(|key| !stand.contains(key)).collect();
        if missing.is_empty() {
            return None;
        }
        let unaccounted = unaccounted_workloads(self.view, self.files, then, &missing);
        (!unaccounted.is_empty()).then(|| self.missing_error(&unaccounted, unaccounted.len()))
    }

    /// Checks the number of workloads, and the entries of those that are updated already.
    fn missing_by_count(
        &self,
        present: &CountedWorkloads,
        held_before: &BTreeSet<Arc<str>>,
    ) -> Option<Diagnostic> {
        let held = present.held.iter().filter(|key| !held_before.contains(*key));
        let all: BTreeSet<&Arc<str>> = present.keys.iter().chain(held).collect();
        let moved = self.ledger.entries.iter().filter(|(_, entry)| entry.batch.is_some()).map(|(key, _)| key);
        let moved: BTreeSet<Arc<str>> = moved.map(Arc::clone).collect();
        let stand = self.view.present_workloads(&moved);
        let missing: Vec<(Arc<str>, Option<PathBuf>)> =
            moved.into_iter().filter(|key| !stand.contains(key)).map(|key| (key, None)).collect();
        let fewer = (self.scope.workloads as usize).saturating_sub(all.len());
        (fewer > 0 || !missing.is_empty()).then(|| self.missing_error(&missing, fewer.max(missing.len())))
    }

    fn missing_error(&self, missing: &[(Arc<str>, Option<PathBuf>)], number: usize) -> Diagnostic {
        let all = self.scope.workloads;
        let message = format!(
            "the rollout of `{}` counts {}, and {number} of them {} missing",
            self.ledger.name,
            pluralize(all.into(), "workload"),
            if number == 1 { "is" } else { "are" }
        );
        let error =
            add_missing(Diagnostic::error(Code::WorkloadsMissing, message), missing, self.ledger_path());
        let what = missing_help(self.view);
        error.help(format!(
            "{what}; if they were removed on purpose, `pillion start {}{} --accept-missing` recounts",
            self.ledger.name,
            self.cluster_option()
        ))
    }

    fn missing_build(&self) -> Diagnostic {
        let message = format!(
            "the rollout of `{}` was started with built manifests, but none were provided",
            self.ledger.name
        );
        let error = Diagnostic::error(Code::WorkloadsMissing, message)
            .because("without them its workloads are unknown, and it would look complete")
            .help(format!(
                "set the command as `build` in pillion.yaml, or pass its output: `COMMAND | pillion status{} --manifests -`",
                self.cluster_option()
            ));
        self.ledger_path().into_iter().fold(error, |error, path| error.at(Span::whole_file(path)))
    }

    fn ledger_path(&self) -> Option<String> {
        self.view.configuration.ledger_path(self.view.cluster.as_deref(), &self.ledger.name)
    }

    fn cluster_option(&self) -> String {
        cluster_option(self.view.cluster.as_deref())
    }
}

/// Names missing workloads, each with the file that still contains it.
fn add_missing(
    mut error: Diagnostic,
    missing: &[(Arc<str>, Option<PathBuf>)],
    ledger: Option<String>,
) -> Diagnostic {
    for (key, file) in missing.iter().take(MAX_NAMED) {
        error = match file {
            Some(file) => {
                let file = file.to_string_lossy();
                error
                    .at(Span::whole_file(file.clone().into_owned()))
                    .because(format!("`{key}` is in `{file}`, which is no longer read for it"))
            }
            None => error.because(format!("`{key}` is not among the manifests, and no commit removed it")),
        };
    }
    if missing.len() > MAX_NAMED {
        error = error.because(format!("and {} more", missing.len() - MAX_NAMED));
    }
    ledger.into_iter().fold(error, |error, path| error.at(Span::whole_file(path)))
}

fn missing_help(view: &ClusterView) -> &'static str {
    match view.is_built {
        true => "check the output of the build, or the manifests passed with `--manifests`",
        false => "check `sources`, `ignore` and `clusters` of pillion.yaml",
    }
}

/// Returns the workloads that are no longer read and that no commit has removed, each with the file that still
/// contains it.
fn unaccounted_workloads(
    view: &ClusterView,
    now: &TreeFiles<'_>,
    then: &PastRollout<'_>,
    missing: &BTreeSet<Arc<str>>,
) -> Vec<(Arc<str>, Option<PathBuf>)> {
    let now = WorkloadFiles::find(now, &view.configuration.layout, missing);
    let files = TreeFiles::from_commit(then.deploy_branch.source_files());
    let before = WorkloadFiles::find(&files, &then.view.configuration.layout, missing);
    let inputs: BTreeMap<&Arc<str>, &Path> = then.view.source_paths_of_workloads().collect();
    let mut found = Vec::new();
    for key in missing {
        let input = inputs.get(key).copied();
        match absence_evidence(now.files_of(key), before.files_of(key), input, then.view.is_built) {
            AbsenceEvidence::Removed => {}
            AbsenceEvidence::StillIn(file) => found.push((Arc::clone(key), Some(file))),
            AbsenceEvidence::Unknown => found.push((Arc::clone(key), None)),
        }
    }
    found
}

/// What the files show about a workload that is no longer read.
enum AbsenceEvidence {
    /// A commit has removed it.
    Removed,
    /// Its manifest is in a file that is not read for it.
    StillIn(PathBuf),
    /// No file ever contained it literally: a command builds it, and its output has changed.
    Unknown,
}

/// `now` and `before`: the files that contain it, by path, each with whether it is read as a manifest; `input`: the
/// file that it was read from.
fn absence_evidence(
    now: &[WorkloadFile],
    before: &[WorkloadFile],
    input: Option<&Path>,
    was_built: bool,
) -> AbsenceEvidence {
    if was_built && before.is_empty() {
        return AbsenceEvidence::Unknown;
    }
    let is_evidence = |holder: &&WorkloadFile| {
        // A copy that existed and was not read when the rollout started belongs to something else.
        let was_aside = before.iter().any(|b| b.tree_path == holder.tree_path && !b.is_source);
        was_built || Some(&*holder.tree_path) == input || (!holder.is_source && !was_aside)
    };
    match now.iter().find(is_evidence) {
        Some(holder) => AbsenceEvidence::StillIn(holder.file.clone()),
        None => AbsenceEvidence::Removed,
    }
}
