//! Finds an open rollout in the history of its ledger, as it was when its workloads were counted.

use super::ScopeCheck;
use crate::git::{HistoryWalk, ObjectId, Repository};
use crate::model::ledger::{Ledger, RolloutScope};
use crate::rollout::CountedWorkloads;
use crate::stage::ledger_history::StoredLedger;
use crate::stage::{BranchConfig, ClusterView, DeployBranch};
use crate::workspace::{ManifestSource, TreeFiles};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

/// Where earlier states of a rollout are found.
#[derive(Clone, Copy)]
pub(crate) struct LedgerHistory<'a> {
    /// The repository.
    pub(crate) repository: &'a Repository,
    /// Names of branches.
    pub(crate) branches: &'a BranchConfig,
    /// The path of pillion.yaml in the sources.
    pub(crate) config: &'a Path,
    /// The newest commit with ledgers.
    pub(crate) head: ObjectId,
    /// Manifests that are not plain files.
    pub(crate) manifests: &'a ManifestSource,
}

/// The rollout when its scope was recorded.
pub(super) struct PastRollout<'r> {
    pub(super) deploy_branch: DeployBranch<'r>,
    pub(super) view: ClusterView,
    pub(super) keys: BTreeSet<Arc<str>>,
    pub(super) held: BTreeSet<Arc<str>>,
}

/// What the history shows.
pub(super) enum PastScope<'r> {
    /// The workloads of the scope.
    Same(Box<PastRollout<'r>>),
    /// Other workloads: the manifests cannot be built again.
    Different(Box<PastRollout<'r>>),
    /// There is no such commit, or it cannot be read.
    NotFound,
}

impl<'a> LedgerHistory<'a> {
    /// Finds the rollout at the time when its scope was recorded.
    pub(super) fn find_scope(&self, case: &ScopeCheck<'_>) -> PastScope<'a> {
        let is_scope = |ledger: Option<&Ledger>| ledger.is_some_and(|l| l.scope.as_ref() == Some(case.scope));
        let written = self.oldest_commit_with(case.view, case.files, &case.ledger.name, is_scope);
        let Some(then) = written.and_then(|commit| self.read_rollout(commit, case.view, &case.ledger.name))
        else {
            return PastScope::NotFound;
        };
        let is_same = RolloutScope::digest_of(then.keys.iter().map(|k| &**k)) == case.scope.digest;
        if is_same { PastScope::Same(Box::new(then)) } else { PastScope::Different(Box::new(then)) }
    }

    /// Returns the oldest commit of those at the end of the history with a matching ledger.
    pub(super) fn oldest_commit_with(
        &self,
        view: &ClusterView,
        now: &TreeFiles<'_>,
        name: &str,
        is_so: impl Fn(Option<&Ledger>) -> bool,
    ) -> Option<ObjectId> {
        let path = view.configuration.ledger_path(view.cluster.as_deref(), name)?;
        let path = now.path_in_tree(Path::new(&path)).to_string_lossy().into_owned();
        let mut found = None;
        for commit in self.repository.log(self.head, Some(&path), HistoryWalk::FirstParent).ok()? {
            // A shallow clone ends here.
            let Ok(commit) = commit else { break };
            let is_match = match StoredLedger::read(self.repository, commit.tree, &path) {
                // A ledger that was broken and restored says nothing about the time in between.
                Err(_) | Ok(StoredLedger::Unreadable) => continue,
                Ok(StoredLedger::Missing) => is_so(None),
                Ok(StoredLedger::Valid(ledger)) => is_so(Some(&ledger)),
            };
            if !is_match {
                break;
            }
            found = Some(commit.id);
        }
        found
    }

    pub(super) fn read_rollout(
        &self,
        commit: ObjectId,
        view: &ClusterView,
        name: &str,
    ) -> Option<PastRollout<'a>> {
        // The file may have been in a folder above, also with its usual name.
        let name_of_config = self.config.file_name().unwrap_or_default();
        let above = self.config.ancestors().skip(1);
        let above =
            above.flat_map(|folder| [folder.join(name_of_config), folder.join(Path::new("pillion.yaml"))]);
        let places = std::iter::once(self.config.to_owned()).chain(above);
        let mut found = places.filter_map(|config| {
            let at = (String::new(), commit);
            DeployBranch::read_at(self.repository, self.branches, &config, at).ok()?.0
        });
        let deploy_branch = found.next()?.with_manifests(self.manifests);
        let view = deploy_branch.unchecked_cluster_view(view.cluster.as_deref()).0;
        let ledger = view.prepared.ledgers.get(name)?.clone();
        let counted = CountedWorkloads::of(&view.rollout_context(&ledger.name).0, &ledger);
        Some(PastRollout { deploy_branch, view, keys: counted.keys, held: counted.held })
    }
}
