//! Parses what an API server sends, without a server: a line of a watch, a page of a list.

use super::client::MAX_OBJECT_BYTES;
use super::error::Error;
use super::interner::Interner;
use super::objects::{ObjectShape, ObservedObject, read_identity, read_object};
use super::ownership::build_snapshot;
use super::wire::{ListPageWire, WatchEventWire};
use crate::model::workload::{WorkloadKind, WorkloadKinds};
use crate::watch::snapshot::Snapshot;
use jiff::Timestamp;
use serde_json::value::RawValue;
use std::sync::Arc;

/// Refuses an object that is too long before it is parsed.
pub(super) fn check_object_size(path: &str, json: &RawValue) -> Result<(), Error> {
    if json.get().len() > MAX_OBJECT_BYTES {
        return Err(Error::invalid_response(
            path,
            format!("an object of more than {} MiB", MAX_OBJECT_BYTES >> 20),
        ));
    }
    Ok(())
}

/// Parses a line of a watch in every shape and returns its resource version; None: not an event.
pub fn read_watch_line(line: &[u8]) -> Option<String> {
    let event: WatchEventWire<'_> = serde_json::from_slice(line).ok()?;
    check_object_size("", event.object).ok()?;
    let mut texts = Interner::default();
    all_shapes().iter().for_each(|shape| drop(read_object(shape, event.object, &mut texts)));
    read_identity(event.object).ok().map(|(_, _, version)| version)
}

/// Parses a page of a list in every shape and returns the snapshot of a cluster with just these objects; None: not a
/// page.
pub fn read_list_page(page: &[u8], now: Timestamp) -> Option<Snapshot> {
    let page: ListPageWire<'_> = serde_json::from_slice(page).ok()?;
    let mut texts = Interner::default();
    let mut items: Vec<ObservedObject> = Vec::new();
    for json in page.items.iter().flatten() {
        check_object_size("", json).ok()?;
        items.extend(all_shapes().iter().filter_map(|shape| read_object(shape, json, &mut texts).ok()));
    }
    Some(build_snapshot(items.iter(), now))
}

/// Returns every shape of an object.
fn all_shapes() -> Vec<ObjectShape> {
    let kinds = WorkloadKinds::default();
    let mut shapes = vec![ObjectShape::Revisions, ObjectShape::Intermediate(None), ObjectShape::Pods(None)];
    let kinds = kinds.iter().cloned().chain([Arc::new(WorkloadKind::sidecar_set())]);
    for kind in kinds {
        shapes.push(match kind.is_pod() {
            true => ObjectShape::Pods(Some(kind.clone())),
            false => ObjectShape::Workloads(kind.clone()),
        });
        shapes.push(ObjectShape::Intermediate(Some(kind.clone())));
    }
    shapes
}
