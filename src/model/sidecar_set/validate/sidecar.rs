//! Kruise's fields of a sidecar: inject and share policies, upgrade strategy, `transferEnv`, `resourcesPolicy`.

use super::format;
use super::report::{FieldRef, ValidationReport, list_alternatives};
use crate::diagnostics::{Code, Diagnostic, Severity};
use crate::model::go_regexp;
use crate::model::image_problem::check_image_name;
use crate::model::json::{JsonObject, object_at, objects_at, string_at, strings_at, text_at};
use crate::model::quantity::{Quantity, QuantityFormat};
use crate::model::resources_expr::{self, EvalError, ExprResource};
use crate::model::sidecar_set::type_check::shorten;
use crate::yaml::{EntryPart, FieldPath};

/// Checks Kruise's fields of all containers and init containers.
pub(super) fn check(report: &mut ValidationReport<'_>, spec: &JsonObject) {
    let at = FieldRef::new(FieldPath::dotted("spec"));
    let lists = ["initContainers", "containers"];
    if lists.iter().all(|list| objects_at(spec, list).next().is_none()) {
        report_no_containers(report, &at);
    }
    for list in lists {
        for (i, container) in objects_at(spec, list).enumerate() {
            let field = at.child(list).item(i);
            let is_init = list == "initContainers";
            let own = at.item(i).reported_path;
            check_image(report, container, &field);
            check_policies(report, container, &field, is_init);
            check_transfer_env(report, container, &field, &own, is_init);
            check_upgrade(report, container, &field);
            if let Some(policy) = object_at(container, "resourcesPolicy") {
                let field = field.child("resourcesPolicy").reported_as(format!("{own}.resourcesPolicy"));
                if is_init && string_at(container, "restartPolicy") != Some("Always") {
                    report.forbidden(&field, "is allowed only in containers and native sidecars");
                } else {
                    check_resources_policy(report, container, policy, &field);
                }
            }
        }
    }
}

/// A misspelled `containers` is the error itself, and not only the reason of one.
fn report_no_containers(report: &mut ValidationReport<'_>, at: &FieldRef) {
    let message = "a SidecarSet needs at least one container or init container";
    match report.misspelled_key(&at.path, &["containers", "initContainers"]) {
        Some((key, meant)) => {
            let message = format!("unknown field `{}`: {message}", shorten(&key));
            let help = format!("did you mean `{meant}`?");
            report.error(Code::MissingField, &at.child(&key), EntryPart::Key, message, &help);
        }
        None => report.error(Code::MissingField, at, EntryPart::Key, message.into(), "write `containers`"),
    }
}

/// Neither Kruise nor the API server checks the names of images; the kubelet does.
fn check_image(report: &mut ValidationReport<'_>, container: &JsonObject, at: &FieldRef) {
    let image = text_at(container, "image");
    let Some(found) = check_image_name(image) else { return };
    let field = at.child("image");
    report.add(Severity::Warning, |locations| {
        let message = format!("`{}` is not a valid image name: {}", shorten(image), found.reason);
        Diagnostic::warning(Code::InvalidImage, message)
            .at(locations.label(&field.path, EntryPart::Value, ""))
            .field(&field.reported_path)
            .because("the kubelet reports InvalidImageName, and the container never starts")
            .help(found.help)
    });
}

/// Kruise checks these only in `containers`, and reports them without an index. Elsewhere it ignores other values.
fn check_policies(report: &mut ValidationReport<'_>, container: &JsonObject, at: &FieldRef, is_init: bool) {
    let policy = text_at(container, "podInjectPolicy");
    let field = at.child("podInjectPolicy").reported_as("spec.container.podInjectPolicy");
    if !field.values().contains(&policy) {
        if is_init {
            warn_ignored_value(report, &field, policy, "counts as `AfterAppContainer`");
        } else {
            report.unsupported(&field, policy);
        }
    }
    for key in ["shareVolumePolicy", "shareVolumeDevicePolicy"] {
        let Some(policy) = object_at(container, key) else { continue };
        let kind = text_at(policy, "type");
        let field = at.child(key).child("type");
        if field.values().contains(&kind) {
            continue;
        }
        if is_init || key == "shareVolumeDevicePolicy" {
            warn_ignored_value(report, &field, kind, "counts as `disabled`");
        } else {
            report.unsupported(&field.reported_as("spec.container.shareVolumePolicy"), kind);
        }
    }
}

fn warn_ignored_value(report: &mut ValidationReport<'_>, at: &FieldRef, value: &str, counts: &str) {
    let message =
        format!("`{value}` is not a valid value of `{}`: Kruise accepts it, and it {counts}", at.name());
    report.warning(
        Code::IgnoredValue,
        at,
        EntryPart::Value,
        message,
        &format!("use {}", list_alternatives(at.values())),
    );
}

fn check_upgrade(report: &mut ValidationReport<'_>, container: &JsonObject, at: &FieldRef) {
    let Some(strategy) = object_at(container, "upgradeStrategy") else { return };
    let at_strategy = at.child("upgradeStrategy");
    let kind = text_at(strategy, "upgradeType");
    match kind {
        "ColdUpgrade" => {}
        "HotUpgrade" => {
            if text_at(strategy, "hotUpgradeEmptyImage").is_empty() {
                let message =
                    "`hotUpgradeEmptyImage` is missing: pods get a container without an image".into();
                let help = "name an image that does nothing, with the same command and probes as the sidecar";
                report.warning(
                    Code::MissingEmptyImage,
                    &at_strategy.child("hotUpgradeEmptyImage"),
                    EntryPart::Key,
                    message,
                    help,
                );
            }
            let name = text_at(container, "name");
            if name.len() > 61 && name.len() <= 63 {
                let message = format!("`{name}` is too long for hot upgrades, which append `-1` and `-2`");
                let help = "use at most 61 characters";
                report.warning(Code::InvalidValue, &at.child("name"), EntryPart::Value, message, help);
            }
        }
        _ => warn_ignored_value(report, &at_strategy.child("upgradeType"), kind, "counts as `ColdUpgrade`"),
    }
}

fn check_transfer_env(
    report: &mut ValidationReport<'_>,
    container: &JsonObject,
    at: &FieldRef,
    own: &str,
    is_init: bool,
) {
    for (i, term) in objects_at(container, "transferEnv").enumerate() {
        let field = at.child("transferEnv").item(i);
        let from = object_at(term, "sourceContainerNameFrom").and_then(|f| object_at(f, "fieldRef"));
        if let Some(from) = from.filter(|_| !is_init) {
            let field = field.child("sourceContainerNameFrom").child("fieldRef");
            check_field_ref(report, from, &field.reported_as(format!("{own}.transferEnv.fieldRef")));
        }
        let has_source = from.is_some() || string_at(term, "sourceContainerName").is_some();
        let has_name =
            string_at(term, "envName").is_some() || strings_at(term, "envNames").any(|n| !n.is_empty());
        if !has_source || !has_name {
            let lacks = if has_source { "names no variable" } else { "names no container" };
            let message = format!("a term of `transferEnv` {lacks}: nothing is transferred");
            let help = "write `sourceContainerName` and `envName`, or remove the term";
            report.warning(Code::IgnoredValue, &field, EntryPart::Value, message, help);
        }
    }
}

/// Kruise v1.9.0 ConvertDownwardAPIFieldLabel: only a label or an annotation of the pod can name a container.
fn check_field_ref(report: &mut ValidationReport<'_>, from: &JsonObject, at: &FieldRef) {
    let path = text_at(from, "fieldPath");
    let field = at.child("fieldPath");
    if path.is_empty() {
        return report.required(&field, "write `metadata.labels['KEY']` or `metadata.annotations['KEY']`");
    }
    let version = text_at(from, "apiVersion");
    if version != "v1" {
        let api = at.child("apiVersion").reported_as(field.reported_path);
        return report.invalid(&api, version, "must be `v1`");
    }
    let expected = "must be `metadata.labels['KEY']` or `metadata.annotations['KEY']`";
    let key = split_subscript(path);
    let rule = match key {
        Some(("metadata.labels", key)) => format::check_qualified_name(key),
        Some(("metadata.annotations", key)) => format::check_qualified_name(&key.to_lowercase()),
        _ => return report.invalid(&field, path, expected),
    };
    if rule.is_some() {
        report.invalid(
            &field.reported_as(&at.reported_path),
            path,
            "must have the key of a label or annotation in brackets",
        );
    }
}

/// Splits `path['key']`.
pub(super) fn split_subscript(path: &str) -> Option<(&str, &str)> {
    path.strip_suffix("']")?.split_once("['").filter(|(path, _)| !path.is_empty())
}

fn check_resources_policy(
    report: &mut ValidationReport<'_>,
    container: &JsonObject,
    policy: &JsonObject,
    at: &FieldRef,
) {
    let mode = text_at(policy, "targetContainersMode");
    let field = FieldRef::new(at.child("targetContainersMode").path);
    if !field.values().contains(&mode) {
        report.unsupported(&field, mode);
    }
    let resources = object_at(container, "resources");
    let has = |part| resources.and_then(|r| object_at(r, part)).is_some_and(|m| !m.is_empty());
    if has("limits") || has("requests") {
        return report.not_together(Code::ForbiddenField, at, ["resourcesPolicy", "resources"]);
    }
    check_pattern(
        report,
        text_at(policy, "targetContainersNameRegex"),
        &at.child("targetContainersNameRegex"),
    );
    let expressions = at.child("resourcesExpr");
    let parts = object_at(policy, "resourcesExpr").filter(|e| !e.is_empty());
    let Some(parts) = parts else {
        return report.required(&expressions, "write `limits` or `requests`");
    };
    for part in ["limits", "requests"] {
        for (key, resource) in [("cpu", ExprResource::Cpu), ("memory", ExprResource::Memory)] {
            if let Some(written) = object_at(parts, part).and_then(|p| string_at(p, key)) {
                check_expression(report, written, resource, &expressions.child(part).child(key));
            }
        }
    }
}

fn check_pattern(report: &mut ValidationReport<'_>, written: &str, at: &FieldRef) {
    let Err(error) = go_regexp::compile(written) else { return };
    match &error.suggestion {
        None => report.invalid(at, written, &format!("is not a regular expression of Go: {error}")),
        Some(alike) => {
            let message = format!("the pattern `{}` is ambiguous: {error}", shorten(written));
            let help = format!("write `{alike}`, which always has Go's meaning");
            report.error(Code::InvalidValue, at, EntryPart::Value, message, &help);
        }
    }
}

fn check_expression(report: &mut ValidationReport<'_>, written: &str, resource: ExprResource, at: &FieldRef) {
    let expr = match resources_expr::parse(written) {
        Ok(expr) => expr,
        Err(e) => {
            return report.error(
                Code::InvalidExpression,
                at,
                EntryPart::Value,
                format!("`{}` is not a valid expression: {e}", shorten(written)),
                "write an expression such as `max(cpu*50%, 100m)`",
            );
        }
    };
    let short = shorten(written);
    match expr.evaluate_with_one(resource) {
        Err(EvalError::Negative) if expr.has_variable() => {
            let message = format!("Kruise rejects `{short}`: it is negative if `{resource}` is 1");
            let help = format!("limit it to zero or more: `max({short}, 0)`");
            return report.warning(Code::InvalidExpression, at, EntryPart::Value, message, &help);
        }
        Err(e) => {
            let message = format!("`{short}` cannot be evaluated: {e}");
            return report.error(
                Code::InvalidExpression,
                at,
                EntryPart::Value,
                message,
                "change the expression",
            );
        }
        Ok(()) => {}
    }
    // An expression that passes with Kruise's test number may still fail with the quantity of a pod.
    let plenty = Quantity::from_milli(i64::from(i32::MAX) * 1000, QuantityFormat::DecimalSi);
    match expr.evaluate(&plenty) {
        Ok(_) | Err(EvalError::Negative) => {}
        Err(e) => report.add(Severity::Warning, |locations| {
            Diagnostic::warning(Code::InvalidExpression, format!("`{short}` fails on every pod: {e}"))
                .at(locations.label(&at.path, EntryPart::Value, ""))
                .field(&at.reported_path)
                .because("Kruise accepts the SidecarSet, then rejects every pod it selects")
                .help("change the expression")
        }),
    }
}
