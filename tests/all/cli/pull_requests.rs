//! `--pull-request` of every verb: the commit waits on a branch of its own, and each way to merge it releases it.

use crate::stage::transitions::ledger;
use crate::support::git_fixtures::{Repo, TestEnvironment};
use crate::support::rollout_fixtures::{example, newer, two_branches};
use crate::support::scripted_servers::{Answer, Asked, Scripted, json as answer};
use serde_json::json;
use std::process::Output;

/// A person who proposes, a person who merges, and the repository of both.
struct Team {
    _environment: TestEnvironment,
    origin: Repo,
    ann: Repo,
    bo: Repo,
    /// The deploy branch.
    deploy: &'static str,
}

impl Team {
    /// The example as it is released, with the newer SidecarSet merged.
    fn new() -> Self {
        let environment = TestEnvironment::new();
        let first = environment.init("first", &[]);
        let mut texts = newer(example());
        let configuration = texts.get_mut("pillion.yaml").unwrap();
        *configuration = configuration.replace("git:\n", "git:\n  provider: gitea\n");
        assert!(configuration.contains("provider: gitea"), "{configuration}");
        let mut released = texts.clone();
        let set = released.get_mut("sidecars/log.yaml").unwrap();
        *set = set.replace("1.5.0", "1.4.2");
        first.hold(&released).render().commit("start");
        first.hold(&texts).commit("logtail 1.5.0");
        let origin = environment.clone(&first, "origin.git", &["--bare"]);
        let (ann, bo) = (environment.clone(&origin, "ann", &[]), environment.clone(&origin, "bo", &[]));
        ann.git(&["switch", "-q", "--detach"]);
        Self { _environment: environment, origin, ann, bo, deploy: "main" }
    }

    /// The example with sources on `main`, rendered onto `env/prod`.
    fn of_two_branches() -> Self {
        let environment = TestEnvironment::new();
        let first = environment.init("first", &[]);
        let mut texts = two_branches();
        let configuration = texts.get_mut("pillion.yaml").unwrap();
        *configuration = configuration.replace("git:\n", "git:\n  provider: gitea\n");
        first.hold(&texts).commit("start");
        let origin = environment.clone(&first, "origin.git", &["--bare"]);
        let ann = environment.clone(&origin, "ann", &[]);
        ann.pillion(&["render", "--branch", "env/prod", "--create", "--push"]);
        ann.pillion(&["init", "rollout", "--push"]);
        let bo = environment.clone(&origin, "bo", &["-b", "env/prod"]);
        Self { _environment: environment, origin, ann, bo, deploy: "env/prod" }
    }

    /// Ann pushes another image of an application to the sources.
    fn push_sources(&self, image: &str) {
        let web = String::from_utf8(self.ann.show("HEAD:apps/shop/web.yaml")).unwrap();
        let (before, after) = web.split_once("registry.example/web:").unwrap();
        let rest = after.split_once(['"', '\n', '}']).map_or("", |(old, _)| &after[old.len()..]);
        self.ann.put("apps/shop/web.yaml", format!("{before}registry.example/web:{image}{rest}"));
        self.ann.commit(&format!("web {image}"));
        self.ann.git(&["push", "-q", &self.origin.path.display().to_string(), "HEAD:main"]);
    }

    /// Runs pillion as Ann, with a git provider that gives these answers.
    fn run(&self, args: &[&str], answers: impl IntoIterator<Item = Answer>) -> (Output, Vec<Asked>) {
        let server = Scripted::new(answers);
        let address = format!("{}/acme/gitops.git", server.url());
        self.ann.git(&["remote", "set-url", "origin", &address]);
        let output = self.pillion(&address).args(args).output().unwrap();
        (output, server.asked())
    }

    /// The address names the provider, and git reaches the repository at its path.
    fn pillion(&self, address: &str) -> std::process::Command {
        let mut command = self.ann.command(env!("CARGO_BIN_EXE_pillion"));
        let place = format!("url.file://{}.insteadOf", self.origin.path.display());
        command
            .env("GIT_CONFIG_COUNT", "1")
            .env("GIT_CONFIG_KEY_0", place)
            .env("GIT_CONFIG_VALUE_0", address);
        command.env("PILLION_PROVIDER_TOKEN", "s3cr3t");
        command
    }

    /// Proposes a commit; returns what is printed, and title and body of the pull request.
    fn propose(&self, args: &[&str]) -> (String, String, String) {
        let main = self.origin.git(&["rev-parse", self.deploy]);
        let created =
            answer(201, json!({"number": 7, "html_url": "https://git.acme.example/acme/gitops/pulls/7"}));
        let (output, asked) =
            self.run(&[args, &["--pull-request"]].concat(), [answer(200, json!([])), created]);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(output.status.success(), "{args:?}: {}{}", text(&output.stdout), text(&output.stderr));
        assert_eq!(
            self.origin.git(&["rev-parse", self.deploy]),
            main,
            "nothing is pushed to {}",
            self.deploy
        );
        let body = asked[1].json();
        let field = |name: &str| body[name].as_str().unwrap().to_owned();
        // What render did is the last line of its messages.
        let stdout = text(&output.stdout) + &text(&output.stderr);
        assert!(stdout.contains("pull request #7 opened: https://git.acme.example/"), "{stdout}");
        let branch = field("head");
        assert!(self.origin.try_git(&["rev-parse", "--verify", &branch]).status.success(), "{branch}");
        assert_eq!(self.origin.git(&["rev-parse", &format!("{branch}~1")]), main, "{branch}");
        (branch, field("title"), field("body"))
    }

    /// Bo merges the branch of a pull request as providers do; the result is what pillion makes.
    fn merge(&self, (branch, title, body): &(String, String, String), style: &str) {
        let bo = &self.bo;
        bo.git(&["pull", "-q", "--ff-only"]);
        let base = bo.git(&["rev-parse", "HEAD"]);
        bo.git(&["fetch", "-q", "origin", branch]);
        match style {
            "merge" => {
                let message = format!("Merge pull request '{title}' (#7)");
                bo.git(&["merge", "-q", "--no-ff", "-m", &message, "FETCH_HEAD"]);
            }
            "squash" => {
                bo.git(&["merge", "-q", "--squash", "FETCH_HEAD"]);
                bo.git(&["commit", "-q", "-m", &format!("{title} (#7)\n\n{body}")]);
            }
            _ => {
                bo.git(&["cherry-pick", "FETCH_HEAD"]);
            }
        }
        bo.git(&["push", "-q", "origin", &format!("HEAD:{}", self.deploy)]);
        bo.git(&["push", "-q", "origin", "--delete", branch]);
        bo.pillion(&["verify", "--branch", "origin/main", "--base", &base]);
        bo.pillion(&["status", "--branch", "origin/main"]);
    }

    fn ledger(&self) -> pillion::model::ledger::Ledger {
        ledger(&self.origin, "main")
    }
}

#[test]
fn every_verb_is_a_pull_request_that_can_be_merged_in_every_way() {
    let team = Team::new();
    let start = team.propose(&["start", "log"]);
    assert_eq!(start.0, "pillion/next/log/main");
    assert!(start.2.starts_with("Merging this starts the rollout. No running pod changes"), "{}", start.2);
    assert!(start.2.contains("\n| 1 of 4 | 1 | 1 | 1 of 11 | 1 |\n"), "{}", start.2);
    assert!(team.ledger().target.is_none());
    team.merge(&start, "merge");
    assert!(team.ledger().target.is_some());

    let batch = team.propose(&["promote", "log"]);
    assert_eq!(batch.0, "pillion/next/log/main");
    assert!(batch.2.starts_with("Merging this releases batch 1 of 4.\n"), "{}", batch.2);
    assert!(batch.2.contains("image: registry.example/logtail:1.5.0\n"), "{}", batch.2);
    assert!(
        batch.2.contains("pillion verify origin/pillion/next/log/main --base origin/main\n"),
        "{}",
        batch.2
    );
    let message = team.origin.git(&["log", "-1", "--format=%B", &batch.0]);
    assert!(batch.2.ends_with(&format!("```text\n{}", message.trim())), "{}", batch.2);
    // A squash with the description keeps who asked for it.
    team.merge(&batch, "squash");
    let by =
        team.origin.git(&["log", "-1", "--format=%(trailers:key=Pillion-By,valueonly,separator=)", "main"]);
    assert_eq!((by.as_str(), team.ledger().last_batch()), ("A Person <a@example.com>", 1));

    let pause = team.propose(&["pause", "log", "--reason", "@org/team ![](http://x)"]);
    assert_eq!(
        (pause.0.as_str(), pause.1.as_str()),
        ("pillion/next/log_pause/main", "log: pause at batch 1, @org/team ![](http://x)")
    );
    team.merge(&pause, "rebase");
    assert!(team.ledger().paused.is_some());
    let resume = team.propose(&["resume", "log"]);
    team.merge(&resume, "squash");
    let approve = team.propose(&["approve", "log", "2"]);
    assert_eq!(approve.0, "pillion/next/log_approve_2/main");
    team.merge(&approve, "merge");
    let hold = team.propose(&["hold", "deployment/web", "--reason", "not yet"]);
    assert_eq!(hold.0, "pillion/next/log_hold_deployment.apps_shop_web/main");
    team.merge(&hold, "rebase");
    let off = team.propose(&["hold", "deployment/web", "--off"]);
    team.merge(&off, "merge");
    let second = team.propose(&["promote", "log"]);
    // The commit says what it did not wait for, as one that is pushed directly.
    let (output, _) = team.run(&["promote", "log", "--no-push"], []);
    assert!(output.status.success(), "{output:?}");
    let direct = team.ann.git(&["log", "-1", "--format=%B", "refs/pillion/outbox"]);
    assert!(direct.contains("Released by hand, past these gates: health (the pods of batch 1, "), "{direct}");
    assert_eq!(team.origin.git(&["log", "-1", "--format=%B", &second.0]), direct);
    team.merge(&second, "rebase");
    assert_eq!(team.origin.git(&["log", "-1", "--format=%B", "main"]), direct);
    assert_eq!(team.ledger().last_batch(), 2);
    let back = team.propose(&["rollback", "log", "--to", "1"]);
    assert_eq!(back.0, "pillion/next/log_rollback/main");
    team.merge(&back, "merge");
    assert_eq!(team.ledger().last_batch(), 1);
    team.merge(&team.propose(&["resume", "log"]), "merge");
    for style in ["squash", "merge", "rebase"] {
        team.merge(&team.propose(&["promote", "log"]), style);
    }
    let complete = team.propose(&["promote", "log"]);
    assert!(complete.2.starts_with("Merging this completes the rollout."), "{}", complete.2);
    team.merge(&complete, "squash");
    assert!(team.ledger().target.is_none());
}

#[test]
fn the_first_ledgers_are_a_pull_request() {
    let team = Team::new();
    team.bo.git(&["rm", "-q", "-r", "ledgers"]);
    team.bo.git(&["checkout", "-q", "HEAD~1", "--", "sidecars"]);
    team.bo.commit("without ledgers");
    team.bo.git(&["push", "-q", "origin", "HEAD:main"]);
    let first = team.propose(&["init", "rollout"]);
    assert_eq!(first.0, "pillion/next/init_rollout/main");
    assert!(first.2.starts_with("Merging this adds the first ledgers. No workload changes."), "{}", first.2);
    team.merge(&first, "squash");
}

#[test]
fn a_render_is_a_pull_request_that_can_be_merged_in_every_way() {
    let team = Team::of_two_branches();
    for (image, style) in [("2.5", "merge"), ("2.6", "squash"), ("2.7", "rebase")] {
        team.push_sources(image);
        let render = team.propose(&["render", "--branch", "env/prod"]);
        assert_eq!(render.0, "pillion/next/render_branch/env/prod");
        assert!(
            render.1.starts_with("render ") && render.1.ends_with(&format!(": web {image}")),
            "{}",
            render.1
        );
        let effect =
            "Merging this deploys what the sources have, rendered with the ledgers of the deploy branch";
        assert!(render.2.starts_with(effect), "{}", render.2);
        team.bo.git(&["fetch", "-q", "origin", "main"]);
        team.merge(&render, style);
        let web = team.origin.git(&["show", "env/prod:shop/web.yaml"]);
        assert!(web.contains(&format!("web:{image}")), "{style}: {web}");
        // The merged branch is the render of its sources: nothing is left to propose.
        let (output, asked) = team.run(&["render", "--branch", "env/prod", "--pull-request"], []);
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success() && stderr.contains("is up to date with"), "{style}: {stderr}");
        assert!(asked.is_empty());
    }
}

/// A merge of a render onto a newer head has files that no render made.
#[test]
fn a_render_of_an_older_head_is_not_trusted_below_a_merge() {
    let team = Team::of_two_branches();
    team.push_sources("2.5");
    let render = team.propose(&["render", "--branch", "env/prod"]);
    team.bo.put("README.md", "more").commit("docs");
    team.bo.git(&["push", "-q", "origin", "HEAD:env/prod"]);
    team.bo.git(&["fetch", "-q", "origin", &render.0, "main"]);
    team.bo.git(&["merge", "-q", "--no-ff", "-m", "merge", &format!("origin/{}", render.0)]);
    team.bo.git(&["push", "-q", "origin", "HEAD:env/prod"]);
    let (code, stderr) = team.bo.refused(&["status", "--branch", "origin/main"]);
    assert!(code == 1 && stderr.contains("untrusted-source"), "{stderr}");
}

#[test]
fn the_same_decision_again_keeps_the_commit() {
    let team = Team::new();
    let (branch, title, body) = team.propose(&["start", "log"]);
    let commit = team.origin.git(&["rev-parse", &branch]);
    let stored = json!({
        "number": 7, "html_url": "https://git.acme.example/acme/gitops/pulls/7", "title": title, "body": body,
        "state": "open", "merged": false, "head": {"label": branch, "ref": branch, "sha": commit, "repo_id": 1},
        "base": {"ref": "main", "repo_id": 1},
    });
    let (output, _) = team.run(&["start", "log", "--pull-request"], [answer(200, json!([stored]))]);
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && stdout.contains("pull request #7 unchanged: "), "{stdout}");
    assert_eq!(team.origin.git(&["rev-parse", &branch]), commit);
}

#[test]
fn commits_of_others_on_the_branch_stay() {
    let team = Team::new();
    let (branch, ..) = team.propose(&["start", "log"]);
    team.bo.git(&["fetch", "-q", "origin", &branch]);
    team.bo.git(&["switch", "-q", "--detach", "FETCH_HEAD"]);
    let fix = team.bo.put("notes.txt", "mine").commit("a fix");
    team.bo.git(&["push", "-q", "origin", &format!("HEAD:refs/heads/{branch}")]);
    let (output, _) = team.run(&["start", "log", "--pull-request"], []);
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("nothing is proposed") && stderr.contains(&fix.short()), "{stderr}");
    assert!(stderr.contains(&format!("git push origin --delete {branch}")), "{stderr}");
    assert_eq!(team.origin.git(&["rev-parse", &branch]), fix.to_string());
}

#[test]
fn what_cannot_be_proposed_pushes_nothing() {
    let team = Team::new();
    let branches = || team.origin.git(&["for-each-ref", "--format=%(refname)"]);
    let before = branches();
    let refused = |args: &[&str], answers: Vec<Answer>, code: i32, words: &str| {
        let (output, _) = team.run(args, answers);
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(code) && stderr.contains(words), "{args:?}: {stderr}");
        assert!(!stderr.contains("s3cr3t"), "{stderr}");
    };
    team.merge(&team.propose(&["start", "log"]), "merge");
    let started = branches();
    assert_eq!(started, before);
    refused(
        &["promote", "log", "--to", "2", "--pull-request"],
        vec![],
        2,
        "a pull request holds one step, and these are 2",
    );
    refused(&["pause", "log", "--pull-request", "--no-push"], vec![], 2, "cannot be used with");
    // No token: nothing is pushed either.
    let address = "http://127.0.0.1:1/acme/gitops.git";
    team.ann.git(&["remote", "set-url", "origin", address]);
    let output = team
        .pillion(address)
        .env_remove("PILLION_PROVIDER_TOKEN")
        .args(["pause", "log", "--pull-request"])
        .output();
    let output = output.unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        output.status.code() == Some(2) && stderr.contains("set PILLION_PROVIDER_TOKEN (or GITEA_TOKEN)"),
        "{stderr}"
    );
    assert_eq!(branches(), started);
    // A refusal after the push leaves the branch, and the command can be repeated.
    let forbidden = answer(
        403,
        json!({"message": "token does not have at least one of required scope(s): [write:repository]"}),
    );
    refused(
        &["pause", "log", "--pull-request"],
        vec![answer(200, json!([])), forbidden],
        2,
        "the token may not open pull requests in acme/gitops",
    );
    team.merge(&team.propose(&["pause", "log"]), "merge");
}

#[cfg(unix)]
#[test]
fn a_protected_branch_names_the_way() {
    let team = Team::new();
    let hook = "while read old new ref; do [ \"$ref\" = refs/heads/main ] && echo 'Not allowed to push to protected branch main' >&2 && exit 1; done; exit 0";
    team.origin.script("hooks/pre-receive".as_ref(), hook);
    let address = "http://127.0.0.1:1/acme/gitops.git";
    team.ann.git(&["remote", "set-url", "origin", address]);
    let output = team.pillion(address).args(["start", "log"]).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && stderr.contains("`--pull-request`"), "{stderr}");
    team.propose(&["start", "log"]);
}
