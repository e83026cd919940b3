//! Injection against what Kruise's webhook made of the same pods.
//!
//! | answer of Kruise | wanted here |
//! |---|---|
//! | a pod | the same pod, API defaults aside ([`crate::normal`]) |
//! | a denial | an error |
//! | a sidecar replaces an application's container, or two sets bring one name | an error: `container-name-taken`, `container-name-twice` |
//! | the set is one that Kruise's validation refuses (`allowInvalid`) | an error or the same pod |
//! | a coin is thrown (`random`) | one of the two pods, always the same |
//! | a number with an unknown unit counts as 0 (i342) | an error |
//! | the webhook draws the pod's name (i265, i355), or there is none (i266) | the same pod without barriers |
//! | barriers are appended again (i455, i456, i460) | each barrier once |
//! | nobody knows the namespace's labels and the set asks for them (i037) | `namespace-labels-unknown` |

use crate::conformance::{cases, documents};
use crate::normal::{allow_missing_revisions, difference, normal_pod};
use pillion::diag::Diagnostic;
use pillion::inject::{
    Annotations, NamespaceLabels, Options, Outcome, PodTemplate, PreparedSet, Sets, inject,
};
use pillion::model::sidecar_set::decode;
use pillion::yaml::{Document, Path};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path as File;
use std::sync::Arc;

const BARRIER: &str = "KRUISE_CONTAINER_BARRIER";

/// One recorded case, read.
struct Case {
    id: String,
    options: Value,
    order_sensitive: bool,
    sets: Result<Sets, Vec<Diagnostic>>,
    pod: Arc<Document>,
    namespaces: BTreeMap<String, BTreeMap<String, String>>,
    expected: Vec<Value>,
}

impl Case {
    fn read(folder: &File) -> Self {
        let text = std::fs::read_to_string(folder.join("case.json")).expect("a case has a case.json");
        let info: Value = serde_json::from_str(&text).expect("case.json is JSON");
        let namespaces = documents(folder, "namespaces.yaml").iter().map(|d| labels_of(d.value())).collect();
        let expected = ["expected.yaml", "expected-alt.yaml"];
        Self {
            id: info["id"].as_str().expect("a case has an id").to_owned(),
            options: info["options"].clone(),
            order_sensitive: info["oracle"]["orderSensitive"] == true,
            sets: read_sets(folder),
            pod: documents(folder, "pod.yaml").remove(0),
            namespaces,
            expected: expected.iter().flat_map(|f| documents(folder, f)).map(|d| d.value().clone()).collect(),
        }
    }

    fn inject(&self, pod: &Value, annotations: Annotations) -> Option<Outcome> {
        let sets = self.sets.as_ref().ok()?;
        Some(inject_into(&self.pod, pod, sets, &self.namespaces, annotations))
    }
}

fn inject_into(
    document: &Document,
    pod: &Value,
    sets: &Sets,
    namespaces: &BTreeMap<String, BTreeMap<String, String>>,
    annotations: Annotations,
) -> Outcome {
    let namespace = pod["metadata"]["namespace"].as_str().unwrap_or("default");
    let key = format!("Pod/{namespace}/{}", pod["metadata"]["name"].as_str().unwrap_or_default());
    let namespace_labels = namespaces.get(namespace).map_or(NamespaceLabels::Unknown, NamespaceLabels::Known);
    let template = PodTemplate {
        document,
        path: Path::root(),
        value: pod,
        is_pod: true,
        key: &key,
        namespace,
        namespace_labels,
    };
    inject(&template, sets, &Options { annotations, trace: true })
}

fn labels_of(namespace: &Value) -> (String, BTreeMap<String, String>) {
    let metadata = &namespace["metadata"];
    let labels = metadata["labels"].as_object().into_iter().flatten();
    let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    (text(&metadata["name"]), labels.map(|(k, v)| (k.clone(), text(v))).collect())
}

fn read_sets(folder: &File) -> Result<Sets, Vec<Diagnostic>> {
    let read = |file: &str| {
        let decoded = documents(folder, file).into_iter().map(|d| {
            let (set, found) = decode(&d, &Path::root());
            set.map(|set| Arc::new(PreparedSet::new(Arc::new(set)))).ok_or(found)
        });
        decoded.collect::<Result<Vec<_>, _>>()
    };
    Ok(Sets::new(read("sidecarsets.yaml")?, read("history.yaml")?))
}

fn all_cases() -> Vec<Case> {
    let all = cases("injection").into_iter().map(|folder| Case::read(&folder));
    all.filter(|case| case.options.get("featureGates").is_none()).collect()
}

/// What is wrong with the outcome of a case.
fn judge(case: &Case) -> Result<(), String> {
    let outcome = case.inject(case.pod.value(), Annotations::Kruise);
    let refused = outcome.as_ref().is_none_or(|o| o.diagnostics.iter().any(Diagnostic::is_error));
    if refused && let Some(outcome) = &outcome {
        assert!(outcome.value.is_none(), "{}: an error comes without a result", case.id);
    }
    let told = || format!("{:?}", outcome.as_ref().map(|o| &o.diagnostics));
    let number = &case.id[..4];
    let Some(expected) = case.expected.first() else {
        return if refused { Ok(()) } else { Err("Kruise denies this pod".to_owned()) };
    };
    if let Some(name) = conflict(case.pod.value(), expected) {
        return if refused { Ok(()) } else { Err(format!("container {name} is replaced or doubled")) };
    }
    if refused {
        let may = case.options["allowInvalid"] == true || ["i342", "i037"].contains(&number);
        return if may { Ok(()) } else { Err(format!("refused: {}", told())) };
    }
    let outcome = outcome.expect("there is an outcome that is no refusal");
    let pod = outcome.value.as_ref().unwrap_or(case.pod.value());
    let mut allowed = case.expected.clone();
    match number {
        "i265" | "i266" | "i355" => allowed.push(without_barriers(expected)),
        "i455" | "i456" | "i460" => allowed.push(barriers_once(expected)),
        _ => {}
    }
    let got = normal_pod(pod);
    let mut found = allowed.iter().map(|expected| {
        let mut want = normal_pod(expected);
        allow_missing_revisions(&mut want, &got);
        difference(&want, &got, "")
    });
    let first = found.next().flatten();
    match first {
        Some(difference) if !found.any(|d| d.is_none()) => Err(difference),
        _ => Ok(()),
    }
}

/// The name of a container that injection would overwrite or double.
fn conflict(pod: &Value, expected: &Value) -> Option<String> {
    let lists = ["initContainers", "containers"];
    lists.iter().find_map(|list| {
        let containers = |pod: &Value| pod["spec"][list].as_array().cloned().unwrap_or_default();
        let (before, after) = (containers(pod), containers(expected));
        let own = |name: &Value| before.iter().find(|c| c["name"] == *name);
        let found = after.iter().find(|c| {
            let count = after.iter().filter(|other| other["name"] == c["name"]).count();
            match own(&c["name"]) {
                None => count > 1,
                Some(own) => !is_injected(own) && is_injected(c),
            }
        });
        found.map(|c| c["name"].to_string())
    })
}

fn is_injected(container: &Value) -> bool {
    let env = container["env"].as_array().into_iter().flatten();
    env.into_iter().find(|e| e["name"] == "IS_INJECTED").is_some_and(|e| e["value"] == "true")
}

fn change_env(pod: &Value, change: impl Fn(&mut Vec<Value>)) -> Value {
    let mut pod = pod.clone();
    for container in pod["spec"]["containers"].as_array_mut().expect("a pod has containers") {
        if let Some(env) = container.get_mut("env").and_then(Value::as_array_mut) {
            change(env);
        }
    }
    pod
}

fn without_barriers(pod: &Value) -> Value {
    let mut pod = change_env(pod, |env| env.retain(|e| e["name"] != BARRIER));
    if pod["metadata"]["name"].as_str().is_some_and(|n| n.ends_with("XXXXX")) {
        pod["metadata"].as_object_mut().expect("metadata is an object").shift_remove("name");
    }
    pod
}

fn barriers_once(pod: &Value) -> Value {
    change_env(pod, |env| {
        let mut seen = Vec::new();
        env.retain(|e| {
            e["name"] != BARRIER
                || !seen.contains(e) && {
                    seen.push(e.clone());
                    true
                }
        });
    })
}

#[test]
fn pods_become_what_kruise_makes_of_them() {
    let cases = all_cases();
    let wrong: Vec<String> =
        cases.iter().filter_map(|case| judge(case).err().map(|why| format!("{}: {why}", case.id))).collect();
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

#[test]
fn a_second_pass_changes_nothing() {
    let mut wrong = Vec::new();
    for case in all_cases() {
        for annotations in [Annotations::Minimal, Annotations::Kruise] {
            let Some(Some(first)) = case.inject(case.pod.value(), annotations).map(|o| o.value) else {
                continue;
            };
            let again = case.inject(&first, annotations).expect("the sets were read before");
            if let Some(second) = &again.value {
                wrong.push(format!("{} {annotations:?}: {:?}", case.id, difference(&first, second, "")));
            }
            for error in again.diagnostics.iter().filter(|d| d.is_error()) {
                wrong.push(format!("{} {annotations:?}: {error:?}", case.id));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_order_of_sets_is_told_where_it_shows() {
    let mut wrong = Vec::new();
    for case in all_cases() {
        let Some(outcome) = case.inject(case.pod.value(), Annotations::Kruise) else { continue };
        if outcome.diagnostics.iter().any(Diagnostic::is_error) {
            continue;
        }
        let told = outcome.diagnostics.iter().any(|d| d.code.name() == "set-order-matters");
        if told != case.order_sensitive {
            wrong.push(format!("{}: told {told}, recorded {}", case.id, case.order_sensitive));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
