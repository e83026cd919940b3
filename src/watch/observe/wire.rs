//! What is read of JSON; everything else of an object is skipped, never built.

use jiff::Timestamp;
use serde::de::{Deserializer, Visitor};
use serde::{Deserialize, de};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

/// A text, borrowed where it has no escapes; absent and null are the empty one.
#[derive(Default, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Text<'t>(Cow<'t, str>);

impl Text<'_> {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// None: empty.
    pub(super) fn some(&self) -> Option<&str> {
        Some(self.as_str()).filter(|text| !text.is_empty())
    }
}

impl<'de: 't, 't> Deserialize<'de> for Text<'t> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Text<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }
            fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
            fn visit_unit<E: de::Error>(self) -> Result<Text<'de>, E> {
                Ok(Text::default())
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

/// A page of a list.
#[derive(Deserialize)]
pub(super) struct Page<'t> {
    #[serde(borrow, default)]
    pub(super) kind: Text<'t>,
    #[serde(borrow, default)]
    pub(super) metadata: PageMeta<'t>,
    #[serde(borrow)]
    pub(super) items: Option<Vec<&'t RawValue>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct PageMeta<'t> {
    #[serde(borrow)]
    pub(super) resource_version: Text<'t>,
    #[serde(borrow, rename = "continue")]
    pub(super) next: Text<'t>,
}

/// A line of a watch.
#[derive(Deserialize)]
pub(super) struct Event<'t> {
    #[serde(borrow, rename = "type")]
    pub(super) kind: Text<'t>,
    #[serde(borrow)]
    pub(super) object: &'t RawValue,
}

/// The object of an event `ERROR`.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Status<'t> {
    pub(super) code: u16,
    #[serde(borrow)]
    pub(super) message: Text<'t>,
}

/// Any object.
#[derive(Deserialize)]
pub(super) struct Any<'t> {
    #[serde(borrow)]
    pub(super) metadata: Meta<'t>,
    /// Of a ControllerRevision.
    pub(super) revision: Option<i64>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Meta<'t> {
    #[serde(borrow)]
    pub(super) name: Text<'t>,
    #[serde(borrow)]
    pub(super) namespace: Text<'t>,
    #[serde(borrow)]
    pub(super) uid: Text<'t>,
    #[serde(borrow)]
    pub(super) resource_version: Text<'t>,
    pub(super) generation: Option<i64>,
    #[serde(borrow)]
    pub(super) creation_timestamp: Text<'t>,
    #[serde(borrow)]
    pub(super) deletion_timestamp: Text<'t>,
    #[serde(borrow)]
    pub(super) owner_references: Option<Vec<Owner<'t>>>,
    #[serde(borrow)]
    pub(super) labels: Option<Labels<'t>>,
    #[serde(borrow)]
    pub(super) annotations: Option<Annotations<'t>>,
    #[serde(borrow)]
    managed_fields: Option<Vec<Written<'t>>>,
}

/// Who wrote something of an object, and when; not what.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Written<'t> {
    #[serde(borrow)]
    time: Text<'t>,
    #[serde(borrow)]
    subresource: Text<'t>,
}

impl Meta<'_> {
    /// When somebody last wrote the object itself, not its status.
    pub(super) fn changed(&self) -> Option<Timestamp> {
        let written = self.managed_fields.iter().flatten();
        written.filter(|w| w.subresource.some().is_none()).filter_map(|w| w.time.as_str().parse().ok()).max()
    }

    /// The uid of the controller, if there is one.
    pub(super) fn controller(&self) -> Option<&str> {
        let owners = self.owner_references.iter().flatten();
        owners.filter(|owner| owner.controller == Some(true)).find_map(|owner| owner.uid.some())
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Owner<'t> {
    #[serde(borrow)]
    uid: Text<'t>,
    controller: Option<bool>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Labels<'t> {
    #[serde(borrow, rename = "pod-template-hash")]
    pub(super) template: Text<'t>,
    #[serde(borrow, rename = "rollouts-pod-template-hash")]
    pub(super) rollout: Text<'t>,
    #[serde(borrow, rename = "controller-revision-hash")]
    pub(super) controller: Text<'t>,
    #[serde(borrow, rename = "apps.kruise.io/controller-revision-hash")]
    pub(super) united: Text<'t>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Annotations<'t> {
    #[serde(borrow, rename = "deployment.kubernetes.io/revision")]
    pub(super) revision: Text<'t>,
    #[serde(borrow, rename = "apps.kruise.io/inplace-update-state")]
    pub(super) in_place: Text<'t>,
}

/// What Kruise writes down before it changes an image in place (apps/pub/inplace_update.go, InPlaceUpdateState).
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct InPlace<'t> {
    #[serde(borrow)]
    pub(super) update_timestamp: Text<'t>,
    #[serde(borrow)]
    pub(super) last_container_statuses: Option<BTreeMap<Text<'t>, Before<'t>>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Before<'t> {
    #[serde(borrow, rename = "imageID")]
    pub(super) image_id: Text<'t>,
}

#[derive(Deserialize)]
pub(super) struct Pod<'t> {
    #[serde(borrow)]
    pub(super) metadata: Meta<'t>,
    #[serde(borrow)]
    pub(super) spec: PodSpec<'t>,
    #[serde(borrow, default)]
    pub(super) status: PodStatus<'t>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct PodSpec<'t> {
    #[serde(borrow)]
    pub(super) node_name: Text<'t>,
    #[serde(borrow)]
    pub(super) containers: Option<Vec<Container<'t>>>,
    #[serde(borrow)]
    pub(super) init_containers: Option<Vec<Container<'t>>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Container<'t> {
    #[serde(borrow)]
    pub(super) name: Text<'t>,
    #[serde(borrow)]
    pub(super) image: Text<'t>,
    #[serde(borrow)]
    pub(super) restart_policy: Text<'t>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct PodStatus<'t> {
    pub(super) observed_generation: Option<i64>,
    #[serde(borrow)]
    pub(super) phase: Text<'t>,
    #[serde(borrow)]
    pub(super) reason: Text<'t>,
    #[serde(borrow)]
    pub(super) conditions: Option<Vec<Condition<'t>>>,
    #[serde(borrow)]
    pub(super) container_statuses: Option<Vec<ContainerStatus<'t>>>,
    #[serde(borrow)]
    pub(super) init_container_statuses: Option<Vec<ContainerStatus<'t>>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Condition<'t> {
    #[serde(borrow, rename = "type")]
    pub(super) kind: Text<'t>,
    #[serde(borrow)]
    pub(super) status: Text<'t>,
    #[serde(borrow)]
    pub(super) reason: Text<'t>,
    #[serde(borrow)]
    pub(super) message: Text<'t>,
    #[serde(borrow)]
    pub(super) last_transition_time: Text<'t>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ContainerStatus<'t> {
    #[serde(borrow)]
    pub(super) name: Text<'t>,
    #[serde(borrow)]
    pub(super) image: Text<'t>,
    #[serde(borrow, rename = "imageID")]
    pub(super) image_id: Text<'t>,
    pub(super) ready: Option<bool>,
    pub(super) restart_count: Option<i64>,
    #[serde(borrow)]
    pub(super) state: Option<State<'t>>,
    #[serde(borrow)]
    pub(super) last_state: Option<State<'t>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct State<'t> {
    #[serde(borrow)]
    pub(super) waiting: Option<Waiting<'t>>,
    #[serde(borrow)]
    pub(super) running: Option<Running<'t>>,
    #[serde(borrow)]
    pub(super) terminated: Option<Terminated<'t>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Waiting<'t> {
    #[serde(borrow)]
    pub(super) reason: Text<'t>,
    #[serde(borrow)]
    pub(super) message: Text<'t>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Running<'t> {
    #[serde(borrow)]
    pub(super) started_at: Text<'t>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Terminated<'t> {
    pub(super) exit_code: Option<i64>,
    #[serde(borrow)]
    pub(super) reason: Text<'t>,
    #[serde(borrow)]
    pub(super) started_at: Text<'t>,
    #[serde(borrow)]
    pub(super) finished_at: Text<'t>,
}
