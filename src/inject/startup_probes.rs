//! Startup of native sidecars: the kubelet starts the next container of the pod once the startup probe of one succeeds.

use super::template::{ContainerList, JsonObject, PodView, container_path, item_name, list_items};
use super::types::{InjectionContext, NewContainer, ProbeSource, SelectedSet, container_label};
use crate::diagnostics::{Code, Diagnostic, Span};
use crate::model::sidecar_set::SidecarContainer;
use crate::yaml::{EntryPart, FieldPath};
use serde_json::{Value, json};

/// Seconds between two tries of a startup probe that pillion makes.
const PERIOD_SECONDS: u64 = 2;

/// Failures of such a probe after which the kubelet restarts the container: ten minutes.
const FAILURE_THRESHOLD: u64 = 300;

/// The handlers of a probe.
const HANDLERS: [&str; 4] = ["exec", "httpGet", "tcpSocket", "grpc"];

/// Gives a native sidecar that others wait for a startup probe, unless it has one.
pub(super) fn ensure_probe(
    pod: &PodView<'_>,
    selected: &SelectedSet<'_>,
    new: &mut NewContainer<'_>,
    context: &mut InjectionContext<'_>,
) {
    if new.container.contains_key("startupProbe") {
        return;
    }
    if let Some(probe) = new.container.get("readinessProbe").and_then(probe_from_readiness) {
        let readiness = &new.container["readinessProbe"];
        if let Some((place, port)) = find_application_port(pod, readiness, &new.container) {
            let at = FieldPath::dotted("readinessProbe");
            return context.report(waits_for_application(pod, (selected, new.sidecar), &at, place, port));
        }
        let at = new.sidecar.path.child("readinessProbe");
        context.report(probe_added(selected, new.sidecar, &at, "its readiness probe"));
        new.container.insert("startupProbe".to_owned(), probe);
        new.probe_source = Some(ProbeSource::Readiness);
    } else if let Some((i, port)) = first_tcp_port(&new.container) {
        let at = new.sidecar.path.child("ports").child(i);
        context.report(probe_added(selected, new.sidecar, &at, &format!("its port {port}")));
        let probe = json!({
            "tcpSocket": {"port": port},
            "periodSeconds": PERIOD_SECONDS,
            "failureThreshold": FAILURE_THRESHOLD,
        });
        new.container.insert("startupProbe".to_owned(), probe);
        new.probe_source = Some(ProbeSource::Port(i));
    } else if new.container.get("lifecycle").is_none_or(|lifecycle| lifecycle.get("postStart").is_none()) {
        // The kubelet waits for the end of a `postStart` hook as well.
        let message = format!("`{}` of SidecarSet `{}`", new.sidecar.name, selected.name());
        context.report(probe_missing(&message, container_label(selected, new.sidecar, "no startup probe")));
    }
}

/// Reports a native sidecar of the application that others wait for, and that has no startup probe.
pub(super) fn check_application_probe(pod: &PodView<'_>, index: usize, context: &mut InjectionContext<'_>) {
    let container = &pod.init_containers[index];
    let has = |key: &str| container.get(key).is_some();
    if !has("startupProbe") && container.pointer("/lifecycle/postStart").is_none() {
        let at = container_path(ContainerList::Init, index).child("name");
        let who = format!("`{}` of `{}`", item_name(container), pod.template.key);
        context.report(probe_missing(&who, pod.label(&at, EntryPart::Value, "no startup probe")));
    }
}

/// A startup probe with the handler of a readiness probe. It tries often, and gives up late: the readiness probe never
/// restarts the container.
fn probe_from_readiness(readiness: &Value) -> Option<Value> {
    let handler = HANDLERS.into_iter().find(|handler| readiness.get(*handler).is_some())?;
    let kept = [handler, "initialDelaySeconds", "timeoutSeconds"];
    let mut probe: JsonObject =
        kept.into_iter().filter_map(|key| Some((key.to_owned(), readiness.get(key)?.clone()))).collect();
    probe.insert("periodSeconds".to_owned(), PERIOD_SECONDS.into());
    probe.insert("failureThreshold".to_owned(), FAILURE_THRESHOLD.into());
    Some(Value::Object(probe))
}

fn first_tcp_port(container: &JsonObject) -> Option<(usize, u64)> {
    let ports = container.get("ports").and_then(Value::as_array)?;
    let is_tcp = |port: &Value| matches!(port.get("protocol").and_then(Value::as_str), None | Some("TCP"));
    let mut tcp = ports.iter().enumerate().filter(|(_, port)| is_tcp(port));
    tcp.find_map(|(i, port)| Some((i, port.get("containerPort").and_then(Value::as_u64)?)))
}

fn probe_added(
    selected: &SelectedSet<'_>,
    sidecar: &SidecarContainer,
    at: &FieldPath,
    source: &str,
) -> Diagnostic {
    let message = format!(
        "`{}` of SidecarSet `{}` gets a startup probe from {source}: the next container waits for it",
        sidecar.name,
        selected.name()
    );
    Diagnostic::note(Code::StartupProbeAdded, message)
        .at(selected.content.set().document.label(at, EntryPart::Key, ""))
        .because(format!(
            "the kubelet tries every {PERIOD_SECONDS} seconds, and restarts the container after {} minutes",
            PERIOD_SECONDS * FAILURE_THRESHOLD / 60
        ))
        .help("write a `startupProbe` to choose another one")
}

fn probe_missing(who: &str, place: Span) -> Diagnostic {
    Diagnostic::warning(
        Code::StartupProbeMissing,
        format!("{who} has no startup probe: the next container starts as soon as it runs"),
    )
    .at(place)
    .because("without a startup probe, readiness probe or TCP port nothing tells when it is ready")
    .help("write a `startupProbe`; its liveness probe may serve")
}

/// The application starts after all native sidecars have started: reports one that waits for the application itself.
pub(super) fn check_waiting(
    pod: &PodView<'_>,
    selected: &SelectedSet<'_>,
    sidecar: &SidecarContainer,
    context: &mut InjectionContext<'_>,
) {
    let start = ["startupProbe"].into_iter().map(|key| (FieldPath::dotted(key), sidecar.container.get(key)));
    let hook = sidecar.container.get("lifecycle").and_then(|lifecycle| lifecycle.get("postStart"));
    for (at, handler) in start.chain([(FieldPath::dotted("lifecycle.postStart"), hook)]) {
        if let Some((list_index, port)) =
            handler.and_then(|h| find_application_port(pod, h, &sidecar.container))
        {
            context.report(waits_for_application(pod, (selected, sidecar), &at, list_index, port));
        }
    }
}

/// Returns the port of the application that a handler asks, and its place: container and port.
pub(super) fn find_application_port(
    pod: &PodView<'_>,
    handler: &Value,
    own: &JsonObject,
) -> Option<((usize, usize), u64)> {
    let action = ["httpGet", "tcpSocket", "grpc"].into_iter().find_map(|action| handler.get(action))?;
    // Names are those of the container's own ports, and another host is not this pod.
    let port = action.get("port")?.as_u64()?;
    if action
        .get("host")
        .and_then(Value::as_str)
        .is_some_and(|host| !matches!(host, "" | "127.0.0.1" | "localhost"))
    {
        return None;
    }
    let has_port = |ports: &[Value]| {
        ports.iter().position(|p| p.get("containerPort").and_then(Value::as_u64) == Some(port))
    };
    if has_port(own.get("ports").and_then(Value::as_array).map_or(&[][..], Vec::as_slice)).is_some() {
        return None;
    }
    let found =
        pod.containers.iter().enumerate().filter(|(_, c)| !super::injected_mark::has_injected_mark(c));
    let mut found = found.filter_map(|(i, container)| Some((i, has_port(list_items(container, "ports"))?)));
    found.next().map(|place| (place, port))
}

/// The error that a native sidecar waits for the application, which waits for it.
pub(super) fn waits_for_application(
    pod: &PodView<'_>,
    (selected, sidecar): (&SelectedSet<'_>, &SidecarContainer),
    handler: &FieldPath,
    (container, port_index): (usize, usize),
    port: u64,
) -> Diagnostic {
    let application = item_name(&pod.containers[container]);
    let message = format!(
        "`{}` of SidecarSet `{}` cannot be a native sidecar of `{}`: its `{handler}` asks port {port} of container \
         `{application}`",
        sidecar.name,
        selected.name(),
        pod.template.key
    );
    let at = sidecar.path.join(handler);
    let place = container_path(ContainerList::Regular, container).child("ports").child(port_index);
    let mut diagnostic = Diagnostic::error(Code::CannotBeNative, message)
        .at(selected.content.set().document.label(&at, EntryPart::Key, "waits for the application"))
        .at(pod.label(&place.child("containerPort"), EntryPart::Value, "starts after every native sidecar"))
        .because("the two would wait for each other, and the pod would never start")
        .help("ask a port of the sidecar, or inject this set with `pillion.dev/sidecar-mode: Container`");
    diagnostic.spans.extend(selected.content.set().mode_label("asks for native sidecars"));
    diagnostic
}
