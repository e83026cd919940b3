//! action.yml, run by a real workflow runner: on a good repository, a stale one and a hostile pull request, and with
//! the rollouts it stages. `watched/action.rs` tests its command `watch`.

use crate::harness::sandbox;
use crate::harness::tools::tool;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::mpsc;

/// The runner, in a folder with a repository.
pub(crate) struct Runner {
    folder: PathBuf,
    home: tempfile::TempDir,
}

/// A repository with the action in it, as a workflow that uses it sees both.
struct Repository {
    _folder: tempfile::TempDir,
    runner: Runner,
}

const WORKFLOW: &str = "name: t
on: [push, pull_request]
permissions: {}
jobs:
  t:
    runs-on: ubuntu-latest
    steps:
    - uses: actions/checkout@08c6903cd8c0fde910a37f88322edcfb5dd907a8
    - id: pillion
      uses: ./.pillion
      with:
        command: ${{ vars.COMMAND }}
        working-directory: ${{ vars.DIRECTORY }}
        token: secret-token
    - if: always()
      env:
        RESULT: ${{ steps.pillion.outputs.result }}
        CHANGED: ${{ steps.pillion.outputs.changed }}
        BRANCHES: ${{ steps.pillion.outputs.branches }}
      run: echo \"result=$RESULT changed=$CHANGED branches=$BRANCHES.\"
";

impl Runner {
    /// Puts the action and a workflow that uses it into a repository.
    pub(crate) fn new(folder: &Path) -> Self {
        sandbox::enter();
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let _ = fs::remove_dir_all(folder.join(".github"));
        fs::create_dir_all(folder.join(".github/workflows")).unwrap();
        fs::write(folder.join(".github/workflows/t.yaml"), WORKFLOW).unwrap();
        copy(&root.join("action"), &folder.join(".pillion/action"));
        for file in ["action.yml", "Cargo.toml"] {
            fs::copy(root.join(file), folder.join(".pillion").join(file)).unwrap();
        }
        let runner = Self { folder: folder.to_owned(), home: tempfile::tempdir().unwrap() };
        symlink(env!("CARGO_BIN_EXE_pillion"), runner.home.path().join("pillion")).unwrap();
        runner
    }

    /// Runs a command of the action, and returns the log.
    pub(crate) fn run(&self, command: &str, directory: &str, further: &[&str]) -> String {
        printed(&self.act("push", command, directory, further))
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.folder).env_clear();
        command.env("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", self.home.path().display()));
        command.env("HOME", self.home.path()).env("TMPDIR", std::env::temp_dir());
        command.envs([
            ("GIT_CONFIG_GLOBAL", "/dev/null"),
            ("GIT_CONFIG_NOSYSTEM", "1"),
            ("LC_ALL", "C.UTF-8"),
        ]);
        for who in ["AUTHOR", "COMMITTER"] {
            command.env(format!("GIT_{who}_NAME"), "Ada").env(format!("GIT_{who}_EMAIL"), "ada@acme.example");
        }
        command
    }

    fn act(&self, event: &str, command: &str, directory: &str, further: &[&str]) -> Output {
        let mut act = self.command(&tool("act", "act"));
        act.args([event, "--platform", "ubuntu-latest=-self-hosted"]);
        // Else it listens on the address that faces the internet, and the sandbox has none.
        act.args(["--no-cache-server", "--artifact-server-addr", "127.0.0.1"]);
        act.args(["--var", &format!("COMMAND={command}"), "--var", &format!("DIRECTORY={directory}")]);
        act.args(further).output().unwrap()
    }
}

impl Repository {
    /// An example of examples/ under version control.
    fn new(example: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(example), folder.path());
        let repository = Self { runner: Runner::new(folder.path()), _folder: folder };
        repository.git(&["init", "--quiet", "--initial-branch=main"]);
        repository
    }

    /// The same with a server behind it, where the branch is live and everything is released.
    fn released(branch: &str) -> Self {
        let repository = Self::new("rollout");
        repository.edit("pillion.yaml", "deploy: main", &format!("deploy: '{branch}'"));
        repository.edit("pillion.yaml", "source: main", &format!("source: '{branch}'"));
        repository.git(&["checkout", "--quiet", "-b", branch, "--"]);
        let server = repository.server().display().to_string();
        repository.git(&["init", "--quiet", "--bare", &server]);
        repository.git(&["remote", "add", "origin", &server]);
        repository.push();
        repository.pillion(&["init", "rollout", "--released=current", "--push"]);
        repository.git(&["pull", "--quiet", "--ff-only", "origin", &format!("refs/heads/{branch}")]);
        repository
    }

    fn server(&self) -> PathBuf {
        self.runner.home.path().join("server.git")
    }

    fn push(&self) {
        self.commit();
        self.git(&["push", "--quiet", "origin", "HEAD"]);
    }

    /// The branches of the server, with their commits.
    fn branches(&self) -> Vec<String> {
        let server = self.server().display().to_string();
        let text =
            self.git(&["--git-dir", &server, "for-each-ref", "--format=%(refname:short) %(objectname)"]);
        text.lines().map(str::to_owned).collect()
    }

    fn git(&self, arguments: &[&str]) -> String {
        self.run_program(Path::new("git"), arguments)
    }

    fn pillion(&self, arguments: &[&str]) {
        self.run_program(Path::new(env!("CARGO_BIN_EXE_pillion")), arguments);
    }

    fn run_program(&self, program: &Path, arguments: &[&str]) -> String {
        let output = self.runner.command(program).args(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn commit(&self) {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--message", "a change"]);
    }

    fn run(&self, command: &str, directory: &str) -> String {
        self.runner.run(command, directory, &[])
    }

    /// What a name made a shell do, in any folder where one ran.
    fn pwned(&self) -> String {
        let home = self.runner.home.path().display().to_string();
        let mut find = self.runner.command(Path::new("find"));
        // Other tests remove folders meanwhile, which is not a failure here.
        let output = find.args([".", "/tmp", &home, "-maxdepth", "5", "-name", "pwned"]).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn edit(&self, file: &str, from: &str, to: &str) {
        let path = self.runner.folder.join(file);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from));
        fs::write(path, text.replace(from, to)).unwrap();
    }
}

/// What a run printed, on both streams.
fn printed(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path: PathBuf = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, target).unwrap();
        }
    }
}

#[test]
#[ignore = "needs act: cargo test --test e2e -- --ignored"]
fn a_check_passes_and_a_stale_repository_fails_it() {
    let repository = Repository::new("github-action");
    repository.pillion(&["render", "--out", "rendered"]);
    repository.commit();
    let log = repository.run("check", ".");
    assert!(log.contains("result=done changed=false") && log.contains("Job succeeded"), "{log}");
    repository.edit("sidecars/log.yaml", "1.4.2", "1.5.0");
    let log = repository.run("check", ".");
    assert!(log.contains("result=findings changed=true") && log.contains("Job failed"), "{log}");
    assert!(log.contains("+        image: registry.example/logtail:1.5.0"), "{log}");
}

#[test]
#[ignore = "needs act: cargo test --test e2e -- --ignored"]
fn names_that_are_made_to_break_shells_are_only_names() {
    let repository = Repository::new("github-action");
    let hostile = "`touch pwned`; $(touch pwned) && \"x\n::set-output name=result::pwned";
    let folder = format!("apps/{}", "$(touch pwned);`touch pwned`'\"");
    fs::create_dir_all(repository.runner.folder.join(&folder)).unwrap();
    let web = fs::read_to_string(repository.runner.folder.join("apps/web.yaml")).unwrap();
    let file = repository.runner.folder.join(&folder).join("::error::x.yaml");
    fs::write(&file, web.replace("name: web}", "name: other}")).unwrap();
    repository.commit();
    repository.git(&["checkout", "--quiet", "-b", "$(touch${IFS}pwned)"]);
    let log = repository.run("check", ".");
    assert!(log.contains("result=findings"), "{log}");
    let log = repository.run("check", hostile);
    assert!(log.contains("result=usage-error") && log.contains("is not a folder"), "{log}");
    let log = repository.run(hostile, ".");
    assert!(log.contains("result=usage-error") && !log.contains("result=pwned"), "{log}");
    let log = repository.run("check", "../..");
    assert!(log.contains("is outside of the workspace"), "{log}");
    assert_eq!(repository.pwned(), "");
}

#[test]
#[ignore = "needs act: cargo test --test e2e -- --ignored"]
fn a_pull_request_gets_one_comment_and_a_fork_none() {
    let repository = Repository::new("rollout");
    repository.commit();
    repository.pillion(&["init", "rollout", "--released=current"]);
    repository.git(&["update-ref", "refs/heads/main", "refs/pillion/outbox"]);
    repository.git(&["reset", "--quiet", "--hard"]);
    repository.edit("sidecars/log.yaml", "logtail:1.4.2", "logtail:1.5.0");
    let event = |head: &str| {
        let text = format!(
            r#"{{"pull_request": {{"number": 5, "head": {{"repo": {{"full_name": "{head}"}}}}, "base": {{"repo": {{"full_name": "acme/deploy"}}}}}}}}"#
        );
        let file = repository.runner.home.path().join("event.json");
        fs::write(&file, text).unwrap();
        file.to_string_lossy().into_owned()
    };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let api = format!("GITHUB_API_URL=http://{}", listener.local_addr().unwrap());
    let (tell, receiver) = mpsc::channel();
    std::thread::spawn(move || serve(&listener, &tell));
    let run = |head: &str| {
        let file = event(head);
        printed(&repository.runner.act(
            "pull_request",
            "comment",
            ".",
            &["--eventpath", &file, "--env", &api],
        ))
    };
    for _ in 0..2 {
        let log = run("acme/deploy");
        assert!(log.contains("result=done changed=true"), "{log}");
        assert!(!log.contains("secret-token"), "{log}");
    }
    let log = run("mallory/deploy");
    assert!(log.contains("result=done") && log.contains("from a fork"), "{log}");
    let asked: Vec<String> = receiver.try_iter().collect();
    let methods: Vec<&str> = asked.iter().filter_map(|a| a.split(' ').next()).collect();
    assert_eq!(methods, ["GET", "POST", "GET", "PATCH"]);
}

#[test]
#[ignore = "needs act: cargo test --test e2e -- --ignored"]
fn a_new_image_is_staged_once() {
    let repository = Repository::released("main");
    let log = repository.run("stage", ".");
    assert!(log.contains("result=done changed=false branches=."), "{log}");
    assert_eq!(repository.branches().len(), 1);

    repository.edit("sidecars/log.yaml", "logtail:1.4.2", "logtail:1.5.0");
    repository.push();
    let log = repository.run("stage", ".");
    assert!(log.contains("result=done changed=true branches=pillion/main/log."), "{log}");
    assert!(log.contains("log: `pillion/main/log` created and pushed"), "{log}");
    assert!(log.contains("Summary - ### Staged") && log.contains("Job succeeded"), "{log}");
    assert!(!log.contains("secret-token"), "{log}");
    let staged = repository.branches();
    assert_eq!(staged.len(), 2);

    let log = repository.run("stage", ".");
    assert!(log.contains("result=done changed=true branches=pillion/main/log."), "{log}");
    // The runner works in another clone each time, and its branch is new there.
    assert!(log.contains("log: `pillion/main/log` created\n"), "{log}");
    assert_eq!(repository.branches(), staged);

    repository.edit("sidecars/log.yaml", "logtail:1.5.0", "logtail:1.4.2");
    repository.push();
    let log = repository.run("stage", ".");
    assert!(log.contains("result=done changed=false branches=."), "{log}");
    assert_eq!(repository.branches().len(), 1);
}

#[test]
#[ignore = "needs act: cargo test --test e2e -- --ignored"]
fn a_rollout_onto_a_branch_whose_name_is_made_to_break_shells() {
    let branch = "$(touch${IFS}pwned);`touch${IFS}pwned`\"is";
    let repository = Repository::released(branch);
    repository.edit("sidecars/log.yaml", "logtail:1.4.2", "logtail:1.5.0");
    repository.push();
    let log = repository.run("stage", ".");
    assert!(log.contains(&format!("result=done changed=true branches=pillion/{branch}/log.")), "{log}");
    assert_eq!(repository.branches().len(), 2);
    assert_eq!(repository.pwned(), "");
}

#[test]
#[ignore = "needs act: cargo test --test e2e -- --ignored"]
fn the_token_goes_to_the_server_and_nowhere_else() {
    let repository = Repository::released("main");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = format!("http://{}", listener.local_addr().unwrap());
    let (tell, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.unwrap());
            let lines = stream.by_ref().lines().map(Result::unwrap).take_while(|line| !line.is_empty());
            tell.send(lines.collect::<Vec<_>>()).unwrap();
            stream.get_mut().write_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n").unwrap();
        }
    });
    repository.git(&["remote", "set-url", "origin", &format!("{server}/acme/deploy.git")]);
    let log = repository.runner.run("stage", ".", &["--env", &format!("GITHUB_SERVER_URL={server}")]);
    assert!(log.contains("result=usage-error") && log.contains("does not accept git's credentials"), "{log}");
    assert!(!log.contains("Summary"), "{log}");
    let basic = "eC1hY2Nlc3MtdG9rZW46c2VjcmV0LXRva2Vu";
    assert!(!log.contains("secret-token") && !log.contains(basic), "{log}");
    let asked: Vec<Vec<String>> = receiver.try_iter().collect();
    let sends = |head: &Vec<String>| head.contains(&format!("AUTHORIZATION: basic {basic}"));
    assert!(!asked.is_empty() && asked.iter().all(sends), "{asked:?}");
}

/// As much of GitHub's API as comments need: one comment, which is there once it was posted.
fn serve(listener: &TcpListener, tell: &mpsc::Sender<String>) {
    let mut comment: Option<serde_json::Value> = None;
    for stream in listener.incoming() {
        let mut stream = BufReader::new(stream.unwrap());
        let (mut head, mut length) = (String::new(), 0);
        loop {
            let mut line = String::new();
            stream.read_line(&mut line).unwrap();
            if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            if line.trim().is_empty() {
                break;
            }
            head.push_str(&line);
        }
        assert!(head.contains("Bearer secret-token"), "{head}");
        let mut body = vec![0; length];
        stream.read_exact(&mut body).unwrap();
        let request = head.lines().next().unwrap().to_owned();
        let answer = match request.starts_with("GET") {
            true => serde_json::Value::Array(comment.iter().cloned().collect()),
            false => {
                let sent: serde_json::Value = serde_json::from_slice(&body).unwrap();
                let text = sent["body"].as_str().unwrap();
                assert!(text.starts_with("<!-- pillion plan ") && text.chars().count() <= 65_536);
                let made = serde_json::json!({"id": 7, "user": {"type": "Bot"}, "body": text});
                comment = Some(made.clone());
                made
            }
        };
        tell.send(request).unwrap();
        let answer = answer.to_string();
        let text = format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{answer}",
            answer.len()
        );
        stream.get_mut().write_all(text.as_bytes()).unwrap();
    }
}
