//! Compares what pillion renders in `examples/istioctl` with the real output of istioctl that is there.

use pillion::yaml::{Document, split_documents};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/istioctl")
}

/// The Deployments of a text, by name and with the defaults of Kubernetes that pillion or Kruise write out.
fn deployment(text: &str, name: &str) -> Value {
    let file = "a.yaml".into();
    let (parts, _) = split_documents(&file, text);
    let values = parts.iter().map(|part| {
        let document = Document::read(&file, 0, 1, &text[part.span.clone()]).expect("YAML");
        document.value().clone()
    });
    let is_it = |value: &Value| value["kind"] == "Deployment" && value["metadata"]["name"] == name;
    let mut deployment = values.into_iter().find(is_it).expect("the Deployment");
    let spec = &mut deployment["spec"]["template"]["spec"];
    for volume in spec["volumes"].as_array_mut().expect("volumes") {
        if volume.as_object().is_some_and(|fields| fields.len() == 1) {
            volume["emptyDir"] = json!({});
        }
    }
    let by_name = |one: &Value| one["name"].as_str().unwrap_or_default().to_owned();
    spec["volumes"].as_array_mut().expect("volumes").sort_by_key(by_name);
    let probe = &mut spec["containers"][1]["startupProbe"];
    probe["successThreshold"] = json!(1);
    probe["httpGet"]["scheme"] = json!("HTTP");
    deployment
}

/// Takes the marks of injection away, and returns how many there were.
fn without_marks(deployment: &mut Value) -> usize {
    let template = &mut deployment["spec"]["template"];
    let mut marks = 0;
    for (of, key) in [
        ("annotations", "kruise.io/sidecarset-injected-list"),
        ("annotations", "sidecar.istio.io/status"),
        ("labels", "sidecar.istio.io/inject"),
    ] {
        let fields = template["metadata"][of].as_object_mut().expect("metadata");
        marks += usize::from(fields.shift_remove(key).is_some());
    }
    for list in ["initContainers", "containers"] {
        for container in template["spec"][list].as_array_mut().expect("containers") {
            let Some(variables) = container.get_mut("env").and_then(Value::as_array_mut) else { continue };
            let before = variables.len();
            variables.retain(|variable| variable["name"] != "IS_INJECTED");
            marks += before - variables.len();
            if variables.is_empty() {
                container.as_object_mut().expect("a container").shift_remove("env");
            }
        }
    }
    marks
}

#[test]
fn the_rendering_has_what_istioctl_writes() {
    let output = Command::new(env!("CARGO_BIN_EXE_pillion")).args(["render", "-C"]).arg(folder()).output();
    let output = output.expect("pillion runs");
    assert!(output.status.success(), "{output:?}");
    let rendered = String::from_utf8(output.stdout).expect("a text");
    for name in ["web", "api"] {
        let injected = folder().join(format!("injected/{name}.yaml"));
        let mut istioctl = deployment(&std::fs::read_to_string(injected).expect("the output"), name);
        let mut pillion = deployment(&rendered, name);
        assert_eq!(without_marks(&mut istioctl), 1, "the annotation of istioctl");
        assert_eq!(without_marks(&mut pillion), 4, "an annotation, a label and two variables");
        assert_eq!(pillion, istioctl, "{name}");
    }
}
