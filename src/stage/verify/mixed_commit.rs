//! Checks that a commit that changes a ledger changes only ledgers and the rendered files of the updated workloads.

use super::audited_change::{AuditedChange, LedgerKey};
use super::ledger_action::LedgerAction;
use crate::diagnostics::{Code, Diagnostic, Span};
use crate::model::ledger::Ledger;
use crate::stage::ledger_commit::changed_files;
use crate::stage::{ClusterView, DeployBranch};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// How many files are named.
const MAX_NAMED: usize = 5;

/// Reports what a commit changes besides the ledgers and their workloads.
pub(super) fn check_mixed_commit(
    old: &DeployBranch<'_>,
    new: &DeployBranch<'_>,
    views: &[(ClusterView, Vec<Diagnostic>)],
    earlier: &BTreeMap<LedgerKey, Ledger>,
    changed: &[AuditedChange],
) -> Option<(Option<LedgerKey>, Diagnostic)> {
    // The first ledgers may be committed together with other files.
    let is_free = |action: &LedgerAction| matches!(action, LedgerAction::Init(_) | LedgerAction::MoveLedger);
    let first = changed.iter().find(|changed| !is_free(&changed.action))?;
    if changed.iter().any(|changed| is_free(&changed.action)) {
        return None;
    }
    let mut own = BTreeSet::new();
    for AuditedChange { key, .. } in changed {
        let (cluster, name) = key;
        own.extend(new.configuration.ledger_path(cluster.as_deref(), name).map(PathBuf::from));
        let view = views.iter().find(|(view, _)| view.cluster == *cluster).map(|(view, _)| view);
        let ledgers = view.and_then(|view| Some((view, earlier.get(key)?, view.prepared.ledgers.get(name)?)));
        if let Some((view, before, after)) = ledgers {
            own.extend(changed_files(new, view, before, after).into_iter().map(|(_, place)| place.into()));
            // The first batch of a SidecarSet that Kruise injects adds its file.
            let list = new.configuration.file_list_path();
            own.extend(list.filter(|_| view.prepared.renderer.is_kruise_runtime()).map(PathBuf::from));
        }
    }
    let mut others: Vec<PathBuf> = old.rendered_files().differing_paths(new.rendered_files());
    others.retain(|path| !own.contains(path));
    if others.is_empty() && old.source.id != new.source.id && new.branches.source.is_some() {
        return Some((Some(first.key.clone()), mixed_sources(old, new, first)));
    }
    (!others.is_empty()).then(|| (Some(first.key.clone()), mixed_files(first, &others)))
}

fn mixed_files(changed: &AuditedChange, others: &[PathBuf]) -> Diagnostic {
    let (id, name) = (changed.commit.id.short(), &changed.key.1);
    let message = format!(
        "commit {id} is a step of `{name}` ({}), and also changes `{}`",
        changed.action,
        others[0].display()
    );
    let mut error = Diagnostic::error(Code::MixedCommit, message);
    for other in others.iter().take(MAX_NAMED) {
        error = error.at(Span::whole_file(other.to_string_lossy().into_owned()));
    }
    if others.len() > MAX_NAMED {
        error = error.because(format!("and {} more files", others.len() - MAX_NAMED));
    }
    with_mixed_commit_help(error)
}

fn mixed_sources(old: &DeployBranch<'_>, new: &DeployBranch<'_>, changed: &AuditedChange) -> Diagnostic {
    let message = format!(
        "commit {} is a step of `{}` ({}), and also moves the sources from {} to {}",
        changed.commit.id.short(),
        changed.key.1,
        changed.action,
        old.source.id.short(),
        new.source.id.short()
    );
    with_mixed_commit_help(Diagnostic::error(Code::MixedCommit, message))
}

fn with_mixed_commit_help(error: Diagnostic) -> Diagnostic {
    error
        .because("a step of a rollout is reviewed, judged and reverted alone: other changes would be released with it, unseen")
        .help("make two commits: the step, by a pillion command, and the other changes")
}
