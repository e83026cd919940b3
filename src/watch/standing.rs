//! What one live head holds, read once: clusters, rollouts and their plans, until the head moves.

use super::freeze::Windows;
use super::world::Stopped;
use crate::diag::{Code, Diagnostic};
use crate::git::Id;
use crate::model::repository::Rollout as Settings;
use crate::plan::{Circumstances, steps};
use crate::stage::{
    Live, Rollout, Site, StagedBranch, check_own_render, not_before, reverted, reverted_batch, rewritten,
    selects_nothing, too_many_batches,
};

/// What a live head holds.
pub struct Standing<'l, 's> {
    /// The head.
    pub live: &'l Live<'l>,
    /// Its rollouts, by cluster and name.
    pub watched: Vec<Watched<'s>>,
}

/// One rollout that is watched.
pub struct Watched<'s> {
    /// The cluster, where pillion.yaml names some.
    pub cluster: Option<String>,
    /// Its plan.
    pub rollout: Rollout<'s>,
    /// What pillion.yaml and the SidecarSet say of rollouts.
    pub settings: Settings,
    /// Times in which nothing is released.
    pub windows: Windows,
    /// Why it must not open yet.
    pub not_before: Option<String>,
    /// Why it must not open, whatever the settings say: its selector selects nothing.
    pub refused: Option<String>,
    /// The live head.
    pub head: Id,
    given: Circumstances,
}

impl<'s> Watched<'s> {
    /// Returns the plan of a paused rollout as if it were resumed.
    pub(super) fn resumed(&self) -> Option<Rollout<'s>> {
        let is_paused = self.rollout.ledger.paused.is_some();
        is_paused.then(|| Rollout::resumed(self.rollout.site, self.name(), &self.given).0)
    }

    /// Returns the name of the SidecarSet.
    pub fn name(&self) -> &str {
        self.rollout.name()
    }

    /// Plans anew where something outside of git is another than before.
    pub(super) fn plan_with(&mut self, given: Circumstances) {
        let is_same = self.given.not_before == given.not_before
            && self.given.waiting == given.waiting
            && self.given.unhealthy == given.unhealthy
            && self.given.observed == given.observed
            && self.given.today == given.today;
        if !is_same {
            let limit = self.rollout.course.settings.max_batches.saturating_add(2) as usize;
            self.rollout.today.clone_from(&given.today);
            self.rollout.steps = steps(&self.rollout.course, &self.rollout.ledger, &given, limit);
            self.given = given;
        }
    }
}

/// Reads every cluster of a live head. With an error among the diagnostics nothing may be released.
///
/// # Errors
/// When git fails.
pub fn sites(live: &Live<'_>, cluster: Option<&str>) -> Result<(Vec<Site>, Vec<Diagnostic>), Stopped> {
    let (mut found, mut diagnostics) = (Vec::new(), Vec::new());
    for name in live.clusters().into_iter().filter(|c| cluster.is_none() || *c == cluster) {
        let (site, wrong) = live.site(name);
        let is_sound = !wrong.iter().any(Diagnostic::is_error);
        diagnostics.extend(wrong.into_iter().filter(|d| d.code != Code::NotStagedYet));
        if is_sound {
            diagnostics.extend(check_own_render(live, &site)?);
        }
        found.push(site);
    }
    Ok((found, diagnostics))
}

/// Plans every rollout of the sites. With an error among the diagnostics nothing may be released.
///
/// # Errors
/// When git fails.
pub fn standing<'l, 's>(
    live: &'l Live<'l>,
    sites: &'s [Site],
    names: &[String],
) -> Result<(Standing<'l, 's>, Vec<Diagnostic>), Stopped> {
    let (mut watched, mut diagnostics) = (Vec::new(), unknown(sites, names));
    let all: Vec<&Site> = sites.iter().collect();
    for site in sites {
        let cluster = site.cluster.as_deref();
        for name in
            site.prepared.ledgers.keys().filter(|n| names.is_empty() || names.iter().any(|x| **x == ***n))
        {
            let source = site.source(name).map(|r| r.name);
            let given = Circumstances {
                not_before: not_before(live, cluster, name, &source),
                ..Circumstances::default()
            };
            let (rollout, wrong) = Rollout::of(site, name, &given);
            diagnostics.extend(wrong);
            diagnostics.extend(too_many_batches(&rollout));
            let by_hand = reverted(live, cluster, &rollout.ledger)?;
            diagnostics.extend(by_hand.map(|found| reverted_batch(live, cluster, &rollout.ledger, &found)));
            let branch = StagedBranch::find(live, cluster, name);
            diagnostics.extend(rewritten(live, &branch, &branch.examine(live, name)?));
            let settings = site.settings(name).0;
            // What is wrong with them was said when pillion.yaml was read.
            let windows = Windows::read(&settings.freeze).0;
            watched.push(Watched {
                cluster: cluster.map(str::to_owned),
                rollout,
                settings,
                windows,
                not_before: given.not_before.clone(),
                refused: selects_nothing(site, &all, name).map(|wrong| told(&wrong)),
                head: live.head.id,
                given,
            });
        }
    }
    Ok((Standing { live, watched }, diagnostics))
}

/// A finding in one line.
fn told(wrong: &Diagnostic) -> String {
    let at = wrong
        .labels
        .first()
        .map_or_else(String::new, |at| format!(" ({}:{}:{})", at.file, at.line, at.column));
    let help = wrong.help.as_deref().map_or_else(String::new, |help| format!(": {help}"));
    format!("{}{at}{help}", wrong.message)
}

/// Names of SidecarSets that have no ledger: somebody waits for a rollout that does not come.
fn unknown(sites: &[Site], names: &[String]) -> Vec<Diagnostic> {
    let has_ledger = |name: &String| sites.iter().any(|s| s.prepared.ledgers.contains_key(name.as_str()));
    let message = |name: &String| {
        let message = format!("SidecarSet `{name}` has no ledger, so there is no rollout of it to watch");
        Diagnostic::error(Code::NoLedger, message).help("`pillion status` shows those that have one")
    };
    names.iter().filter(|name| !has_ledger(name)).map(message).collect()
}
