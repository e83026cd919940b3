//! `pillion doctor` finds problems before they occur, and suggests a fix for each.
#![cfg(unix)]

use crate::support::git_fixtures::{Repo, TestEnvironment};
use indoc::indoc;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

/// A folder with pillion.yaml, an Application and a kustomization, and a machine with an older kustomize.
fn sick() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |file: &str, text: &str| {
        let path = folder.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write(
        "repo/pillion.yaml",
        indoc! {"
            apiVersion: pillion.dev/v1alpha1
            kind: Repository
            sidecarSets: [sidecars]
            ledgers: ledgers
        "},
    );
    write(
        "repo/apps/shop.yaml",
        indoc! {"
            apiVersion: argoproj.io/v1alpha1
            kind: Application
            metadata:
              name: shop
              annotations: {argocd.argoproj.io/manifest-generate-paths: .}
            spec: {source: {path: overlays/eu}}
        "},
    );
    write("repo/overlays/eu/kustomization.yaml", "resources: [web.yaml]\ntransformers: [sidecars.yaml]\n");
    write(
        "repo/overlays/eu/sidecars.yaml",
        indoc! {"
            apiVersion: pillion.dev/v1alpha1
            kind: Sidecars
            metadata: {name: s}
        "},
    );
    write("bin/kustomize", "#!/bin/sh\necho v5.5.0\n");
    fs::set_permissions(folder.path().join("bin/kustomize"), fs::Permissions::from_mode(0o755)).unwrap();
    write("plugins/pillion.dev/v1alpha1/sidecars/Sidecars", "not executable\n");
    folder
}

fn doctor(folder: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_pillion"))
        .arg("doctor")
        .args(arguments)
        .current_dir(folder.join("repo"))
        .env_clear()
        .env("PATH", folder.join("bin"))
        .env("KUSTOMIZE_PLUGIN_HOME", folder.join("plugins"))
        .output()
        .unwrap();
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}

#[test]
fn it_says_what_would_go_wrong() {
    let folder = sick();
    let (code, text) = doctor(folder.path(), &[]);
    assert_eq!(code, Some(1), "{text}");
    for expected in [
        "is not on PATH",
        "v5.5.0 runs functions, but refuses `args` and `envs`",
        "cannot be run",
        "`overlays/eu/kustomization.yaml`: pillion is a transformer without a guard document",
        "shop in `apps/shop.yaml` passes over commits that change only `ledgers` and `sidecars`",
        "add `;/ledgers;/sidecars` to the annotation",
    ] {
        assert!(text.contains(expected), "{expected}\n{text}");
    }
}

#[test]
fn its_json_names_every_check() {
    let folder = sick();
    let (_, text) = doctor(folder.path(), &["-o", "json"]);
    let read: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(read["kind"], "Doctor");
    let errors = read["items"].as_array().unwrap().iter().filter(|i| i["state"] == "error").count();
    assert_eq!(errors, 2, "{text}");
}

/// Runs doctor in a clone; returns its exit code and output.
fn doctor_in(repo: &Repo, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = repo.command(env!("CARGO_BIN_EXE_pillion"));
    let output = command.arg("doctor").args(arguments).output().unwrap();
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}

#[test]
fn it_compares_the_clone_with_its_remote() {
    let test_env = TestEnvironment::new();
    let first = test_env.init("first", &[]);
    first.put(
        "pillion.yaml",
        "apiVersion: pillion.dev/v1alpha1\nkind: Repository\nsources: [apps]\nsidecarSets: [sidecars]\nledgers: ledgers\nnamespaces: [{folder: apps, name: a}]\n",
    );
    first.put("apps/web.yaml", "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec: {template: {metadata: {labels: {app: web}}, spec: {containers: [{name: a, image: a}]}}}\n");
    first.put("sidecars/log.yaml", "apiVersion: apps.kruise.io/v1beta1\nkind: SidecarSet\nmetadata: {name: log}\nspec: {selector: {matchLabels: {app: web}}, containers: [{name: log, image: log}]}\n");
    first.put(".github/workflows/ci.yaml", "steps:\n- uses: acme/pillion@main\n");
    first.commit("files");
    let origin = test_env.clone(&first, "origin.git", &["--bare"]);
    let repo = test_env.clone(&origin, "clone", &[]);
    let (code, text) = doctor_in(&repo, &[]);
    assert_eq!(code, Some(1), "{text}");
    for expected in [
        "√ remote: `origin`",
        "√ push: this user may push",
        "√ branch: `origin/main` is at",
        "× ledgers: 1 SidecarSet without a ledger\n      `pillion init rollout --push`",
        "`.github/workflows/ci.yaml` uses `main`, which moves",
    ] {
        assert!(text.contains(expected), "{expected}\n{text}");
    }
    // The repository has no kustomization and names no cluster.
    assert!(!text.contains("kustomize") && !text.contains("cluster:"), "{text}");
    repo.pillion(&["init", "rollout", "--push"]);
    repo.put("notes", "x").commit("mine");
    let (code, text) = doctor_in(&repo, &[]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("· branch: your `main` is 1 ahead of `origin/main` and 1 behind"), "{text}");
    assert!(text.contains("√ ledgers: 1 SidecarSet, 1 ledger"), "{text}");
    assert!(text.trim_end().ends_with("2 warnings: rollouts work"), "{text}");
    let (_, yaml) = doctor_in(&repo, &["-o", "yaml"]);
    assert!(yaml.starts_with("apiVersion: pillion.dev/v1alpha1\nkind: Doctor\n"), "{yaml}");
    // A remote that is gone, and one without the branch.
    fs::rename(&origin.path, test_env.path("gone.git")).unwrap();
    let (code, text) = doctor_in(&repo, &[]);
    assert!(code == Some(1) && text.contains("× remote: `origin`"), "{text}");
    let (code, text) = doctor_in(&repo, &["--offline"]);
    assert!(code == Some(0) && !text.contains("× remote"), "{text}");
    test_env.init("origin.git", &["--bare"]);
    let (code, text) = doctor_in(&repo, &[]);
    assert!(
        code == Some(1) && text.contains("`origin` has no branch `main`\n      `git push -u origin main`"),
        "{text}"
    );
}

/// Runs doctor in a folder, with the kubeconfig of a cluster; returns its exit code and its report.
#[cfg(feature = "watch")]
fn doctor_of_cluster(
    folder: &Path,
    cluster: &crate::support::fake_cluster::FakeCluster,
) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_pillion"))
        .arg("doctor")
        .current_dir(folder)
        .env_clear()
        .env("KUBECONFIG", cluster.kubeconfig())
        .output()
        .unwrap();
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}

#[cfg(feature = "watch")]
mod cluster_version {
    use crate::support::fake_cluster::{FakeCluster, Fault};
    use std::fs;

    fn doctor(cluster: &FakeCluster, version: &str) -> (Option<i32>, String) {
        let folder = tempfile::tempdir().unwrap();
        let config = format!(
            "apiVersion: pillion.dev/v1alpha1\nkind: Repository\nkubernetesVersion: \"{version}\"\nclusters:\n- {{name: eu, context: fake}}\n"
        );
        fs::write(folder.path().join("pillion.yaml"), config).unwrap();
        super::doctor_of_cluster(folder.path(), cluster)
    }

    #[test]
    fn an_older_cluster_is_an_error() {
        let cluster = FakeCluster::start();
        let (code, text) = doctor(&cluster, "1.37");
        let expected = "context `fake` runs Kubernetes 1.36, older than the 1.37 of pillion.yaml";
        assert!(text.contains(expected) && code == Some(1), "{code:?}: {text}");
    }

    #[test]
    fn a_cluster_of_the_version_or_a_newer_one_is_fine() {
        let cluster = FakeCluster::start();
        for version in ["1.36", "1.29"] {
            let (_, text) = doctor(&cluster, version);
            assert!(text.contains("√ kubernetesVersion: context `fake` runs Kubernetes 1.36"), "{text}");
        }
    }

    #[test]
    fn a_version_that_cannot_be_read_is_a_warning() {
        let cluster = FakeCluster::start();
        cluster.fail(&["/version"], Fault::Text("<html>Welcome</html>"), usize::MAX);
        let (_, text) = doctor(&cluster, "1.36");
        assert!(text.contains("context `fake` does not tell its version"), "{text}");
    }
}

#[cfg(feature = "watch")]
mod kruise {
    use crate::support::fake_cluster::{FakeCluster, Fault};
    use indoc::indoc;
    use serde_json::json;
    use std::fs;

    const SETS: &str = "apps.kruise.io/v1beta1/sidecarsets";
    const WEBHOOKS: &str = "admissionregistration.k8s.io/v1/mutatingwebhookconfigurations";

    /// Runs doctor for one cluster with Kruise and one without; both have one API server.
    fn doctor(cluster: &FakeCluster) -> (Option<i32>, String) {
        let folder = tempfile::tempdir().unwrap();
        let config = indoc! {"
            apiVersion: pillion.dev/v1alpha1
            kind: Repository
            sidecarSets: [sidecars]
            rendered: rendered
            ledgers: ledgers
            clusters:
            - {name: eu, folder: eu, context: fake, runtime: Kruise}
            - {name: us, folder: us, context: missing}
        "};
        fs::write(folder.path().join("pillion.yaml"), config).unwrap();
        fs::create_dir(folder.path().join("sidecars")).unwrap();
        let set = "apiVersion: apps.kruise.io/v1beta1\nkind: SidecarSet\nmetadata: {name: log}\n";
        fs::write(folder.path().join("sidecars/log.yaml"), set).unwrap();
        let found = super::doctor_of_cluster(folder.path(), cluster);
        cluster.assert_only_read();
        found
    }

    /// A cluster with Kruise 1.9.0, of which so many pods are ready.
    fn with_kruise(ready: u32) -> FakeCluster {
        let cluster = FakeCluster::start();
        cluster.serve(SETS, "SidecarSet");
        cluster.serve(WEBHOOKS, "MutatingWebhookConfiguration");
        let rules = json!([{"operations": ["CREATE"], "resources": ["pods"]}]);
        cluster.put(
            WEBHOOKS,
            json!({"metadata": {"name": "kruise-mutating-webhook-configuration"}, "webhooks": [{"rules": rules}]}),
        );
        let containers = json!([{"name": "manager", "image": "openkruise/kruise-manager:v1.9.0"}]);
        cluster.put(
            "apps/v1/deployments",
            json!({
                "metadata": {"name": "kruise-controller-manager", "namespace": "kruise-system"},
                "spec": {"replicas": 2, "template": {"spec": {"containers": containers}}},
                "status": {"readyReplicas": ready},
            }),
        );
        cluster
    }

    #[test]
    fn a_cluster_with_kruise_is_fine() {
        let (_, text) = doctor(&with_kruise(2));
        for expected in [
            "√ SidecarSet: context `fake` serves `apps.kruise.io/v1beta1`, and SidecarSets may be listed",
            "√ webhook: context `fake` calls Kruise's webhook for new pods",
            "√ controller: context `fake` runs Kruise v1.9.0, 2 of 2 pods of its manager ready",
        ] {
            assert!(text.contains(expected), "{expected}: {text}");
        }
    }

    #[test]
    fn a_cluster_without_kruise_is_an_error() {
        let (code, text) = doctor(&FakeCluster::start());
        assert_eq!(code, Some(1), "{text}");
        for expected in [
            "× SidecarSet: context `fake` serves no SidecarSet in `apps.kruise.io/v1beta1`",
            "has no Deployment `kruise-controller-manager` in namespace kruise-system",
        ] {
            assert!(text.contains(expected), "{expected}: {text}");
        }
    }

    #[test]
    fn what_does_not_run_or_may_not_be_read_is_named() {
        let (_, text) = doctor(&with_kruise(0));
        assert!(text.contains("× controller: context `fake` runs Kruise v1.9.0, 0 of 2 pods"), "{text}");
        let cluster = with_kruise(2);
        cluster.take_away(WEBHOOKS);
        cluster.serve(WEBHOOKS, "MutatingWebhookConfiguration");
        let (_, text) = doctor(&cluster);
        assert!(text.contains("× webhook: context `fake` calls no webhook of Kruise for new pods"), "{text}");
        for words in ["sidecarsets", "mutatingwebhookconfigurations", "namespaces/kruise-system"] {
            cluster.fail(&[words], Fault::Status(403, "forbidden"), usize::MAX);
        }
        let (_, text) = doctor(&cluster);
        for expected in [
            "‼ SidecarSet: context `fake` may not list sidecarsets.apps.kruise.io",
            "may not list mutatingwebhookconfigurations, so that of Kruise is not checked",
            "may not list deployments of namespace kruise-system",
        ] {
            assert!(text.contains(expected), "{expected}: {text}");
        }
    }
}
