//! Observes a cluster through kube, read only: a snapshot of it, or the time and reason since when there is none.
//!
//! [`Observer::start`] reads and watches the lists of a snapshot, in tasks of a runtime that observers share;
//! [`Observer::snapshot`] is for other threads. A list that was not seen for longer than [`ObserverSettings::grace`]
//! is stale, and then there is no snapshot at all.

mod client;
mod discovery;
mod error;
mod injected_sets;
mod interner;
mod live_workload;
mod memory;
mod object_pages;
mod objects;
mod ownership;
mod parse;
mod set_pods;
mod stream;
mod wire;

pub use client::{KubeContext, ReadOnlyClient, ReadOnlyLayer};
pub use error::Error;
pub use memory::MemoryBudget;
pub(crate) use object_pages::read_object_pages;
pub use parse::{read_list_page, read_watch_line};
pub(crate) use tokio::runtime::Runtime;

use crate::backoff::Backoff;
use crate::watch::snapshot::{ObservationScope, Snapshot};
use client::ClientHandle;
use discovery::{DiscoveredLists, ListResource, discover_lists, rbac_role};
use jiff::Timestamp;
use objects::ObservedObject;
use ownership::build_snapshot;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use stream::{ListStream, StaleList, StreamContext};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

/// Timeouts and limits of an observer.
#[derive(Debug, Clone)]
pub struct ObserverSettings {
    /// How long a list may go unseen before it is stale.
    pub grace: Duration,
    /// Timeout of a response, and of each piece of it.
    pub timeout: Duration,
    /// Objects in a page of a list.
    pub page_size: u32,
    /// Duration of one watch; it limits how long a silently dead connection stays unnoticed.
    pub watch_duration: Duration,
    /// How long a watch without events must last to count as working.
    pub settle_time: Duration,
    /// The pause after a first error; it doubles.
    pub initial_backoff: Duration,
    /// The longest pause.
    pub max_backoff: Duration,
    /// The first pause before missing kinds are looked up again; it doubles, up to twenty times.
    pub rediscovery_interval: Duration,
    /// The memory limit; clusters with clones of these settings share it.
    pub memory: MemoryBudget,
}

impl Default for ObserverSettings {
    fn default() -> Self {
        Self {
            grace: Duration::from_secs(30),
            timeout: Duration::from_secs(10),
            page_size: 500,
            watch_duration: Duration::from_secs(60),
            settle_time: Duration::from_secs(1),
            initial_backoff: Duration::from_millis(500),
            max_backoff: Duration::from_secs(20),
            rediscovery_interval: Duration::from_secs(15),
            memory: MemoryBudget::default(),
        }
    }
}

impl ObserverSettings {
    fn backoff(&self) -> Backoff {
        Backoff::new(self.initial_backoff, self.max_backoff).with_jitter()
    }

    fn rediscovery_backoff(&self) -> Backoff {
        Backoff::new(self.rediscovery_interval, self.rediscovery_interval * 20).with_jitter()
    }
}

/// The view of a cluster is stale: some list was not seen for too long, or never.
#[derive(Debug, Clone, thiserror::Error)]
pub struct StaleData {
    /// What is not seen, and why.
    pub message: String,
    /// Since when, by this machine's clock.
    pub since: Instant,
    /// The error; None: the lists are being read for the first time.
    pub error: Option<Error>,
    /// The missing role as YAML, for a person to apply.
    pub role: Option<String>,
}

impl fmt::Display for StaleData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; no answer for {} s", self.message, self.since.elapsed().as_secs())?;
        if let Some(role) = &self.role {
            write!(f, "; apply the missing role:\n{role}")?;
        }
        Ok(())
    }
}

/// Builds the runtime of observers; keep it while they run.
///
/// # Errors
/// When the system gives no thread.
pub fn runtime() -> std::io::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).thread_name("observe").enable_all().build()
}

/// An observed cluster.
pub struct Observer {
    handle: Handle,
    shared: Arc<StreamContext>,
    state: Arc<ObserverState>,
    clock: Mutex<ServerClock>,
    task: JoinHandle<()>,
}

/// The observed lists.
struct ObserverState {
    scope: ObservationScope,
    lists: Mutex<ListStreams>,
}

#[derive(Default)]
struct ListStreams {
    streams: BTreeMap<ListResource, StreamTask>,
    /// Kinds that the cluster does not serve.
    missing: Vec<String>,
    /// Discovery has never succeeded: since when, and why.
    undiscovered: Option<(Instant, Option<Error>)>,
}

struct StreamTask {
    stream: Arc<ListStream>,
    task: JoinHandle<()>,
    /// Since when the cluster does not serve it.
    absent_since: Option<Instant>,
}

/// The API server's last time, and when it was requested.
#[derive(Default)]
struct ServerClock {
    last_answer: Option<(Timestamp, Instant)>,
    failing_since: Option<Instant>,
}

impl Observer {
    /// Starts to observe a cluster; without a context that is the kubeconfig's current one, or that of the pod.
    ///
    /// `wake` is called once when something changes, until the next snapshot; it must not block.
    ///
    /// # Errors
    /// When the configuration leads to no cluster. A cluster that is away is none: [`Self::snapshot`] tells.
    pub(crate) fn start(
        handle: &Handle,
        context: Option<&str>,
        scope: ObservationScope,
        settings: ObserverSettings,
        wake: impl Fn() + Send + Sync + 'static,
    ) -> Result<Self, Error> {
        let context = KubeContext { context: context.map(str::to_owned), ..KubeContext::default() };
        Self::start_at(handle, context, scope, settings, wake)
    }

    /// Like [`Self::start`], with an explicit configuration.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn start_at(
        handle: &Handle,
        context: KubeContext,
        scope: ObservationScope,
        settings: ObserverSettings,
        wake: impl Fn() + Send + Sync + 'static,
    ) -> Result<Self, Error> {
        let timeout = settings.timeout;
        let client_handle =
            block_on(handle, None, async move { ClientHandle::connect(context, timeout).await })??;
        let shared = Arc::new(StreamContext::new(client_handle, settings, Box::new(wake)));
        let lists = ListStreams { undiscovered: Some((Instant::now(), None)), ..ListStreams::default() };
        let state = Arc::new(ObserverState { scope, lists: Mutex::new(lists) });
        let task = handle.spawn(supervise(handle.clone(), Arc::clone(&shared), Arc::clone(&state)));
        Ok(Self { handle: handle.clone(), shared, state, clock: Mutex::default(), task })
    }

    /// Returns the cluster as it is now, or was when all of it was seen last. It requests the server's time first,
    /// which takes [`ObserverSettings::timeout`] at most. Do not call it from a thread of the runtime.
    ///
    /// # Errors
    /// When something that is needed was never read, or not seen for longer than [`ObserverSettings::grace`].
    pub fn snapshot(&self) -> Result<Snapshot, StaleData> {
        self.shared.reset_changed();
        let (server_time, at) = self.server_time()?;
        let grace = self.shared.settings.grace;
        let known = lock(&self.state.lists);
        if let Some((since, error)) = &known.undiscovered {
            let reason = error.as_ref().map_or_else(|| "not requested yet".to_owned(), ToString::to_string);
            let what = format!("discovery has not succeeded: {reason}");
            return Err(StaleData { message: what, since: *since, error: error.clone(), role: None });
        }
        let stale: Vec<StaleList> =
            known.streams.values().filter_map(|stream_task| stream_task.stream.staleness(grace)).collect();
        if !stale.is_empty() {
            return Err(stale_data(&stale, known.streams.keys()));
        }
        // The content of a lost list is unknown: a soak does not end while nothing is seen.
        let lost = known.streams.values().filter_map(|stream_task| stream_task.stream.lost_since()).min();
        let stale = lost.map_or(Duration::ZERO, |lost| at.saturating_duration_since(lost));
        let now = server_time.checked_sub(stale).unwrap_or(server_time);
        let items: Vec<ObservedObject> =
            known.streams.values().flat_map(|stream_task| stream_task.stream.items()).collect();
        drop(known);
        Ok(build_snapshot(items.iter(), now))
    }

    /// Returns the API server's time and when it was requested: now, or the last answer, for as long as
    /// [`ObserverSettings::grace`].
    fn server_time(&self) -> Result<(Timestamp, Instant), StaleData> {
        let shared = Arc::clone(&self.shared);
        let asked = Instant::now();
        let timeout = Some(self.shared.settings.timeout);
        let answer =
            block_on(&self.handle, timeout, async move { shared.client_handle.client().server_time().await });
        let mut clock = lock(&self.clock);
        match answer.and_then(|answer| answer) {
            Ok(time) => {
                *clock = ServerClock { last_answer: Some((time, asked)), failing_since: None };
                Ok((time, asked))
            }
            Err(error) => {
                let since = *clock.failing_since.get_or_insert(asked);
                if error.needs_new_client() {
                    self.shared.needs_new_client.store(true, Ordering::Release);
                    self.shared.rediscover.notify_one();
                }
                match clock.last_answer {
                    Some((time, at)) if at.elapsed() <= self.shared.settings.grace => Ok((time, at)),
                    _ => {
                        let message = match error {
                            Error::Unreachable { .. } => error.to_string(),
                            _ => format!("the API server's time is unknown: {error}"),
                        };
                        Err(StaleData { message, since, error: Some(error), role: None })
                    }
                }
            }
        }
    }

    /// Returns the kinds that the cluster does not serve (`CloneSet.apps.kruise.io`); they are looked up again.
    pub fn missing(&self) -> Vec<String> {
        lock(&self.state.lists).missing.clone()
    }
}

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Observer")
    }
}

impl Drop for Observer {
    fn drop(&mut self) {
        self.task.abort();
        for stream_task in lock(&self.state.lists).streams.values() {
            stream_task.task.abort();
        }
    }
}

/// Describes the stale lists in one sentence; the first error stands for all.
fn stale_data<'r>(stale: &[StaleList], lists: impl Iterator<Item = &'r ListResource>) -> StaleData {
    let is_forbidden = |u: &&StaleList| matches!(u.error, Some(Error::Forbidden { .. }));
    let forbidden: Vec<&StaleList> = stale.iter().filter(is_forbidden).collect();
    // An error that a person must fix comes before a transient one.
    let first = forbidden.first().copied().or_else(|| stale.iter().find(|u| u.error.is_some()));
    let since = stale.iter().map(|u| u.since).min().unwrap_or_else(Instant::now);
    let mut names: Vec<String> = Vec::new();
    for name in stale.iter().map(|u| u.resource.name()) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let names = names.join(", ");
    let error = first.and_then(|u| u.error.clone());
    let what = match &error {
        Some(error) => format!("not seen: {names}: {error}"),
        None => format!("still being read for the first time: {names}"),
    };
    let role = (!forbidden.is_empty()).then(|| rbac_role(lists));
    StaleData { message: what, since, error, role }
}

/// Keeps a stream for every list that is required and served.
async fn supervise(handle: Handle, shared: Arc<StreamContext>, state: Arc<ObserverState>) {
    let settings = shared.settings.clone();
    let mut backoff = settings.backoff();
    let mut rediscovery = settings.rediscovery_backoff();
    loop {
        if shared.needs_new_client.swap(false, Ordering::AcqRel) {
            shared.client_handle.renew().await;
        }
        let client = shared.client_handle.client();
        let wait = match discover_lists(&client, &state.scope).await {
            Ok(found) => {
                backoff.reset();
                let mut known = lock(&state.lists);
                if known.undiscovered.take().is_some() || known.missing != found.missing {
                    if !found.missing.is_empty() {
                        tracing::info!(missing = ?found.missing, "the cluster does not serve every kind");
                    }
                    rediscovery.reset();
                }
                match keep_streams(&mut known, found, &handle, &shared) {
                    true => settings.grace,
                    false => rediscovery.next_delay(Duration::ZERO),
                }
            }
            Err(error) => {
                report_undiscovered(error, &shared, &state);
                backoff.next_delay(Duration::ZERO)
            }
        };
        // Limits the rate of discovery.
        tokio::time::sleep(settings.initial_backoff.min(wait)).await;
        let _ = tokio::time::timeout(wait, shared.rediscover.notified()).await;
    }
}

/// Starts a stream for each list that is served, and ends those of lists that have been absent for long. Returns whether
/// one is absent.
fn keep_streams(
    known: &mut ListStreams,
    found: DiscoveredLists,
    handle: &Handle,
    shared: &Arc<StreamContext>,
) -> bool {
    known.missing = found.missing;
    known.streams.retain(|resource, stream_task| {
        if found.lists.contains_key(resource) {
            stream_task.absent_since = None;
            return true;
        }
        // A starting API server does not serve extensions at once.
        let absent_since = stream_task.absent_since.get_or_insert_with(Instant::now);
        let is_gone = absent_since.elapsed() > shared.settings.grace;
        if is_gone {
            stream_task.task.abort();
            shared.notify_changed();
        }
        !is_gone
    });
    for (resource, shape) in found.lists {
        known.streams.entry(resource).or_insert_with_key(|resource| {
            let stream = Arc::new(ListStream::new(resource.clone(), shape));
            let task = handle.spawn(Arc::clone(&stream).run(Arc::clone(shared)));
            StreamTask { stream, task, absent_since: None }
        });
    }
    known.streams.values().any(|stream_task| stream_task.absent_since.is_some())
}

/// Reports a new reason why the lists of the cluster are unknown.
fn report_undiscovered(error: Error, shared: &StreamContext, state: &ObserverState) {
    let is_new = match &mut lock(&state.lists).undiscovered {
        Some((_, reason)) => reason.replace(error.clone()).as_ref() != Some(&error),
        None => false,
    };
    if is_new {
        tracing::warn!(%error, "discovery of the cluster failed");
        shared.notify_changed();
    }
}

/// Runs a future on the runtime and waits for it, on a thread outside of the runtime.
fn block_on<T: Send + 'static>(
    handle: &Handle,
    timeout: Option<Duration>,
    work: impl Future<Output = T> + Send + 'static,
) -> Result<T, Error> {
    let (sender, receiver) = sync_channel(1);
    let task = handle.spawn(async move {
        let _ = sender.send(work.await);
    });
    let Some(timeout) = timeout else { return receiver.recv().map_err(|_| Error::RuntimeStopped) };
    receiver.recv_timeout(timeout).map_err(|error| {
        task.abort();
        match error {
            std::sync::mpsc::RecvTimeoutError::Timeout => {
                Error::Timeout { path: "/version".to_owned(), after: timeout }
            }
            std::sync::mpsc::RecvTimeoutError::Disconnected => Error::RuntimeStopped,
        }
    })
}

/// Locks a mutex. A thread that panicked leaves consistent state behind.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
