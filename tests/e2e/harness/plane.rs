//! The control plane: etcd, API server, controllers, scheduler, and kwok in the place of kubelets.

use super::api::{self, NODES, SERVICE_ACCOUNTS};
use super::kubectl::Kubectl;
use super::processes::{all_run, serve};
use super::sandbox::{self, note};
use super::tools;
use super::wait::{SOON, wait_for};
use serde_json::Value;
use std::fmt::Write as _;
use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;
use std::time::Instant;

/// How many nodes there are, unless more pods are asked for.
const SIZE: usize = 10;

/// Pods that a node takes, as `stages.yaml` says.
const PODS_OF_NODE: usize = 1000;

pub(crate) const API: u16 = 6443;
const ETCD: u16 = 2379;
const STAGES: &str = "tests/e2e/harness/stages.yaml";

/// A running cluster. Its ports are the usual ones: nothing else runs in the sandbox.
pub(crate) struct Plane {
    folder: PathBuf,
    /// The administrator's.
    pub(crate) kubectl: Kubectl,
}

/// The cluster of this test binary, started by whoever asks first.
pub(crate) fn plane() -> &'static Plane {
    static PLANE: LazyLock<Plane> = LazyLock::new(|| Plane::start(&sandbox::enter().join("plane")));
    &PLANE
}

/// How many pods the test with many pods has: `PILLION_E2E_PODS`.
pub(crate) fn many() -> usize {
    std::env::var("PILLION_E2E_PODS").map_or(100, |text| text.parse().unwrap())
}

/// The number of nodes: with space for twice the pods, because old and new pods exist at once.
pub(crate) fn size() -> usize {
    SIZE.max((2 * many()).div_ceil(PODS_OF_NODE))
}

impl Plane {
    fn start(folder: &Path) -> Self {
        let start = Instant::now();
        fs::create_dir_all(folder).unwrap();
        let put = |name: &str, text: &str| fs::write(folder.join(name), text).unwrap();
        put("tokens.csv", "admin-token,admin,admin,system:masters\nkwok-token,kwok,kwok,system:masters\n");
        put("audit.yaml", AUDIT);
        let kubeconfig = folder.join("admin.kubeconfig");
        fs::write(&kubeconfig, kubeconfig_for(folder, "admin-token")).unwrap();
        let plane = Self { folder: folder.to_owned(), kubectl: Kubectl::new(&kubeconfig) };
        plane.start_storage();
        plane.kubectl.apply(KUBELET);
        plane.start_controllers();
        plane.join_nodes();
        note(&format!("the control plane was up in {:.1} s", start.elapsed().as_secs_f64()));
        plane
    }

    fn program(&self, name: &str) -> Command {
        let mut command = Command::new(tools::tool("tools", name));
        command.env_clear().env("HOME", &self.folder).current_dir(&self.folder);
        command
    }

    /// etcd and the API server, which makes its certificate and its key, and signs with that key.
    fn start_storage(&self) {
        let client = format!("http://127.0.0.1:{ETCD}");
        let peer = "http://127.0.0.1:2380";
        serve(
            "etcd",
            self.program("etcd")
                .args(["--data-dir=etcd", "--unsafe-no-fsync", "--log-level=warn", "--name=e2e"])
                .args(["--listen-client-urls", &client, "--advertise-client-urls", &client])
                .args(["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer])
                .args(["--initial-cluster", &format!("e2e={peer}")]),
        );
        serve(
            "kube-apiserver",
            self.program("kube-apiserver")
                .arg(format!("--etcd-servers={client}"))
                .args(["--bind-address=127.0.0.1", "--advertise-address=127.0.0.1"])
                .arg(format!("--secure-port={API}"))
                .args(["--allow-privileged=true", "--endpoint-reconciler-type=none"])
                .args(["--service-cluster-ip-range=10.96.0.0/16"])
                .args(["--cert-dir=.", "--token-auth-file=tokens.csv", "--authorization-mode=RBAC"])
                .arg("--service-account-issuer=https://kubernetes.default.svc")
                .args(["--service-account-key-file", "apiserver.key"])
                .args(["--service-account-signing-key-file", "apiserver.key"])
                .args(["--audit-policy-file=audit.yaml", "--audit-log-path=audit.log", "--profiling=false"]),
        );
        wait_for("the API server listens, so that its certificate is there", SOON, || {
            all_run();
            TcpStream::connect(("127.0.0.1", API))
        });
        let port = api::PORT.to_string();
        serve("kubectl-proxy", &mut self.kubectl.command(&["proxy", "--port", &port]));
        wait_for("the API server is ready", SOON, || {
            all_run();
            match api::http(api::PORT, "/readyz")? {
                (200, _) => Ok(()),
                (status, body) => Err(format!("{status} {body}")),
            }
        });
    }

    fn start_controllers(&self) {
        let admin = ["--kubeconfig", "admin.kubeconfig"];
        let local = ["--bind-address=127.0.0.1", "--leader-elect=false", "--profiling=false"];
        serve(
            "kube-controller-manager",
            // With the administrator's rights alone the controllers may nothing: each acts for its own account.
            self.program("kube-controller-manager")
                .args(admin)
                .args(local)
                .args(["--use-service-account-credentials=true", "--root-ca-file=apiserver.crt"])
                // Else a controller makes twenty pods a second.
                .args(["--kube-api-qps=200", "--kube-api-burst=400"]),
        );
        serve("kube-scheduler", self.program("kube-scheduler").args(admin).args(local));
        let stages = Path::new(env!("CARGO_MANIFEST_DIR")).join(STAGES);
        serve(
            "kwok",
            self.program("kwok")
                .arg("--kubeconfig")
                .arg(self.kubeconfig("kwok", "kwok-token"))
                .args(["--manage-all-nodes=true", "--node-ip=127.0.0.1", "--server-address=127.0.0.1:10247"])
                .args(["--node-lease-duration-seconds=40", "--config"])
                .arg(stages),
        );
    }

    fn join_nodes(&self) {
        let mut nodes = String::new();
        let size = size();
        for number in 0..size {
            // Those that are more than ever are in no zone: tests count the pods of daemons by zones.
            let zone = if number < SIZE { format!(", zone: zone-{}", number % 3) } else { String::new() };
            let labels = format!("kubernetes.io/hostname: node-{number}{zone}");
            let metadata = format!("{{name: node-{number}, labels: {{{labels}}}}}");
            writeln!(nodes, "---\napiVersion: v1\nkind: Node\nmetadata: {metadata}").unwrap();
        }
        self.kubectl.apply(&nodes);
        wait_for("all nodes take pods", SOON, || {
            all_run();
            let nodes = api::get(&NODES.path(None, ""))?;
            let open = nodes["items"].as_array().unwrap().iter().filter(|node| takes_pods(node)).count();
            if open == size { Ok(()) } else { Err(format!("{open} of {size}")) }
        });
        wait_for("the default namespace has its account", SOON, || {
            api::get(&SERVICE_ACCOUNTS.path(Some("default"), "default"))
        });
    }

    /// Writes the kubeconfig of an account with a token, and returns its path.
    pub(crate) fn kubeconfig(&self, name: &str, token: &str) -> PathBuf {
        let path = self.folder.join(format!("{name}.kubeconfig"));
        fs::write(&path, kubeconfig_for(&self.folder, token)).unwrap();
        path
    }

    /// What a service account asked the API server for, oldest first: verb and path of each finished request.
    pub(crate) fn requests_of(&self, user: &str) -> Vec<(String, String)> {
        let log = fs::read_to_string(self.folder.join("audit.log")).unwrap_or_default();
        let events = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        events
            .filter(|event| event["user"]["username"] == user)
            .map(|event| (word(&event["verb"]), word(&event["requestURI"])))
            .collect()
    }
}

/// Ready, and the taint of nodes that just came is lifted, which happens a moment later.
fn takes_pods(node: &Value) -> bool {
    let conditions = node["status"]["conditions"].as_array();
    let ready = |condition: &Value| condition["type"] == "Ready" && condition["status"] == "True";
    conditions.is_some_and(|all| all.iter().any(ready)) && node["spec"].get("taints").is_none()
}

fn kubeconfig_for(folder: &Path, token: &str) -> String {
    let certificate = folder.join("apiserver.crt");
    format!(
        "apiVersion: v1
kind: Config
clusters: [{{name: e2e, cluster: {{server: 'https://127.0.0.1:{API}', certificate-authority: '{}'}}}}]
users: [{{name: e2e, user: {{token: '{token}'}}}}]
contexts: [{{name: e2e, context: {{cluster: e2e, user: e2e}}}}]
current-context: e2e
",
        certificate.display()
    )
}

/// A kubelet removes the pod that it has ended, by its UID. kwok v0.8.0 removes whatever has the pod's name (deleteResource
/// of pod_controller.go), and once more when it is behind: a pod of a StatefulSet that has just been recreated.
const KUBELET: &str = "apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: kubelet}
spec:
  matchConstraints:
    resourceRules: [{apiGroups: [''], apiVersions: [v1], operations: [DELETE], resources: [pods]}]
  matchConditions: [{name: by-kwok, expression: request.userInfo.username == 'kwok'}]
  validations: [{expression: has(oldObject.metadata.deletionTimestamp), message: this pod was not deleted}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: kubelet}
spec: {policyName: kubelet, validationActions: [Deny]}
";

/// The requests of the tests' own accounts are written down, when they begin (watches end late) and without bodies.
const AUDIT: &str = "apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [ResponseStarted, ResponseComplete]
rules:
- {level: None, userGroups: ['system:serviceaccounts:kube-system', 'system:masters']}
- {level: Metadata, userGroups: ['system:serviceaccounts']}
";
