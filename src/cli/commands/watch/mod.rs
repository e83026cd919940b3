//! `pillion watch`: releases batches while pods stay healthy.

mod log_sink;
mod status_watch;

pub(in crate::cli) use status_watch::{StatusWatch, watch_status};

use crate::cli::error::CommandError;
use crate::cli::format::watch::OnceOutput;
use crate::cli::reporter::Reporter;
use crate::cli::repository::{self, RepoContext, RepositoryArgs};
use crate::cli::{
    EXIT_ENVIRONMENT, EXIT_FINDINGS, EXIT_SUCCESS, EXIT_USAGE, GlobalArgs, OutputFormat, print_text,
};
use crate::diagnostics::{Diagnostic, Severity};
use crate::git::StopToken;
use crate::model::duration;
use crate::model::workload::WorkloadKinds;
use crate::rollout::RolloutState;
use crate::stage::DeployBranch;
use crate::watch::check::BatchCheck;
use crate::watch::decision::WatchDecision;
use crate::watch::environment::WatchError;
use crate::watch::evaluation::{Options, OutOfSyncSince};
use crate::watch::http_client::{CaCertificates, HttpClient, SecretUrl};
use crate::watch::log;
use crate::watch::metrics::Metrics;
use crate::watch::notifications::run_notifications;
use crate::watch::notifier::Notifier;
use crate::watch::observe::{MemoryBudget, Observer, ObserverSettings, Runtime, StaleData, runtime};
use crate::watch::providers::{
    PROVIDER_TIMEOUT, ProviderSettings, PullRequestProvider, commit_url_prefix, connect,
};
use crate::watch::real_environment::RealEnvironment;
use crate::watch::report::EvaluationReport;
use crate::watch::serve::{Liveness, StatusServer};
use crate::watch::service::{PollSchedule, WakeReason, run_service};
use crate::watch::signals::run_until_signal;
use crate::watch::snapshot::ObservationScope;
use crate::watch::watch_loop::{Iteration, WatchContext, Watcher};
use clap::{Args, ValueEnum, value_parser};
use log_sink::LogSink;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Exit code of `--once`: a rollout waits.
pub(in crate::cli) const EXIT_WAITING: u8 = 4;
/// Exit code of `--once`: a rollout is paused.
pub(in crate::cli) const EXIT_PAUSED: u8 = 5;

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
    #[arg(long, value_name = "URL", env = "PILLION_FORGE_URL")]
    forge_url: Option<String>,
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

/// The clusters to watch.
#[derive(Debug, Clone, Default, Args)]
pub(in crate::cli) struct ClusterArgs {
    /// Context of the kubeconfig, where pillion.yaml names no clusters
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
    /// Namespace to watch, for which a Role is enough (repeatable) [default: all]
    #[arg(short, long = "namespace", value_name = "NAME")]
    namespaces: Vec<String>,
    /// Maximum memory for the lists of all clusters together; a longer list is refused
    #[arg(long, value_name = "MIB", default_value_t = 128, value_parser = value_parser!(u32).range(16..=1_048_576))]
    list_memory: u32,
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
        return start_once(args, common, reporter);
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
        let mut context = repository::open_without_fetch(&args.repository, &common, reporter)?;
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
        let watcher = watch_options(&args, &context, &environment);
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
        let mut environment = RealEnvironment::new(BTreeMap::new(), crate::cli::clock::now);
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

fn start_once(args: &WatchArgs, common: &GlobalArgs, reporter: &mut Reporter) -> Result<u8, CommandError> {
    let mut context = repository::open(&args.repository, common, reporter)?;
    context.manifest_source =
        context.manifest_source.with_build_policy(common.watch_build_policy(args.dry_run));
    let mut environment = build_environment(args, &context)?;
    let (sender, _receiver) = sync_channel(1);
    let (_runtime, observers) =
        start_observers(&context, &args.clusters, &args.repository, &sender, reporter)?;
    environment.observers = observers;
    let watcher = watch_options(args, &context, &environment);
    run_once(args, &context, &watcher, &mut environment, reporter)
}

fn watch_options(args: &WatchArgs, context: &RepoContext, environment: &RealEnvironment) -> Watcher {
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

/// Starts to observe the clusters that pillion.yaml of the deploy branch names.
pub(in crate::cli) fn start_observers(
    context: &RepoContext,
    args: &ClusterArgs,
    repository: &RepositoryArgs,
    wakes: &SyncSender<WakeReason>,
    reporter: &mut Reporter,
) -> Result<(Runtime, BTreeMap<Option<String>, Observer>), CommandError> {
    // Which clusters there are does not depend on what may be released: every evaluation checks that.
    let (deploy_branch, diagnostics) = context.read_unchecked()?;
    reporter.add(diagnostics);
    let deploy_branch = deploy_branch.ok_or_else(|| CommandError::from_diagnostics([]))?;
    let clusters = repository::select_clusters(&deploy_branch, repository)?;
    let runtime =
        runtime().map_err(|error| CommandError::environment(format!("no thread can be started: {error}")))?;
    let mut found = BTreeMap::new();
    let settings = ObserverSettings {
        memory: MemoryBudget::from_mebibytes(args.list_memory as usize),
        ..ObserverSettings::default()
    };
    for cluster in clusters {
        let (wakes, settings) = (wakes.clone(), settings.clone());
        // One wake that waits is enough.
        let wake = move || {
            let _ = wakes.try_send(WakeReason::ClusterChanged);
        };
        let kube_context = cluster_context(&deploy_branch, cluster).or(args.context.as_deref());
        let observer =
            Observer::start(runtime.handle(), kube_context, watched_kinds(&deploy_branch, args), settings, wake)
                .map_err(|failure| {
                let name = cluster.map_or_else(String::new, |c| format!(" `{c}`"));
                CommandError::usage(format!("cannot watch the cluster{name}: {failure}"))
            })?;
        found.insert(cluster.map(str::to_owned), observer);
    }
    Ok((runtime, found))
}

fn cluster_context<'l>(deploy_branch: &'l DeployBranch<'_>, cluster: Option<&str>) -> Option<&'l str> {
    let clusters = &deploy_branch.configuration.repository.clusters;
    clusters.iter().find(|c| Some(c.name.as_str()) == cluster)?.context.as_deref()
}

fn watched_kinds(deploy_branch: &DeployBranch<'_>, args: &ClusterArgs) -> ObservationScope {
    let mut kinds = WorkloadKinds::default();
    for kind in deploy_branch.configuration.repository.workload_kinds() {
        kinds.add(kind);
    }
    ObservationScope {
        // The group that old manifests name is served by no API server since Kubernetes 1.22.
        kinds: kinds.iter().filter(|kind| kind.group != "extensions").cloned().collect(),
        namespaces: args.namespaces.iter().map(|n| n.as_str().into()).collect(),
    }
}

/// Builds the environment of a watcher, without its clusters.
fn build_environment(args: &WatchArgs, context: &RepoContext) -> Result<RealEnvironment, CommandError> {
    let usage = |text: String| CommandError::usage(text);
    let certificates = args
        .ca_file
        .as_deref()
        .filter(|f| !f.is_empty())
        .map(Path::new)
        .map_or_else(|| Ok(CaCertificates::default()), read_certificates)?;
    let client = |timeout| HttpClient::new(timeout, &certificates);
    let variable = |name: &str| std::env::var(name).ok();
    let (plain, slack) = (variable("PILLION_NOTIFY_URL"), variable("PILLION_NOTIFY_SLACK_URL"));
    let notifier = Notifier::new(client(Duration::from_secs(10)), plain.as_deref(), slack.as_deref());
    // A variable that is set to nothing is not set.
    let check_url = args.check_url.as_deref().filter(|url| !url.trim().is_empty());
    let check = match (&args.check_command, check_url) {
        (Some(_), Some(_)) => {
            return Err(usage("a program and an address are to be asked: keep --check-command or --check-url (PILLION_CHECK_URL)".to_owned()));
        }
        (Some(program), None) => Some(BatchCheck::Command {
            program: program.clone(),
            args: args.check_args.clone(),
            timeout: args.check_timeout,
        }),
        (None, Some(url)) => Some(BatchCheck::Url {
            address: SecretUrl::parse(url).map_err(|why| usage(format!("--check-url: {why}")))?,
            client: client(args.check_timeout),
        }),
        (None, None) => None,
    };
    let provider = match args.pull_request {
        true => Some(connect_with(context, args.forge_url.as_deref(), &certificates)?),
        false => None,
    };
    let notifier = Some(notifier.map_err(usage)?);
    let mut environment = RealEnvironment::new(BTreeMap::new(), crate::cli::clock::now);
    (environment.notifier, environment.check, environment.provider) = (notifier, check, provider);
    Ok(environment)
}

/// Returns the git provider of the remote, for a command without flags for it: `PILLION_FORGE_URL` and `SSL_CERT_FILE`
/// count as for `watch`.
pub(in crate::cli) fn connect_provider(
    context: &RepoContext,
) -> Result<Box<dyn PullRequestProvider>, CommandError> {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    let file = variable("SSL_CERT_FILE");
    let certificates =
        file.as_deref().map(Path::new).map_or_else(|| Ok(CaCertificates::default()), read_certificates)?;
    let url = std::env::var("PILLION_FORGE_URL").ok();
    connect_with(context, url.as_deref(), &certificates)
}

fn connect_with(
    context: &RepoContext,
    api_url: Option<&str>,
    certificates: &CaCertificates,
) -> Result<Box<dyn PullRequestProvider>, CommandError> {
    let settings = ProviderSettings {
        remote: &remote_url(context),
        provider: context.branches.provider,
        api_url,
        variable: &|name| std::env::var(name).ok(),
    };
    connect(HttpClient::new(PROVIDER_TIMEOUT, certificates), &settings)
        .map_err(|failure| CommandError::usage(failure.to_string()))
}

fn read_certificates(file: &Path) -> Result<CaCertificates, CommandError> {
    let read =
        fs::read(file).map_err(|error| error.to_string()).and_then(|pem| CaCertificates::from_pem(&pem));
    let message = |why| format!("--ca-file: `{}`: {why}: name a PEM file with certificates", file.display());
    read.map_err(|why| CommandError::usage(message(why)))
}

fn remote_url(context: &RepoContext) -> String {
    context.repository.remote_url(&context.branches.remote).unwrap_or_default()
}

/// Waits until every cluster was read, or until the timeout: then the evaluation reports what is unknown.
pub(in crate::cli) fn wait_for_clusters(
    observers: &BTreeMap<Option<String>, Observer>,
    wakes: &Receiver<WakeReason>,
    timeout: Duration,
) {
    let until = Instant::now() + timeout;
    let is_known = |seen: Result<_, StaleData>| match seen {
        Ok(_) => true,
        // A refusal does not go away by waiting.
        Err(none) => none.error.is_some_and(|failure| !failure.is_retryable()),
    };
    while !observers.values().all(|o| is_known(o.snapshot())) {
        let rest = until.saturating_duration_since(Instant::now());
        if rest.is_zero() {
            return;
        }
        let _ = wakes.recv_timeout(rest.min(Duration::from_millis(500)));
    }
}

fn run_once(
    args: &WatchArgs,
    context: &RepoContext,
    watcher: &Watcher,
    environment: &mut RealEnvironment,
    reporter: &mut Reporter,
) -> Result<u8, CommandError> {
    let (_, never) = sync_channel(1);
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
