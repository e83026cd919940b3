//! A commit that changes a ledger changes nothing but ledgers, and the rendered files of the workloads it moves.

use super::deed::Deed;
use super::judge::{Changed, Key};
use crate::diag::{Code, Diagnostic, Label};
use crate::git::Id;
use crate::model::ledger::Ledger;
use crate::read::Listing;
use crate::stage::change::changed_files;
use crate::stage::{Live, Site};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Files that are named.
const NAMED: usize = 5;

/// Says what a commit changes besides the ledgers and their workloads.
pub(super) fn not_alone(
    old: &Live<'_>,
    new: &Live<'_>,
    sites: &[(Site, Vec<Diagnostic>)],
    earlier: &BTreeMap<Key, Ledger>,
    changed: &[Changed],
) -> Option<(Option<Key>, Diagnostic)> {
    // Whoever begins with rollouts commits other things, too.
    let is_free = |deed: &Deed| matches!(deed, Deed::Initial(_) | Deed::Move);
    let first = changed.iter().find(|changed| !is_free(&changed.deed))?;
    if changed.iter().any(|changed| is_free(&changed.deed)) {
        return None;
    }
    let mut own = BTreeSet::new();
    for Changed { key, .. } in changed {
        let (cluster, name) = key;
        own.extend(new.configuration.ledger_place(cluster.as_deref(), name).map(PathBuf::from));
        let site = sites.iter().find(|(site, _)| site.cluster == *cluster).map(|(site, _)| site);
        let ledgers = site.and_then(|site| Some((site, earlier.get(key)?, site.prepared.ledgers.get(name)?)));
        if let Some((site, before, after)) = ledgers {
            own.extend(changed_files(new, site, before, after).into_iter().map(|(_, place)| place.into()));
        }
    }
    let mut others: Vec<PathBuf> = differing(old.rendered(), new.rendered());
    others.retain(|path| !own.contains(path));
    if others.is_empty() && old.source.id != new.source.id && new.branches.source.is_some() {
        return Some((Some(first.key.clone()), other_source(old, new, first)));
    }
    (!others.is_empty()).then(|| (Some(first.key.clone()), told(first, &others)))
}

/// The files that are not in both listings, or not the same.
fn differing(old: &Listing<'_, Id>, new: &Listing<'_, Id>) -> Vec<PathBuf> {
    let all = |listing: &Listing<'_, Id>| -> BTreeMap<PathBuf, _> {
        let found = listing.below_or_at(Path::new("")).into_iter();
        found.map(|(path, listed)| (path.to_owned(), listed.clone())).collect()
    };
    let (old, new) = (all(old), all(new));
    let paths: BTreeSet<&PathBuf> = old.keys().chain(new.keys()).collect();
    paths.into_iter().filter(|path| old.get(*path) != new.get(*path)).cloned().collect()
}

fn told(changed: &Changed, others: &[PathBuf]) -> Diagnostic {
    let (id, name) = (changed.commit.id.short(), &changed.key.1);
    let message = format!(
        "commit {id} is a step of `{name}` ({}), and changes `{}`, too",
        changed.deed,
        others[0].display()
    );
    let mut error = Diagnostic::error(Code::MixedCommit, message);
    for other in others.iter().take(NAMED) {
        error = error.at(Label::whole_file(other.to_string_lossy().into_owned()));
    }
    if others.len() > NAMED {
        error = error.because(format!("and {} more files", others.len() - NAMED));
    }
    explained(error)
}

fn other_source(old: &Live<'_>, new: &Live<'_>, changed: &Changed) -> Diagnostic {
    let message = format!(
        "commit {} is a step of `{}` ({}), and moves the sources from {} to {}, too",
        changed.commit.id.short(),
        changed.key.1,
        changed.deed,
        old.source.id.short(),
        new.source.id.short()
    );
    explained(Diagnostic::error(Code::MixedCommit, message))
}

fn explained(error: Diagnostic) -> Diagnostic {
    error
        .because("a step of a rollout is read, judged and taken back alone: what rides along would be released with it, unseen")
        .help("make two commits: one of the step, by the command of pillion, and one of the rest")
}
