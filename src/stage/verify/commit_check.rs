//! Checks one commit: each change of a ledger must be one that a pillion command makes, in a commit of its own.

use super::audited_change::{AuditedChange, LedgerKey};
use super::ledger_action::{AuditedBatch, AuditedStep, LedgerAction};
use super::ledger_change::LedgerDiff;
use super::mixed_commit::check_mixed_commit;
use super::unreadable_commit;
use crate::diagnostics::{Code, Diagnostic, Span, pluralize};
use crate::git::Commit;
use crate::model::ledger::{Ledger, emit};
use crate::model::timestamp::format_day;
use crate::read::{FileKind, FileSource as _, normalize_path};
use crate::rollout::settings::PlanRules;
use crate::rollout::{RolloutContext, cluster_option};
use crate::stage::ledger_history::find_approver;
use crate::stage::missing_workloads::missing_in_ledger;
use crate::stage::{ClusterView, DeployBranch, Error};
use crate::workspace::TreeFiles;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The result for one commit.
#[derive(Default)]
pub(super) struct CommitCheck {
    /// Errors, each with its ledger; None: the commit as a whole.
    pub(super) diagnostics: Vec<(Option<LedgerKey>, Diagnostic)>,
    pub(super) changes: Vec<AuditedChange>,
}

/// Batches that need an approval at the base of a range: removing them from pillion.yaml takes effect after it.
pub(super) struct BaseApprovals<'a> {
    base: Option<&'a DeployBranch<'a>>,
    views: RefCell<BTreeMap<Option<String>, ClusterView>>,
}

impl<'a> BaseApprovals<'a> {
    pub(super) fn of_base(base: Option<&'a DeployBranch<'a>>) -> Self {
        Self { base, views: RefCell::default() }
    }

    fn batches_of(&self, cluster: Option<&str>, name: &str) -> Vec<u32> {
        let Some(base) = self.base.filter(|base| base.clusters().contains(&cluster)) else {
            return Vec::new();
        };
        let mut views = self.views.borrow_mut();
        let view =
            views.entry(cluster.map(str::to_owned)).or_insert_with(|| base.unchecked_cluster_view(cluster).0);
        view.rollout_settings(name).0.approve
    }
}

/// The ledgers of a commit, by cluster and name.
type LedgersByKey = BTreeMap<LedgerKey, Ledger>;

/// Checks a commit; `old` is the deploy branch before it, None where there was none.
pub(super) fn check_commit(
    old: Option<&DeployBranch<'_>>,
    new: &DeployBranch<'_>,
    approve: &BaseApprovals<'_>,
) -> Result<CommitCheck, Error> {
    let mut checked = CommitCheck::default();
    if has_same_ledgers(old, new) {
        return Ok(checked);
    }
    let earlier = old.map(ledgers_at).unwrap_or_default();
    let views: Vec<(ClusterView, Vec<Diagnostic>)> =
        new.clusters().into_iter().map(|cluster| new.unchecked_cluster_view(cluster)).collect();
    let later: LedgersByKey = views.iter().flat_map(|(view, _)| ledgers_of_view(view)).collect();
    let moved = moved_ledgers(&earlier, &later);
    for (view, diagnostics) in &views {
        ClusterCheck { old, new, view, earlier: &earlier, approve }.check_ledgers(
            diagnostics,
            &moved,
            &mut checked,
        )?;
    }
    for key in &moved {
        let (commit, key) = (new.head.clone(), key.clone());
        checked.changes.push(AuditedChange {
            commit,
            key,
            action: LedgerAction::MoveLedger,
            approved_by: None,
        });
    }
    let is_kept = |name: &Arc<str>| moved.iter().any(|(_, kept)| kept == name);
    for (key, ledger) in earlier.iter().filter(|(key, _)| !later.contains_key(*key)) {
        let is_settled = is_kept(&key.1) || is_cluster_removed(new, old, key) || is_set_removed(&views, key);
        if is_in_use(ledger) && !is_settled {
            let file = new.configuration.ledger_path(key.0.as_deref(), &key.1).map(PathBuf::from);
            let remains = file.is_some_and(|file| new.rendered_files().kind(&file) == Some(FileKind::File));
            let error = if remains { unreadable_ledger } else { removed_ledger };
            checked.diagnostics.push((Some(key.clone()), error(&new.head, ledger)));
        }
    }
    if let Some(old) = old {
        checked.diagnostics.extend(check_mixed_commit(old, new, &views, &earlier, &checked.changes));
    }
    Ok(checked)
}

fn ledgers_at(deploy_branch: &DeployBranch<'_>) -> LedgersByKey {
    let views =
        deploy_branch.clusters().into_iter().map(|cluster| deploy_branch.unchecked_cluster_view(cluster).0);
    views.flat_map(|view| ledgers_of_view(&view).collect::<Vec<_>>()).collect()
}

fn ledgers_of_view(view: &ClusterView) -> impl Iterator<Item = (LedgerKey, Ledger)> {
    let all = view.prepared.ledgers.iter();
    all.map(|(name, ledger)| ((view.cluster.clone(), Arc::clone(name)), ledger.clone()))
}

/// Returns whether the files of all ledgers are unchanged.
pub(super) fn has_same_ledgers(old: Option<&DeployBranch<'_>>, new: &DeployBranch<'_>) -> bool {
    let places = |deploy_branch: &DeployBranch<'_>| {
        let folder = deploy_branch.configuration.layout.ledgers.as_ref();
        folder.map(|folder| normalize_path(&deploy_branch.configuration.layout.root.join(folder)))
    };
    let files = |deploy_branch: &DeployBranch<'_>, folder: &PathBuf| -> Vec<_> {
        let found = deploy_branch.rendered_files().entries_at_or_below(folder);
        found.into_iter().map(|(path, listed)| (path.to_owned(), listed.clone())).collect()
    };
    let Some(old) = old else { return places(new).is_none_or(|folder| files(new, &folder).is_empty()) };
    match (places(old), places(new)) {
        (None, None) => true,
        (Some(a), Some(b)) => a == b && old.clusters() == new.clusters() && files(old, &a) == files(new, &b),
        _ => false,
    }
}

/// Returns ledgers that were moved to the folder of another cluster, unchanged: clusters were named or renamed.
fn moved_ledgers(earlier: &LedgersByKey, later: &LedgersByKey) -> BTreeSet<LedgerKey> {
    let is_move = |key: &LedgerKey, ledger: &Ledger| {
        let text = emit(ledger);
        let is_gone = |old: &LedgerKey| old.1 == key.1 && !later.contains_key(old);
        !earlier.contains_key(key) && earlier.iter().any(|(old, e)| is_gone(old) && emit(e) == text)
    };
    later.iter().filter(|(key, ledger)| is_move(key, ledger)).map(|(key, _)| key.clone()).collect()
}

fn is_in_use(ledger: &Ledger) -> bool {
    ledger.released.is_some() || ledger.target.is_some() || !ledger.entries.is_empty()
}

/// Returns whether a cluster was removed from git with all of its manifests.
fn is_cluster_removed(
    new: &DeployBranch<'_>,
    old: Option<&DeployBranch<'_>>,
    (cluster, _): &LedgerKey,
) -> bool {
    let (Some(name), Some(old)) = (cluster, old) else { return false };
    let layout = &old.configuration.layout;
    let known = layout.clusters.iter().find(|c| c.name == *name);
    let Some(folder) = known.and_then(|cluster| cluster.folder.as_ref()) else { return false };
    !new.clusters().contains(&Some(&**name))
        && new.source_files().entries_at_or_below(&normalize_path(&layout.root.join(folder))).is_empty()
}

/// Returns whether a SidecarSet that Kruise injects was taken out of the cluster: its file and its ledger were removed.
fn is_set_removed(views: &[(ClusterView, Vec<Diagnostic>)], (cluster, name): &LedgerKey) -> bool {
    let view = views.iter().map(|(view, _)| view).find(|view| view.cluster == *cluster);
    view.is_some_and(|view| {
        let is_written = view.prepared.sets.iter().any(|set| *set.name == **name);
        view.prepared.renderer.is_kruise_runtime() && !is_written
    })
}

fn removed_ledger(commit: &Commit, ledger: &Ledger) -> Diagnostic {
    let message =
        format!("commit {} removes the ledger of `{}`, which is in use", commit.id.short(), ledger.name);
    Diagnostic::error(Code::LedgerNotPlanned, message)
        .because("without it the revisions of its workloads are unknown")
        .help("restore it; to remove a SidecarSet, delete its file and roll that out; if a cluster gets a name, move the ledger unchanged (`git mv`)")
}

fn unreadable_ledger(commit: &Commit, ledger: &Ledger) -> Diagnostic {
    let message =
        format!("commit {} leaves a ledger of `{}` that cannot be read", commit.id.short(), ledger.name);
    Diagnostic::error(Code::LedgerNotPlanned, message)
        .because("without it the revisions of its workloads are unknown")
        .help("restore the file as it was before this commit: only pillion writes ledgers")
}

/// One cluster, before and after a commit.
struct ClusterCheck<'a> {
    old: Option<&'a DeployBranch<'a>>,
    new: &'a DeployBranch<'a>,
    view: &'a ClusterView,
    earlier: &'a LedgersByKey,
    approve: &'a BaseApprovals<'a>,
}

impl ClusterCheck<'_> {
    fn check_ledgers(
        &self,
        diagnostics: &[Diagnostic],
        moved: &BTreeSet<LedgerKey>,
        checked: &mut CommitCheck,
    ) -> Result<(), Error> {
        // Without its manifests nothing can be checked.
        let is_unbuilt = |d: &&Diagnostic| matches!(d.code, Code::BuildFailed | Code::NoManifests);
        let unbuilt: Vec<Diagnostic> = diagnostics.iter().filter(is_unbuilt).cloned().collect();
        if !unbuilt.is_empty() {
            checked.diagnostics.extend(unbuilt.into_iter().map(|diagnostics| (None, diagnostics)));
            return Ok(());
        }
        for ledger in self.view.prepared.ledgers.values() {
            let key = (self.view.cluster.clone(), Arc::clone(&ledger.name));
            let old = self.earlier.get(&key);
            if moved.contains(&key) || old.is_some_and(|old| emit(old) == emit(ledger)) {
                continue;
            }
            // A missing ledger says nothing about the others.
            if let Some(error) = diagnostics.iter().find(|d| d.is_error() && d.code != Code::NoLedger) {
                checked.diagnostics.push((Some(key), unreadable_commit(&self.new.head, error.clone())));
                continue;
            }
            match self.audit_change(old, ledger)? {
                Ok(changed) => {
                    let diagnostics = self.missing_approval(&changed);
                    checked.diagnostics.extend(diagnostics.map(|diagnostics| (Some(key), diagnostics)));
                    checked.changes.push(changed);
                }
                Err(diagnostics) => checked.diagnostics.push((Some(key), *diagnostics)),
            }
        }
        Ok(())
    }

    fn audit_change(
        &self,
        old: Option<&Ledger>,
        ledger: &Ledger,
    ) -> Result<Result<AuditedChange, Box<Diagnostic>>, Error> {
        let (new, view) = (self.new, self.view);
        // What follows from a ledger depends on its previous state.
        let context = self.context_of(old, ledger, PlanRules::Current);
        let others: Vec<&Ledger> = view.prepared.ledgers.values().filter(|l| l.name != ledger.name).collect();
        let change = self.ledger_diff(&context, old, ledger, &others);
        // A commit that recounts says so, and keeps the target.
        let counts_anew =
            |old: &Ledger| ledger.scope.is_some() && old.scope != ledger.scope && old.target == ledger.target;
        let is_answer = |old: &Ledger| counts_anew(old) || change.ends_hold_of_gone(old);
        let missing =
            self.old.zip(old).filter(|(_, old)| !is_answer(old)).and_then(|(deploy_branch, old)| {
                missing_in_ledger(
                    view,
                    &TreeFiles::from_commit(new.source_files()),
                    Some(&deploy_branch.ledger_history()),
                    old,
                )
            });
        if let Some(missing) = missing {
            let why = format!("commit {} continues the rollout nevertheless", new.head.id.short());
            return Ok(Err(Box::new(missing.because(why))));
        }
        let found = match change.find_action(view)? {
            // An earlier version of pillion may have released it.
            None => {
                let original = self.context_of(old, ledger, PlanRules::Original);
                self.ledger_diff(&original, old, ledger, &others).find_action(view)?
            }
            found => found,
        };
        let Some(action) = found else {
            return Ok(Err(Box::new(change.to_diagnostic(new, view.cluster.as_deref()))));
        };
        if let Some(diagnostic) = self.init_changes_workloads(&context, &action) {
            return Ok(Err(Box::new(diagnostic)));
        }
        let approved_by = self.approved_by(&action, old, ledger);
        let key = (view.cluster.clone(), Arc::clone(&ledger.name));
        Ok(Ok(AuditedChange { commit: new.head.clone(), key, action, approved_by }))
    }

    /// Returns the context of a rollout that continues from a ledger, planned by some rules.
    fn context_of(&self, old: Option<&Ledger>, ledger: &Ledger, rules: PlanRules) -> RolloutContext<'_> {
        let (mut context, _) = self.view.rollout_context_for(old.unwrap_or(&Ledger::new(&ledger.name)));
        let approved = self.approve.batches_of(self.view.cluster.as_deref(), &ledger.name);
        context.settings.approval_batches.extend(approved);
        context.settings.rules = rules;
        context
    }

    fn ledger_diff<'c>(
        &'c self,
        context: &'c RolloutContext<'c>,
        old: Option<&'c Ledger>,
        ledger: &'c Ledger,
        others: &'c [&'c Ledger],
    ) -> LedgerDiff<'c> {
        LedgerDiff {
            context,
            old,
            new: ledger,
            other_ledgers: others,
            history: self.old.zip(old),
            cluster: self.view.cluster.as_deref(),
            today: format_day(self.new.head.time.seconds),
            history_error: RefCell::default(),
        }
    }

    /// Returns who has approved a batch.
    fn approved_by(&self, action: &LedgerAction, old: Option<&Ledger>, ledger: &Ledger) -> Option<String> {
        let (LedgerAction::Steps(steps), Some((deploy_branch, old))) = (action, self.old.zip(old)) else {
            return None;
        };
        let is_approved = |step: &AuditedStep| match step {
            AuditedStep::Batch(batch) if old.approvals.iter().any(|a| a.plan == batch.plan) => {
                Some(batch.plan.clone())
            }
            _ => None,
        };
        let plan = steps.iter().find_map(is_approved)?;
        let path = deploy_branch.configuration.ledger_path(self.view.cluster.as_deref(), &ledger.name);
        Some(find_approver(deploy_branch, path.as_deref(), &plan).unwrap_or_default())
    }

    /// Reports a batch without its approval.
    fn missing_approval(&self, changed: &AuditedChange) -> Option<Diagnostic> {
        let LedgerAction::Steps(steps) = &changed.action else { return None };
        let waits = |step: &AuditedStep| match step {
            AuditedStep::Batch(AuditedBatch { number, missing_approval: Some(_), .. }) => Some(*number),
            _ => None,
        };
        let number = steps.iter().find_map(waits)?;
        Some(self.unapproved_batch(changed, number))
    }

    fn unapproved_batch(&self, changed: &AuditedChange, number: u32) -> Diagnostic {
        let (name, option) = (&changed.key.1, cluster_option(changed.key.0.as_deref()));
        let (id, path) = (changed.commit.id.short(), self.ledger_path(name));
        let message = format!("commit {id} releases batch {number} of `{name}`, which is not approved");
        Diagnostic::error(Code::BatchNotApproved, message)
            .at(Span::whole_file(path))
            .because(format!(
                "`approve` in pillion.yaml requires an approval of batch {number}, and an approval is for exactly one plan"
            ))
            .help(format!(
                "undo the commit, then `pillion approve {name} {number}{option}`; if it is on the deploy branch already, `pillion rollback {name} --to {}{option}`",
                number - 1
            ))
    }

    /// Checks that the first ledger of a SidecarSet names what workloads have already, and adds no sidecar.
    fn init_changes_workloads(
        &self,
        context: &RolloutContext<'_>,
        action: &LedgerAction,
    ) -> Option<Diagnostic> {
        let (LedgerAction::Init(released @ Some(_)), Some(old)) = (action, self.old) else { return None };
        let name = &context.name;
        let has_revision = |key: &Arc<str>| {
            let workload = context.workloads.find(key);
            workload.is_some_and(|workload| {
                !context.workloads.change_to(workload, &None, released).diff.is_empty()
            })
        };
        let places = self.view.inputs_of_workloads().filter(|(key, _)| has_revision(key));
        let places = places.filter_map(|(_, input)| {
            let input = &self.view.inputs()[input].0;
            self.new.configuration.rendered_path(self.view.cluster.as_deref(), input)
        });
        let changes = |path: &String| {
            let file = |deploy_branch: &DeployBranch<'_>| {
                deploy_branch.rendered_files().file_id(Path::new(path)).copied()
            };
            file(old).is_some_and(|before| file(self.new) != Some(before))
        };
        let places: BTreeSet<String> = places.filter(changes).collect();
        let first = places.first()?;
        let message = format!(
            "commit {} creates the first ledger of `{name}` and also changes {}",
            self.new.head.id.short(),
            pluralize(places.len() as u64, "rendered file")
        );
        Some(
            Diagnostic::error(Code::LedgerNotPlanned, message)
                .at(Span::whole_file(first.clone()))
                .because("a first ledger records what workloads have already; all others would get the sidecar at once")
                .help(format!(
                    "`pillion init rollout` writes a ledger with nothing released; `pillion start {name}` starts to roll it out"
                )),
        )
    }

    fn ledger_path(&self, name: &str) -> String {
        self.new.configuration.ledger_path(self.view.cluster.as_deref(), name).unwrap_or_default()
    }
}
