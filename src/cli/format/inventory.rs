//! Which sidecars each workload has, as text and JSON.

use super::{column_widths, push_row};
use crate::diagnostics::escape;
use crate::model::image;
use crate::rollout::sidecar_inventory::WorkloadSidecars;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::sync::Arc;

/// The sidecars of one workload in one cluster.
pub(in crate::cli) struct InventoryRow {
    /// The cluster, where pillion.yaml names clusters.
    cluster: Option<Arc<str>>,
    sidecars: WorkloadSidecars,
}

/// The columns.
const HEAD: [&str; 5] = ["WORKLOAD", "SIDECARSET", "REVISION", "STATE", "SIDECARS"];

impl InventoryRow {
    /// Returns the row of a workload.
    pub(in crate::cli) fn new(cluster: Option<&Arc<str>>, sidecars: WorkloadSidecars) -> Self {
        Self { cluster: cluster.cloned(), sidecars }
    }

    fn cells(&self) -> [String; 5] {
        let WorkloadSidecars { set, workload, revision, standing, images, kept, hold_reason } =
            &self.sidecars;
        let place = self.cluster.as_ref().map_or_else(String::new, |cluster| format!(" ({cluster})"));
        let mut state = standing.name().to_owned();
        if let Some(kept) = kept {
            let _ = write!(state, ", {kept}");
        }
        if let Some(reason) = hold_reason {
            let _ = write!(state, ", held: {}", escape::line(reason));
        }
        let version = |(name, image): &(String, String)| {
            format!("{name} {}", escape::line(image::tag(image).unwrap_or(image)))
        };
        let sidecars: Vec<String> = images.iter().map(version).collect();
        [format!("{workload}{place}"), set.to_string(), revision.to_string(), state, sidecars.join(", ")]
    }

    fn to_json(&self) -> Value {
        let mut value = self.sidecars.to_json();
        value["cluster"] = json!(self.cluster.as_deref());
        value
    }
}

/// Returns rows as data.
pub(super) fn to_json(rows: &[InventoryRow]) -> Value {
    rows.iter().map(InventoryRow::to_json).collect()
}

/// Returns rows as a table, with an empty line before it.
pub(in crate::cli) fn to_text(rows: &[InventoryRow]) -> String {
    if rows.is_empty() {
        return "\nno workload has sidecars\n".to_owned();
    }
    let table: Vec<[String; 5]> =
        std::iter::once(HEAD.map(str::to_owned)).chain(rows.iter().map(InventoryRow::cells)).collect();
    let widths = column_widths(&table);
    let mut text = "\n".to_owned();
    table.iter().for_each(|row| push_row(&mut text, row, widths));
    text
}
