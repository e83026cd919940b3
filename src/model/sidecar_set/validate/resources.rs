//! Checks `resources` and `resizePolicy` of a container.

use super::format;
use super::report::{FieldRef, ValidationReport};
use crate::diagnostics::Code;
use crate::model::json::{JsonObject, object_at, objects_at, text_at};
use crate::model::quantity::Quantity;
use crate::yaml::EntryPart;
use std::collections::{BTreeMap, BTreeSet};

/// Checks the resources of a container.
pub(super) fn check(report: &mut ValidationReport<'_>, container: &JsonObject, at: &FieldRef) {
    if let Some(resources) = object_at(container, "resources") {
        let at = at.child("resources");
        for part in ["limits", "requests"] {
            for (name, amount) in parse_quantities(resources, part) {
                check_amount(report, name, &amount, &at.child(part).entry(name));
            }
        }
        check_requests_within_limits(report, resources, &at);
        check_huge_pages(report, resources, &at);
        for (i, claim) in objects_at(resources, "claims").enumerate() {
            let field = at.child("claims").item(i);
            let name = text_at(claim, "name");
            let message =
                format!("resource claim `{name}` does not exist: a SidecarSet cannot define resource claims");
            report.not_found(&field, message, "remove it");
        }
    }
    check_resize(report, container, &at.child("resizePolicy"));
}

fn parse_quantities<'a>(resources: &'a JsonObject, part: &str) -> Vec<(&'a str, Quantity)> {
    let entries = object_at(resources, part).into_iter().flatten();
    entries.filter_map(|(name, amount)| Some((name.as_str(), Quantity::read(amount)?))).collect()
}

fn check_amount(report: &mut ValidationReport<'_>, name: &str, amount: &Quantity, at: &FieldRef) {
    if !is_container_resource(name) {
        let message = format!("`{}` is not a valid container resource", at.name());
        let help = "use `cpu`, `memory`, `ephemeral-storage`, `hugepages-SIZE` or a name with a domain";
        report.error(Code::InvalidValue, at, EntryPart::Key, message, help);
    }
    if amount.sign() < 0 {
        report.invalid(at, &amount.to_string(), "must not be negative");
    }
    if is_extended_resource(name) && !amount.is_whole() {
        report.invalid(at, &amount.to_string(), "must be a whole number");
    }
}

/// Returns whether a container can have a resource of this name.
fn is_container_resource(name: &str) -> bool {
    if format::check_qualified_name(name).is_some() {
        return false;
    }
    match name.contains('/') {
        false => ["cpu", "memory", "ephemeral-storage"].contains(&name) || name.starts_with("hugepages-"),
        true => is_native_resource(name) || is_extended_resource(name),
    }
}

fn is_native_resource(name: &str) -> bool {
    !name.contains('/') || name.contains("kubernetes.io/")
}

fn is_extended_resource(name: &str) -> bool {
    !is_native_resource(name)
        && !name.starts_with("requests.")
        && format::check_qualified_name(&format!("requests.{name}")).is_none()
}

fn check_requests_within_limits(report: &mut ValidationReport<'_>, resources: &JsonObject, at: &FieldRef) {
    let limits: BTreeMap<&str, Quantity> = parse_quantities(resources, "limits").into_iter().collect();
    for (name, request) in parse_quantities(resources, "requests") {
        let limit = limits.get(name);
        let may_overcommit = is_native_resource(name) && !name.starts_with("hugepages-");
        let field = at.child("requests").entry(name).reported_as(format!("{}.requests", at.reported_path));
        match limit {
            Some(limit) if request > *limit => {
                let rule = format!("must not exceed its limit of `{limit}`");
                let help = format!("lower the request, or raise the limit of `{name}`");
                report.invalid_with_help(&field, &request.to_string(), &rule, &help);
            }
            Some(limit) if request != *limit && !may_overcommit => {
                report.invalid(
                    &field,
                    &request.to_string(),
                    &format!("must be equal to its limit of `{limit}`"),
                );
            }
            None if !may_overcommit => {
                let field = at.child("limits").reported_as(format!("{}.limits", at.reported_path));
                report.required(&field, &format!("write a limit of `{name}` that equals its request"));
            }
            _ => {}
        }
    }
}

fn check_huge_pages(report: &mut ValidationReport<'_>, resources: &JsonObject, at: &FieldRef) {
    let names: Vec<&str> = ["limits", "requests"]
        .iter()
        .flat_map(|p| parse_quantities(resources, p))
        .map(|(name, _)| name)
        .collect();
    let has_huge = names.iter().any(|n| n.starts_with("hugepages-"));
    if has_huge && !names.iter().any(|n| ["cpu", "memory"].contains(n)) {
        let message = "huge pages require `cpu` or `memory` too".into();
        report.error(Code::ForbiddenField, at, EntryPart::Key, message, "write `cpu` or `memory` too");
    }
}

fn check_resize(report: &mut ValidationReport<'_>, container: &JsonObject, at: &FieldRef) {
    let mut names = BTreeSet::new();
    for (i, policy) in objects_at(container, "resizePolicy").enumerate() {
        let item = at.item(i);
        let name = text_at(policy, "resourceName");
        if !names.insert(name) {
            report.duplicate(&item, name);
        }
        // Kubernetes v1.32 reports these without the index.
        let field = |key| item.child(key).reported_as(&at.reported_path);
        if !["cpu", "memory"].contains(&name) {
            report.not_among(&field("resourceName"), name, &["cpu", "memory"]);
        }
        let (restart, value) = (field("restartPolicy"), text_at(policy, "restartPolicy"));
        if !restart.values().contains(&value) {
            report.unsupported(&restart, value);
        }
    }
}
