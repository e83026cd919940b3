//! The commit of a verb: one ledger, changed by a person or because of pods, on top of what is live.

use super::message::trailers;
use super::{Failure, Live, Site, Staged};
use crate::diag::Diagnostic;
use crate::git::{NewCommit, Signature, Signing, trailer};
use crate::model::ledger::{Ledger, emit};
use std::collections::BTreeSet;
use std::sync::Arc;

/// What a verb does to a ledger, and what its commit says.
#[derive(Debug)]
pub struct Change<'a> {
    /// The ledger afterwards.
    pub after: &'a Ledger,
    /// `Pillion-Action`: Pause, Resume, RollBack, Approve, Hold, Init.
    pub action: &'a str,
    /// What was done, for people; the SidecarSet's name is put before it.
    pub subject: String,
    /// Why.
    pub body: String,
    /// Further trailers.
    pub trailers: Vec<(&'static str, String)>,
}

/// Makes the commit of a change on top of what is live, and moves no ref. It says nothing of when and by whom: that
/// comes with [`Opened::release`](super::Opened::release). There is none when something is wrong with a file.
///
/// # Errors
/// When a file cannot be written, or git fails.
pub fn commit(
    live: &Live<'_>,
    site: &Site,
    change: &Change<'_>,
    signing: &Signing<'_>,
) -> Result<(Option<Staged>, Vec<Diagnostic>), Failure> {
    let before = site.ledger(&change.after.name);
    let place = live.configuration.ledger_place(site.cluster.as_deref(), &change.after.name);
    let mut editor = live.repository.editor(Some(live.head.tree))?;
    editor.put(&place.ok_or(Failure::NoLedgers)?, emit(change.after).as_bytes())?;
    let mut diagnostics = Vec::new();
    let renderer = site.prepared.renderer_with(change.after, None);
    for (input, place) in changed_files(live, site, &before, change.after) {
        let text = &site.inputs()[input].1;
        let file = site.render_one(input, &renderer);
        diagnostics.extend(file.diagnostics.into_iter().filter(Diagnostic::is_error));
        editor.put(&place, file.new.as_deref().unwrap_or(text).as_bytes())?;
    }
    if !diagnostics.is_empty() {
        return Ok((None, diagnostics));
    }
    let mut all = trailers(live, change.action, change.after);
    all.extend(change.trailers.iter().cloned());
    let message = trailer::message(&format!("{}: {}", change.after.name, change.subject), &change.body, &all);
    let who = Signature::new(&live.branches.identity, live.head.time);
    let (tree, parents) = (editor.write()?, &[live.head.id]);
    let new = NewCommit { tree, parents, message: &message, author: who, committer: who };
    let id = editor.commit(&new, signing)?;
    editor.finish()?;
    Ok((Some(Staged { id, tree, message }), diagnostics))
}

/// The rendered files of workloads whose lines differ, or that have none where another revision is released: number of
/// the input, and place.
pub(super) fn changed_files(
    live: &Live<'_>,
    site: &Site,
    before: &Ledger,
    after: &Ledger,
) -> BTreeSet<(usize, String)> {
    let differs = |key: &Arc<str>| before.lines.get(key) != after.lines.get(key);
    let keys: BTreeSet<&Arc<str>> =
        before.lines.keys().chain(after.lines.keys()).filter(|k| differs(k)).collect();
    let is_other = |key: &Arc<str>| before.released != after.released && !after.lines.contains_key(key);
    let moves = |key: &Arc<str>| keys.contains(key) || is_other(key);
    let inputs = site.inputs_of_workloads().filter(|(key, _)| moves(key)).map(|(_, input)| input);
    let place = |input: usize| {
        Some((input, live.configuration.rendered_place(site.cluster.as_deref(), &site.inputs()[input].0)?))
    };
    inputs.filter_map(place).collect()
}
