//! A check before the next batch: programs and servers that pass, fail, wait, or give no answer.

use crate::support::git_fixtures::TestEnvironment;
use crate::support::rollout_fixtures::example;
use crate::support::scripted_servers::{Scripted, json as answer};
use pillion::watch::check::{BatchCheck, CheckRequest, CheckResult, CheckedWorkload};
use pillion::watch::http_client::{CaCertificates, HttpClient, SecretUrl};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

fn question() -> CheckRequest {
    CheckRequest {
        sidecar_set: "log".into(),
        batch: 1,
        batches: 3,
        from: Some("log-1".into()),
        to: Some("log-2".into()),
        head: "4f1c".into(),
        workloads: vec![CheckedWorkload { workload: "Deployment.apps/shop/web".into(), pods: 10 }],
        healthy_since: Some("2026-06-19T15:00:00Z".parse().unwrap()),
        cluster: None,
    }
}

fn shell(script: &str, patience: Duration) -> CheckResult {
    let args = ["-c".into(), script.into()].into();
    BatchCheck::Command { program: "sh".into(), args, timeout: patience }.run(&question())
}

const LONG: Duration = Duration::from_secs(60);

#[test]
fn a_program_answers_with_its_code_and_its_last_line() {
    assert_eq!(shell("echo noise; echo all well; echo; exit 0", LONG), CheckResult::Pass("all well".into()));
    assert_eq!(shell("echo 5xx at 3%; exit 1", LONG), CheckResult::Fail("5xx at 3%".into()));
    assert_eq!(shell("exit 4", LONG), CheckResult::Wait(String::new()));
    let again = CheckResult::Inconclusive(
        "the check `sh` exited with code 7, which is not a valid result: no such metric".into(),
    );
    assert_eq!(shell("echo no such metric >&2; exit 7", LONG), again);
    let killed = shell("kill -9 $$", LONG);
    assert_eq!(
        killed,
        CheckResult::Inconclusive("the check `sh` was ended by a signal, which is not a valid result".into())
    );
}

#[test]
fn a_program_is_asked_in_json_and_need_not_listen() {
    let CheckResult::Pass(message) = shell("tr -d '\\n' && echo", LONG) else { panic!("no pass") };
    let whole = question().to_json().to_string();
    assert!(whole.starts_with(&message[..200]), "{message}");
    assert_eq!(
        question().to_json(),
        json!({
            "apiVersion": "pillion.dev/v1alpha1", "kind": "Check", "sidecarSet": "log", "cluster": null,
            "batch": 1, "batches": 3, "from": "log-1", "to": "log-2", "head": "4f1c",
            "workloads": [{"workload": "Deployment.apps/shop/web", "pods": 10}],
            "since": "2026-06-19T15:00:00Z",
        })
    );
    let many = CheckRequest {
        workloads: vec![CheckedWorkload { workload: "x".repeat(1000), pods: 1 }; 1000],
        ..question()
    };
    let deaf = BatchCheck::Command { program: "true".into(), args: Vec::new(), timeout: LONG };
    assert_eq!(deaf.run(&many), CheckResult::Pass(String::new()));
}

#[test]
fn a_flood_of_output_is_read_and_not_kept() {
    let result = shell("yes no | head -c 3000000; echo done", LONG);
    assert_eq!(result, CheckResult::Pass("done".into()));
}

#[cfg(target_os = "linux")]
#[test]
fn a_program_that_does_not_end_is_ended_with_its_children() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pid");
    let script = format!("sleep 600 & echo $! > '{0}.new'; mv '{0}.new' '{0}'; wait", file.display());
    let began = Instant::now();
    let result = shell(&script, Duration::from_secs(2));
    assert_eq!(result, CheckResult::Inconclusive("the check `sh` did not finish within 2 s".into()));
    assert!(began.elapsed() < LONG);
    let pid = std::fs::read_to_string(&file).unwrap();
    // A zombie is ended, too: whoever inherits it has not looked yet.
    let is_alive = || {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
        stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
    };
    while is_alive() {
        assert!(began.elapsed() < LONG, "its child runs on");
        std::thread::yield_now();
    }
}

#[test]
fn what_a_program_leaves_running_holds_nothing_up() {
    let began = Instant::now();
    assert_eq!(shell("sleep 600 & echo done", LONG), CheckResult::Pass("done".into()));
    assert!(began.elapsed() < LONG);
}

#[test]
fn a_program_that_is_not_there_is_named() {
    let check = BatchCheck::Command { program: "no-such-check".into(), args: Vec::new(), timeout: LONG };
    let CheckResult::Inconclusive(message) = check.run(&question()) else { panic!("an answer") };
    assert_eq!(
        message,
        "the program `no-such-check` of `--check-command` is not found: add it to PATH, or give its path"
    );
}

#[test]
fn a_server_answers_in_json() {
    let of = |result: &str| answer(200, json!({"result": result, "message": "p99 is\n180 ms"}));
    let server = Scripted::new([
        of("pass"),
        of("fail"),
        of("wait"),
        of("maybe"),
        answer(503, json!({"result": "pass"})),
        (200, Vec::new(), "<html>".into()),
        (302, vec![("location", "http://127.0.0.1:1/")], String::new()),
    ]);
    let check = BatchCheck::Url {
        address: SecretUrl::parse(&format!("{}/check?key=s3cr3t", server.url())).unwrap(),
        client: HttpClient::new(LONG, &CaCertificates::default()),
    };
    let results: Vec<CheckResult> = (0..7).map(|_| check.run(&question())).collect();
    let again = |why: &str| CheckResult::Inconclusive(format!("the check at 127.0.0.1: {why}"));
    assert_eq!(
        results,
        [
            CheckResult::Pass("p99 is 180 ms".into()),
            CheckResult::Fail("p99 is 180 ms".into()),
            CheckResult::Wait("p99 is 180 ms".into()),
            again("`result` of its answer is not `pass`, `fail` or `wait`"),
            again("it answered with status 503, not 200"),
            again("its answer is not JSON"),
            again("it answered with status 302, not 200"),
        ]
    );
    let asked: Vec<Value> =
        server.asked().iter().map(crate::support::scripted_servers::Asked::json).collect();
    assert!(asked.iter().all(|a| *a == question().to_json()));
    assert_eq!(server.asked()[0].line, "POST /check?key=s3cr3t");
    assert_eq!(server.asked()[0].header("content-type"), "application/json");
}

#[test]
fn certificates_are_read_before_anything_is_asked() {
    let test_env = TestEnvironment::new();
    let repo = test_env.init("repo", &[]);
    repo.hold(&example()).commit("start");
    repo.put("own.pem", "nothing");
    for (file, why) in [
        ("no.pem", "No such file or directory (os error 2)"),
        ("own.pem", "this PEM file contains no certificate"),
    ] {
        let output = repo.try_pillion(&["watch", "--once", "--ca-file", file]);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert_eq!(
            stderr,
            format!("pillion: --ca-file: `{file}`: {why}: name a PEM file with certificates\n")
        );
    }
}
