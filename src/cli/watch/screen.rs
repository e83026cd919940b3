//! `pillion status --watch`: every rollout with its pods and what it waits for, as it changes.

use super::heard::standing;
use super::{ClusterArgs, NoStart, observers, settle, tell};
use crate::cli::report::Reporter;
use crate::cli::repository::{self, RepositoryArgs};
use crate::cli::{Common, DONE, FINDINGS, data_to_stdout};
use crate::diag::plain;
use crate::git::Commit;
use crate::watch::evaluate::{NotApplied, Options};
use crate::watch::outside::Outside;
use crate::watch::report::{Report, health};
use crate::watch::run::{Audience, Turn, Watching, Work};
use crate::watch::world::{Stopped, World as _};
use crate::write;
use std::fmt::Write as _;
use std::io::IsTerminal as _;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

/// How often the live branch is fetched.
const INTERVAL: Duration = Duration::from_secs(5);

/// How long the clusters are waited for at first.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is to be shown.
pub(in crate::cli) struct Shown<'a> {
    /// SidecarSets; empty: all.
    pub(in crate::cli) names: &'a [String],
    pub(in crate::cli) clusters: &'a ClusterArgs,
    pub(in crate::cli) repository: &'a RepositoryArgs,
    pub(in crate::cli) is_json: bool,
}

/// Shows rollouts until somebody ends it; once, where nobody sees the screen.
pub(in crate::cli) fn follow(
    shown: &Shown<'_>,
    common: &Common,
    reporter: &mut Reporter,
) -> Result<u8, write::Failure> {
    match show(shown, common, reporter) {
        Ok(code) => code,
        Err(no_start) => tell(no_start, reporter),
    }
}

fn show(
    shown: &Shown<'_>,
    common: &Common,
    reporter: &mut Reporter,
) -> Result<Result<u8, write::Failure>, NoStart> {
    let Shown { names, clusters, repository, is_json } = *shown;
    let opened = repository::open(repository, common, reporter)?.ok_or(NoStart::Told(crate::cli::USAGE))?;
    let (sender, wakes) = sync_channel(1);
    let (_runtime, observers) = observers(&opened, clusters, repository, &sender, reporter)?;
    settle(&observers, &wakes, PATIENCE);
    let mut outside = Outside::new(observers, crate::cli::clock::now);
    let watching = Watching {
        names: names.to_vec(),
        cluster: repository.cluster.clone(),
        options: Options { dry_run: true, ..Options::default() },
        ..Watching::default()
    };
    let is_screen = std::io::stdout().is_terminal() && !is_json;
    let (mut alarms, mut sound) = (NotApplied::new(), None);
    loop {
        let mut work = Work {
            opened: &opened,
            world: &mut outside,
            not_applied: &mut alarms,
            sound: &mut sound,
            audience: &mut Silent,
        };
        let turn = watching.head(&mut work, &mut |_, _| false);
        let text = match &turn {
            Ok(Turn::Settled(report)) if is_json => format!("{}\n", report.json()),
            Ok(Turn::Settled(report)) => table(report),
            Ok(Turn::Refused(wrong)) => {
                reporter.add(wrong.iter().filter(|d| d.is_error()).cloned());
                return Ok(Ok(FINDINGS));
            }
            Err(Stopped::Git(failure)) if !is_screen => return Ok(Ok(repository::refuse(failure, reporter))),
            Err(failure) => format!("{failure}\n"),
        };
        // Home, and everything behind it away: what was there is written over without a flicker.
        let text = plain::lines(&text);
        let text = if is_screen { format!("\u{1b}[H\u{1b}[J{text}").into() } else { text };
        if let Err(failure) = data_to_stdout(&text) {
            return Ok(Err(failure));
        }
        if !is_screen {
            return Ok(Ok(DONE));
        }
        let _ = wakes.recv_timeout(INTERVAL);
        // What cannot be fetched is tried again; what is shown says which head it is of.
        let _ = outside.fetch(&opened);
    }
}

/// Nobody is told of evaluations: the screen shows them.
struct Silent;

impl Audience for Silent {
    fn hear(&mut self, _: &Report) {}

    fn hear_staged(&mut self, _: &str, _: &[Commit]) {}

    fn hear_untold(&mut self, _: &Stopped) {}
}

/// Every rollout, and below it the workloads of the batch that is out.
fn table(report: &Report) -> String {
    let mut text = String::new();
    let clock =
        report.now.map_or_else(|| "the cluster's time is not known".to_owned(), |now| now.to_string());
    let _ = writeln!(text, "{} at {clock}\n", report.head.short());
    for item in &report.items {
        text.push_str(&standing(item, true));
        let Some(judgement) = item.judgement.as_ref().filter(|j| !j.workloads.is_empty()) else { continue };
        let own: Vec<_> = judgement.workloads.iter().filter(|w| w.batch == item.batch).collect();
        let width = own.iter().map(|w| w.key.len()).max().unwrap_or(0).max("WORKLOAD".len());
        let _ = writeln!(text, "  {:width$}  WANTED  CARRYING  READY  HEALTH", "WORKLOAD");
        for w in own {
            let why = w.reasons.first().map_or_else(String::new, |r| format!(": {}", plain::line(r)));
            let _ = writeln!(
                text,
                "  {:width$}  {:>6}  {:>8}  {:>5}  {}{why}",
                w.key,
                w.wanted,
                w.carrying,
                w.ready,
                health(w.health)
            );
        }
        text.push('\n');
    }
    text
}
