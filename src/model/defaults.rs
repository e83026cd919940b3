//! Defaults, each defined here once. The JSON Schema of pillion.yaml and docs/configuration.md take those of its keys
//! from here; a default of an enum is marked in the enum.

/// `sources`.
pub(crate) const SOURCES: [&str; 1] = ["."];

/// `git.deploy`.
pub(crate) const DEPLOY_BRANCH: &str = "main";

/// `git.remote`.
pub(crate) const REMOTE: &str = "origin";

/// `git.staged`.
pub(crate) const STAGED_PATTERN: &str = "pillion/{deploy}/{sidecarSet}";

/// `git.identity.name`.
pub(crate) const IDENTITY_NAME: &str = "pillion";

/// `git.identity.email`.
pub(crate) const IDENTITY_EMAIL: &str = "pillion@localhost";

/// `rollout.steps`: pods and percentages.
pub(crate) const STEPS: [&str; 4] = ["1", "10%", "50%", "100%"];

/// `rollout.maxBatches`.
pub(crate) const MAX_BATCHES: u32 = 100;

/// `rollout.unknownPerBatch`.
pub(crate) const UNKNOWN_PER_BATCH: &str = "10%";

/// `rollout.soak`, in seconds.
pub(crate) const SOAK_SECONDS: u64 = 120;

/// `rollout.progressDeadline`, in seconds.
pub(crate) const PROGRESS_DEADLINE_SECONDS: u64 = 600;

/// `rollout.syncTimeout`, in seconds.
pub(crate) const SYNC_TIMEOUT_SECONDS: u64 = 600;

/// How long the pull of an image may fail if the message does not say that it is permanent, in seconds.
#[cfg(feature = "watch")]
pub(crate) const PULL_GRACE_SECONDS: u64 = 60;

/// How long pods may be refused (quota, admission) before it is a failure, in seconds.
#[cfg(feature = "watch")]
pub(crate) const REFUSAL_GRACE_SECONDS: u64 = 60;

/// Restarts from which a container counts as crashing.
#[cfg(feature = "watch")]
pub(crate) const CRASH_RESTARTS: u32 = 3;

/// Timeout of one request to a git provider, in seconds.
#[cfg(feature = "watch")]
pub(crate) const PROVIDER_TIMEOUT_SECONDS: u64 = 30;

/// The reason of a pause, a rollback or a hold that a person gives no reason for.
pub(crate) const REASON: &str = "no reason given";

/// `revisionHistoryLimit` of a SidecarSet, as in Kruise.
pub(crate) const REVISION_HISTORY_LIMIT: u32 = 10;

/// The label that names the team of a workload, as Kubecost has it.
pub(crate) const TEAM_LABEL: &str = "team";
