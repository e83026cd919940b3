//! Authors and dates: a command of a person names that person, and a released commit has the time of its release.

use crate::support::cluster_view::Texts;
use crate::support::git_fixtures::{Repo, TestEnvironment};
use crate::support::rollout_fixtures::{example, in_two_clusters, newer, released};
use std::collections::BTreeSet;
use std::fs;
use std::process::Output;
use std::thread;

/// A moment at which a person does something, long after the commits of the tests.
const THEN: &str = "1700000000";

/// A bare remote with the edited example, and a clone of it.
fn shared(test_env: &TestEnvironment) -> (Repo, Repo) {
    let first = released(test_env, "first");
    first.hold(&newer(example())).commit("log 1.5.0");
    let origin = test_env.clone(&first, "origin.git", &["--bare"]);
    (test_env.clone(&origin, "clone", &[]), origin)
}

/// Runs pillion at a known moment.
fn then(repo: &Repo, args: &[&str]) -> Output {
    let mut command = repo.command(env!("CARGO_BIN_EXE_pillion"));
    let output = command.env("SOURCE_DATE_EPOCH", THEN).args(args).output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

/// Author and committer of a commit, each with the time, and who is said to have done it.
fn who(repo: &Repo, commit: &str) -> String {
    let format = "--format=%an <%ae> %at|%cn <%ce> %ct|%(trailers:key=Pillion-By,valueonly)";
    repo.git(&["log", "-1", format, commit]).trim().to_owned()
}

const PERSON: &str =
    "A Person <a@example.com> 1700000000|pillion <pillion@acme.example> 1700000000|A Person <a@example.com>";

#[test]
fn a_time_that_is_not_a_number_is_refused() {
    let test_env = TestEnvironment::new();
    let (clone, origin) = shared(&test_env);
    let before = origin.id("main");
    let mut command = clone.command(env!("CARGO_BIN_EXE_pillion"));
    let output = command.env("SOURCE_DATE_EPOCH", "2026-01-01").arg("start").output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("SOURCE_DATE_EPOCH must be a number of seconds since 1970"), "{stderr}");
    assert_eq!(origin.id("main"), before);
}

#[test]
fn what_a_person_does_is_that_persons() {
    let test_env = TestEnvironment::new();
    let (clone, origin) = shared(&test_env);
    clone.pillion(&["stage"]);
    let staged = clone.id("pillion/main/log~5");
    then(&clone, &["start"]);
    assert_eq!(who(&origin, "main"), PERSON);
    // The same as the staged one, but for who and when.
    let of = |commit: &str| clone.git(&["log", "-1", "--format=%T%n%P%n%B", commit]);
    let by = "Pillion-By: A Person <a@example.com>\n";
    assert!(of("origin/main").contains(by));
    assert_eq!(of("origin/main").replace(by, ""), of(&staged.to_string()));
    let staged = who(&clone, &staged.to_string());
    assert_eq!(
        staged,
        "pillion <pillion@acme.example> 1600000000|pillion <pillion@acme.example> 1600000000|"
    );
    for args in [
        &["pause", "log", "--reason", "lunch"][..],
        &["resume", "log"],
        &["approve", "log", "1"],
        &["hold", "deployment/web"],
        &["hold", "deployment/web", "--off"],
        &["rollback", "log"],
    ] {
        let stdout = String::from_utf8(then(&clone, args).stdout).unwrap();
        assert_eq!(who(&origin, "main"), PERSON, "{args:?}");
        assert!(stdout.contains("\npushed to origin/main\n"), "{stdout}");
        if args[0] == "pause" {
            let ledger = String::from_utf8(origin.show("main:ledgers/log.yaml")).unwrap();
            assert!(ledger.contains("by: A Person <a@example.com>"), "{ledger}");
            assert!(stdout.ends_with("next: `pillion resume log` resumes it\n"), "{stdout}");
        }
    }
    let keys = origin.git(&["log", "-1", "--format=%(trailers:keyonly)", "main"]);
    let keys: Vec<&str> = keys.lines().filter(|l| !l.is_empty()).collect();
    let mut sorted = keys.clone();
    sorted.sort_unstable();
    assert_eq!(keys, sorted);
    // The ledger changes are those of verbs, whoever did them and whenever.
    clone.git(&["pull", "-q"]);
    clone.pillion(&["verify", "--base", "HEAD~7"]);
    let status = clone.pillion(&["status"]);
    assert!(status.contains("since 2023-11-14T22:13:20Z"), "{status}");
}

#[test]
fn what_is_left_here_says_who_and_how_it_goes_on() {
    let test_env = TestEnvironment::new();
    let (clone, origin) = shared(&test_env);
    let before = origin.id("main");
    let stdout = String::from_utf8(then(&clone, &["pause", "log", "--no-push"]).stdout).unwrap();
    assert!(stdout.ends_with("next: `git push origin refs/pillion/outbox:main` releases it\n"), "{stdout}");
    assert_eq!(who(&clone, "refs/pillion/outbox"), PERSON);
    assert_eq!(origin.id("main"), before);
}

#[test]
fn a_staged_branch_follows_what_was_released() {
    let test_env = TestEnvironment::new();
    let (clone, origin) = shared(&test_env);
    clone.pillion(&["stage", "--push"]);
    let stdout = String::from_utf8(then(&clone, &["start", "--push"]).stdout).unwrap();
    let head = origin.id("main");
    assert!(
        stdout.contains(&format!("`pillion/main/log` rebased onto {} and pushed", head.short())),
        "{stdout}"
    );
    assert_eq!(origin.id("pillion/main/log~5"), head);
    // Anybody makes the same ones, with the time of what they stand on.
    let other = test_env.clone(&origin, "other", &[]);
    other.pillion(&["stage"]);
    assert_eq!(other.id("refs/heads/pillion/main/log"), origin.id("pillion/main/log"));
    assert!(who(&other, "pillion/main/log").ends_with("pillion@acme.example> 1700000000|"));
    // Something else on it is not followed.
    clone.put("README", "hello").git(&["add", "README"]);
    clone.git(&["pull", "-q", "--rebase", "--autostash"]);
    clone.commit("readme");
    clone.git(&["push", "-q", "origin", "HEAD:main"]);
    assert!(clone.pillion(&["stage"]).contains("recreated"));
}

#[test]
fn signed_commits_are_signed_as_they_are_released() {
    let test_env = TestEnvironment::new();
    let (clone, origin) = shared(&test_env);
    let key = test_env.path("key").display().to_string();
    let made = clone.command("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f", &key]).output();
    assert!(made.unwrap().status.success());
    clone.set("commit.gpgsign", "true").set("gpg.format", "ssh").set("user.signingkey", &key);
    then(&clone, &["start"]);
    let object = origin.git(&["cat-file", "-p", "main"]);
    assert!(object.contains("\ngpgsig -----BEGIN SSH SIGNATURE"), "{object}");
    assert_eq!(object.matches("gpgsig").count(), 1, "{object}");
    assert_eq!(who(&origin, "main"), PERSON);
    let public = fs::read_to_string(format!("{key}.pub")).unwrap();
    fs::write(test_env.path("allowed"), format!("* {public}")).unwrap();
    clone.set("gpg.ssh.allowedSignersFile", &test_env.path("allowed").display().to_string());
    clone.git(&["verify-commit", "origin/main"]);
}

/// The example with many workloads, each of its own.
fn many(count: usize) -> Texts {
    let mut texts = example();
    let web = texts.remove("apps/shop/web.yaml").unwrap();
    for n in 0..count {
        texts.insert(format!("apps/shop/web{n}.yaml"), web.replace("web", &format!("web{n}")));
    }
    texts
}

#[test]
fn of_many_at_once_nobody_loses() {
    const MANY: usize = 8;
    let test_env = TestEnvironment::new();
    let first = test_env.init("first", &[]);
    first.hold(&many(MANY)).render().commit("start");
    let origin = test_env.clone(&first, "origin.git", &["--bare"]);
    let clones: Vec<Repo> = (0..MANY).map(|n| test_env.clone(&origin, &format!("clone{n}"), &[])).collect();
    let ended: Vec<Output> = thread::scope(|scope| {
        let hold = |n: usize, clone: &Repo| {
            clone.try_pillion(&["hold", &format!("deployment/web{n}"), "--reason", &format!("by {n}")])
        };
        let running: Vec<_> =
            clones.iter().enumerate().map(|(n, clone)| scope.spawn(move || hold(n, clone))).collect();
        running.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    for output in &ended {
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{stderr}");
    }
    let ledger = String::from_utf8(origin.show("main:ledgers/log.yaml")).unwrap();
    for n in 0..MANY {
        assert!(ledger.contains(&format!("held: by {n}")), "{ledger}");
    }
    let subjects = origin.git(&["log", &format!("-{MANY}"), "--format=%s", "main"]);
    assert_eq!(subjects.lines().collect::<BTreeSet<_>>().len(), MANY, "{subjects}");
    assert_eq!(origin.git(&["log", "--merges", "--format=%s", "main"]), "");
}

#[test]
fn quiet_hides_no_error() {
    let test_env = TestEnvironment::new();
    let (clone, _) = shared(&test_env);
    clone.pillion(&["start"]);
    for (args, words) in [
        (&["plan", "-q", "-"][..], "--manifests -"),
        (&["explain", "-q", "a/b/c/d"], "is not the name of a workload"),
        (&["stage", "-q", "lgo"], "did you mean `log`?"),
        (&["status", "-q", "lgo"], "did you mean `log`?"),
        (&["status", "-q", "--cluster", "eu"], "no cluster `eu`"),
        (&["hold", "-q", "deployment/none"], "there is no workload `deployment/none`"),
        (&["render", "-q", "--branch", "other"], "one branch"),
        (&["print", "-q", "helm4", "none"], "has no file"),
    ] {
        let output = clone.try_pillion(args);
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && stderr.contains(words), "{args:?}: {stderr}");
    }
}

#[test]
fn a_rollout_that_is_none_is_an_error() {
    let test_env = TestEnvironment::new();
    let (clone, _) = shared(&test_env);
    let (code, stderr) = clone.refused(&["status", "lgo"]);
    assert!(code == 2 && stderr.contains("there is no SidecarSet `lgo`: did you mean `log`?"), "{stderr}");
    let (code, stderr) = clone.refused(&["pause", "lgo"]);
    assert!(code == 2 && stderr.contains("did you mean `log`?"), "{stderr}");
    assert!(clone.pillion(&["status", "log"]).starts_with("log: "));
    // Of a ledger that is broken it is not said that there is none.
    let text = String::from_utf8(clone.show("HEAD:ledgers/log.yaml")).unwrap();
    clone.put("ledgers/log.yaml", text.replace("released:", "relaesed:")).commit("by hand");
    clone.git(&["push", "-q", "origin", "main"]);
    for args in [&["status"][..], &["status", "log"]] {
        let output = clone.try_pillion(args);
        let stderr = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(!output.status.success() && stderr.contains("did you mean `released`?"), "{stderr}");
        assert!(!stderr.contains("init rollout") && !stderr.contains("there is no SidecarSet"), "{stderr}");
    }
}

#[test]
fn an_emergency_image_tells_which_set_is_meant() {
    let test_env = TestEnvironment::new();
    let repo = test_env.init("repo", &[]);
    let mut texts = example();
    let proxy = texts["sidecars/log.yaml"].replace("{name: log}", "{name: proxy}");
    let proxy = proxy.replace("logtail", "envoy").replace("{name: logs", "{name: proxy");
    texts.insert("ledgers/proxy.yaml".into(), crate::support::rollout_fixtures::ledger_at(&proxy));
    texts.insert("sidecars/proxy.yaml".into(), proxy);
    repo.hold(&texts).render().commit("start");
    repo.git(&["switch", "-q", "--detach"]);
    let (code, stderr) = repo.refused(&["hold", "deployment/web"]);
    assert!(
        code == 1 && stderr.contains("SidecarSet log") && stderr.contains("SidecarSet proxy"),
        "{stderr}"
    );
    let (code, stderr) = repo.refused(&["hold", "deployment/web", "--image", "logtail="]);
    assert!(code == 1 && stderr.contains("`--image logtail=` is not `CONTAINER=IMAGE`"), "{stderr}");
    repo.pillion(&["hold", "deployment/web", "--image", "envoy=envoy:9"]);
    assert!(repo.git(&["show", "main:ledgers/proxy.yaml"]).contains("envoy:9"));
    assert_eq!(repo.git(&["diff", "--name-only", "main~1", "main", "--", "ledgers"]), "ledgers/proxy.yaml");
}

#[test]
fn beside_a_live_branch_of_its_own_that_one_is_looked_at() {
    let test_env = TestEnvironment::new();
    let repo = test_env.init("repo", &[]);
    let mut texts = example();
    texts.remove("ledgers/log.yaml");
    let settings = texts.get_mut("pillion.yaml").unwrap();
    *settings = settings.replace("deploy: main", "deploy: env/prod");
    repo.hold(&texts).commit("start");
    repo.pillion(&["render", "--branch", "env/prod", "--create"]);
    repo.pillion(&["init", "rollout", "--push"]);
    repo.pillion(&["verify"]);
    let (_, stderr) = repo.refused(&["verify", "main"]);
    assert!(stderr.contains("no commit of `main` has a trailer `Pillion-Source`"), "{stderr}");
    repo.hold(&newer(texts)).commit("log 1.5.0");
    for verb in ["stage", "status"] {
        let stderr = repo.pillion(&[verb]);
        assert!(
            stderr.contains("`env/prod` is rendered from") && stderr.contains("`main` is at"),
            "{stderr}"
        );
    }
    repo.pillion(&["render", "--branch", "env/prod"]);
    let stderr = repo.pillion(&["stage"]);
    assert!(stderr.contains("log: batch 1/") && !stderr.contains("is rendered from"), "{stderr}");
}

#[test]
fn what_is_to_be_typed_is_whole() {
    let test_env = TestEnvironment::new();
    let repo = test_env.init("repo", &[]);
    let texts = in_two_clusters(example(), ["eu", "us"]);
    repo.hold(&texts).render().commit("start");
    repo.hold(&newer(texts)).commit("log 1.5.0");
    for verb in ["stage", "status"] {
        let stdout = repo.pillion(&[verb]);
        assert!(stdout.contains("`pillion start log --cluster eu`"), "{stdout}");
        assert!(stdout.contains("`pillion start log --cluster us`"), "{stdout}");
    }
    repo.git(&["switch", "-q", "--detach"]);
    let stdout = repo.pillion(&["pause", "log", "--cluster", "us"]);
    assert!(stdout.contains("next: `pillion resume log --cluster us`"), "{stdout}");
    repo.git(&["switch", "-q", "--detach", "main"]);
    // Whatever is printed: a command that names the SidecarSet names the cluster as well.
    for command in [&["plan", "--cluster", "us"][..], &["stage"], &["status"]] {
        let stdout = repo.pillion(command);
        assert!(stdout.contains("`pillion resume log --cluster us`"), "{command:?}: {stdout}");
        let mut typed = stdout.split('`').filter(|words| words.starts_with("pillion "));
        assert!(typed.all(|words| words.contains("--cluster ")), "{command:?}: {stdout}");
    }
}
