//! `resourcesPolicy`: resources of a sidecar computed from those of the application's containers.

use super::Work;
use super::containers::{Apps, List, path};
use super::revision::Chosen;
use super::selects::Choice;
use super::template::{Object, Pod, name};
use crate::diag::{Code, Diagnostic, Label};
use crate::model::go_regexp::{self, PatternError};
use crate::model::quantity::{Quantity, QuantityError};
use crate::model::resources_expr::{self, EvalError, Expr};
use crate::model::sidecar_set::{ResourcesPolicy, SidecarContainer};
use crate::yaml::{Part, Path};
use regex::bytes::Regex;
use serde_json::Value;
use std::collections::BTreeSet;

/// A policy, compiled; what is wrong with it is told when it is used.
#[derive(Debug)]
pub(super) struct Policy {
    is_sum: bool,
    names: Result<Regex, PatternError>,
    /// Part of `resources`, resource, expression: in the order they are written.
    terms: Vec<(&'static str, &'static str, Result<Expr, String>)>,
}

impl Policy {
    /// Compiles a policy.
    pub(super) fn new(policy: &ResourcesPolicy) -> Self {
        let written = [
            ("limits", "cpu", &policy.limits_cpu),
            ("limits", "memory", &policy.limits_memory),
            ("requests", "cpu", &policy.requests_cpu),
            ("requests", "memory", &policy.requests_memory),
        ];
        // Kruise v1.9.0 passes over an expression without text.
        let terms = written.into_iter().filter_map(|(part, resource, text)| {
            let text = text.as_deref().filter(|t| !t.is_empty())?;
            Some((part, resource, resources_expr::parse(text).map_err(|e| e.to_string())))
        });
        Self {
            is_sum: policy.mode != "max",
            names: go_regexp::compile(&policy.name_regex),
            terms: terms.collect(),
        }
    }
}

/// Replaces the resources of a container by the computed ones.
pub(super) fn apply(
    pod: &Pod<'_>,
    choice: &Choice<'_>,
    apps: &Apps<'_>,
    (chosen, sidecar): (&Chosen<'_>, &SidecarContainer),
    policy: &Policy,
    container: &mut Object,
    work: &mut Work<'_>,
) {
    let set = Place { chosen, sidecar };
    let names = match &policy.names {
        Ok(names) => names,
        Err(wrong) => return work.tell(set.bad_regex(wrong)),
    };
    let targets = targets(choice, apps, names);
    if targets.is_empty() {
        return work.tell(no_target(pod, &set));
    }
    let mut resources = Object::new();
    for (part, resource, expression) in &policy.terms {
        match reckon(pod, &targets, policy.is_sum, (part, resource), expression, &set, work) {
            Ok(Some(amount)) => {
                let amounts = resources.entry(*part).or_insert_with(|| Value::Object(Object::new()));
                if let Some(amounts) = amounts.as_object_mut() {
                    amounts.insert((*resource).to_owned(), Value::String(amount.to_string()));
                }
            }
            Ok(None) => {}
            Err(wrong) => work.tell(*wrong),
        }
    }
    if resources.is_empty() {
        container.shift_remove("resources");
    } else {
        container.insert("resources".to_owned(), Value::Object(resources));
    }
}

/// Kruise v1.9.0: native sidecars of the pod, then its containers; names that any matched set uses are out,
/// as they stand in the set.
fn targets<'a>(choice: &Choice<'_>, apps: &Apps<'a>, names: &Regex) -> Vec<&'a Value> {
    let used = choice.chosen.iter().flat_map(|c| {
        let set = c.content.set();
        set.init_containers.iter().chain(&set.containers)
    });
    let used: BTreeSet<&str> = used.map(|c| c.name.as_str()).collect();
    let all = apps.native_sidecars.iter().chain(&apps.containers).copied();
    all.filter(|c| names.is_match(name(c).as_bytes()) && !used.contains(name(c))).collect()
}

/// The value of one expression; None where a limit is left out.
fn reckon(
    pod: &Pod<'_>,
    targets: &[&Value],
    is_sum: bool,
    (part, resource): (&str, &str),
    expression: &Result<Expr, String>,
    set: &Place<'_>,
    work: &mut Work<'_>,
) -> Result<Option<Quantity>, Box<Diagnostic>> {
    let failed = |why: &str| set.bad_expression(part, resource, why);
    let expression = expression.as_ref().map_err(|why| Box::new(failed(why)))?;
    let mut amount = Quantity::zero();
    for target in targets {
        let quantity = match written(target, part, resource) {
            Some((part, written)) => {
                parse(written).map_err(|e| Box::new(bad_quantity(pod, target, part, resource, e)))?
            }
            // Kruise v1.9.0: a limit counts only if all targets have it; a request that is not written is
            // zero.
            None if part == "limits" => {
                work.tell(left_out(pod, target, resource, set));
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
    let result = expression.evaluate(&amount).map_err(|wrong| {
        let diagnostic = failed(&wrong.to_string());
        // Other faults are the expression's, whatever the workload.
        match wrong {
            EvalError::Negative | EvalError::Overflow => {
                let at = Path::dotted("spec").then(List::Main.key());
                Box::new(diagnostic.at(pod.label(&at, Part::Key, format!("computed from `{amount}`"))))
            }
            _ => Box::new(diagnostic),
        }
    })?;
    if resource == "memory" && !expression.has_variable() && !result.is_whole() {
        work.tell(set.plain_number(part, &result));
    }
    Ok(Some(result))
}

/// What a target writes. Kubernetes v1.32 SetDefaults_Pod: the API server makes a limit the request of a container
/// that has none, before any webhook sees the pod.
fn written<'a>(target: &'a Value, part: &'a str, resource: &str) -> Option<(&'a str, &'a Value)> {
    let resources = target.get("resources")?;
    let at = |part: &'a str| Some((part, resources.get(part)?.get(resource)?));
    at(part).or_else(|| at("limits").filter(|_| part == "requests"))
}

/// Reads a quantity as it reaches the webhook: the API server has rounded it and written it in its own form, which
/// decides about the form of sums.
fn parse(written: &Value) -> Result<Quantity, QuantityError> {
    Quantity::parse(&Quantity::read(written)?.rounded_to_milli().to_string())
}

/// The container of a set that has the policy.
struct Place<'a> {
    chosen: &'a Chosen<'a>,
    sidecar: &'a SidecarContainer,
}

impl Place<'_> {
    fn path(&self, below: &str) -> Path {
        self.sidecar.path.join(&Path::dotted("resourcesPolicy")).join(&Path::dotted(below))
    }

    fn label(&self, below: &str, text: &str) -> Label {
        self.chosen.content.set().document.label(&self.path(below), Part::Value, text)
    }

    fn bad_regex(&self, why: &PatternError) -> Diagnostic {
        let message = format!("the pattern for the targets of `{}` cannot be used: {why}", self.sidecar.name);
        let help = match &why.suggestion {
            Some(alike) => format!("write `{alike}`, which has Go's meaning everywhere"),
            None => "write it in the syntax of RE2, as Go's `regexp` reads it".to_owned(),
        };
        Diagnostic::error(Code::ResourcesExpression, message)
            .at(self.label("targetContainersNameRegex", ""))
            .field(self.path("targetContainersNameRegex").to_string())
            .help(help)
    }

    fn bad_expression(&self, part: &str, resource: &str, why: &str) -> Diagnostic {
        let below = format!("resourcesExpr.{part}.{resource}");
        let message = format!("the {resource} {part} of `{}` cannot be computed: {why}", self.sidecar.name);
        Diagnostic::error(Code::ResourcesExpression, message)
            .at(self.label(&below, ""))
            .field(self.path(&below).to_string())
            .because("Kruise denies a pod for which it cannot compute them")
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
            .because("Kruise takes a number for thousandths unless the expression names `memory`")
            .help("write a quantity, such as `64Mi`")
    }
}

fn index_of(pod: &Pod<'_>, container: &Value) -> Option<(List, usize)> {
    [List::Init, List::Main].into_iter().find_map(|list| {
        let at = list.of(pod).iter().position(|c| std::ptr::eq(c, container))?;
        Some((list, at))
    })
}

fn no_target(pod: &Pod<'_>, set: &Place<'_>) -> Diagnostic {
    let message = format!(
        "`{}` finds no container in `{}` to compute its resources from",
        set.sidecar.name, pod.template.key
    );
    Diagnostic::error(Code::ResourcesNoTarget, message)
        .at(pod.label(&Path::dotted("spec.containers"), Part::Key, "none of these is a target"))
        .at(set.label("targetContainersNameRegex", "these are the targets"))
        .field(set.path("targetContainersNameRegex").to_string())
        .because("Kruise denies such a pod; sidecars never are targets")
        .help("widen the expression, or let the set's selector leave this workload out")
}

fn left_out(pod: &Pod<'_>, target: &Value, resource: &str, set: &Place<'_>) -> Diagnostic {
    let target_name = name(target);
    let message =
        format!("`{}` gets no {resource} limit: container `{target_name}` has none", set.sidecar.name);
    let diagnostic = Diagnostic::warning(Code::ResourcesLimitLeftOut, message);
    let diagnostic = match index_of(pod, target) {
        Some((list, i)) => {
            diagnostic.at(pod.label(&path(list, i).then("name"), Part::Value, "without such a limit"))
        }
        None => diagnostic,
    };
    diagnostic
        .at(set.label(&format!("resourcesExpr.limits.{resource}"), "left out"))
        .because("Kruise leaves the limit out unless every target has one")
        .help("give the container a limit, or leave it out of `targetContainersNameRegex`")
}

fn bad_quantity(pod: &Pod<'_>, target: &Value, part: &str, resource: &str, why: QuantityError) -> Diagnostic {
    let diagnostic = Diagnostic::error(Code::InvalidQuantity, why.to_string());
    match index_of(pod, target) {
        None => diagnostic,
        Some((list, i)) => {
            let at = path(list, i).then("resources").then(part).then(resource);
            diagnostic.at(pod.label(&at, Part::Value, "")).field(pod.template.path.join(&at).to_string())
        }
    }
    .help("write a quantity such as `100m`, `0.5` or `1Gi`")
}
