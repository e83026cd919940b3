//! `resourcesPolicy`: resources of a sidecar computed from those of the application's containers.

use super::app_containers::AppContainers;
use super::set_store::CompiledResourcesPolicy;
use super::template::{ContainerList, JsonObject, PodView, container_path, item_name};
use super::types::{InjectionContext, SelectedSet, SetSelection};
use crate::diagnostics::{Code, Diagnostic, Span};
use crate::model::go_regexp::PatternError;
use crate::model::quantity::{Quantity, QuantityError};
use crate::model::resources_expr::{EvalError, ResourcesExpr};
use crate::model::sidecar_set::SidecarContainer;
use crate::yaml::{EntryPart, FieldPath};
use regex::bytes::Regex;
use serde_json::Value;
use std::collections::BTreeSet;

/// Replaces the resources of a container by the computed ones.
pub(super) fn apply_resources(
    pod: &PodView<'_>,
    selection: &SetSelection<'_>,
    apps: &AppContainers<'_>,
    (selected, sidecar): (&SelectedSet<'_>, &SidecarContainer),
    policy: &CompiledResourcesPolicy,
    container: &mut JsonObject,
    context: &mut InjectionContext<'_>,
) {
    let set = PolicyLocation { selected, sidecar };
    let names = match &policy.name_pattern {
        Ok(names) => names,
        Err(error) => return context.report(set.invalid_regex(error)),
    };
    let targets = target_containers(selection, apps, names);
    if targets.is_empty() {
        return context.report(no_target(pod, &set));
    }
    let mut resources = JsonObject::new();
    for (part, resource, expression) in &policy.expressions {
        match compute_quantity(pod, &targets, policy.is_sum, (part, resource), expression, &set, context) {
            Ok(Some(amount)) => {
                let amounts = resources.entry(*part).or_insert_with(|| Value::Object(JsonObject::new()));
                if let Some(amounts) = amounts.as_object_mut() {
                    amounts.insert((*resource).to_owned(), Value::String(amount.to_string()));
                }
            }
            Ok(None) => {}
            Err(error) => context.report(*error),
        }
    }
    if resources.is_empty() {
        container.shift_remove("resources");
    } else {
        container.insert("resources".to_owned(), Value::Object(resources));
    }
}

/// Kruise v1.9.0: native sidecars of the pod, then its containers; names that any matched set uses are out,
/// as they are in the set.
fn target_containers<'a>(
    selection: &SetSelection<'_>,
    apps: &AppContainers<'a>,
    names: &Regex,
) -> Vec<&'a Value> {
    let used = selection.selected.iter().flat_map(|c| {
        let set = c.content.set();
        set.init_containers.iter().chain(&set.containers)
    });
    let used: BTreeSet<&str> = used.map(|c| c.name.as_str()).collect();
    let all = apps.native_sidecars.iter().chain(&apps.containers).copied();
    all.filter(|c| names.is_match(item_name(c).as_bytes()) && !used.contains(item_name(c))).collect()
}

/// The value of one expression; None if a limit is omitted.
fn compute_quantity(
    pod: &PodView<'_>,
    targets: &[&Value],
    is_sum: bool,
    (part, resource): (&str, &str),
    expression: &Result<ResourcesExpr, String>,
    set: &PolicyLocation<'_>,
    context: &mut InjectionContext<'_>,
) -> Result<Option<Quantity>, Box<Diagnostic>> {
    let failed = |reason: &str| set.invalid_expression(part, resource, reason);
    let expression = expression.as_ref().map_err(|reason| Box::new(failed(reason)))?;
    let mut amount = Quantity::zero();
    for target in targets {
        let quantity = match target_quantity(target, part, resource) {
            Some((part, written)) => read_admitted_quantity(written)
                .map_err(|e| Box::new(invalid_quantity(pod, target, part, resource, e)))?,
            // Kruise v1.9.0: a limit counts only if all targets have it; a request that is not written is
            // zero.
            None if part == "limits" => {
                context.report(limit_left_out(pod, target, resource, set));
                return Ok(None);
            }
            None => Quantity::zero(),
        };
        if is_sum {
            amount = amount.plus(&quantity);
        } else if quantity > amount {
            amount = quantity;
        }
    }
    let result = expression.evaluate(&amount).map_err(|error| {
        let diagnostic = failed(&error.to_string());
        // Other faults are the expression's, whatever the workload.
        match error {
            EvalError::Negative | EvalError::Overflow => {
                let at = FieldPath::dotted("spec").child(ContainerList::Regular.key());
                Box::new(diagnostic.at(pod.label(&at, EntryPart::Key, format!("computed from `{amount}`"))))
            }
            _ => Box::new(diagnostic),
        }
    })?;
    if resource == "memory" && !expression.has_variable() && !result.is_whole() {
        context.report(set.plain_number(part, &result));
    }
    Ok(Some(result))
}

/// What a target writes. Kubernetes v1.32 SetDefaults_Pod: the API server makes a limit the request of a container
/// that has none, before any webhook sees the pod.
fn target_quantity<'a>(target: &'a Value, part: &'a str, resource: &str) -> Option<(&'a str, &'a Value)> {
    let resources = target.get("resources")?;
    let at = |part: &'a str| Some((part, resources.get(part)?.get(resource)?));
    at(part).or_else(|| at("limits").filter(|_| part == "requests"))
}

/// Reads a quantity as it reaches the webhook: the API server has rounded it and written it in its own form, which
/// decides about the form of sums.
fn read_admitted_quantity(written: &Value) -> Result<Quantity, QuantityError> {
    Quantity::parse(&Quantity::from_value(written)?.rounded_to_milli().to_string())
}

/// The container of a set that has the policy.
struct PolicyLocation<'a> {
    selected: &'a SelectedSet<'a>,
    sidecar: &'a SidecarContainer,
}

impl PolicyLocation<'_> {
    fn path(&self, below: &str) -> FieldPath {
        self.sidecar.path.join(&FieldPath::dotted("resourcesPolicy")).join(&FieldPath::dotted(below))
    }

    fn label(&self, below: &str, text: &str) -> Span {
        self.selected.content.set().document.label(&self.path(below), EntryPart::Value, text)
    }

    fn invalid_regex(&self, reason: &PatternError) -> Diagnostic {
        let message =
            format!("the pattern for the targets of `{}` cannot be used: {reason}", self.sidecar.name);
        let help = match &reason.suggestion {
            Some(alike) => format!("write `{alike}`, which has Go's meaning everywhere"),
            None => "write it in the syntax of RE2, as Go's `regexp` reads it".to_owned(),
        };
        Diagnostic::error(Code::ResourcesExpression, message)
            .at(self.label("targetContainersNameRegex", ""))
            .field(self.path("targetContainersNameRegex").to_string())
            .help(help)
    }

    fn invalid_expression(&self, part: &str, resource: &str, reason: &str) -> Diagnostic {
        let below = format!("resourcesExpr.{part}.{resource}");
        let message =
            format!("the {resource} {part} of `{}` cannot be computed: {reason}", self.sidecar.name);
        Diagnostic::error(Code::ResourcesExpression, message)
            .at(self.label(&below, ""))
            .field(self.path(&below).to_string())
            .because("Kruise denies such a pod")
            .help(format!(
                "write a sum, difference, product or quotient of `{resource}`, numbers and quantities"
            ))
    }

    fn plain_number(&self, part: &str, result: &Quantity) -> Diagnostic {
        let below = format!("resourcesExpr.{part}.memory");
        let message =
            format!("the memory {part} of `{}` come to `{result}`, parts of a byte", self.sidecar.name);
        Diagnostic::warning(Code::ResourcesPlainNumber, message)
            .at(self.label(&below, "a plain number"))
            .field(self.path(&below).to_string())
            .because("Kruise reads a number as thousandths unless the expression contains `memory`")
            .help("write a quantity, such as `64Mi`")
    }
}

fn locate_container(pod: &PodView<'_>, container: &Value) -> Option<(ContainerList, usize)> {
    [ContainerList::Init, ContainerList::Regular].into_iter().find_map(|list| {
        let at = list.in_pod(pod).iter().position(|c| std::ptr::eq(c, container))?;
        Some((list, at))
    })
}

fn no_target(pod: &PodView<'_>, set: &PolicyLocation<'_>) -> Diagnostic {
    let message = format!(
        "`{}` finds no container in `{}` to compute its resources from",
        set.sidecar.name, pod.template.key
    );
    Diagnostic::error(Code::ResourcesNoTarget, message)
        .at(pod.label(&FieldPath::dotted("spec.containers"), EntryPart::Key, "none of these is a target"))
        .at(set.label("targetContainersNameRegex", "these are the targets"))
        .field(set.path("targetContainersNameRegex").to_string())
        .because("Kruise denies such a pod; sidecars never are targets")
        .help("widen the expression, or exclude this workload with the set's selector")
}

fn limit_left_out(pod: &PodView<'_>, target: &Value, resource: &str, set: &PolicyLocation<'_>) -> Diagnostic {
    let target_name = item_name(target);
    let message =
        format!("`{}` gets no {resource} limit: container `{target_name}` has none", set.sidecar.name);
    let diagnostic = Diagnostic::warning(Code::ResourcesLimitLeftOut, message);
    let diagnostic = match locate_container(pod, target) {
        Some((list, i)) => diagnostic.at(pod.label(
            &container_path(list, i).child("name"),
            EntryPart::Value,
            "without such a limit",
        )),
        None => diagnostic,
    };
    diagnostic
        .at(set.label(&format!("resourcesExpr.limits.{resource}"), "left out"))
        .because("Kruise omits the limit unless every target has one")
        .help("give the container a limit, or exclude it from `targetContainersNameRegex`")
}

fn invalid_quantity(
    pod: &PodView<'_>,
    target: &Value,
    part: &str,
    resource: &str,
    reason: QuantityError,
) -> Diagnostic {
    let diagnostic = Diagnostic::error(Code::InvalidQuantity, reason.to_string());
    match locate_container(pod, target) {
        None => diagnostic,
        Some((list, i)) => {
            let at = container_path(list, i).child("resources").child(part).child(resource);
            diagnostic.at(pod.label(&at, EntryPart::Value, "")).field(pod.template.path.join(&at).to_string())
        }
    }
    .help("write a quantity such as `100m`, `0.5` or `1Gi`")
}
