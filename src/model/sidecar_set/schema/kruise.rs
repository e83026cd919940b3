//! Kruise's own types: SidecarSet of apps.kruise.io/v1alpha1 and v1beta1, fields in Go order (Kruise v1.9.0).

use super::Type::{Bool, Int32, Int64, IntOrText, Object as Obj, Objects, Text, TextMap, Texts};
use super::container::CONTAINER;
use super::meta::{LABEL_SELECTOR, LOCAL_OBJECT_REFERENCE, OBJECT_FIELD_SELECTOR, OBJECT_META};
use super::volume::VOLUME;
use super::{Field, Object, always, pointer, value};

macro_rules! sidecar_set {
    ($name:ident, $spec:ident) => {
        /// A SidecarSet document of this version.
        pub(crate) static $name: Object = Object {
            name: "SidecarSet",
            base: None,
            fields: &[
                value("kind", Text),
                value("apiVersion", Text),
                value("metadata", Obj(&OBJECT_META)),
                value("spec", Obj(&$spec)),
                value("status", Obj(&STATUS)),
            ],
        };
    };
}

sidecar_set!(SIDECAR_SET_V1BETA1, SPEC);
sidecar_set!(SIDECAR_SET_V1ALPHA1, SPEC_V1ALPHA1);

const SELECTOR: Field = pointer("selector", Obj(&LABEL_SELECTOR));
const NAMESPACE_SELECTOR: Field = pointer("namespaceSelector", Obj(&LABEL_SELECTOR));
const INIT_CONTAINERS: Field = value("initContainers", Objects(&SIDECAR_CONTAINER));
const CONTAINERS: Field = value("containers", Objects(&SIDECAR_CONTAINER));
const VOLUMES: Field = value("volumes", Objects(&VOLUME));
const UPDATE: Field = value("updateStrategy", Obj(&UPDATE_STRATEGY));
const INJECTION: Field = value("injectionStrategy", Obj(&INJECTION_STRATEGY));
const SECRETS: Field = value("imagePullSecrets", Objects(&LOCAL_OBJECT_REFERENCE));
const HISTORY_LIMIT: Field = pointer("revisionHistoryLimit", Int32);
const PATCHES: Field = value("patchPodMetadata", Objects(&PATCH_POD_METADATA));

/// `spec` of v1beta1, the stored version.
pub(crate) static SPEC: Object = Object {
    name: "SidecarSetSpec",
    base: None,
    fields: &[
        SELECTOR,
        NAMESPACE_SELECTOR,
        INIT_CONTAINERS,
        CONTAINERS,
        VOLUMES,
        UPDATE,
        INJECTION,
        SECRETS,
        HISTORY_LIMIT,
        PATCHES,
        value("customVersion", Text),
    ],
};

/// `spec` of v1alpha1.
static SPEC_V1ALPHA1: Object = Object {
    name: "SidecarSetSpec",
    base: None,
    fields: &[
        SELECTOR,
        value("namespace", Text),
        NAMESPACE_SELECTOR,
        INIT_CONTAINERS,
        CONTAINERS,
        VOLUMES,
        UPDATE,
        INJECTION,
        SECRETS,
        HISTORY_LIMIT,
        PATCHES,
    ],
};

/// A container of a SidecarSet: a core/v1 Container, then Kruise's own keys.
pub(crate) static SIDECAR_CONTAINER: Object = Object {
    name: "SidecarContainer",
    base: Some(&CONTAINER),
    fields: &[
        value("podInjectPolicy", Text),
        value("upgradeStrategy", Obj(&UPGRADE_STRATEGY)),
        value("shareVolumePolicy", Obj(&SHARE_VOLUME_POLICY)),
        pointer("shareVolumeDevicePolicy", Obj(&SHARE_VOLUME_POLICY)),
        value("transferEnv", Objects(&TRANSFER_ENV)),
        pointer("resourcesPolicy", Obj(&RESOURCES_POLICY)),
    ],
};

static UPGRADE_STRATEGY: Object = Object {
    name: "SidecarContainerUpgradeStrategy",
    base: None,
    fields: &[value("upgradeType", Text), value("hotUpgradeEmptyImage", Text)],
};

static SHARE_VOLUME_POLICY: Object =
    Object { name: "ShareVolumePolicy", base: None, fields: &[value("type", Text)] };

static TRANSFER_ENV: Object = Object {
    name: "TransferEnvVar",
    base: None,
    fields: &[
        value("sourceContainerName", Text),
        pointer("sourceContainerNameFrom", Obj(&SOURCE_CONTAINER_NAME)),
        value("envName", Text),
        value("envNames", Texts),
    ],
};

static SOURCE_CONTAINER_NAME: Object = Object {
    name: "SourceContainerNameSource",
    base: None,
    fields: &[pointer("fieldRef", Obj(&OBJECT_FIELD_SELECTOR))],
};

static RESOURCES_POLICY: Object = Object {
    name: "ResourcesPolicy",
    base: None,
    fields: &[
        always("targetContainersMode", Text),
        // The CRD fills in the default where nothing is written; so it does for an empty pattern, which the mutating
        // webhook leaves out when it writes the set, and after which the API server fills in defaults once more.
        value("targetContainersNameRegex", Text),
        always("resourcesExpr", Obj(&RESOURCES_EXPR)),
    ],
};

static RESOURCES_EXPR: Object = Object {
    name: "ResourcesExpr",
    base: None,
    fields: &[pointer("limits", Obj(&RESOURCE_EXPRS)), pointer("requests", Obj(&RESOURCE_EXPRS))],
};

static RESOURCE_EXPRS: Object =
    Object { name: "ResourceExpr", base: None, fields: &[value("cpu", Text), value("memory", Text)] };

static UPDATE_STRATEGY: Object = Object {
    name: "SidecarSetUpdateStrategy",
    base: None,
    fields: &[
        value("type", Text),
        value("paused", Bool),
        SELECTOR,
        pointer("partition", IntOrText),
        pointer("maxUnavailable", IntOrText),
        pointer("priorityStrategy", Obj(&PRIORITY_STRATEGY)),
        value("scatterStrategy", Objects(&SCATTER_TERM)),
    ],
};

static PRIORITY_STRATEGY: Object = Object {
    name: "UpdatePriorityStrategy",
    base: None,
    fields: &[value("orderPriority", Objects(&ORDER_TERM)), value("weightPriority", Objects(&WEIGHT_TERM))],
};

static ORDER_TERM: Object =
    Object { name: "UpdatePriorityOrderTerm", base: None, fields: &[always("orderedKey", Text)] };

static WEIGHT_TERM: Object = Object {
    name: "UpdatePriorityWeightTerm",
    base: None,
    fields: &[always("weight", Int32), always("matchSelector", Obj(&LABEL_SELECTOR))],
};

static SCATTER_TERM: Object =
    Object { name: "UpdateScatterTerm", base: None, fields: &[always("key", Text), always("value", Text)] };

static INJECTION_STRATEGY: Object = Object {
    name: "SidecarSetInjectionStrategy",
    base: None,
    fields: &[value("paused", Bool), pointer("revision", Obj(&INJECT_REVISION))],
};

static INJECT_REVISION: Object = Object {
    name: "SidecarSetInjectRevision",
    base: None,
    fields: &[pointer("customVersion", Text), pointer("revisionName", Text), value("policy", Text)],
};

static PATCH_POD_METADATA: Object = Object {
    name: "SidecarSetPatchPodMetadata",
    base: None,
    fields: &[value("annotations", TextMap), value("patchPolicy", Text)],
};

static STATUS: Object = Object {
    name: "SidecarSetStatus",
    base: None,
    fields: &[
        value("observedGeneration", Int64),
        always("matchedPods", Int32),
        always("updatedPods", Int32),
        always("readyPods", Int32),
        value("updatedReadyPods", Int32),
        value("latestRevision", Text),
        pointer("collisionCount", Int32),
    ],
};
