//! The first ledgers: at what is rendered now.

use super::{Failure, Live, Site, check_own_render};
use crate::diag::{Code, Diagnostic};
use crate::git::Edit;
use crate::model::file_list::{self, slashes};
use crate::model::ledger::{Ledger, Revision, emit};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

/// What the workloads carry of SidecarSets that have no ledger yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Released {
    /// What the files hold.
    Current,
    /// Nothing: the first rollout brings it.
    Nothing,
}

/// What one cluster gets.
#[derive(Debug, Default)]
pub struct Initial {
    /// The new ledgers.
    pub ledgers: Vec<Ledger>,
    /// Files of the live branch, ledgers and rendered ones.
    pub edits: BTreeMap<String, Edit>,
}

/// Makes a ledger for every SidecarSet of a site that has none, and takes it up. `released` is what a person says;
/// else the rendered files tell, and where there are none yet they are made too.
///
/// # Errors
/// When pillion.yaml names no place for ledgers, or git fails.
pub fn init(
    live: &Live<'_>,
    site: &mut Site,
    released: Option<Released>,
) -> Result<(Initial, Vec<Diagnostic>), Failure> {
    let known = &site.prepared.ledgers;
    let missing: Vec<_> =
        site.prepared.sets.iter().filter(|s| !known.contains_key(s.name.as_str())).map(Arc::clone).collect();
    let is_first = known.is_empty();
    if missing.is_empty() {
        return Ok((Initial::default(), Vec::new()));
    }
    let list = live.configuration.list_place();
    let is_rendered = list.as_ref().is_some_and(|place| live.rendered().file(Path::new(place)).is_some());
    let guess = match list {
        None if !is_first => Released::Nothing,
        _ => Released::Current,
    };
    let choose = |set: &Arc<_>, released| ledger(&Revision::of(set), released);
    let mut ledgers: Vec<Ledger> = missing.iter().map(|s| choose(s, released.unwrap_or(guess))).collect();
    ledgers.iter().for_each(|ledger| site.prepared.take_ledger(ledger.clone()));
    let mut diagnostics = Vec::new();
    if is_rendered {
        let mut differences = strays(live, site)?;
        for (set, chosen) in missing.iter().zip(&mut ledgers).filter(|_| released.is_none()) {
            if differences.is_empty() {
                break;
            }
            site.prepared.take_ledger(choose(set, Released::Nothing));
            let fewer = strays(live, site)?;
            if fewer.len() < differences.len() {
                (differences, *chosen) = (fewer, choose(set, Released::Nothing));
            } else {
                site.prepared.take_ledger(chosen.clone());
            }
        }
        diagnostics = differences;
    }
    let mut edits = BTreeMap::new();
    for ledger in &ledgers {
        let place = live.configuration.ledger_place(site.cluster.as_deref(), &ledger.name);
        edits.insert(place.ok_or(Failure::NoLedgers)?, Edit::Put(emit(ledger).into_bytes()));
    }
    if !is_rendered && diagnostics.is_empty() {
        let (files, wrong) = rendered(live, site);
        edits.extend(files);
        diagnostics.extend(wrong);
    }
    Ok((Initial { ledgers, edits }, diagnostics))
}

fn ledger(revision: &Revision, released: Released) -> Ledger {
    let mut ledger = Ledger::new(&revision.set.name);
    if released == Released::Current {
        ledger.released = Some(Arc::clone(&revision.name));
        ledger.revisions.insert(Arc::clone(&revision.name), revision.clone());
    }
    ledger
}

/// What of the rendered files does not follow from the ledgers.
fn strays(live: &Live<'_>, site: &Site) -> Result<Vec<Diagnostic>, Failure> {
    let mut found = check_own_render(live, site)?;
    found.retain(|d| d.code == Code::LiveNotRendered);
    Ok(found)
}

/// Every rendered file, and the list of them; nothing with ledgers only.
fn rendered(live: &Live<'_>, site: &Site) -> (BTreeMap<String, Edit>, Vec<Diagnostic>) {
    let (mut edits, mut diagnostics) = (BTreeMap::new(), Vec::new());
    let mut names = BTreeSet::new();
    for (number, (input, text)) in site.inputs().iter().enumerate() {
        let Some(place) = live.configuration.rendered_place(site.cluster.as_deref(), input) else { continue };
        let file = site.render_one(number, &site.prepared.renderer);
        diagnostics.extend(file.diagnostics.into_iter().filter(Diagnostic::is_error));
        if !file.is_dropped {
            edits.insert(place, Edit::Put(file.new.unwrap_or_else(|| text.to_string()).into_bytes()));
            names.insert(slashes(&input.relative));
        }
    }
    if let Some(place) = live.configuration.list_place().filter(|_| !names.is_empty()) {
        edits.insert(place, Edit::Put(file_list::emit(&names).into_bytes()));
    }
    (edits, diagnostics)
}
