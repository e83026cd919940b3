//! `build` commands of pillion.yaml do not run unless they are allowed, and a build that is not allowed is an error,
//! never a cluster without workloads.

use crate::support::git_fixtures::{Repo, TestEnvironment};
use crate::support::rollout_fixtures::newer;
use crate::workspace::builds::{built, refs};
use std::path::PathBuf;
use std::process::Output;

/// A repository of the ledger-only layout with a build that leaves a mark.
struct BuiltRepository {
    test_env: TestEnvironment,
    repo: Repo,
}

impl BuiltRepository {
    fn new() -> Self {
        let test_env = TestEnvironment::new();
        let repo = test_env.init("repo", &[]);
        let mut texts = built();
        let script = texts.get_mut("make.sh").unwrap();
        *script = script
            .replace("#!/bin/sh\n", &format!("#!/bin/sh\ntouch '{}'\n", test_env.path("ran").display()));
        repo.hold(&texts).commit("start");
        repo.hold(&newer(texts)).commit("1.5.0");
        repo.git(&["switch", "-q", "--detach"]);
        Self { test_env, repo }
    }

    fn mark(&self) -> PathBuf {
        self.test_env.path("ran")
    }

    fn run(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
        let mut command = self.repo.command(env!("CARGO_BIN_EXE_pillion"));
        command.args(arguments).envs(variables.iter().copied()).output().unwrap()
    }

    fn is_refused(&self, arguments: &[&str], variables: &[(&str, &str)], why: &str) {
        let before = refs(&self.repo);
        let output = self.run(arguments, variables);
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{arguments:?} {variables:?}: {stderr}");
        assert!(stderr.contains("error[build-not-allowed]: the build is not run: `sh make.sh`"), "{stderr}");
        assert!(stderr.contains("pillion.yaml:") && stderr.contains(why), "{arguments:?}: {stderr}");
        assert!(!self.mark().exists(), "{arguments:?} {variables:?} ran the build");
        assert_eq!(before, refs(&self.repo), "{arguments:?}");
    }

    fn runs(&self, arguments: &[&str], variables: &[(&str, &str)]) {
        let output = self.run(arguments, variables);
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!stderr.contains("build-not-allowed"), "{arguments:?} {variables:?}: {stderr}");
        assert!(self.mark().exists(), "{arguments:?} {variables:?}: {stderr}");
        std::fs::remove_file(self.mark()).unwrap();
    }
}

const READERS: &[&[&str]] = &[
    &["plan"],
    &["plan", "--from", "HEAD~1", "--to", "HEAD"],
    &["stage"],
    &["start"],
    &["status"],
    &["verify"],
    &["verify", "--base", "HEAD~1"],
    &["pause", "log"],
    &["approve", "log", "1"],
    &["rollback", "log"],
    &["hold", "Deployment/web", "--reason", "not now"],
    &["init", "rollout"],
    &["render"],
    &["render", "--diff"],
    &["explain", "Deployment/web"],
];

#[test]
fn in_ci_no_command_runs_a_build_that_the_workflow_does_not_allow() {
    let built_repository = BuiltRepository::new();
    for command in READERS {
        built_repository.is_refused(
            command,
            &[("CI", "true"), ("GITHUB_EVENT_NAME", "pull_request")],
            "`--allow-build`",
        );
    }
    for variable in [
        "GITHUB_ACTIONS",
        "GITHUB_EVENT_NAME",
        "GITLAB_CI",
        "CI_MERGE_REQUEST_IID",
        "TF_BUILD",
        "JENKINS_URL",
    ] {
        built_repository.is_refused(&["plan"], &[(variable, "1")], &format!("`{variable}` is set"));
    }
    built_repository.is_refused(&["plan"], &[("CI", "true"), ("PILLION_ALLOW_BUILD", "")], "`CI` is set");
    built_repository.is_refused(
        &["plan"],
        &[("CI", "true"), ("PILLION_ALLOW_BUILD", "false")],
        "`CI` is set",
    );
    built_repository.runs(&["plan", "--allow-build"], &[("CI", "true")]);
    built_repository.runs(&["status"], &[("CI", "true"), ("PILLION_ALLOW_BUILD", "true")]);
    let misspelt = built_repository.run(&["plan"], &[("CI", "true"), ("PILLION_ALLOW_BUILD", "ture")]);
    assert_eq!(misspelt.status.code(), Some(2), "{misspelt:?}");
    assert!(!built_repository.mark().exists());
}

#[test]
fn a_person_at_a_prompt_needs_no_flag() {
    let built_repository = BuiltRepository::new();
    for command in [&["plan"][..], &["render"], &["status"], &["verify"], &["start"], &["pause", "log"]] {
        built_repository.runs(command, &[]);
    }
    built_repository.runs(&["plan"], &[("CI", "false")]);
}

#[test]
fn manifests_that_are_handed_over_need_no_build() {
    let built_repository = BuiltRepository::new();
    let made = built_repository.repo.command("sh").arg("make.sh").output().unwrap().stdout;
    std::fs::remove_file(built_repository.mark()).unwrap();
    built_repository.repo.put("../made.yaml", made);
    let output = built_repository.run(&["start", "--manifests", "../made.yaml"], &[("CI", "true")]);
    assert!(output.status.success(), "{output:?}");
    assert!(!built_repository.mark().exists());
}

#[cfg(feature = "watch")]
mod in_a_watcher {
    use super::*;
    use crate::support::fake_cluster::FakeCluster;

    #[test]
    fn a_build_runs_where_the_operator_allows_it_and_never_for_a_dry_run() {
        let built_repository = BuiltRepository::new();
        built_repository.runs(&["start"], &[]);
        let cluster = FakeCluster::start();
        let kubeconfig = cluster.kubeconfig();
        let variables = [("KUBECONFIG", kubeconfig.to_str().unwrap())];
        let once = ["watch", "--once", "--timeout=1s"];
        built_repository.is_refused(
            &once,
            &variables,
            "a watcher runs a build only where its operator allows it",
        );
        for allowed in [&["--allow-build"][..], &[]] {
            let dry = [&once[..], &["--dry-run"], allowed].concat();
            built_repository.is_refused(
                &dry,
                &[variables[0], ("PILLION_ALLOW_BUILD", "1")],
                "a dry run runs no program",
            );
        }
        built_repository.runs(&[&once[..], &["--allow-build"]].concat(), &variables);
        built_repository.runs(&once, &[variables[0], ("PILLION_ALLOW_BUILD", "true")]);
    }
}
