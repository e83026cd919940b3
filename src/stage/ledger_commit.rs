//! The commit of a command that changes one ledger, on top of the deploy branch.

use super::message::ledger_trailers;
use super::{ClusterView, CommitAction, DeployBranch, Error, StagedCommit};
use crate::diagnostics::Diagnostic;
use crate::git::{NewCommit, Signature, Signing, trailer};
use crate::model::ledger::{Ledger, emit};
use crate::model::workload::sidecar_set_key;
use std::collections::BTreeSet;
use std::sync::Arc;

/// The change of a ledger, and the message of its commit.
#[derive(Debug)]
pub(crate) struct LedgerCommit<'a> {
    /// The ledger afterwards.
    pub(crate) after: &'a Ledger,
    /// `Pillion-Action`.
    pub(crate) action: CommitAction,
    /// What was done, for people; the name of the SidecarSet is prepended.
    pub(crate) subject: String,
    /// Why.
    pub(crate) body: String,
    /// Further trailers.
    pub(crate) trailers: Vec<(&'static str, String)>,
}

/// Creates the commit of a change on top of the deploy branch, and moves no ref. Date and author follow with
/// [`RepoContext::release`](super::RepoContext::release). An error in a file creates no commit.
///
/// # Errors
/// When a file cannot be written, or git fails.
pub(crate) fn commit_ledger(
    deploy_branch: &DeployBranch<'_>,
    view: &ClusterView,
    change: &LedgerCommit<'_>,
    signing: &Signing<'_>,
) -> Result<(Option<StagedCommit>, Vec<Diagnostic>), Error> {
    let before = view.ledger(&change.after.name);
    let path = deploy_branch.configuration.ledger_path(view.cluster.as_deref(), &change.after.name);
    let mut editor = deploy_branch.repository.editor(Some(deploy_branch.head.tree))?;
    editor.put(&path.ok_or(Error::NoLedgers)?, emit(change.after).as_bytes())?;
    let mut diagnostics = Vec::new();
    let renderer = view.prepared.renderer_with(change.after, None);
    for (input, path) in changed_files(deploy_branch, view, &before, change.after) {
        let text = &view.inputs()[input].1;
        let file = view.render_input(input, &renderer);
        // A SidecarSet that is not deployed has no file.
        if !file.is_dropped {
            editor.put(&path, file.text(text).as_bytes())?;
        }
        diagnostics.extend(file.diagnostics.into_iter().filter(Diagnostic::is_error));
    }
    if !diagnostics.is_empty() {
        return Ok((None, diagnostics));
    }
    let mut all = ledger_trailers(deploy_branch, change.action, change.after);
    all.extend(change.trailers.iter().cloned());
    let message =
        trailer::format_message(&format!("{}: {}", change.after.name, change.subject), &change.body, &all);
    let who = Signature::new(&deploy_branch.branches.identity, deploy_branch.head.time);
    let (tree, parents) = (editor.write()?, &[deploy_branch.head.id]);
    let new = NewCommit { tree, parents, message: &message, author: who, committer: who };
    let id = editor.commit(&new, signing)?;
    editor.finish()?;
    Ok((Some(StagedCommit { id, tree, message }), diagnostics))
}

/// Returns the rendered files of workloads with changed entries, and of those without an entry where the released
/// revision changes: index of the input, and path.
pub(super) fn changed_files(
    deploy_branch: &DeployBranch<'_>,
    view: &ClusterView,
    before: &Ledger,
    after: &Ledger,
) -> BTreeSet<(usize, String)> {
    let differs = |key: &Arc<str>| before.entries.get(key) != after.entries.get(key);
    let keys: BTreeSet<&Arc<str>> =
        before.entries.keys().chain(after.entries.keys()).filter(|k| differs(k)).collect();
    let is_other = |key: &Arc<str>| before.released != after.released && !after.entries.contains_key(key);
    // Where Kruise injects the sidecars, the SidecarSet shows a pause, too.
    let is_kruise = view.prepared.renderer.is_kruise_runtime();
    let own = is_kruise.then(|| sidecar_set_key(&after.name));
    let moves = |key: &Arc<str>| match &own {
        Some(own) => **key == **own,
        None => keys.contains(key) || is_other(key),
    };
    let inputs = view.inputs_of_workloads().filter(|(key, _)| moves(key)).map(|(_, input)| input);
    let path = |input: usize| {
        Some((
            input,
            deploy_branch.configuration.rendered_path(view.cluster.as_deref(), &view.inputs()[input].0)?,
        ))
    };
    inputs.filter_map(path).collect()
}
