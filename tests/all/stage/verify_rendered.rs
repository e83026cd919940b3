//! The folder of rendered files holds what pillion makes, and nothing else that an agent would apply.

use crate::support::fleet_fixtures::{SETTINGS, deployment, fleet, repository, set};
use crate::support::git_fixtures::{Repo, TestEnvironment};
use indoc::indoc;
use std::fs;
use std::os::unix::fs::symlink;

const POD: &str = indoc! {"
    apiVersion: v1
    kind: Pod
    metadata: {name: evil, namespace: shop}
    spec:
      containers:
      - {name: a, image: evil:1}
"};

/// A fleet with an open rollout and one batch out.
fn begun(test_env: &TestEnvironment) -> (Repo, String) {
    let log = |image| set("log", &[("logtail", image)]);
    let repo = repository(test_env, "repo", &fleet(&[("log", &log("log:1"))], false));
    repo.change(&[("sidecars/log.yaml", &log("log:2"))], &[]);
    repo.pillion(&["start", "log"]);
    repo.pillion(&["promote", "log"]);
    repo.git(&["switch", "-q", "--detach", "main"]);
    let base = repo.git(&["rev-parse", "main"]);
    (repo, base)
}

fn commit(repo: &Repo) {
    repo.commit("something else");
    repo.git(&["branch", "-f", "main", "HEAD"]);
}

fn undo(repo: &Repo, base: &str) {
    repo.git(&["branch", "-f", "main", base]);
    repo.git(&["reset", "-q", "--hard", base]);
    repo.git(&["clean", "-qfd"]);
}

/// `verify` reports it, with and without a base, and a watcher stops at it and overwrites nothing.
#[track_caller]
fn is_reported(repo: &Repo, base: &str, code: &str, words: &str) {
    let before = repo.git(&["rev-parse", "main"]);
    for args in [&["verify"][..], &["verify", "--base", base], &["watch"]] {
        let (exit, output) = if args == ["watch"] { repo.watches() } else { repo.says(args) };
        assert!(
            exit == 1 && output.contains(&format!("error[{code}]")) && output.contains(words),
            "{args:?}: {output}"
        );
    }
    assert_eq!(repo.git(&["rev-parse", "main"]), before);
}

/// `render --check` reports it.
#[track_caller]
fn check_differs(repo: &Repo, words: &str) {
    let (exit, output) = repo.says(&["render", "--check"]);
    assert!(exit == 1 && output.contains(words), "{output}");
}

#[test]
fn a_manifest_that_pillion_did_not_make_is_reported() {
    let test_env = TestEnvironment::new();
    let (repo, base) = begun(&test_env);
    let web = deployment("web")
        .replace("web:1", "evil:1")
        .replace("metadata:\n  name", "metadata:\n  namespace: shop\n  name");
    for (name, text) in [
        ("evil.yaml", POD),
        ("shop/evil.yml", POD),
        ("shop/EVIL.YAML", POD),
        (".evil.yaml", POD),
        ("evil.json", "{\"apiVersion\": \"v1\", \"kind\": \"Pod\", \"metadata\": {\"name\": \"evil\"}}"),
        ("shop/zz.yaml", &web),
        ("broken.yaml", "a: ["),
        ("kustomization.yaml", "images: [{name: web, newName: evil}]\n"),
        ("Kustomization", "images: [{name: web, newName: evil}]\n"),
        (".argocd-source.yaml", "directory: {recurse: true}\n"),
        ("evil.jsonnet", "{}"),
    ] {
        repo.put(&format!("rendered/{name}"), text);
        commit(&repo);
        is_reported(&repo, &base, "unmanaged-manifest", &format!("`rendered/{name}`"));
        check_differs(&repo, &format!("`rendered/{name}` is not made by render"));
        undo(&repo, &base);
    }
    // A link may lead to any manifest.
    repo.put("docs/evil.txt", POD);
    symlink("../../docs/evil.txt", repo.path.join("rendered/shop/evil.yaml")).unwrap();
    commit(&repo);
    is_reported(&repo, &base, "unmanaged-manifest", "`rendered/shop/evil.yaml`");
    check_differs(&repo, "`rendered/shop/evil.yaml`");
}

#[test]
fn what_nobody_applies_may_lie_there() {
    let test_env = TestEnvironment::new();
    let (repo, base) = begun(&test_env);
    repo.put("rendered/README.md", "made by pillion").put("rendered/ci.yaml", "on: [push]\njobs: {}\n");
    commit(&repo);
    repo.pillion(&["verify", "--base", &base]);
    repo.pillion(&["render", "--check"]);
}

#[test]
fn the_list_is_that_of_what_is_made() {
    let test_env = TestEnvironment::new();
    let (repo, base) = begun(&test_env);
    let list = repo.text("main", "rendered/.pillion-files");
    for (text, words) in [
        ("", "does not list `data/db.yaml`, `shop/api.yaml`"),
        (&*list.replace("shop/web.yaml\n", ""), "does not list `shop/web.yaml`"),
        (&*format!("{list}shop/zz.yaml\n"), "lists files that are not rendered: `shop/zz.yaml`"),
    ] {
        repo.put("rendered/.pillion-files", text);
        commit(&repo);
        is_reported(&repo, &base, "deploy-branch-not-rendered", words);
        undo(&repo, &base);
    }
    fs::remove_file(repo.path.join("rendered/.pillion-files")).unwrap();
    commit(&repo);
    is_reported(&repo, &base, "deploy-branch-not-rendered", "does not list `data/db.yaml`");
    check_differs(&repo, "does not list");
}

#[test]
fn a_file_that_is_ignored_is_not_hidden() {
    let test_env = TestEnvironment::new();
    let (repo, _) = begun(&test_env);
    // While a rollout counts it, it is missing there, too.
    repo.pillion(&["promote", "log", "--full"]);
    repo.git(&["switch", "-q", "--detach", "main"]);
    let base = repo.git(&["rev-parse", "main"]);
    let list = repo.text("main", "rendered/.pillion-files").replace("data/db.yaml\n", "");
    repo.put("pillion.yaml", format!("{SETTINGS}ignore: [db.yaml]\n")).put("rendered/.pillion-files", list);
    let db = repo.text("main", "rendered/data/db.yaml").replace("db:1", "evil:1");
    repo.put("rendered/data/db.yaml", db);
    commit(&repo);
    is_reported(&repo, &base, "unmanaged-manifest", "`rendered/data/db.yaml`");
}

#[test]
fn the_folder_of_rendered_files_does_not_move_away_from_what_is_applied() {
    let test_env = TestEnvironment::new();
    let (repo, base) = begun(&test_env);
    let moved = SETTINGS.replace("rendered: rendered", "rendered: out");
    repo.put("pillion.yaml", &moved);
    let output = repo.try_pillion(&["render", "--out", "out"]);
    assert!(output.status.success());
    commit(&repo);
    let both = repo.git(&["rev-parse", "main"]);
    let words = "`rendered` was the folder of rendered files";
    for (exit, text) in [repo.says(&["verify", "--base", &base]), repo.watches()] {
        assert!(exit == 1 && text.contains("error[unmanaged-manifest]") && text.contains(words), "{text}");
    }
    // In two commits it is the same, and with the old folder gone it is fine.
    fs::remove_dir_all(repo.path.join("rendered")).unwrap();
    commit(&repo);
    repo.pillion(&["verify", "--base", &base]);
    repo.git(&["checkout", "-q", &both, "--", "rendered"]);
    commit(&repo);
    let (exit, text) = repo.says(&["verify", "--base", &base]);
    assert!(exit == 1 && text.contains(words), "{text}");
}
