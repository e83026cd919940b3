//! `resources` and `resizePolicy` of a container.

use super::format;
use super::report::{Report, Spot};
use crate::diag::Code;
use crate::model::quantity::Quantity;
use crate::model::sidecar_set::read::{inside, objects, text};
use crate::model::sidecar_set::stored::quantity;
use crate::yaml::Part;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

type Object = Map<String, Value>;

/// Checks the resources of a container.
pub(super) fn check(report: &mut Report<'_>, container: &Object, at: &Spot) {
    if let Some(resources) = inside(container, "resources") {
        let at = at.child("resources");
        for part in ["limits", "requests"] {
            for (name, amount) in amounts(resources, part) {
                check_amount(report, name, &amount, &at.child(part).entry(name));
            }
        }
        requests_within_limits(report, resources, &at);
        huge_pages(report, resources, &at);
        for (i, claim) in objects(resources, "claims").enumerate() {
            let spot = at.child("claims").item(i);
            let name = text(claim, "name").unwrap_or_default();
            let message = format!("a SidecarSet has no resource claim `{name}`");
            report.not_found(&spot, message, "remove it");
        }
    }
    resize(report, container, &at.child("resizePolicy"));
}

fn amounts<'a>(resources: &'a Object, part: &str) -> Vec<(&'a str, Quantity)> {
    let entries = inside(resources, part).into_iter().flatten();
    entries.filter_map(|(name, amount)| Some((name.as_str(), quantity(amount)?))).collect()
}

fn check_amount(report: &mut Report<'_>, name: &str, amount: &Quantity, at: &Spot) {
    if !is_resource(name) {
        let message = format!("`{}` is no resource that a container can have", at.name());
        let help = "use `cpu`, `memory`, `ephemeral-storage`, `hugepages-SIZE` or a name with a domain";
        report.error(Code::InvalidValue, at, Part::Key, message, help);
    }
    if amount.sign() < 0 {
        report.invalid(at, &amount.to_string(), "must not be negative");
    }
    if is_extended(name) && !amount.is_whole() {
        report.invalid(at, &amount.to_string(), "must be a whole number");
    }
}

/// Tells whether containers can have a resource of this name.
fn is_resource(name: &str) -> bool {
    if format::qualified_name(name).is_some() {
        return false;
    }
    match name.contains('/') {
        false => ["cpu", "memory", "ephemeral-storage"].contains(&name) || name.starts_with("hugepages-"),
        true => is_native(name) || is_extended(name),
    }
}

fn is_native(name: &str) -> bool {
    !name.contains('/') || name.contains("kubernetes.io/")
}

fn is_extended(name: &str) -> bool {
    !is_native(name)
        && !name.starts_with("requests.")
        && format::qualified_name(&format!("requests.{name}")).is_none()
}

fn requests_within_limits(report: &mut Report<'_>, resources: &Object, at: &Spot) {
    let limits: BTreeMap<&str, Quantity> = amounts(resources, "limits").into_iter().collect();
    for (name, request) in amounts(resources, "requests") {
        let limit = limits.get(name);
        let may_overcommit = is_native(name) && !name.starts_with("hugepages-");
        let spot = at.child("requests").entry(name).called(format!("{}.requests", at.field));
        match limit {
            Some(limit) if request > *limit => {
                let rule = format!("must not be more than its limit of `{limit}`");
                report.invalid(&spot, &request.to_string(), &rule);
            }
            Some(limit) if request != *limit && !may_overcommit => {
                report.invalid(
                    &spot,
                    &request.to_string(),
                    &format!("must be equal to its limit of `{limit}`"),
                );
            }
            None if !may_overcommit => {
                let spot = at.child("limits").called(format!("{}.limits", at.field));
                report.required(&spot, &format!("write a limit of `{name}`, equal to its request"));
            }
            _ => {}
        }
    }
}

fn huge_pages(report: &mut Report<'_>, resources: &Object, at: &Spot) {
    let names: Vec<&str> =
        ["limits", "requests"].iter().flat_map(|p| amounts(resources, p)).map(|(name, _)| name).collect();
    let has_huge = names.iter().any(|n| n.starts_with("hugepages-"));
    if has_huge && !names.iter().any(|n| ["cpu", "memory"].contains(n)) {
        let message = "huge pages need `cpu` or `memory` beside them".into();
        report.error(Code::ForbiddenField, at, Part::Key, message, "write `cpu` or `memory` too");
    }
}

fn resize(report: &mut Report<'_>, container: &Object, at: &Spot) {
    let mut names = BTreeSet::new();
    for (i, policy) in objects(container, "resizePolicy").enumerate() {
        let item = at.item(i);
        let name = text(policy, "resourceName").unwrap_or_default();
        if !names.insert(name) {
            report.duplicate(&item, name);
        }
        // Kubernetes v1.32 reports these without the index.
        let whole = Spot { path: item.path, field: at.field.clone() };
        for (key, supported) in
            [("resourceName", ["cpu", "memory"]), ("restartPolicy", ["NotRequired", "RestartContainer"])]
        {
            let spot = whole.child(key).called(&at.field);
            let value = text(policy, key).unwrap_or_default();
            if !supported.contains(&value) {
                report.unsupported(&spot, value, &supported);
            }
        }
    }
}
