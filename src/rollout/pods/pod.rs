//! A Pod as a rollout sees it, read from the object of the API server.

use super::object_fields::{FieldTypeError, ObjectFields};
use crate::model::timestamp::Timestamp;
use crate::rollout::LabelMap;
use serde_json::Value;

/// The condition in which Kruise records for each set whether it can update the pod.
const UPGRADABLE_CONDITION: &str = "SidecarSetUpgradable";

/// A pod, as far as a rollout needs it. Fields that the API omits have their zero values in Go.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SidecarPod {
    /// `metadata.namespace`, `default` where it is absent.
    pub namespace: String,
    /// `metadata.name`.
    pub name: String,
    /// `metadata.labels`.
    pub labels: LabelMap,
    /// `metadata.annotations`.
    pub annotations: LabelMap,
    /// `metadata.creationTimestamp`.
    pub created: Option<Timestamp>,
    /// There is a `metadata.deletionTimestamp`.
    pub is_deleting: bool,
    /// `spec.nodeName` is written.
    pub has_node: bool,
    /// `spec.containers`.
    pub containers: Vec<PodContainer>,
    /// Names of `spec.initContainers`.
    pub init_containers: Vec<String>,
    /// Those of them that are native sidecars (`restartPolicy: Always`).
    pub native_sidecars: Vec<String>,
    /// `status.phase`.
    pub phase: String,
    /// The condition Ready is True.
    pub is_ready: bool,
    /// The time of the last transition of the condition Ready.
    pub ready_since: Option<Timestamp>,
    /// `status.containerStatuses`.
    pub statuses: Vec<PodContainerStatus>,
    /// The most restarts of a native sidecar, from `status.initContainerStatuses`.
    pub native_restarts: i64,
    /// The condition SidecarSetUpgradable has a message that Kruise cannot read.
    pub is_upgradable_unreadable: bool,
}

/// One of `spec.containers`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PodContainer {
    /// `name`.
    pub name: String,
    /// `image`.
    pub image: String,
}

/// One of `status.containerStatuses`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PodContainerStatus {
    /// `name`.
    pub name: String,
    /// `image`, as the runtime calls it.
    pub image: String,
    /// `imageID`.
    pub image_id: String,
    /// `ready`.
    pub is_ready: bool,
    /// `restartCount`.
    pub restarts: i64,
}

impl SidecarPod {
    /// Returns `NAMESPACE/NAME`.
    pub fn key(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }

    /// Returns the text of an annotation; empty where it is absent.
    pub(super) fn annotation(&self, key: &str) -> &str {
        self.annotations.get(key).map_or("", String::as_str)
    }

    /// Returns the image of a container.
    pub(super) fn image(&self, container: &str) -> Option<&str> {
        self.containers.iter().find(|c| c.name == container).map(|c| &*c.image)
    }

    /// Returns whether the pod has a container or an init container with a name.
    pub(super) fn has_container(&self, name: &str) -> bool {
        self.image(name).is_some() || self.init_containers.iter().any(|c| c == name)
    }

    /// Reads a Pod. One without a name has an empty one.
    pub(super) fn from_value(value: &Value) -> Result<Self, FieldTypeError> {
        let mut pod = Self::default();
        let Some(fields) = ObjectFields::of(value) else { return Ok(pod) };
        fields.read_object("metadata", |metadata| pod.read_metadata(metadata))?;
        fields.read_object("spec", |spec| pod.read_spec(spec))?;
        fields.read_object("status", |status| pod.read_status(status))?;
        Ok(pod)
    }

    fn read_metadata(&mut self, metadata: ObjectFields<'_>) -> Result<(), FieldTypeError> {
        self.name = metadata.read_text("name")?.to_owned();
        self.namespace = match metadata.read_text("namespace")? {
            "" => "default".to_owned(),
            namespace => namespace.to_owned(),
        };
        self.labels = metadata.read_text_map("labels")?;
        self.annotations = metadata.read_text_map("annotations")?;
        self.created = metadata.read_timestamp("creationTimestamp")?;
        self.is_deleting = metadata.has("deletionTimestamp");
        Ok(())
    }

    fn read_spec(&mut self, spec: ObjectFields<'_>) -> Result<(), FieldTypeError> {
        self.has_node = !spec.read_text("nodeName")?.is_empty();
        let init = spec.read_list("initContainers", |c| {
            Ok((c.read_text("name")?.to_owned(), c.read_text("restartPolicy")? == "Always"))
        })?;
        self.native_sidecars =
            init.iter().filter(|(_, is_native)| *is_native).map(|(n, _)| n.clone()).collect();
        self.init_containers = init.into_iter().map(|(name, _)| name).collect();
        self.containers = spec.read_list("containers", |c| {
            Ok(PodContainer {
                name: c.read_text("name")?.to_owned(),
                image: c.read_text("image")?.to_owned(),
            })
        })?;
        Ok(())
    }

    fn read_status(&mut self, status: ObjectFields<'_>) -> Result<(), FieldTypeError> {
        self.phase = status.read_text("phase")?.to_owned();
        let mut ready = None;
        for condition in status.read_list("conditions", ConditionFields::from_fields)? {
            match condition.kind {
                "Ready" if ready.is_none() => ready = Some((condition.is_true, condition.since)),
                UPGRADABLE_CONDITION => self.is_upgradable_unreadable |= !condition.has_readable_message(),
                _ => {}
            }
        }
        (self.is_ready, self.ready_since) = ready.unwrap_or_default();
        let restarts = status.read_list("initContainerStatuses", |s| {
            Ok((s.read_text("name")?, s.read_integer("restartCount")?))
        })?;
        let native = restarts.iter().filter(|(name, _)| self.native_sidecars.iter().any(|n| n == name));
        self.native_restarts = native.map(|(_, restarts)| *restarts).fold(0, i64::max);
        self.statuses = status.read_list("containerStatuses", |status| {
            Ok(PodContainerStatus {
                name: status.read_text("name")?.to_owned(),
                image: status.read_text("image")?.to_owned(),
                image_id: status.read_text("imageID")?.to_owned(),
                is_ready: status.read_bool("ready")?,
                restarts: status.read_integer("restartCount")?,
            })
        })?;
        Ok(())
    }
}

/// One of `status.conditions`.
struct ConditionFields<'a> {
    kind: &'a str,
    is_true: bool,
    since: Option<Timestamp>,
    message: &'a str,
}

impl<'a> ConditionFields<'a> {
    fn from_fields(fields: ObjectFields<'a>) -> Result<Self, FieldTypeError> {
        Ok(Self {
            kind: fields.read_text("type")?,
            is_true: fields.read_text("status")? == "True",
            since: fields.read_timestamp("lastTransitionTime")?,
            message: fields.read_text("message")?,
        })
    }

    /// Returns whether the message is what Kruise writes there: a JSON object, or nothing.
    fn has_readable_message(&self) -> bool {
        self.message.is_empty() || serde_json::from_str::<Value>(self.message).is_ok_and(|m| m.is_object())
    }
}
