//! A rollout on a protected branch of a real Gitea: each commit is a pull request, and another person merges it.

use crate::git_fixtures::{Repo, TestEnvironment};
use crate::harness::gitea::{Gitea, User, gitea};
use crate::harness::wait::{SOON, wait_for};
use indoc::{formatdoc, indoc};
use serde_json::{Value, json};
use std::process::Output;

const REPOSITORY: &str = "ann/gitops";

const CONFIGURATION: &str = indoc! {"
    apiVersion: pillion.dev/v1alpha1
    kind: Repository
    sources: [apps]
    sidecarSets: [sidecars]
    rendered: rendered
    ledgers: ledgers
    namespaces:
    - {folder: apps, name: shop}
    git:
      deploy: main
      provider: gitea
    rollout:
      steps: [1, 2, 3]
      approve: [3]
"};

const SIDECAR_SET: &str = indoc! {"
    apiVersion: apps.kruise.io/v1beta1
    kind: SidecarSet
    metadata: {name: log}
    spec:
      selector:
        matchLabels: {log: \"on\"}
      containers:
      - name: logtail
        image: registry.example/logtail:1.4.2
"};

fn deployment(name: &str) -> String {
    formatdoc! {"
        apiVersion: apps/v1
        kind: Deployment
        metadata: {{name: {name}}}
        spec:
          replicas: 1
          selector: {{matchLabels: {{app: {name}}}}}
          template:
            metadata:
              labels: {{app: {name}, log: \"on\"}}
            spec:
              containers:
              - name: app
                image: registry.example/{name}:1
    "}
}

/// Ann proposes, Bo merges; no person may push to `main`.
struct Team {
    _environment: TestEnvironment,
    clone: Repo,
    ann: User,
    bo: User,
}

impl Team {
    fn start() -> Self {
        let gitea = gitea();
        let (ann, bo) = (gitea.create_user("ann", "Ann Author"), gitea.create_user("bo", "Bo Approver"));
        gitea.call(&ann, "POST", "user/repos", &json!({"name": "gitops", "default_branch": "main"}));
        let path = format!("repos/{REPOSITORY}/collaborators/bo");
        gitea.call(&ann, "PUT", &path, &json!({"permission": "write"}));
        let environment = TestEnvironment::new();
        let clone = environment.init("clone", &[]);
        clone.git(&["remote", "add", "origin", &Gitea::remote(&ann, REPOSITORY)]);
        clone.put("pillion.yaml", CONFIGURATION);
        clone.put("sidecars/log.yaml", SIDECAR_SET);
        for name in ["cart", "pay", "web"] {
            clone.put(&format!("apps/{name}.yaml"), deployment(name));
        }
        clone.set("user.name", "Ann Author").set("user.email", "ann@acme.example");
        clone.commit("apps and their sidecar");
        clone.git(&["push", "-q", "-u", "origin", "main"]);
        let rule = json!({"rule_name": "main", "enable_push": false, "required_approvals": 1});
        gitea.call(&ann, "POST", &format!("repos/{REPOSITORY}/branch_protections"), &rule);
        Self { _environment: environment, clone, ann, bo }
    }

    fn try_pillion(&self, args: &[&str]) -> Output {
        let mut command = self.clone.command(env!("CARGO_BIN_EXE_pillion"));
        for name in ["AUTHOR", "COMMITTER"] {
            command.env_remove(format!("GIT_{name}_NAME")).env_remove(format!("GIT_{name}_EMAIL"));
        }
        command.env("GITEA_TOKEN", &self.ann.token).args(args).output().unwrap()
    }

    /// Runs pillion as Ann and returns what it prints.
    fn pillion(&self, args: &[&str]) -> String {
        let output = self.try_pillion(args);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(output.status.success(), "{args:?}: {}{}", text(&output.stdout), text(&output.stderr));
        text(&output.stdout)
    }

    /// Runs pillion with `--pull-request`, and returns the pull request as the server has it.
    fn propose(&self, args: &[&str]) -> Value {
        let before = self.clone.git(&["ls-remote", "origin", "refs/heads/main"]);
        let stdout = self.pillion(&[args, &["--pull-request"]].concat());
        assert_eq!(self.clone.git(&["ls-remote", "origin", "refs/heads/main"]), before, "{stdout}");
        let (_, number) = stdout.split_once("pull request #").unwrap_or_else(|| panic!("{stdout}"));
        let number = number.split_once(' ').unwrap().0;
        let path = format!("repos/{REPOSITORY}/pulls/{number}");
        let request = gitea().call(&self.bo, "GET", &path, &Value::Null);
        assert!(stdout.contains(request["html_url"].as_str().unwrap()), "{stdout}");
        request
    }

    /// Bo approves and merges a pull request; then Ann pulls, and everything is what pillion makes.
    fn merge(&self, request: &Value, style: &str) {
        let base = self.clone.git(&["rev-parse", "origin/main"]);
        let path = format!("repos/{REPOSITORY}/pulls/{}", request["number"]);
        let review = json!({"event": "APPROVED", "body": "fine"});
        gitea().call(&self.bo, "POST", &format!("{path}/reviews"), &review);
        let how = json!({"Do": style, "delete_branch_after_merge": true});
        // Gitea checks in the background whether it can be merged.
        wait_for("the pull request is merged", SOON, || {
            match gitea().request(&self.bo.token, "POST", &format!("{path}/merge"), &how) {
                (200, _) => Ok(()),
                (status, answer) => Err(format!("{status} {answer}")),
            }
        });
        self.clone.git(&["pull", "-q", "--ff-only", "--prune"]);
        self.pillion(&["verify", "--base", &base]);
        self.pillion(&["status"]);
    }

    /// Author, committer and `Pillion-By` of the head of main.
    fn people(&self) -> String {
        self.clone.git(&["log", "-1", "--format=%an, %cn, %(trailers:key=Pillion-By,valueonly,separator=)"])
    }

    fn images(&self) -> String {
        let output = self.clone.try_git(&["grep", "-ho", "logtail:[0-9.]*", "HEAD", "--", "rendered"]);
        String::from_utf8(output.stdout).unwrap()
    }
}

fn body(request: &Value) -> String {
    request["body"].as_str().unwrap().replace("\r\n", "\n")
}

#[test]
#[ignore = "needs a real Gitea: cargo test --test e2e -- --ignored"]
fn a_rollout_is_merged_on_a_protected_branch() {
    let team = Team::start();
    let first = team.propose(&["init", "rollout"]);
    assert!(body(&first).starts_with("Merging this adds the first ledgers."), "{}", body(&first));
    team.merge(&first, "merge");
    // The merge commit is Bo's, the commit in it Ann's.
    assert_eq!(team.people(), "Bo Approver, Bo Approver,");
    let by = team.clone.git(&["log", "-1", "--format=%an, %(trailers:key=Pillion-By,valueonly)", "HEAD^2"]);
    assert_eq!(by, "Ann Author, Ann Author <ann@acme.example>");

    // A push is refused, and the message names the way.
    let refused = team.try_pillion(&["start", "log"]);
    let stderr = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && stderr.contains("--pull-request"), "{stderr}");

    let start = team.propose(&["start", "log"]);
    assert!(body(&start).contains("| 1 of 3 | 1 | 1 | 1 of 3 |"), "{}", body(&start));
    team.merge(&start, "merge");
    assert_eq!(team.images(), "");

    let batch = team.propose(&["promote", "log"]);
    let text = body(&batch);
    assert!(text.starts_with("Merging this releases batch 1 of 3.\n"), "{text}");
    assert!(text.contains("\n+        image: registry.example/logtail:1.4.2\n"), "{text}");
    assert!(text.contains("\nPillion-Batch: 1/3\n") && text.contains("git fetch origin main "), "{text}");
    // The same command again changes nothing.
    let again = team.pillion(&["promote", "log", "--pull-request"]);
    assert!(again.contains("unchanged: http://"), "{again}");
    team.merge(&batch, "merge");
    assert_eq!(team.images().lines().count(), 1);

    // A pause and a batch do not overwrite each other.
    let second = team.propose(&["promote", "log"]);
    let pause = team.propose(&["pause", "log", "--reason", "@bo looks at it"]);
    assert_ne!(second["head"]["ref"], pause["head"]["ref"]);
    team.merge(&pause, "squash");
    assert_eq!(team.people(), "Ann Author, Bo Approver,");
    let paused = team.try_pillion(&["promote", "log", "--pull-request"]);
    assert!(String::from_utf8_lossy(&paused.stderr).contains("is paused at batch 1"), "{paused:?}");
    team.merge(&team.propose(&["resume", "log"]), "rebase");
    // A branch that is up to date is fast-forwarded: nothing says who merged it.
    assert_eq!(team.people(), "Ann Author, pillion, Ann Author <ann@acme.example>");

    // The pull request of the second batch follows the new head.
    let fresh = team.propose(&["promote", "log"]);
    assert_eq!(fresh["number"], second["number"]);
    team.merge(&fresh, "squash");
    assert_eq!(team.images().lines().count(), 2);

    team.merge(&team.propose(&["rollback", "log", "--to", "1"]), "merge");
    assert_eq!(team.images().lines().count(), 1);
    for verb in [&["resume", "log"][..], &["promote", "log"], &["approve", "log", "3"], &["promote", "log"]] {
        team.merge(&team.propose(verb), "rebase");
    }
    assert_eq!(team.images().lines().count(), 3);
    let complete = team.propose(&["promote", "log"]);
    assert!(body(&complete).starts_with("Merging this completes the rollout."), "{}", body(&complete));
    team.merge(&complete, "merge");
    assert_eq!(team.people(), "Bo Approver, Bo Approver,");

    let hold = team.propose(&["hold", "deployment/web", "--reason", "not yet"]);
    team.merge(&hold, "merge");
    assert!(team.pillion(&["status", "log"]).contains("not yet"));
}
