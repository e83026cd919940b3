//! What the deploy branch does meanwhile: a plan of the working folder is not what is released next where the two differ.

use crate::cli::error::CommandError;
use crate::cli::reporter::Reporter;
use crate::cli::repository::RepositoryPaths;
use crate::git::Repository;
use crate::model::ledger::{Ledger, decode, emit};
use crate::read::{Disk, FileSource, list_tree, normalize_path};
use crate::rollout::report::revision_with_images;
use crate::stage::{BranchConfig, BranchPosition};
use crate::workspace::{Configuration, Layout, read_ledgers};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Says that the working folder is planned, how it differs from the deploy branch as it was fetched last, and which
/// rollouts are paused, roll back or are at another step there. Returns the SidecarSets that have a ledger only there, of
/// which it says so.
pub(super) fn report_deploy_branch(
    repository: &Repository,
    configuration: &Configuration,
    reporter: &Reporter,
) -> Result<BTreeSet<Arc<str>>, CommandError> {
    let mut only_deployed = BTreeSet::new();
    let branches = BranchConfig::from_repository(&configuration.repository)?;
    let within = repository.working_folder();
    let root = normalize_path(&within.join(&configuration.layout.root));
    let config = normalize_path(&within.join(configuration.path()));
    let paths = RepositoryPaths::of(&configuration.layout, &config, &branches);
    let Some(position) = BranchPosition::find(repository, &branches, &paths.all)? else {
        reporter.print_state(&format!(
            "planned from your working folder; there is no branch `{}` here (`git.deploy` of pillion.yaml)",
            branches.deploy
        ));
        return Ok(only_deployed);
    };
    reporter.print_state(&format!("planned from your working folder; the deploy branch is {position}"));
    if branches.source.is_some() {
        // The ledgers of the deploy branch are planned with.
        return Ok(only_deployed);
    }
    let tree = repository.commit(position.deploy_head())?.tree;
    let files = list_tree(repository, tree)?;
    let deployed = Layout { root, ..configuration.layout.clone() };
    for cluster in deployed.cluster_names() {
        let here = ledgers_of(&configuration.layout, &Disk, cluster);
        for (name, ledger) in ledgers_of(&deployed, &files, cluster) {
            if let Some(state) = describe_difference(&ledger, here.get(&name), position.has_remote()) {
                let of = cluster.map_or_else(String::new, |cluster| format!(" ({cluster})"));
                reporter.print_state(&format!("{name}{of} on {}: {state}", position.deploy_place()));
            }
            if !here.contains_key(&name) {
                only_deployed.insert(name.into());
            }
        }
    }
    Ok(only_deployed)
}

/// Returns what a plan of the working folder does not show of a rollout; None: nothing.
fn describe_difference(deployed: &Ledger, here: Option<&Ledger>, has_remote: bool) -> Option<String> {
    if let Some(paused) = &deployed.paused {
        return Some(format!("paused at batch {}: {}", paused.batch, paused.reason));
    }
    if here.is_some_and(|here| emit(here) == emit(deployed)) {
        return None;
    }
    let own = match here {
        Some(_) => "your ledger says something else",
        None if has_remote => "your folder does not have this ledger: `git pull`",
        None => "your folder does not have this ledger",
    };
    Some(match &deployed.target {
        Some(target) if *target == deployed.released => {
            format!("rolling back to {}", revision_with_images(target, None))
        }
        Some(target) => {
            let released = match deployed.last_batch() {
                0 => "has started, no batch is released".to_owned(),
                batch => format!("is at batch {batch}"),
            };
            let target = revision_with_images(target, None);
            format!("the rollout to {target} {released}; {own}")
        }
        None if deployed.released.is_none() => format!("nothing is released; {own}"),
        None => {
            let released = revision_with_images(&deployed.released, None);
            format!("{released} is released; {own}")
        }
    })
}

/// Reads the ledgers of a cluster that can be read.
fn ledgers_of(layout: &Layout, files: &dyn FileSource, cluster: Option<&str>) -> BTreeMap<String, Ledger> {
    let (collected, _) = read_ledgers(layout, files, cluster);
    let decoded = collected.ledgers.iter().filter_map(|(document, path)| decode(document, path).0);
    decoded.map(|ledger| (ledger.name.to_string(), ledger)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_says_how_far_the_deploy_branch_is() {
        let revision = |name: &str| Some(name.into());
        let none = Ledger::default();
        let released = Ledger { released: revision("log-1"), ..Ledger::default() };
        let started = Ledger { target: Some(revision("log-2")), ..released.clone() };
        assert_eq!(describe_difference(&released, Some(&released), true), None);
        let other = Ledger { released: revision("log-0"), ..Ledger::default() };
        let texts = [&none, &released, &started]
            .map(|deployed| describe_difference(deployed, Some(&other), true).unwrap_or_default());
        assert_eq!(
            texts,
            [
                "nothing is released; your ledger says something else",
                "log-1 is released; your ledger says something else",
                "the rollout to log-2 has started, no batch is released; your ledger says something else",
            ]
        );
        assert_eq!(
            describe_difference(&released, None, true).as_deref(),
            Some("log-1 is released; your folder does not have this ledger: `git pull`")
        );
    }
}
