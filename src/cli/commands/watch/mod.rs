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
    let long = WatchRun { args: args.clone(), common: common.clone(), stop: stop.clone(), receiver };
    let wakes = sender.clone();
    let ended = run_until_signal(&stop, &sender, move || long.run(&wakes));
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

/// A long run, on a thread of its own.
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
        let mut opened = repository::open_without_fetch(&args.repository, &common, reporter)?;
        opened.repository.set_stop(stop.clone());
        opened.manifest_source =
            opened.manifest_source.with_build_policy(common.watch_build_policy(args.dry_run));
        if !args.repository.no_fetch {
            opened.fetch()?;
        }
        let mut outside = build_environment(&args, &opened)?;
        outside.stop = stop.clone();
        let notifier = outside.notifier.take();
        let (_runtime, observers) =
            start_observers(&opened, &args.clusters, &args.repository, wakes, reporter)?;
        outside.observers = observers;
        let watching = watch_options(&args, &opened, &outside);
        start_log(&args, &common);
        let metrics = Arc::new(Metrics::default());
        let health = Arc::new(Liveness::new(args.unhealthy_after));
        let server = match args.listen {
            Some(address) => Some(
                StatusServer::start(address, Arc::clone(&metrics), Arc::clone(&health))
                    .map_err(|error| CommandError::environment(error.to_string()))?,
            ),
            None => None,
        };
        let address = server.as_ref().map(|s| s.address().to_string());
        tracing::info!(branch = opened.branches.deploy, listen = address, "watching");
        let (tellers, heads) = start_notifiers(&watching, &opened, notifier.as_ref(), &stop)?;
        let mut heard = LogSink::new(metrics, health, heads);
        let pace = PollSchedule { interval: args.interval, wakes: receiver, stop };
        run_service(&watching, &opened, &mut outside, &pace, &mut heard);
        // They end when the sender of heads is dropped.
        drop(heard);
        for teller in tellers {
            drop(teller.join());
        }
        Ok(())
    }
}

/// The threads that tell people, and what says to each that the deploy branch may have moved.
type NotifierThreads = (Vec<JoinHandle<()>>, Vec<SyncSender<()>>);

/// Starts a thread for each receiver of notifications; what is sent to it says that the deploy branch may have moved.
fn start_notifiers(
    watching: &Watcher,
    opened: &RepoContext,
    notifier: Option<&Notifier>,
    stop: &StopToken,
) -> Result<NotifierThreads, CommandError> {
    let (mut threads, mut heads) = (Vec::new(), Vec::new());
    for receiver in notifier.into_iter().flat_map(Notifier::receivers) {
        let (watching, opened, form) = (watching.clone(), opened.reopen()?, receiver.format());
        let mut environment = RealEnvironment::new(BTreeMap::new(), crate::cli::clock::now);
        environment.notifier = notifier.cloned();
        environment.stop = stop.clone();
        let head = opened.deploy_head().map(|head| (form, head));
        let begun = head.map_or(Ok(()), |at| watching.start_notifications(&opened, &mut environment, at));
        if let Err(failure) = begun {
            log_sink::log_notification_error(&failure, None);
        }
        let (sender, receiver) = sync_channel(1);
        let stop = stop.clone();
        let thread = thread::Builder::new().name(format!("tell-{}", form.name()));
        let thread = thread.spawn(move || {
            let failed = &mut |failure: &WatchError, again: Duration| {
                log_sink::log_notification_error(failure, Some(again))
            };
            run_notifications(&watching, (&opened, &mut environment), form, (&receiver, &stop), failed);
        });
        threads
            .push(thread.map_err(|e| CommandError::environment(format!("no thread can be started: {e}")))?);
        heads.push(sender);
    }
    Ok((threads, heads))
}

fn start_once(args: &WatchArgs, common: &GlobalArgs, reporter: &mut Reporter) -> Result<u8, CommandError> {
    let mut opened = repository::open(&args.repository, common, reporter)?;
    opened.manifest_source =
        opened.manifest_source.with_build_policy(common.watch_build_policy(args.dry_run));
    let mut outside = build_environment(args, &opened)?;
    let (sender, _receiver) = sync_channel(1);
    let (_runtime, observers) =
        start_observers(&opened, &args.clusters, &args.repository, &sender, reporter)?;
    outside.observers = observers;
    let watching = watch_options(args, &opened, &outside);
    run_once(args, &opened, &watching, &mut outside, reporter)
}

fn watch_options(args: &WatchArgs, opened: &RepoContext, outside: &RealEnvironment) -> Watcher {
    Watcher {
        names: args.names.clone(),
        cluster: args.repository.cluster.clone(),
        options: Options { dry_run: args.dry_run, has_check: outside.check.is_some(), ..Options::default() },
        commit_url_prefix: commit_url_prefix(
            &remote_url(opened),
            opened.branches.provider,
            args.pull_request,
        ),
        ..Watcher::default()
    }
}

fn start_log(args: &WatchArgs, common: &GlobalArgs) {
    let form = match args.log {
        LogFormatArg::Json => log::LogFormat::Json,
        LogFormatArg::Text => log::LogFormat::Text,
    };
    let level = match (common.quiet, common.verbose) {
        (true, _) => log::LogVerbosity::Quiet,
        (_, true) => log::LogVerbosity::Verbose,
        _ => log::LogVerbosity::Normal,
    };
    log::init_logging(form, level, common.colors_stderr());
}

/// Begins to watch the clusters that pillion.yaml of the deploy branch names.
pub(in crate::cli) fn start_observers(
    opened: &RepoContext,
    args: &ClusterArgs,
    repository: &RepositoryArgs,
    wakes: &SyncSender<WakeReason>,
    reporter: &mut Reporter,
) -> Result<(Runtime, BTreeMap<Option<String>, Observer>), CommandError> {
    // Which clusters there are does not depend on what may be released: that is judged at every look.
    let (deploy_branch, diagnostics) = opened.read_unchecked()?;
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
        let context = cluster_context(&deploy_branch, cluster).or(args.context.as_deref());
        let observer =
            Observer::start(runtime.handle(), context, watched_kinds(&deploy_branch, args), settings, wake)
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

/// Everything outside the program but the clusters.
fn build_environment(args: &WatchArgs, opened: &RepoContext) -> Result<RealEnvironment, CommandError> {
    let usage = |text: String| CommandError::usage(text);
    let roots = args
        .ca_file
        .as_deref()
        .filter(|f| !f.is_empty())
        .map(Path::new)
        .map_or_else(|| Ok(CaCertificates::default()), read_roots)?;
    let client = |timeout| HttpClient::new(timeout, &roots);
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
    let forge = match args.pull_request {
        true => Some(connect_with(opened, args.forge_url.as_deref(), &roots)?),
        false => None,
    };
    let notifier = Some(notifier.map_err(usage)?);
    let mut outside = RealEnvironment::new(BTreeMap::new(), crate::cli::clock::now);
    (outside.notifier, outside.check, outside.provider) = (notifier, check, forge);
    Ok(outside)
}

/// Returns the git provider of the remote, for a command without flags for it: `PILLION_FORGE_URL` and `SSL_CERT_FILE`
/// count as for `watch`.
pub(in crate::cli) fn connect_provider(
    opened: &RepoContext,
) -> Result<Box<dyn PullRequestProvider>, CommandError> {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    let file = variable("SSL_CERT_FILE");
    let roots = file.as_deref().map(Path::new).map_or_else(|| Ok(CaCertificates::default()), read_roots)?;
    let url = std::env::var("PILLION_FORGE_URL").ok();
    connect_with(opened, url.as_deref(), &roots)
}

fn connect_with(
    opened: &RepoContext,
    api_url: Option<&str>,
    roots: &CaCertificates,
) -> Result<Box<dyn PullRequestProvider>, CommandError> {
    let settings = ProviderSettings {
        remote: &remote_url(opened),
        provider: opened.branches.provider,
        api_url,
        variable: &|name| std::env::var(name).ok(),
    };
    connect(HttpClient::new(PROVIDER_TIMEOUT, roots), &settings)
        .map_err(|failure| CommandError::usage(failure.to_string()))
}

fn read_roots(file: &Path) -> Result<CaCertificates, CommandError> {
    let read =
        fs::read(file).map_err(|error| error.to_string()).and_then(|pem| CaCertificates::from_pem(&pem));
    let message = |why| format!("--ca-file: `{}`: {why}: name a PEM file with certificates", file.display());
    read.map_err(|why| CommandError::usage(message(why)))
}

fn remote_url(opened: &RepoContext) -> String {
    opened.repository.remote_url(&opened.branches.remote).unwrap_or_default()
}

/// Waits until every cluster has told what it holds, or the timeout is over: then the evaluation says what is not known.
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
    opened: &RepoContext,
    watching: &Watcher,
    outside: &mut RealEnvironment,
    reporter: &mut Reporter,
) -> Result<u8, CommandError> {
    let (_, never) = sync_channel(1);
    wait_for_clusters(&outside.observers, &never, args.timeout);
    let mut heard = OnceOutput::default();
    let not_applied = &mut OutOfSyncSince::new();
    let turn = watching.run_iteration(&mut WatchContext {
        repo: opened,
        environment: outside,
        out_of_sync_since: not_applied,
        verified_head: &mut None,
        events: &mut heard,
    });
    if let Some(why) = &heard.notification_error {
        reporter.print_note(&format!("pillion: {why}; the next run tells it"));
    }
    // They hold up nothing.
    reporter.add(
        std::mem::take(&mut heard.foreign_commits)
            .into_iter()
            .map(|diagnostic| Diagnostic { severity: Severity::Warning, ..diagnostic }),
    );
    match turn {
        Ok(Iteration::Evaluated(report)) => {
            print_text(&match args.output {
                OutputFormat::Text => heard.to_text(&report, args.dry_run),
                OutputFormat::Json | OutputFormat::Yaml => {
                    args.output.convert(format!("{}\n", heard.to_json(&report)))
                }
            })?;
            Ok(exit_code(&report, heard.has_released()))
        }
        Ok(Iteration::Invalid(diagnostics)) => {
            let is_error = diagnostics.iter().any(Diagnostic::is_error);
            reporter.add(diagnostics);
            Ok(if is_error { EXIT_FINDINGS } else { EXIT_USAGE })
        }
        Err(error) => Err(error.into()),
    }
}

/// DESIGN.md 2: what is paused comes before what went on, and that before what waits.
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
