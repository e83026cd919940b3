//! Defaults of the keys of pillion.yaml. Each is defined here once; docs/configuration.md shows them.

/// `git.deploy`.
pub const DEPLOY_BRANCH: &str = "main";

/// `git.remote`.
pub const REMOTE: &str = "origin";

/// `git.staged`.
pub const STAGED_PATTERN: &str = "pillion/{deploy}/{sidecarSet}";

/// `rollout.maxBatches`.
pub const MAX_BATCHES: u32 = 100;

/// `rollout.soak`, in seconds.
pub const SOAK_SECONDS: u64 = 120;

/// `rollout.progressDeadline`, in seconds.
pub const PROGRESS_DEADLINE_SECONDS: u64 = 600;

/// `rollout.syncTimeout`, in seconds.
pub const SYNC_TIMEOUT_SECONDS: u64 = 600;
