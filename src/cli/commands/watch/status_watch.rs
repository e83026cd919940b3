//! `pillion status --watch`: every rollout with its pods and what it waits for, as it changes.

use super::ClusterArgs;
use super::observers::{start_observers, wait_for_clusters};
use crate::cli::error::CommandError;
use crate::cli::format::watch::status_table;
use crate::cli::reporter::Reporter;
use crate::cli::repository::{self, RepositoryArgs};
use crate::cli::{EXIT_SUCCESS, GlobalArgs, OutputFormat, clock, print_data};
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

/// Maximum time to wait for the first view of the clusters.
const FIRST_VIEW_TIMEOUT: Duration = Duration::from_secs(10);

/// What `pillion status --watch` shows.
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
    let context = repository::open(repository, common, reporter)?;
    let (sender, wakes) = sync_channel(1);
    let (_runtime, observers) = start_observers(&context, clusters, repository, &sender, reporter)?;
    wait_for_clusters(&observers, &wakes, FIRST_VIEW_TIMEOUT);
    let mut environment = RealEnvironment::new(observers, clock::now);
    let watcher = Watcher {
        names: names.to_vec(),
        cluster: repository.cluster.clone(),
        options: Options { dry_run: true, ..Options::default() },
        ..Watcher::default()
    };
    let is_screen = std::io::stdout().is_terminal() && !is_json;
    let (mut out_of_sync_since, mut verified_head) = (OutOfSyncSince::new(), None);
    let mut fetch_error = None;
    loop {
        let mut watch_context = WatchContext {
            repo: &context,
            environment: &mut environment,
            out_of_sync_since: &mut out_of_sync_since,
            verified_head: &mut verified_head,
            events: &mut NoEventSink,
        };
        let iteration = watcher.watch_head(&mut watch_context, &mut |_, _| false);
        let text = match &iteration {
            Ok(Iteration::Evaluated(report)) if is_json => output.convert(format!("{}\n", report.to_json())),
            Ok(Iteration::Evaluated(report)) => status_table(report),
            Ok(Iteration::Invalid(diagnostics)) => {
                let errors = diagnostics.iter().filter(|d| d.is_error()).cloned();
                return Err(CommandError::from_diagnostics(errors));
            }
            Err(WatchError::Git(_)) if !is_screen => {
                return iteration.map(|_| EXIT_SUCCESS).map_err(Into::into);
            }
            Err(error) => format!("{error}\n"),
        };
        // Cursor home, then erase below (ECMA-48 CUP, ED): the screen does not flicker.
        let text = with_fetch_error(text, fetch_error.as_ref());
        let text = escape::lines(&text);
        let text = if is_screen { format!("\u{1b}[H\u{1b}[J{text}").into() } else { text };
        print_data(&text)?;
        if !is_screen {
            return Ok(EXIT_SUCCESS);
        }
        let _ = wakes.recv_timeout(FETCH_INTERVAL);
        fetch_error = environment.fetch(&context).err();
    }
}

/// Adds that the state is that of the last fetch, because a newer one failed.
fn with_fetch_error(text: String, error: Option<&WatchError>) -> String {
    match error {
        Some(error) => format!("{text}as last fetched: {error}\n"),
        None => text,
    }
}

/// Discards the events of evaluations: the screen shows them.
struct NoEventSink;

impl EventSink for NoEventSink {
    fn on_evaluation(&mut self, _: &EvaluationReport) {}

    fn on_staged_rewritten(&mut self, _: &str, _: &[Commit]) {}

    fn on_notify_failed(&mut self, _: &WatchError) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_fetch_is_shown() {
        let error = WatchError::Service { message: "the remote is down".to_owned(), is_retryable: true };
        let shown = with_fetch_error("log: idle\n".to_owned(), Some(&error));
        assert_eq!(shown, "log: idle\nas last fetched: the remote is down\n");
        assert_eq!(with_fetch_error("log: idle\n".to_owned(), None), "log: idle\n");
    }
}
