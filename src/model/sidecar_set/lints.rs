//! Lints: what Kruise and Kubernetes accept in a SidecarSet, and what can harm the application beside it.
//!
//! Findings are warnings and notes, so that `lint:` of pillion.yaml can hide them or make them errors.

use super::{SidecarContainer, SidecarSet};
use crate::diagnostics::{Code, Diagnostic, Span};
use crate::model::json::{JsonObject, bool_at, object_at, objects_at, strings_at, text_at};
use crate::yaml::{EntryPart, FieldPath};

/// Capabilities with which a container can leave its isolation.
const HOST_CAPABILITIES: [&str; 3] = ["ALL", "SYS_ADMIN", "CAP_SYS_ADMIN"];

/// Returns the findings of a valid set: containers in their order, init containers first.
pub(crate) fn lint(set: &SidecarSet) -> Vec<Diagnostic> {
    let all = set.init_containers.iter().chain(&set.containers);
    all.flat_map(|container| lint_container(set, container)).collect()
}

fn lint_container(set: &SidecarSet, sidecar: &SidecarContainer) -> Vec<Diagnostic> {
    let is_init = set.init_containers.iter().any(|init| init.path == sidecar.path);
    let mut found = Vec::new();
    // An init container that ends before the application starts has no probes, and frees what it used.
    if !is_init || sidecar.is_native_sidecar {
        found.extend(readiness_probe(set, sidecar));
        found.extend(missing_limits(set, sidecar));
    }
    found.extend(privileged(set, sidecar));
    found.extend(writable_host_paths(set, sidecar));
    found
}

fn readiness_probe(set: &SidecarSet, sidecar: &SidecarContainer) -> Option<Diagnostic> {
    object_at(&sidecar.container, "readinessProbe")?;
    let name = &sidecar.name;
    let message =
        format!("sidecar `{name}` has a readiness probe: while it fails, the application gets no requests");
    let help = "remove the probe, or keep it where the application cannot serve without the sidecar, as with a proxy";
    let at = key(set, sidecar, &FieldPath::dotted("readinessProbe"));
    Some(Diagnostic::note(Code::ReadinessProbe, message).at(at).help(help))
}

fn missing_limits(set: &SidecarSet, sidecar: &SidecarContainer) -> Option<Diagnostic> {
    let policy = sidecar.resources_policy.as_ref();
    let written = object_at(&sidecar.container, "resources").and_then(|r| object_at(r, "limits"));
    let has = |resource: &str, of_policy: Option<&String>| {
        of_policy.is_some() || written.is_some_and(|limits| limits.contains_key(resource))
    };
    if has("memory", policy.and_then(|p| p.limits_memory.as_ref())) {
        return None;
    }
    let what = match has("cpu", policy.and_then(|p| p.limits_cpu.as_ref())) {
        true => "no memory limit",
        false => "no limits",
    };
    let name = &sidecar.name;
    let message =
        format!("sidecar `{name}` has {what}: a leak takes the memory of the application or the node");
    let field = if sidecar.container.contains_key("resources") { "resources" } else { "name" };
    let help = "write `resources: {limits: {memory: 128Mi}}` with what the sidecar needs";
    let at = key(set, sidecar, &FieldPath::dotted(field));
    Some(Diagnostic::note(Code::MissingLimits, message).at(at).help(help))
}

fn privileged(set: &SidecarSet, sidecar: &SidecarContainer) -> Option<Diagnostic> {
    let context = object_at(&sidecar.container, "securityContext")?;
    let capability = object_at(context, "capabilities")
        .and_then(|c| strings_at(c, "add").find(|name| HOST_CAPABILITIES.contains(name)));
    let (field, what) = match capability {
        _ if bool_at(context, "privileged") => ("securityContext.privileged", "is privileged".to_owned()),
        Some(name) => ("securityContext.capabilities.add", format!("has the capability {name}")),
        None => return None,
    };
    let name = &sidecar.name;
    let message = format!("sidecar `{name}` {what}: whoever takes it over has the node");
    let help = "remove it, or add the single capabilities that the sidecar needs";
    let at = key(set, sidecar, &FieldPath::dotted(field));
    Some(Diagnostic::warning(Code::PrivilegedSidecar, message).at(at).help(help))
}

/// Finds mounts of folders of the node that are not read-only.
fn writable_host_paths<'a>(
    set: &'a SidecarSet,
    sidecar: &'a SidecarContainer,
) -> impl Iterator<Item = Diagnostic> + 'a {
    let mounts = objects_at(&sidecar.container, "volumeMounts").enumerate();
    mounts.filter(|(_, mount)| !bool_at(mount, "readOnly")).filter_map(|(i, mount)| {
        let volume = text_at(mount, "name");
        let path = host_path(set, volume)?;
        let name = &sidecar.name;
        let message = format!("sidecar `{name}` can write to `{path}` of the node, by volume `{volume}`");
        let help = "add `readOnly: true` to the mount, or use an emptyDir";
        let at = key(set, sidecar, &FieldPath::dotted("volumeMounts").child(i));
        Some(Diagnostic::warning(Code::WritableHostPath, message).at(at).help(help))
    })
}

fn host_path<'a>(set: &'a SidecarSet, volume: &str) -> Option<&'a str> {
    let volume: &JsonObject = set.volumes.iter().find(|v| text_at(v, "name") == volume)?;
    Some(text_at(object_at(volume, "hostPath")?, "path"))
}

fn key(set: &SidecarSet, sidecar: &SidecarContainer, field: &FieldPath) -> Span {
    set.document.label(&sidecar.path.join(field), EntryPart::Key, "")
}
