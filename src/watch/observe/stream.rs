//! One list that is read and then watched: what is there, and do we still see it?

use super::client::{Door, Lines, quoted};
use super::failure::Failure;
use super::interner::Interner;
use super::kinds::Resource;
use super::lean::{Item, Shape, place_of, read};
use super::memory::{Part, Reading};
use super::read::is_object;
use super::wire::{Event, Page, Status};
use super::{Settings, locked};
use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, Hasher as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, Semaphore};

/// Objects, by namespace and name.
type Items = BTreeMap<(Arc<str>, Arc<str>), Item>;

/// What all streams of a cluster share.
pub(super) struct Shared {
    pub(super) door: Door,
    pub(super) settings: Settings,
    pub(super) texts: Mutex<Interner>,
    /// Something changed since the last look.
    changed: AtomicBool,
    wake: Box<dyn Fn() + Send + Sync>,
    /// A list is gone, or credentials ran out: look again at what there is.
    pub(super) look_again: Notify,
    pub(super) is_refused: AtomicBool,
    /// Long pages are read one at a time.
    turns: Semaphore,
}

/// How long it may take to read a list: API servers forget where a reader was after five minutes.
const LONGEST_LIST: Duration = Duration::from_secs(600);

impl Shared {
    pub(super) fn new(door: Door, settings: Settings, wake: Box<dyn Fn() + Send + Sync>) -> Self {
        Self {
            door,
            settings,
            texts: Mutex::default(),
            changed: AtomicBool::new(false),
            wake,
            look_again: Notify::new(),
            is_refused: AtomicBool::new(false),
            turns: Semaphore::new(1),
        }
    }

    /// Wakes who waits for a change; once, until somebody looks.
    pub(super) fn changed(&self) {
        if !self.changed.swap(true, Ordering::AcqRel) {
            (self.wake)();
        }
    }

    /// Somebody looks.
    pub(super) fn looked(&self) {
        self.changed.store(false, Ordering::Release);
    }
}

/// What is known of one list.
pub(super) struct Stream {
    pub(super) resource: Resource,
    pub(super) shape: Shape,
    state: Mutex<Known>,
}

struct Known {
    items: Items,
    /// The memory that they take.
    part: Option<Part>,
    /// The whole list was read.
    is_listed: bool,
    /// Since when it is not seen, and why not. None: it is seen.
    trouble: Option<(Instant, Option<Failure>)>,
}

/// A list that is not seen.
pub(super) struct Unseen {
    pub(super) resource: Resource,
    pub(super) since: Instant,
    /// None: it is still being read.
    pub(super) failure: Option<Failure>,
}

impl Stream {
    pub(super) fn new(resource: Resource, shape: Shape) -> Self {
        let trouble = Some((Instant::now(), None));
        Self {
            resource,
            shape,
            state: Mutex::new(Known { items: Items::new(), part: None, is_listed: false, trouble }),
        }
    }

    /// Says why this list is no evidence.
    pub(super) fn unseen(&self, grace: Duration) -> Option<Unseen> {
        let known = locked(&self.state);
        let (since, failure) = known.trouble.as_ref()?;
        let is_bad = !known.is_listed || since.elapsed() > grace;
        let unseen = || Unseen { resource: self.resource.clone(), since: *since, failure: failure.clone() };
        is_bad.then(unseen)
    }

    /// Since when it is not seen.
    pub(super) fn lost(&self) -> Option<Instant> {
        locked(&self.state).trouble.as_ref().map(|(since, _)| *since)
    }

    pub(super) fn items(&self) -> Vec<Item> {
        locked(&self.state).items.values().cloned().collect()
    }

    /// The list is seen, as of now.
    fn is_seen(&self, shared: &Shared) {
        if locked(&self.state).trouble.take().is_some() {
            shared.changed();
        }
    }

    /// It is not seen, from the first of several failures on.
    fn fails(&self, failure: Failure, shared: &Shared) {
        match &failure {
            Failure::NotFound { .. } => shared.look_again.notify_one(),
            failure if failure.is_of_client() => {
                shared.is_refused.store(true, Ordering::Release);
                shared.look_again.notify_one();
            }
            _ => {}
        }
        let mut known = locked(&self.state);
        let since = known.trouble.as_ref().map_or_else(Instant::now, |(since, _)| *since);
        let is_new = known.trouble.as_ref().is_none_or(|(_, f)| f.as_ref() != Some(&failure));
        if is_new && failure != Failure::Expired {
            tracing::warn!(list = %self.resource.path(), %failure, "a list of the cluster is not seen");
        }
        known.trouble = Some((since, Some(failure)));
        drop(known);
        if is_new {
            shared.changed();
        }
    }

    /// Reads and watches, for ever.
    pub(super) async fn run(self: Arc<Self>, shared: Arc<Shared>) {
        let mut pause = Pause::new(&shared.settings);
        let (mut is_paged, mut page) = (true, shared.settings.page);
        loop {
            let list = self.list(&shared, is_paged.then_some(page), page);
            let slow = || Failure::Slow { path: self.resource.path(), after: LONGEST_LIST };
            let list = tokio::time::timeout(LONGEST_LIST, list).await.unwrap_or_else(|_| Err(slow()));
            let mut version = match list {
                Ok(version) => version,
                Err(failure) => {
                    if matches!(failure, Failure::TooLong { .. }) {
                        page = (page / 4).max(1);
                    }
                    // Pages that expire while they are read are too many for this server: all at once, then.
                    is_paged = failure != Failure::Expired || !is_paged;
                    pause.heed(&failure);
                    self.fails(failure, &shared);
                    pause.wait().await;
                    continue;
                }
            };
            is_paged = true;
            loop {
                let begun = Instant::now();
                let mut seen = 0_usize;
                let ended = self.watch(&shared, &mut version, &mut seen).await;
                let is_long = begun.elapsed() >= shared.settings.settled;
                if seen > 0 || is_long {
                    pause.reset();
                }
                match ended {
                    // The server ends every watch some time.
                    Ok(()) if is_long => {}
                    Ok(()) => pause.wait().await,
                    Err(failure) => {
                        let is_lost = matches!(
                            failure,
                            Failure::Expired | Failure::Garbage { .. } | Failure::TooMuch { .. }
                        );
                        pause.heed(&failure);
                        self.fails(failure, &shared);
                        pause.wait().await;
                        if is_lost {
                            break;
                        }
                    }
                }
            }
        }
    }

    /// Puts the verb and the list into a refusal.
    fn named(&self, verb: &'static str, failure: Failure) -> Failure {
        match failure {
            Failure::Forbidden { message, .. } => Failure::Forbidden {
                verb,
                resource: self.resource.name(),
                namespace: self.resource.namespace.clone(),
                message,
            },
            other => other,
        }
    }

    /// Reads the list, page by page, and returns its version. Of a server that goes on without end, only what fits
    /// into the memory of lists is read.
    async fn list(&self, shared: &Shared, first: Option<u32>, further: u32) -> Result<String, Failure> {
        let path = self.resource.path();
        let mut items = Items::new();
        let mut reading = Reading::new(&path, &shared.settings.memory);
        let mut query = first.map_or_else(String::new, |limit| format!("?limit={limit}"));
        loop {
            let client = shared.door.client();
            let page = client.page(&format!("{path}{query}"), &shared.turns).await;
            let (text, _turn) = page.map_err(|f| self.named("list", f))?;
            let page: Page<'_> = serde_json::from_slice(&text).map_err(|e| Failure::garbage(&path, e))?;
            // An answer of something in between must not pass for an empty list.
            let version = page.metadata.resource_version.as_str();
            if !page.kind.as_str().ends_with("List") || version.is_empty() {
                return Err(Failure::garbage(&path, "it is no list"));
            }
            {
                let known = locked(&self.state);
                let mut texts = locked(&shared.texts);
                for json in page.items.iter().flatten() {
                    is_object(&path, json)?;
                    let item = read(&self.shape, json, &mut texts).map_err(|e| Failure::garbage(&path, e))?;
                    let place = item.place();
                    // What is known already is not kept twice while a list is read again.
                    let item = match known.items.get_key_value(&place) {
                        Some((place, old)) if old.is_like(&item) => {
                            reading.adds_known(old.size());
                            (place.clone(), old.clone())
                        }
                        _ => {
                            reading.adds(item.size())?;
                            (place, item)
                        }
                    };
                    items.insert(item.0, item.1);
                }
            }
            if page.metadata.next.as_str().is_empty() {
                let version = version.to_owned();
                let mut known = locked(&self.state);
                known.items = items;
                known.part = Some(reading.done());
                known.is_listed = true;
                known.trouble = None;
                drop(known);
                shared.changed();
                return Ok(version);
            }
            let next = page.metadata.next.as_str();
            reading.goes_on(next, items.len())?;
            query = format!("?limit={further}&continue={}", quoted(next));
        }
    }

    /// Follows the list from a version on, until the server ends it.
    async fn watch(&self, shared: &Shared, version: &mut String, seen: &mut usize) -> Result<(), Failure> {
        let path = self.resource.path();
        let seconds = shared.settings.watch.mul_f64(0.75 + chance() / 4.0).as_secs().max(1);
        let query = format!(
            "?watch=1&allowWatchBookmarks=true&timeoutSeconds={seconds}&resourceVersion={}",
            quoted(version)
        );
        let client = shared.door.client();
        let answer = client.get(&format!("{path}{query}")).await.map_err(|f| self.named("watch", f))?;
        let mut lines = Lines::new(&path, answer.into_body());
        // A connection that died without a word is not waited for longer than the server would have gone on.
        let last = tokio::time::Instant::now() + Duration::from_secs(seconds) + shared.settings.time_out;
        let settled = tokio::time::Instant::now() + shared.settings.settled;
        let mut is_seen = false;
        loop {
            let until = if is_seen { last } else { settled };
            let line = match tokio::time::timeout_at(until, lines.next()).await {
                Ok(line) => line?,
                Err(_) if !is_seen => {
                    is_seen = true;
                    self.is_seen(shared);
                    continue;
                }
                Err(_) => return Err(Failure::Slow { path, after: shared.settings.watch }),
            };
            let Some(line) = line else {
                // Something in between that ends every watch at once would hide every change.
                let early = || Failure::Unreachable { reason: "the watch ended at once".to_owned() };
                return if is_seen { Ok(()) } else { Err(early()) };
            };
            self.event(&path, line, version, shared)?;
            *seen += 1;
            if !is_seen {
                is_seen = true;
                self.is_seen(shared);
            }
        }
    }

    fn event(&self, path: &str, line: &[u8], version: &mut String, shared: &Shared) -> Result<(), Failure> {
        let garbage = |error: serde_json::Error| Failure::garbage(path, error);
        let event: Event<'_> = serde_json::from_slice(line).map_err(garbage)?;
        if event.kind.as_str() == "ERROR" {
            let status: Status<'_> = serde_json::from_str(event.object.get()).unwrap_or_default();
            return Err(match status.code {
                410 => Failure::Expired,
                401 => Failure::Unauthorized,
                403 => self.named(
                    "watch",
                    Failure::Forbidden {
                        verb: "watch",
                        resource: String::new(),
                        namespace: None,
                        message: status.message.as_str().to_owned(),
                    },
                ),
                code => Failure::Status {
                    path: path.to_owned(),
                    status: code,
                    message: status.message.as_str().to_owned(),
                },
            });
        }
        is_object(path, event.object)?;
        let (namespace, name, at) = place_of(event.object).map_err(garbage)?;
        match event.kind.as_str() {
            "BOOKMARK" => {}
            "ADDED" | "MODIFIED" => {
                let item = read(&self.shape, event.object, &mut locked(&shared.texts)).map_err(garbage)?;
                let mut known = locked(&self.state);
                let place = item.place();
                let old = known.items.get(&place);
                let is_new = old.is_none_or(|old| !old.is_like(&item));
                if is_new {
                    let (before, after) = (old.map_or(0, Item::size), item.size());
                    if let Some(part) = &mut known.part {
                        part.changes(before, after)?;
                    }
                    known.items.insert(place, item);
                }
                drop(known);
                if is_new {
                    shared.changed();
                }
            }
            "DELETED" => {
                let mut known = locked(&self.state);
                let removed = known.items.remove(&(namespace, name));
                if let (Some(part), Some(item)) = (&mut known.part, &removed) {
                    part.changes(item.size(), 0)?;
                }
                drop(known);
                if removed.is_some() {
                    shared.changed();
                }
            }
            other => return Err(Failure::garbage(path, format!("an event of type `{other}`"))),
        }
        if !at.is_empty() {
            *version = at;
        }
        Ok(())
    }
}

/// A number from 0 to 1, another one each time.
fn chance() -> f64 {
    let number = std::hash::RandomState::new().build_hasher().finish();
    f64::from(u32::try_from(number >> 32).unwrap_or(0)) / f64::from(u32::MAX)
}

/// Longer and longer waits.
pub(super) struct Pause {
    first: Duration,
    longest: Duration,
    next: Duration,
    at_least: Duration,
}

impl Pause {
    pub(super) fn new(settings: &Settings) -> Self {
        Self::between(settings.first_pause, settings.longest_pause)
    }

    pub(super) fn between(first: Duration, longest: Duration) -> Self {
        Self { first, longest, next: first, at_least: Duration::ZERO }
    }

    pub(super) fn reset(&mut self) {
        self.next = self.first;
    }

    /// Heeds what the server asked for.
    fn heed(&mut self, failure: &Failure) {
        if let Failure::Throttled { after: Some(after) } = failure {
            self.at_least = (*after).min(self.longest);
        }
    }

    /// Returns how long to wait now.
    pub(super) fn step(&mut self) -> Duration {
        let wait = self.next.mul_f64(0.5 + chance() / 2.0).max(self.at_least);
        self.next = (self.next * 2).min(self.longest);
        self.at_least = Duration::ZERO;
        wait
    }

    async fn wait(&mut self) {
        tokio::time::sleep(self.step()).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_bound_and_begin_anew() {
        let (first, longest) = (Duration::from_millis(100), Duration::from_secs(2));
        let mut pause = Pause::between(first, longest);
        let waits: Vec<Duration> = (0..10).map(|_| pause.step()).collect();
        assert!(waits[0] >= first / 2 && waits[0] <= first);
        assert!(waits[9] >= longest / 2 && waits[9] <= longest);
        pause.reset();
        assert!(pause.step() <= first);
        pause.at_least = Duration::from_secs(1);
        assert!(pause.step() >= Duration::from_secs(1));
    }

    #[test]
    fn chance_is_a_share() {
        for _ in 0..100 {
            assert!((0.0..=1.0).contains(&chance()));
        }
    }
}
