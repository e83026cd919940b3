//! `pillion plan` in repositories: two commits, two branches, many workloads, and the keys of its JSON documents.

use crate::support::git_fixtures::{Repo, TestEnvironment};
use crate::support::manifests::ONE_NAMESPACE;
use indoc::{formatdoc, indoc};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;

const SET: &str = indoc! {r#"
    apiVersion: apps.kruise.io/v1beta1
    kind: SidecarSet
    metadata: {name: log}
    spec:
      selector: {matchLabels: {log: "true"}}
      containers:
      - name: logtail
        image: registry.example/logtail:1
"#};

fn deployment(name: &str, replicas: usize) -> String {
    formatdoc! {r#"
        apiVersion: apps/v1
        kind: Deployment
        metadata:
          name: {name}
        spec:
          replicas: {replicas}
          template:
            metadata:
              labels:
                log: "true"
            spec:
              containers:
              - name: app
                image: registry.example/app:1
    "#}
}

fn put(repo: &Repo, name: &str, text: &str) {
    let path = repo.path.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn commit(repo: &Repo, message: &str) {
    repo.git(&["add", "-A"]);
    repo.git(&["commit", "-q", "-m", message]);
}

/// Exit code, standard output, standard error.
fn plan(repo: &Repo, args: &[&str]) -> (Option<i32>, String, String) {
    let output = repo.command(env!("CARGO_BIN_EXE_pillion")).arg("plan").args(args).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

fn json(repo: &Repo, args: &[&str]) -> Value {
    let (code, out, err) = plan(repo, &[args, &["-o", "json"]].concat());
    assert_eq!(code, Some(0), "{err}");
    serde_json::from_str(&out).unwrap()
}

#[test]
fn two_commits_need_no_ledger() {
    let test_env = TestEnvironment::new();
    let repo = test_env.init("repo", &[]);
    put(&repo, "web.yaml", &deployment("web", 2));
    put(&repo, "log.yaml", SET);
    put(&repo, "old.yaml", &SET.replace("name: log}", "name: old}").replace("logtail", "old"));
    commit(&repo, "one");
    put(&repo, "log.yaml", &SET.replace("logtail:1", "logtail:2"));
    put(&repo, "new.yaml", &SET.replace("name: log}", "name: new}").replace("logtail", "new"));
    fs::remove_file(repo.path.join("old.yaml")).unwrap();
    commit(&repo, "two");
    let (code, out, err) = plan(&repo, &["--from", "HEAD~1", "--to", "HEAD"]);
    assert_eq!((code, err.contains("error")), (Some(0), false), "{err}");
    let titles: Vec<&str> = out.lines().filter(|l| l.contains(" -> ")).collect();
    let [log, new, old] = titles[..] else { panic!("{out}") };
    assert!(log.starts_with("log: logtail 1 -> 2 (log-") && log.ends_with("image only"), "{log}");
    assert!(
        new.starts_with("new: new (- -> new-")
            && old.starts_with("old: REMOVED from 1 of 1 workload (deleted), old-"),
        "{out}"
    );
    // The working folder is not a part of that; without `--to` it is.
    put(&repo, "log.yaml", &SET.replace("logtail:1", "logtail:3"));
    assert_eq!(plan(&repo, &["--from", "HEAD~1", "--to", "HEAD"]).1, out);
    assert!(plan(&repo, &["--from", "HEAD"]).1.contains("logtail 2 -> 3"));
    let document = json(&repo, &["--from", "HEAD~1", "--to", "HEAD"]);
    assert_eq!(document["base"], repo.git(&["rev-parse", "HEAD"]).trim());
    let (code, _, err) = plan(&repo, &["--from", "nothing"]);
    assert_eq!((code, err.contains("`nothing` is not a commit")), (Some(2), true), "{err}");
}

#[test]
fn ledgers_of_the_first_commit_count() {
    let test_env = TestEnvironment::new();
    let repo = test_env.init("repo", &[]);
    put(&repo, "pillion.yaml", ONE_NAMESPACE);
    put(&repo, "apps/web.yaml", &deployment("web", 2));
    put(&repo, "sidecars/log.yaml", SET);
    commit(&repo, "one");
    let nothing = indoc! {"
        apiVersion: pillion.dev/v1alpha1
        kind: SidecarRollout
        metadata: {name: log}
        spec: {released: '-'}
    "};
    put(&repo, "ledgers/log.yaml", nothing);
    commit(&repo, "two");
    assert_eq!(json(&repo, &["--from", "HEAD~1", "--to", "HEAD"])["items"][0]["end"]["kind"], "Idle");
    let folder = json(&repo, &[]);
    let mut commits = json(&repo, &["--from", "HEAD", "--to", "HEAD"]);
    assert_eq!(commits["items"][0]["from"], "-");
    commits["items"][0]["from"] = folder["items"][0]["from"].clone();
    assert_eq!(commits, folder);
    // From a folder further down the same is planned.
    let mut inner = repo.command(env!("CARGO_BIN_EXE_pillion"));
    let output = inner.current_dir(repo.path.join("apps")).args(["plan", "-o", "json"]).output().unwrap();
    let inner: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(inner["items"][0]["to"], folder["items"][0]["to"]);
    assert_eq!(inner["items"][0]["matched"], folder["items"][0]["matched"]);
}

#[test]
fn ledgers_on_the_live_branch_count() {
    let test_env = TestEnvironment::new();
    let repo = test_env.init("repo", &[]);
    put(
        &repo,
        "pillion.yaml",
        &formatdoc! {"
            {ONE_NAMESPACE}git:
              source: main
              deploy: env/prod
        "},
    );
    put(&repo, "apps/web.yaml", &deployment("web", 2));
    put(&repo, "sidecars/log.yaml", SET);
    commit(&repo, "one");
    let (code, _, err) = plan(&repo, &[]);
    assert_eq!((code, err.contains("no branch `env/prod`")), (Some(2), true), "{err}");
    repo.git(&["switch", "-q", "-c", "env/prod"]);
    let nothing = indoc! {"
        apiVersion: pillion.dev/v1alpha1
        kind: SidecarRollout
        metadata: {name: log}
        spec: {released: '-', rejected: [gone]}
    "};
    put(&repo, "ledgers/log.yaml", nothing);
    commit(&repo, "live");
    repo.git(&["switch", "-q", "main"]);
    let (code, out, err) = plan(&repo, &[]);
    let line = "planned from your working folder; the deploy branch is env/prod @";
    assert!(code == Some(0) && err.starts_with(line) && err.lines().count() == 1, "{err}");
    assert!(out.starts_with("log: new (- -> log-"), "{out}");
}

#[test]
fn a_comment_has_room_for_ten_thousand_workloads() {
    let test_env = TestEnvironment::new();
    let repo = test_env.init("repo", &[]);
    let mut all = String::new();
    for n in 0..2_000 {
        all.push_str("---\n");
        all.push_str(&deployment(
            &format!("web-{n:04}-with-a-name-that-is-as-long-as-names-may-be-{n:04}"),
            1,
        ));
    }
    put(&repo, "apps/all.yaml", &all);
    put(&repo, "sidecars/log.yaml", SET);
    put(
        &repo,
        "pillion.yaml",
        &formatdoc! {"
            {ONE_NAMESPACE}rollout:
              maxBatches: 5000
              steps: [1, 2, 3, 5, 8, 13, 21, 34, 55, 100%]
        "},
    );
    let (code, out, _) = plan(&repo, &["-o", "markdown"]);
    assert_eq!(code, Some(0));
    let length = out.chars().count();
    assert!(length <= 65_536 && length > 30_000, "{length}");
    assert!(out.contains("more, which do not fit in here") && out.ends_with("</details>\n\n"), "{out}");
}

/// Every key of the documents is in docs/plan.md.
#[test]
fn keys_are_documented() {
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/plan.md")).unwrap();
    let words: BTreeSet<&str> =
        page.split('`').skip(1).step_by(2).flat_map(|code| code.split(['.', '[', ']', ',', ' '])).collect();
    let mut keys = BTreeSet::new();
    let cases = concat!(env!("CARGO_MANIFEST_DIR"), "/golden/rollout/workload");
    for case in fs::read_dir(cases).unwrap() {
        let text = fs::read_to_string(case.unwrap().path().join("stdout.txt")).unwrap_or_default();
        if text.starts_with('{') {
            collect(&serde_json::from_str(&text).unwrap(), &mut keys);
        }
    }
    let unknown: Vec<&String> = keys.iter().filter(|key| !words.contains(key.as_str())).collect();
    assert!(keys.len() > 30 && unknown.is_empty(), "{unknown:?}");
}

/// Adds the keys of a document; what patches hold is not a part of it.
fn collect(value: &Value, keys: &mut BTreeSet<String>) {
    for (key, value) in value.as_object().into_iter().flatten() {
        keys.insert(key.clone());
        if key != "patches" {
            collect(value, keys);
        }
    }
    value.as_array().into_iter().flatten().for_each(|item| collect(item, keys));
}
