//! Compares injection with what Kruise's webhook made of the same pods.
//!
//! | answer of Kruise | expected here |
//! |---|---|
//! | a pod | the same pod except for API defaults ([`crate::support::pod_normalization`]) |
//! | a denial | an error |
//! | a sidecar replaces an application's container, or two sets add the same name | an error: `container-name-taken`, `duplicate-container-name` |
//! | Kruise's validation rejects the set (`allowInvalid`) | an error or the same pod |
//! | the result is random (`random`) | one of the two pods, always the same |
//! | a number with an unknown unit counts as 0 (i342) | an error |
//! | the webhook generates the pod's name (i265, i355), or it has none (i266) | the same pod without barriers |
//! | barriers are appended again (i455, i456, i460) | each barrier once |
//! | the set selects by labels of a namespace that are unknown (i037) | `namespace-labels-unknown` |

use crate::support::conformance::{cases, documents};
use crate::support::injection::{InjectedTemplate, inject};
use crate::support::pod_normalization::{allow_missing_revisions, difference, normal_pod};
use pillion::diagnostics::Diagnostic;
use pillion::inject::{NamespaceLabels, Options, PodTemplate, PreparedSet, SidecarSetStore};
use pillion::model::config::AnnotationMode;
use pillion::model::sidecar_set::{ValidationContext, decode, validate};
use pillion::yaml::{Document, FieldPath};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path as File;
use std::sync::Arc;

const BARRIER: &str = "KRUISE_CONTAINER_BARRIER";

/// One recorded case, read.
pub(super) struct Case {
    pub(super) id: String,
    options: Value,
    order_sensitive: bool,
    pub(super) sets: Result<SidecarSetStore, Vec<Diagnostic>>,
    /// Every content of every set.
    contents: Vec<Arc<PreparedSet>>,
    pub(super) pod: Arc<Document>,
    pub(super) namespaces: BTreeMap<String, BTreeMap<String, String>>,
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
            sets: read_sets(folder, "sidecarsets.yaml")
                .and_then(|current| Ok(SidecarSetStore::new(current, read_sets(folder, "history.yaml")?))),
            contents: ["history.yaml", "sidecarsets.yaml"]
                .iter()
                .flat_map(|file| read_sets(folder, file).unwrap_or_default())
                .collect(),
            pod: documents(folder, "pod.yaml").remove(0),
            namespaces,
            expected: expected.iter().flat_map(|f| documents(folder, f)).map(|d| d.value().clone()).collect(),
        }
    }

    /// Validation refuses a set.
    fn is_invalid(&self) -> bool {
        let sets = self.contents.iter().map(|content| content.set());
        sets.flat_map(|set| validate(set, ValidationContext::default())).any(|d| d.is_error())
    }

    pub(super) fn inject(&self, pod: &Value, annotations: AnnotationMode) -> Option<InjectedTemplate> {
        let sets = self.sets.as_ref().ok()?;
        Some(inject_into(&self.pod, pod, sets, &self.namespaces, annotations))
    }
}

pub(super) fn inject_into(
    document: &Document,
    pod: &Value,
    sets: &SidecarSetStore,
    namespaces: &BTreeMap<String, BTreeMap<String, String>>,
    annotations: AnnotationMode,
) -> InjectedTemplate {
    let namespace = pod["metadata"]["namespace"].as_str().unwrap_or("default");
    let key = format!("Pod/{namespace}/{}", pod["metadata"]["name"].as_str().unwrap_or_default());
    let namespace_labels = namespaces.get(namespace).map_or(NamespaceLabels::Unknown, NamespaceLabels::Known);
    let template = PodTemplate {
        document,
        path: FieldPath::root(),
        value: pod,
        is_pod: true,
        key: &key,
        namespace,
        runs_to_completion: false,
        volume_claims: &[],
        namespace_labels,
        overrides: &[],
    };
    inject(&template, sets, &Options { annotations, trace: true, ..Options::default() })
}

fn labels_of(namespace: &Value) -> (String, BTreeMap<String, String>) {
    let metadata = &namespace["metadata"];
    let labels = metadata["labels"].as_object().into_iter().flatten();
    let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    (text(&metadata["name"]), labels.map(|(k, v)| (k.clone(), text(v))).collect())
}

fn read_sets(folder: &File, file: &str) -> Result<Vec<Arc<PreparedSet>>, Vec<Diagnostic>> {
    let decoded = documents(folder, file).into_iter().map(|d| {
        let (set, found) = decode(&d, &FieldPath::root());
        set.map(|set| Arc::new(PreparedSet::new(Arc::new(set)))).ok_or(found)
    });
    decoded.collect()
}

pub(super) fn all_cases() -> Vec<Case> {
    let all = cases("injection").into_iter().map(|folder| Case::read(&folder));
    all.filter(|case| case.options.get("featureGates").is_none()).collect()
}

/// What is wrong with the outcome of a case.
fn judge(case: &Case) -> Result<(), String> {
    let outcome = case.inject(case.pod.value(), AnnotationMode::Kruise);
    if case.options["allowInvalid"] == true && case.is_invalid() {
        return Ok(());
    }
    let refused = outcome.as_ref().is_none_or(|o| o.diagnostics.iter().any(Diagnostic::is_error));
    if refused && let Some(outcome) = &outcome {
        assert!(outcome.template.is_none(), "{}: an error comes without a result", case.id);
    }
    let diagnostics = || format!("{:?}", outcome.as_ref().map(|o| &o.diagnostics));
    let number = &case.id[..4];
    let Some(expected) = case.expected.first() else {
        return if refused { Ok(()) } else { Err("Kruise denies this pod".to_owned()) };
    };
    if let Some(name) = conflict(case.pod.value(), expected) {
        return if refused { Ok(()) } else { Err(format!("container {name} is replaced or doubled")) };
    }
    if refused {
        let may = case.options["allowInvalid"] == true || ["i342", "i037"].contains(&number);
        return if may { Ok(()) } else { Err(format!("refused: {}", diagnostics())) };
    }
    let outcome = outcome.expect("there is an outcome that is not a refusal");
    let pod = outcome.template.as_ref().unwrap_or(case.pod.value());
    let mut allowed = case.expected.clone();
    match number {
        "i265" | "i266" | "i355" => allowed.push(without_barriers(expected)),
        "i455" | "i456" | "i460" => allowed.push(barriers_once(expected)),
        _ => {}
    }
    // The recorded pod was defaulted by the API server, which makes requests of limits.
    let is_defaulted = case.options["defaultPod"] == true;
    let normal = |pod: &Value| if is_defaulted { normal_pod(&with_requests(pod)) } else { normal_pod(pod) };
    let got = normal(pod);
    let mut found = allowed.iter().map(|expected| {
        let mut want = normal(expected);
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

fn with_requests(pod: &Value) -> Value {
    let mut pod = pod.clone();
    for container in pod["spec"]["containers"].as_array_mut().expect("a pod has containers") {
        let Some(limits) = container["resources"]["limits"].as_object().cloned() else { continue };
        for (resource, limit) in limits {
            let request = &mut container["resources"]["requests"][resource];
            if request.is_null() {
                *request = limit;
            }
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
    let failures: Vec<String> =
        cases.iter().filter_map(|case| judge(case).err().map(|why| format!("{}: {why}", case.id))).collect();
    assert!(failures.is_empty(), "{} of {}:\n{}", failures.len(), cases.len(), failures.join("\n"));
}

#[test]
fn a_second_pass_changes_nothing() {
    let mut failures = Vec::new();
    for case in all_cases() {
        for annotations in [AnnotationMode::Minimal, AnnotationMode::Kruise] {
            let Some(Some(first)) = case.inject(case.pod.value(), annotations).map(|o| o.template) else {
                continue;
            };
            let again = case.inject(&first, annotations).expect("the sets were read before");
            if let Some(second) = &again.template {
                failures.push(format!("{} {annotations:?}: {:?}", case.id, difference(&first, second, "")));
            }
            for error in again.diagnostics.iter().filter(|d| d.is_error()) {
                failures.push(format!("{} {annotations:?}: {error:?}", case.id));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn the_order_of_sets_is_told_where_it_shows() {
    let mut failures = Vec::new();
    for case in all_cases() {
        let Some(outcome) = case.inject(case.pod.value(), AnnotationMode::Kruise) else { continue };
        if outcome.diagnostics.iter().any(Diagnostic::is_error) {
            continue;
        }
        let is_reported = outcome.diagnostics.iter().any(|d| d.code.name() == "set-order-matters");
        if is_reported != case.order_sensitive {
            failures.push(format!("{}: told {is_reported}, recorded {}", case.id, case.order_sensitive));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Cases with a pod that has nothing of an earlier injection.
fn first_passes() -> Vec<(Case, Value)> {
    let injected = all_cases().into_iter().filter_map(|case| {
        let outcome = case.inject(case.pod.value(), AnnotationMode::Minimal)?;
        let value = outcome.template?;
        let had_list = case.pod.value()["metadata"]["annotations"].get(LIST).is_some();
        (!had_list && !outcome.injected_sets.is_empty()).then_some((case, value))
    });
    injected.collect()
}

const LIST: &str = "kruise.io/sidecarset-injected-list";

#[test]
fn the_modes_lead_to_one_result() {
    let mut failures = Vec::new();
    let modes = [AnnotationMode::Minimal, AnnotationMode::Kruise];
    // Where hashes are written, those that the pod has of other sets are written again, or Kruise denies the pod.
    let has_hashes = |case: &Case| {
        case.pod.value()["metadata"]["annotations"].get("kruise.io/sidecarset-hash").is_some()
            || case.expected.is_empty()
    };
    for (case, _) in first_passes().into_iter().filter(|(case, _)| !has_hashes(case)) {
        for (from, to) in modes.into_iter().flat_map(|from| modes.map(|to| (from, to))) {
            let first =
                case.inject(case.pod.value(), from).and_then(|o| o.template).expect("it was injected before");
            let direct =
                case.inject(case.pod.value(), to).and_then(|o| o.template).expect("it was injected before");
            let changed = case.inject(&first, to).and_then(|o| o.template).unwrap_or(first);
            if let Some(found) = difference(&direct, &changed, "") {
                failures.push(format!("{} {from:?} {to:?}: {found}", case.id));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn without_the_sets_the_pod_is_as_it_was() {
    let mut failures = Vec::new();
    for (case, value) in first_passes() {
        let no_sets = SidecarSetStore::new(Vec::new(), case.contents.clone());
        if case.overwrites() {
            continue;
        }
        let run = |pod: &Value| {
            inject_into(&case.pod, pod, &no_sets, &case.namespaces, AnnotationMode::Minimal).template
        };
        let original = run(case.pod.value()).unwrap_or_else(|| case.pod.value().clone());
        let after = run(&value).expect("what was injected is taken out");
        if let Some(found) = difference(&without_duplicate_secrets(&original), &after, "") {
            failures.push(format!("{}: {found}", case.id));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

impl Case {
    /// A set writes over an annotation of the pod or over an entry of a hot upgrade that is not a text, or has a pull
    /// secret or an annotation as the pod has it: then what the pod was cannot be known.
    fn overwrites(&self) -> bool {
        let pod = self.pod.value();
        let annotations = &pod["metadata"]["annotations"];
        let secrets = pod["spec"]["imagePullSecrets"].as_array().cloned().unwrap_or_default();
        let working = annotations["kruise.io/sidecarset-working-hotupgrade-container"].as_str().unwrap_or("");
        let working: Value = serde_json::from_str(working).unwrap_or_default();
        let has_odd_entry = working.as_object().is_some_and(|w| w.values().any(|v| !v.is_string()));
        has_odd_entry
            || self.contents.iter().map(|c| c.set()).any(|set| {
                let patched = set.patch_pod_metadata.iter().flat_map(|p| &p.annotations);
                patched.into_iter().any(|(key, _)| annotations.get(key).is_some())
                    || set.image_pull_secrets.iter().any(|name| secrets.iter().any(|s| s["name"] == *name))
            })
    }
}

fn without_duplicate_secrets(pod: &Value) -> Value {
    let mut pod = pod.clone();
    if let Some(secrets) = pod["spec"].get_mut("imagePullSecrets").and_then(Value::as_array_mut) {
        let mut seen = Vec::new();
        secrets.retain(|s| {
            !seen.contains(s) && {
                seen.push(s.clone());
                true
            }
        });
    }
    pod
}

/// Reads the sets of a case with every image of a container changed.
fn with_other_images(folder: &File) -> Option<SidecarSetStore> {
    let text = std::fs::read_to_string(folder.join("sidecarsets.yaml")).expect("a case has sets");
    let text: Vec<String> = text
        .lines()
        .map(|line| match line.trim_start().trim_start_matches("- ").starts_with("image:") {
            true => line.replacen("image: ", "image: next.example/", 1),
            false => line.to_owned(),
        })
        .collect();
    let file: Arc<str> = "sidecarsets.yaml".into();
    let documents = text.join("\n");
    let sets = documents.split("\n---\n").filter_map(|part| {
        let document = Arc::new(Document::read(&file, 0, 1, part).ok()?);
        decode(&document, &FieldPath::root()).0.map(|set| Arc::new(PreparedSet::new(Arc::new(set))))
    });
    Some(SidecarSetStore::new(sets.collect(), Vec::new()))
}

#[test]
fn an_upgrade_of_images_changes_images_alone() {
    let mut failures = Vec::new();
    let mut changed = 0;
    for folder in cases("injection") {
        let case = Case::read(&folder);
        let Some(first) = case.inject(case.pod.value(), AnnotationMode::Minimal).and_then(|o| o.template)
        else {
            continue;
        };
        let Some(next) = with_other_images(&folder) else { continue };
        let run = |pod: &Value| inject_into(&case.pod, pod, &next, &case.namespaces, AnnotationMode::Minimal);
        let upgraded = run(&first);
        // A revision that is named, a denial or a set that selects nothing: nothing to compare.
        if upgraded.diagnostics.iter().any(Diagnostic::is_error) || upgraded.injected_sets.is_empty() {
            continue;
        }
        let upgraded = upgraded.template.unwrap_or_else(|| first.clone());
        let direct = run(case.pod.value()).template.unwrap_or_else(|| case.pod.value().clone());
        if case
            .sets
            .as_ref()
            .is_ok_and(|sets| sets.current().iter().all(|s| s.set().injection_revision.is_none()))
            && let Some(found) = difference(&direct, &upgraded, "")
        {
            failures.push(format!("{}: not like a first injection: {found}", case.id));
        }
        let mut old = first.clone();
        if same_but_images(&mut old, &upgraded) {
            changed += 1;
        } else {
            failures.push(format!("{}: more than images: {:?}", case.id, difference(&old, &upgraded, "")));
        }
    }
    assert!(changed > 80, "{changed} upgrades were compared");
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

fn same_but_images(old: &mut Value, new: &Value) -> bool {
    for list in ["containers", "initContainers"] {
        let Some(containers) = old["spec"].get_mut(list).and_then(Value::as_array_mut) else { continue };
        for (i, container) in containers.iter_mut().enumerate() {
            if container.get("image").is_some() {
                container["image"] = new["spec"][list][i]["image"].clone();
            }
        }
    }
    old == new
}

#[test]
fn templates_get_what_pods_get_but_for_barriers() {
    let mut failures = Vec::new();
    for case in all_cases() {
        let (Ok(sets), pod) = (&case.sets, case.pod.value()) else { continue };
        let is_active = pod.get("status").is_none() && pod["metadata"].get("deletionTimestamp").is_none();
        let Some(wanted) = case.inject(pod, AnnotationMode::Minimal).filter(|_| is_active) else {
            continue;
        };
        let namespace = pod["metadata"]["namespace"].as_str().unwrap_or("default");
        let template = PodTemplate {
            document: &case.pod,
            path: FieldPath::root(),
            value: pod,
            is_pod: false,
            key: "Deployment.apps/default/web",
            namespace,
            runs_to_completion: false,
            volume_claims: &[],
            namespace_labels: case
                .namespaces
                .get(namespace)
                .map_or(NamespaceLabels::Unknown, NamespaceLabels::Known),
            overrides: &[],
        };
        let got = inject(&template, sets, &Options::default());
        let (wanted, got) =
            (wanted.template.unwrap_or_else(|| pod.clone()), got.template.unwrap_or_else(|| pod.clone()));
        let (wanted, got) = (without_empty_env(&without_barriers(&wanted)), without_empty_env(&got));
        if case.options["random"] != true
            && let Some(found) = difference(&wanted, &got, "")
        {
            failures.push(format!("{}: {found}", case.id));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

fn without_empty_env(pod: &Value) -> Value {
    let mut pod = pod.clone();
    for container in pod["spec"]["containers"].as_array_mut().expect("a pod has containers") {
        if container.get("env") == Some(&Value::Array(Vec::new())) {
            container.as_object_mut().expect("a container is an object").shift_remove("env");
        }
    }
    pod
}
