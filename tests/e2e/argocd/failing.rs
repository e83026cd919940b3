//! Errors of the plugin appear in the condition of the Application, and disappear once they are fixed.

use super::remote::Remote;
use super::{PILLION, Repository, deployment, images, wait_pod};
use crate::harness::api::PODS;
use crate::harness::argocd::{Application, Manifest, argocd, condition, printed};
use crate::harness::namespace::Namespace;
use crate::harness::pods::uids;
use crate::harness::wait::{SOON, wait_for};
use crate::harness::{sandbox, tools};
use serde_json::json;
use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::Command;

#[test]
#[ignore = "needs a real control plane: cargo test --test e2e -- --ignored"]
fn a_broken_sidecar_set_is_told() {
    let namespace = Namespace::new("argocd-broken");
    let repository = Repository::new();
    repository.person.put("apps/web.yaml", deployment("broken"));
    let commit = repository.push("an application");
    let manifest = Manifest::of_plugin("broken", &repository.url(), "apps", &namespace.name);
    let application = Application::new(manifest);
    application.wait_synced(commit);
    wait_pod(&namespace, "broken", |_| true);
    let before = uids(&namespace.list(PODS));

    let file = "sidecars/log.yaml";
    let set = String::from_utf8(repository.person.show(&format!("HEAD:{file}"))).unwrap();
    repository.person.put(file, set.replace("image:", "imgae:"));
    repository.push("a typing error");
    application.refresh();
    let message = application.wait_condition("ComparisonError", "");
    for line in [
        "error[missing-field]: `image` is required (../sidecars/log.yaml:7:5)",
        "warning[unknown-field]: unknown field `imgae` (../sidecars/log.yaml:8:5)",
        "did you mean `image`?",
    ] {
        assert!(message.contains(line), "{message}");
    }
    assert_eq!(uids(&namespace.list(PODS)), before, "what runs goes on");

    repository.person.put(file, set.replace("log:1", "log:2"));
    let fixed = application.wait_synced(repository.push("without it"));
    assert_eq!(condition(&fixed, "ComparisonError"), None);
    wait_pod(&namespace, "broken", |pod| images(pod) == ["log log:2", "main app:1"]);
}

#[test]
#[ignore = "needs a real control plane: cargo test --test e2e -- --ignored"]
fn a_build_that_takes_too_long_is_ended_and_told() {
    let namespace = Namespace::new("argocd-slow");
    let repository = Repository::new();
    let remote = Remote::start(deployment("slow"));
    repository.person.put("apps/kustomization.yaml", format!("resources: [{}]\n", remote.url()));
    let commit = repository.push("an application from elsewhere");
    let manifest = Manifest::of_plugin("slow", &repository.url(), "apps", &namespace.name);
    let application = Application::new(manifest);
    application.wait_condition("ComparisonError", "error[remote-base]");
    remote.was_not_asked();

    let fetches = printed(&["cmp"])
        .replace("  name: pillion\n", "  name: pillion-fetches\n")
        .replace("[pillion, cmp, generate]", "[pillion, cmp, generate, --allow-remote-bases]");
    argocd().serve_plugin("argocd-cmp-server-fetches", &fetches);
    application.patch(&json!({ "spec": { "source": { "plugin": { "name": "pillion-fetches" } } } }));
    let failed = "`pillion cmp generate --allow-remote-bases` failed exit status 1";
    let message = application.wait_condition("ComparisonError", failed);
    for line in [
        "pillion: `kustomize build .` has not ended after 10 s",
        "pillion: `kustomize build .` was ended: it took longer than `ARGOCD_EXEC_TIMEOUT` allows",
    ] {
        assert!(message.contains(line), "{message}");
    }
    remote.wait_given_up();

    remote.answer();
    application.refresh_hard();
    let synced = application.wait_synced(commit);
    assert_eq!(condition(&synced, "ComparisonError"), None);
    assert_eq!(images(&wait_pod(&namespace, "slow", |_| true)), ["log log:1", "main app:1"]);
}

#[test]
#[ignore = "needs a real control plane: cargo test --test e2e -- --ignored"]
fn sigterm_ends_a_slow_build() {
    sandbox::enter();
    let repository = Repository::new();
    let remote = Remote::start(deployment("slow"));
    repository.person.put("apps/kustomization.yaml", format!("resources: [{}]\n", remote.url()));
    let programs = tempfile::tempdir().unwrap();
    symlink(tools::tool("tools", "kustomize"), programs.path().join("kustomize")).unwrap();
    // A cmp-server starts it, and ends it, as a group of processes of its own.
    let mut child = Command::new(PILLION)
        .args(["cmp", "generate", "--allow-remote-bases"])
        .current_dir(repository.person.path.join("apps"))
        .env_clear()
        .env("PATH", programs.path())
        .env("TMPDIR", programs.path())
        .process_group(0)
        .spawn()
        .unwrap();
    remote.wait_asked();
    let group = format!("-{}", child.id());
    assert!(Command::new("kill").args(["-TERM", "--", &group]).status().unwrap().success());
    let status = wait_for("it ends", SOON, || child.try_wait().unwrap().ok_or("it runs"));
    assert_eq!(status.signal(), Some(15));
    remote.wait_given_up();
    let left: Vec<_> =
        fs::read_dir(programs.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["kustomize"], "nothing is left in the folder for temporary files");
}
