//! The real OpenKruise manager: controllers and webhooks, for the namespaces that ask for them.

use super::api::{self, CRDS};
use super::namespace::Namespace;
use super::plane::{Plane, plane};
use super::processes::{all_run, serve};
use super::sandbox::{self, note};
use super::wait::{SOON, wait_for};
use super::{pods, tools};
use serde_json::{Value, json};
use std::process::Command;
use std::sync::Once;
use std::time::Instant;

/// Namespaces with this label are seen by the webhooks; the pods of other tests do not wait for them.
const LABEL: &str = "kruise=yes";
const HEALTH: u16 = 18000;

static STARTED: Once = Once::new();

/// A namespace in which Kruise is at work. The first one starts it.
pub(crate) fn namespace(name: &str) -> Namespace {
    STARTED.call_once(|| start(plane()));
    Namespace::new(name).label(LABEL)
}

fn start(plane: &Plane) {
    let start = Instant::now();
    let config = tools::tool("kruise", "kruise-config").join("default");
    let all = plane.kubectl.run(&["kustomize", &config.display().to_string()]);
    let of_kind = |kind: &str| -> String {
        let wanted = format!("\nkind: {kind}\n");
        all.split("\n---\n")
            .filter(|text| format!("\n{text}\n").contains(&wanted))
            .fold(String::new(), |joined, text| joined + "---\n" + text + "\n")
    };
    plane.kubectl.apply(&of_kind("CustomResourceDefinition"));
    wait_for("Kruise's kinds are served", SOON, || {
        let crds = api::get(&CRDS.path(None, ""))?;
        let waits = crds["items"]
            .as_array()
            .unwrap()
            .iter()
            .find(|crd| pods::condition(crd, "Established") != "True");
        waits.map_or(Ok(()), |crd| Err(crd["metadata"]["name"].to_string()))
    });
    plane.kubectl.run(&["create", "namespace", "kruise-system"]);
    let hooks = of_kind("MutatingWebhookConfiguration") + &of_kind("ValidatingWebhookConfiguration");
    plane.kubectl.apply(&only_where_asked(plane, &hooks));
    serve("kruise-manager", &mut manager(plane));
    wait_for("Kruise is ready", SOON, || {
        all_run();
        match api::http(HEALTH, "/readyz")? {
            (200, _) => Ok(()),
            (_, body) => Err(body),
        }
    });
    note(&format!("Kruise was ready in {:.1} s", start.elapsed().as_secs_f64()));
}

fn manager(plane: &Plane) -> Command {
    let mut command = Command::new(tools::tool("kruise", "kruise-manager"));
    command
        .env_clear()
        .env("KUBECONFIG", &plane.kubectl.kubeconfig)
        .env("POD_NAMESPACE", "kruise-system")
        .env("POD_NAME", "kruise-manager-0")
        .env("WEBHOOK_HOST", "localhost")
        .env("WEBHOOK_CERT_DIR", sandbox::enter().join("kruise-certificates"))
        .args(["--enable-leader-election=false", "--enable-pprof=false", "--metrics-addr=0"])
        .arg(format!("--health-probe-addr=127.0.0.1:{HEALTH}"))
        // No kruise-daemon restarts containers that read a changed annotation.
        .arg("--feature-gates=InPlaceUpdateEnvFromMetadata=false")
        .args(["--rest-config-qps=500", "--rest-config-burst=1000"])
        .args(["--logtostderr=true", "--v=3"]);
    command
}

/// The webhook configurations with a selector of namespaces in each webhook. The manager keeps it.
fn only_where_asked(plane: &Plane, hooks: &str) -> String {
    let json = ["create", "--dry-run=client", "--output=json", "--filename=-"];
    let output = plane.kubectl.try_run(&json, hooks);
    let (key, value) = LABEL.split_once('=').unwrap();
    let mut items: Vec<Value> =
        serde_json::Deserializer::from_slice(&output.stdout).into_iter().collect::<Result<_, _>>().unwrap();
    for hook in items.iter_mut().flat_map(|item| item["webhooks"].as_array_mut().unwrap()) {
        hook["namespaceSelector"] = json!({ "matchLabels": { key: value } });
    }
    assert_eq!(items.len(), 2, "{}", String::from_utf8_lossy(&output.stderr));
    json!({ "apiVersion": "v1", "kind": "List", "items": items }).to_string()
}
