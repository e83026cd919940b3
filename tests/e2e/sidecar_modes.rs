//! Native sidecars by `sidecarMode`, as the real API server takes them: Jobs complete, and containers start in order.

use crate::harness::api::{DEPLOYMENTS, JOBS, PODS};
use crate::harness::namespace::Namespace;
use crate::harness::pods::{container, is_ready};
use serde_json::{Value, json};
use std::fs;
use std::process::Command;

/// Renders manifests with SidecarSets and further keys of pillion.yaml.
fn render(config: &str, sets: &str, manifests: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let head = "apiVersion: pillion.dev/v1alpha1\nkind: Repository\nsources: [apps.yaml]\nsidecarSets: [sets.yaml]\n";
    for (name, text) in
        [("pillion.yaml", &*(head.to_owned() + config)), ("sets.yaml", sets), ("apps.yaml", manifests)]
    {
        fs::write(folder.path().join(name), text).unwrap();
    }
    let pillion = env!("CARGO_BIN_EXE_pillion");
    let output = Command::new(pillion).arg("render").current_dir(folder.path()).env_clear().output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn sidecar_set(name: &str, annotations: &Value, container: &Value) -> String {
    json!({
        "apiVersion": "apps.kruise.io/v1beta1",
        "kind": "SidecarSet",
        "metadata": {"name": name, "annotations": annotations},
        "spec": {"selector": {"matchLabels": {"app": "web"}}, "containers": [container]},
    })
    .to_string()
}

fn job(name: &str) -> String {
    let spec = json!({"restartPolicy": "Never", "containers": [{"name": "import", "image": "import:1"}]});
    json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name},
        "spec": {"template": {"metadata": {"labels": {"app": "web"}}, "spec": spec}},
    })
    .to_string()
}

#[test]
#[ignore = "needs a real control plane: cargo test --test e2e -- --ignored"]
fn a_job_completes_with_a_native_sidecar_only() {
    let namespace = Namespace::new("job-completes");
    let log = sidecar_set("log", &json!({}), &json!({"name": "log", "image": "log:forever"}));
    let container_mode = render("lint: {job-never-completes: allow}\n", &log, &job("endless"));
    namespace.apply(&container_mode);
    let is_running = |pods: &Value| pods["items"].as_array().unwrap().iter().any(is_ready);
    namespace.wait_until(PODS, "", "the Job with a container runs", is_running);

    namespace.apply(&render("sidecarMode: Auto\n", &log, &job("native")));
    let done = namespace.wait_until(JOBS, "native", "it is complete", |job| job["status"]["succeeded"] == 1);
    assert_eq!(done["spec"]["template"]["spec"]["initContainers"][0]["restartPolicy"], "Always");
    let endless = namespace.get(JOBS, "endless").unwrap();
    assert_eq!((&endless["status"]["succeeded"], &endless["status"]["active"]), (&Value::Null, &json!(1)));
}

/// The sidecars of two SidecarSets and the application, with the images of each.
fn ordered([proxy, client]: [&str; 2]) -> String {
    let proxy = json!({"name": "proxy", "image": proxy, "ports": [{"containerPort": 15001}]});
    let ready = json!({"exec": {"command": ["mysqladmin", "ping"]}});
    let client = json!({"name": "mysql-client", "image": client, "readinessProbe": ready});
    let after = json!({"pillion.dev/after": "mysql-client: [proxy]"});
    // By their names the client would be first.
    let sets =
        [sidecar_set("proxy", &json!({}), &proxy), sidecar_set("client", &after, &client)].join("\n---\n");
    let application = json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "svc"},
        "spec": {"selector": {"matchLabels": {"app": "web"}}, "template": {
            "metadata": {"labels": {"app": "web"}, "annotations": {"pillion.dev/after": "svc: [mysql-client]"}},
            "spec": {"containers": [{"name": "svc", "image": "svc:1"}]},
        }},
    });
    render("sidecarMode: Auto\n", &sets, &application.to_string())
}

#[test]
#[ignore = "needs a real control plane: cargo test --test e2e -- --ignored"]
fn sidecars_of_two_sets_start_in_order() {
    // What does not start keeps everything behind it back, and nothing before it.
    for (name, images, waiting) in [
        ("order-proxy", ["proxy:bad", "client:1"], &["mysql-client", "svc"][..]),
        ("order-client", ["proxy:1", "client:bad"], &["svc"]),
    ] {
        let namespace = Namespace::new(name);
        namespace.apply(&ordered(images));
        let reason = |pod: &Value, name: &str| container(pod, name)["state"]["waiting"]["reason"].clone();
        let list = namespace.wait_until(PODS, "", "its containers wait", |list| {
            let pods = list["items"].as_array().unwrap();
            pods.iter().any(|pod| {
                pod["status"]["containerStatuses"].is_array() && reason(pod, "svc") == "PodInitializing"
            })
        });
        let pod = &list["items"][0];
        for container in ["proxy", "mysql-client", "svc"] {
            let waits = reason(pod, container) == "PodInitializing";
            assert_eq!(waits, waiting.contains(&container), "{container} of {name}: {pod}");
        }
    }

    let namespace = Namespace::new("order");
    namespace.apply(&ordered(["proxy:1", "client:1"]));
    let ready = |deployment: &Value| deployment["status"]["readyReplicas"] == 1;
    let svc = namespace.wait_until(DEPLOYMENTS, "svc", "it is ready", ready);
    // The API server took both probes, and filled in its defaults.
    let init = &svc["spec"]["template"]["spec"]["initContainers"];
    assert_eq!(
        (&init[0]["name"], &init[0]["startupProbe"]["tcpSocket"]["port"]),
        (&json!("proxy"), &json!(15001))
    );
    assert_eq!(init[1]["startupProbe"]["exec"]["command"], json!(["mysqladmin", "ping"]));
    assert_eq!(init[1]["startupProbe"]["successThreshold"], 1);
}
