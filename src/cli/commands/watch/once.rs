//! `pillion watch --once`: takes every step that is possible now, prints the result, and exits.

use super::environment::build_environment;
use super::observers::{start_observers, wait_for_clusters};
use super::{WatchArgs, new_watcher};
use crate::cli::error::CommandError;
use crate::cli::format::watch::OnceOutput;
use crate::cli::reporter::Reporter;
use crate::cli::repository::{self, RepoContext};
use crate::cli::{
    EXIT_ENVIRONMENT, EXIT_FINDINGS, EXIT_PAUSED, EXIT_SUCCESS, EXIT_USAGE, EXIT_WAITING, GlobalArgs,
    OutputFormat, print_text,
};
use crate::diagnostics::{Diagnostic, Severity};
use crate::rollout::RolloutState;
use crate::watch::decision::WatchDecision;
use crate::watch::evaluation::OutOfSyncSince;
use crate::watch::real_environment::RealEnvironment;
use crate::watch::report::EvaluationReport;
use crate::watch::watch_loop::{Iteration, WatchContext, Watcher};
use std::sync::mpsc::sync_channel;

/// Runs `pillion watch --once`.
pub(super) fn run(
    args: &WatchArgs,
    common: &GlobalArgs,
    reporter: &mut Reporter,
) -> Result<u8, CommandError> {
    let mut context = repository::open(&args.repository, common, reporter)?;
    context.manifest_source =
        context.manifest_source.with_build_policy(common.watch_build_policy(args.dry_run));
    let mut environment = build_environment(args, &context)?;
    let (sender, _receiver) = sync_channel(1);
    let (_runtime, observers) =
        start_observers(&context, &args.clusters, &args.repository, &sender, reporter)?;
    environment.observers = observers;
    let watcher = new_watcher(args, &context, &environment);
    run_once(args, &context, &watcher, &mut environment, reporter)
}

fn run_once(
    args: &WatchArgs,
    context: &RepoContext,
    watcher: &Watcher,
    environment: &mut RealEnvironment,
    reporter: &mut Reporter,
) -> Result<u8, CommandError> {
    let (_, never) = sync_channel::<()>(1);
    wait_for_clusters(&environment.observers, &never, args.timeout);
    let mut output = OnceOutput::default();
    let out_of_sync_since = &mut OutOfSyncSince::new();
    let iteration = watcher.run_iteration(&mut WatchContext {
        repo: context,
        environment,
        out_of_sync_since,
        verified_head: &mut None,
        events: &mut output,
    });
    if let Some(why) = &output.notification_error {
        reporter.print_note(&format!("pillion: {why}; the next run sends it again"));
    }
    // Commits of others on a staged branch delay no release.
    reporter.add(
        std::mem::take(&mut output.foreign_commits)
            .into_iter()
            .map(|diagnostic| Diagnostic { severity: Severity::Warning, ..diagnostic }),
    );
    match iteration {
        Ok(Iteration::Evaluated(report)) => {
            print_text(&match args.output {
                OutputFormat::Text => output.to_text(&report, args.dry_run),
                OutputFormat::Json | OutputFormat::Yaml => {
                    args.output.convert(format!("{}\n", output.to_json(&report)))
                }
            })?;
            Ok(exit_code(&report, output.has_released()))
        }
        Ok(Iteration::Invalid(diagnostics)) => {
            let is_error = diagnostics.iter().any(Diagnostic::is_error);
            reporter.add(diagnostics);
            Ok(if is_error { EXIT_FINDINGS } else { EXIT_USAGE })
        }
        Err(error) => Err(error.into()),
    }
}

/// Returns the exit code: a pause takes precedence over a release, and a release over a wait.
fn exit_code(report: &EvaluationReport, has_released: bool) -> u8 {
    let is_paused = report.rollouts.iter().any(|i| i.state == RolloutState::Paused);
    let waits = report.rollouts.iter().any(|i| i.decision == WatchDecision::Wait || i.is_proposed);
    let is_unseen = report.now.is_none() && waits;
    if is_paused || report.rollouts.iter().any(|i| matches!(i.decision, WatchDecision::Pause(_))) {
        EXIT_PAUSED
    } else if has_released {
        EXIT_SUCCESS
    } else if is_unseen {
        EXIT_ENVIRONMENT
    } else if waits {
        EXIT_WAITING
    } else {
        EXIT_SUCCESS
    }
}
