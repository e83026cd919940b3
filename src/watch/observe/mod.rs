//! A cluster, seen through kube and read only: what is there now, or since when and why that cannot be told.
//!
//! [`Observer::start`] reads and watches the lists that a snapshot takes, in tasks of a runtime that several observers
//! share; [`Observer::look`] is for threads that know nothing of it. What was not seen for longer than
//! [`Settings::grace`] is no evidence, and then there is no snapshot at all.

mod client;
mod failure;
mod gather;
mod interner;
mod kinds;
mod lean;
mod memory;
mod read;
mod stream;
mod wire;

pub use client::{Place, ReadOnly, RefuseWrites};
pub use failure::Failure;
pub use memory::Memory;
pub use read::{read_list_page, read_watch_line};
pub use tokio::runtime::Runtime;

use crate::watch::snapshot::{Snapshot, Wanted};
use client::Door;
use gather::gather;
use jiff::Timestamp;
use kinds::{Resource, discover, role};
use lean::Item;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use stream::{Pause, Shared, Stream, Unseen};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

/// How patient an observer is.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How long a list may go unseen before it is no evidence.
    pub grace: Duration,
    /// How long an answer, or the next piece of one, may take.
    pub time_out: Duration,
    /// Objects in a page of a list.
    pub page: u32,
    /// How long one watch goes on before it is asked for anew; it bounds how long a connection that died without a word
    /// stays unnoticed.
    pub watch: Duration,
    /// How long a watch without events must last to be believed.
    pub settled: Duration,
    /// The wait after a first failure; it doubles.
    pub first_pause: Duration,
    /// The longest wait.
    pub longest_pause: Duration,
    /// The first wait before a cluster is asked again for kinds that it did not serve; it doubles, to twenty times.
    pub missing: Duration,
    /// What lists may take; clusters whose settings are clones of each other share it.
    pub memory: Memory,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            grace: Duration::from_secs(30),
            time_out: Duration::from_secs(10),
            page: 500,
            watch: Duration::from_secs(60),
            settled: Duration::from_secs(1),
            first_pause: Duration::from_millis(500),
            longest_pause: Duration::from_secs(20),
            missing: Duration::from_secs(15),
            memory: Memory::default(),
        }
    }
}

/// The cluster cannot be judged by: something of it was not seen for too long, or never.
#[derive(Debug, Clone, thiserror::Error)]
pub struct NoEvidence {
    /// What is not seen, and why.
    pub what: String,
    /// Since when, by our own clock.
    pub since: Instant,
    /// What went wrong; None: the lists are still being read for the first time.
    pub failure: Option<Failure>,
    /// What a person can apply to end it: the role that is lacking, as YAML.
    pub role: Option<String>,
}

impl fmt::Display for NoEvidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no evidence for {} s: {}", self.since.elapsed().as_secs(), self.what)?;
        if let Some(role) = &self.role {
            write!(f, "; the role that is lacking:\n{role}")?;
        }
        Ok(())
    }
}

/// Makes the runtime that observers run on; keep it as long as they are.
///
/// # Errors
/// When the system gives no thread.
pub fn runtime() -> std::io::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).thread_name("observe").enable_all().build()
}

/// A cluster that is being watched.
pub struct Observer {
    handle: Handle,
    shared: Arc<Shared>,
    view: Arc<View>,
    clock: Mutex<Clock>,
    task: JoinHandle<()>,
}

/// What is watched.
struct View {
    wanted: Wanted,
    known: Mutex<Lists>,
}

#[derive(Default)]
struct Lists {
    streams: BTreeMap<Resource, Watched>,
    /// Kinds that the cluster does not serve.
    missing: Vec<String>,
    /// The cluster has never said what it serves, since and why.
    undiscovered: Option<(Instant, Option<Failure>)>,
}

struct Watched {
    stream: Arc<Stream>,
    task: JoinHandle<()>,
    /// Since when the cluster does not serve it.
    absent: Option<Instant>,
}

/// What the API server said of the time, and when.
#[derive(Default)]
struct Clock {
    said: Option<(Timestamp, Instant)>,
    failing: Option<Instant>,
}

impl Observer {
    /// Begins to read and watch a cluster; None is the kubeconfig's current context, or that of the pod we run in.
    ///
    /// `wake` is called when something changed, once until the next look; it must not block.
    ///
    /// # Errors
    /// When the configuration leads to no cluster. A cluster that is away is none: [`Self::look`] tells.
    pub fn start(
        handle: &Handle,
        context: Option<&str>,
        wanted: Wanted,
        settings: Settings,
        wake: impl Fn() + Send + Sync + 'static,
    ) -> Result<Self, Failure> {
        let place = Place { context: context.map(str::to_owned), ..Place::default() };
        Self::start_at(handle, place, wanted, settings, wake)
    }

    /// As [`Self::start`], with everything named.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn start_at(
        handle: &Handle,
        place: Place,
        wanted: Wanted,
        settings: Settings,
        wake: impl Fn() + Send + Sync + 'static,
    ) -> Result<Self, Failure> {
        let time_out = settings.time_out;
        let door = wait_for(handle, None, async move { Door::open(place, time_out).await })??;
        let shared = Arc::new(Shared::new(door, settings, Box::new(wake)));
        let lists = Lists { undiscovered: Some((Instant::now(), None)), ..Lists::default() };
        let view = Arc::new(View { wanted, known: Mutex::new(lists) });
        let task = handle.spawn(supervise(handle.clone(), Arc::clone(&shared), Arc::clone(&view)));
        Ok(Self { handle: handle.clone(), shared, view, clock: Mutex::default(), task })
    }

    /// Returns what the cluster looks like now, or looked like when all of it was seen last. It asks for the server's time first, which takes [`Settings::time_out`]
    /// at most; call it from no thread of the runtime.
    ///
    /// # Errors
    /// When something that is needed was never read, or not seen for longer than [`Settings::grace`].
    pub fn look(&self) -> Result<Snapshot, NoEvidence> {
        self.shared.looked();
        let (said, at) = self.time()?;
        let grace = self.shared.settings.grace;
        let known = locked(&self.view.known);
        if let Some((since, failure)) = &known.undiscovered {
            let why = failure.as_ref().map_or_else(|| "it was not asked yet".to_owned(), ToString::to_string);
            let what = format!("what the cluster serves is not known: {why}");
            return Err(NoEvidence { what, since: *since, failure: failure.clone(), role: None });
        }
        let unseen: Vec<Unseen> =
            known.streams.values().filter_map(|watched| watched.stream.unseen(grace)).collect();
        if !unseen.is_empty() {
            return Err(no_evidence(&unseen, known.streams.keys()));
        }
        // What a list held after it was lost is not known: a soak does not end while nobody looks.
        let lost = known.streams.values().filter_map(|watched| watched.stream.lost()).min();
        let unseen = lost.map_or(Duration::ZERO, |lost| at.saturating_duration_since(lost));
        let now = said.checked_sub(unseen).unwrap_or(said);
        let items: Vec<Item> = known.streams.values().flat_map(|watched| watched.stream.items()).collect();
        drop(known);
        Ok(gather(items.iter(), now))
    }

    /// Returns the API server's time and when it was asked for: now, or where that fails the last answer, for as long as
    /// [`Settings::grace`].
    fn time(&self) -> Result<(Timestamp, Instant), NoEvidence> {
        let shared = Arc::clone(&self.shared);
        let asked = Instant::now();
        let time_out = Some(self.shared.settings.time_out);
        let answer = wait_for(&self.handle, time_out, async move { shared.door.client().time().await });
        let mut clock = locked(&self.clock);
        match answer.and_then(|answer| answer) {
            Ok(time) => {
                *clock = Clock { said: Some((time, asked)), failing: None };
                Ok((time, asked))
            }
            Err(failure) => {
                let since = *clock.failing.get_or_insert(asked);
                if failure.is_of_client() {
                    self.shared.is_refused.store(true, Ordering::Release);
                    self.shared.look_again.notify_one();
                }
                match clock.said {
                    Some(said) if said.1.elapsed() <= self.shared.settings.grace => Ok(said),
                    _ => {
                        let what = format!("the API server does not say what time it is: {failure}");
                        Err(NoEvidence { what, since, failure: Some(failure), role: None })
                    }
                }
            }
        }
    }

    /// Returns the wanted kinds that the cluster does not serve (`CloneSet.apps.kruise.io`); it is asked again for them.
    pub fn missing(&self) -> Vec<String> {
        locked(&self.view.known).missing.clone()
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
        for watched in locked(&self.view.known).streams.values() {
            watched.task.abort();
        }
    }
}

/// Says in one sentence what is not seen; the first failure stands for all of its kind.
fn no_evidence<'r>(unseen: &[Unseen], lists: impl Iterator<Item = &'r Resource>) -> NoEvidence {
    let is_forbidden = |u: &&Unseen| matches!(u.failure, Some(Failure::Forbidden { .. }));
    let forbidden: Vec<&Unseen> = unseen.iter().filter(is_forbidden).collect();
    // What a person must do comes before what passes.
    let first = forbidden.first().copied().or_else(|| unseen.iter().find(|u| u.failure.is_some()));
    let since = unseen.iter().map(|u| u.since).min().unwrap_or_else(Instant::now);
    let mut names: Vec<String> = Vec::new();
    for name in unseen.iter().map(|u| u.resource.name()) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let names = names.join(", ");
    let failure = first.and_then(|u| u.failure.clone());
    let what = match &failure {
        Some(failure) => format!("not seen: {names}: {failure}"),
        None => format!("still being read for the first time: {names}"),
    };
    let role = (!forbidden.is_empty()).then(|| role(lists));
    NoEvidence { what, since, failure, role }
}

/// Keeps a stream for every list that is needed and served.
async fn supervise(handle: Handle, shared: Arc<Shared>, view: Arc<View>) {
    let settings = shared.settings.clone();
    let mut pause = Pause::new(&settings);
    let mut rare = Pause::between(settings.missing, settings.missing * 20);
    loop {
        if shared.is_refused.swap(false, Ordering::AcqRel) {
            shared.door.renew().await;
        }
        let client = shared.door.client();
        let wait = match discover(&client, &view.wanted).await {
            Ok(found) => {
                pause.reset();
                let mut known = locked(&view.known);
                if known.undiscovered.take().is_some() || known.missing != found.missing {
                    if !found.missing.is_empty() {
                        tracing::info!(missing = ?found.missing, "the cluster does not serve every kind");
                    }
                    rare = Pause::between(settings.missing, settings.missing * 20);
                }
                known.missing = found.missing;
                known.streams.retain(|resource, watched| {
                    if found.lists.contains_key(resource) {
                        watched.absent = None;
                        return true;
                    }
                    // An API server that starts does not serve at once what it is extended with.
                    let is_gone = watched.absent.get_or_insert_with(Instant::now).elapsed() > settings.grace;
                    if is_gone {
                        watched.task.abort();
                        shared.changed();
                    }
                    !is_gone
                });
                for (resource, shape) in found.lists {
                    known.streams.entry(resource).or_insert_with_key(|resource| {
                        let stream = Arc::new(Stream::new(resource.clone(), shape));
                        let task = handle.spawn(Arc::clone(&stream).run(Arc::clone(&shared)));
                        Watched { stream, task, absent: None }
                    });
                }
                let is_leaving = known.streams.values().any(|watched| watched.absent.is_some());
                drop(known);
                if is_leaving { settings.grace } else { rare.step() }
            }
            Err(failure) => {
                let mut known = locked(&view.known);
                let is_new = match &mut known.undiscovered {
                    Some((_, why)) => why.replace(failure.clone()).as_ref() != Some(&failure),
                    None => false,
                };
                drop(known);
                if is_new {
                    tracing::warn!(%failure, "the cluster does not say what it serves");
                    shared.changed();
                }
                pause.step()
            }
        };
        // However often something asks for it, not more often than this.
        tokio::time::sleep(settings.first_pause.min(wait)).await;
        let _ = tokio::time::timeout(wait, shared.look_again.notified()).await;
    }
}

/// Runs something on the runtime and waits for it, on a thread that is not of the runtime.
fn wait_for<T: Send + 'static>(
    handle: &Handle,
    time_out: Option<Duration>,
    work: impl Future<Output = T> + Send + 'static,
) -> Result<T, Failure> {
    let (sender, receiver) = sync_channel(1);
    let task = handle.spawn(async move {
        let _ = sender.send(work.await);
    });
    let Some(time_out) = time_out else { return receiver.recv().map_err(|_| Failure::Ended) };
    receiver.recv_timeout(time_out).map_err(|error| {
        task.abort();
        match error {
            std::sync::mpsc::RecvTimeoutError::Timeout => {
                Failure::Slow { path: "/version".to_owned(), after: time_out }
            }
            std::sync::mpsc::RecvTimeoutError::Disconnected => Failure::Ended,
        }
    })
}

/// A lock; what a thread that ended left behind is whole, because nothing in here ends half way.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
