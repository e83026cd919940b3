//! Child processes and their descendants end with pillion, on a signal and on a timeout.

use crate::support::git_fixtures::{Repo, TestEnvironment};
use crate::workspace::builds::built;
use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Hangs with a child, and says who both are.
const HANG: &str = "sleep 86400 & echo $$ $! > \"$HUNG.new\"; mv \"$HUNG.new\" \"$HUNG\"; wait";

#[track_caller]
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(120);
    while !is_so() {
        assert!(Instant::now() < until, "{what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// A repository in which a build, or a git program, hangs.
fn repository(test_env: &TestEnvironment, build: &str) -> Repo {
    let repo = test_env.init("repo", &[]);
    let mut texts = built();
    texts.insert("make.sh".into(), format!("{build}\n"));
    repo.hold(&texts).commit("start");
    repo.git(&["switch", "-q", "--detach"]);
    repo
}

fn start(
    test_env: &TestEnvironment,
    repo: &Repo,
    folder: &str,
    arguments: &[&str],
    variables: &[(&str, &str)],
) -> Child {
    let path = format!("{}:{}", test_env.path("programs").display(), std::env::var("PATH").unwrap());
    let mut command = repo.command(env!("CARGO_BIN_EXE_pillion"));
    command.current_dir(repo.path.join(folder)).args(arguments);
    command.env("HUNG", test_env.path("hung")).env("PATH", path).envs(variables.iter().copied());
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

#[track_caller]
fn nothing_hangs(test_env: &TestEnvironment) {
    for process in fs::read_to_string(test_env.path("hung")).unwrap().split_whitespace() {
        until("nothing hangs any more", || {
            let state = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
            state.is_empty() || state.contains(") Z ")
        });
    }
    fs::remove_file(test_env.path("hung")).unwrap();
}

#[track_caller]
fn ends_by_signal(test_env: &TestEnvironment, (name, number): (&str, i32), mut child: Child) {
    until("it hangs", || test_env.path("hung").exists());
    assert!(Command::new("kill").args([name, &child.id().to_string()]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().signal(), Some(number));
    nothing_hangs(test_env);
}

const SIGNALS: [(&str, i32); 2] = [("-INT", 2), ("-TERM", 15)];

#[test]
fn a_signal_ends_a_build() {
    let test_env = TestEnvironment::new();
    let repo = repository(&test_env, HANG);
    for (command, signal) in
        [&["plan"][..], &["render"], &["status"], &["stage"]].iter().zip(SIGNALS.iter().cycle())
    {
        ends_by_signal(&test_env, *signal, start(&test_env, &repo, "", command, &[]));
    }
}

#[test]
fn a_signal_ends_git_and_its_helpers() {
    let test_env = TestEnvironment::new();
    let repo = repository(&test_env, "cat apps/*/*.yaml");
    let real = String::from_utf8(repo.command("sh").args(["-c", "command -v git"]).output().unwrap().stdout)
        .unwrap();
    let script = format!("case \" $* \" in *' fetch '*) {HANG};; esac\nexec {} \"$@\"", real.trim());
    repo.script(Path::new("../programs/git"), &script);
    repo.set("remote.origin.url", "ssh://git@git.example/x.git");
    for (command, signal) in
        [&["status"][..], &["stage", "--push"], &["pause", "log"]].iter().zip(SIGNALS.iter().cycle())
    {
        ends_by_signal(&test_env, *signal, start(&test_env, &repo, "", command, &[]));
    }
}

#[test]
fn kustomize_ends_with_its_children() {
    let test_env = TestEnvironment::new();
    let repo = repository(&test_env, "true");
    repo.script(Path::new("../programs/kustomize"), HANG);
    repo.put("app/kustomization.yaml", "resources: []\n");
    let generate = ["cmp", "generate"];
    for signal in SIGNALS {
        ends_by_signal(&test_env, signal, start(&test_env, &repo, "app", &generate, &[]));
    }
    let mut child = start(&test_env, &repo, "app", &generate, &[("ARGOCD_EXEC_TIMEOUT", "1s")]);
    assert_eq!(child.wait().unwrap().code(), Some(1));
    nothing_hangs(&test_env);
}
