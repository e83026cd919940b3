//! Holds of people last until `--off`, their date or the end of the workload.

use crate::stage::transitions::{half_way, ledger};
use crate::support::git_fixtures::{Repo, TestEnvironment};
use crate::support::rollout_fixtures::{example, released};
use pillion::model::ledger::{Ledger, LedgerEntry, emit};
use std::process::Output;

const WEB: &str = "Deployment.apps/shop/web";
const EVENTS: &str = "StatefulSet.apps/data/events";

/// 2026-12-10, 2026-12-20 and 2027-01-02, at noon.
const TENTH: &str = "1796904000";
const TWENTIETH: &str = "1797768000";
const YEAR: &str = "1798891200";

/// Runs pillion on a day, which must succeed.
fn on(repo: &Repo, day: &str, args: &[&str]) -> String {
    let output = repo.at_rest(|_| try_on(repo, day, args));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{args:?}: {}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

fn try_on(repo: &Repo, day: &str, args: &[&str]) -> Output {
    repo.command(env!("CARGO_BIN_EXE_pillion")).env("SOURCE_DATE_EPOCH", day).args(args).output().unwrap()
}

/// The text of a file of `main`.
pub(crate) fn file(repo: &Repo, path: &str) -> String {
    repo.git(&["show", &format!("main:{path}")])
}

fn image(repo: &Repo, path: &str) -> String {
    let text = file(repo, path);
    let line = text.lines().find(|l| l.contains("image: ") && l.contains("logtail:")).unwrap();
    line.rsplit(':').next().unwrap().to_owned()
}

fn line(repo: &Repo, key: &str) -> Option<LedgerEntry> {
    ledger(repo, "main").entries.get(key).cloned()
}

/// A repository with content that is released everywhere, and a `main` that verbs may move.
fn at_rest(test_env: &TestEnvironment) -> Repo {
    let repo = released(test_env, "repo");
    repo.git(&["switch", "-q", "--detach"]);
    repo
}

/// A commit of people on top of `main`: files are changed, and rendered.
pub(crate) fn edit(repo: &Repo, path: &str, from: &str, to: &str) {
    repo.git(&["switch", "-q", "--detach", "main"]);
    let text = file(repo, path);
    assert!(text.contains(from), "{text}");
    repo.put(path, text.replace(from, to)).render().commit("an edit");
    repo.git(&["branch", "-f", "main", "HEAD"]);
}

/// Takes all steps of the rollout that lie ahead.
fn roll_out(repo: &Repo, day: &str) {
    on(repo, day, &["stage"]);
    repo.release("pillion/main/log");
}

/// Everything that was committed since is what pillion makes.
fn is_verified(repo: &Repo, base: &str) {
    repo.git(&["switch", "-q", "--detach", "main"]);
    on(repo, YEAR, &["verify", "--base", base]);
}

#[test]
fn a_hold_outlasts_the_applications_own_releases() {
    let test_env = TestEnvironment::new();
    let repo = at_rest(&test_env);
    let base = repo.git(&["rev-parse", "main"]);
    on(&repo, TENTH, &["hold", "deployment/web", "--reason", "team not ready"]);
    let held = line(&repo, WEB).unwrap();
    assert_eq!(
        (held.hold_reason.as_deref(), held.held_since.as_deref()),
        (Some("team not ready"), Some("2026-12-10"))
    );
    assert!(held.held_by.is_some() && held.template_hash.is_none() && held.held_until.is_none());
    edit(&repo, "sidecars/log.yaml", "1.4.2", "1.5.0");
    edit(&repo, "apps/shop/web.yaml", "web:2.4", "web:2.5");
    assert_eq!(image(&repo, "rendered/shop/web.yaml"), "1.4.2");
    roll_out(&repo, TENTH);
    edit(&repo, "apps/shop/web.yaml", "web:2.5", "web:2.6");
    assert!(file(&repo, "rendered/shop/web.yaml").contains("web:2.6"));
    assert_eq!(image(&repo, "rendered/shop/web.yaml"), "1.4.2", "after the rollout, too");
    assert_eq!(image(&repo, "rendered/shop/cart.yaml"), "1.5.0");
    let status = on(&repo, TENTH, &["status"]);
    let words = format!(
        "held: {WEB}, held by {} since 2026-12-10: team not ready; on log-546d94cc58",
        held.held_by.unwrap()
    );
    assert!(status.contains(&words), "{status}");
    repo.git(&["switch", "-q", "--detach", "main"]);
    let explained = on(&repo, TENTH, &["explain", "deployment/web"]);
    assert!(explained.contains("log: injected, log-546d94cc58, held by "), "{explained}");
    let other = on(&repo, TENTH, &["explain", "cloneset/cart"]);
    assert!(other.contains("log: injected, log-5f56f8b99, which is released"), "{other}");
    on(&repo, TENTH, &["hold", "deployment/web", "--off"]);
    assert_eq!((line(&repo, WEB), &*image(&repo, "rendered/shop/web.yaml")), (None, "1.5.0"));
    is_verified(&repo, &base);
}

#[test]
fn a_hold_outlasts_a_newer_target_and_a_rollback() {
    let test_env = TestEnvironment::new();
    let repo = half_way(&test_env);
    let base = repo.git(&["rev-parse", "main"]);
    on(&repo, TENTH, &["hold", "deployment/web", "--reason", "team not ready"]);
    edit(&repo, "sidecars/log.yaml", "1.5.0", "1.6.0");
    on(&repo, TENTH, &["start", "log"]);
    roll_out(&repo, TENTH);
    assert_eq!(image(&repo, "rendered/shop/web.yaml"), "1.4.2");
    assert_eq!(image(&repo, "rendered/shop/cart.yaml"), "1.6.0");
    on(&repo, TENTH, &["rollback", "log"]);
    roll_out(&repo, TENTH);
    assert_eq!(image(&repo, "rendered/shop/cart.yaml"), "1.4.2");
    assert_eq!(image(&repo, "rendered/shop/web.yaml"), "1.4.2");
    assert_eq!(line(&repo, WEB).unwrap().hold_reason.as_deref(), Some("team not ready"));
    is_verified(&repo, &base);
}

#[test]
fn an_emergency_image_stays_until_it_is_taken_off() {
    let test_env = TestEnvironment::new();
    let repo = at_rest(&test_env);
    let base = repo.git(&["rev-parse", "main"]);
    let fix = "logtail=registry.example/logtail:1.4.2-fix";
    on(&repo, TENTH, &["hold", "deployment/web", "--reason", "CVE", "--image", fix]);
    edit(&repo, "apps/shop/web.yaml", "web:2.4", "web:2.5");
    assert_eq!(image(&repo, "rendered/shop/web.yaml"), "1.4.2-fix");
    edit(&repo, "sidecars/log.yaml", "1.4.2", "1.5.0");
    roll_out(&repo, TENTH);
    edit(&repo, "apps/shop/web.yaml", "web:2.5", "web:2.6");
    assert_eq!(image(&repo, "rendered/shop/web.yaml"), "1.4.2-fix");
    let plan = on(&repo, TENTH, &["plan"]);
    assert!(plan.contains("on log-546d94cc58 with logtail=registry.example/logtail:1.4.2-fix"), "{plan}");
    is_verified(&repo, &base);
    on(&repo, TENTH, &["hold", "deployment/web", "--off"]);
    assert_eq!(image(&repo, "rendered/shop/web.yaml"), "1.5.0");
    is_verified(&repo, &base);
}

#[test]
fn a_split_workload_that_is_held_goes_back_whole_with_its_own_release() {
    let test_env = TestEnvironment::new();
    let repo = half_way(&test_env);
    repo.git(&["branch", "-f", "main", "main~1"]);
    let base = repo.git(&["rev-parse", "main"]);
    on(&repo, TENTH, &["hold", "statefulset/events", "--reason", "audit"]);
    let held = line(&repo, EVENTS).unwrap();
    assert_eq!((held.partition, held.batch, held.template_hash.is_some()), (Some(2), Some(1), true));
    assert!(file(&repo, "rendered/data/events.yaml").contains("partition: 2"));
    // The application goes first: all pods are on what is released, and stay there.
    edit(&repo, "apps/data/events.yaml", "events:7.1", "events:7.2");
    assert_eq!(image(&repo, "rendered/data/events.yaml"), "1.4.2");
    assert!(!file(&repo, "rendered/data/events.yaml").contains("partition"));
    assert!(on(&repo, TENTH, &["status"]).contains("audit; on log-546d94cc58"));
    roll_out(&repo, TENTH);
    let held = line(&repo, EVENTS).unwrap();
    assert_eq!((held.partition, held.template_hash.as_deref()), (None, None));
    assert_eq!(
        (held.revision.as_deref(), held.hold_reason.as_deref()),
        (Some("log-546d94cc58"), Some("audit"))
    );
    assert_eq!(image(&repo, "rendered/data/events.yaml"), "1.4.2");
    assert_eq!(image(&repo, "rendered/shop/cart.yaml"), "1.5.0");
    is_verified(&repo, &base);
}

#[test]
fn a_hold_ends_with_its_date_in_a_batch_that_a_plan_names() {
    let test_env = TestEnvironment::new();
    let repo = at_rest(&test_env);
    let base = repo.git(&["rev-parse", "main"]);
    for (until, words) in
        [("2026-12-09", "is in the past (today is 2026-12-10"), ("2027-02-29", "is not a date")]
    {
        let output = try_on(&repo, TENTH, &["hold", "deployment/web", "--until", until]);
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(1) && stderr.contains(words), "{stderr}");
    }
    assert_eq!(line(&repo, WEB), None);
    on(
        &repo,
        TENTH,
        &[
            "hold",
            "deployment/web",
            "--until",
            "2026-12-19",
            "--image",
            "logtail=registry.example/logtail:1.4.2-fix",
        ],
    );
    edit(&repo, "sidecars/log.yaml", "1.4.2", "1.5.0");
    roll_out(&repo, TENTH);
    edit(&repo, "apps/shop/web.yaml", "web:2.4", "web:2.5");
    assert_eq!(image(&repo, "rendered/shop/web.yaml"), "1.4.2-fix");
    assert!(on(&repo, TENTH, &["plan"]).contains("until 2026-12-19"));
    assert!(on(&repo, TENTH, &["stage"]).contains("nothing to stage"));
    let before = repo.git(&["rev-parse", "main:rendered"]);
    let plan = on(&repo, TWENTIETH, &["plan"]);
    assert!(plan.contains("holds have expired") && plan.contains("its hold expired on 2026-12-19"), "{plan}");
    assert!(!plan.contains("held by"), "{plan}");
    assert!(on(&repo, TWENTIETH, &["status"]).contains("expired on 2026-12-19"));
    on(&repo, TWENTIETH, &["stage"]);
    let subjects = repo.git(&["log", "--reverse", "--format=%s", "main..pillion/main/log"]);
    assert_eq!(
        subjects.lines().collect::<Vec<_>>(),
        [
            "log: start, holds have expired",
            "log: batch 1/1, log-5f56f8b99 for Deployment shop/web",
            "log: complete, log-5f56f8b99 is released"
        ]
    );
    assert_eq!(
        repo.git(&["rev-parse", "pillion/main/log~2:rendered"]),
        before,
        "Start changes no rendered byte"
    );
    repo.release("pillion/main/log");
    assert_eq!((line(&repo, WEB), &*image(&repo, "rendered/shop/web.yaml")), (None, "1.5.0"));
    is_verified(&repo, &base);
}

#[test]
fn before_its_date_nobody_may_end_a_hold_but_by_off() {
    let test_env = TestEnvironment::new();
    let repo = at_rest(&test_env);
    on(&repo, TENTH, &["hold", "deployment/web", "--until", "2026-12-19"]);
    edit(&repo, "sidecars/log.yaml", "1.4.2", "1.5.0");
    roll_out(&repo, TENTH);
    let base = repo.git(&["rev-parse", "main"]);
    on(&repo, TWENTIETH, &["stage"]);
    // Whoever makes these commits earlier has them refused.
    let tree = repo.git(&["rev-parse", "pillion/main/log~1^{tree}"]);
    let open = repo.git(&["rev-parse", "pillion/main/log~2^{tree}"]);
    let open = repo.git(&["commit-tree", "-p", &base, "-m", "open", &open]);
    let batch = repo.git(&["commit-tree", "-p", &open, "-m", "batch", &tree]);
    repo.git(&["branch", "-f", "main", &batch]);
    repo.git(&["switch", "-q", "--detach", "main"]);
    let (code, stderr) = repo.refused(&["verify", "--base", &base]);
    assert!(code == 1 && stderr.contains("error[ledger-not-planned]"), "{stderr}");
}

#[test]
fn a_hold_is_changed_and_one_that_is_over_begins_again() {
    let test_env = TestEnvironment::new();
    let repo = at_rest(&test_env);
    let base = repo.git(&["rev-parse", "main"]);
    let fix = "logtail=registry.example/logtail:1.4.2-fix";
    on(&repo, TENTH, &["hold", "deployment/web", "--reason", "CVE", "--image", fix, "--until", "2026-12-31"]);
    on(&repo, TWENTIETH, &["hold", "deployment/web", "--reason", "CVE, and an audit"]);
    let held = line(&repo, WEB).unwrap();
    assert_eq!(held.hold_reason.as_deref(), Some("CVE, and an audit"));
    assert_eq!(
        (held.held_since.as_deref(), held.held_until.as_deref()),
        (Some("2026-12-10"), Some("2026-12-31"))
    );
    assert_eq!(image(&repo, "rendered/shop/web.yaml"), "1.4.2-fix");
    on(&repo, YEAR, &["hold", "deployment/web"]);
    let held = line(&repo, WEB).unwrap();
    assert_eq!((held.held_since.as_deref(), held.held_until), (Some("2027-01-02"), None));
    assert_eq!((held.hold_reason.as_deref(), held.images.len()), (Some("no reason given"), 1));
    is_verified(&repo, &base);
}

#[test]
fn the_hold_of_a_workload_that_leaves_git_ends_and_is_said_to() {
    let test_env = TestEnvironment::new();
    let repo = at_rest(&test_env);
    on(&repo, TENTH, &["hold", "deployment/web", "--reason", "team not ready"]);
    edit(&repo, "sidecars/log.yaml", "1.4.2", "1.5.0");
    edit(&repo, "apps/shop/web.yaml", "name: web\n", "name: shopfront\n");
    let plan = on(&repo, TENTH, &["plan"]);
    assert!(plan.contains("ended  Deployment shop/web") && plan.contains("removed from git"), "{plan}");
    assert!(plan.contains("Deployment shop/shopfront"), "{plan}");
    roll_out(&repo, TENTH);
    assert!(ledger(&repo, "main").entries.get(WEB).is_none());
    assert_eq!(image(&repo, "rendered/shop/web.yaml"), "1.5.0");
    // Where nothing is to be rolled out, a person takes the rest away.
    on(&repo, TENTH, &["hold", "deployment/shopfront"]);
    edit(&repo, "apps/shop/web.yaml", "name: shopfront\n", "name: web\n");
    on(&repo, TENTH, &["hold", "deployment/shopfront", "--off"]);
    assert_eq!(ledger(&repo, "main").entries.size(), 1, "the Job stays held by what it is");
}

#[test]
fn a_hold_says_which_approvals_it_voids() {
    let test_env = TestEnvironment::new();
    let repo = half_way(&test_env);
    repo.pillion(&["approve", "log", "3"]);
    let stdout = repo.pillion(&["hold", "cloneset/cart", "--reason", "sale"]);
    assert!(stdout.contains("the approval of batch 3 no longer applies"), "{stdout}");
}

#[test]
fn a_ledger_with_a_day_that_does_not_exist_is_broken() {
    let test_env = TestEnvironment::new();
    let repo = at_rest(&test_env);
    on(&repo, TENTH, &["hold", "deployment/web", "--until", "2026-12-31"]);
    repo.git(&["switch", "-q", "--detach", "main"]);
    let text = file(&repo, "ledgers/log.yaml");
    repo.put("ledgers/log.yaml", text.replace("2026-12-31", "2026-12-32")).commit("by hand");
    let (code, stderr) = repo.refused(&["verify"]);
    assert!(code == 1 && stderr.contains("`2026-12-32` is not a date"), "{stderr}");
}

#[test]
fn a_workload_is_held_before_the_first_revision_comes_to_it() {
    let test_env = TestEnvironment::new();
    let repo = test_env.init("repo", &[]);
    let mut texts = example();
    texts.insert("ledgers/log.yaml".into(), emit(&Ledger::new("log")));
    repo.hold(&texts).render().commit("start");
    repo.git(&["switch", "-q", "--detach"]);
    on(&repo, TENTH, &["hold", WEB, "--reason", "team not ready"]);
    roll_out(&repo, TENTH);
    assert!(!file(&repo, "rendered/shop/web.yaml").contains("logtail"));
    assert!(file(&repo, "rendered/shop/cart.yaml").contains("logtail:1.4.2"));
    on(&repo, TENTH, &["hold", WEB, "--off"]);
    assert!(file(&repo, "rendered/shop/web.yaml").contains("logtail:1.4.2"));
}
