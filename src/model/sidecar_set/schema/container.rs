//! core/v1 Container and what it holds, fields in Go order (Kubernetes 1.32).

use super::Type::{
    Bool, Int32, Int64, IntOrText, Object as Obj, Objects, Quantity, QuantityMap, Text, Texts,
};
use super::meta::OBJECT_FIELD_SELECTOR;
use super::{Object, always, nullable, pointer, value};

pub(super) static CONTAINER: Object = Object {
    name: "Container",
    base: None,
    fields: &[
        always("name", Text),
        value("image", Text),
        value("command", Texts),
        value("args", Texts),
        value("workingDir", Text),
        value("ports", Objects(&CONTAINER_PORT)),
        value("envFrom", Objects(&ENV_FROM_SOURCE)),
        value("env", Objects(&ENV_VAR)),
        value("resources", Obj(&RESOURCE_REQUIREMENTS)),
        value("resizePolicy", Objects(&CONTAINER_RESIZE_POLICY)),
        pointer("restartPolicy", Text),
        value("volumeMounts", Objects(&VOLUME_MOUNT)),
        value("volumeDevices", Objects(&VOLUME_DEVICE)),
        pointer("livenessProbe", Obj(&PROBE)),
        pointer("readinessProbe", Obj(&PROBE)),
        pointer("startupProbe", Obj(&PROBE)),
        pointer("lifecycle", Obj(&LIFECYCLE)),
        value("terminationMessagePath", Text),
        value("terminationMessagePolicy", Text),
        value("imagePullPolicy", Text),
        pointer("securityContext", Obj(&SECURITY_CONTEXT)),
        value("stdin", Bool),
        value("stdinOnce", Bool),
        value("tty", Bool),
    ],
};

pub(super) static CONTAINER_PORT: Object = Object {
    name: "ContainerPort",
    base: None,
    fields: &[
        value("name", Text),
        value("hostPort", Int32),
        always("containerPort", Int32),
        value("protocol", Text),
        value("hostIP", Text),
    ],
};

pub(super) static ENV_FROM_SOURCE: Object = Object {
    name: "EnvFromSource",
    base: None,
    fields: &[
        value("prefix", Text),
        pointer("configMapRef", Obj(&CONFIG_MAP_ENV_SOURCE)),
        pointer("secretRef", Obj(&SECRET_ENV_SOURCE)),
    ],
};

pub(super) static CONFIG_MAP_ENV_SOURCE: Object = Object {
    name: "ConfigMapEnvSource",
    base: None,
    fields: &[value("name", Text), pointer("optional", Bool)],
};

pub(super) static SECRET_ENV_SOURCE: Object =
    Object { name: "SecretEnvSource", base: None, fields: &[value("name", Text), pointer("optional", Bool)] };

pub(super) static ENV_VAR: Object = Object {
    name: "EnvVar",
    base: None,
    fields: &[always("name", Text), value("value", Text), pointer("valueFrom", Obj(&ENV_VAR_SOURCE))],
};

pub(super) static ENV_VAR_SOURCE: Object = Object {
    name: "EnvVarSource",
    base: None,
    fields: &[
        pointer("fieldRef", Obj(&OBJECT_FIELD_SELECTOR)),
        pointer("resourceFieldRef", Obj(&RESOURCE_FIELD_SELECTOR)),
        pointer("configMapKeyRef", Obj(&CONFIG_MAP_KEY_SELECTOR)),
        pointer("secretKeyRef", Obj(&SECRET_KEY_SELECTOR)),
    ],
};

pub(super) static RESOURCE_FIELD_SELECTOR: Object = Object {
    name: "ResourceFieldSelector",
    base: None,
    fields: &[value("containerName", Text), always("resource", Text), value("divisor", Quantity)],
};

pub(super) static CONFIG_MAP_KEY_SELECTOR: Object = Object {
    name: "ConfigMapKeySelector",
    base: None,
    fields: &[value("name", Text), always("key", Text), pointer("optional", Bool)],
};

pub(super) static SECRET_KEY_SELECTOR: Object = Object {
    name: "SecretKeySelector",
    base: None,
    fields: &[value("name", Text), always("key", Text), pointer("optional", Bool)],
};

pub(super) static RESOURCE_REQUIREMENTS: Object = Object {
    name: "ResourceRequirements",
    base: None,
    fields: &[
        value("limits", QuantityMap),
        value("requests", QuantityMap),
        value("claims", Objects(&RESOURCE_CLAIM)),
    ],
};

pub(super) static RESOURCE_CLAIM: Object =
    Object { name: "ResourceClaim", base: None, fields: &[always("name", Text), value("request", Text)] };

pub(super) static CONTAINER_RESIZE_POLICY: Object = Object {
    name: "ContainerResizePolicy",
    base: None,
    fields: &[always("resourceName", Text), always("restartPolicy", Text)],
};

pub(super) static VOLUME_MOUNT: Object = Object {
    name: "VolumeMount",
    base: None,
    fields: &[
        always("name", Text),
        value("readOnly", Bool),
        pointer("recursiveReadOnly", Text),
        always("mountPath", Text),
        value("subPath", Text),
        pointer("mountPropagation", Text),
        value("subPathExpr", Text),
    ],
};

pub(super) static VOLUME_DEVICE: Object =
    Object { name: "VolumeDevice", base: None, fields: &[always("name", Text), always("devicePath", Text)] };

pub(super) static PROBE: Object = Object {
    name: "Probe",
    base: None,
    fields: &[
        pointer("exec", Obj(&EXEC_ACTION)),
        pointer("httpGet", Obj(&HTTP_GET_ACTION)),
        pointer("tcpSocket", Obj(&TCP_SOCKET_ACTION)),
        pointer("grpc", Obj(&GRPC_ACTION)),
        value("initialDelaySeconds", Int32),
        value("timeoutSeconds", Int32),
        value("periodSeconds", Int32),
        value("successThreshold", Int32),
        value("failureThreshold", Int32),
        pointer("terminationGracePeriodSeconds", Int64),
    ],
};

pub(super) static EXEC_ACTION: Object =
    Object { name: "ExecAction", base: None, fields: &[value("command", Texts)] };

pub(super) static HTTP_GET_ACTION: Object = Object {
    name: "HTTPGetAction",
    base: None,
    fields: &[
        value("path", Text),
        always("port", IntOrText),
        value("host", Text),
        value("scheme", Text),
        value("httpHeaders", Objects(&HTTP_HEADER)),
    ],
};

pub(super) static HTTP_HEADER: Object =
    Object { name: "HTTPHeader", base: None, fields: &[always("name", Text), always("value", Text)] };

pub(super) static TCP_SOCKET_ACTION: Object =
    Object { name: "TCPSocketAction", base: None, fields: &[always("port", IntOrText), value("host", Text)] };

pub(super) static GRPC_ACTION: Object =
    Object { name: "GRPCAction", base: None, fields: &[always("port", Int32), nullable("service", Text)] };

pub(super) static LIFECYCLE: Object = Object {
    name: "Lifecycle",
    base: None,
    fields: &[pointer("postStart", Obj(&LIFECYCLE_HANDLER)), pointer("preStop", Obj(&LIFECYCLE_HANDLER))],
};

pub(super) static LIFECYCLE_HANDLER: Object = Object {
    name: "LifecycleHandler",
    base: None,
    fields: &[
        pointer("exec", Obj(&EXEC_ACTION)),
        pointer("httpGet", Obj(&HTTP_GET_ACTION)),
        pointer("tcpSocket", Obj(&TCP_SOCKET_ACTION)),
        pointer("sleep", Obj(&SLEEP_ACTION)),
    ],
};

pub(super) static SLEEP_ACTION: Object =
    Object { name: "SleepAction", base: None, fields: &[always("seconds", Int64)] };

pub(super) static SECURITY_CONTEXT: Object = Object {
    name: "SecurityContext",
    base: None,
    fields: &[
        pointer("capabilities", Obj(&CAPABILITIES)),
        pointer("privileged", Bool),
        pointer("seLinuxOptions", Obj(&SE_LINUX_OPTIONS)),
        pointer("windowsOptions", Obj(&WINDOWS_SECURITY_CONTEXT_OPTIONS)),
        pointer("runAsUser", Int64),
        pointer("runAsGroup", Int64),
        pointer("runAsNonRoot", Bool),
        pointer("readOnlyRootFilesystem", Bool),
        pointer("allowPrivilegeEscalation", Bool),
        pointer("procMount", Text),
        pointer("seccompProfile", Obj(&SECCOMP_PROFILE)),
        pointer("appArmorProfile", Obj(&APP_ARMOR_PROFILE)),
    ],
};

pub(super) static CAPABILITIES: Object =
    Object { name: "Capabilities", base: None, fields: &[value("add", Texts), value("drop", Texts)] };

pub(super) static SE_LINUX_OPTIONS: Object = Object {
    name: "SELinuxOptions",
    base: None,
    fields: &[value("user", Text), value("role", Text), value("type", Text), value("level", Text)],
};

pub(super) static WINDOWS_SECURITY_CONTEXT_OPTIONS: Object = Object {
    name: "WindowsSecurityContextOptions",
    base: None,
    fields: &[
        pointer("gmsaCredentialSpecName", Text),
        pointer("gmsaCredentialSpec", Text),
        pointer("runAsUserName", Text),
        pointer("hostProcess", Bool),
    ],
};

pub(super) static SECCOMP_PROFILE: Object = Object {
    name: "SeccompProfile",
    base: None,
    fields: &[always("type", Text), pointer("localhostProfile", Text)],
};

pub(super) static APP_ARMOR_PROFILE: Object = Object {
    name: "AppArmorProfile",
    base: None,
    fields: &[always("type", Text), pointer("localhostProfile", Text)],
};
