//! Commands that change a rollout: each is a commit on its ledger, and `verify` accepts no other changes.

use crate::support::git_fixtures::{Repo, TestEnvironment};
use crate::support::rollout_fixtures::{example, newer, released};
use pillion::model::ledger::{Ledger, decode};
use pillion::yaml::{Document, FieldPath};
use std::sync::Arc;

/// A repository in which a rollout of the worked example is open, with two batches released; HEAD is detached, so
/// that verbs may move `main`.
pub(crate) fn half_way(test_env: &TestEnvironment) -> Repo {
    let repo = released(test_env, "repo");
    repo.git(&["switch", "-q", "--detach"]);
    repo.hold(&newer(example())).commit("logtail 1.5.0");
    repo.git(&["branch", "-f", "main", "HEAD"]);
    repo.pillion(&["stage"]);
    repo.release("pillion/main/log~3");
    repo
}

pub(crate) fn ledger(repo: &Repo, revision: &str) -> Ledger {
    let text = repo.git(&["show", &format!("{revision}:ledgers/log.yaml")]);
    let document = Arc::new(Document::read(&"ledgers/log.yaml".into(), 0, 1, &text).unwrap());
    decode(&document, &FieldPath::root()).0.unwrap()
}

/// The files that the last commit of `main` changed.
pub(crate) fn changed(repo: &Repo) -> String {
    repo.git(&["diff-tree", "--no-commit-id", "--name-only", "-r", "main"])
}

pub(crate) fn trailer(repo: &Repo, key: &str) -> String {
    let format = format!("--format=%(trailers:key={key},valueonly)");
    repo.git(&["log", "-1", &format, "main"]).trim().to_owned()
}

#[test]
fn a_rollout_is_paused_and_resumed() {
    let test_env = TestEnvironment::new();
    let repo = half_way(&test_env);
    repo.pillion(&["pause", "log", "--reason", "waiting for the storage team"]);
    let paused = ledger(&repo, "main").paused.unwrap();
    assert_eq!((paused.batch, &*paused.reason), (2, "waiting for the storage team"));
    assert_eq!((changed(&repo).trim(), &*trailer(&repo, "Pillion-Action")), ("ledgers/log.yaml", "Pause"));
    assert!(
        repo.pillion(&["status"])
            .contains("paused at batch 2 by A Person <a@example.com>: waiting for the storage team")
    );
    let (code, stderr) = repo.refused(&["pause", "log"]);
    assert!(code == 1 && stderr.contains("already paused, at batch 2"), "{stderr}");
    let staged = repo.pillion(&["stage"]);
    assert!(staged.contains("log: resume at batch 2") && staged.contains("paused at batch 2"), "{staged}");
    repo.pillion(&["resume", "log"]);
    assert!(ledger(&repo, "main").paused.is_none());
    assert!(repo.refused(&["resume", "log"]).1.contains("is not paused"));
    assert!(repo.pillion(&["stage"]).contains("batch 3/"));
}

#[test]
fn an_approval_is_for_the_plan_that_was_seen() {
    let test_env = TestEnvironment::new();
    let repo = half_way(&test_env);
    repo.pillion(&["approve", "log", "3"]);
    let approved = ledger(&repo, "main").approvals;
    assert_eq!((approved[0].batch, approved[0].plan.as_str()), (3, &*trailer(&repo, "Pillion-Plan")));
    let staged = repo.pillion(&["stage"]);
    let batch = staged.lines().find(|l| l.contains("batch 3/")).unwrap().split_whitespace().next().unwrap();
    let plan = repo.git(&["log", "-1", "--format=%(trailers:key=Pillion-Plan,valueonly)", batch]);
    assert_eq!(plan.trim(), approved[0].plan, "the approval outlives the commit it was given on");
    assert!(repo.refused(&["approve", "log", "3"]).1.contains("already approved"));
    assert!(repo.refused(&["approve", "log", "9"]).1.contains("no upcoming batch 9"));
}

#[test]
fn a_rollback_takes_everything_back_and_is_not_undone_by_the_next_stage() {
    let test_env = TestEnvironment::new();
    let repo = half_way(&test_env);
    repo.pillion(&["rollback", "log", "--reason", "crash loop"]);
    let before = ledger(&repo, "main");
    assert_eq!(before.target, Some(before.released.clone()));
    assert_eq!((changed(&repo).trim(), &*trailer(&repo, "Pillion-Action")), ("ledgers/log.yaml", "RollBack"));
    assert!(repo.refused(&["rollback", "log"]).1.contains("already"));
    repo.pillion(&["stage"]);
    repo.release("pillion/main/log");
    let after = ledger(&repo, "main");
    assert_eq!((after.target, after.entries.size(), after.rejected.len()), (None, 0, 1));
    assert!(repo.pillion(&["stage"]).contains("was rolled back"), "it is not staged again");
    assert!(repo.pillion(&["status"]).contains("which the file holds, was rolled back"));
    assert!(repo.refused(&["rollback", "log"]).1.contains("itself a rollback"));
    repo.pillion(&["resume", "log"]);
    assert!(repo.pillion(&["stage"]).contains("start, logtail 1.4.2 -> 1.5.0"));
}

#[test]
fn a_held_workload_keeps_what_it_has_or_gets_an_emergency_image() {
    let test_env = TestEnvironment::new();
    let repo = half_way(&test_env);
    repo.pillion(&["hold", "deployment/web", "--reason", "CVE", "--image", "logtail=logtail:1.4.2-fix"]);
    assert_eq!(changed(&repo), "ledgers/log.yaml\nrendered/shop/web.yaml");
    assert!(repo.git(&["show", "main:rendered/shop/web.yaml"]).contains("image: logtail:1.4.2-fix"));
    assert!(!repo.pillion(&["stage"]).contains("batch 4/"), "nothing moves it");
    repo.release("pillion/main/log");
    assert!(repo.git(&["show", "main:rendered/shop/web.yaml"]).contains("image: logtail:1.4.2-fix"));
    repo.pillion(&["verify", "main"]);
    let off = repo.pillion(&["hold", "Deployment.apps/shop/web", "--off"]);
    assert!(
        off.contains("with logtail=logtail:1.4.2-fix to log-") && off.contains(", which is released."),
        "{off}"
    );
    assert!(repo.git(&["show", "main:rendered/shop/web.yaml"]).contains("logtail:1.5.0"));
    for (args, words) in [
        (&["hold", "deployment/none"][..], "there is no workload `deployment/none`"),
        (&["hold", "deployment/web", "--image", "logtail"], "is not `CONTAINER=IMAGE`"),
        (
            &["hold", "deployment/web", "--image", "web=x:1"],
            "has no container `web` of SidecarSet `log`: it has `logtail`",
        ),
        (&["hold", "deployment/web", "--image", "logtail=x :1"], "an image has no spaces"),
        (&["hold", "deployment/web", "--off"], "does not hold"),
    ] {
        let (code, stderr) = repo.refused(args);
        assert!(code == 1 && stderr.contains(words), "{args:?}: {stderr}");
    }
    let (code, stderr) = repo.refused(&["pause", "none"]);
    assert!(code == 2 && stderr.contains("ledgers are of log"), "{stderr}");
    let (code, stderr) = repo.refused(&["pause", "log", "--reason", " "]);
    assert!(code == 2 && stderr.contains("the reason must not be empty"), "{stderr}");
}

#[test]
fn verify_names_the_first_byte_that_nobody_planned() {
    let test_env = TestEnvironment::new();
    let repo = half_way(&test_env);
    let base = repo.git(&["rev-parse", "main"]);
    repo.git(&["switch", "-q", "--detach", "main"]);
    repo.pillion(&["verify"]);
    repo.pillion(&["verify", "--base", "HEAD~4"]);
    let text = String::from_utf8(repo.show("main:ledgers/log.yaml")).unwrap();
    let rendered = String::from_utf8(repo.show("main:rendered/shop/web.yaml")).unwrap();
    let line = "  - {workload: Deployment.apps/shop/web, revision: log-5f56f8b99, batch: 2}\n";
    let at = text.find("  - {workload: StatefulSet.apps").unwrap();
    let hostile = format!("{}{line}{}", &text[..at], &text[at..]);
    repo.put("ledgers/log.yaml", &hostile).put("rendered/shop/web.yaml", rendered.replace("1.4.2", "1.5.0"));
    repo.commit("a sidecar smuggled in, in step with its render");
    repo.pillion(&["verify"]);
    let (code, stderr) = repo.refused(&["verify", "--base", base.trim()]);
    assert!(code == 1 && stderr.contains("error[ledger-not-planned]"), "{stderr}");
    assert!(stderr.contains("--> ledgers/log.yaml:"), "{stderr}");
    for (text, words) in [
        (text.replace("batch: 2", "batch:  2"), "this ledger is not in the form that pillion writes"),
        (text.replace("log-5f56f8b99, batch", "log-546d94cc58, batch"), "differs from the rendered output"),
        (text.replace("image: registry.example/logtail:1.5.0", "image: evil:1"), "does not match its name"),
        (text.replace("apiVersion: pillion", "apiVersoin: pillion"), "error[misspelt-kind]"),
        (text.replace("released:", "relaesed:"), "did you mean `released`?"),
        ("nonsense: [".to_owned(), "`[` is not closed"),
        ("nonsense: []".to_owned(), "contains no ledger"),
    ] {
        repo.git(&["reset", "-q", "--hard", base.trim()]);
        repo.put("ledgers/log.yaml", &text).commit("by hand");
        let (code, stderr) = repo.refused(&["verify"]);
        assert!(code == 1 && stderr.contains(words), "{words}: {stderr}");
    }
    repo.git(&["reset", "-q", "--hard", base.trim()]);
    repo.git(&["rm", "-q", "ledgers/log.yaml"]);
    repo.commit("without a ledger");
    let (code, stderr) = repo.refused(&["verify", "--base", base.trim()]);
    assert!(
        code == 1 && stderr.contains("removes the ledger of `log`") && stderr.contains("no-ledger"),
        "{stderr}"
    );
}
