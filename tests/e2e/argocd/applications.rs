//! Applications are synced and their pods carry the sidecars, injected by the plugin or by a commit.

use super::{PILLION, PILLION_YAML, Repository, deployment, images, sidecar_set, wait_pod};
use crate::harness::api::PODS;
use crate::harness::argocd::{Application, Manifest, argocd, printed};
use crate::harness::namespace::Namespace;
use serde_json::{Value, json};
use std::process::Command;

/// The annotation of what was injected.
fn injected(pod: &Value) -> &Value {
    &pod["metadata"]["annotations"]["kruise.io/sidecarset-injected-list"]
}

#[test]
#[ignore = "needs a real control plane: cargo test --test e2e -- --ignored"]
fn a_folder_a_kustomization_and_rendered_files() {
    let namespace = Namespace::new("argocd-folders");
    let repository = Repository::new();
    let person = &repository.person;
    person.put("apps/staged.yaml", deployment("staged"));
    let rendered = person.command(PILLION).args(["render", "--out=rendered"]).output().unwrap();
    assert!(rendered.status.success(), "{}", String::from_utf8_lossy(&rendered.stderr));
    person.put("plain/web.yaml", deployment("plain"));
    let kustomization = "resources: [web.yaml]\nnamePrefix: acme-\nimages: [{name: app, newTag: '9'}]\n";
    person.put("overlay/kustomization.yaml", kustomization).put("overlay/web.yaml", deployment("built"));
    let commit = repository.push("applications");

    let url = repository.url();
    let applications = Application::apply(&[
        Manifest::of_plugin("plain", &url, "plain", &namespace.name),
        Manifest::of_plugin("built", &url, "overlay", &namespace.name),
        Manifest::of_rendered("staged", &url, "rendered", &namespace.name),
    ]);
    let expected =
        [("plain", "Plugin", "app:1"), ("built", "Plugin", "app:9"), ("staged", "Directory", "app:1")];
    for (application, (app, source, main)) in applications.iter().zip(expected) {
        let synced = application.wait_synced(commit);
        assert_eq!(synced["status"]["sourceType"], source, "{app}");
        let pod = wait_pod(&namespace, app, |_| true);
        assert_eq!(images(&pod), ["log log:1", &format!("main {main}")], "{app}");
        assert_eq!(injected(&pod), "log", "{app}");
    }
    let pods = namespace.list(PODS);
    let mut names = pods.iter().map(|pod| pod["metadata"]["name"].as_str().unwrap());
    assert!(names.any(|name| name.starts_with("acme-built-")), "{pods:?}");
}

#[test]
#[ignore = "needs a real control plane: cargo test --test e2e -- --ignored"]
fn ten_at_once() {
    let namespace = Namespace::new("argocd-ten");
    let repository = Repository::new();
    let names: Vec<String> = (0..10).map(|n| format!("ten-{n}")).collect();
    for name in &names {
        repository.person.put(&format!("apps/{name}/web.yaml"), deployment(name));
    }
    let commit = repository.push("ten applications");
    let url = repository.url();
    let manifest = |name: &String| Manifest::of_plugin(name, &url, &format!("apps/{name}"), &namespace.name);
    let manifests: Vec<Manifest> = names.iter().map(manifest).collect();
    let applications = Application::apply(&manifests);
    for (application, name) in applications.iter().zip(&names) {
        application.wait_synced(commit);
        let pod = wait_pod(&namespace, name, |_| true);
        assert_eq!(images(&pod), ["log log:1", "main app:1"], "{name}");
    }
    assert_eq!(namespace.list(PODS).len(), names.len());
}

#[test]
#[ignore = "needs a real control plane: cargo test --test e2e -- --ignored"]
fn what_pillion_yaml_says_anew_is_a_sync() {
    let namespace = Namespace::new("argocd-paths");
    let repository = Repository::new();
    let person = &repository.person;
    person.put("apps/web.yaml", deployment("paths"));
    let manifest = Manifest::of_plugin("paths", &repository.url(), "apps", &namespace.name);
    let application = Application::new(manifest);
    application.wait_synced(repository.push("an application"));
    // Of these, only pillion.yaml is among the paths at which the Application looks.
    person.put("elsewhere/log.yaml", sidecar_set("log", "log:2"));
    person.put("pillion.yaml", PILLION_YAML.replace("[sidecars]", "[elsewhere]"));
    application.wait_synced(repository.push("SidecarSets from elsewhere"));
    wait_pod(&namespace, "paths", |pod| images(pod) == ["log log:2", "main app:1"]);
}

#[test]
#[ignore = "needs a real control plane: cargo test --test e2e -- --ignored"]
fn parameters() {
    let namespace = Namespace::new("argocd-parameters");
    let repository = Repository::new();
    repository.person.put("apps/web.yaml", deployment("parameters"));
    repository.person.put("other/trace.yaml", sidecar_set("trace", "trace:1"));
    let commit = repository.push("an application, and another SidecarSet");
    let url = repository.url();
    let application = Application::new(Manifest::of_plugin("parameters", &url, "apps", &namespace.name));
    application.wait_synced(commit);
    assert_eq!(injected(&wait_pod(&namespace, "parameters", |_| true)), "log");

    let give = |parameters: Value| {
        application.patch(&json!({ "spec": { "source": { "plugin": { "parameters": parameters } } } }));
    };
    give(json!([
        { "name": "sidecarsets", "array": ["../other"] },
        { "name": "annotations", "string": "none" },
    ]));
    let pod = wait_pod(&namespace, "parameters", |pod| images(pod) == ["main app:1", "trace trace:1"]);
    assert_eq!(injected(&pod), &Value::Null);
    give(json!([{ "name": "annotation", "string": "none" }]));
    let message = "error[invalid-configuration]: there is no parameter `annotation`";
    application.wait_condition("ComparisonError", message);
    give(json!([]));
    wait_pod(&namespace, "parameters", |pod| images(pod) == ["log log:1", "main app:1"]);

    let announced = argocd().details(&url, "apps");
    let output = Command::new(PILLION).args(["cmp", "parameters"]).output().unwrap();
    let ours: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    let theirs = announced["plugin"]["parametersAnnouncement"].as_array().unwrap();
    assert_eq!(theirs.len(), ours.len(), "{announced}");
    for (theirs, ours) in theirs.iter().zip(ours) {
        for field in ["name", "title", "tooltip", "itemType", "collectionType"] {
            assert_eq!(theirs[field], ours[field], "{field}");
        }
    }
}

#[test]
#[ignore = "needs a real control plane: cargo test --test e2e -- --ignored"]
fn discovery_for_who_wants_it() {
    let namespace = Namespace::new("argocd-discovery");
    let plugin = printed(&["cmp"]);
    let discovers = plugin
        .replace("  name: pillion\n", "  name: pillion-discovers\n")
        .replace("spec:\n", "spec:\n  discover: {fileName: pillion.yaml}\n");
    argocd().serve_plugin("argocd-cmp-server-discovers", &discovers);
    let repository = Repository::new();
    repository.person.put("apps/web.yaml", deployment("discovered"));
    let commit = repository.push("an application");
    let without = "    plugin:
      name: pillion
      parameters:
      - name: annotations
        string: minimal
";
    let manifest =
        Manifest::of_plugin("discovered", &repository.url(), ".", &namespace.name).with(without, "");
    let synced = Application::new(manifest).wait_synced(commit);
    assert_eq!(synced["status"]["sourceType"], "Plugin");
    assert_eq!(images(&wait_pod(&namespace, "discovered", |_| true)), ["log log:1", "main app:1"]);
}
