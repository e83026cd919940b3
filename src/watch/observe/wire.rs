//! The JSON fields that are read; all others are skipped.

use jiff::Timestamp;
use serde::de::{Deserializer, Visitor};
use serde::{Deserialize, de};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

/// A string, borrowed if it has no escapes; empty if absent or null.
#[derive(Default, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct WireText<'t>(Cow<'t, str>);

impl WireText<'_> {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// None: empty.
    pub(super) fn non_empty(&self) -> Option<&str> {
        Some(self.as_str()).filter(|text| !text.is_empty())
    }
}

impl<'de: 't, 't> Deserialize<'de> for WireText<'t> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct WireTextVisitor;
        impl<'de> Visitor<'de> for WireTextVisitor {
            type Value = WireText<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }
            fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<WireText<'de>, E> {
                Ok(WireText(Cow::Borrowed(text)))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<WireText<'de>, E> {
                Ok(WireText(Cow::Owned(text.to_owned())))
            }
            fn visit_unit<E: de::Error>(self) -> Result<WireText<'de>, E> {
                Ok(WireText::default())
            }
        }
        deserializer.deserialize_any(WireTextVisitor)
    }
}

/// A page of a list.
#[derive(Deserialize)]
pub(super) struct ListPageWire<'t> {
    #[serde(borrow, default)]
    pub(super) kind: WireText<'t>,
    #[serde(borrow, default)]
    pub(super) metadata: ListMetaWire<'t>,
    #[serde(borrow)]
    pub(super) items: Option<Vec<&'t RawValue>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ListMetaWire<'t> {
    #[serde(borrow)]
    pub(super) resource_version: WireText<'t>,
    #[serde(borrow, rename = "continue")]
    pub(super) continue_token: WireText<'t>,
}

/// A line of a watch.
#[derive(Deserialize)]
pub(super) struct WatchEventWire<'t> {
    #[serde(borrow, rename = "type")]
    pub(super) kind: WireText<'t>,
    #[serde(borrow)]
    pub(super) object: &'t RawValue,
}

/// The object of an event `ERROR`.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct WatchStatusWire<'t> {
    pub(super) code: u16,
    #[serde(borrow)]
    pub(super) message: WireText<'t>,
}

/// Any object.
#[derive(Deserialize)]
pub(super) struct ObjectWire<'t> {
    #[serde(borrow)]
    pub(super) metadata: ObjectMetaWire<'t>,
    /// Of a ControllerRevision.
    pub(super) revision: Option<i64>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ObjectMetaWire<'t> {
    #[serde(borrow)]
    pub(super) name: WireText<'t>,
    #[serde(borrow)]
    pub(super) namespace: WireText<'t>,
    #[serde(borrow)]
    pub(super) uid: WireText<'t>,
    #[serde(borrow)]
    pub(super) resource_version: WireText<'t>,
    pub(super) generation: Option<i64>,
    #[serde(borrow)]
    pub(super) creation_timestamp: WireText<'t>,
    #[serde(borrow)]
    pub(super) deletion_timestamp: WireText<'t>,
    #[serde(borrow)]
    pub(super) owner_references: Option<Vec<LiveOwnerReferenceWire<'t>>>,
    #[serde(borrow)]
    pub(super) labels: Option<RevisionLabelsWire<'t>>,
    #[serde(borrow)]
    pub(super) annotations: Option<RevisionAnnotationsWire<'t>>,
    #[serde(borrow)]
    managed_fields: Option<Vec<ManagedFieldWire<'t>>>,
}

/// Who wrote an object, and when.
#[derive(Deserialize, Default)]
#[serde(default)]
struct ManagedFieldWire<'t> {
    #[serde(borrow)]
    time: WireText<'t>,
    #[serde(borrow)]
    subresource: WireText<'t>,
}

impl ObjectMetaWire<'_> {
    /// Returns when the object itself was written last, not its status.
    pub(super) fn last_spec_write(&self) -> Option<Timestamp> {
        let written = self.managed_fields.iter().flatten();
        written
            .filter(|w| w.subresource.non_empty().is_none())
            .filter_map(|w| w.time.as_str().parse().ok())
            .max()
    }

    /// Returns the uid of the controller, if there is one.
    pub(super) fn controller_uid(&self) -> Option<&str> {
        let owners = self.owner_references.iter().flatten();
        owners.filter(|owner| owner.controller == Some(true)).find_map(|owner| owner.uid.non_empty())
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct LiveOwnerReferenceWire<'t> {
    #[serde(borrow)]
    uid: WireText<'t>,
    controller: Option<bool>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct RevisionLabelsWire<'t> {
    #[serde(borrow, rename = "pod-template-hash")]
    pub(super) template: WireText<'t>,
    #[serde(borrow, rename = "rollouts-pod-template-hash")]
    pub(super) rollout: WireText<'t>,
    #[serde(borrow, rename = "controller-revision-hash")]
    pub(super) controller: WireText<'t>,
    #[serde(borrow, rename = "apps.kruise.io/controller-revision-hash")]
    pub(super) united_deployment: WireText<'t>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct RevisionAnnotationsWire<'t> {
    #[serde(borrow, rename = "deployment.kubernetes.io/revision")]
    pub(super) revision: WireText<'t>,
    #[serde(borrow, rename = "apps.kruise.io/inplace-update-state")]
    pub(super) in_place: WireText<'t>,
    #[serde(borrow, rename = "kruise.io/sidecarset-hash")]
    pub(super) set_hash: WireText<'t>,
    #[serde(borrow, rename = "kruise.io/sidecarset-hash-without-image")]
    pub(super) set_hash_without_image: WireText<'t>,
    #[serde(borrow, rename = "kruise.io/sidecarset-inplace-update-state")]
    pub(super) set_in_place: WireText<'t>,
}

/// The record of an update in place by Kruise (apps/pub/inplace_update.go, InPlaceUpdateState).
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct InPlaceUpdateWire<'t> {
    #[serde(borrow)]
    pub(super) update_timestamp: WireText<'t>,
    #[serde(borrow)]
    pub(super) last_container_statuses: Option<BTreeMap<WireText<'t>, LastContainerStatusWire<'t>>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct LastContainerStatusWire<'t> {
    #[serde(borrow, rename = "imageID")]
    pub(super) image_id: WireText<'t>,
}

#[derive(Deserialize)]
pub(super) struct LivePodWire<'t> {
    #[serde(borrow)]
    pub(super) metadata: ObjectMetaWire<'t>,
    #[serde(borrow)]
    pub(super) spec: LivePodSpecWire<'t>,
    #[serde(borrow, default)]
    pub(super) status: LivePodStatusWire<'t>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct LivePodSpecWire<'t> {
    #[serde(borrow)]
    pub(super) node_name: WireText<'t>,
    #[serde(borrow)]
    pub(super) containers: Option<Vec<LiveContainerWire<'t>>>,
    #[serde(borrow)]
    pub(super) init_containers: Option<Vec<LiveContainerWire<'t>>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct LiveContainerWire<'t> {
    #[serde(borrow)]
    pub(super) name: WireText<'t>,
    #[serde(borrow)]
    pub(super) image: WireText<'t>,
    #[serde(borrow)]
    pub(super) restart_policy: WireText<'t>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct LivePodStatusWire<'t> {
    pub(super) observed_generation: Option<i64>,
    #[serde(borrow)]
    pub(super) phase: WireText<'t>,
    #[serde(borrow)]
    pub(super) reason: WireText<'t>,
    #[serde(borrow)]
    pub(super) conditions: Option<Vec<LiveConditionWire<'t>>>,
    #[serde(borrow)]
    pub(super) container_statuses: Option<Vec<LiveContainerStatusWire<'t>>>,
    #[serde(borrow)]
    pub(super) init_container_statuses: Option<Vec<LiveContainerStatusWire<'t>>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct LiveConditionWire<'t> {
    #[serde(borrow, rename = "type")]
    pub(super) kind: WireText<'t>,
    #[serde(borrow)]
    pub(super) status: WireText<'t>,
    #[serde(borrow)]
    pub(super) reason: WireText<'t>,
    #[serde(borrow)]
    pub(super) message: WireText<'t>,
    #[serde(borrow)]
    pub(super) last_transition_time: WireText<'t>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct LiveContainerStatusWire<'t> {
    #[serde(borrow)]
    pub(super) name: WireText<'t>,
    #[serde(borrow)]
    pub(super) image: WireText<'t>,
    #[serde(borrow, rename = "imageID")]
    pub(super) image_id: WireText<'t>,
    pub(super) ready: Option<bool>,
    pub(super) restart_count: Option<i64>,
    #[serde(borrow)]
    pub(super) state: Option<LiveContainerStateWire<'t>>,
    #[serde(borrow)]
    pub(super) last_state: Option<LiveContainerStateWire<'t>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct LiveContainerStateWire<'t> {
    #[serde(borrow)]
    pub(super) waiting: Option<WaitingStateWire<'t>>,
    #[serde(borrow)]
    pub(super) running: Option<RunningStateWire<'t>>,
    #[serde(borrow)]
    pub(super) terminated: Option<TerminatedStateWire<'t>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct WaitingStateWire<'t> {
    #[serde(borrow)]
    pub(super) reason: WireText<'t>,
    #[serde(borrow)]
    pub(super) message: WireText<'t>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct RunningStateWire<'t> {
    #[serde(borrow)]
    pub(super) started_at: WireText<'t>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct TerminatedStateWire<'t> {
    pub(super) exit_code: Option<i64>,
    #[serde(borrow)]
    pub(super) reason: WireText<'t>,
    #[serde(borrow)]
    pub(super) started_at: WireText<'t>,
    #[serde(borrow)]
    pub(super) finished_at: WireText<'t>,
}
