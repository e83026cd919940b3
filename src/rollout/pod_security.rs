//! The Pod Security Standards of Kubernetes, and what a pod template has that they forbid.
//!
//! The rules are those of the latest version in k8s.io/pod-security-admission v0.36; where older versions are stricter
//! (user namespaces), a cluster may refuse more.

use crate::model::json::{JsonObject, bool_at, object_at, objects_at, strings_at, text_at};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;

/// The label of a namespace with the level that its pods must have.
pub(crate) const ENFORCE_LABEL: &str = "pod-security.kubernetes.io/enforce";

/// Annotations with the AppArmor profile of a container, by its name.
const APP_ARMOR_ANNOTATION_PREFIX: &str = "container.apparmor.security.beta.kubernetes.io/";

/// A Pod Security Standard that forbids something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PodSecurityLevel {
    /// Forbids known ways to the node.
    Baseline,
    /// Follows current practice of hardening.
    Restricted,
}

impl PodSecurityLevel {
    /// Returns the level that the labels of a namespace demand; None for `privileged`, which forbids nothing, and where
    /// nothing or no level is written.
    pub(crate) fn of_namespace(labels: &BTreeMap<String, String>) -> Option<Self> {
        match labels.get(ENFORCE_LABEL)?.as_str() {
            "baseline" => Some(Self::Baseline),
            "restricted" => Some(Self::Restricted),
            _ => None,
        }
    }
}

impl fmt::Display for PodSecurityLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Baseline => "baseline",
            Self::Restricted => "restricted",
        })
    }
}

/// One thing that a level forbids.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PodSecurityViolation {
    /// The lowest level that forbids it; higher ones do too.
    pub level: PodSecurityLevel,
    /// The name of the control, as the API server writes it.
    pub control: &'static str,
    /// Who violates it: `container "web"`, `volume "logs"`, `pod`.
    pub subject: String,
}

/// A control: its level, its name, and what returns the subjects that violate it.
type Control = (PodSecurityLevel, &'static str, fn(&PodParts<'_>) -> Vec<String>);

const CONTROLS: &[Control] = {
    use PodSecurityLevel::{Baseline, Restricted};
    &[
        (Baseline, "host namespaces", |pod| {
            let shared =
                ["hostNetwork", "hostPID", "hostIPC"].into_iter().filter(|key| bool_at(pod.spec, key));
            shared.map(|key| format!("{key}=true")).collect()
        }),
        (Baseline, "hostProcess", |pod| {
            pod.contexts(|context| {
                object_at(context, "windowsOptions").is_some_and(|w| bool_at(w, "hostProcess"))
            })
        }),
        (Baseline, "privileged", |pod| {
            pod.containers(|c| context_of(c).is_some_and(|s| bool_at(s, "privileged")))
        }),
        (Baseline, "non-default capabilities", |pod| {
            pod.containers(|c| added_capabilities(c).any(|name| !DEFAULT_CAPABILITIES.contains(&name)))
        }),
        (Baseline, "hostPath volumes", |pod| {
            pod.volumes(|volume| volume.get("hostPath").is_some_and(is_set))
        }),
        (Baseline, "hostPort", |pod| {
            pod.containers(|c| {
                objects_at(c, "ports").any(|port| port.get("hostPort").is_some_and(|p| is_set(p) && *p != 0))
            })
        }),
        (Baseline, "probe or lifecycle host", |pod| pod.containers(names_host)),
        (Baseline, "forbidden AppArmor profile", |pod| {
            let mut found = pod.contexts(|context| {
                object_at(context, "appArmorProfile").is_some_and(|p| !is_profile(text_at(p, "type")))
            });
            found.extend(pod.annotations(APP_ARMOR_ANNOTATION_PREFIX, |value| {
                value.is_empty() || value == "runtime/default" || value.starts_with("localhost/")
            }));
            found
        }),
        (Baseline, "seLinuxOptions", |pod| {
            pod.contexts(|context| {
                object_at(context, "seLinuxOptions").is_some_and(|options| !is_selinux_allowed(options))
            })
        }),
        (Baseline, "procMount", |pod| match pod.has_user_namespace() {
            true => Vec::new(),
            false => pod.containers(|c| {
                context_of(c).is_some_and(|s| !["", "Default"].contains(&text_at(s, "procMount")))
            }),
        }),
        (Baseline, "seccompProfile", |pod| {
            pod.contexts(|context| seccomp_type(context).is_some_and(|t| !is_profile(t)))
        }),
        (Baseline, "forbidden sysctls", |pod| {
            let all = context_of(pod.spec).into_iter().flat_map(|context| objects_at(context, "sysctls"));
            let names = all.map(|sysctl| text_at(sysctl, "name")).filter(|name| !SAFE_SYSCTLS.contains(name));
            names.map(|name| format!("sysctl {name:?}")).collect()
        }),
        (Restricted, "restricted volume types", |pod| {
            pod.volumes(|volume| !RESTRICTED_VOLUMES.iter().any(|kind| volume.get(*kind).is_some_and(is_set)))
        }),
        (Restricted, "allowPrivilegeEscalation != false", |pod| {
            let is_dropped = |c: &JsonObject| {
                context_of(c).and_then(|s| s.get("allowPrivilegeEscalation")) == Some(&Value::Bool(false))
            };
            if pod.is_windows() { Vec::new() } else { pod.containers(|c| !is_dropped(c)) }
        }),
        (Restricted, "runAsNonRoot != true", |pod| {
            if pod.has_user_namespace() {
                return Vec::new();
            }
            let flag =
                |object: &JsonObject| context_of(object).and_then(|s| s.get("runAsNonRoot")?.as_bool());
            pod.with_default(flag, |flag| flag == Some(true))
        }),
        (Restricted, "runAsUser=0", |pod| match pod.has_user_namespace() {
            true => Vec::new(),
            false => pod.contexts(|context| context.get("runAsUser").is_some_and(|user| *user == 0)),
        }),
        (Restricted, "seccompProfile", |pod| {
            if pod.is_windows() {
                return Vec::new();
            }
            let profile = |object: &JsonObject| context_of(object).and_then(seccomp_type).map(is_profile);
            pod.with_default(profile, |profile| profile == Some(true))
        }),
        (Restricted, "unrestricted capabilities", |pod| {
            let drops_all = |c: &JsonObject| {
                let capabilities = context_of(c).and_then(|s| object_at(s, "capabilities"));
                capabilities.is_some_and(|all| strings_at(all, "drop").any(|name| name == "ALL"))
            };
            let is_bad = |c: &JsonObject| {
                !drops_all(c) || added_capabilities(c).any(|name| name != "NET_BIND_SERVICE")
            };
            if pod.is_windows() { Vec::new() } else { pod.containers(is_bad) }
        }),
    ]
};

const DEFAULT_CAPABILITIES: [&str; 13] = [
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];

const SAFE_SYSCTLS: [&str; 12] = [
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ping_group_range",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.tcp_wmem",
];

const SELINUX_TYPES: [&str; 5] =
    ["", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"];

const RESTRICTED_VOLUMES: [&str; 9] = [
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "image",
    "persistentVolumeClaim",
    "projected",
    "secret",
];

/// Returns what a pod template has that a level forbids, in the order of the controls.
pub fn pod_security_violations(template: &Value) -> Vec<PodSecurityViolation> {
    let empty = JsonObject::new();
    let part = |key: &str| template.get(key).and_then(Value::as_object).unwrap_or(&empty);
    let pod = PodParts::of(part("metadata"), part("spec"));
    let violations = CONTROLS.iter().flat_map(|(level, control, check)| {
        check(&pod).into_iter().map(|subject| PodSecurityViolation { level: *level, control, subject })
    });
    violations.collect()
}

/// Returns what a level forbids, as the API server lists it: where `restricted` has a stricter form of a control, that
/// one counts.
pub fn violations_of_level(
    all: &[PodSecurityViolation],
    level: PodSecurityLevel,
) -> impl Iterator<Item = &PodSecurityViolation> {
    let is_replaced = move |violation: &PodSecurityViolation| {
        level == PodSecurityLevel::Restricted
            && violation.level == PodSecurityLevel::Baseline
            && REPLACED_CONTROLS.contains(&violation.control)
    };
    all.iter().filter(move |violation| violation.level <= level && !is_replaced(violation))
}

/// Controls of `baseline` that `restricted` has in a stricter form.
const REPLACED_CONTROLS: [&str; 3] = ["hostPath volumes", "non-default capabilities", "seccompProfile"];

/// The parts of a pod template that controls read.
struct PodParts<'a> {
    metadata: &'a JsonObject,
    spec: &'a JsonObject,
    /// All its containers.
    containers: Vec<&'a JsonObject>,
}

impl<'a> PodParts<'a> {
    fn of(metadata: &'a JsonObject, spec: &'a JsonObject) -> Self {
        let lists = ["initContainers", "containers", "ephemeralContainers"];
        let containers = lists.into_iter().flat_map(|list| objects_at(spec, list)).collect();
        Self { metadata, spec, containers }
    }

    fn containers(&self, is_bad: impl Fn(&JsonObject) -> bool) -> Vec<String> {
        self.containers.iter().copied().filter(|c| is_bad(c)).map(container_title).collect()
    }

    fn volumes(&self, is_bad: impl Fn(&JsonObject) -> bool) -> Vec<String> {
        let bad = objects_at(self.spec, "volumes").filter(|volume| is_bad(volume));
        bad.map(|volume| format!("volume {:?}", text_at(volume, "name"))).collect()
    }

    /// Checks the security contexts of the pod and of its containers.
    fn contexts(&self, is_bad: impl Fn(&JsonObject) -> bool) -> Vec<String> {
        let pod = context_of(self.spec).filter(|context| is_bad(context)).map(|_| "pod".to_owned());
        pod.into_iter().chain(self.containers(|c| context_of(c).is_some_and(&is_bad))).collect()
    }

    fn annotations(&self, prefix: &str, is_good: impl Fn(&str) -> bool) -> Vec<String> {
        let all = object_at(self.metadata, "annotations").into_iter().flatten();
        let bad = all.filter(|(key, value)| key.starts_with(prefix) && !value.as_str().is_some_and(&is_good));
        bad.map(|(key, _)| format!("annotation {key:?}")).collect()
    }

    /// Checks a setting that a container takes from the pod where it has none: each is good that is written, and each
    /// container has one.
    fn with_default<T>(
        &self,
        setting: impl Fn(&JsonObject) -> Option<T>,
        is_good: impl Fn(Option<T>) -> bool,
    ) -> Vec<String> {
        let is_pod_set = setting(self.spec).is_some();
        let is_pod_good = is_good(setting(self.spec));
        let pod = (is_pod_set && !is_pod_good).then(|| "pod".to_owned());
        let is_bad = |c: &JsonObject| match setting(c) {
            Some(own) => !is_good(Some(own)),
            None => !is_pod_good,
        };
        pod.into_iter().chain(self.containers(is_bad)).collect()
    }

    fn is_windows(&self) -> bool {
        object_at(self.spec, "os").is_some_and(|os| text_at(os, "name") == "windows")
    }

    /// Root in a user namespace has no rights on the node.
    fn has_user_namespace(&self) -> bool {
        self.spec.get("hostUsers") == Some(&Value::Bool(false))
    }
}

fn container_title(container: &JsonObject) -> String {
    format!("container {:?}", text_at(container, "name"))
}

fn context_of(object: &JsonObject) -> Option<&JsonObject> {
    object_at(object, "securityContext")
}

fn added_capabilities(container: &JsonObject) -> impl Iterator<Item = &str> {
    let capabilities = context_of(container).and_then(|s| object_at(s, "capabilities"));
    capabilities.into_iter().flat_map(|all| strings_at(all, "add"))
}

fn seccomp_type(context: &JsonObject) -> Option<&str> {
    object_at(context, "seccompProfile").map(|profile| text_at(profile, "type"))
}

/// Returns whether a type of a seccomp or AppArmor profile is allowed.
fn is_profile(name: &str) -> bool {
    ["RuntimeDefault", "Localhost"].contains(&name)
}

fn is_selinux_allowed(options: &JsonObject) -> bool {
    let is_empty = |key: &str| text_at(options, key).is_empty();
    SELINUX_TYPES.contains(&text_at(options, "type")) && is_empty("user") && is_empty("role")
}

/// Returns whether a probe or a handler of a container connects to another host than its pod.
fn names_host(container: &JsonObject) -> bool {
    let probes = ["livenessProbe", "readinessProbe", "startupProbe"].into_iter();
    let lifecycle = object_at(container, "lifecycle");
    let handlers = ["postStart", "preStop"].into_iter();
    let handlers = handlers.filter_map(|key| lifecycle.and_then(|l| object_at(l, key)));
    let mut all = probes.filter_map(|key| object_at(container, key)).chain(handlers);
    all.any(|handler| {
        let actions = ["httpGet", "tcpSocket"].into_iter().filter_map(|key| object_at(handler, key));
        actions.into_iter().any(|action| !text_at(action, "host").is_empty())
    })
}

fn is_set(value: &Value) -> bool {
    !value.is_null()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Returns the controls of a level or below that a pod violates.
    fn violated(level: PodSecurityLevel, spec: Value) -> Vec<(&'static str, String)> {
        let all = pod_security_violations(&json!({"spec": spec}));
        violations_of_level(&all, level).map(|v| (v.control, v.subject.clone())).collect()
    }

    #[test]
    fn a_hardened_pod_violates_nothing() {
        let context = json!({"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}});
        let spec = json!({"securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [{"name": "web", "securityContext": context}], "volumes": [{"name": "v", "emptyDir": {}}]});
        assert_eq!(violated(PodSecurityLevel::Restricted, spec), []);
    }

    #[test]
    fn a_container_inherits_what_it_does_not_set() {
        let context = json!({"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]},
            "runAsNonRoot": true, "seccompProfile": {"type": "Localhost"}});
        let web = json!({"name": "web", "securityContext": context});
        let bare = json!({"name": "log", "securityContext": {"allowPrivilegeEscalation": false,
            "capabilities": {"drop": ["ALL"]}}});
        let spec = |pod: Value| json!({"securityContext": pod, "containers": [web, bare]});
        let log = || "container \"log\"".to_owned();
        let restricted = PodSecurityLevel::Restricted;
        assert_eq!(
            violated(restricted, spec(json!({}))),
            [("runAsNonRoot != true", log()), ("seccompProfile", log())]
        );
        let good = json!({"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}});
        assert_eq!(violated(restricted, spec(good)), []);
        let bad = json!({"runAsNonRoot": false, "seccompProfile": {"type": "RuntimeDefault"}});
        let pod = || "pod".to_owned();
        assert_eq!(
            violated(restricted, spec(bad)),
            [("runAsNonRoot != true", pod()), ("runAsNonRoot != true", log())]
        );
    }

    #[test]
    fn whatever_has_another_type_is_ignored() {
        for template in
            [json!(null), json!([]), json!({"spec": 7}), json!({"spec": {"containers": [1, {"name": 2}]}})]
        {
            let all = pod_security_violations(&template);
            assert!(all.iter().all(|v| v.level == PodSecurityLevel::Restricted), "{all:?}");
        }
    }
}
