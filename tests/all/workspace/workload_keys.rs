//! A ledger identifies a workload by its key, which is the same in every command and plugin: a namespace is never
//! guessed, and a file belongs to one cluster.

use crate::stage::missing_workloads::EVERY;
use crate::support::cluster_view::Texts;
use crate::support::git_fixtures::{Repo, TestEnvironment};
use crate::support::rollout_fixtures::ledger_at;
use crate::workspace::builds::refs;
use indoc::{formatdoc, indoc};
use std::io::Write as _;
use std::process::{Command, Output, Stdio};

const SET: &str = indoc! {r#"
    apiVersion: apps.kruise.io/v1beta1
    kind: SidecarSet
    metadata: {name: log}
    spec:
      selector: {matchLabels: {log: "true"}}
      containers:
      - name: logtail
        image: r/log:1
"#};
const RULE: &str = "namespaces: [{folder: apps, name: shop}]\n";

fn web(metadata: &str) -> String {
    formatdoc! {r#"
        apiVersion: apps/v1
        kind: Deployment
        metadata: {metadata}
        spec:
          replicas: 2
          selector:
            matchLabels:
              app: web
          template:
            metadata:
              labels:
                app: web
                log: "true"
            spec:
              containers:
              - name: app
                image: r/web:1
    "#}
}

/// One application that names no namespace, with ledgers only.
fn texts(more: &str) -> Texts {
    let config = indoc! {"
        apiVersion: pillion.dev/v1alpha1
        kind: Repository
        sources: [apps]
        sidecarSets: [sidecars]
        ledgers: ledgers
    "};
    [
        ("pillion.yaml", format!("{config}{more}")),
        ("apps/web.yaml", web("{name: web}")),
        ("sidecars/log.yaml", SET.to_owned()),
        ("ledgers/log.yaml", ledger_at(SET)),
    ]
    .map(|(path, text)| (path.to_owned(), text))
    .into()
}

fn newer(mut texts: Texts) -> Texts {
    texts.insert("sidecars/log.yaml".into(), SET.replace("r/log:1", "r/log:2"));
    texts
}

/// Runs pillion in a folder of the repository, with something on standard input.
fn run(repo: &Repo, folder: &str, args: &[&str], stdin: &str) -> Output {
    let mut command: Command = repo.command(env!("CARGO_BIN_EXE_pillion"));
    command.current_dir(repo.path.join(folder)).args(args).env("ARGOCD_APP_NAMESPACE", "shop");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(stdin.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn both(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn list(item: &str) -> String {
    let item: String =
        item.lines().enumerate().map(|(i, l)| format!("{}{l}\n", if i == 0 { "- " } else { "  " })).collect();
    formatdoc! {"
        apiVersion: config.kubernetes.io/v1
        kind: ResourceList
        items:
        {item}
    "}
}

#[test]
fn a_namespace_that_nobody_says_stops_every_command_and_plugin() {
    let test_env = TestEnvironment::new();
    let repo = test_env.init("repo", &[]);
    repo.hold(&texts("")).commit("start");
    repo.hold(&newer(texts(""))).commit("2");
    repo.git(&["switch", "-q", "--detach"]);
    let before = refs(&repo);
    for command in EVERY.iter().chain([&&["render"][..]]) {
        let (code, stderr) = repo.refused(command);
        assert!(code == 1 && stderr.contains("namespace-unspecified"), "{command:?}: {stderr}");
        assert!(stderr.contains("`- {folder: apps, name: NAMESPACE}`"), "{command:?}: {stderr}");
    }
    assert_eq!(before, refs(&repo));
    let web = web("{name: web}");
    repo.put(
        "config.yaml",
        indoc! {"
            apiVersion: pillion.dev/v1alpha1
            kind: Sidecars
            metadata: {name: s}
            spec: {}
        "},
    );
    for (folder, args, stdin) in [
        ("apps", &["cmp", "generate"][..], String::new()),
        ("apps", &["cmp", "generate", "-"], web.clone()),
        (".", &["render", "-"], web.clone()),
        (".", &[], web.clone()),
        (".", &[], list(&web)),
        (".", &["./config.yaml"], web.clone()),
    ] {
        let output = run(&repo, folder, args, &stdin);
        let stderr = both(&output);
        assert_eq!(output.status.code(), Some(1), "{args:?}: {stderr}");
        assert!(stderr.contains("namespace-unspecified") && !stderr.contains("r/log:"), "{args:?}: {stderr}");
    }
}

#[test]
fn a_plugin_of_argo_cd_finds_the_batch_once_the_namespace_is_said() {
    let test_env = TestEnvironment::new();
    let repo = test_env.init("repo", &[]);
    repo.hold(&texts(RULE)).commit("start");
    repo.hold(&newer(texts(RULE))).commit("2");
    repo.git(&["switch", "-q", "--detach"]);
    let old = run(&repo, "apps", &["cmp", "generate"], "");
    assert!(both(&old).contains("r/log:1"), "{}", both(&old));
    repo.pillion(&["start"]);
    repo.git(&["switch", "-q", "--detach", "pillion/main/log~1"]);
    for (folder, args, stdin) in [
        ("apps", &["cmp", "generate"][..], String::new()),
        ("apps", &["cmp", "generate", "-"], web("{name: web}")),
        ("apps", &["render", "-"], web("{name: web}")),
        ("apps", &[], list(&web("{name: web}"))),
    ] {
        let output = run(&repo, folder, args, &stdin);
        assert!(both(&output).contains("r/log:2"), "{args:?}: {}", both(&output));
    }
    // A stream of another namespace: its key is not the ledger's.
    for (args, stdin) in [
        (&["cmp", "generate", "-"][..], web("{name: web, namespace: default}")),
        (&["render", "-"], web("{name: web, namespace: default}")),
        (&[], list(&web("{name: web, namespace: default}"))),
    ] {
        let output = run(&repo, "apps", args, &stdin);
        let text = both(&output);
        assert_eq!(output.status.code(), Some(1), "{args:?}: {text}");
        assert!(
            text.contains("Deployment.apps/shop/web") && text.contains("Deployment.apps/default/web"),
            "{text}"
        );
    }
    // Another application of the fleet is none of the entry's business.
    let other = run(&repo, "apps", &["render", "-"], &web("{name: other, namespace: default}"));
    assert!(other.status.success() && both(&other).contains("r/log:1"), "{}", both(&other));
}

#[test]
fn a_second_manifest_without_the_label_does_not_take_the_sidecar_away() {
    let second = web("{name: web}").replace(", log: \"true\"", "");
    for (path, text) in [
        ("apps/zz.yaml", second.clone()),
        ("apps/zz.yaml", second.replace("name: web}", "name: \"w\\u0065b\"}")),
        ("apps/zz.json", json_of(&second)),
        ("apps/zz.yaml", list(&second).replace("config.kubernetes.io/v1\nkind: Resource", "v1\nkind: ")),
    ] {
        let test_env = TestEnvironment::new();
        let repo = test_env.init("repo", &[]);
        let mut all = newer(texts(RULE));
        repo.hold(&all).commit("start");
        all.insert(path.into(), text);
        repo.hold(&all).commit("a second manifest");
        repo.git(&["switch", "-q", "--detach"]);
        let before = refs(&repo);
        for command in EVERY {
            let (code, stderr) = repo.refused(command);
            assert!(
                code == 1 && stderr.contains("duplicate-workload") && stderr.contains(path),
                "{command:?}: {stderr}"
            );
        }
        assert_eq!(before, refs(&repo));
    }
}

fn json_of(text: &str) -> String {
    let document = pillion::yaml::Document::read(&"web.yaml".into(), 0, 1, text).unwrap();
    document.value().to_string()
}

#[test]
fn one_file_is_not_of_two_clusters() {
    for clusters in [
        "clusters: [{name: eu}, {name: us, wave: 1}]\n",
        indoc! {"
            clusters:
            - {name: eu, folder: apps}
            - {name: us, folder: apps, wave: 1}
        "},
        "clusters: [{name: eu, folder: .}, {name: us, folder: apps, wave: 1}]\n",
    ] {
        let test_env = TestEnvironment::new();
        let repo = test_env.init("repo", &[]);
        let more = format!("{RULE}rendered: rendered\n{clusters}");
        let with_ledgers = |mut texts: Texts| {
            let ledger = texts.remove("ledgers/log.yaml").unwrap();
            for cluster in ["eu", "us"] {
                texts.insert(format!("ledgers/{cluster}/log.yaml"), ledger.clone());
            }
            texts
        };
        repo.hold(&with_ledgers(texts(&more))).commit("start");
        repo.hold(&with_ledgers(newer(texts(&more)))).commit("2");
        repo.git(&["switch", "-q", "--detach"]);
        let before = refs(&repo);
        for command in [&["plan"][..], &["start"], &["status"], &["verify"], &["render", "--out", "rendered"]]
        {
            let (code, stderr) = repo.refused(command);
            assert_eq!(code, 1, "{command:?}: {stderr}");
            for word in ["output-collision", "apps/web.yaml", "`eu`", "`us`"] {
                assert!(stderr.contains(word), "{command:?}: {stderr}");
            }
        }
        assert_eq!(before, refs(&repo));
        let doctor = both(&run(&repo, ".", &["doctor"], ""));
        assert!(doctor.contains("for cluster `eu` and for cluster `us`"), "{doctor}");
    }
}

#[test]
fn pods_that_one_ledger_knows_are_known_to_the_next_set() {
    let test_env = TestEnvironment::new();
    let repo = test_env.init("repo", &[]);
    let second = SET.replace("name: log", "name: proxy").replace("logtail", "envoy");
    let all = |log: &str, proxy: &str| {
        let mut all = texts(RULE);
        let web = all.get_mut("apps/web.yaml").unwrap();
        *web = web.replace("  replicas: 2\n", "");
        all.insert("sidecars/log.yaml".into(), SET.replace("r/log:1", log));
        all.insert("sidecars/proxy.yaml".into(), second.replace("r/log:1", proxy));
        all.insert("ledgers/proxy.yaml".into(), ledger_at(&second));
        all
    };
    repo.hold(&all("r/log:1", "r/log:1")).commit("start");
    repo.hold(&all("r/log:2", "r/log:1")).commit("2");
    repo.git(&["switch", "-q", "--detach"]);
    let pod = |n: u32| {
        serde_json::json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": format!("web-1-{n}"), "namespace": "shop",
            "labels": {"app": "web", "log": "true", "pod-template-hash": "1"},
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-1", "uid": "u", "controller": true}]}})
    };
    let pods =
        serde_json::json!({"apiVersion": "v1", "kind": "List", "items": (0..7).map(pod).collect::<Vec<_>>()});
    repo.put("../pods.json", pods.to_string());
    repo.pillion(&["start", "--cluster-state", "../pods.json"]);
    let ledger = String::from_utf8(repo.show("main:ledgers/log.yaml")).unwrap();
    assert!(ledger.contains("{workload: Deployment.apps/shop/web, pods: 7}"), "{ledger}");
    repo.git(&["switch", "-q", "main"]);
    repo.put("sidecars/proxy.yaml", second.replace("r/log:1", "r/log:9")).commit("9");
    repo.git(&["switch", "-q", "--detach"]);
    repo.pillion(&["start", "proxy"]);
    let ledger = String::from_utf8(repo.show("main:ledgers/proxy.yaml")).unwrap();
    assert!(ledger.contains("{workload: Deployment.apps/shop/web, pods: 7}"), "{ledger}");
    repo.pillion(&["verify", "main", "--base", "main~1"]);
}
