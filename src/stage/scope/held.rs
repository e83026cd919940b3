//! Are the workloads that people hold still there? A hold ends when its workload leaves git, and not when a slip hides
//! the manifest: it would move once it is found again.

use super::{Past, Tree, unaccounted};
use crate::diag::{Code, Diagnostic, counted};
use crate::model::ledger::{Ledger, Line};
use crate::plan::cluster_option;
use crate::stage::Site;
use crate::stage::present::Presence;
use crate::stage::site::held_by_people;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

/// Says which workloads that people hold are missing, where no commit has removed them.
pub(super) fn missing(
    site: &Site,
    now: &Tree<'_>,
    past: Option<&Past<'_>>,
    ledger: &Ledger,
) -> Option<Diagnostic> {
    let held = held_by_people(ledger, |_| true);
    let stand = site.standing(&held);
    let gone = held.into_iter().filter(|key| !stand.contains(key));
    let missing: Vec<_> = gone.flat_map(|key| why_missing(site, now, past, ledger, key)).collect();
    (!missing.is_empty()).then(|| told(site, ledger, &missing))
}

/// The workload again, with the file that still holds it, where no commit has removed it.
fn why_missing(
    site: &Site,
    now: &Tree<'_>,
    past: Option<&Past<'_>>,
    ledger: &Ledger,
    key: Arc<str>,
) -> Vec<(Arc<str>, Option<PathBuf>)> {
    let only = BTreeSet::from([Arc::clone(&key)]);
    let line = ledger.lines.get(&key);
    let is_same_hold = |other: &Line| line.is_some_and(|l| (&l.by, &l.since) == (&other.by, &other.since));
    let is_held = |ledger: Option<&Ledger>| ledger.and_then(|l| l.lines.get(&key)).is_some_and(is_same_hold);
    let then = past.and_then(|past| {
        let written = past.written(site, now, &ledger.name, is_held)?;
        past.read(written, site, &ledger.name)
    });
    if let Some(then) = then.filter(|then| then.site.inputs_of_workloads().any(|(k, _)| *k == key)) {
        return unaccounted(site, now, &then, &only);
    }
    // What was there when it was held cannot be made again: only what is there now can tell.
    let holders = Presence::find(now, &site.configuration.layout, &only);
    match holders.of(&key).first() {
        Some(holder) => vec![(key, Some(holder.file.clone()))],
        None if site.is_built => vec![(key, None)],
        None => Vec::new(),
    }
}

fn told(site: &Site, ledger: &Ledger, missing: &[(Arc<str>, Option<PathBuf>)]) -> Diagnostic {
    let (name, number) = (&ledger.name, missing.len() as u64);
    let message = format!(
        "SidecarSet `{name}` holds {} that {} missing",
        counted(number, "workload"),
        if number == 1 { "is" } else { "are" }
    );
    let error = Diagnostic::error(Code::WorkloadsMissing, message);
    let error = super::named(error, missing, site.configuration.ledger_place(site.cluster.as_deref(), name));
    let cluster = cluster_option(site.cluster.as_deref());
    let key = missing.first().map_or("WORKLOAD", |(key, _)| key);
    error.help(format!(
        "{}; where it is gone on purpose, `pillion hold {key} --sidecarset {name} --off{cluster}` ends the hold",
        super::where_to_look(site)
    ))
}
