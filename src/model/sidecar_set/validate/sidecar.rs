//! What Kruise adds to a container: where it goes, what it shares, whence it takes variables and resources.

use super::format;
use super::report::{Report, Spot, label, one_of};
use crate::diag::{Code, Diagnostic, Severity};
use crate::model::go_regexp;
use crate::model::quantity::{Format, Quantity};
use crate::model::resources_expr::{self, EvalError, Resource};
use crate::model::sidecar_set::read::{inside, objects, text, texts};
use crate::model::sidecar_set::walk::shortened;
use crate::yaml::{Part, Path};
use serde_json::{Map, Value};

type Object = Map<String, Value>;

/// Checks the containers and init containers for Kruise's own keys.
pub(super) fn check(report: &mut Report<'_>, spec: &Object) {
    let at = Spot::new(Path::dotted("spec"));
    let lists = ["initContainers", "containers"];
    if lists.iter().all(|list| objects(spec, list).next().is_none()) {
        let message = "a SidecarSet needs at least one container or init container".into();
        report.error(Code::MissingField, &at, Part::Key, message, "write `containers`");
    }
    for list in lists {
        for (i, container) in objects(spec, list).enumerate() {
            let spot = at.child(list).item(i);
            let is_init = list == "initContainers";
            let own = at.item(i).field;
            policies(report, container, &spot, is_init);
            transfer_env(report, container, &spot, &own, is_init);
            upgrade(report, container, &spot);
            if let Some(policy) = inside(container, "resourcesPolicy") {
                let field = format!("{own}.resourcesPolicy");
                let spot = spot.child("resourcesPolicy").called(field);
                if is_init && text(container, "restartPolicy") != Some("Always") {
                    report.forbidden(&spot, "goes with containers and native sidecars only");
                } else {
                    resources_policy(report, container, policy, &spot);
                }
            }
        }
    }
}

/// Kruise checks them on containers only, and reports them without an index; elsewhere they silently do nothing.
fn policies(report: &mut Report<'_>, container: &Object, at: &Spot, is_init: bool) {
    let policy = text(container, "podInjectPolicy").unwrap_or_default();
    let places = ["BeforeAppContainer", "AfterAppContainer"];
    if !places.contains(&policy) {
        let spot = at.child("podInjectPolicy").called("spec.container.podInjectPolicy");
        if is_init {
            ignored(report, &spot, policy, "counts as `AfterAppContainer`", &places);
        } else {
            report.unsupported(&spot, policy, &places);
        }
    }
    for key in ["shareVolumePolicy", "shareVolumeDevicePolicy"] {
        let Some(policy) = inside(container, key) else { continue };
        let kind = text(policy, "type").unwrap_or_default();
        if ["enabled", "disabled"].contains(&kind) {
            continue;
        }
        let spot = at.child(key).child("type");
        if is_init || key == "shareVolumeDevicePolicy" {
            ignored(report, &spot, kind, "counts as `disabled`", &["enabled", "disabled"]);
        } else {
            report.unsupported(
                &spot.called("spec.container.shareVolumePolicy"),
                kind,
                &["enabled", "disabled"],
            );
        }
    }
}

fn ignored(report: &mut Report<'_>, at: &Spot, value: &str, counts: &str, supported: &[&str]) {
    let message = format!("`{}` has no value `{value}`: Kruise accepts it, and it {counts}", at.name());
    report.warning(Code::IgnoredValue, at, Part::Value, message, &format!("use {}", one_of(supported)));
}

fn upgrade(report: &mut Report<'_>, container: &Object, at: &Spot) {
    let Some(strategy) = inside(container, "upgradeStrategy") else { return };
    let at_strategy = at.child("upgradeStrategy");
    let kind = text(strategy, "upgradeType").unwrap_or_default();
    match kind {
        "ColdUpgrade" => {}
        "HotUpgrade" => {
            if text(strategy, "hotUpgradeEmptyImage").unwrap_or_default().is_empty() {
                let message =
                    "`hotUpgradeEmptyImage` is not written: pods get a container without an image".into();
                let help = "name an image that does nothing, with the same command and probes as the sidecar";
                report.warning(
                    Code::MissingEmptyImage,
                    &at_strategy.child("hotUpgradeEmptyImage"),
                    Part::Key,
                    message,
                    help,
                );
            }
            let name = text(container, "name").unwrap_or_default();
            if name.len() > 61 && name.len() <= 63 {
                let message = format!("`{name}` is too long for hot upgrades: they add `-1` and `-2` to it");
                let help = "use at most 61 characters";
                report.warning(Code::InvalidValue, &at.child("name"), Part::Value, message, help);
            }
        }
        _ => ignored(
            report,
            &at_strategy.child("upgradeType"),
            kind,
            "counts as `ColdUpgrade`",
            &["ColdUpgrade", "HotUpgrade"],
        ),
    }
}

fn transfer_env(report: &mut Report<'_>, container: &Object, at: &Spot, own: &str, is_init: bool) {
    for (i, term) in objects(container, "transferEnv").enumerate() {
        let spot = at.child("transferEnv").item(i);
        let from = inside(term, "sourceContainerNameFrom").and_then(|f| inside(f, "fieldRef"));
        if let Some(from) = from.filter(|_| !is_init) {
            let place = spot.child("sourceContainerNameFrom").child("fieldRef");
            field_ref(report, from, &place.called(format!("{own}.transferEnv.fieldRef")));
        }
        let has_source = from.is_some() || text(term, "sourceContainerName").is_some();
        let has_name = text(term, "envName").is_some() || texts(term, "envNames").any(|n| !n.is_empty());
        if !has_source || !has_name {
            let lacks = if has_source { "names no variable" } else { "names no container" };
            let message = format!("a term of `transferEnv` {lacks}: nothing is transferred");
            let help = "write `sourceContainerName` and `envName`, or remove the term";
            report.warning(Code::IgnoredValue, &spot, Part::Value, message, help);
        }
    }
}

/// Kruise v1.9.0 ConvertDownwardAPIFieldLabel: only single labels and annotations of the pod can name a container.
fn field_ref(report: &mut Report<'_>, from: &Object, at: &Spot) {
    let path = text(from, "fieldPath").unwrap_or_default();
    let spot = at.child("fieldPath");
    if path.is_empty() {
        return report.required(&spot, "write `metadata.labels['KEY']` or `metadata.annotations['KEY']`");
    }
    let version = text(from, "apiVersion").unwrap_or_default();
    if version != "v1" {
        let api = Spot { path: at.path.then("apiVersion"), field: spot.field };
        return report.invalid(&api, version, "must be `v1`");
    }
    let wanted = "must be `metadata.labels['KEY']` or `metadata.annotations['KEY']`";
    let key = subscript(path);
    let rule = match key {
        Some(("metadata.labels", key)) => format::qualified_name(key),
        Some(("metadata.annotations", key)) => format::qualified_name(&key.to_lowercase()),
        _ => return report.invalid(&spot, path, wanted),
    };
    if rule.is_some() {
        report.invalid(
            &spot.called(&at.field),
            path,
            "must have the key of a label or annotation in the brackets",
        );
    }
}

/// Splits `path['key']`.
pub(super) fn subscript(path: &str) -> Option<(&str, &str)> {
    path.strip_suffix("']")?.split_once("['").filter(|(path, _)| !path.is_empty())
}

fn resources_policy(report: &mut Report<'_>, container: &Object, policy: &Object, at: &Spot) {
    let mode = text(policy, "targetContainersMode").unwrap_or_default();
    if !["sum", "max"].contains(&mode) {
        let spot = at.child("targetContainersMode");
        let spot = Spot::new(spot.path);
        report.unsupported(&spot, mode, &["sum", "max"]);
    }
    let resources = inside(container, "resources");
    let has = |part| resources.and_then(|r| inside(r, part)).is_some_and(|m| !m.is_empty());
    if has("limits") || has("requests") {
        let message = "`resourcesPolicy` and `resources` cannot be used together".into();
        return report.error(Code::ForbiddenField, at, Part::Key, message, "keep one of the two fields");
    }
    pattern(
        report,
        text(policy, "targetContainersNameRegex").unwrap_or_default(),
        &at.child("targetContainersNameRegex"),
    );
    let expressions = at.child("resourcesExpr");
    let parts = inside(policy, "resourcesExpr").filter(|e| !e.is_empty());
    let Some(parts) = parts else {
        return report.required(&expressions, "write `limits` or `requests`");
    };
    for part in ["limits", "requests"] {
        for (key, resource) in [("cpu", Resource::Cpu), ("memory", Resource::Memory)] {
            if let Some(written) = inside(parts, part).and_then(|p| text(p, key)) {
                expression(report, written, resource, &expressions.child(part).child(key));
            }
        }
    }
}

fn pattern(report: &mut Report<'_>, written: &str, at: &Spot) {
    let Err(wrong) = go_regexp::compile(written) else { return };
    match &wrong.suggestion {
        None => report.invalid(at, written, &format!("is no regular expression of Go: {wrong}")),
        Some(alike) => {
            let message = format!("the pattern `{}` can be misread: {wrong}", shortened(written));
            let help = format!("write `{alike}`, which has Go's meaning everywhere");
            report.error(Code::InvalidValue, at, Part::Value, message, &help);
        }
    }
}

fn expression(report: &mut Report<'_>, written: &str, resource: Resource, at: &Spot) {
    let expr = match resources_expr::parse(written) {
        Ok(expr) => expr,
        Err(e) => {
            return report.error(
                Code::InvalidExpression,
                at,
                Part::Value,
                format!("`{}` is no expression: {e}", shortened(written)),
                "write something like `max(cpu*50%, 100m)`",
            );
        }
    };
    let short = shortened(written);
    match expr.try_with_one(resource) {
        Err(EvalError::Negative) if expr.has_variable() => {
            let message = format!("Kruise refuses `{short}`, for it is negative where `{resource}` is 1");
            let help = format!("keep it from going below zero: `max({short}, 0)`");
            return report.warning(Code::InvalidExpression, at, Part::Value, message, &help);
        }
        Err(e) => {
            let message = format!("`{short}` has no value: {e}");
            return report.error(Code::InvalidExpression, at, Part::Value, message, "change the expression");
        }
        Ok(()) => {}
    }
    // What passes with the number that Kruise tries may still fail with the quantity that a pod brings.
    let plenty = Quantity::from_milli(i64::from(i32::MAX) * 1000, Format::DecimalSi);
    match expr.evaluate(&plenty) {
        Ok(_) | Err(EvalError::Negative) => {}
        Err(e) => report.add(Severity::Warning, |places| {
            Diagnostic::warning(Code::InvalidExpression, format!("`{short}` fails on every pod: {e}"))
                .at(label(places, at, Part::Value, ""))
                .field(&at.field)
                .because("Kruise accepts the SidecarSet and then refuses every pod it selects")
                .help("change the expression")
        }),
    }
}
