//! `build` commands of pillion.yaml and `--manifests`: every command uses the same manifests, and none takes an empty
//! or broken build for a cluster without workloads.

use crate::support::cluster_view::Texts;
use crate::support::git_fixtures::{Repo, TestEnvironment};
use crate::support::rollout_fixtures::{example, newer};

/// The example in the ledger-only layout: `make.sh` prints its manifests.
pub(crate) fn built() -> Texts {
    let mut texts = example();
    let apps: Vec<String> = texts.keys().filter(|path| path.starts_with("apps/")).cloned().collect();
    for path in &apps {
        let namespace = path.split('/').nth(1).unwrap();
        let text = texts.get_mut(path).unwrap();
        *text = text.replacen("metadata:\n", &format!("metadata:\n  namespace: {namespace}\n"), 1);
    }
    let listed = apps.join(" ");
    texts.insert("make.sh".into(), format!("#!/bin/sh\nfor f in {listed}; do echo ---; cat \"$f\"; done\n"));
    let config = texts.get_mut("pillion.yaml").unwrap();
    *config =
        config.replace("rendered: rendered\n", "").replace("sources: [apps]\n", "build: [sh, make.sh]\n");
    assert!(config.contains("build:") && !config.contains("rendered:"), "{config}");
    texts
}

/// A repository of it with 1.5.0 in the SidecarSet's file.
pub(crate) fn changed(test_env: &TestEnvironment) -> Repo {
    let repo = test_env.init("repo", &[]);
    repo.hold(&built()).commit("start");
    repo.hold(&newer(built())).commit("1.5.0");
    repo.git(&["switch", "-q", "--detach"]);
    repo
}

/// Every ref of a repository and where it is.
pub(crate) fn refs(repo: &Repo) -> String {
    repo.git(&["for-each-ref", "--format=%(refname) %(objectname)"])
}

#[test]
fn every_command_plans_what_is_built() {
    let test_env = TestEnvironment::new();
    let repo = changed(&test_env);
    let plan = repo.pillion(&["plan"]);
    assert!(plan.contains("3 workloads"), "{plan}");
    let staged = repo.pillion(&["start"]);
    assert!(staged.contains("batch 1/"), "{staged}");
    assert!(repo.pillion(&["status"]).contains("next: batch 1 of"), "{staged}");
    repo.pillion(&["approve", "log", "1"]);
    repo.pillion(&["verify", "main", "--base", "main~2"]);
    repo.pillion(&["hold", "Deployment/web", "--reason", "not now"]);
    repo.pillion(&["rollback", "log"]);
    let out = repo.pillion(&["render"]);
    assert!(out.contains("logtail:1.4.2"), "{out}");
    assert!(repo.pillion(&["explain", "Deployment/web"]).contains("log: injected"));
}

#[test]
fn a_build_that_makes_nothing_stops_every_command() {
    let test_env = TestEnvironment::new();
    let repo = changed(&test_env);
    repo.pillion(&["start"]);
    for (script, message) in [
        ("true", "build contains no manifest"),
        ("echo '# nothing'", "contains no manifest"),
        ("echo broken >&2; exit 7", "broken"),
        ("cat apps/*/*.yaml; exit 1", "the build failed"),
        ("printf 'a: \\377'", "UTF-8"),
        ("printf 'kind: [\\n'", "error"),
        ("exec no-such-program-at-all", "the build failed"),
    ] {
        repo.git(&["switch", "-q", "main"]);
        repo.put("make.sh", format!("#!/bin/sh\n{script}\n")).commit("a careless build");
        repo.git(&["switch", "-q", "--detach"]);
        let before = refs(&repo);
        for command in [
            &["plan"][..],
            &["start"],
            &["status"],
            &["verify"],
            &["verify", "--base", "HEAD~1"],
            &["approve", "log", "1"],
            &["pause", "log"],
            &["rollback", "log"],
            &["hold", "Deployment/web"],
            &["init", "rollout"],
            &["render"],
            &["explain", "Deployment/web"],
        ] {
            let (code, stderr) = repo.refused(command);
            assert_eq!(code, 1, "{script} {command:?}: {stderr}");
            assert!(
                stderr.contains("build") && stderr.contains("sh make.sh"),
                "{script} {command:?}: {stderr}"
            );
            let _ = message;
        }
        assert_eq!(before, refs(&repo), "{script}");
    }
}

#[test]
fn manifests_that_are_handed_over_win_and_may_not_be_empty() {
    let test_env = TestEnvironment::new();
    let repo = changed(&test_env);
    let all = repo.git(&["show", "HEAD:make.sh"]);
    assert!(all.contains("apps/"));
    let before = refs(&repo);
    for command in [&["start"][..], &["plan"], &["status"], &["verify"], &["pause", "log"]] {
        let (code, stderr) = repo.refused(&[command, &["--manifests", "-"]].concat());
        assert_eq!(code, 1, "{command:?}: {stderr}");
        assert!(stderr.contains("no-manifests"), "{command:?}: {stderr}");
    }
    assert_eq!(before, refs(&repo));
    // A build that would fail is not run.
    repo.git(&["switch", "-q", "main"]);
    let made = repo.command("sh").arg("make.sh").output().unwrap().stdout;
    repo.put("make.sh", "exit 1\n").commit("a broken build");
    repo.git(&["switch", "-q", "--detach"]);
    repo.put("../made.yaml", made);
    assert!(repo.pillion(&["stage", "--manifests", "../made.yaml"]).contains("batch 1/"));
}

#[test]
fn a_build_knows_no_credentials_and_runs_in_the_folder_of_the_commit() {
    let test_env = TestEnvironment::new();
    let repo = changed(&test_env);
    repo.git(&["switch", "-q", "main"]);
    let spy = "env > \"$OUT\"; pwd >> \"$OUT\"; ";
    let make = String::from_utf8(repo.show("HEAD:make.sh")).unwrap().replace("for f", &format!("{spy}for f"));
    repo.put("make.sh", make).commit("a build that looks around");
    repo.git(&["switch", "-q", "--detach"]);
    let out = test_env.path("env");
    let mut command = repo.command(env!("CARGO_BIN_EXE_pillion"));
    command.args(["stage"]).env("OUT", &out);
    for secret in [
        "GH_TOKEN",
        "GIT_CONFIG_VALUE_0",
        "GITHUB_TOKEN",
        "KUBECONFIG",
        "PILLION_CHECK_URL",
        "PILLION_PROVIDER_TOKEN",
        "PILLION_NOTIFY_URL",
        "PILLION_TOKEN",
        "SSH_AUTH_SOCK",
    ] {
        command.env(secret, "a-secret");
    }
    assert!(command.env("LANG", "kept").output().unwrap().status.success());
    let seen = std::fs::read_to_string(out).unwrap();
    assert!(!seen.contains("a-secret") && seen.contains("LANG=kept") && seen.contains("PATH="), "{seen}");
    assert!(!seen.contains(&repo.path.display().to_string()), "it must not run in the working tree: {seen}");
}

#[cfg(unix)]
#[test]
fn a_build_finds_neither_git_nor_links_that_lead_out() {
    let test_env = TestEnvironment::new();
    let repo = changed(&test_env);
    repo.git(&["switch", "-q", "main"]);
    repo.put("../secret", "s3cr3t");
    let link = |target: &str, name: &str| {
        let path = repo.path.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(target, path).unwrap();
    };
    let out = test_env.path("out").display().to_string();
    link(&test_env.path("secret").display().to_string(), "l/absolute");
    link("../../../../../../../../proc/self/environ", "l/up");
    link("../apps", "l/inside");
    link("inside/..", "l/root");
    // By name this one stays inside, and over the other one it leads out.
    link("root/..", "l/twice");
    link("twice", "l/chain");
    link("no-such-file", "l/nowhere");
    let make = String::from_utf8(repo.show("HEAD:make.sh")).unwrap();
    repo.put(
        "make.sh",
        format!("{make}\nls -A . l > {out}; cat l/absolute l/up l/chain/* >> {out} 2>&1; true\n"),
    );
    repo.commit("links");
    repo.git(&["switch", "-q", "--detach"]);
    repo.pillion(&["stage"]);
    let seen = std::fs::read_to_string(&out).unwrap();
    let names: Vec<&str> = seen.lines().collect();
    assert!(names.contains(&"inside") && names.contains(&"root"), "{seen}");
    for hidden in ["absolute", "up", "twice", "chain", "nowhere", ".git", "s3cr3t"] {
        assert!(!names.contains(&hidden), "{hidden}: {seen}");
    }
    // A build that fails says what it has not seen.
    repo.git(&["switch", "-q", "main"]);
    repo.put("make.sh", "cat l/up\n").commit("a build that needs one");
    repo.git(&["switch", "-q", "--detach"]);
    let stderr = repo.refused(&["stage"]).1;
    assert!(
        stderr.contains("a build does not see links with a target outside") && stderr.contains("`l/up`"),
        "{stderr}"
    );
}

#[test]
fn a_tree_with_a_folder_of_git_is_not_exported() {
    let test_env = TestEnvironment::new();
    let repo = changed(&test_env);
    for name in [".git", ".GIT", "git~1", ".git "] {
        let raw = git2::Repository::open(&repo.path).unwrap();
        let head = raw.find_commit(git2::Oid::from_str(&repo.id("main").to_string()).unwrap()).unwrap();
        let config = raw.blob(b"[core]\n\tfsmonitor = touch ran\n").unwrap();
        let mut folder = raw.treebuilder(None).unwrap();
        folder.insert("config", config, 0o100_644).unwrap();
        let id = folder.write().unwrap();
        // libgit2 does not write such a name, and an attacker does.
        let whole = head.tree().unwrap();
        let entries = std::iter::once((name.as_bytes().to_vec(), id, "40000")).chain(whole.iter().map(|e| {
            (
                e.name_bytes().to_vec(),
                e.id(),
                if e.kind() == Some(git2::ObjectType::Tree) { "40000" } else { "100644" },
            )
        }));
        let mut entries: Vec<_> = entries.collect();
        entries
            .sort_by_key(|(name, _, mode)| [&name[..], if *mode == "40000" { b"/" } else { b"" }].concat());
        let bytes: Vec<u8> = entries
            .iter()
            .flat_map(|(name, id, mode)| [mode.as_bytes(), b" ", name, b"\0", id.as_bytes()].concat())
            .collect();
        let tree = raw.odb().unwrap().write(git2::ObjectType::Tree, &bytes).unwrap();
        let out = tempfile::tempdir().unwrap();
        let refused = repo.open().export_tree(tree.to_string().parse().unwrap(), out.path());
        assert!(refused.is_err(), "{name:?}");
        assert!(!out.path().join(name).exists(), "{name:?}");
    }
}
