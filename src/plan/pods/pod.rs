//! What a rollout has to know about a Pod, read from the object that the API server has.

use super::fields::{Fields, Misfit};
use crate::model::timestamp::Timestamp;
use crate::plan::Labels;
use serde_json::Value;

/// The condition in which Kruise keeps for each set whether it can update the pod.
const UPGRADABLE: &str = "SidecarSetUpgradable";

/// A pod, as far as it matters to a rollout. Where the API leaves a field out, it has the value that Go gives it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pod {
    /// `metadata.namespace`, `default` where it is not written.
    pub namespace: String,
    /// `metadata.name`.
    pub name: String,
    /// `metadata.labels`.
    pub labels: Labels,
    /// `metadata.annotations`.
    pub annotations: Labels,
    /// `metadata.creationTimestamp`.
    pub created: Option<Timestamp>,
    /// There is a `metadata.deletionTimestamp`.
    pub is_deleting: bool,
    /// `spec.nodeName` is written.
    pub has_node: bool,
    /// `spec.containers`.
    pub containers: Vec<Container>,
    /// Names of `spec.initContainers`.
    pub init_containers: Vec<String>,
    /// Those of them that are native sidecars (`restartPolicy: Always`).
    pub native_sidecars: Vec<String>,
    /// `status.phase`.
    pub phase: String,
    /// The condition Ready is True.
    pub is_ready: bool,
    /// When the condition Ready became what it is.
    pub ready_since: Option<Timestamp>,
    /// `status.containerStatuses`.
    pub statuses: Vec<ContainerStatus>,
    /// The most restarts of a native sidecar, from `status.initContainerStatuses`.
    pub native_restarts: i64,
    /// The condition SidecarSetUpgradable has a message that Kruise cannot read.
    pub is_upgradable_unreadable: bool,
}

/// One of `spec.containers`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Container {
    /// `name`.
    pub name: String,
    /// `image`.
    pub image: String,
}

/// One of `status.containerStatuses`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ContainerStatus {
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

impl Pod {
    /// Returns `NAMESPACE/NAME`.
    pub fn key(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }

    /// Returns the text of an annotation, empty where there is none.
    pub(super) fn annotation(&self, key: &str) -> &str {
        self.annotations.get(key).map_or("", String::as_str)
    }

    /// Returns the image of a container.
    pub(super) fn image(&self, container: &str) -> Option<&str> {
        self.containers.iter().find(|c| c.name == container).map(|c| &*c.image)
    }

    /// Tells whether the pod has a container or an init container of a name.
    pub(super) fn has_container(&self, name: &str) -> bool {
        self.image(name).is_some() || self.init_containers.iter().any(|c| c == name)
    }

    /// Reads a Pod. One without a name comes back with an empty one.
    pub(super) fn read(value: &Value) -> Result<Self, Misfit> {
        let mut pod = Self::default();
        let Some(fields) = Fields::of(value) else { return Ok(pod) };
        fields.inside("metadata", |metadata| pod.read_metadata(metadata))?;
        fields.inside("spec", |spec| pod.read_spec(spec))?;
        fields.inside("status", |status| pod.read_status(status))?;
        Ok(pod)
    }

    fn read_metadata(&mut self, metadata: Fields<'_>) -> Result<(), Misfit> {
        self.name = metadata.text("name")?.to_owned();
        self.namespace = match metadata.text("namespace")? {
            "" => "default".to_owned(),
            namespace => namespace.to_owned(),
        };
        self.labels = metadata.texts("labels")?;
        self.annotations = metadata.texts("annotations")?;
        self.created = metadata.time("creationTimestamp")?;
        self.is_deleting = metadata.has("deletionTimestamp");
        Ok(())
    }

    fn read_spec(&mut self, spec: Fields<'_>) -> Result<(), Misfit> {
        self.has_node = !spec.text("nodeName")?.is_empty();
        let init = spec.each("initContainers", |c| {
            Ok((c.text("name")?.to_owned(), c.text("restartPolicy")? == "Always"))
        })?;
        self.native_sidecars =
            init.iter().filter(|(_, is_native)| *is_native).map(|(n, _)| n.clone()).collect();
        self.init_containers = init.into_iter().map(|(name, _)| name).collect();
        self.containers = spec.each("containers", |c| {
            Ok(Container { name: c.text("name")?.to_owned(), image: c.text("image")?.to_owned() })
        })?;
        Ok(())
    }

    fn read_status(&mut self, status: Fields<'_>) -> Result<(), Misfit> {
        self.phase = status.text("phase")?.to_owned();
        let mut ready = None;
        for condition in status.each("conditions", Condition::read)? {
            match condition.kind {
                "Ready" if ready.is_none() => ready = Some((condition.is_true, condition.since)),
                UPGRADABLE => self.is_upgradable_unreadable |= !condition.has_entries(),
                _ => {}
            }
        }
        (self.is_ready, self.ready_since) = ready.unwrap_or_default();
        let restarts =
            status.each("initContainerStatuses", |s| Ok((s.text("name")?, s.number("restartCount")?)))?;
        let native = restarts.iter().filter(|(name, _)| self.native_sidecars.iter().any(|n| n == name));
        self.native_restarts = native.map(|(_, restarts)| *restarts).fold(0, i64::max);
        self.statuses = status.each("containerStatuses", |status| {
            Ok(ContainerStatus {
                name: status.text("name")?.to_owned(),
                image: status.text("image")?.to_owned(),
                image_id: status.text("imageID")?.to_owned(),
                is_ready: status.flag("ready")?,
                restarts: status.number("restartCount")?,
            })
        })?;
        Ok(())
    }
}

/// One of `status.conditions`.
struct Condition<'a> {
    kind: &'a str,
    is_true: bool,
    since: Option<Timestamp>,
    message: &'a str,
}

impl<'a> Condition<'a> {
    fn read(fields: Fields<'a>) -> Result<Self, Misfit> {
        Ok(Self {
            kind: fields.text("type")?,
            is_true: fields.text("status")? == "True",
            since: fields.time("lastTransitionTime")?,
            message: fields.text("message")?,
        })
    }

    /// Tells whether the message is what Kruise keeps in it: a JSON object, or nothing.
    fn has_entries(&self) -> bool {
        self.message.is_empty() || serde_json::from_str::<Value>(self.message).is_ok_and(|m| m.is_object())
    }
}
