//! `pillion watch`: releases batches while pods stay healthy.

mod environment;
mod log_sink;
mod observers;
mod once;
mod status_watch;

pub(in crate::cli) use environment::connect_provider;
pub(in crate::cli) use observers::{ClusterArgs, wait_for_clusters};
pub(in crate::cli) use status_watch::{StatusWatch, watch_status};

use crate::cli::error::CommandError;
use crate::cli::reporter::Reporter;
use crate::cli::repository::{self, RepoContext, RepositoryArgs};
use crate::cli::{EXIT_SUCCESS, GlobalArgs, OutputFormat, clock};
use crate::git::StopToken;
use crate::model::duration;
use crate::watch::environment::WatchError;
use crate::watch::evaluation::Options;
use crate::watch::log;
use crate::watch::metrics::Metrics;
use crate::watch::notifications::run_notifications;
use crate::watch::notifier::Notifier;
use crate::watch::providers::commit_url_prefix;
use crate::watch::real_environment::RealEnvironment;
use crate::watch::serve::{Liveness, StatusServer};
use crate::watch::service::{PollSchedule, WakeReason, run_service};
use crate::watch::signals::run_until_signal;
use crate::watch::watch_loop::Watcher;
use clap::{Args, ValueEnum, value_parser};
use environment::{build_environment, remote_url};
use log_sink::LogSink;
use observers::start_observers;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Arguments of `pillion watch`.
#[derive(Debug, Clone, Args)]
pub(in crate::cli) struct WatchArgs {
    /// SidecarSets [default: all with a ledger]
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Take every step that can be taken now, then exit: 0 advanced or nothing to do, 3 try again, 4 waiting, 5 paused
    #[arg(long)]
    once: bool,
    /// Print what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Interval to fetch the deploy branch
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = parse_duration)]
    interval: Duration,
    /// Maximum time to wait for the first view of each cluster (with --once)
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = parse_duration)]
    timeout: Duration,
    /// Address to serve /metrics, /healthz and /readyz on
    #[arg(long, value_name = "ADDRESS:PORT", conflicts_with = "once")]
    listen: Option<SocketAddr>,
    /// Time without a completed evaluation after which /healthz fails
    #[arg(long, value_name = "TIME", default_value = "120s", value_parser = parse_duration)]
    unhealthy_after: Duration,
    /// Format of the log on standard error
    #[arg(long, value_enum, default_value = "text")]
    log: LogFormatArg,
    /// Open a pull request for each commit; merging it releases the commit
    #[arg(long)]
    pull_request: bool,
    /// URL of the git provider's API [default: from the URL of the remote]
    #[arg(long, value_name = "URL", env = "PILLION_PROVIDER_URL")]
    provider_url: Option<String>,
    /// PEM file of CA certificates to trust for webhooks, checks and the git provider's API
    #[arg(long, value_name = "FILE", env = "SSL_CERT_FILE", hide_env_values = true, value_parser = value_parser!(OsString))]
    ca_file: Option<OsString>,
    /// Program that decides before the next batch; its arguments follow `--`
    #[arg(long, value_name = "PROGRAM")]
    check_command: Option<OsString>,
    /// URL that decides before the next batch
    #[arg(long, value_name = "URL", env = "PILLION_CHECK_URL", hide_env_values = true)]
    check_url: Option<String>,
    /// Maximum time of a check
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = parse_duration)]
    check_timeout: Duration,
    /// Arguments of the check program
    #[arg(last = true, value_name = "ARGUMENT", requires = "check_command")]
    check_args: Vec<OsString>,
    /// Output format of the evaluation (with --once)
    #[arg(short, long, value_enum, default_value = "text")]
    output: OutputFormat,
    #[command(flatten)]
    clusters: ClusterArgs,
    #[command(flatten)]
    repository: RepositoryArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LogFormatArg {
    /// For people
    Text,
    /// One JSON object a line
    Json,
}

fn parse_duration(text: &str) -> Result<Duration, String> {
    let seconds = duration::parse(text).filter(|s| (1..=duration::MAX_SECONDS).contains(s));
    let usage = || "write a length such as 30s, 5m or 1h30m, at most 8784h".to_owned();
    seconds.map(Duration::from_secs).ok_or_else(usage)
}

/// Runs `pillion watch`.
pub(in crate::cli) fn run(
    args: &WatchArgs,
    common: &GlobalArgs,
    reporter: &mut Reporter,
) -> Result<u8, CommandError> {
    if args.once {
        return once::run(args, common, reporter);
    }
    let (stop, (sender, receiver)) = (StopToken::default(), sync_channel(1));
    let run = WatchRun { args: args.clone(), common: common.clone(), stop: stop.clone(), receiver };
    let wakes = sender.clone();
    let ended = run_until_signal(&stop, &sender, move || run.run(&wakes));
    match ended {
        Ok(Some((_, theirs))) if stop.is_requested() => drop(theirs),
        Ok(Some((code, theirs))) => {
            *reporter = theirs;
            return code;
        }
        // It waits for a server, and leaves nothing half done.
        Ok(None) => {}
        Err(error) => {
            return Err(CommandError::environment(format!("no thread can be started: {error}")));
        }
    }
    tracing::info!("stopped");
    Ok(EXIT_SUCCESS)
}

/// A run until a signal, on a thread of its own.
struct WatchRun {
    args: WatchArgs,
    common: GlobalArgs,
    stop: StopToken,
    receiver: Receiver<WakeReason>,
}

impl WatchRun {
    fn run(self, wakes: &SyncSender<WakeReason>) -> (Result<u8, CommandError>, Reporter) {
        let mut reporter = Reporter::new(&self.common);
        let result = self.start(wakes, &mut reporter).map(|()| EXIT_SUCCESS);
        (result, reporter)
    }

    fn start(self, wakes: &SyncSender<WakeReason>, reporter: &mut Reporter) -> Result<(), CommandError> {
        let Self { args, common, stop, receiver } = self;
        let (mut context, _) = repository::open_without_fetch(&args.repository, &common, reporter)?;
        context.repository.set_stop(stop.clone());
        context.manifest_source =
            context.manifest_source.with_build_policy(common.watch_build_policy(args.dry_run));
        if !args.repository.no_fetch {
            context.fetch()?;
        }
        let mut environment = build_environment(&args, &context)?;
        environment.stop = stop.clone();
        let notifier = environment.notifier.take();
        let (_runtime, observers) =
            start_observers(&context, &args.clusters, &args.repository, wakes, reporter)?;
        environment.observers = observers;
        let watcher = new_watcher(&args, &context, &environment);
        start_log(&args, &common);
        let metrics = Arc::new(Metrics::default());
        let liveness = Arc::new(Liveness::new(args.unhealthy_after));
        let server = match args.listen {
            Some(address) => Some(
                StatusServer::start(address, Arc::clone(&metrics), Arc::clone(&liveness))
                    .map_err(|error| CommandError::environment(error.to_string()))?,
            ),
            None => None,
        };
        let address = server.as_ref().map(|s| s.address().to_string());
        tracing::info!(branch = context.branches.deploy, listen = address, "watching");
        let (threads, senders) = start_notifiers(&watcher, &context, notifier.as_ref(), &stop)?;
        let mut log_sink = LogSink::new(metrics, liveness, senders);
        let schedule = PollSchedule { interval: args.interval, wakes: receiver, stop };
        run_service(&watcher, &context, &mut environment, &schedule, &mut log_sink);
        // The threads end when their senders are dropped.
        drop(log_sink);
        for thread in threads {
            drop(thread.join());
        }
        Ok(())
    }
}

/// A thread for each receiver of notifications, and the sender of each: a message says that the deploy branch may have
/// moved.
type NotifierThreads = (Vec<JoinHandle<()>>, Vec<SyncSender<()>>);

/// Starts the threads that send notifications.
fn start_notifiers(
    watcher: &Watcher,
    context: &RepoContext,
    notifier: Option<&Notifier>,
    stop: &StopToken,
) -> Result<NotifierThreads, CommandError> {
    let (mut threads, mut senders) = (Vec::new(), Vec::new());
    for receiver in notifier.into_iter().flat_map(Notifier::receivers) {
        let (watcher, context, format) = (watcher.clone(), context.reopen()?, receiver.format());
        let mut environment = RealEnvironment::new(BTreeMap::new(), clock::now);
        environment.notifier = notifier.cloned();
        environment.stop = stop.clone();
        let head = context.deploy_head().map(|head| (format, head));
        let begun = head.map_or(Ok(()), |at| watcher.start_notifications(&context, &mut environment, at));
        if let Err(failure) = begun {
            log_sink::log_notification_error(&failure, None);
        }
        let (sender, receiver) = sync_channel(1);
        let stop = stop.clone();
        let thread = thread::Builder::new().name(format!("notify-{}", format.name()));
        let thread = thread.spawn(move || {
            let failed = &mut |failure: &WatchError, again: Duration| {
                log_sink::log_notification_error(failure, Some(again))
            };
            run_notifications(&watcher, (&context, &mut environment), format, (&receiver, &stop), failed);
        });
        threads
            .push(thread.map_err(|e| CommandError::environment(format!("no thread can be started: {e}")))?);
        senders.push(sender);
    }
    Ok((threads, senders))
}

fn new_watcher(args: &WatchArgs, context: &RepoContext, environment: &RealEnvironment) -> Watcher {
    Watcher {
        names: args.names.clone(),
        cluster: args.repository.cluster.clone(),
        options: Options {
            dry_run: args.dry_run,
            has_check: environment.check.is_some(),
            ..Options::default()
        },
        commit_url_prefix: commit_url_prefix(
            &remote_url(context),
            context.branches.provider,
            args.pull_request,
        ),
        ..Watcher::default()
    }
}

fn start_log(args: &WatchArgs, common: &GlobalArgs) {
    let format = match args.log {
        LogFormatArg::Json => log::LogFormat::Json,
        LogFormatArg::Text => log::LogFormat::Text,
    };
    let level = match (common.quiet, common.verbose) {
        (true, _) => log::LogVerbosity::Quiet,
        (_, true) => log::LogVerbosity::Verbose,
        _ => log::LogVerbosity::Normal,
    };
    log::init_logging(format, level, common.colors_stderr());
}
