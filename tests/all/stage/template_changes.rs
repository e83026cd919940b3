//! A change of pillion.yaml or of a Namespace that would recreate pods outside of every batch is refused.

use crate::stage::holds::file;
use crate::support::git_fixtures::{Repo, TestEnvironment};
use crate::support::rollout_fixtures::{example, ledger_at, released, two_branches};
use indoc::indoc;

const CODE: &str = "template-not-planned";

/// Commits a pillion.yaml with further lines, and what render makes of it.
fn change_settings(repo: &Repo, lines: &str) {
    repo.git(&["switch", "-q", "--detach", "main"]);
    let config = file(repo, "pillion.yaml");
    repo.put("pillion.yaml", format!("{config}\n{lines}")).render().commit("settings");
}

/// Commits files in another commit than settings.
fn commit_file(repo: &Repo, path: &str, text: &str) {
    repo.git(&["switch", "-q", "--detach", "main"]);
    repo.put(path, text).render().commit("a file");
    repo.git(&["branch", "-f", "main", "HEAD"]);
}

/// Returns what `verify` says of the last commit.
fn verify(repo: &Repo) -> String {
    String::from_utf8_lossy(&repo.try_pillion(&["verify", "--base", "main"]).stderr).into_owned()
}

#[test]
fn settings_that_change_every_pod_template_are_refused() {
    let test_env = TestEnvironment::new();
    let repo = released(&test_env, "repo");
    change_settings(&repo, "annotations: kruise\n");
    let (code, stderr) = repo.refused(&["verify", "--base", "main"]);
    assert!(code == 1 && stderr.contains(CODE), "{stderr}");
    assert!(stderr.contains("apps/shop/cart.yaml"), "{stderr}");
}

#[test]
fn settings_with_a_decision_pass_with_a_warning() {
    let test_env = TestEnvironment::new();
    let repo = released(&test_env, "repo");
    change_settings(&repo, &format!("annotations: kruise\nlint: {{{CODE}: warn}}\n"));
    let output = repo.try_pillion(&["verify", "--base", "main"]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && stderr.contains(&format!("warning[{CODE}]")), "{stderr}");
}

#[test]
fn settings_of_rollouts_change_no_pod_template() {
    let test_env = TestEnvironment::new();
    let repo = released(&test_env, "repo");
    change_settings(&repo, "lint: {missing-limits: allow}\n");
    repo.pillion(&["verify", "--base", "main"]);
}

#[test]
fn a_kind_that_is_added_gets_no_sidecar_in_silence() {
    let test_env = TestEnvironment::new();
    let repo = released(&test_env, "repo");
    let worker = indoc! {r#"
        apiVersion: example.com/v1
        kind: Worker
        metadata: {name: crawler, namespace: shop}
        spec:
          size: 3
          podTemplate:
            metadata:
              labels: {log: "true"}
            spec:
              containers:
              - name: crawler
                image: registry.acme.example/crawler:1
    "#};
    commit_file(&repo, "apps/shop/crawler.yaml", worker);
    change_settings(
        &repo,
        "kinds:\n- {group: example.com, kind: Worker, template: spec.podTemplate, replicas: spec.size}\n",
    );
    let (code, stderr) = repo.refused(&["verify", "--base", "main"]);
    assert!(
        code == 1 && stderr.contains(CODE) && stderr.contains("Worker.example.com/shop/crawler"),
        "{stderr}"
    );
    assert!(!stderr.contains("shop/cart"), "{stderr}");
}

#[test]
fn settings_change_pod_templates_in_a_commit_that_moves_the_sources_too() {
    let test_env = TestEnvironment::new();
    let repo = released(&test_env, "repo");
    repo.git(&["switch", "-q", "--detach", "main"]);
    repo.git(&["mv", "apps", "manifests"]);
    let moved = file(&repo, "pillion.yaml").replace("apps", "manifests");
    repo.put("pillion.yaml", &moved).render().commit("move");
    let stderr = verify(&repo);
    assert!(!stderr.contains(CODE), "{stderr}");
    repo.put("pillion.yaml", format!("{moved}\nannotations: kruise\n")).render();
    repo.git(&["commit", "-q", "-a", "--amend", "-m", "move, and more"]);
    let stderr = verify(&repo);
    assert!(stderr.contains(&format!("error[{CODE}]")), "{stderr}");
}

#[test]
fn labels_of_a_namespace_add_and_remove_no_sidecar_in_silence() {
    let test_env = TestEnvironment::new();
    let repo = test_env.init("repo", &[]);
    let mut texts = example();
    let set = texts["sidecars/log.yaml"]
        .replace("  updateStrategy", "  namespaceSelector: {matchLabels: {logs: \"on\"}}\n  updateStrategy");
    texts.insert("ledgers/log.yaml".into(), ledger_at(&set));
    texts.insert("sidecars/log.yaml".into(), set);
    let namespaces = |labels: &str| {
        ["shop", "data"].map(|name| {
            format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: {name}, labels: {labels}}}\n---\n")
        })
    };
    texts.insert("apps/namespaces.yaml".into(), namespaces("{logs: \"on\"}").concat());
    repo.hold(&texts).render().commit("start");
    repo.git(&["switch", "-q", "--detach", "main"]);
    repo.put("apps/namespaces.yaml", namespaces("{logs: \"off\"}").concat()).render().commit("off");
    let stderr = verify(&repo);
    assert!(stderr.contains(&format!("error[{CODE}]")) && stderr.contains("apps/shop/cart.yaml"), "{stderr}");
    repo.git(&["branch", "-f", "main", "HEAD"]);
    repo.put("apps/namespaces.yaml", namespaces("{logs: \"on\"}").concat()).render().commit("on");
    let stderr = verify(&repo);
    assert!(stderr.contains(&format!("error[{CODE}]")) && stderr.contains("apps/shop/cart.yaml"), "{stderr}");
}

#[test]
fn a_workload_that_changes_with_its_namespace_gets_its_sidecar() {
    let test_env = TestEnvironment::new();
    let repo = released(&test_env, "repo");
    repo.git(&["switch", "-q", "--detach", "main"]);
    let namespace = "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n";
    let cart = file(&repo, "apps/shop/cart.yaml").replace("{app: cart, log: \"true\"}", "{app: cart}");
    repo.put("apps/shop/cart.yaml", cart).put("apps/namespace.yaml", namespace).render().commit("no logs");
    let stderr = verify(&repo);
    assert!(!stderr.contains(CODE), "{stderr}");
}

#[test]
fn a_render_onto_the_deploy_branch_stops() {
    let test_env = TestEnvironment::new();
    let first = test_env.init("first", &[]);
    first.hold(&two_branches()).commit("start");
    let origin = test_env.clone(&first, "origin", &["--bare"]);
    let repo = test_env.clone(&origin, "repo", &[]);
    repo.pillion(&["render", "--branch", "env/prod", "--create", "--push"]);
    repo.pillion(&["init", "rollout", "--push"]);
    let head = origin.id("env/prod");
    let config = file(&repo, "pillion.yaml");
    repo.put("pillion.yaml", format!("{config}\nannotations: kruise\n")).commit("settings");
    repo.git(&["push", "-q", "origin", "main"]);
    let (code, stderr) = repo.refused(&["render", "--branch", "env/prod", "--push"]);
    assert!(code == 1 && stderr.contains(CODE), "{stderr}");
    assert_eq!(origin.id("env/prod"), head);
    repo.put("pillion.yaml", format!("{config}\nannotations: kruise\nlint: {{{CODE}: allow}}\n"))
        .commit("a decision");
    repo.git(&["push", "-q", "origin", "main"]);
    repo.pillion(&["render", "--branch", "env/prod", "--push"]);
    assert_ne!(origin.id("env/prod"), head);
}
