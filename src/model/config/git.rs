//! `git` of pillion.yaml: branches, remote, provider and the identity of commits.

use crate::model::defaults::{DEPLOY_BRANCH, IDENTITY_EMAIL, IDENTITY_NAME, REMOTE, STAGED_PATTERN};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

/// Branches, remote and identity.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub(crate) struct GitConfig {
    /// Deploy branch: the branch that the cluster follows. Not below `pillion/`.
    #[schemars(extend("default" = DEPLOY_BRANCH))]
    pub(crate) deploy: Option<String>,
    /// Branch of the sources, in the two-branch layout. Without it, `deploy`.
    pub(crate) source: Option<String>,
    /// Name of the staged branches, below `pillion/`; `{deploy}`, `{sidecarSet}` and `{cluster}` are placeholders.
    #[schemars(extend("default" = STAGED_PATTERN))]
    pub(crate) staged: Option<String>,
    /// Name of the remote.
    #[schemars(extend("default" = REMOTE))]
    pub(crate) remote: Option<String>,
    /// Git provider of the remote, for `--pull-request`. Without it, the one that the name of the host tells.
    pub(crate) provider: Option<GitProvider>,
    /// Author and committer of every commit.
    #[schemars(extend("default" = default_identity()))]
    pub(crate) identity: Option<CommitIdentity>,
}

/// A git provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum GitProvider {
    /// github.com and GitHub Enterprise.
    #[serde(rename = "github")]
    GitHub,
    /// gitlab.com and GitLab's own servers.
    #[serde(rename = "gitlab")]
    GitLab,
    /// Gitea.
    Gitea,
    /// Forgejo, such as codeberg.org.
    Forgejo,
    /// Bitbucket Cloud.
    Bitbucket,
    /// Bitbucket Data Center and Server.
    BitbucketDataCenter,
}

impl GitProvider {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::GitHub, Self::GitLab, Self::Gitea, Self::Forgejo, Self::Bitbucket, Self::BitbucketDataCenter];

    /// Returns its name in pillion.yaml.
    pub fn name(self) -> &'static str {
        match self {
            Self::GitHub => "github",
            Self::GitLab => "gitlab",
            Self::Gitea => "gitea",
            Self::Forgejo => "forgejo",
            Self::Bitbucket => "bitbucket",
            Self::BitbucketDataCenter => "bitbucket-data-center",
        }
    }
}

/// Author and committer of commits.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct CommitIdentity {
    /// Name.
    pub(crate) name: String,
    /// Address.
    pub(crate) email: String,
}

fn default_identity() -> Value {
    json!({"name": IDENTITY_NAME, "email": IDENTITY_EMAIL})
}
