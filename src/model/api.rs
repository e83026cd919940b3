//! Names of the APIs: groups, versions, labels and annotations.

/// The group of pillion's own documents.
pub(crate) const PILLION_GROUP: &str = "pillion.dev";

/// The `apiVersion` of pillion's own documents.
pub(crate) const PILLION_API_VERSION: &str = "pillion.dev/v1alpha1";

/// The annotation of a SidecarSet that overrides `rollout` of pillion.yaml.
pub(crate) const ROLLOUT_ANNOTATION: &str = "pillion.dev/rollout";

/// The annotation of objects that kustomize and `kpt live` keep out of clusters.
pub(crate) const LOCAL_CONFIG_ANNOTATION: &str = "config.kubernetes.io/local-config";

/// The annotation of a SidecarSet that overrides `sidecarMode` of pillion.yaml.
pub(crate) const SIDECAR_MODE_ANNOTATION: &str = "pillion.dev/sidecar-mode";

/// The annotation of a SidecarSet, or of a pod template, with containers and those that each of them starts after.
pub(crate) const AFTER_ANNOTATION: &str = "pillion.dev/after";

/// The group of Kruise's workloads and SidecarSets.
pub(crate) const KRUISE_GROUP: &str = "apps.kruise.io";

/// The label that the API server writes on every namespace: its name.
pub(crate) const NAMESPACE_NAME_LABEL: &str = "kubernetes.io/metadata.name";
