//! Probes and lifecycle hooks.

use super::container::{int, port_number, require};
use super::format;
use super::report::{Report, Spot};
use crate::diag::Code;
use crate::model::sidecar_set::read::{inside, objects, text};
use crate::yaml::Part;
use serde_json::{Map, Value};

type Object = Map<String, Value>;

/// The grace period of the pod in which Kruise checks a set.
const GRACE_PERIOD: i64 = 30;

/// Checks the probes and hooks of a container.
pub(super) fn check(report: &mut Report<'_>, container: &Object, at: &Spot) {
    if let Some(lifecycle) = inside(container, "lifecycle") {
        for hook in ["postStart", "preStop"] {
            if let Some(handler_of) = inside(lifecycle, hook) {
                let at = at.child("lifecycle").child(hook);
                handler(report, handler_of, &["exec", "httpGet", "tcpSocket", "sleep"], &at);
            }
        }
    }
    for kind in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if let Some(written) = inside(container, kind) {
            probe(report, written, kind, &at.child(kind));
        }
    }
}

fn probe(report: &mut Report<'_>, probe: &Object, kind: &str, at: &Spot) {
    handler(report, probe, &["exec", "httpGet", "tcpSocket", "grpc"], at);
    let bounds =
        ["initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"];
    for key in bounds.into_iter().filter(|k| int(probe, k) < 0) {
        report.invalid(&at.child(key), &int(probe, key).to_string(), "must not be negative");
    }
    if kind != "readinessProbe" && int(probe, "successThreshold") != 1 {
        let spot = at.child("successThreshold");
        if kind == "startupProbe" && !probe.contains_key("successThreshold") {
            // Kruise v1.9.0 fills in the defaults of the other probes, but not of this one.
            report.required(&spot, "write `successThreshold: 1`; Kruise has no defaults for startup probes");
        } else {
            report.invalid(&spot, &int(probe, "successThreshold").to_string(), "must be 1");
        }
    }
    if let Some(seconds) = probe.get("terminationGracePeriodSeconds").and_then(Value::as_i64) {
        let spot = at.child("terminationGracePeriodSeconds");
        if seconds <= 0 {
            report.invalid(&spot, &seconds.to_string(), "must be greater than 0");
        }
        if kind == "readinessProbe" {
            report.forbidden(&spot, "does not go with readiness probes");
        }
    }
}

fn handler(report: &mut Report<'_>, handler: &Object, kinds: &[&'static str], at: &Spot) {
    let mut written = kinds.iter().filter(|k| handler.contains_key(**k));
    let Some(kind) = written.next() else {
        let message = format!("`{}` does not say what to do", at.name());
        let help = format!("write one of `{}`", kinds.join("`, `"));
        return report.error(Code::MissingField, at, Part::Key, message, &help);
    };
    for further in written {
        report.forbidden(&at.child(further), &format!("cannot be used together with `{kind}`"));
    }
    let Some(action) = inside(handler, kind) else { return };
    let at = at.child(kind);
    match *kind {
        "exec" => require(report, action, &["command"], &at),
        "httpGet" => http_get(report, action, &at),
        "sleep" => {
            let seconds = int(action, "seconds");
            if seconds <= 0 || seconds > GRACE_PERIOD {
                report.invalid(&at, &seconds.to_string(), "must be greater than 0 and at most 30 seconds");
            }
        }
        _ => port(report, action, &at),
    }
}

fn http_get(report: &mut Report<'_>, action: &Object, at: &Spot) {
    if text(action, "path").unwrap_or_default().is_empty() {
        report.required(&at.child("path"), "write `path: /`; Kruise has no defaults for startup probes");
    }
    port(report, action, at);
    match text(action, "scheme").unwrap_or_default() {
        "HTTP" | "HTTPS" => {}
        "" => report
            .required(&at.child("scheme"), "write `scheme: HTTP`; Kruise has no defaults for startup probes"),
        scheme => report.unsupported(&at.child("scheme"), scheme, &["HTTP", "HTTPS"]),
    }
    let headers = at.child("httpHeaders");
    for (i, header) in objects(action, "httpHeaders").enumerate() {
        let name = text(header, "name").unwrap_or_default();
        if let Some(rule) = format::http_header(name) {
            report.invalid(&headers.item(i).child("name").called(&headers.field), name, rule);
        }
    }
}

fn port(report: &mut Report<'_>, action: &Object, at: &Spot) {
    let spot = at.child("port");
    match action.get("port") {
        Some(Value::String(name)) => {
            if let Some(rule) = format::port_name(name) {
                report.invalid(&spot, name, rule);
            }
        }
        _ => port_number(report, int(action, "port"), &spot),
    }
}
