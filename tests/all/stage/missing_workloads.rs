//! The workloads of an open rollout disappear from the inputs: through a mistake in pillion.yaml, a moved folder or a
//! build. No command stages, releases, completes or changes anything until they are back; workloads that commits
//! removed do not block the rollout.

use crate::support::cluster_view::Texts;
use crate::support::git_fixtures::{Repo, TestEnvironment};
use crate::support::rollout_fixtures::newer;
use crate::workspace::builds::{built, refs};
use indoc::indoc;

/// Commands that must refuse.
pub(crate) const EVERY: &[&[&str]] = &[
    &["plan"],
    &["stage"],
    &["start"],
    &["status"],
    &["verify"],
    &["approve", "log", "1"],
    &["pause", "log"],
    &["rollback", "log"],
    &["hold", "Deployment/web"],
];

/// The example with ledgers only: no rendered file shows what is missing. Namespaces are written out.
pub(crate) fn plain() -> Texts {
    let mut texts = built();
    texts.remove("make.sh");
    let config = texts.get_mut("pillion.yaml").unwrap();
    *config = config.replace("build: [sh, make.sh]\n", "sources: [apps]\n");
    texts
}

/// A repository in which the rollout of 1.5.0 is open and its first batch is out.
fn open(test_env: &TestEnvironment, start: &Texts) -> Repo {
    let repo = test_env.init("repo", &[]);
    repo.hold(start).commit("start");
    repo.hold(&newer(start.clone())).commit("1.5.0");
    repo.git(&["switch", "-q", "--detach"]);
    repo.pillion(&["start"]);
    let ledger = String::from_utf8(repo.show("main:ledgers/log.yaml")).unwrap();
    assert!(ledger.contains("scope: {workloads: 3, pods: 11, digest: "), "{ledger}");
    // Batch 1, as `git push` of the staged branch's second commit.
    repo.git(&["update-ref", "refs/heads/main", "pillion/main/log~2"]);
    repo.git(&["switch", "-q", "--detach", "main"]);
    let steps =
        repo.git(&["log", "--format=%(trailers:key=Pillion-Action,valueonly,separator=)", "main~2..main"]);
    assert!(steps.contains("Batch") || steps.contains("Start"), "{steps}");
    repo
}

/// Commits a change of the working tree to main.
pub(crate) fn commit_change(repo: &Repo, what: &str, change: impl FnOnce(&Repo)) {
    repo.git(&["switch", "-q", "main"]);
    change(repo);
    repo.commit(what);
    repo.git(&["switch", "-q", "--detach"]);
}

fn edit(repo: &Repo, name: &str, from: &str, to: &str) {
    let text = std::fs::read_to_string(repo.path.join(name)).unwrap();
    assert!(text.contains(from), "{text}");
    repo.put(name, text.replace(from, to));
}

pub(crate) fn every_command_refuses(repo: &Repo, code: &str) {
    let before = refs(repo);
    for command in EVERY {
        let (exit, stderr) = repo.refused(command);
        assert_eq!(exit, 1, "{command:?}: {stderr}");
        assert!(stderr.contains(code), "{command:?}: {stderr}");
    }
    let (exit, stderr) = repo.refused(&["verify", "--base", "HEAD~1"]);
    assert!(exit == 1 && stderr.contains(code), "{stderr}");
    assert_eq!(before, refs(repo));
}

/// What a person does to a repository.
type Change = fn(&Repo);

#[test]
fn a_slip_in_the_middle_of_a_rollout_stops_every_command() {
    let slips: &[(&str, Change)] = &[
        ("sources name another folder", |repo| {
            repo.put(
                "other/service.yaml",
                indoc! {"
                    apiVersion: v1
                    kind: Service
                    metadata: {name: s, namespace: shop}
                "},
            );
            edit(repo, "pillion.yaml", "sources: [apps]", "sources: [other]");
        }),
        ("everything is ignored", |repo| {
            edit(repo, "pillion.yaml", "sources: [apps]", "sources: [apps]\nignore: ['apps/**']");
        }),
        ("one folder is ignored", |repo| {
            edit(repo, "pillion.yaml", "sources: [apps]", "sources: [apps]\nignore: [apps/data]");
        }),
        ("a folder is moved out of the sources", |repo| {
            repo.git(&["mv", "apps/shop", "shop"]);
        }),
        ("a manifest is moved out of the sources, and broken", |repo| {
            edit(repo, "apps/shop/web.yaml", "name: web", "name: web\n  annotations: {a");
            repo.git(&["mv", "apps/shop/web.yaml", "web.yaml"]);
        }),
        ("a manifest is renamed", |repo| {
            repo.git(&["mv", "apps/shop/web.yaml", "apps/shop/web.yaml.txt"]);
        }),
        ("sources lose a folder", |repo| {
            edit(repo, "pillion.yaml", "sources: [apps]", "sources: [apps/shop]");
        }),
        ("sources lose another folder", |repo| {
            edit(repo, "pillion.yaml", "sources: [apps]", "sources: [apps/data]");
        }),
        ("a build is written that prints a part", |repo| {
            repo.put("make.sh", "cat apps/shop/web.yaml\n");
            edit(repo, "pillion.yaml", "sources: [apps]", "build: [sh, make.sh]");
        }),
    ];
    for (what, mistake) in slips {
        let test_env = TestEnvironment::new();
        let repo = open(&test_env, &plain());
        commit_change(&repo, what, mistake);
        every_command_refuses(&repo, "workloads-missing");
    }
}

#[test]
fn a_fleet_that_vanishes_from_the_working_folder_is_no_plan() {
    let test_env = TestEnvironment::new();
    let repo = open(&test_env, &plain());
    repo.put(".gitignore", "apps/data\n");
    let (code, stderr) = repo.refused(&["plan"]);
    assert!(
        code == 1 && stderr.contains("workloads-missing") && stderr.contains("apps/data/events.yaml"),
        "{stderr}"
    );
}

#[test]
fn a_kustomization_in_the_place_of_manifests_stops_every_command() {
    let test_env = TestEnvironment::new();
    let repo = open(&test_env, &plain());
    commit_change(&repo, "kustomize", |repo| {
        repo.put("apps/shop/kustomization.yaml", "resources: [web.yaml, cart.yaml]\n");
    });
    every_command_refuses(&repo, "error");
}

#[test]
fn a_configuration_that_moves_into_a_folder_moves_no_workload() {
    let test_env = TestEnvironment::new();
    let repo = open(&test_env, &plain());
    commit_change(&repo, "move", |repo| {
        std::fs::create_dir(repo.path.join("gitops")).unwrap();
        for name in ["pillion.yaml", "ledgers", "sidecars"] {
            repo.git(&["mv", name, &format!("gitops/{name}")]);
        }
        repo.put(
            "gitops/apps/service.yaml",
            indoc! {"
                apiVersion: v1
                kind: Service
                metadata: {name: s, namespace: shop}
            "},
        );
    });
    let before = refs(&repo);
    for command in EVERY {
        let mut command = command.to_vec();
        command.extend(["--config", "gitops/pillion.yaml"]);
        let (exit, stderr) = repo.refused(&command);
        assert!(exit == 1 && stderr.contains("workloads-missing"), "{command:?}: {stderr}");
    }
    assert_eq!(before, refs(&repo));
}

#[test]
fn what_commits_have_removed_stops_nobody() {
    let removals: &[(&str, Change)] = &[
        ("a manifest is deleted", |repo| drop(repo.git(&["rm", "-q", "apps/shop/web.yaml"]))),
        ("a team takes the label away", |repo| {
            edit(repo, "apps/shop/web.yaml", "log: \"true\"", "log: \"no\"")
        }),
        ("a folder is renamed inside the sources", |repo| drop(repo.git(&["mv", "apps/shop", "apps/store"]))),
        ("a copy elsewhere was never read", |repo| {
            repo.git(&["rm", "-q", "apps/shop/web.yaml"]);
            repo.put(
                "apps/other.yaml",
                indoc! {"
                    apiVersion: v1
                    kind: Service
                    metadata: {name: web, namespace: shop}
                "},
            );
        }),
    ];
    for (what, removal) in removals {
        let test_env = TestEnvironment::new();
        let repo = open(&test_env, &plain());
        commit_change(&repo, what, removal);
        for command in [&["plan"][..], &["stage"], &["status"], &["verify"], &["verify", "--base", "HEAD~2"]]
        {
            repo.pillion(command);
        }
    }
}

#[test]
fn a_rollout_over_nothing_is_neither_started_nor_completed() {
    let test_env = TestEnvironment::new();
    let repo = open(&test_env, &plain());
    commit_change(&repo, "all applications go", |repo| {
        repo.git(&["rm", "-r", "-q", "apps"]);
        repo.put(
            "apps/service.yaml",
            indoc! {"
                apiVersion: v1
                kind: Service
                metadata: {name: s, namespace: shop}
            "},
        );
    });
    let before = repo.id("main");
    let status = repo.pillion(&["status"]);
    assert!(status.contains("neither starts nor completes"), "{status}");
    repo.pillion(&["start"]);
    assert_eq!(before, repo.id("main"));
    // A Complete that a person pushes all the same is what no command makes.
    commit_change(&repo, "close", |repo| {
        let ledger = std::fs::read_to_string(repo.path.join("ledgers/log.yaml")).unwrap();
        let closed: String = ledger
            .lines()
            .filter(|l| !l.starts_with("  scope:") && !l.starts_with("  target:") && !l.contains("batch:"))
            .map(|l| format!("{l}\n"))
            .collect();
        repo.put("ledgers/log.yaml", closed);
    });
    let (code, stderr) = repo.refused(&["verify", "--base", "HEAD~1"]);
    assert!(code == 1 && stderr.contains("ledger-not-planned"), "{stderr}");
}

#[test]
fn a_person_accepts_that_workloads_are_gone() {
    let test_env = TestEnvironment::new();
    let repo = open(&test_env, &plain());
    commit_change(&repo, "ignored on purpose", |repo| {
        edit(repo, "pillion.yaml", "sources: [apps]", "sources: [apps]\nignore: [apps/data]");
    });
    let before = repo.id("main");
    let stdout = repo.pillion(&["start", "log", "--accept-missing"]);
    assert!(stdout.contains("rollout started"), "{stdout}");
    let ledger = String::from_utf8(repo.show("main:ledgers/log.yaml")).unwrap();
    assert!(ledger.contains("scope: {workloads: 2, pods: 8, digest: "), "{ledger}");
    assert_eq!(
        repo.git(&["log", "-1", "--format=%(trailers:key=Pillion-Action,valueonly)", "main"]).trim(),
        "Start"
    );
    repo.pillion(&["verify", "main", "--base", &before.to_string()]);
    repo.pillion(&["status"]);
}

#[test]
fn a_rollout_of_built_manifests_wants_them_again() {
    let test_env = TestEnvironment::new();
    let repo = test_env.init("repo", &[]);
    let mut texts = built();
    let config = texts.get_mut("pillion.yaml").unwrap();
    *config = config.replace("build: [sh, make.sh]\n", "sources: [none.yaml]\n");
    texts.insert(
        "none.yaml".into(),
        indoc! {"
            apiVersion: v1
            kind: Service
            metadata: {name: s, namespace: shop}
        "}
        .into(),
    );
    repo.hold(&texts).commit("start");
    repo.hold(&newer(texts)).commit("1.5.0");
    let made = repo.command("sh").arg("make.sh").output().unwrap().stdout;
    repo.put("../made.yaml", &made);
    repo.git(&["switch", "-q", "--detach"]);
    // Forgotten at the start: no workload is concerned, and nothing begins.
    let stdout = repo.pillion(&["start"]);
    assert!(stdout.contains("neither starts nor completes"), "{stdout}");
    repo.pillion(&["start", "--manifests", "../made.yaml"]);
    let ledger = String::from_utf8(repo.show("main:ledgers/log.yaml")).unwrap();
    assert!(ledger.contains("built: true"), "{ledger}");
    repo.git(&["switch", "-q", "--detach", "main"]);
    every_command_refuses(&repo, "workloads-missing");
    // One application less, and no commit has removed it.
    let text = String::from_utf8(made).unwrap();
    let part: Vec<&str> = text.split("---\n").filter(|d| !d.contains("kind: CloneSet")).collect();
    repo.put("../part.yaml", part.join("---\n"));
    let before = refs(&repo);
    for command in EVERY {
        let (exit, stdout) = repo.refused(&[command, &["--manifests", "../part.yaml"][..]].concat());
        assert!(exit == 1 && stdout.contains("workloads-missing"), "{command:?}: {stdout}");
    }
    assert_eq!(before, refs(&repo));
    repo.pillion(&["verify", "--manifests", "../made.yaml"]);
}

#[test]
fn a_build_loses_workloads_by_commits_alone() {
    let test_env = TestEnvironment::new();
    let repo = open(&test_env, &built());
    commit_change(&repo, "a build forgets one", |repo| edit(repo, "make.sh", "apps/shop/cart.yaml", ""));
    every_command_refuses(&repo, "workloads-missing");
    commit_change(&repo, "and its manifest goes", |repo| {
        drop(repo.git(&["rm", "-q", "apps/shop/cart.yaml"]))
    });
    repo.pillion(&["status"]);
    repo.pillion(&["stage"]);
}

#[test]
fn a_shallow_clone_counts() {
    let test_env = TestEnvironment::new();
    let repo = open(&test_env, &plain());
    commit_change(&repo, "one folder is ignored", |repo| {
        edit(repo, "pillion.yaml", "sources: [apps]", "sources: [apps]\nignore: [apps/data]");
    });
    let clone = test_env.clone(&repo, "clone", &["--depth", "1", "--branch", "main"]);
    let (code, stderr) = clone.refused(&["status", "--no-fetch"]);
    assert!(code == 1 && stderr.contains("workloads-missing"), "{stderr}");
}
