//! `pillion status --watch`: every rollout with its pods and what it waits for, as it changes.

use super::{ClusterArgs, start_observers, wait_for_clusters};
use crate::cli::error::CommandError;
use crate::cli::format::watch::status_table;
use crate::cli::reporter::Reporter;
use crate::cli::repository::{self, RepositoryArgs};
use crate::cli::{EXIT_SUCCESS, GlobalArgs, OutputFormat, print_data};
use crate::diagnostics::escape;
use crate::git::Commit;
use crate::watch::environment::{Environment as _, WatchError};
use crate::watch::evaluation::{Options, OutOfSyncSince};
use crate::watch::events::EventSink;
use crate::watch::real_environment::RealEnvironment;
use crate::watch::report::EvaluationReport;
use crate::watch::watch_loop::{Iteration, WatchContext, Watcher};
use std::io::IsTerminal as _;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

/// How often the deploy branch is fetched.
const FETCH_INTERVAL: Duration = Duration::from_secs(5);

/// How long the clusters are waited for at first.
const FIRST_VIEW_TIMEOUT: Duration = Duration::from_secs(10);

/// What is to be view.
pub(in crate::cli) struct StatusWatch<'a> {
    /// SidecarSets; empty: all.
    pub(in crate::cli) names: &'a [String],
    pub(in crate::cli) clusters: &'a ClusterArgs,
    pub(in crate::cli) repository: &'a RepositoryArgs,
    pub(in crate::cli) output: OutputFormat,
}

/// Shows rollouts until the user ends it; once, if the output is not a terminal.
pub(in crate::cli) fn watch_status(
    view: &StatusWatch<'_>,
    common: &GlobalArgs,
    reporter: &mut Reporter,
) -> Result<u8, CommandError> {
    let StatusWatch { names, clusters, repository, output } = *view;
    let is_json = output != OutputFormat::Text;
    let opened = repository::open(repository, common, reporter)?;
    let (sender, wakes) = sync_channel(1);
    let (_runtime, observers) = start_observers(&opened, clusters, repository, &sender, reporter)?;
    wait_for_clusters(&observers, &wakes, FIRST_VIEW_TIMEOUT);
    let mut outside = RealEnvironment::new(observers, crate::cli::clock::now);
    let watching = Watcher {
        names: names.to_vec(),
        cluster: repository.cluster.clone(),
        options: Options { dry_run: true, ..Options::default() },
        ..Watcher::default()
    };
    let is_screen = std::io::stdout().is_terminal() && !is_json;
    let (mut alarms, mut sound) = (OutOfSyncSince::new(), None);
    loop {
        let mut work = WatchContext {
            repo: &opened,
            environment: &mut outside,
            out_of_sync_since: &mut alarms,
            verified_head: &mut sound,
            events: &mut NoEventSink,
        };
        let turn = watching.watch_head(&mut work, &mut |_, _| false);
        let text = match &turn {
            Ok(Iteration::Evaluated(report)) if is_json => output.convert(format!("{}\n", report.to_json())),
            Ok(Iteration::Evaluated(report)) => status_table(report),
            Ok(Iteration::Invalid(diagnostics)) => {
                let errors = diagnostics.iter().filter(|d| d.is_error()).cloned();
                return Err(CommandError::from_diagnostics(errors));
            }
            Err(WatchError::Git(_)) if !is_screen => return turn.map(|_| EXIT_SUCCESS).map_err(Into::into),
            Err(failure) => format!("{failure}\n"),
        };
        // Home, and everything behind it away: what was there is written over without a flicker.
        let text = escape::lines(&text);
        let text = if is_screen { format!("\u{1b}[H\u{1b}[J{text}").into() } else { text };
        print_data(&text)?;
        if !is_screen {
            return Ok(EXIT_SUCCESS);
        }
        let _ = wakes.recv_timeout(FETCH_INTERVAL);
        // What cannot be fetched is tried again; what is view says which head it is of.
        let _ = outside.fetch(&opened);
    }
}

/// Discards the events of evaluations: the screen shows them.
struct NoEventSink;

impl EventSink for NoEventSink {
    fn on_evaluation(&mut self, _: &EvaluationReport) {}

    fn on_staged_rewritten(&mut self, _: &str, _: &[Commit]) {}

    fn on_notify_failed(&mut self, _: &WatchError) {}
}
