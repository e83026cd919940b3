//! The rollouts of one deploy head: clusters, ledgers and plans, read once until the head moves.

use super::environment::WatchError;
use super::expected_state::{ExpectedState, expected_state, superseded_state};
use crate::diagnostics::{Code, Diagnostic};
use crate::git::ObjectId;
use crate::model::config::RolloutConfig;
use crate::model::config::freeze::FreezeWindows;
use crate::rollout::{ExternalState, RolloutPlan};
use crate::stage::{
    ClusterView, DeployBranch, StagedBranch, check_drift, find_batch_revert, reverted_batch,
    rewritten_branch, rollout_start_time, unmatched_selector, wave_block_reason,
};
use std::cell::OnceCell;

/// The rollouts of a deploy head.
pub(crate) struct RolloutSet<'l, 's> {
    /// The head.
    pub(crate) deploy: &'l DeployBranch<'l>,
    /// Its rollouts, by cluster and name.
    pub(crate) rollouts: Vec<WatchedRollout<'s>>,
}

/// One watched rollout.
pub(crate) struct WatchedRollout<'s> {
    /// The cluster, if pillion.yaml names clusters.
    pub(crate) cluster: Option<String>,
    /// Its cluster.
    pub(crate) view: &'s ClusterView,
    /// Its plan.
    pub(crate) rollout: RolloutPlan<'s>,
    /// Rollout settings of pillion.yaml and the SidecarSet.
    pub(crate) settings: RolloutConfig,
    /// Freeze windows.
    pub(crate) windows: FreezeWindows,
    /// Why it cannot start yet: an earlier wave.
    pub(crate) not_before: Option<String>,
    /// Why it cannot start, whatever the settings say: its selector matches nothing.
    pub(crate) start_refusal: Option<String>,
    /// When it started, where a gate needs it; seconds since 1970.
    pub(crate) started: Option<i64>,
    /// The deploy head.
    pub(crate) head: ObjectId,
    expected: OnceCell<ExpectedStates>,
}

/// What is expected of the workloads of a rollout.
pub(super) struct ExpectedStates {
    /// Workloads at the target.
    pub(super) current: ExpectedState,
    /// Workloads at a revision that is no longer the target.
    pub(super) superseded: ExpectedState,
}

impl<'s> WatchedRollout<'s> {
    /// Returns the plan of a paused rollout as if it were resumed.
    pub(super) fn plan_resumed(&self) -> Option<RolloutPlan<'s>> {
        let is_paused = self.rollout.ledger.paused.is_some();
        is_paused.then(|| self.view.plan_resumed_rollout(self.name(), self.rollout.external.clone()).0)
    }

    /// Returns what its ledger says about the pods of updated workloads: it is the same until the head moves.
    pub(super) fn expected(&self) -> &ExpectedStates {
        self.expected.get_or_init(|| {
            let (context, ledger) = (&self.rollout.context, &self.rollout.ledger);
            ExpectedStates {
                current: expected_state(context, ledger),
                superseded: superseded_state(context, ledger),
            }
        })
    }

    /// Returns the name of the SidecarSet.
    pub(crate) fn name(&self) -> &str {
        self.rollout.name()
    }

    /// Plans again if something outside of git has changed.
    pub(super) fn replan(&mut self, external_state: ExternalState) {
        if self.rollout.external != external_state {
            self.rollout.replan(external_state);
        }
    }
}

/// Reads every cluster of a deploy head. If the diagnostics include an error, nothing may be released.
///
/// # Errors
/// When git fails.
pub(crate) fn read_cluster_views(
    deploy: &DeployBranch<'_>,
    cluster: Option<&str>,
) -> Result<(Vec<ClusterView>, Vec<Diagnostic>), WatchError> {
    let (mut views, mut diagnostics) = (Vec::new(), Vec::new());
    for name in deploy.clusters().into_iter().filter(|c| cluster.is_none() || *c == cluster) {
        let (view, found) = deploy.cluster_view(name);
        let is_valid = !found.iter().any(Diagnostic::is_error);
        diagnostics.extend(found.into_iter().filter(|d| d.code != Code::NotStagedYet));
        if is_valid {
            diagnostics.extend(check_drift(deploy, &view)?);
        }
        views.push(view);
    }
    Ok((views, diagnostics))
}

/// Plans every rollout of the clusters. If the diagnostics include an error, nothing may be released.
///
/// # Errors
/// When git fails.
pub(crate) fn plan_rollouts<'l, 's>(
    deploy: &'l DeployBranch<'l>,
    views: &'s [ClusterView],
    names: &[String],
) -> Result<(RolloutSet<'l, 's>, Vec<Diagnostic>), WatchError> {
    let (mut watched, mut diagnostics) = (Vec::new(), unknown_names(views, names));
    let all: Vec<&ClusterView> = views.iter().collect();
    for view in views {
        let cluster = view.cluster.as_deref();
        for name in
            view.prepared.ledgers.keys().filter(|n| names.is_empty() || names.iter().any(|x| **x == ***n))
        {
            let source = view.source_revision(name).map(|r| r.name);
            let external_state = ExternalState {
                wave_reason: wave_block_reason(deploy, cluster, name, &source),
                ..ExternalState::default()
            };
            let (rollout, found) = view.plan_rollout(name, external_state);
            diagnostics.extend(found);
            diagnostics.extend(rollout.too_many_batches().filter(|_| !rollout.has_started()));
            let by_hand = find_batch_revert(deploy, cluster, &rollout.ledger)?;
            diagnostics.extend(by_hand.map(|found| reverted_batch(deploy, cluster, &rollout.ledger, &found)));
            let branch = StagedBranch::find(deploy, cluster, name);
            diagnostics.extend(rewritten_branch(deploy, &branch, &branch.examine_refs(deploy, name)?));
            let settings = view.rollout_settings(name).0;
            let started = rollout_start_time(deploy, &rollout.context, &rollout.ledger)?;
            // Errors in them were reported when pillion.yaml was read.
            let windows = FreezeWindows::parse(&settings.freeze).0;
            watched.push(WatchedRollout {
                cluster: cluster.map(str::to_owned),
                view,
                not_before: rollout.external.wave_reason.clone(),
                rollout,
                settings,
                windows,
                start_refusal: unmatched_selector(view, &all, name)
                    .map(|diagnostic| diagnostic_line(&diagnostic)),
                started,
                head: deploy.head.id,
                expected: OnceCell::new(),
            });
        }
    }
    Ok((RolloutSet { deploy, rollouts: watched }, diagnostics))
}

/// Formats a diagnostic as one line.
fn diagnostic_line(diagnostic: &Diagnostic) -> String {
    let at = diagnostic.spans.first().map_or_else(String::new, |at| format!(" ({at})"));
    let help = diagnostic.help.as_deref().map_or_else(String::new, |help| format!(": {help}"));
    format!("{}{at}{help}", diagnostic.message)
}

/// Reports names of SidecarSets without a ledger: their rollout would never come.
fn unknown_names(views: &[ClusterView], names: &[String]) -> Vec<Diagnostic> {
    let has_ledger = |name: &String| views.iter().any(|s| s.prepared.ledgers.contains_key(name.as_str()));
    let message = |name: &String| {
        let message = format!("SidecarSet `{name}` has no ledger, so it has no rollout to watch");
        Diagnostic::error(Code::NoLedger, message).help("`pillion status` lists SidecarSets that have one")
    };
    names.iter().filter(|name| !has_ledger(name)).map(message).collect()
}
