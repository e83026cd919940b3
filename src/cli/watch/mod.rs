//! `pillion watch`: batches are released while pods stay healthy.

mod heard;
mod screen;

pub(super) use screen::{Shown, follow};

use super::report::Reporter;
use super::repository::{self, Opened, RepositoryArgs};
use super::{Common, DONE, ENVIRONMENT, FINDINGS, Output, USAGE, to_stdout};
use crate::diag::{Diagnostic, Severity};
use crate::git::Stop;
use crate::model::duration;
use crate::model::workload::Kinds;
use crate::stage::{Failure, Live};
use crate::watch::check::Check;
use crate::watch::evaluate::{NotApplied, Options};
use crate::watch::forge::github::GitHub;
use crate::watch::forge::{Forge, commits_of};
use crate::watch::log;
use crate::watch::metrics::Metrics;
use crate::watch::notify::Notifier;
use crate::watch::observe::{Memory, NoEvidence, Observer, Runtime, Settings, runtime};
use crate::watch::outside::Outside;
use crate::watch::report::Report;
use crate::watch::request::{Address, Client, Roots};
use crate::watch::run::{Turn, Watching, Work};
use crate::watch::serve::{Health, Server};
use crate::watch::service::{Pace, Wake, serve};
use crate::watch::signals::until_stopped;
use crate::watch::snapshot::Wanted;
use crate::watch::tell::keep_telling;
use crate::watch::world::Stopped;
use crate::write;
use clap::{Args, ValueEnum, value_parser};
use heard::Heard;
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
pub(super) const WAITING: u8 = 4;
/// Exit code of `--once`: a rollout is paused.
pub(super) const PAUSED: u8 = 5;

/// Arguments of `pillion watch`.
#[derive(Debug, Clone, Args)]
pub(super) struct WatchArgs {
    /// SidecarSets; without any, all that have a ledger
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Take every step that can be taken now, and end: 0 advanced or nothing to do, 4 waiting, 5 paused, 3 try again
    #[arg(long)]
    once: bool,
    /// Say what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// How often the live branch is fetched
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = length)]
    interval: Duration,
    /// With --once: how long the clusters are waited for
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = length)]
    patience: Duration,
    /// Serve /metrics, /healthz and /readyz here
    #[arg(long, value_name = "ADDRESS:PORT", conflicts_with = "once")]
    listen: Option<SocketAddr>,
    /// /healthz fails when no evaluation was completed for this long
    #[arg(long, value_name = "TIME", default_value = "120s", value_parser = length)]
    unhealthy_after: Duration,
    /// Form of the log on standard error
    #[arg(long, value_enum, default_value = "text")]
    log: LogForm,
    /// Propose each commit as a pull request: merging it releases it
    #[arg(long)]
    pull_request: bool,
    /// Address of the forge's API, where it cannot be told from the remote's
    #[arg(long, value_name = "URL", env = "PILLION_FORGE_URL")]
    forge_url: Option<String>,
    /// Certificates (PEM) that forges, webhooks and checks are to have theirs from, in place of the public ones
    #[arg(long, value_name = "FILE", env = "SSL_CERT_FILE", hide_env_values = true, value_parser = value_parser!(OsString))]
    ca_file: Option<OsString>,
    /// A program that is asked before the next batch; its arguments follow behind `--`
    #[arg(long, value_name = "PROGRAM")]
    check_command: Option<OsString>,
    /// An address that is asked before the next batch
    #[arg(long, value_name = "URL", env = "PILLION_CHECK_URL", hide_env_values = true)]
    check_url: Option<String>,
    /// How long the check may take
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = length)]
    check_patience: Duration,
    /// Arguments of the program that is asked
    #[arg(last = true, value_name = "ARGUMENT", requires = "check_command")]
    check_args: Vec<OsString>,
    /// How the evaluation of --once is told
    #[arg(short, long, value_enum, default_value = "text")]
    output: Output,
    #[command(flatten)]
    clusters: ClusterArgs,
    #[command(flatten)]
    repository: RepositoryArgs,
}

/// Which clusters are looked at, and how.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct ClusterArgs {
    /// Context of the kubeconfig, where pillion.yaml names no clusters
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
    /// Look only at this namespace, so that a Role is enough; may be given several times
    #[arg(long = "namespace", value_name = "NAME")]
    namespaces: Vec<String>,
    /// Memory that the lists of all clusters may take together; a server that lists more is not believed
    #[arg(long, value_name = "MIB", default_value_t = 128, value_parser = value_parser!(u32).range(16..=1_048_576))]
    list_memory: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LogForm {
    /// For people
    Text,
    /// One JSON object a line
    Json,
}

fn length(text: &str) -> Result<Duration, String> {
    let seconds = duration::parse(text).filter(|s| (1..=duration::MOST).contains(s));
    let wrong = || "write a length such as 30s, 5m or 1h30m, at most 8784h".to_owned();
    seconds.map(Duration::from_secs).ok_or_else(wrong)
}

/// Why a watcher does not begin.
pub(super) enum NoStart {
    /// Git.
    Failure(Failure),
    /// Anything else: what is wrong and what to do, and the exit code.
    Said(String, u8),
    /// The reporter knows.
    Told(u8),
}

impl From<Failure> for NoStart {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

/// Runs `pillion watch`.
pub(super) fn run(args: &WatchArgs, common: &Common, reporter: &mut Reporter) -> Result<u8, write::Failure> {
    if args.once {
        return match begin_once(args, common, reporter) {
            Ok(code) => code,
            Err(no_start) => tell(no_start, reporter),
        };
    }
    let (stop, (sender, receiver)) = (Stop::default(), sync_channel(1));
    let long = Long { args: args.clone(), common: common.clone(), stop: stop.clone(), receiver };
    let wakes = sender.clone();
    let ended = until_stopped(&stop, &sender, move || long.run(&wakes));
    match ended {
        Ok(Some((_, theirs))) if stop.is_requested() => drop(theirs),
        Ok(Some((code, theirs))) => {
            *reporter = theirs;
            return code;
        }
        // It waits for a server, and leaves nothing half done.
        Ok(None) => {}
        Err(error) => {
            reporter.error(&format!("pillion: no thread can be started: {error}"));
            return Ok(ENVIRONMENT);
        }
    }
    tracing::info!("stopped");
    Ok(DONE)
}

/// A long run, on a thread of its own.
struct Long {
    args: WatchArgs,
    common: Common,
    stop: Stop,
    receiver: Receiver<Wake>,
}

impl Long {
    fn run(self, wakes: &SyncSender<Wake>) -> (Result<u8, write::Failure>, Reporter) {
        let mut reporter = Reporter::new(&self.common);
        let code = match self.begin(wakes, &mut reporter) {
            Ok(()) => Ok(DONE),
            Err(no_start) => tell(no_start, &reporter),
        };
        (code, reporter)
    }

    fn begin(self, wakes: &SyncSender<Wake>, reporter: &mut Reporter) -> Result<(), NoStart> {
        let Self { args, common, stop, receiver } = self;
        let opened = repository::open_without_fetch(&args.repository, &common, reporter)?;
        let mut opened = opened.ok_or(NoStart::Told(USAGE))?;
        opened.repository.heed(stop.clone());
        opened.manifests = opened.manifests.with_builds(common.builds_of_watch(args.dry_run));
        if !args.repository.no_fetch {
            opened.fetch()?;
        }
        let mut outside = outside(&args, &opened)?;
        outside.stop = stop.clone();
        let notifier = outside.notifier.take();
        let (_runtime, observers) = observers(&opened, &args.clusters, &args.repository, wakes, reporter)?;
        outside.observers = observers;
        let watching = watching(&args, &opened, &outside);
        start_log(&args, &common);
        let metrics = Arc::new(Metrics::default());
        let health = Arc::new(Health::new(args.unhealthy_after));
        let server = match args.listen {
            Some(address) => Some(
                Server::start(address, Arc::clone(&metrics), Arc::clone(&health))
                    .map_err(|error| NoStart::Said(error.to_string(), ENVIRONMENT))?,
            ),
            None => None,
        };
        let address = server.as_ref().map(|s| s.address().to_string());
        tracing::info!(branch = opened.branches.live, listen = address, "watching");
        let (tellers, heads) = start_tellers(&watching, &opened, notifier.as_ref(), &stop)?;
        let mut heard = Heard::new(metrics, health, heads);
        let pace = Pace { interval: args.interval, wakes: receiver, stop };
        serve(&watching, &opened, &mut outside, &pace, &mut heard);
        // They end when nobody tells them of heads any more.
        drop(heard);
        for teller in tellers {
            drop(teller.join());
        }
        Ok(())
    }
}

/// The threads that tell people, and what says to each that the live branch may have moved.
type Tellers = (Vec<JoinHandle<()>>, Vec<SyncSender<()>>);

/// Starts a thread for each receiver of notifications; what is sent to it says that the live branch may have moved.
fn start_tellers(
    watching: &Watching,
    opened: &Opened,
    notifier: Option<&Notifier>,
    stop: &Stop,
) -> Result<Tellers, NoStart> {
    let (mut threads, mut heads) = (Vec::new(), Vec::new());
    for receiver in notifier.into_iter().flat_map(Notifier::receivers) {
        let (watching, opened, form) = (watching.clone(), opened.again()?, receiver.form());
        let mut world = Outside::new(BTreeMap::new(), super::clock::now);
        world.notifier = notifier.cloned();
        world.stop = stop.clone();
        let head = opened.branches.find_live(&opened.repository).map(|(_, id)| (form, id));
        let begun = head.map_or(Ok(()), |at| watching.begin_to_tell(&opened, &mut world, at));
        if let Err(failure) = begun {
            heard::untold(&failure, None);
        }
        let (sender, receiver) = sync_channel(1);
        let stop = stop.clone();
        let thread = thread::Builder::new().name(format!("tell-{}", form.name()));
        let thread = thread.spawn(move || {
            let failed = &mut |failure: &Stopped, again: Duration| heard::untold(failure, Some(again));
            keep_telling(&watching, (&opened, &mut world), form, (&receiver, &stop), failed);
        });
        threads
            .push(thread.map_err(|e| NoStart::Said(format!("no thread can be started: {e}"), ENVIRONMENT))?);
        heads.push(sender);
    }
    Ok((threads, heads))
}

/// Says why nothing began, and returns the exit code.
pub(super) fn tell(no_start: NoStart, reporter: &Reporter) -> Result<u8, write::Failure> {
    match no_start {
        NoStart::Failure(failure) => repository::settle(Err(failure), reporter),
        NoStart::Said(text, code) => {
            reporter.error(&format!("pillion: {text}"));
            Ok(code)
        }
        NoStart::Told(code) => Ok(code),
    }
}

fn begin_once(
    args: &WatchArgs,
    common: &Common,
    reporter: &mut Reporter,
) -> Result<Result<u8, write::Failure>, NoStart> {
    let opened = repository::open(&args.repository, common, reporter)?;
    let mut opened = opened.ok_or(NoStart::Told(USAGE))?;
    opened.manifests = opened.manifests.with_builds(common.builds_of_watch(args.dry_run));
    let mut outside = outside(args, &opened)?;
    let (sender, _receiver) = sync_channel(1);
    let (_runtime, observers) = observers(&opened, &args.clusters, &args.repository, &sender, reporter)?;
    outside.observers = observers;
    let watching = watching(args, &opened, &outside);
    Ok(once(args, &opened, &watching, &mut outside, reporter))
}

fn watching(args: &WatchArgs, opened: &Opened, outside: &Outside) -> Watching {
    Watching {
        names: args.names.clone(),
        cluster: args.repository.cluster.clone(),
        options: Options { dry_run: args.dry_run, has_check: outside.check.is_some(), ..Options::default() },
        commits: commits_of(&remote_url(opened), args.pull_request),
    }
}

fn start_log(args: &WatchArgs, common: &Common) {
    let form = match args.log {
        LogForm::Json => log::Form::Json,
        LogForm::Text => log::Form::Text,
    };
    let level = match (common.quiet, common.verbose) {
        (true, _) => log::Level::Quiet,
        (_, true) => log::Level::Verbose,
        _ => log::Level::Normal,
    };
    log::start(form, level, common.has_colors());
}

/// Begins to watch the clusters that pillion.yaml of the live branch names.
pub(super) fn observers(
    opened: &Opened,
    args: &ClusterArgs,
    repository: &RepositoryArgs,
    wakes: &SyncSender<Wake>,
    reporter: &mut Reporter,
) -> Result<(Runtime, BTreeMap<Option<String>, Observer>), NoStart> {
    // Which clusters there are does not depend on what may be released: that is judged at every look.
    let (live, wrong) = opened.read_anyway()?;
    reporter.add(wrong);
    let live = live.ok_or(NoStart::Told(FINDINGS))?;
    let clusters = repository::clusters(&live, repository, reporter).ok_or(NoStart::Told(USAGE))?;
    let environment = |text: String| NoStart::Said(text, ENVIRONMENT);
    let runtime = runtime().map_err(|error| environment(format!("no thread can be started: {error}")))?;
    let mut found = BTreeMap::new();
    let settings = Settings { memory: Memory::mebibytes(args.list_memory as usize), ..Settings::default() };
    for cluster in clusters {
        let (wakes, settings) = (wakes.clone(), settings.clone());
        // One wake that waits is enough.
        let wake = move || {
            let _ = wakes.try_send(Wake::Changed);
        };
        let context = context(&live, cluster).or(args.context.as_deref());
        let observer = Observer::start(runtime.handle(), context, wanted(&live, args), settings, wake)
            .map_err(|failure| {
                let whose = cluster.map_or_else(String::new, |c| format!(" of cluster `{c}`"));
                NoStart::Said(format!("the API server{whose} cannot be watched: {failure}"), USAGE)
            })?;
        found.insert(cluster.map(str::to_owned), observer);
    }
    Ok((runtime, found))
}

fn context<'l>(live: &'l Live<'_>, cluster: Option<&str>) -> Option<&'l str> {
    let clusters = &live.configuration.repository.clusters;
    clusters.iter().find(|c| Some(c.name.as_str()) == cluster)?.context.as_deref()
}

fn wanted(live: &Live<'_>, args: &ClusterArgs) -> Wanted {
    let mut kinds = Kinds::default();
    for kind in live.configuration.repository.kinds() {
        kinds.add(kind);
    }
    Wanted {
        // The group that old manifests name is served by no API server since Kubernetes 1.22.
        kinds: kinds.all().filter(|kind| kind.group != "extensions").cloned().collect(),
        namespaces: args.namespaces.iter().map(|n| n.as_str().into()).collect(),
    }
}

/// Everything outside the program but the clusters.
fn outside(args: &WatchArgs, opened: &Opened) -> Result<Outside, NoStart> {
    let usage = |text: String| NoStart::Said(text, USAGE);
    let roots = args
        .ca_file
        .as_deref()
        .filter(|f| !f.is_empty())
        .map(Path::new)
        .map_or_else(|| Ok(Roots::default()), roots)?;
    let client = |patience| Client::new(patience, &roots);
    let variable = |name: &str| std::env::var(name).ok();
    let (plain, slack) = (variable("PILLION_NOTIFY_URL"), variable("PILLION_NOTIFY_SLACK_URL"));
    let notifier = Notifier::new(client(Duration::from_secs(10)), plain.as_deref(), slack.as_deref());
    // A variable that is set to nothing is not set.
    let check_url = args.check_url.as_deref().filter(|url| !url.trim().is_empty());
    let check = match (&args.check_command, check_url) {
        (Some(_), Some(_)) => {
            return Err(usage("a program and an address are to be asked: keep --check-command or --check-url (PILLION_CHECK_URL)".to_owned()));
        }
        (Some(program), None) => Some(Check::Command {
            program: program.clone(),
            args: args.check_args.clone(),
            patience: args.check_patience,
        }),
        (None, Some(url)) => Some(Check::Url {
            address: Address::parse(url).map_err(|why| usage(format!("--check-url: {why}")))?,
            client: client(args.check_patience),
        }),
        (None, None) => None,
    };
    let forge: Option<Box<dyn Forge>> = if args.pull_request {
        let token = variable("PILLION_FORGE_TOKEN").or_else(|| variable("GITHUB_TOKEN")).unwrap_or_default();
        let remote = remote_url(opened);
        let github = GitHub::new(client(Duration::from_secs(30)), &remote, args.forge_url.as_deref(), &token);
        Some(Box::new(github.map_err(|failure| usage(failure.to_string()))?))
    } else {
        None
    };
    let notifier = Some(notifier.map_err(usage)?);
    let mut outside = Outside::new(BTreeMap::new(), super::clock::now);
    (outside.notifier, outside.check, outside.forge) = (notifier, check, forge);
    Ok(outside)
}

fn roots(file: &Path) -> Result<Roots, NoStart> {
    let read = fs::read(file).map_err(|error| error.to_string()).and_then(|pem| Roots::read(&pem));
    let wrong = |why| format!("--ca-file: `{}`: {why}: name a PEM file with certificates", file.display());
    read.map_err(|why| NoStart::Said(wrong(why), USAGE))
}

fn remote_url(opened: &Opened) -> String {
    opened.repository.remote_url(&opened.branches.remote).unwrap_or_default()
}

/// Waits until every cluster has told what it holds, or patience is over: then the evaluation says what is not known.
pub(super) fn settle(
    observers: &BTreeMap<Option<String>, Observer>,
    wakes: &Receiver<Wake>,
    patience: Duration,
) {
    let until = Instant::now() + patience;
    let is_known = |seen: Result<_, NoEvidence>| match seen {
        Ok(_) => true,
        // A refusal does not go away by waiting.
        Err(none) => none.failure.is_some_and(|failure| !failure.is_retryable()),
    };
    while !observers.values().all(|o| is_known(o.look())) {
        let rest = until.saturating_duration_since(Instant::now());
        if rest.is_zero() {
            return;
        }
        let _ = wakes.recv_timeout(rest.min(Duration::from_millis(500)));
    }
}

fn once(
    args: &WatchArgs,
    opened: &Opened,
    watching: &Watching,
    outside: &mut Outside,
    reporter: &mut Reporter,
) -> Result<u8, write::Failure> {
    let (_, never) = sync_channel(1);
    settle(&outside.observers, &never, args.patience);
    let mut heard = heard::Once::default();
    let not_applied = &mut NotApplied::new();
    let turn = watching.turn(&mut Work {
        opened,
        world: outside,
        not_applied,
        sound: &mut None,
        audience: &mut heard,
    });
    if let Some(why) = &heard.untold {
        reporter.say(&format!("pillion: {why}; the next run tells it"));
    }
    // They hold up nothing.
    reporter.add(
        std::mem::take(&mut heard.foreign)
            .into_iter()
            .map(|wrong| Diagnostic { severity: Severity::Warning, ..wrong }),
    );
    match turn {
        Ok(Turn::Settled(report)) => {
            to_stdout(&match args.output {
                Output::Text => heard.text(&report, args.dry_run),
                Output::Json => format!("{}\n", heard.json(&report)),
            })?;
            Ok(code(&report, heard.has_released()))
        }
        Ok(Turn::Refused(wrong)) => {
            let is_error = wrong.iter().any(Diagnostic::is_error);
            reporter.add(wrong);
            Ok(if is_error { FINDINGS } else { USAGE })
        }
        Err(Stopped::Git(failure)) => repository::settle(Err(failure), reporter),
        Err(failure) => {
            reporter.failure(&failure);
            Ok(if failure.is_retryable() { ENVIRONMENT } else { USAGE })
        }
    }
}

/// DESIGN.md 2: what is paused comes before what went on, and that before what waits.
fn code(report: &Report, has_released: bool) -> u8 {
    let has = |state: &str| report.items.iter().any(|i| i.state == state);
    let waits = report.items.iter().any(|i| i.decision == "Wait" || i.is_proposed);
    let is_unseen = report.now.is_none() && waits;
    if has("Paused") || report.items.iter().any(|i| i.decision == "Pause") {
        PAUSED
    } else if has_released {
        DONE
    } else if is_unseen {
        ENVIRONMENT
    } else if waits {
        WAITING
    } else {
        DONE
    }
}
