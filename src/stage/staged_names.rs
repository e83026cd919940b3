//! May the staged branch of a SidecarSet have the name that the pattern of pillion.yaml gives it?

use super::{Live, Site};
use crate::diag::{Code, Diagnostic, Label};
use crate::model::git_settings::unusable;

/// The SidecarSets with a ledger, each with its cluster.
pub struct StagedNames<'a> {
    live: &'a Live<'a>,
    all: Vec<(Option<&'a str>, &'a str)>,
}

impl<'a> StagedNames<'a> {
    /// Takes every SidecarSet that has a ledger.
    pub fn of(live: &'a Live<'a>, sites: &'a [Site]) -> Self {
        let names = |site: &'a Site| {
            site.prepared.ledgers.keys().map(|name| (site.cluster.as_deref(), &**name)).collect::<Vec<_>>()
        };
        Self { live, all: sites.iter().flat_map(names).collect() }
    }

    /// Says why a SidecarSet cannot have its branch: git does not take the name, or it is that of another branch.
    pub fn wrong(&self, cluster: Option<&str>, sidecar_set: &str) -> Option<Diagnostic> {
        let branches = &self.live.branches;
        let full = branches.staged(cluster, sidecar_set);
        let name = full.strip_prefix("refs/heads/").unwrap_or(&full);
        if let Some(why) = unusable(name) {
            return Some(self.told(
                format!("`{name}`, the staged branch of SidecarSet `{sidecar_set}`, cannot be the name of a branch: {why}"),
                "write another pattern, with something before or behind the name: `staged: pillion/{live}/{sidecarSet}-rollout`",
            ));
        }
        let others = [
            (Some(branches.local()), "the live branch"),
            (
                branches.source.as_ref().map(|source| format!("refs/heads/{source}")),
                "the branch of the sources",
            ),
            (branches.default_of_remote(self.live.repository), "the default branch of the remote"),
        ];
        let other = others.into_iter().find(|(other, _)| other.as_ref() == Some(&full));
        if let Some((_, whose)) = other {
            return Some(self.told(
                format!("`{name}`, the staged branch of SidecarSet `{sidecar_set}`, is {whose}"),
                "write another pattern, such as `staged: pillion/staged/{live}/{sidecarSet}`",
            ));
        }
        let is_own = |(c, set): &(Option<&str>, &str)| *c == cluster && *set == sidecar_set;
        let collides = |(c, set): &&(Option<&str>, &str)| {
            let other = branches.staged(*c, set);
            let is_above = |a: &str, b: &str| b.strip_prefix(a).is_some_and(|rest| rest.starts_with('/'));
            other == full || is_above(&other, &full) || is_above(&full, &other)
        };
        let (c, set) = self.all.iter().filter(|one| !is_own(one)).find(collides)?;
        let of = c.map_or_else(String::new, |c| format!(" of cluster `{c}`"));
        Some(self.told(
            format!(
                "`{name}`, the staged branch of SidecarSet `{sidecar_set}`, collides with that of `{set}`{of}"
            ),
            "keep the parts of the pattern apart with `/`: `staged: pillion/{live}/{cluster}/{sidecarSet}`",
        ))
    }

    fn told(&self, message: String, help: &str) -> Diagnostic {
        let config = self.live.configuration.layout.root.join("pillion.yaml");
        Diagnostic::error(Code::InvalidConfiguration, message)
            .at(Label::whole_file(config.to_string_lossy()))
            .field("git.staged")
            .help(help)
    }
}
