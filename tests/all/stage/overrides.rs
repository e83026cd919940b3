//! SidecarOverrides in rollouts: a changed one is the application's change, and a hold lasts as long as it says.

use crate::stage::holds::{edit, file};
use crate::stage::transitions::{half_way, ledger};
use crate::support::git_fixtures::{Repo, TestEnvironment};
use crate::support::rollout_fixtures::released;
use std::process::Output;

const WEB: &str = "Deployment.apps/shop/web";
const EVENTS: &str = "StatefulSet.apps/data/events";

/// 2026-12-10 and 2027-01-02, at noon.
const BEFORE: &str = "1796904000";
const AFTER: &str = "1798891200";

const HOLD: &str = "apiVersion: pillion.dev/v1alpha1\nkind: SidecarOverride\nmetadata:\n  name: web-stays\nspec:\n  sidecarSet: log\n  workload: {kind: Deployment, name: web}\n  hold: {until: 2026-12-24, reason: end of the year}\n";

const DEBUG: &str = "apiVersion: pillion.dev/v1alpha1\nkind: SidecarOverride\nmetadata:\n  name: debug\nspec:\n  sidecarSet: log\n  containers:\n  - name: logtail\n    env:\n    - {name: LEVEL, value: debug}\n";

fn try_on(repo: &Repo, day: &str, args: &[&str]) -> Output {
    repo.command(env!("CARGO_BIN_EXE_pillion")).env("SOURCE_DATE_EPOCH", day).args(args).output().unwrap()
}

/// Runs pillion on a day, which must succeed.
fn on(repo: &Repo, day: &str, args: &[&str]) -> String {
    let output = repo.at_rest(|_| try_on(repo, day, args));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{args:?}: {}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

/// Allows everything, and adds an override; `pillion render` is part of the commit.
fn add_override(repo: &Repo, path: &str, text: &str) {
    repo.git(&["switch", "-q", "--detach", "main"]);
    let config = file(repo, "pillion.yaml");
    if !config.contains("overrides:") {
        repo.put("pillion.yaml", format!("{config}\noverrides: {{allow: [env, exclude, hold]}}\n"));
    }
    repo.put(path, text).render().commit("an override");
    repo.git(&["branch", "-f", "main", "HEAD"]);
}

/// The image of the sidecar, and whether it has the variable of the override.
fn sidecar(repo: &Repo, path: &str) -> (String, bool) {
    let text = file(repo, path);
    let line = text.lines().find(|l| l.contains("image: ") && l.contains("logtail:")).unwrap();
    (line.rsplit(':').next().unwrap().to_owned(), text.contains("LEVEL"))
}

fn is(image: &str, has_variable: bool) -> (String, bool) {
    (image.to_owned(), has_variable)
}

/// Takes all steps of the rollout that lie ahead on a day.
fn roll_out(repo: &Repo, day: &str) {
    on(repo, day, &["stage"]);
    repo.release("pillion/main/log");
}

fn verify(repo: &Repo, day: &str, base: &str) {
    repo.git(&["switch", "-q", "--detach", "main"]);
    on(repo, day, &["verify", "--base", base]);
    on(repo, day, &["render", "--check"]);
}

#[test]
fn a_hold_lasts_until_its_day() {
    let test_env = TestEnvironment::new();
    let repo = released(&test_env, "repo");
    repo.git(&["switch", "-q", "--detach"]);
    let base = repo.git(&["rev-parse", "main"]);
    add_override(&repo, "apps/shop/hold.yaml", HOLD);
    edit(&repo, "sidecars/log.yaml", "1.4.2", "1.5.0");
    let plan = on(&repo, BEFORE, &["plan"]);
    let words = "held by SidecarOverride web-stays until 2026-12-24: end of the year";
    assert!(plan.contains(words), "{plan}");
    roll_out(&repo, BEFORE);
    assert_eq!(sidecar(&repo, "rendered/shop/web.yaml"), is("1.4.2", false));
    assert_eq!(sidecar(&repo, "rendered/shop/cart.yaml"), is("1.5.0", false));
    let entry = ledger(&repo, "main").entries.get(WEB).cloned().unwrap();
    assert_eq!(entry.held_by.as_deref(), Some("SidecarOverride web-stays"));
    assert_eq!((entry.held_until.as_deref(), entry.held_since), (Some("2026-12-24"), None));
    edit(&repo, "apps/shop/web.yaml", "web:2.4", "web:2.5");
    assert_eq!(sidecar(&repo, "rendered/shop/web.yaml").0, "1.4.2", "after a release of the application");
    let refused = try_on(&repo, BEFORE, &["hold", "deployment/web", "--off"]);
    let refused = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(refused.contains("is held by SidecarOverride web-stays (apps/shop/hold.yaml:8:3)"), "{refused}");
    verify(&repo, BEFORE, &base);
    let plan = on(&repo, BEFORE, &["plan"]);
    assert!(plan.contains("nothing to do") && plan.contains(words), "{plan}");
    let plan = on(&repo, AFTER, &["plan"]);
    assert!(plan.contains("recreated; its hold expired on 2026-12-24"), "{plan}");
    assert_eq!(sidecar(&repo, "rendered/shop/web.yaml").0, "1.4.2", "nothing moves by itself");
    roll_out(&repo, AFTER);
    assert_eq!(sidecar(&repo, "rendered/shop/web.yaml"), is("1.5.0", false));
    assert!(!ledger(&repo, "main").entries.contains_key(WEB));
    verify(&repo, AFTER, &base);
}

#[test]
fn a_hold_that_is_removed_ends() {
    let test_env = TestEnvironment::new();
    let repo = released(&test_env, "repo");
    repo.git(&["switch", "-q", "--detach"]);
    let base = repo.git(&["rev-parse", "main"]);
    add_override(&repo, "apps/shop/hold.yaml", HOLD);
    edit(&repo, "sidecars/log.yaml", "1.4.2", "1.5.0");
    roll_out(&repo, BEFORE);
    repo.git(&["switch", "-q", "--detach", "main"]);
    repo.git(&["rm", "-q", "apps/shop/hold.yaml"]);
    repo.render().commit("no hold");
    repo.git(&["branch", "-f", "main", "HEAD"]);
    assert_eq!(sidecar(&repo, "rendered/shop/web.yaml").0, "1.4.2", "nothing moves by itself");
    let plan = on(&repo, BEFORE, &["plan"]);
    assert!(plan.contains("recreated; SidecarOverride web-stays no longer holds it"), "{plan}");
    roll_out(&repo, BEFORE);
    assert_eq!(sidecar(&repo, "rendered/shop/web.yaml").0, "1.5.0");
    assert!(!ledger(&repo, "main").entries.contains_key(WEB));
    verify(&repo, BEFORE, &base);
}

#[test]
fn a_changed_override_takes_no_half_released_revision_along() {
    let test_env = TestEnvironment::new();
    let repo = half_way(&test_env);
    let base = repo.git(&["rev-parse", "main"]);
    add_override(&repo, "apps/debug.yaml", DEBUG);
    assert_eq!(sidecar(&repo, "rendered/data/events.yaml"), is("1.5.0", true), "released, and keeps it");
    for path in ["rendered/shop/web.yaml", "rendered/shop/cart.yaml"] {
        assert_eq!(sidecar(&repo, path), is("1.4.2", true), "not released yet");
    }
    verify(&repo, BEFORE, &base);
    roll_out(&repo, BEFORE);
    for path in ["rendered/data/events.yaml", "rendered/shop/web.yaml", "rendered/shop/cart.yaml"] {
        assert_eq!(sidecar(&repo, path), is("1.5.0", true));
    }
    verify(&repo, BEFORE, &base);
}

#[test]
fn a_changed_override_goes_before_a_split() {
    let test_env = TestEnvironment::new();
    let repo = released(&test_env, "repo");
    repo.git(&["switch", "-q", "--detach"]);
    edit(&repo, "sidecars/log.yaml", "1.4.2", "1.5.0");
    let base = repo.git(&["rev-parse", "main"]);
    on(&repo, BEFORE, &["stage"]);
    repo.release("pillion/main/log~4");
    assert_eq!(ledger(&repo, "main").entries.get(EVENTS).unwrap().partition, Some(2));
    add_override(&repo, "apps/debug.yaml", DEBUG);
    // One partition cannot keep old pods with the variable and without it.
    assert_eq!(sidecar(&repo, "rendered/data/events.yaml"), is("1.4.2", true));
    assert!(!file(&repo, "rendered/data/events.yaml").contains("partition"));
    verify(&repo, BEFORE, &base);
    roll_out(&repo, BEFORE);
    assert_eq!(sidecar(&repo, "rendered/data/events.yaml"), is("1.5.0", true));
    verify(&repo, BEFORE, &base);
}

#[test]
fn a_workload_can_leave_an_open_rollout() {
    let test_env = TestEnvironment::new();
    let repo = half_way(&test_env);
    let base = repo.git(&["rev-parse", "main"]);
    let exclude = HOLD.replace("hold: {until: 2026-12-24, reason: end of the year}", "exclude: true");
    add_override(&repo, "apps/shop/exclude.yaml", &exclude);
    assert!(!file(&repo, "rendered/shop/web.yaml").contains("logtail"));
    assert_eq!(sidecar(&repo, "rendered/data/events.yaml").0, "1.5.0");
    verify(&repo, BEFORE, &base);
    roll_out(&repo, BEFORE);
    assert_eq!(sidecar(&repo, "rendered/shop/cart.yaml").0, "1.5.0");
    assert!(!file(&repo, "rendered/shop/web.yaml").contains("logtail"));
    verify(&repo, BEFORE, &base);
}

#[test]
fn a_hold_during_a_rollout_keeps_its_scope() {
    let test_env = TestEnvironment::new();
    let repo = half_way(&test_env);
    let base = repo.git(&["rev-parse", "main"]);
    add_override(&repo, "apps/shop/hold.yaml", HOLD);
    roll_out(&repo, BEFORE);
    assert_eq!(sidecar(&repo, "rendered/shop/web.yaml").0, "1.4.2");
    assert_eq!(sidecar(&repo, "rendered/shop/cart.yaml").0, "1.5.0");
    assert!(ledger(&repo, "main").target.is_none());
    verify(&repo, BEFORE, &base);
}
