//! Rollouts in git: turns rollout steps into trees, messages and commits.

mod adoption;
mod branch_position;
mod branch_render;
mod branches;
mod cluster_view;
mod commit_action;
mod commit_stack;
mod deploy_branch;
mod drift;
mod error;
mod initial_ledgers;
mod joint_changes;
mod ledger_commit;
mod ledger_history;
mod message;
mod missing_workloads;
mod override_checks;
mod preconditions;
#[cfg_attr(
    not(feature = "watch"),
    expect(dead_code, reason = "only a build with `watch` opens pull requests")
)]
mod proposal;
mod rendered_locator;
mod repo_context;
mod set_replacement;
mod sidecar_costs;
mod source_branch;
mod staged_branch;
mod staged_branch_names;
mod summary;
mod template_changes;
mod unmatched_selector;
mod waves;

/// Verifies that ledgers were changed only by pillion commands.
pub mod verify;

pub(crate) use adoption::{compare_set, unknown_sets};
pub(crate) use branch_position::{BranchPosition, UnpublishedFile, describe_uncommitted};
pub(crate) use branch_render::{BranchRender, render_branch};
pub use branches::BranchConfig;
pub use cluster_view::ClusterView;
pub(crate) use cluster_view::settings_of_set;
pub(crate) use commit_action::CommitAction;
pub(crate) use commit_stack::{CommitStack, StagedCommit, build_stack};
pub use deploy_branch::{DeployBranch, no_deploy_branch, read_configuration};
pub use drift::check_drift;
pub(crate) use drift::unmanaged_manifest;
pub use error::Error;
pub(crate) use initial_ledgers::{
    InitialLedgers, InitialRevision, RevisionEvidence, init_edits, init_ledgers,
};
pub(crate) use ledger_commit::{LedgerCommit, commit_ledger};
pub(crate) use ledger_history::{
    BatchRevert, find_batch_revert, ledger_after_batch, ledger_before_completion, rollout_start_time,
};
pub(crate) use message::source_trailers_of;
pub(crate) use missing_workloads::{LedgerHistory, missing_after_change, missing_workloads};
pub(crate) use override_checks::{unreached_in_clusters, unreached_overrides};
pub use preconditions::{foreign_commits, reverted_batch, rewritten_branch, sidecar_removal};
pub use proposal::ProposalBranch;
#[cfg(feature = "watch")]
pub(crate) use proposal::{describe_proposal, merging_effect};
pub(crate) use rendered_locator::RenderedLocator;
pub use repo_context::{PushOutcome, RepoContext};
pub(crate) use source_branch::{RenderHistory, SourceBranch};
pub(crate) use staged_branch::{BranchContents, BranchUpdate, RefContents, StagedBranch, examine_ref};
pub(crate) use staged_branch_names::StagedBranchNames;
pub(crate) use summary::{change_text, versions_text};
pub(crate) use unmatched_selector::unmatched_selector;
pub(crate) use waves::wave_block_reason;
