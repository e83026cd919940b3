//! What a watcher's listeners make of evaluations: a log and metrics in the long run, a text with `--once`.

use crate::diag::{Diagnostic, short};
use crate::git::Commit;
use crate::watch::judge::{Health as PodHealth, Verdict};
use crate::watch::metrics::{Decision, Metrics};
use crate::watch::report::{Item, Report, health};
use crate::watch::run::Audience;
use crate::watch::serve::Health;
use crate::watch::service::Listener;
use crate::watch::world::Stopped;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

/// Logs what is new, and counts everything.
pub(super) struct Heard {
    metrics: Arc<Metrics>,
    health: Arc<Health>,
    /// What was logged last of each rollout, so that a line is written when something changes.
    told: BTreeMap<(Option<String>, String), String>,
    /// Until when the soak of each workload lasts, by rollout, batch and workload.
    soaks: BTreeMap<(Option<String>, String, u32, Arc<str>), jiff::Timestamp>,
    refused: Vec<String>,
    /// Who tells people, and has to know that the live branch may have moved.
    heads: Vec<SyncSender<()>>,
}

impl Heard {
    pub(super) fn new(metrics: Arc<Metrics>, health: Arc<Health>, heads: Vec<SyncSender<()>>) -> Self {
        Self { metrics, health, told: BTreeMap::new(), soaks: BTreeMap::new(), refused: Vec::new(), heads }
    }

    fn hear_item(&mut self, item: &Item, moved: bool) {
        let key = (item.cluster.clone(), item.sidecar_set.clone());
        let series = self.metrics.of(item.cluster.as_deref(), &item.sidecar_set);
        series.stands_at(item.batch, item.batches);
        series.evaluated(decision(item, moved));
        if item.is_late {
            series.push_conflict();
        }
        if let Some(judgement) = &item.judgement {
            let own = judgement.workloads.iter().filter(|w| w.batch == item.batch);
            let sum = |count: fn(&crate::watch::judge::Judged) -> u32| own.clone().map(count).sum::<u32>();
            series.pods(sum(|w| w.wanted), sum(|w| w.carrying), sum(|w| w.ready));
            series.unavailable(judgement.unavailable);
            let missing = judgement.workloads.iter().filter(|w| w.health == PodHealth::NotApplied).count();
            series.not_applied(u32::try_from(missing).unwrap_or(u32::MAX));
            for judged in &judgement.workloads {
                let PodHealth::Soaking { until } = judged.health else { continue };
                let (cluster, set) = key.clone();
                let soak = (cluster, set, judged.batch, Arc::clone(&judged.key));
                // A soak that ends later than it did before has begun anew.
                if self.soaks.insert(soak, until).is_some_and(|before| before < until) {
                    series.soak_reset();
                }
            }
            if item.to.is_none() {
                self.soaks
                    .retain(|(cluster, set, ..), _| (cluster, set) != (&item.cluster, &item.sidecar_set));
            }
        }
        let cluster = item.cluster.as_deref();
        let reasons = item.reasons.join("; ");
        if let Some((commit, subject)) = &item.released {
            tracing::info!(cluster, sidecar_set = item.sidecar_set, commit = %commit, subject, reasons, "released");
        }
        let told = gist(item);
        if self.told.get(&key) != Some(&told) {
            tracing::info!(
                cluster,
                sidecar_set = item.sidecar_set,
                state = item.state,
                batch = item.batch,
                batches = item.batches,
                decision = item.decision,
                reasons,
                "evaluated"
            );
            self.told.insert(key, told);
        }
    }
}

/// What a line of the log is written for: not that seconds pass, nor that one more pod is ready.
fn gist(item: &Item) -> String {
    let mut text = format!("{} {} {}", item.state, item.decision, item.batch);
    let waits = item.judgement.as_ref().filter(|j| j.verdict == Verdict::Waiting);
    match waits {
        Some(judgement) => {
            for judged in &judgement.workloads {
                let _ = write!(text, " {} {}", judged.key, health(judged.health));
            }
        }
        None => text.push_str(&item.reasons.join("; ")),
    }
    text
}

/// What is counted: what was done, once, by whom it was done.
fn decision(item: &Item, moved: bool) -> Decision {
    let is_done = item.released.is_some() || item.is_proposed || !moved;
    match item.decision {
        "Advance" | "Pause" | "RollBack" if !is_done => Decision::Retry,
        "Advance" => match item.step {
            "Open" => Decision::Open,
            "Close" => Decision::Close,
            _ => Decision::Batch,
        },
        "Pause" => Decision::Pause,
        "RollBack" => Decision::RollBack,
        "Rest" => Decision::Rest,
        _ => Decision::Wait,
    }
}

impl Audience for Heard {
    fn hear(&mut self, report: &Report) {
        self.refused.clear();
        for item in &report.items {
            self.hear_item(item, report.moved);
        }
        self.health.completed();
        for heads in &self.heads {
            // Who is still busy has a word waiting already.
            let _ = heads.try_send(());
        }
    }

    fn hear_staged(&mut self, branch: &str, overwritten: &[Commit]) {
        let commits: Vec<String> =
            overwritten.iter().map(|c| format!("{} {}", c.id.short(), c.subject())).collect();
        let overwritten = commits.join("; ");
        tracing::info!(branch, overwritten, "the staged branch held something else, and is written anew");
    }

    fn hear_foreign(&mut self, wrong: &Diagnostic) {
        let help = wrong.help.as_deref();
        tracing::warn!(help, "the staged branch is left alone: {}", one_line(wrong));
    }

    fn hear_untold(&mut self, failure: &Stopped) {
        untold(failure, None);
    }
}

/// Logs that people could not be told of commits.
pub(super) fn untold(failure: &Stopped, again: Option<Duration>) {
    let again_in_seconds = again.map(|time| time.as_secs());
    tracing::warn!(again_in_seconds, "{failure}; it is tried again, and nothing waits for it");
}

impl Listener for Heard {
    fn refused(&mut self, wrong: Vec<Diagnostic>) {
        let told: Vec<String> = wrong.iter().filter(|d| d.is_error()).map(one_line).collect();
        if told != self.refused {
            for line in &told {
                tracing::error!("nothing is released: {line}");
            }
            self.refused = told;
        }
        // Git was read, and what it holds waits for a person: the watcher is well.
        self.health.completed();
    }

    fn failed(&mut self, failure: &Stopped, again: Duration) {
        tracing::warn!(again_in_seconds = again.as_secs(), "{failure}");
    }
}

/// `file:line:column: error[code]: message`.
fn one_line(diagnostic: &Diagnostic) -> String {
    short::render(diagnostic).trim().to_owned()
}

/// Keeps what `--once` prints.
#[derive(Default)]
pub(super) struct Once {
    released: Vec<Item>,
    staged: Vec<String>,
    /// Staged branches that hold commits of others.
    pub(super) foreign: Vec<Diagnostic>,
    /// Why people could not be told.
    pub(super) untold: Option<String>,
}

impl Audience for Once {
    fn hear(&mut self, report: &Report) {
        self.released.extend(report.items.iter().filter(|i| i.released.is_some()).cloned());
    }

    fn hear_staged(&mut self, branch: &str, _: &[Commit]) {
        self.staged.push(branch.to_owned());
    }

    fn hear_foreign(&mut self, wrong: &Diagnostic) {
        self.foreign.retain(|other| other.message != wrong.message);
        self.foreign.push(wrong.clone());
    }

    fn hear_untold(&mut self, failure: &Stopped) {
        self.untold = Some(failure.to_string());
    }
}

impl Once {
    /// Tells whether anything was released.
    pub(super) fn has_released(&self) -> bool {
        !self.released.is_empty()
    }

    /// Says what was released, and where every rollout stands.
    pub(super) fn text(&self, report: &Report, is_dry: bool) -> String {
        let mut text = String::new();
        for item in &self.released {
            if let Some((commit, subject)) = &item.released {
                let _ = writeln!(text, "{} {subject}", commit.short());
                for reason in &item.reasons {
                    let _ = writeln!(text, "  {reason}");
                }
            }
        }
        for branch in &self.staged {
            let _ = writeln!(text, "{branch}: written anew");
        }
        for item in &report.items {
            text.push_str(&standing(item, is_dry));
        }
        text
    }

    pub(super) fn json(&self, report: &Report) -> Value {
        let mut document = report.json();
        document["released"] = self
            .released
            .iter()
            .filter_map(|i| i.released.as_ref())
            .map(|(id, subject)| serde_json::json!({"commit": id.to_string(), "subject": subject}))
            .collect();
        document
    }
}

/// Where a rollout stands, in lines.
pub(super) fn standing(item: &Item, is_dry: bool) -> String {
    let mut text = String::new();
    let of = item.cluster.as_ref().map_or_else(String::new, |c| format!(" ({c})"));
    let at = match (&item.to, item.batch) {
        (None, _) => format!("{} is released", item.from),
        (Some(to), 0) => format!("{} -> {to}, open", item.from),
        (Some(to), n) => format!("{} -> {to}, batch {n} of {} is out", item.from, item.batches.max(n)),
    };
    let _ = writeln!(text, "{}{of}: {at}", item.sidecar_set);
    let what = match item.decision {
        "Advance" if is_dry => "would take the next step",
        "Pause" if is_dry => "would pause",
        "RollBack" if is_dry => "would roll back",
        "Advance" => "goes on",
        "Pause" => "pauses",
        "RollBack" => "rolls back",
        "Wait" => "waits",
        _ => "rests",
    };
    let mut reasons = item.reasons.iter();
    let first = reasons.next().map_or_else(String::new, |r| format!(": {r}"));
    let _ = writeln!(text, "  {what}{first}");
    for reason in reasons {
        let _ = writeln!(text, "  {reason}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A batch that a watcher wants to release.
    fn batch() -> Item {
        Item {
            cluster: None,
            sidecar_set: "log".to_owned(),
            state: "Open",
            from: "-".to_owned(),
            to: Some("log-1".to_owned()),
            batch: 1,
            batches: 2,
            decision: "Advance",
            step: "Batch",
            reasons: Vec::new(),
            changes_at: None,
            judgement: None,
            released: None,
            place: None,
            is_proposed: false,
            is_late: false,
        }
    }

    #[test]
    fn only_the_watcher_that_releases_a_batch_counts_it() {
        let commit = "4f1c0c6b0f3f4f0a8f5d8a3c1e7b6a5d4c3b2a19".parse().unwrap();
        let released = Item { released: Some((commit, "log: batch 2/2".to_owned())), ..batch() };
        assert_eq!(decision(&released, true), Decision::Batch);
        assert_eq!(decision(&Item { is_late: true, ..batch() }, true), Decision::Retry);
        assert_eq!(decision(&batch(), true), Decision::Retry, "another rollout was released first");
        assert_eq!(decision(&batch(), false), Decision::Batch, "it would be, without --dry-run");
        assert_eq!(decision(&Item { is_proposed: true, ..batch() }, false), Decision::Batch);
        assert_eq!(decision(&Item { decision: "Wait", ..batch() }, true), Decision::Wait);
    }
}
