//! Lists and watches one resource, and records whether it is still seen.

use super::client::{ClientHandle, WatchLines};
use super::discovery::ListResource;
use super::error::Error;
use super::interner::Interner;
use super::memory::{ListRead, MemoryReservation};
use super::objects::{ObjectShape, ObservedObject, read_identity, read_object};
use super::parse::check_object_size;
use super::wire::{ListPageWire, WatchEventWire, WatchStatusWire};
use super::{ObserverSettings, lock};
use crate::backoff::random_fraction;
use crate::watch::http_client::percent_encode;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, Semaphore};

/// Objects, by namespace and name.
type ObjectMap = BTreeMap<(Arc<str>, Arc<str>), ObservedObject>;

/// What all streams of a cluster share.
pub(super) struct StreamContext {
    pub(super) client_handle: ClientHandle,
    pub(super) settings: ObserverSettings,
    pub(super) texts: Mutex<Interner>,
    /// Something has changed since the last snapshot.
    has_changed: AtomicBool,
    wake: Box<dyn Fn() + Send + Sync>,
    /// Requests a new discovery: a list is gone, or credentials expired.
    pub(super) rediscover: Notify,
    pub(super) needs_new_client: AtomicBool,
    /// Long pages are read one at a time.
    page_turns: Semaphore,
}

/// Timeout of a whole list: API servers forget a reader's position after five minutes.
const LIST_TIMEOUT: Duration = Duration::from_secs(600);

impl StreamContext {
    pub(super) fn new(
        client_handle: ClientHandle,
        settings: ObserverSettings,
        wake: Box<dyn Fn() + Send + Sync>,
    ) -> Self {
        Self {
            client_handle,
            settings,
            texts: Mutex::default(),
            has_changed: AtomicBool::new(false),
            wake,
            rediscover: Notify::new(),
            needs_new_client: AtomicBool::new(false),
            page_turns: Semaphore::new(1),
        }
    }

    /// Wakes the waiting loop, once until the next snapshot.
    pub(super) fn notify_changed(&self) {
        if !self.has_changed.swap(true, Ordering::AcqRel) {
            (self.wake)();
        }
    }

    /// A snapshot is taken.
    pub(super) fn reset_changed(&self) {
        self.has_changed.store(false, Ordering::Release);
    }
}

/// The state of one list.
pub(super) struct ListStream {
    pub(super) resource: ListResource,
    pub(super) shape: ObjectShape,
    state: Mutex<ListState>,
}

struct ListState {
    items: ObjectMap,
    /// The memory of the objects.
    reservation: Option<MemoryReservation>,
    /// Whether the whole list was read.
    is_listed: bool,
    /// Since when it is not seen, and why. None: it is seen.
    stale_since: Option<(Instant, Option<Error>)>,
}

/// A list that is not seen.
pub(super) struct StaleList {
    pub(super) resource: ListResource,
    pub(super) since: Instant,
    /// None: it is still being read.
    pub(super) error: Option<Error>,
}

impl ListStream {
    pub(super) fn new(resource: ListResource, shape: ObjectShape) -> Self {
        let trouble = Some((Instant::now(), None));
        Self {
            resource,
            shape,
            state: Mutex::new(ListState {
                items: ObjectMap::new(),
                reservation: None,
                is_listed: false,
                stale_since: trouble,
            }),
        }
    }

    /// Returns why this list is stale, if it is.
    pub(super) fn staleness(&self, grace: Duration) -> Option<StaleList> {
        let known = lock(&self.state);
        let (since, error) = known.stale_since.as_ref()?;
        let is_bad = !known.is_listed || since.elapsed() > grace;
        let unseen = || StaleList { resource: self.resource.clone(), since: *since, error: error.clone() };
        is_bad.then(unseen)
    }

    /// Returns since when it is not seen.
    pub(super) fn lost_since(&self) -> Option<Instant> {
        lock(&self.state).stale_since.as_ref().map(|(since, _)| *since)
    }

    pub(super) fn items(&self) -> Vec<ObservedObject> {
        lock(&self.state).items.values().cloned().collect()
    }

    /// Marks the list as seen now.
    fn mark_seen(&self, shared: &StreamContext) {
        if lock(&self.state).stale_since.take().is_some() {
            shared.notify_changed();
        }
    }

    /// Marks the list as not seen, since the first of several errors.
    fn record_error(&self, error: Error, shared: &StreamContext) {
        match &error {
            Error::NotFound { .. } => shared.rediscover.notify_one(),
            error if error.needs_new_client() => {
                shared.needs_new_client.store(true, Ordering::Release);
                shared.rediscover.notify_one();
            }
            _ => {}
        }
        let mut known = lock(&self.state);
        let since = known.stale_since.as_ref().map_or_else(Instant::now, |(since, _)| *since);
        let is_new = known.stale_since.as_ref().is_none_or(|(_, f)| f.as_ref() != Some(&error));
        if is_new && error != Error::Expired {
            tracing::warn!(list = %self.resource.path(), %error, "a list of the cluster is stale");
        }
        known.stale_since = Some((since, Some(error)));
        drop(known);
        if is_new {
            shared.notify_changed();
        }
    }

    /// Lists and watches in a loop.
    pub(super) async fn run(self: Arc<Self>, shared: Arc<StreamContext>) {
        let mut backoff = shared.settings.backoff();
        let (mut is_paged, mut page) = (true, shared.settings.page_size);
        loop {
            let list = self.read_list(&shared, is_paged.then_some(page), page);
            let slow = || Error::Timeout { path: self.resource.path(), after: LIST_TIMEOUT };
            let list = tokio::time::timeout(LIST_TIMEOUT, list).await.unwrap_or_else(|_| Err(slow()));
            let mut version = match list {
                Ok(version) => version,
                Err(error) => {
                    if matches!(error, Error::ResponseTooLarge { .. }) {
                        page = (page / 4).max(1);
                    }
                    // If pages expire while they are read, the next list is read in one page.
                    is_paged = error != Error::Expired || !is_paged;
                    let at_least = error.retry_after();
                    self.record_error(error, &shared);
                    tokio::time::sleep(backoff.next_delay(at_least)).await;
                    continue;
                }
            };
            is_paged = true;
            loop {
                let begun = Instant::now();
                let mut seen = 0_usize;
                let ended = self.watch(&shared, &mut version, &mut seen).await;
                let is_long = begun.elapsed() >= shared.settings.settle_time;
                if seen > 0 || is_long {
                    backoff.reset();
                }
                match ended {
                    // The server ends every watch at some time.
                    Ok(()) if is_long => {}
                    Ok(()) => tokio::time::sleep(backoff.next_delay(Duration::ZERO)).await,
                    Err(error) => {
                        let is_lost = matches!(
                            error,
                            Error::Expired | Error::InvalidResponse { .. } | Error::MemoryExceeded { .. }
                        );
                        let at_least = error.retry_after();
                        self.record_error(error, &shared);
                        tokio::time::sleep(backoff.next_delay(at_least)).await;
                        if is_lost {
                            break;
                        }
                    }
                }
            }
        }
    }

    /// Adds the verb and the list to a 403 error.
    fn with_verb(&self, verb: &'static str, error: Error) -> Error {
        match error {
            Error::Forbidden { message, .. } => Error::Forbidden {
                verb,
                resource: self.resource.name(),
                namespace: self.resource.namespace.clone(),
                message,
            },
            other => other,
        }
    }

    /// Reads the list page by page and returns its version. The memory limit bounds a list that never ends.
    async fn read_list(
        &self,
        shared: &StreamContext,
        first: Option<u32>,
        further: u32,
    ) -> Result<String, Error> {
        let path = self.resource.path();
        let mut items = ObjectMap::new();
        let mut reading = ListRead::new(&path, &shared.settings.memory);
        let mut query = first.map_or_else(String::new, |limit| format!("?limit={limit}"));
        loop {
            let client = shared.client_handle.client();
            let page = client.read_page(&format!("{path}{query}"), &shared.page_turns).await;
            let (text, _turn) = page.map_err(|f| self.with_verb("list", f))?;
            let page: ListPageWire<'_> =
                serde_json::from_slice(&text).map_err(|e| Error::invalid_response(&path, e))?;
            // A proxy's answer must not count as an empty list.
            let version = page.metadata.resource_version.as_str();
            if !page.kind.as_str().ends_with("List") || version.is_empty() {
                return Err(Error::invalid_response(&path, "it is not a list"));
            }
            {
                let known = lock(&self.state);
                let mut texts = lock(&shared.texts);
                for json in page.items.iter().flatten() {
                    check_object_size(&path, json)?;
                    let item = read_object(&self.shape, json, &mut texts)
                        .map_err(|e| Error::invalid_response(&path, e))?;
                    let key = item.namespaced_name();
                    // Known objects are kept once while a list is read again.
                    let item = match known.items.get_key_value(&key) {
                        Some((key, old)) if old.is_equivalent(&item) => {
                            reading.add_known(old.memory_size());
                            (key.clone(), old.clone())
                        }
                        _ => {
                            reading.add_new(item.memory_size())?;
                            (key, item)
                        }
                    };
                    items.insert(item.0, item.1);
                }
            }
            if page.metadata.continue_token.as_str().is_empty() {
                let version = version.to_owned();
                let mut known = lock(&self.state);
                known.items = items;
                known.reservation = Some(reading.finish());
                known.is_listed = true;
                known.stale_since = None;
                drop(known);
                shared.notify_changed();
                return Ok(version);
            }
            let next = page.metadata.continue_token.as_str();
            reading.next_page(next, items.len())?;
            query = format!("?limit={further}&continue={}", percent_encode(next, ""));
        }
    }

    /// Follows the list from a version on, until the server ends the watch.
    async fn watch(
        &self,
        shared: &StreamContext,
        version: &mut String,
        seen: &mut usize,
    ) -> Result<(), Error> {
        let path = self.resource.path();
        let seconds = shared.settings.watch_duration.mul_f64(0.75 + random_fraction() / 4.0).as_secs().max(1);
        let query = format!(
            "?watch=1&allowWatchBookmarks=true&timeoutSeconds={seconds}&resourceVersion={}",
            percent_encode(version, "")
        );
        let client = shared.client_handle.client();
        let response = client.get(&format!("{path}{query}")).await.map_err(|f| self.with_verb("watch", f))?;
        let mut lines = WatchLines::new(&path, response.into_body());
        // A silent connection is given up soon after the server would have ended the watch.
        let last = tokio::time::Instant::now() + Duration::from_secs(seconds) + shared.settings.timeout;
        let settled = tokio::time::Instant::now() + shared.settings.settle_time;
        let mut is_seen = false;
        loop {
            let until = if is_seen { last } else { settled };
            let line = match tokio::time::timeout_at(until, lines.next()).await {
                Ok(line) => line?,
                Err(_) if !is_seen => {
                    is_seen = true;
                    self.mark_seen(shared);
                    continue;
                }
                Err(_) => return Err(Error::Timeout { path, after: shared.settings.watch_duration }),
            };
            let Some(line) = line else {
                // A proxy that ends every watch at once would hide every change.
                let early = || Error::unreachable("the watch ended immediately");
                return if is_seen { Ok(()) } else { Err(early()) };
            };
            self.apply_event(&path, line, version, shared)?;
            *seen += 1;
            if !is_seen {
                is_seen = true;
                self.mark_seen(shared);
            }
        }
    }

    fn apply_event(
        &self,
        path: &str,
        line: &[u8],
        version: &mut String,
        shared: &StreamContext,
    ) -> Result<(), Error> {
        let garbage = |error: serde_json::Error| Error::invalid_response(path, error);
        let event: WatchEventWire<'_> = serde_json::from_slice(line).map_err(garbage)?;
        if event.kind.as_str() == "ERROR" {
            let status = serde_json::from_str(event.object.get()).unwrap_or_default();
            return Err(self.event_error(path, &status));
        }
        check_object_size(path, event.object)?;
        let (namespace, name, at) = read_identity(event.object).map_err(garbage)?;
        match event.kind.as_str() {
            "BOOKMARK" => {}
            "ADDED" | "MODIFIED" => {
                let item =
                    read_object(&self.shape, event.object, &mut lock(&shared.texts)).map_err(garbage)?;
                if self.store(item)? {
                    shared.notify_changed();
                }
            }
            "DELETED" => {
                if self.remove(&(namespace, name))? {
                    shared.notify_changed();
                }
            }
            other => return Err(Error::invalid_response(path, format!("an event of type `{other}`"))),
        }
        if !at.is_empty() {
            *version = at;
        }
        Ok(())
    }

    /// Returns the error of an event of type `ERROR`.
    fn event_error(&self, path: &str, status: &WatchStatusWire<'_>) -> Error {
        let message = status.message.as_str().to_owned();
        match status.code {
            410 => Error::Expired,
            401 => Error::Unauthorized,
            403 => {
                let resource = String::new();
                let error = Error::Forbidden { verb: "watch", resource, namespace: None, message };
                self.with_verb("watch", error)
            }
            code => Error::Status { path: path.to_owned(), status: code, message },
        }
    }

    /// Stores an object, and returns whether it changes anything.
    fn store(&self, item: ObservedObject) -> Result<bool, Error> {
        let mut known = lock(&self.state);
        let key = item.namespaced_name();
        let old = known.items.get(&key);
        if old.is_some_and(|old| old.is_equivalent(&item)) {
            return Ok(false);
        }
        let (before, after) = (old.map_or(0, ObservedObject::memory_size), item.memory_size());
        if let Some(part) = &mut known.reservation {
            part.resize(before, after)?;
        }
        known.items.insert(key, item);
        Ok(true)
    }

    /// Removes an object, and returns whether it was known.
    fn remove(&self, key: &(Arc<str>, Arc<str>)) -> Result<bool, Error> {
        let mut known = lock(&self.state);
        let removed = known.items.remove(key);
        if let (Some(part), Some(item)) = (&mut known.reservation, &removed) {
            part.resize(item.memory_size(), 0)?;
        }
        Ok(removed.is_some())
    }
}
