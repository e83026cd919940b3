//! The real Argo CD: redis, repo-server, application controller, and a cmp-server with our plugin and our program.

use super::agent::Applies;
use super::api::{self, APPLICATIONS, CRDS};
use super::plane::{Plane, plane};
use super::processes::{all_run, serve};
use super::sandbox::{self, note};
use super::wait::{SOON, wait_for};
use super::{pods, tools};
use pillion::git::ObjectId;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{LazyLock, Once};
use std::time::Instant;

/// Where Applications are.
const NAMESPACE: &str = "argocd";
/// How long a build of kustomize may take.
const LIMIT: &str = "15s";

const API_SERVER: u16 = 8080;
const API_SERVER_METRICS: u16 = 8083;
const REDIS: u16 = 6379;
const REPO_SERVER: u16 = 8081;
const REPO_SERVER_METRICS: u16 = 8084;
const CONTROLLER_METRICS: u16 = 8082;

/// A running Argo CD. It looks at git every five seconds, and applies what it finds.
pub(crate) struct ArgoCd {
    folder: PathBuf,
}

/// The one of this test binary, started by whoever asks first.
pub(crate) fn argocd() -> &'static ArgoCd {
    static ARGOCD: LazyLock<ArgoCd> =
        LazyLock::new(|| ArgoCd::start(plane(), &sandbox::enter().join(NAMESPACE)));
    &ARGOCD
}

impl ArgoCd {
    fn start(plane: &Plane, folder: &Path) -> Self {
        let start = Instant::now();
        for name in ["home", "known/ssh", "known/tls", "plugins", "programs", "repositories"] {
            fs::create_dir_all(folder.join(name)).unwrap();
        }
        fs::write(folder.join("known/ssh/ssh_known_hosts"), "").unwrap();
        // It finds out by itself in which namespace it is.
        let kubeconfig = fs::read_to_string(&plane.kubectl.kubeconfig).unwrap();
        let context = "context: {cluster: e2e,";
        let here = kubeconfig.replace(context, &format!("{context} namespace: {NAMESPACE},"));
        assert_ne!(here, kubeconfig);
        fs::write(folder.join("kubeconfig"), here).unwrap();
        symlink(env!("CARGO_BIN_EXE_pillion"), folder.join("programs/pillion")).unwrap();
        symlink(tools::tool("tools", "kustomize"), folder.join("programs/kustomize")).unwrap();
        let argocd = Self { folder: folder.to_owned() };
        argocd.configure(plane);
        argocd.start_servers();
        note(&format!("Argo CD was ready in {:.1} s", start.elapsed().as_secs_f64()));
        argocd
    }

    /// Its kinds, its settings, and the settings that pillion is to be used with.
    fn configure(&self, plane: &Plane) {
        let manifests = tools::tool("argocd", "argocd-manifests");
        let kustomize =
            |folder: &str| plane.kubectl.run(&["kustomize", &manifests.join(folder).display().to_string()]);
        plane.kubectl.apply(&kustomize("crds"));
        wait_for("Argo CD's kinds are served", SOON, || {
            let waits = ["applications", "applicationsets", "appprojects"].into_iter().find(|name| {
                let crd = api::get(&CRDS.path(None, &format!("{name}.argoproj.io")));
                !crd.is_ok_and(|crd| pods::condition(&crd, "Established") == "True")
            });
            waits.map_or(Ok(()), Err)
        });
        plane.kubectl.run(&["create", "namespace", NAMESPACE]);
        let kubectl = plane.kubectl.in_namespace(NAMESPACE);
        kubectl.apply(&kustomize("base/config"));
        kubectl.run(&["patch", "secret", "argocd-secret", "--patch", "stringData: {server.secretkey: e2e}"]);
        let health = printed(&["argocd", "argocd-cm.yaml"]);
        kubectl.run(&["patch", "configmap", "argocd-cm", "--patch", &health]);
        kubectl.apply(PROJECT);
    }

    fn start_servers(&self) {
        serve(
            "argocd-redis",
            Command::new("redis-server")
                .current_dir(&self.folder)
                .args(["--bind", "127.0.0.1", "--port", &REDIS.to_string()])
                .args(["--save", "", "--appendonly", "no"]),
        );
        self.serve_plugin("argocd-cmp-server", &printed(&["cmp"]));
        let redis = format!("127.0.0.1:{REDIS}");
        serve(
            "argocd-repo-server",
            self.program("argocd-repo-server")
                // What it asks of git is remembered for three minutes by default.
                .args(["--revision-cache-expiration", "1s"])
                .args(["--address", "127.0.0.1", "--port", &REPO_SERVER.to_string(), "--disable-tls"])
                .args(["--metrics-address", "127.0.0.1", "--metrics-port", &REPO_SERVER_METRICS.to_string()])
                .args(["--redis", &redis]),
        );
        wait_for("the repo-server listens", SOON, || {
            all_run();
            api::http(REPO_SERVER_METRICS, "/healthz")
        });
        serve(
            "argocd-application-controller",
            self.program("argocd-application-controller")
                // The status has the health of each resource, with its message.
                .arg("--persist-resource-health=true")
                .args(["--app-resync", "5", "--app-resync-jitter", "0", "--self-heal-timeout-seconds", "1"])
                .args(["--repo-server", &format!("127.0.0.1:{REPO_SERVER}"), "--repo-server-plaintext"])
                // What it finds by itself it tells at once, and not when an error has lasted for minutes.
                .args(["--repo-error-grace-period-seconds", "0"])
                .args(["--metrics-port", &CONTROLLER_METRICS.to_string(), "--redis", &redis]),
        );
        wait_for("the application controller runs", SOON, || {
            all_run();
            api::http(CONTROLLER_METRICS, "/healthz")
        });
    }

    /// Starts a cmp-server, as a sidecar of the repo-server; it is known by its socket. On PATH are pillion and
    /// kustomize alone: there is no shell and no git.
    pub(crate) fn serve_plugin(&self, name: &str, plugin: &str) {
        let configuration = self.folder.join(name);
        fs::create_dir_all(&configuration).unwrap();
        fs::write(configuration.join("plugin.yaml"), plugin).unwrap();
        let sockets = || fs::read_dir(self.folder.join("plugins")).unwrap().count();
        let before = sockets();
        serve(
            name,
            self.program("argocd-cmp-server")
                .env("PATH", self.folder.join("programs"))
                .env("ARGOCD_CMP_WORKDIR", &configuration)
                .env("ARGOCD_EXEC_TIMEOUT", LIMIT)
                .arg("--config-dir-path")
                .arg(&configuration),
        );
        wait_for(&format!("{name} listens"), SOON, || {
            all_run();
            if sockets() > before { Ok(()) } else { Err("there is no socket") }
        });
    }

    /// What the user interface receives about an Application's source. The first request starts the server.
    pub(crate) fn details(&self, url: &str, path: &str) -> Value {
        static STARTED: Once = Once::new();
        STARTED.call_once(|| self.start_api_server());
        let source = json!({ "repoURL": url, "targetRevision": "main", "path": path, "plugin": { "name": "pillion" } });
        let escaped = url.replace(':', "%3A").replace('/', "%2F");
        let path = format!("/api/v1/repositories/{escaped}/appdetails");
        let (status, body) =
            api::post(API_SERVER, &path, &json!({ "source": source, "appProject": "default" })).unwrap();
        assert_eq!(status, 200, "{body}");
        serde_json::from_str(&body).unwrap()
    }

    fn start_api_server(&self) {
        serve(
            "argocd-server",
            self.program("argocd-server")
                .args(["--insecure", "--disable-auth", "--address", "127.0.0.1"])
                .args(["--port", &API_SERVER.to_string(), "--metrics-port", &API_SERVER_METRICS.to_string()])
                .args(["--repo-server", &format!("127.0.0.1:{REPO_SERVER}"), "--repo-server-plaintext"])
                .args(["--redis", &format!("127.0.0.1:{REDIS}")]),
        );
        wait_for("the server of the user interface listens", SOON, || {
            all_run();
            match api::http(API_SERVER, "/healthz")? {
                (200, _) => Ok(()),
                (status, body) => Err(format!("{status} {body}")),
            }
        });
    }

    /// One of the servers that the binary is, by its name.
    fn program(&self, name: &str) -> Command {
        let mut command = Command::new(tools::tool("argocd", "argocd"));
        let folder = |name: &str| self.folder.join(name);
        command
            .env_clear()
            .env("ARGOCD_BINARY_NAME", name)
            .current_dir(&self.folder)
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", folder("home"))
            .env("TMPDIR", folder("repositories"))
            .env("KUBECONFIG", folder("kubeconfig"))
            // `https://kubernetes.default.svc` is the cluster of the kubeconfig.
            .env("ARGOCD_FAKE_IN_CLUSTER", "true")
            .env("ARGOCD_GPG_ENABLED", "false")
            .env("ARGOCD_ASK_PASS_SOCK", folder("ask-pass.sock"))
            .env("ARGOCD_SSH_DATA_PATH", folder("known/ssh"))
            .env("ARGOCD_TLS_DATA_PATH", folder("known/tls"))
            .env("ARGOCD_PLUGINSOCKFILEPATH", folder("plugins"));
        command
    }
}

/// What `pillion print` says.
pub(crate) fn printed(what: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_pillion")).arg("print").args(what).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Everything may go everywhere.
const PROJECT: &str = "apiVersion: argoproj.io/v1alpha1
kind: AppProject
metadata: {name: default}
spec:
  sourceRepos: ['*']
  destinations: [{namespace: '*', server: '*'}]
  clusterResourceWhitelist: [{group: '*', kind: '*'}]
";

/// The manifest of an Application.
pub(crate) struct Manifest {
    name: String,
    text: String,
}

impl Manifest {
    /// What `pillion init argocd` writes: the plugin renders a folder of a repository.
    pub(crate) fn of_plugin(name: &str, url: &str, path: &str, namespace: &str) -> Self {
        Self { name: name.to_owned(), text: printed(&["argocd", "application.yaml"]) }
            .with("name: shop\n", &format!("name: {name}\n"))
            .with(REPOSITORY, url)
            .with("path: \"apps/shop\"", &format!("path: \"{path}\""))
            .with("namespace: \"shop\"", &format!("namespace: {namespace}"))
    }

    /// What `pillion init argocd-rendered` writes: there is no plugin.
    pub(crate) fn of_rendered(name: &str, url: &str, path: &str, namespace: &str) -> Self {
        Self { name: name.to_owned(), text: printed(&["argocd-rendered", "application.yaml"]) }
            .with("name: shop\n", &format!("name: {name}\n"))
            .with(REPOSITORY, url)
            .with("path: \"rendered\"", &format!("path: \"{path}\""))
            .with("namespace: \"shop\"", &format!("namespace: {namespace}"))
    }

    /// The same with other words.
    pub(crate) fn with(self, from: &str, to: &str) -> Self {
        assert_eq!(self.text.matches(from).count(), 1, "{from}: {}", self.text);
        Self { text: self.text.replace(from, to), ..self }
    }
}

/// The repository that our manifests name.
const REPOSITORY: &str = "https://git.example.com/acme/deploy.git";

/// An Application, until the guard is dropped. Its resources go with their namespace.
pub(crate) struct Application {
    name: String,
}

impl Application {
    /// Makes Applications of manifests, all at once.
    pub(crate) fn apply(all: &[Manifest]) -> Vec<Self> {
        argocd();
        let manifests: Vec<&str> = all.iter().map(|manifest| manifest.text.as_str()).collect();
        plane().kubectl.in_namespace(NAMESPACE).apply(&manifests.join("---\n"));
        all.iter().map(|manifest| Self { name: manifest.name.clone() }).collect()
    }

    pub(crate) fn new(manifest: Manifest) -> Self {
        Self::apply(&[manifest]).remove(0)
    }

    pub(crate) fn get(&self) -> Result<Value, String> {
        api::get(&APPLICATIONS.path(Some(NAMESPACE), &self.name))
    }

    /// Changes it, by a merge.
    pub(crate) fn patch(&self, patch: &Value) {
        let patch = ["patch", "application", &self.name, "--type=merge", "--patch", &patch.to_string()];
        plane().kubectl.in_namespace(NAMESPACE).run(&patch);
    }

    /// Looks at git now, as a webhook of a git server makes it do.
    pub(crate) fn refresh(&self) {
        self.annotate("argocd.argoproj.io/refresh=normal");
    }

    /// The same, without what the repo-server remembers of commits: `Hard refresh` of the user interface.
    pub(crate) fn refresh_hard(&self) {
        self.annotate("argocd.argoproj.io/refresh=hard");
    }

    fn annotate(&self, annotation: &str) {
        let annotate = ["annotate", "--overwrite", "application", &self.name, annotation];
        plane().kubectl.in_namespace(NAMESPACE).run(&annotate);
    }

    #[track_caller]
    pub(crate) fn wait_until(&self, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        wait_for(&format!("{}: {what}", self.name), SOON, || {
            all_run();
            let found = self.get()?;
            if holds(&found) { Ok(found) } else { Err(describe(&found)) }
        })
    }

    /// A commit is what runs, all of it, and well.
    #[track_caller]
    pub(crate) fn wait_synced(&self, commit: ObjectId) -> Value {
        self.wait_until(&format!("{commit} is synced and healthy"), |found| {
            is_synced(found, commit) && found["status"]["health"]["status"] == "Healthy"
        })
    }

    /// Waits for a condition with a text in its message, and returns the whole message.
    #[track_caller]
    pub(crate) fn wait_condition(&self, kind: &str, part: &str) -> String {
        let found = self.wait_until(&format!("{kind} {part}"), |found| {
            condition(found, kind).is_some_and(|message| message.contains(part))
        });
        condition(&found, kind).unwrap()
    }
}

impl Applies for Application {
    #[track_caller]
    fn wait_applied(&self, commit: ObjectId) {
        self.wait_until(&format!("{commit} is synced"), |found| is_synced(found, commit));
    }
}

impl Drop for Application {
    fn drop(&mut self) {
        let delete = ["delete", "application", &self.name, "--wait=false"];
        plane().kubectl.in_namespace(NAMESPACE).try_run(&delete, "");
    }
}

/// A commit was applied, and nothing has changed since.
pub(crate) fn is_synced(application: &Value, commit: ObjectId) -> bool {
    let sync = &application["status"]["sync"];
    let operation = &application["status"]["operationState"];
    sync["status"] == "Synced"
        && sync["revision"] == commit.to_string().as_str()
        && operation["phase"] == "Succeeded"
}

/// The commits that an Application was synced to, oldest first: those that changed something in the cluster. What was
/// synced to the same commit again counts once.
pub(crate) fn history(name: &str) -> Vec<String> {
    let application = api::get(&APPLICATIONS.path(Some(NAMESPACE), name)).unwrap();
    let history = application["status"]["history"].as_array().unwrap();
    let mut history: Vec<String> =
        history.iter().map(|sync| sync["revision"].as_str().unwrap().to_owned()).collect();
    history.dedup();
    history
}

/// The message of a condition of an Application.
pub(crate) fn condition(application: &Value, kind: &str) -> Option<String> {
    let conditions = application["status"]["conditions"].as_array()?;
    let found = conditions.iter().find(|condition| condition["type"] == kind)?;
    found["message"].as_str().map(str::to_owned)
}

/// What an Application says of itself, for a test that waits in vain.
fn describe(application: &Value) -> String {
    let status = &application["status"];
    let sync = &status["sync"];
    format!(
        "{} {}, {}; conditions {}; operation {} {}",
        sync["status"],
        sync["revision"],
        status["health"],
        status["conditions"],
        status["operationState"]["phase"],
        status["operationState"]["message"]
    )
}
