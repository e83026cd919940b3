//! `build` commands of pillion.yaml and `--manifests`: every command sees the same manifests, and none of them takes
//! an empty or broken build for a cluster without workloads.

use crate::git_world::{Repo, World};
use crate::site::Texts;
use crate::stage_world::{example, newer};

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
pub(crate) fn changed(world: &World) -> Repo {
    let repo = world.init("repo", &[]);
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
    let world = World::new();
    let repo = changed(&world);
    let plan = repo.pillion(&["plan"]);
    assert!(plan.contains("3 workloads"), "{plan}");
    let staged = repo.pillion(&["stage", "--start"]);
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
    let world = World::new();
    let repo = changed(&world);
    repo.pillion(&["stage", "--start"]);
    for (script, told) in [
        ("true", "build gives no manifest"),
        ("echo '# nothing'", "gives no manifest"),
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
            &["stage", "--start"],
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
            let (code, said) = repo.refused(command);
            assert_eq!(code, 1, "{script} {command:?}: {said}");
            assert!(said.contains("build") && said.contains("sh make.sh"), "{script} {command:?}: {said}");
            let _ = told;
        }
        assert_eq!(before, refs(&repo), "{script}");
    }
}

#[test]
fn manifests_that_are_handed_over_win_and_may_not_be_empty() {
    let world = World::new();
    let repo = changed(&world);
    let all = repo.git(&["show", "HEAD:make.sh"]);
    assert!(all.contains("apps/"));
    let before = refs(&repo);
    for command in [&["stage", "--start"][..], &["plan"], &["status"], &["verify"], &["pause", "log"]] {
        let (code, said) = repo.refused(&[command, &["--manifests", "-"]].concat());
        assert_eq!(code, 1, "{command:?}: {said}");
        assert!(said.contains("no-manifests"), "{command:?}: {said}");
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
    let world = World::new();
    let repo = changed(&world);
    repo.git(&["switch", "-q", "main"]);
    let spy = "env > \"$OUT\"; pwd >> \"$OUT\"; ";
    let make = String::from_utf8(repo.show("HEAD:make.sh")).unwrap().replace("for f", &format!("{spy}for f"));
    repo.put("make.sh", make).commit("a build that looks around");
    repo.git(&["switch", "-q", "--detach"]);
    let out = world.path("env");
    let mut command = repo.command(env!("CARGO_BIN_EXE_pillion"));
    command.args(["stage"]).env("OUT", &out);
    for secret in ["GITHUB_TOKEN", "PILLION_FORGE_TOKEN", "PILLION_NOTIFY_URL", "SSH_AUTH_SOCK", "KUBECONFIG"]
    {
        command.env(secret, "a-secret");
    }
    assert!(command.env("LANG", "kept").output().unwrap().status.success());
    let seen = std::fs::read_to_string(out).unwrap();
    assert!(!seen.contains("a-secret") && seen.contains("LANG=kept") && seen.contains("PATH="), "{seen}");
    assert!(!seen.contains(&repo.path.display().to_string()), "it must not run in the working tree: {seen}");
}
