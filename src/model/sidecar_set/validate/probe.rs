//! Checks probes and lifecycle hooks.

use super::fields::{check_port_number, require_keys};
use super::format;
use super::report::{FieldRef, ValidationReport};
use crate::diagnostics::Code;
use crate::model::json::{JsonObject, int_at, object_at, objects_at, text_at};
use crate::yaml::EntryPart;
use serde_json::Value;

/// The grace period of the pod that Kruise builds to check a set.
const GRACE_PERIOD_SECONDS: i64 = 30;

/// Checks the probes and hooks of a container.
pub(super) fn check(report: &mut ValidationReport<'_>, container: &JsonObject, at: &FieldRef) {
    if let Some(lifecycle) = object_at(container, "lifecycle") {
        for hook in ["postStart", "preStop"] {
            if let Some(handler_of) = object_at(lifecycle, hook) {
                let at = at.child("lifecycle").child(hook);
                check_handler(report, handler_of, &["exec", "httpGet", "tcpSocket", "sleep"], &at);
            }
        }
    }
    for kind in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if let Some(written) = object_at(container, kind) {
            check_probe(report, written, kind, &at.child(kind));
        }
    }
}

fn check_probe(report: &mut ValidationReport<'_>, probe: &JsonObject, kind: &str, at: &FieldRef) {
    check_handler(report, probe, &["exec", "httpGet", "tcpSocket", "grpc"], at);
    let bounds =
        ["initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"];
    for key in bounds.into_iter().filter(|k| int_at(probe, k) < 0) {
        report.invalid(&at.child(key), &int_at(probe, key).to_string(), "must not be negative");
    }
    if kind != "readinessProbe" && int_at(probe, "successThreshold") != 1 {
        let field = at.child("successThreshold");
        if kind == "startupProbe" && !probe.contains_key("successThreshold") {
            // Kruise v1.9.0 sets the defaults of the other probes, but not of this one.
            report.required(&field, "write `successThreshold: 1`; Kruise has no defaults for startup probes");
        } else {
            report.invalid(&field, &int_at(probe, "successThreshold").to_string(), "must be 1");
        }
    }
    if let Some(seconds) = probe.get("terminationGracePeriodSeconds").and_then(Value::as_i64) {
        let field = at.child("terminationGracePeriodSeconds");
        if seconds <= 0 {
            report.invalid(&field, &seconds.to_string(), "must be greater than 0");
        }
        if kind == "readinessProbe" {
            report.forbidden(&field, "is not allowed in readiness probes");
        }
    }
}

fn check_handler(
    report: &mut ValidationReport<'_>,
    handler: &JsonObject,
    kinds: &[&'static str],
    at: &FieldRef,
) {
    let mut written = kinds.iter().filter(|k| handler.contains_key(**k));
    let Some(kind) = written.next() else {
        let message = format!("`{}` has no action", at.name());
        let help = format!("write one of `{}`", kinds.join("`, `"));
        return report.error(Code::MissingField, at, EntryPart::Key, message, &help);
    };
    for further in written {
        report.forbidden(&at.child(further), &format!("cannot be used together with `{kind}`"));
    }
    let Some(action) = object_at(handler, kind) else { return };
    let at = at.child(kind);
    match *kind {
        "exec" => require_keys(report, action, &["command"], &at),
        "httpGet" => check_http_get(report, action, &at),
        "sleep" => {
            let seconds = int_at(action, "seconds");
            if seconds <= 0 || seconds > GRACE_PERIOD_SECONDS {
                report.invalid(&at, &seconds.to_string(), "must be greater than 0 and at most 30 seconds");
            }
        }
        _ => check_port(report, action, &at),
    }
}

fn check_http_get(report: &mut ValidationReport<'_>, action: &JsonObject, at: &FieldRef) {
    if text_at(action, "path").is_empty() {
        report.required(&at.child("path"), "write `path: /`; Kruise has no defaults for startup probes");
    }
    check_port(report, action, at);
    match text_at(action, "scheme") {
        "HTTP" | "HTTPS" => {}
        "" => report
            .required(&at.child("scheme"), "write `scheme: HTTP`; Kruise has no defaults for startup probes"),
        scheme => report.unsupported(&at.child("scheme"), scheme),
    }
    let headers = at.child("httpHeaders");
    for (i, header) in objects_at(action, "httpHeaders").enumerate() {
        let name = text_at(header, "name");
        report.check_format(
            &headers.item(i).child("name").reported_as(&headers.reported_path),
            name,
            format::check_http_header(name),
        );
    }
}

fn check_port(report: &mut ValidationReport<'_>, action: &JsonObject, at: &FieldRef) {
    let field = at.child("port");
    match action.get("port") {
        Some(Value::String(name)) => {
            report.check_format(&field, name, format::check_port_name(name));
        }
        _ => check_port_number(report, int_at(action, "port"), &field),
    }
}
