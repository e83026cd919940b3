//! Checks the names of staged branches that the pattern of pillion.yaml produces.

use super::{ClusterView, DeployBranch};
use crate::diagnostics::{Code, Diagnostic, Span};
use crate::model::config::branch_names::invalid_branch_reason;

/// The SidecarSets with a ledger, each with its cluster.
pub(crate) struct StagedBranchNames<'a> {
    deploy_branch: &'a DeployBranch<'a>,
    all: Vec<(Option<&'a str>, &'a str)>,
}

impl<'a> StagedBranchNames<'a> {
    /// Collects every SidecarSet that has a ledger.
    pub(crate) fn of(deploy_branch: &'a DeployBranch<'a>, views: &'a [ClusterView]) -> Self {
        let names = |view: &'a ClusterView| {
            view.prepared.ledgers.keys().map(|name| (view.cluster.as_deref(), &**name)).collect::<Vec<_>>()
        };
        Self { deploy_branch, all: views.iter().flat_map(names).collect() }
    }

    /// Reports a SidecarSet with an invalid staged branch: git rejects the name, or another branch has it.
    pub(crate) fn name_error(&self, cluster: Option<&str>, sidecar_set: &str) -> Option<Diagnostic> {
        let branches = &self.deploy_branch.branches;
        let full = branches.staged_ref(cluster, sidecar_set);
        let name = full.strip_prefix("refs/heads/").unwrap_or(&full);
        if let Some(why) = invalid_branch_reason(name) {
            return Some(self.staged_pattern_error(
                format!("`{name}`, the staged branch of SidecarSet `{sidecar_set}`, is not a valid branch name: {why}"),
                "set another pattern, with a prefix or suffix: `staged: pillion/{deploy}/{sidecarSet}-rollout`",
            ));
        }
        let others = [
            (Some(branches.deploy_ref()), "the deploy branch"),
            (
                branches.source.as_ref().map(|source| format!("refs/heads/{source}")),
                "the branch of the sources",
            ),
            (
                branches.remote_default_branch(self.deploy_branch.repository),
                "the default branch of the remote",
            ),
        ];
        let other = others.into_iter().find(|(other, _)| other.as_ref() == Some(&full));
        if let Some((_, description)) = other {
            return Some(self.staged_pattern_error(
                format!("`{name}`, the staged branch of SidecarSet `{sidecar_set}`, is {description}"),
                "set another pattern, such as `staged: pillion/staged/{deploy}/{sidecarSet}`",
            ));
        }
        let is_own = |(c, set): &(Option<&str>, &str)| *c == cluster && *set == sidecar_set;
        let collides = |(c, set): &&(Option<&str>, &str)| {
            let other = branches.staged_ref(*c, set);
            let is_above = |a: &str, b: &str| b.strip_prefix(a).is_some_and(|rest| rest.starts_with('/'));
            other == full || is_above(&other, &full) || is_above(&full, &other)
        };
        let (c, set) = self.all.iter().filter(|one| !is_own(one)).find(collides)?;
        let of = c.map_or_else(String::new, |c| format!(" of cluster `{c}`"));
        Some(self.staged_pattern_error(
            format!(
                "`{name}`, the staged branch of SidecarSet `{sidecar_set}`, collides with that of `{set}`{of}"
            ),
            "separate the parts of the pattern with `/`: `staged: pillion/{deploy}/{cluster}/{sidecarSet}`",
        ))
    }

    fn staged_pattern_error(&self, message: String, help: &str) -> Diagnostic {
        Diagnostic::error(Code::InvalidConfiguration, message)
            .at(Span::whole_file(self.deploy_branch.config.to_string_lossy()))
            .field("git.staged")
            .help(help)
    }
}
