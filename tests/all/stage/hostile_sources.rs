//! With two branches: the source commit of a rendered head is accepted only where it is certain.

use crate::support::git_fixtures::{Repo, TestEnvironment};
use crate::support::rollout_fixtures::{newer, two_branches};
use crate::watch::simulation::{Heard, Shared, turn};
use pillion::git::ObjectId;
use pillion::stage::{BranchConfig, RepoContext, read_configuration};
use pillion::watch::evaluation::OutOfSyncSince;
use pillion::watch::watch_loop::{Iteration, Watcher};
use pillion::workspace::ManifestSource;
use std::cell::RefCell;
use std::path::PathBuf;

/// A remote with sources on `main` and an edited SidecarSet rendered onto `env/prod`, and a clone of it.
struct Team {
    test_env: TestEnvironment,
    origin: Repo,
    one: Repo,
}

fn team() -> Team {
    let test_env = TestEnvironment::new();
    let first = test_env.init("first", &[]);
    first.hold(&two_branches()).commit("start");
    let origin = test_env.clone(&first, "origin", &["--bare"]);
    origin.git(&["remote", "remove", "origin"]);
    let one = test_env.clone(&origin, "one", &[]);
    one.pillion(&["render", "--branch", "env/prod", "--create", "--push"]);
    one.pillion(&["init", "rollout", "--push"]);
    one.hold(&newer(two_branches())).commit("log 1.5.0");
    one.git(&["push", "-q", "origin", "main"]);
    one.pillion(&["render", "--branch", "env/prod", "--push"]);
    Team { test_env, origin, one }
}

impl Team {
    fn clone(&self, name: &str, options: &[&str]) -> Repo {
        self.test_env.clone(&self.origin, name, options)
    }

    /// A person has a commit merged to `env/prod` that changes a file of no meaning, with this message.
    fn merge(&self, name: &str, message: &str) -> ObjectId {
        let repo = self.clone(name, &["-b", "env/prod"]);
        repo.put("README.md", message);
        let made = repo.commit(message);
        repo.git(&["push", "-q", "origin", "HEAD:env/prod"]);
        made
    }

    /// A person pushes sources that were not merged to a branch that is not protected: with a command of theirs.
    fn evil(&self) -> ObjectId {
        let repo = self.clone("evil", &[]);
        let mut text = String::from_utf8(repo.show("HEAD:pillion.yaml")).unwrap();
        let mark = self.test_env.path("ran").display().to_string();
        text.push_str(&format!("build: [sh, -c, 'touch {mark}; cat apps/*/*.yaml']\n"));
        let made = repo.put("pillion.yaml", text).commit("settings");
        repo.git(&["push", "-q", "origin", "HEAD:pillion/env/prod/zz"]);
        made
    }

    fn has_run(&self) -> bool {
        self.test_env.path("ran").exists()
    }
}

/// What a watcher makes of a clone, after a fetch: whether it goes on, and what it says otherwise.
fn watch(repo: &Repo) -> Result<(), String> {
    let repository = repo.open();
    let config = PathBuf::from("pillion.yaml");
    let main = repository.find_ref("refs/remotes/origin/main").unwrap();
    let (read, _) = read_configuration(&repository, main, &config).unwrap();
    let branches = BranchConfig::from_repository(&read.unwrap().repository).unwrap();
    let opened = RepoContext { repository, config, branches, manifest_source: ManifestSource::default() };
    opened.fetch_with_staged().map_err(|failure| failure.to_string())?;
    let shared = RefCell::new(Shared::calm());
    match turn(&Watcher::default(), &opened, &shared, &mut OutOfSyncSince::new(), &mut Heard::default()) {
        Ok(Iteration::Evaluated(_)) => Ok(()),
        Ok(Iteration::Invalid(diagnostics)) => {
            Err(diagnostics.into_iter().map(|d| format!("[{}] {}", d.code.name(), d.message)).collect())
        }
        Err(failure) => Err(failure.to_string()),
    }
}

/// Every command that reads what is live refuses, for one reason, and nothing on the remote moves.
fn everything_refuses(team: &Team, repo: &Repo, code: i32, why: &str) {
    let before = team.origin.git(&["for-each-ref"]);
    for args in [
        &["status"][..],
        &["stage", "--push"],
        &["start", "log"],
        &["verify", "origin/env/prod"],
        &["plan"],
        &["pause", "log"],
        &["hold", "Deployment/shop/web"],
        &["render", "--branch", "env/prod", "--push"],
        &["init", "rollout", "--push"],
    ] {
        let (rc, stderr) = repo.refused(args);
        assert!(rc == code && stderr.contains(why), "{args:?}: {rc} {stderr}");
        assert!(!stderr.contains("damaged"), "{args:?}: {stderr}");
    }
    let stderr = watch(repo).unwrap_err();
    assert!(stderr.contains(why) || code == 3, "watch: {stderr}");
    assert_eq!(team.origin.git(&["for-each-ref"]), before);
}

#[test]
fn a_trailer_of_another_commit_than_a_render_says_nothing() {
    let team = team();
    let sources = team.one.id("main");
    let evil = team.evil();
    let messages = [
        format!("docs: readme\n\nPillion-Source: {evil}"),
        format!("docs: readme\n\npillion-source: {evil}\nArgocd-reference-commit-sha: {evil}"),
        format!("log: hold\n\nPillion-Action: Hold\nPillion-SidecarSet: log\nPillion-Source: {evil}"),
        format!("docs: readme\n\nPillion-Action: Render\nPillion-Source: {evil}\n\nand a last word"),
        format!("Pillion-Action: Render Pillion-Source: {evil}"),
    ];
    for (n, message) in messages.iter().enumerate() {
        team.merge(&format!("other-{n}"), message);
        for repo in [&team.clone(&format!("fresh-{n}"), &[]), &team.one] {
            repo.git(&["fetch", "-q", "origin"]);
            repo.pillion(&["verify", "--base", "origin/env/prod~1", "origin/env/prod"]);
            repo.pillion(&["stage", "--push"]);
            let staged = repo.git(&[
                "show",
                "-s",
                "--format=%(trailers:key=Pillion-Source,valueonly)",
                "pillion/env/prod/log",
            ]);
            assert_eq!(staged, sources.to_string(), "{message}");
            watch(repo).unwrap();
        }
    }
    assert!(!team.has_run());
}

#[test]
fn a_forged_render_is_refused_by_everything() {
    let team = team();
    let evil = team.evil();
    let forged =
        team.merge("other", &format!("render: docs\n\nPillion-Action: Render\nPillion-Source: {evil}"));
    team.one.git(&["fetch", "-q", "origin", "pillion/env/prod/zz"]);
    everything_refuses(&team, &team.one, 1, "untrusted-source");
    let (_, stderr) = team.one.refused(&["status"]);
    assert!(
        stderr.contains(&forged.short())
            && stderr.contains(&evil.short())
            && stderr.contains("which is not on `main` of `origin`"),
        "{stderr}"
    );
    // A clone that has no such commit is as well as any other.
    team.origin.git(&["update-ref", "-d", "refs/heads/pillion/env/prod/zz"]);
    let fresh = team.clone("fresh", &[]);
    everything_refuses(&team, &fresh, 1, "untrusted-source");
    let (_, stderr) = fresh.refused(&["status"]);
    assert!(stderr.contains("which is not in this clone and not on `main` of `origin`"), "{stderr}");
    assert!(!team.has_run());
    // A person looks, and renders what `main` is.
    fresh.pillion(&["render", "--branch", "env/prod", "--push", "--accept-rewritten"]);
    for repo in [&fresh, &team.one] {
        assert!(repo.pillion(&["status"]).starts_with("log: "));
        watch(repo).unwrap();
    }
    let source =
        fresh.git(&["show", "-s", "--format=%(trailers:key=Pillion-Source,valueonly)", "origin/env/prod"]);
    assert_eq!(source, fresh.id("main").to_string());
    assert!(!team.has_run());
}

#[test]
fn trailers_that_say_two_things_are_refused() {
    let team = team();
    let (evil, sources) = (team.evil(), team.one.id("main"));
    for (n, trailers) in [
        format!("Pillion-Action: Render\nPillion-Source: {evil}\nPillion-Source: {sources}"),
        format!("Pillion-Action: Render\npillion-source: {evil}\nPILLION-SOURCE: {sources}"),
        format!("Pillion-Action: Batch\nPillion-Source: {sources}\nPillion-Action: Render"),
        "Pillion-Action: Render\nPillion-Source: main".to_owned(),
        "Pillion-Action: Render\nPillion-Batch: 1/2".to_owned(),
    ]
    .iter()
    .enumerate()
    {
        team.merge(&format!("other-{n}"), &format!("render: docs\n\n{trailers}"));
        let (code, stderr) = team.one.refused(&["status"]);
        assert!(code == 1 && stderr.contains("error[untrusted-source]"), "{trailers}: {stderr}");
    }
    // What is said twice alike is said once.
    team.merge(
        "same",
        &format!(
            "render: docs\n\nPillion-Action: Render\nPillion-Source: {sources}\nPillion-Source: {sources}"
        ),
    );
    team.one.pillion(&["status"]);
}

#[test]
fn an_older_source_does_not_come_back() {
    let team = team();
    let web = String::from_utf8(team.one.show("HEAD:apps/shop/web.yaml")).unwrap();
    for n in 0..2 {
        team.one.put("notes.txt", n.to_string()).commit("notes");
        team.one.put("apps/shop/web.yaml", web.replace("web:2.4", &format!("web:3.{n}"))).commit("web");
        team.one.git(&["push", "-q", "origin", "main"]);
        team.one.pillion(&["render", "--branch", "env/prod", "--push"]);
    }
    let render = |source: &str| {
        format!("render: docs\n\nPillion-Action: Render\nPillion-Source: {}", team.one.id(source))
    };
    team.merge("other", &render("main~4"));
    everything_refuses(&team, &team.one, 1, "is older than");
    // Two in a row are not better than one.
    team.merge("another", &render("main~2"));
    everything_refuses(&team, &team.one, 1, "is older than");
    team.one.pillion(&["render", "--branch", "env/prod", "--push", "--accept-rewritten"]);
    team.one.pillion(&["status"]);
    watch(&team.one).unwrap();
}

#[test]
fn sources_that_were_rewritten_stop_everything_until_a_person_accepts_it() {
    let team = team();
    let other = team.clone("other", &[]);
    other.git(&["commit", "-q", "--amend", "-m", "log 1.5.0, in other words"]);
    other.git(&["push", "-q", "--force", "origin", "main"]);
    other.git(&["fetch", "-q", "origin"]);
    everything_refuses(&team, &other, 1, "untrusted-source");
    everything_refuses(&team, &team.clone("fresh", &[]), 1, "untrusted-source");
    other.pillion(&["render", "--branch", "env/prod", "--push", "--accept-rewritten"]);
    for repo in [&other, &team.clone("again", &[])] {
        repo.pillion(&["status"]);
        repo.pillion(&["stage"]);
        watch(repo).unwrap();
    }
}

#[test]
fn a_shallow_clone_does_not_call_a_source_forged() {
    let team = team();
    team.one.pillion(&["hold", "Deployment/shop/web"]);
    for depth in ["1", "2"] {
        let shallow =
            team.clone(&format!("shallow-{depth}"), &[&format!("--depth={depth}"), "--no-single-branch"]);
        for args in [&["status"][..], &["verify", "origin/env/prod"]] {
            let output = shallow.try_pillion(args);
            let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
            match output.status.code().unwrap() {
                0 => {}
                3 => assert!(stderr.contains("git fetch --unshallow"), "{depth} {args:?}: {stderr}"),
                code => panic!("{depth} {args:?}: {code} {stderr}"),
            }
        }
        shallow.git(&["fetch", "-q", "--unshallow", "origin"]);
        shallow.pillion(&["status"]);
    }
    let shallow = team.clone("shallow", &["--depth=1", "--no-single-branch"]);
    assert_eq!(shallow.refused(&["status"]).0, 3);
}

#[test]
fn a_clone_that_is_behind_fetches_what_it_needs() {
    let team = team();
    let narrow = team.clone("narrow", &["--single-branch", "-b", "env/prod"]);
    narrow.git(&["config", "--unset-all", "remote.origin.fetch"]);
    assert!(narrow.try_git(&["rev-parse", "--verify", "-q", "origin/main"]).stdout.is_empty());
    // pillion.yaml is on the branch of the sources alone.
    narrow.put("pillion.yaml", team.one.show("main:pillion.yaml"));
    narrow.pillion(&["verify", "HEAD"]);
    let stale = team.clone("stale", &[]);
    team.one.put("notes.txt", "new").put(
        "apps/shop/web.yaml",
        String::from_utf8(team.one.show("main:apps/shop/web.yaml")).unwrap().replace("web:2.", "web:3."),
    );
    team.one.commit("web");
    team.one.git(&["push", "-q", "origin", "main"]);
    team.one.pillion(&["render", "--branch", "env/prod", "--push"]);
    stale.git(&["fetch", "-q", "origin", "env/prod:refs/remotes/origin/env/prod"]);
    stale.pillion(&["verify", "origin/env/prod"]);
    // Where that is not possible, it is said, and nothing is called forged.
    let cut_off = team.clone("cut-off", &[]);
    cut_off.git(&["update-ref", "refs/remotes/origin/main", "origin/main~1"]);
    cut_off.git(&["config", "remote.origin.url", "file:///nowhere"]);
    let (code, stderr) = cut_off.refused(&["verify", "origin/env/prod"]);
    assert!(code == 3 && stderr.contains("cannot be fetched"), "{stderr}");
}

#[test]
fn only_what_is_on_the_branch_of_the_sources_is_rendered() {
    let team = team();
    let before = team.origin.id("env/prod");
    team.one.put("notes.txt", "mine").commit("not pushed");
    let (code, stderr) = team.one.refused(&["render", "--branch", "env/prod", "--push"]);
    assert!(code == 2 && stderr.contains("is not on `main` of `origin`"), "{stderr}");
    assert_eq!(team.origin.id("env/prod"), before);
    team.one.git(&["push", "-q", "origin", "main"]);
    team.one.pillion(&["render", "--branch", "env/prod", "--push"]);
    // What stays in this repository may be rendered from what is only there.
    let alone = TestEnvironment::new();
    let repo = alone.init("repo", &[]);
    repo.hold(&two_branches()).commit("start");
    repo.pillion(&["render", "--branch", "env/prod", "--create"]);
    repo.git(&["switch", "-q", "-c", "feature"]);
    repo.put("notes.txt", "mine").commit("mine");
    let before = repo.id("env/prod");
    assert_eq!(repo.refused(&["render", "--branch", "env/prod"]).0, 2);
    assert_eq!(repo.id("env/prod"), before);
}

#[test]
fn a_merge_with_its_parents_the_other_way_round_hides_no_render() {
    let team = team();
    let web = String::from_utf8(team.one.show("HEAD:apps/shop/web.yaml")).unwrap();
    team.one.put("apps/shop/web.yaml", web.replace("web:2.4", "web:2.5")).commit("web 2.5");
    team.one.git(&["push", "-q", "origin", "main"]);
    team.one.pillion(&["render", "--branch", "env/prod", "--push"]);
    let other = team.clone("other", &["-b", "env/prod"]);
    let head = other.id("HEAD");
    other.git(&["switch", "-q", "--orphan", "line"]);
    let message =
        format!("render: docs\n\nPillion-Action: Render\nPillion-Source: {}", other.id("origin/main~1"));
    other.git(&["commit", "-q", "--allow-empty", "-m", &message]);
    let merge = other.git(&[
        "commit-tree",
        "-m",
        "merge",
        "-p",
        "HEAD",
        "-p",
        &head.to_string(),
        &format!("{head}~1^{{tree}}"),
    ]);
    other.git(&["push", "-q", "origin", &format!("{merge}:env/prod")]);
    everything_refuses(&team, &team.one, 1, "is older than");
    everything_refuses(&team, &team.clone("fresh", &[]), 1, "is older than");
}

#[test]
fn a_change_does_not_name_the_branch_that_it_is_judged_by() {
    let team = team();
    let evil = team.evil();
    let repo = team.clone("other", &["-b", "env/prod"]);
    repo.git(&["push", "-q", "origin", &format!("{evil}:refs/heads/feature/x")]);
    repo.git(&["fetch", "-q", "origin"]);
    let settings = String::from_utf8(repo.show("origin/main:pillion.yaml")).unwrap();
    assert!(settings.contains("  source: main\n"), "{settings}");
    repo.put("pillion.yaml", settings.replace("  source: main\n", "  source: feature/x\n"));
    repo.commit(&format!("render: docs\n\nPillion-Action: Render\nPillion-Source: {evil}"));
    let (code, stderr) = repo.refused(&["verify", "--base", "origin/env/prod", "HEAD"]);
    assert!(code == 1 && stderr.contains("`git.source` is `feature/x` here, and `main` at"), "{stderr}");
    let (code, stderr) =
        repo.refused(&["verify", "--branch", "origin/main", "--base", "origin/env/prod", "HEAD"]);
    assert!(code == 1 && stderr.contains("which is not on `main` of `origin`"), "{stderr}");
    assert!(!team.has_run());
    // A tag is not a branch.
    repo.git(&["tag", "main", "HEAD"]);
    repo.git(&["branch", "main", "origin/main"]);
    let (_, stderr) = repo.refused(&["verify", "--branch", "main", "--base", "origin/env/prod", "HEAD"]);
    assert!(stderr.contains("which is not on `main` of `origin`"), "{stderr}");
}
