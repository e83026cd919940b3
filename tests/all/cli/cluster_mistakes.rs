//! Mistakes on the way to a cluster, as a person meets them: no kubeconfig, a wrong context, an API server that does not
//! answer. Each answer says what is wrong, where, why, and what to do.

use crate::support::fake_cluster::{FakeCluster, Fault};
use crate::support::git_fixtures::{Repo, TestEnvironment};
use crate::support::rollout_fixtures::{example, newer};
use indoc::{formatdoc, indoc};
use serde_json::json;
use std::fs;
use std::path::PathBuf;

/// A repository with a rollout, its first batch released, and a folder beside it.
struct Operator {
    environment: TestEnvironment,
    repo: Repo,
}

impl Operator {
    fn new() -> Self {
        let operator = Self::before_start();
        operator.repo.pillion(&["start", "log"]);
        operator.repo.pillion(&["promote", "log"]);
        operator
    }

    /// The same repository before the rollout starts.
    fn before_start() -> Self {
        let environment = TestEnvironment::new();
        let repo = environment.init("repo", &[]);
        let texts = newer(example());
        let mut released = texts.clone();
        let set = released.get_mut("sidecars/log.yaml").unwrap();
        *set = set.replace("1.5.0", "1.4.2");
        repo.hold(&released).render().commit("start");
        repo.hold(&texts).commit("logtail 1.5.0");
        repo.git(&["switch", "-q", "--detach"]);
        Self { environment, repo }
    }

    /// A kubeconfig with the contexts `prod` and `staging` of one API server.
    fn kubeconfig(&self, server: &str) -> PathBuf {
        let text = formatdoc! {"
            apiVersion: v1
            kind: Config
            current-context: prod
            clusters: [{{name: c, cluster: {{server: '{server}'}}}}]
            users: [{{name: u, user: {{token: s3cr3t}}}}]
            contexts:
            - {{name: prod, context: {{cluster: c, user: u}}}}
            - {{name: staging, context: {{cluster: c, user: u}}}}
        "};
        let file = self.environment.path("kubeconfig");
        fs::write(&file, text).unwrap();
        file
    }

    /// Looks once; returns the exit code and what is printed.
    fn watch_once(&self, kubeconfig: Option<PathBuf>, args: &[&str]) -> (Option<i32>, String) {
        let mut command = self.repo.command(env!("CARGO_BIN_EXE_pillion"));
        if let Some(file) = kubeconfig {
            command.env("KUBECONFIG", file);
        }
        let output = command.args(["watch", "--once", "--timeout=1s"]).args(args).output().unwrap();
        let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(!text.contains("s3cr3t"), "{text}");
        (output.status.code(), text)
    }
}

#[test]
fn without_a_kubeconfig_the_file_and_the_way_are_named() {
    let operator = Operator::new();
    let file = operator.environment.path("home").join(".kube/config");
    let (code, text) = operator.watch_once(None, &[]);
    let expected = format!(
        "cannot watch the cluster: there is no kubeconfig `{}`, and pillion does not run in a pod: set KUBECONFIG to the file that kubectl uses, and choose one of its contexts with `--context NAME`\n",
        file.display()
    );
    assert!(code == Some(2) && text.ends_with(&expected), "{code:?} {text}");
    let nowhere = operator.environment.path("nowhere");
    let (code, text) = operator.watch_once(Some(nowhere.clone()), &["--context", "prod"]);
    let expected =
        format!("cannot watch the cluster: the kubeconfig `{}` cannot be read: ", nowhere.display());
    assert!(
        code == Some(2) && text.contains(&expected) && text.contains("; set KUBECONFIG"),
        "{code:?} {text}"
    );
}

#[test]
fn a_misspelt_context_is_answered_with_the_nearest() {
    let operator = Operator::new();
    let file = operator.kubeconfig("https://127.0.0.1:1");
    let (code, text) = operator.watch_once(Some(file.clone()), &["--context", "prdo"]);
    let expected = "cannot watch the cluster: the kubeconfig has no context `prdo`, but `prod`: did you mean that? `kubectl config get-contexts` lists them\n";
    assert!(code == Some(2) && text.ends_with(expected), "{code:?} {text}");
    let (code, text) = operator.watch_once(Some(file), &["--context", "test"]);
    let expected = "the kubeconfig has no context `test`; `kubectl config get-contexts` lists them\n";
    assert!(code == Some(2) && text.ends_with(expected), "{code:?} {text}");
}

/// kubectl skips files of KUBECONFIG that do not exist.
#[test]
fn of_several_kubeconfigs_those_that_exist_are_read() {
    let operator = Operator::new();
    let (file, nowhere) = (operator.kubeconfig("https://127.0.0.1:1"), operator.environment.path("nowhere"));
    let both = std::env::join_paths([nowhere, file]).unwrap();
    let (code, text) = operator.watch_once(Some(both.into()), &["--context", "staging"]);
    assert!(code == Some(3) && text.contains("https://127.0.0.1:1 (context `staging`)"), "{code:?} {text}");
}

/// A person copies the command of the message.
#[test]
fn a_context_that_a_shell_would_interpret_is_in_no_command() {
    let operator = Operator::new();
    let file = operator.kubeconfig("https://127.0.0.1:1");
    let text = fs::read_to_string(&file).unwrap().replace("prod", "'x; reboot'");
    fs::write(&file, text).unwrap();
    let (code, text) = operator.watch_once(Some(file), &[]);
    assert!(code == Some(3) && text.contains("(context `x; reboot`): Connection refused"), "{code:?} {text}");
    assert!(!text.contains("kubectl"), "{text}");
}

#[test]
fn an_api_server_that_does_not_answer_is_named() {
    let operator = Operator::new();
    for (server, args, context) in [
        ("https://127.0.0.1:1", &[][..], "prod"),
        ("https://admin:s3cr3t@127.0.0.1:1/k8s/clusters/c-1/", &["--context", "staging"], "staging"),
    ] {
        let file = operator.kubeconfig(server);
        let (code, text) = operator.watch_once(Some(file), args);
        let shown = server.replace("admin:s3cr3t@", "");
        let cause = format!(
            "waiting: health is unknown: cannot reach the API server at {} (context `{context}`): Connection refused",
            shown.trim_end_matches('/')
        );
        let fix = format!(
            "; check the address and the network: `kubectl --context {context} version` asks the same server; no answer for "
        );
        assert!(code == Some(3) && text.contains(&cause) && text.contains(&fix), "{code:?} {text}");
    }
}

const UNCOUNTED: &str = indoc! {r#"
    apiVersion: apps/v1
    kind: DaemonSet
    metadata: {name: edge, namespace: infra}
    spec:
      selector: {matchLabels: {log: "true"}}
      template:
        metadata: {labels: {log: "true"}}
        spec: {containers: [{name: app, image: registry.example/app:1}]}
    ---
    apiVersion: apps/v1
    kind: Deployment
    metadata: {name: web, namespace: shop}
    spec:
      replicas: 2
      selector: {matchLabels: {log: "true"}}
      template:
        metadata: {labels: {log: "true"}}
        spec: {containers: [{name: app, image: registry.example/app:1}]}
"#};

const NEW_SET: &str = indoc! {r#"
    apiVersion: apps.kruise.io/v1beta1
    kind: SidecarSet
    metadata: {name: log}
    spec:
      selector: {matchLabels: {log: "true"}}
      containers: [{name: logtail, image: registry.example/logtail:1}]
"#};

/// A repository in which a new SidecarSet reaches a DaemonSet and a Deployment, and a plan of it.
struct Planner {
    _environment: TestEnvironment,
    repo: Repo,
}

impl Planner {
    fn new() -> Self {
        let environment = TestEnvironment::new();
        let repo = environment.init("repo", &[]);
        repo.put("all.yaml", UNCOUNTED);
        repo.commit("all");
        repo.put("log.yaml", NEW_SET);
        Self { _environment: environment, repo }
    }

    /// Exit code, standard output, standard error.
    fn plan(&self, kubeconfig: Option<PathBuf>, args: &[&str]) -> (Option<i32>, String, String) {
        let mut command = self.repo.command(env!("CARGO_BIN_EXE_pillion"));
        if let Some(file) = kubeconfig {
            command.env("KUBECONFIG", file);
        }
        let output = command.arg("plan").args(args).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    }
}

#[test]
fn a_plan_counts_the_pods_of_a_context() {
    let (planner, cluster) = (Planner::new(), FakeCluster::start());
    let template = json!({"metadata": {"labels": {"log": "true"}}, "spec": {"containers": []}});
    cluster.put(
        "apps/v1/daemonsets",
        json!({
            "apiVersion": "apps/v1", "kind": "DaemonSet",
            "metadata": {"name": "edge", "namespace": "infra", "uid": "u", "generation": 1},
            "spec": {"template": template}, "status": {"desiredNumberScheduled": 7, "observedGeneration": 1},
        }),
    );
    let (code, out, err) = planner.plan(None, &["--from", "HEAD"]);
    assert!(code == Some(0) && out.contains("warning[replicas-unknown]"), "{code:?} {out}{err}");
    let (code, out, err) = planner.plan(Some(cluster.kubeconfig()), &["--from", "HEAD", "--context", "fake"]);
    assert!(code == Some(0) && out.contains("2 workloads, 9 pods"), "{code:?} {out}{err}");
    assert!(!out.contains("replicas-unknown"), "{out}");
    let counted = "pods are counted in the cluster of the context `fake`, which has 1 of 2 workloads\n";
    assert!(err.contains(counted), "{err}");
    cluster.assert_only_read();
    assert_eq!(cluster.count(&["statefulsets"]), 0, "only kinds of the plan are read");
}

/// Start writes the number of pods that git does not say into the ledger, as the plan counted them.
#[test]
fn a_start_counts_the_pods_of_a_context() {
    let (operator, cluster) = (Operator::before_start(), FakeCluster::start());
    let web = json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "shop", "uid": "u", "generation": 1},
        "spec": {"replicas": 7, "template": {"metadata": {"labels": {}}, "spec": {"containers": []}}},
    });
    cluster.put("apps/v1/deployments", web);
    let run = |args: &[&str]| {
        let mut command = operator.repo.command(env!("CARGO_BIN_EXE_pillion"));
        let output = command.env("KUBECONFIG", cluster.kubeconfig()).args(args).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    };
    let file = operator.repo.path.join("apps/shop/web.yaml");
    let manifest = fs::read_to_string(&file).unwrap();
    assert!(!manifest.contains("replicas:"), "git does not say its number of pods: {manifest}");
    let (code, out, err) = run(&["start", "log", "--context", "fake", "--dry-run"]);
    assert!(
        code == Some(0) && out.contains("+  - {workload: Deployment.apps/shop/web, pods: 7}"),
        "{out}{err}"
    );
    assert_eq!(err.matches("pods are counted in the cluster of the context `fake`").count(), 1, "{err}");
    let (code, out, err) = run(&["stage", "log", "--context", "fake"]);
    assert!(code == Some(0) && out.contains("batch 1/"), "{out}{err}");
    cluster.assert_only_read();
    let (code, _, err) = run(&["start", "log", "--context", "fkae"]);
    assert!(code == Some(2) && err.contains("did you mean that?"), "{err}");
}

/// A note about the whole repository would stand before the answer.
#[test]
fn only_the_answer_is_printed_for_an_unknown_workload() {
    let operator = Operator::new();
    let set = fs::read_to_string(operator.repo.path.join("sidecars/log.yaml")).unwrap();
    operator.repo.put("sidecars/log.yaml", set.replace("1.5.0", "1.6.0"));
    let mut command = operator.repo.command(env!("CARGO_BIN_EXE_pillion"));
    let output = command.args(["explain", "zebra"]).output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    let (begin, end) =
        ("pillion: there is no workload `zebra`; there is `CloneSet.", "`StatefulSet.apps/data/events`\n");
    assert!(output.status.code() == Some(1) && text.starts_with(begin) && text.ends_with(end), "{text}");
    assert_eq!(text.lines().count(), 1, "{text}");
}

#[test]
fn a_context_of_another_cluster_is_refused() {
    let (planner, cluster) = (Planner::new(), FakeCluster::start());
    let (code, out, err) = planner.plan(Some(cluster.kubeconfig()), &["--from", "HEAD", "--context", "fake"]);
    let expected = "pillion: the cluster of the context `fake` has none of the 2 workloads of the plan: is it another cluster? `kubectl config get-contexts` lists the contexts\n";
    assert_eq!((code, &*out), (Some(2), ""), "{err}");
    assert!(err.trim_end().ends_with(expected.trim_end()), "{err}");
}

#[test]
fn a_plan_without_counts_is_no_answer_to_a_context() {
    let (planner, cluster) = (Planner::new(), FakeCluster::start());
    let (code, out, err) = planner.plan(Some(cluster.kubeconfig()), &["--from", "HEAD", "--context", "fkae"]);
    let expected = "cannot count the pods of the cluster: the kubeconfig has no context `fkae`, but `fake`: did you mean that?";
    assert!(code == Some(2) && out.is_empty() && err.contains(expected), "{code:?} {out}{err}");
    cluster.fail(&["daemonsets"], Fault::Status(403, "User cannot list daemonsets"), usize::MAX);
    let (code, out, err) = planner.plan(Some(cluster.kubeconfig()), &["--from", "HEAD", "--context", "fake"]);
    // Other lists may be unread, too, when the refusal of this one ends the wait.
    let expected = [
        "cannot count the pods of the cluster: not seen: ",
        "daemonsets.apps",
        ": pillion may not list daemonsets.apps in all namespaces: User cannot list daemonsets",
    ];
    let has_all = expected.iter().all(|part| err.contains(part));
    assert!(code == Some(2) && out.is_empty() && has_all, "{code:?} {out}{err}");
    assert!(err.contains("kind: ClusterRole"), "the missing role is printed: {err}");
    for conflicting in [&["--cluster-state", "pods.json"][..], &["--by", "pod", "--next"]] {
        let args = [&["--context", "fake"], conflicting].concat();
        let (code, out, err) = planner.plan(Some(cluster.kubeconfig()), &args);
        assert!(code == Some(2) && out.is_empty() && err.contains("--context"), "{code:?} {out}{err}");
    }
    let two = "apiVersion: pillion.dev/v1alpha1\nkind: Repository\nledgers: ledgers\nclusters: [{name: a, folder: .}, {name: b, folder: .}]\n";
    planner.repo.put("pillion.yaml", two);
    let (code, out, err) = planner.plan(Some(cluster.kubeconfig()), &["--from", "HEAD", "--context", "fake"]);
    let expected = "`--context` names one cluster, and pillion.yaml names several: add `--cluster NAME`\n";
    assert!(code == Some(2) && out.is_empty() && err.ends_with(expected), "{code:?} {out}{err}");
}
