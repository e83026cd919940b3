//! Every recorded pod, with its SidecarSets as native sidecars.

use super::conformance::{Case, all_cases, inject_into};
use crate::support::injection::InjectedTemplate;
use pillion::inject::{PreparedSet, SidecarSetStore};
use pillion::model::config::AnnotationMode;
use pillion::model::sidecar_set::SidecarMode;
use serde_json::Value;
use std::sync::Arc;

/// The sets of a case in a mode, without their history.
fn store(case: &Case, mode: SidecarMode) -> Option<SidecarSetStore> {
    let sets = case.sets.as_ref().ok()?.current();
    let with_mode = sets.iter().map(|prepared| Arc::clone(prepared.set()).with_default_mode(mode));
    Some(SidecarSetStore::new(with_mode.map(|set| Arc::new(PreparedSet::new(set))).collect(), Vec::new()))
}

/// The pod, injected; None after an error.
fn injected(case: &Case, pod: &Value, sets: &SidecarSetStore) -> Option<Value> {
    let InjectedTemplate { template, diagnostics, .. } =
        inject_into(&case.pod, pod, sets, &case.namespaces, AnnotationMode::Minimal);
    let is_sound = diagnostics.iter().all(|d| !d.is_error());
    is_sound.then(|| template.unwrap_or_else(|| pod.clone()))
}

fn names(pod: &Value, list: &str) -> Vec<String> {
    let items = pod["spec"][list].as_array();
    items.into_iter().flatten().map(|c| c["name"].as_str().unwrap_or_default().to_owned()).collect()
}

#[test]
fn native_sidecars_are_those_of_the_containers_and_a_second_pass_changes_nothing() {
    let (mut seen, mut failures) = (0, Vec::new());
    for case in all_cases() {
        let stores = [SidecarMode::Container, SidecarMode::Native].map(|mode| store(&case, mode));
        let [Some(containers), Some(natives)] = stores else { continue };
        let pod = case.pod.value();
        // What no injected-list names is the application's, marked or not.
        if pod.to_string().contains("IS_INJECTED") {
            continue;
        }
        let [as_containers, as_natives] = [&containers, &natives].map(|sets| injected(&case, pod, sets));
        let (Some(as_containers), Some(as_natives)) = (as_containers, as_natives) else { continue };
        seen += 1;
        let mut check = |is_so: bool, what: &str| {
            if !is_so {
                failures.push(format!("{}: {what}", case.id));
            }
        };
        check(
            injected(&case, &as_natives, &natives).as_ref() == Some(&as_natives),
            "a second pass changes it",
        );
        let all = |pod: &Value| {
            let mut all = [names(pod, "initContainers"), names(pod, "containers")].concat();
            all.sort_unstable();
            all
        };
        check(all(&as_containers) == all(&as_natives), "other containers");
        check(as_containers["spec"]["volumes"] == as_natives["spec"]["volumes"], "other volumes");
        let empty = Vec::new();
        let init = as_natives["spec"]["initContainers"].as_array().unwrap_or(&empty);
        for container in init.iter().filter(|container| container["restartPolicy"] == "Always") {
            let of = |pod: &Value, list: &str| {
                let items = pod["spec"][list].as_array();
                items.into_iter().flatten().find(|c| c["name"] == container["name"]).cloned()
            };
            let mut converted =
                of(&as_containers, "containers").filter(|_| of(pod, "initContainers").is_none());
            if let Some(container) = converted.as_mut().and_then(Value::as_object_mut) {
                container.insert("restartPolicy".to_owned(), "Always".into());
                // Barriers are of containers, and startup probes of an order of native sidecars.
                if let Some(env) = container.get_mut("env").and_then(Value::as_array_mut) {
                    env.retain(|variable| variable["name"] != "KRUISE_CONTAINER_BARRIER");
                }
            }
            let mut native = container.clone();
            native.as_object_mut().unwrap().remove("startupProbe");
            if let Some(mut converted) = converted {
                converted.as_object_mut().unwrap().remove("startupProbe");
                check(converted == native, &format!("another content: {converted} {native}"));
            }
        }
        let back = injected(&case, &as_natives, &containers);
        check(back.as_ref().map(all) == Some(all(&as_containers)), "the way back to containers");
    }
    assert!(seen > 100, "{seen} cases");
    assert!(failures.is_empty(), "{} of {seen}:\n{}", failures.len(), failures.join("\n"));
}
