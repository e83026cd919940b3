//! What an API server sends, read without asking one: a line of a watch, a page of a list.

use super::client::LONGEST_OBJECT;
use super::failure::Failure;
use super::gather::gather;
use super::interner::Interner;
use super::lean::{Item, Shape, place_of, read};
use super::wire::{Event, Page};
use crate::model::workload::Kinds;
use crate::watch::snapshot::Snapshot;
use jiff::Timestamp;
use serde_json::value::RawValue;

/// Refuses what is too long for an object before it is built.
pub(super) fn is_object(path: &str, json: &RawValue) -> Result<(), Failure> {
    if json.get().len() > LONGEST_OBJECT {
        return Err(Failure::garbage(path, format!("an object of more than {} MiB", LONGEST_OBJECT >> 20)));
    }
    Ok(())
}

/// Reads a line of a watch as one of every kind of list, and returns the version that it says; None: it is no event.
pub fn read_watch_line(line: &[u8]) -> Option<String> {
    let event: Event<'_> = serde_json::from_slice(line).ok()?;
    is_object("", event.object).ok()?;
    let mut texts = Interner::default();
    shapes().iter().for_each(|shape| drop(read(shape, event.object, &mut texts)));
    place_of(event.object).ok().map(|(_, _, version)| version)
}

/// Reads a page of a list as one of every kind, and returns what a cluster with just that looks like; None: it is no
/// page.
pub fn read_list_page(page: &[u8], now: Timestamp) -> Option<Snapshot> {
    let page: Page<'_> = serde_json::from_slice(page).ok()?;
    let mut texts = Interner::default();
    let mut items: Vec<Item> = Vec::new();
    for json in page.items.iter().flatten() {
        is_object("", json).ok()?;
        items.extend(shapes().iter().filter_map(|shape| read(shape, json, &mut texts).ok()));
    }
    Some(gather(items.iter(), now))
}

/// Every shape in which an object is read.
fn shapes() -> Vec<Shape> {
    let kinds = Kinds::default();
    let mut shapes = vec![Shape::Revisions, Shape::Between(None), Shape::Pods(None)];
    for kind in kinds.all() {
        shapes.push(match kind.is_pod() {
            true => Shape::Pods(Some(kind.clone())),
            false => Shape::Workloads(kind.clone()),
        });
        shapes.push(Shape::Between(Some(kind.clone())));
    }
    shapes
}
