//! What a rollout has to know about a Pod, read from the object that the API server has.

use super::fields::{Fields, Misfit};
use crate::model::timestamp::Timestamp;
use crate::plan::Labels;
use serde_json::Value;

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
    /// `status.phase`.
    pub phase: String,
    /// The condition Ready is True.
    pub is_ready: bool,
    /// When the condition Ready became what it is.
    pub ready_since: Option<Timestamp>,
    /// `status.containerStatuses`.
    pub statuses: Vec<ContainerStatus>,
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
        self.init_containers = spec.each("initContainers", |c| Ok(c.text("name")?.to_owned()))?;
        self.containers = spec.each("containers", |c| {
            Ok(Container { name: c.text("name")?.to_owned(), image: c.text("image")?.to_owned() })
        })?;
        Ok(())
    }

    fn read_status(&mut self, status: Fields<'_>) -> Result<(), Misfit> {
        self.phase = status.text("phase")?.to_owned();
        let conditions = status.each("conditions", |condition| {
            let is_true = condition.text("status")? == "True";
            let since = condition.time("lastTransitionTime")?;
            Ok((condition.text("type")? == "Ready").then_some((is_true, since)))
        })?;
        if let Some((is_true, since)) = conditions.into_iter().flatten().next() {
            (self.is_ready, self.ready_since) = (is_true, since);
        }
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
