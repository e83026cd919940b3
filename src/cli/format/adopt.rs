//! The report of `pillion adopt`, as text and JSON.

use crate::diagnostics::{escape, pluralize};
use crate::model::api::PILLION_API_VERSION;
use crate::rollout::adoption::{
    AdoptionDirection, AdoptionVerdict, ClusterSetState, LedgerChoice, LedgerObstacle, SetAdoption,
    SidecarOrigin, WorkloadAdoption,
};
use crate::rollout::live_fields::FieldDifference;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::sync::Arc;

/// Workloads of one verdict that are listed.
const MAX_WORKLOADS: usize = 10;
/// Differences of one workload that are listed.
const MAX_DIFFERENCES: usize = 5;
/// The longest value of a field in the text, in characters.
const MAX_VALUE: usize = 60;

/// The verdicts in the order of the report: what a person has to look at comes first.
const ORDER: [AdoptionVerdict; 6] = [
    AdoptionVerdict::Differs,
    AdoptionVerdict::Outdated,
    AdoptionVerdict::Missing,
    AdoptionVerdict::Adoptable,
    AdoptionVerdict::Same,
    AdoptionVerdict::NoPods,
];

/// What `pillion adopt` has found in one cluster.
pub(in crate::cli) struct AdoptionReport {
    /// The cluster, where pillion.yaml names clusters.
    pub(in crate::cli) cluster: Option<String>,
    pub(in crate::cli) direction: AdoptionDirection,
    /// Kruise keeps injecting.
    pub(in crate::cli) is_kruise: bool,
    /// The SidecarSets, each with the choice of its first ledger.
    pub(in crate::cli) sets: Vec<(SetAdoption, Result<LedgerChoice, LedgerObstacle>)>,
    /// SidecarSets that only the cluster has.
    pub(in crate::cli) unknown_sets: Vec<Arc<str>>,
}

impl AdoptionReport {
    /// Returns whether something in the cluster is not as in git.
    pub(in crate::cli) fn has_differences(&self) -> bool {
        !self.unknown_sets.is_empty() || self.sets.iter().any(|(set, _)| set.has_differences())
    }

    /// Returns the first SidecarSet for which no ledger keeps every pod as it is.
    pub(in crate::cli) fn first_refused(&self) -> Option<&SetAdoption> {
        self.sets.iter().find(|(set, choice)| !set.has_ledger && choice.is_err()).map(|(set, _)| set)
    }

    /// Returns the report for people.
    pub(in crate::cli) fn to_text(&self) -> String {
        let mut text = String::new();
        for (set, choice) in &self.sets {
            let _ =
                writeln!(text, "{} ({}): {}", set.name, set.revision, describe_cluster_set(&set.cluster_set));
            if let ClusterSetState::Differs(differences) = &set.cluster_set {
                write_differences(&mut text, "  ", differences);
            }
            for verdict in ORDER {
                write_workloads(&mut text, set, verdict);
            }
            for (key, pods) in set.unmanaged.iter().take(MAX_WORKLOADS) {
                let _ =
                    writeln!(text, "  not in git: {}, {}", escape::line(key), pluralize(*pods as u64, "pod"));
            }
            write_more(
                &mut text,
                "  ",
                set.unmanaged.len(),
                MAX_WORKLOADS,
                "workload that git does not have",
            );
            self.write_outcome(&mut text, set, choice);
        }
        for name in &self.unknown_sets {
            let _ =
                writeln!(text, "{}: the cluster has this SidecarSet, and git does not", escape::line(name));
        }
        if text.contains(" -> ") {
            text.push_str("differences: in the cluster -> in git\n");
        }
        text
    }

    fn write_outcome(
        &self,
        text: &mut String,
        set: &SetAdoption,
        choice: &Result<LedgerChoice, LedgerObstacle>,
    ) {
        if self.direction == AdoptionDirection::ToKruise {
            let _ = writeln!(text, "  to Kruise: {}", handover_text(set));
            return;
        }
        if set.has_ledger {
            let _ = writeln!(text, "  ledger: it has one already");
            return;
        }
        let _ = match choice {
            Ok(choice) => writeln!(text, "  ledger: {}", self.choice_text(set, *choice)),
            Err(obstacle) => {
                writeln!(text, "  ledger: none keeps every pod as it is: {}", obstacle_text(set, obstacle))
            }
        };
    }

    fn choice_text(&self, set: &SetAdoption, choice: LedgerChoice) -> String {
        let foreign = set.workloads.iter().filter(|w| w.template == Some(SidecarOrigin::Foreign)).count();
        match (choice, self.is_kruise) {
            (LedgerChoice::Nothing, true) => "nothing is released, as the cluster does not have the SidecarSet; no pod changes".to_owned(),
            (LedgerChoice::Current, true) => format!(
                "{} is released, which Kruise has injected; no pod changes, and its rollouts update pods in place",
                set.revision
            ),
            (LedgerChoice::Nothing, false) if foreign > 0 => {
                "nothing is released, and manifests keep the containers that they have; no pod changes until a batch moves its workload to the SidecarSet".to_owned()
            }
            (LedgerChoice::Nothing, false) => "nothing is released, as no pod template in the cluster has the sidecar; no pod changes, and each workload is recreated once, in its batch".to_owned(),
            (LedgerChoice::Current, false) => {
                format!("{} is released, which every pod template in the cluster has; no pod changes", set.revision)
            }
        }
    }

    /// Returns the report as a JSON document.
    pub(in crate::cli) fn to_json(&self) -> String {
        let items: Vec<Value> = self.sets.iter().map(|(set, choice)| self.set_to_json(set, choice)).collect();
        let document = json!({
            "apiVersion": PILLION_API_VERSION,
            "kind": "Adoption",
            "cluster": self.cluster,
            "to": match self.direction {
                AdoptionDirection::ToGit => "git",
                AdoptionDirection::ToKruise => "kruise",
            },
            "items": items,
            "unknownSidecarSets": self.unknown_sets.iter().map(|name| &**name).collect::<Vec<_>>(),
        });
        format!("{document}\n")
    }

    fn set_to_json(&self, set: &SetAdoption, choice: &Result<LedgerChoice, LedgerObstacle>) -> Value {
        let differences = match &set.cluster_set {
            ClusterSetState::Differs(differences) => differences.as_slice(),
            _ => &[],
        };
        let ledger = match (self.direction, set.has_ledger, choice) {
            (AdoptionDirection::ToKruise, ..) => Value::Null,
            (_, true, _) => json!({"exists": true}),
            (_, _, Ok(LedgerChoice::Current)) => json!({"exists": false, "released": &*set.revision}),
            (_, _, Ok(LedgerChoice::Nothing)) => json!({"exists": false, "released": "-"}),
            (_, _, Err(obstacle)) => json!({"exists": false, "refused": obstacle_text(set, obstacle)}),
        };
        json!({
            "sidecarSet": &*set.name,
            "revision": &*set.revision,
            "hash": &*set.hash,
            "inCluster": cluster_set_word(&set.cluster_set),
            "differences": differences.iter().map(difference_to_json).collect::<Vec<_>>(),
            "workloads": set.workloads.iter().map(workload_to_json).collect::<Vec<_>>(),
            "notInGit": set.unmanaged.iter().map(|(key, pods)| json!({"workload": &**key, "pods": pods})).collect::<Vec<_>>(),
            "ledger": ledger,
            "recreatedPods": (self.direction == AdoptionDirection::ToKruise)
                .then(|| rendered_workloads(set).iter().map(|workload| workload.pods).sum::<usize>()),
        })
    }
}

fn describe_cluster_set(state: &ClusterSetState) -> &'static str {
    match state {
        ClusterSetState::Unknown => "the cluster state has no SidecarSets",
        ClusterSetState::Absent => "the cluster does not have this SidecarSet",
        ClusterSetState::Same { has_same_strategy: true } => "the SidecarSet in the cluster is the same",
        ClusterSetState::Same { has_same_strategy: false } => {
            "the SidecarSet in the cluster has the same content, and other strategies"
        }
        ClusterSetState::Differs(_) => "the SidecarSet in the cluster has another content",
    }
}

fn cluster_set_word(state: &ClusterSetState) -> &'static str {
    match state {
        ClusterSetState::Unknown => "unknown",
        ClusterSetState::Absent => "absent",
        ClusterSetState::Same { has_same_strategy: true } => "same",
        ClusterSetState::Same { has_same_strategy: false } => "same content",
        ClusterSetState::Differs(_) => "differs",
    }
}

/// Writes the workloads of one verdict.
fn write_workloads(text: &mut String, set: &SetAdoption, verdict: AdoptionVerdict) {
    let found: Vec<&WorkloadAdoption> =
        set.workloads.iter().filter(|workload| workload.verdict == verdict).collect();
    for workload in found.iter().take(MAX_WORKLOADS) {
        let _ = writeln!(text, "  {}: {}, {}", verdict.word(), workload.key, pods_text(workload));
        write_differences(text, "    ", &workload.differences);
    }
    write_more(text, "  ", found.len(), MAX_WORKLOADS, &format!("workload: {}", verdict.word()));
}

/// Describes the pods of a workload with its verdict.
fn pods_text(workload: &WorkloadAdoption) -> String {
    let all = pluralize(workload.pods as u64, "pod");
    match (workload.verdict, &workload.example) {
        (AdoptionVerdict::NoPods, _) if workload.is_in_cluster => "without a running pod".to_owned(),
        (AdoptionVerdict::NoPods, _) => "not in the cluster state".to_owned(),
        (verdict, Some(example)) if verdict.is_difference() && workload.pods > 1 => {
            format!("{} of {all}, such as {}", workload.affected_pods, escape::line(example))
        }
        _ => all,
    }
}

fn write_differences(text: &mut String, indent: &str, differences: &[FieldDifference]) {
    for difference in differences.iter().take(MAX_DIFFERENCES) {
        let _ = writeln!(
            text,
            "{indent}{}: {} -> {}",
            escape::line(&difference.path),
            value_text(live_value(difference).as_ref()),
            value_text(difference.expected.as_ref())
        );
    }
    write_more(text, indent, differences.len(), MAX_DIFFERENCES, "difference");
}

fn write_more(text: &mut String, indent: &str, all: usize, listed: usize, what: &str) {
    if let Some(more) = all.checked_sub(listed).filter(|more| *more > 0) {
        let _ = writeln!(text, "{indent}and {more} more, {what}");
    }
}

/// Returns the value in the cluster. Values of variables may be secrets of an application: they are left out.
fn live_value(difference: &FieldDifference) -> Option<Value> {
    let path = &difference.path;
    let is_variable = path.contains("env[") && !path.contains("].valueFrom");
    let mut value = difference.live.clone()?;
    match &mut value {
        Value::Array(variables) if path.ends_with("env") => variables.iter_mut().for_each(hide_variable),
        Value::Object(_) if is_variable => hide_variable(&mut value),
        Value::Object(_) | Value::Array(_) => hide_variables(&mut value),
        scalar if is_variable => *scalar = hidden_value(scalar),
        _ => {}
    }
    Some(value)
}

/// Leaves out the values of all variables of a container, or of a list of them.
fn hide_variables(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(hide_variables),
        Value::Object(fields) => {
            for (key, field) in fields {
                match field {
                    Value::Array(variables) if key == "env" => variables.iter_mut().for_each(hide_variable),
                    field => hide_variables(field),
                }
            }
        }
        _ => {}
    }
}

fn hide_variable(variable: &mut Value) {
    if let Some(value) = variable.get_mut("value") {
        *value = hidden_value(value);
    }
}

fn hidden_value(value: &Value) -> Value {
    let length = value.as_str().map_or_else(|| value.to_string().len(), |text| text.chars().count());
    format!("a value of {}", pluralize(length as u64, "character")).into()
}

/// Returns a value on one line; what is long is cut, and what the cluster says is text.
fn value_text(value: Option<&Value>) -> String {
    let text = match value {
        None => return "absent".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Object(_)) => return "present".to_owned(),
        Some(other) => other.to_string(),
    };
    escape::truncate(&escape::line(&text), MAX_VALUE).into_owned()
}

/// Describes why no ledger is written, and what to do.
fn obstacle_text(set: &SetAdoption, obstacle: &LedgerObstacle) -> String {
    match obstacle {
        LedgerObstacle::OtherContent => format!(
            "SidecarSet `{}` in the cluster is not the one in git; write its file as the cluster has it, and roll the change out afterwards",
            set.name
        ),
        LedgerObstacle::OtherStrategy => "Kruise would update pods by the `updateStrategy` or `injectionStrategy` in git, which differs; write it as the cluster has it".to_owned(),
        LedgerObstacle::SetNotInState => {
            "the cluster state does not say what Kruise injects; add `sidecarsets.apps.kruise.io` to it".to_owned()
        }
        LedgerObstacle::SetNotInCluster => {
            "pods have it, and the cluster does not have the SidecarSet any more; restore it there, or remove `runtime: Kruise`".to_owned()
        }
        LedgerObstacle::PodsDiffer(keys) => {
            format!("pods of {} differ from what would be rendered; write the SidecarSet as it runs", keys_text(keys))
        }
        LedgerObstacle::SomeTemplates(keys) => format!(
            "some pod templates in the cluster have the sidecar, and not those of {}; finish or undo what injected them first",
            keys_text(keys)
        ),
        LedgerObstacle::TemplatesDiffer(keys) => {
            format!("the pod templates of {} have another sidecar than the one in git", keys_text(keys))
        }
        LedgerObstacle::ForeignRemoved(keys) => format!(
            "the pods of {} have a container that a person wrote and that git no longer has; render marks it, which recreates them once: all together with `pillion init rollout --released current`, or in batches if the manifests keep the container until then",
            keys_text(keys)
        ),
        LedgerObstacle::TemplatesLoseSidecar(keys) => format!(
            "the pod templates of {} have the sidecar, and with `runtime: Kruise` the manifests do not; applying them recreates the pods once",
            keys_text(keys)
        ),
    }
}

fn keys_text(keys: &[Arc<str>]) -> String {
    match keys {
        [one] => one.to_string(),
        [one, other] => format!("{one} and {other}"),
        [one, rest @ ..] => format!("{one} and {} more", rest.len()),
        [] => String::new(),
    }
}

/// Returns the workloads with pods of which the template in the cluster has the sidecar: without it they are recreated.
fn rendered_workloads(set: &SetAdoption) -> Vec<&WorkloadAdoption> {
    let is_recreated = |w: &&WorkloadAdoption| w.template == Some(SidecarOrigin::Rendered) && w.pods > 0;
    set.workloads.iter().filter(is_recreated).collect()
}

/// Describes what taking the sidecars out of the manifests does to pods.
fn handover_text(set: &SetAdoption) -> String {
    let rendered = rendered_workloads(set);
    let pods: usize = rendered.iter().map(|workload| workload.pods).sum();
    let changed = rendered.iter().filter(|workload| workload.verdict.is_difference()).count();
    if rendered.is_empty() {
        return "no pod template in the cluster has the sidecar, so nothing is taken out and no pod changes"
            .to_owned();
    }
    let whole = format!(
        "manifests without the sidecar recreate {} of {} once",
        pluralize(pods as u64, "pod"),
        pluralize(rendered.len() as u64, "workload")
    );
    match changed {
        0 => format!("{whole}, and Kruise gives them the same containers"),
        1 => format!("{whole}, and Kruise gives those of 1 workload other containers"),
        n => format!("{whole}, and Kruise gives those of {n} workloads other containers"),
    }
}

fn workload_to_json(workload: &WorkloadAdoption) -> Value {
    json!({
        "workload": &*workload.key,
        "verdict": workload.verdict.word(),
        "inCluster": workload.is_in_cluster,
        "pods": workload.pods,
        "affectedPods": workload.affected_pods,
        "example": workload.example.as_deref(),
        "template": workload.template.map(|origin| match origin {
            SidecarOrigin::Absent => "without sidecar",
            SidecarOrigin::Webhook => "injected by Kruise",
            SidecarOrigin::Rendered => "rendered",
            SidecarOrigin::Foreign => "written by hand",
        }),
        "differences": workload.differences.iter().map(difference_to_json).collect::<Vec<_>>(),
    })
}

fn difference_to_json(difference: &FieldDifference) -> Value {
    json!({"path": difference.path, "inCluster": live_value(difference), "inGit": difference.expected})
}

#[cfg(test)]
mod tests {
    use super::{FieldDifference, live_value};
    use serde_json::{Value, json};

    fn shown(path: &str, live: Value) -> String {
        let difference = FieldDifference { path: path.to_owned(), expected: None, live: Some(live) };
        live_value(&difference).map(|value| value.to_string()).unwrap_or_default()
    }

    #[test]
    fn values_of_variables_are_never_shown() {
        let variables = json!([{"name": "KEY", "value": "s3cret"}, {"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}]);
        let cases = [
            ("containers[log].env[KEY].value", json!("s3cret")),
            ("containers[log].env[KEY]", variables[0].clone()),
            ("containers[log].env", variables.clone()),
            ("env", variables.clone()),
            ("containers[log]", json!({"name": "log", "env": variables})),
            ("containers", json!([{"name": "log", "env": variables}])),
            ("spec", json!({"containers": [{"name": "log", "env": variables}]})),
        ];
        for (path, live) in cases {
            let text = shown(path, live);
            assert!(!text.contains("s3cret"), "{path}: {text}");
            assert!(text.contains("a value of 6 characters"), "{path}: {text}");
        }
    }

    #[test]
    fn other_values_are_shown() {
        assert_eq!(shown("containers[log].image", json!("log:1")), "\"log:1\"");
        assert_eq!(shown("containers[log].args", json!(["--tail", "5"])), "[\"--tail\",\"5\"]");
        let name = "containers[log].env[KEY].valueFrom.secretKeyRef.name";
        assert_eq!(shown(name, json!("log-secret")), "\"log-secret\"");
        assert_eq!(shown("volumes[env].hostPath.path", json!("/var/log")), "\"/var/log\"");
    }
}
