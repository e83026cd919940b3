//! Fetch and push between clones of one repository, with servers that reject.

use crate::support::git_fixtures::{Repo, TestEnvironment, on_top};
use pillion::git::{
    Error, ExpectedRef, GitCommand, ObjectId, PushStatus, RefMove, RefUpdate, Repository, Upstream,
};
use std::path::Path;
use std::time::Duration;

/// A server and two clones of it.
fn team(test_env: &TestEnvironment) -> (Repo, Repo, Repo) {
    let start = test_env.init("start", &[]);
    start.put("apps/x.yaml", "x: 0\n").commit("start");
    let server = test_env.clone(&start, "server.git", &["--bare"]);
    (test_env.clone(&server, "one", &[]), test_env.clone(&server, "two", &[]), server)
}

fn forward(branch: &str, to: ObjectId, expected: ExpectedRef) -> RefUpdate {
    RefUpdate { name: format!("refs/heads/{branch}"), to: Some(to), expected, kind: RefMove::FastForward }
}

fn replace(branch: &str, to: Option<ObjectId>, expected: ExpectedRef) -> RefUpdate {
    RefUpdate { name: format!("refs/heads/{branch}"), to, expected, kind: RefMove::Force }
}

/// Pushes one branch.
fn push(repository: &Repository, update: RefUpdate) -> Result<PushStatus, Error> {
    let upstream = repository.upstream("origin").unwrap();
    repository.push(&upstream, &[update]).and_then(|mut all| all.remove(0))
}

fn fetch(repository: &Repository, branch: &str) -> Option<ObjectId> {
    repository.fetch(&repository.upstream("origin").unwrap(), &[branch]).unwrap()[0]
}

#[test]
fn what_one_pushes_the_other_fetches() {
    let test_env = TestEnvironment::new();
    let (one, two, server) = team(&test_env);
    let made = one.at_rest(|repository| {
        let head = fetch(repository, "main").unwrap();
        let made = on_top(repository, head, &[("apps/x.yaml", "x: 1\n")]);
        let pushed = || push(repository, forward("main", made, ExpectedRef::At(head))).unwrap();
        assert_eq!(pushed(), PushStatus::Updated);
        // A second time, as after a kill between the push and whatever follows it.
        assert_eq!(pushed(), PushStatus::UpToDate);
        assert_eq!(repository.tracked_branch(&repository.upstream("origin").unwrap(), "main"), Some(made));
        made
    });
    assert_eq!(server.id("main"), made);
    assert_eq!(one.id("main"), one.id("main^{commit}"));
    assert_ne!(one.id("main"), made, "the branch that is checked out stays");
    two.at_rest(|repository| assert_eq!(fetch(repository, "main"), Some(made)));
    assert!(!two.path.join(".git/FETCH_HEAD").exists());
    server.at_rest(|_| ());
}

#[test]
fn of_two_pushers_one_wins() {
    let test_env = TestEnvironment::new();
    let (one, two, server) = team(&test_env);
    let made = |repo: &Repo, text: &str| {
        let repository = repo.open();
        let head = fetch(&repository, "main").unwrap();
        (head, on_top(&repository, head, &[("apps/x.yaml", text)]))
    };
    let ((head, first), (_, second)) = (made(&one, "x: 1\n"), made(&two, "x: 2\n"));
    one.at_rest(|r| push(r, forward("main", first, ExpectedRef::At(head))).unwrap());
    two.at_rest(|r| {
        for expected in [ExpectedRef::At(head), ExpectedRef::Any, ExpectedRef::Absent] {
            match push(r, forward("main", second, expected)) {
                Err(f @ Error::RefMoved { .. }) => assert!(f.is_retryable()),
                other => panic!("{other:?}"),
            }
        }
        // The loser plans again, on what it finds.
        let head = fetch(r, "main").unwrap();
        assert_eq!(head, first);
        let again = on_top(r, head, &[("apps/x.yaml", "x: 2\n")]);
        push(r, forward("main", again, ExpectedRef::At(head))).unwrap();
        assert_eq!(server.id("main"), again);
    });
}

#[test]
fn a_branch_that_went_back_is_noticed() {
    let test_env = TestEnvironment::new();
    let (one, _, server) = team(&test_env);
    let repository = one.open();
    let start = fetch(&repository, "main").unwrap();
    let next = on_top(&repository, start, &[("a", "1")]);
    push(&repository, forward("main", next, ExpectedRef::At(start))).unwrap();
    server.git(&["update-ref", "refs/heads/main", &start.to_string()]);
    // A plain push would be a fast-forward of what is there now.
    let after = on_top(&repository, next, &[("a", "2")]);
    let refused = push(&repository, forward("main", after, ExpectedRef::At(next)));
    assert!(matches!(refused, Err(Error::RefMoved { .. })), "{refused:?}");
    assert_eq!(server.id("main"), start);
}

#[test]
fn a_fast_forward_never_rewrites() {
    let test_env = TestEnvironment::new();
    let (one, _, server) = team(&test_env);
    let repository = one.open();
    let start = fetch(&repository, "main").unwrap();
    let (left, right) =
        (on_top(&repository, start, &[("a", "1")]), on_top(&repository, start, &[("a", "2")]));
    push(&repository, forward("main", left, ExpectedRef::At(start))).unwrap();
    // Even with the right lease.
    let refused = push(&repository, forward("main", right, ExpectedRef::At(left)));
    assert!(matches!(&refused, Err(f @ Error::NotFastForward { .. }) if !f.is_retryable()), "{refused:?}");
    let deleted = RefUpdate { to: None, ..forward("main", left, ExpectedRef::At(left)) };
    assert!(matches!(push(&repository, deleted), Err(Error::NotFastForward { .. })));
    assert_eq!(server.id("main"), left);
}

#[test]
fn staged_branches_are_made_anew_and_deleted() {
    let test_env = TestEnvironment::new();
    let (one, two, server) = team(&test_env);
    let repository = one.open();
    let upstream = repository.upstream("origin").unwrap();
    let start = fetch(&repository, "main").unwrap();
    let (left, right) =
        (on_top(&repository, start, &[("a", "1")]), on_top(&repository, start, &[("a", "2")]));
    let names = ["pillion/main/log", "pillion/main/mesh"];
    let both = |to, expected| names.map(|n| replace(n, Some(to), expected));
    let pushed = repository.push(&upstream, &both(left, ExpectedRef::Absent)).unwrap();
    assert!(pushed.iter().all(Result::is_ok), "{pushed:?}");
    // One of them was updated concurrently: the other moves all the same.
    server.git(&["update-ref", "refs/heads/pillion/main/mesh", &start.to_string()]);
    let pushed = repository.push(&upstream, &both(right, ExpectedRef::At(left))).unwrap();
    assert!(
        matches!(pushed.as_slice(), [Ok(PushStatus::Updated), Err(Error::RefMoved { .. })]),
        "{pushed:?}"
    );
    assert_eq!((server.id(names[0]), server.id(names[1])), (right, start));
    push(&repository, replace(names[1], Some(right), ExpectedRef::Any)).unwrap();
    two.at_rest(|r| {
        let asked = ["main", "no-such", names[1], "nor-this", names[0]];
        assert_eq!(r.fetch(&upstream, &asked).unwrap(), [Some(start), None, Some(right), None, Some(right)]);
    });
    push(&repository, replace(names[0], None, ExpectedRef::At(right))).unwrap();
    assert!(matches!(
        push(&repository, replace(names[1], None, ExpectedRef::At(left))),
        Err(Error::RefMoved { .. })
    ));
    two.at_rest(|r| assert_eq!(r.fetch(&upstream, &names).unwrap(), [None, Some(right)]));
    let result = repository.fetch(&upstream, &["a..b"]);
    assert!(matches!(result, Err(Error::InvalidRefName { .. })), "{result:?}");
}

#[test]
fn what_servers_say_is_told() {
    let test_env = TestEnvironment::new();
    let (one, _, server) = team(&test_env);
    let protections = [
        (
            "GH006: Protected branch update failed for refs/heads/main.\\nerror: At least 1 approving review is required",
            "error: GH006",
        ),
        (
            "GH013: Repository rule violations found for refs/heads/main.\\n- Changes must be made through a pull request.",
            "rule violations",
        ),
        (
            "GitLab: You are not allowed to push code to protected branches on this project.",
            "GitLab: You are not",
        ),
        ("Gitea: Not allowed to push to protected branch main", "Gitea"),
        ("Forgejo: branch main is protected from pushing commits", "Forgejo"),
        ("Permission denied to update branch main.", "Permission denied"),
        ("Branch refs/heads/main can only be modified through pull requests.", "pull requests"),
        (
            "TF402455: Pushes to this branch are not permitted; you must use a pull request to update this branch.",
            "TF402455",
        ),
    ];
    let repository = one.open();
    let head = fetch(&repository, "main").unwrap();
    let made = on_top(&repository, head, &[("a", "1")]);
    let push_refused_by = |hook: &str, words: &str| {
        server.script(
            &Path::new("hooks").join(hook),
            &format!("printf '{}\\n' >&2; exit 1", words.replace("GH0", "error: GH0")),
        );
        let refused = push(&repository, forward("main", made, ExpectedRef::At(head))).unwrap_err();
        std::fs::remove_file(server.path.join("hooks").join(hook)).unwrap();
        refused
    };
    for (words, kept) in protections {
        for hook in ["pre-receive", "update"] {
            match push_refused_by(hook, words) {
                Error::Protected { reason, name, remote } => {
                    assert!(reason.contains(kept), "{reason}");
                    assert_eq!((&*name, &*remote), ("main", "origin"));
                }
                other => panic!("{words}: {other:?}"),
            }
        }
    }
    let declined = push_refused_by("pre-receive", "commit messages must name a ticket");
    assert!(
        matches!(&declined, Error::Declined { reason, .. } if reason == "commit messages must name a ticket"),
        "{declined:?}"
    );
    let silent = push_refused_by("pre-receive", "");
    assert!(
        matches!(&silent, Error::Declined { reason, .. } if reason == "pre-receive hook declined"),
        "{silent:?}"
    );
    assert!(!silent.is_retryable());
    assert_eq!(server.id("main"), head);
    push(&repository, forward("main", made, ExpectedRef::At(head))).unwrap();
}

#[test]
fn a_race_inside_the_server_is_a_lost_race() {
    let test_env = TestEnvironment::new();
    let (one, two, server) = team(&test_env);
    let repository = one.open();
    let head = fetch(&repository, "main").unwrap();
    let made = on_top(&repository, head, &[("a", "1")]);
    let other = on_top(&two.open(), head, &[("a", "2")]);
    two.git(&["push", "-q", "origin", &format!("{other}:refs/heads/other")]);
    // Between the moment in which the server shows its refs and that in which it moves them, another push wins.
    server.script(
        Path::new("hooks/pre-receive"),
        &format!("unset GIT_QUARANTINE_PATH; git update-ref refs/heads/main {other}"),
    );
    match push(&repository, forward("main", made, ExpectedRef::At(head))) {
        Err(Error::RefMoved { .. }) => {}
        refused => panic!("{refused:?}"),
    }
    assert_eq!(server.id("main"), other);
}

#[test]
fn no_hook_of_a_clone_runs() {
    let test_env = TestEnvironment::new();
    let (one, _, server) = team(&test_env);
    let ran = test_env.path("ran");
    // As tools for hooks have it: the folder is in the working tree, where a commit may put anything.
    one.set("core.hooksPath", ".husky");
    for hook in ["pre-push", "reference-transaction", "pre-auto-gc"] {
        for folder in [".git/hooks", ".husky"] {
            one.script(&Path::new(folder).join(hook), &format!("echo {hook} >> {}; exit 1", ran.display()));
        }
    }
    let repository = one.open();
    let head = fetch(&repository, "main").unwrap();
    let made = on_top(&repository, head, &[("a", "1")]);
    push(&repository, forward("main", made, ExpectedRef::At(head))).unwrap();
    assert_eq!(server.id("main"), made);
    assert!(!ran.exists());
}

#[test]
fn a_remote_that_cannot_be_used_is_explained() {
    let test_env = TestEnvironment::new();
    let (one, _, _) = team(&test_env);
    let refused = one.open().upstream("upstream").unwrap_err();
    assert!(refused.to_string().contains("there is no remote `upstream`, only `origin`"), "{refused}");
    let url = |url: &str| {
        one.set("remote.origin.url", url);
        let repository = one.open();
        let fetched = repository.fetch(&repository.upstream("origin").unwrap(), &["main"]).unwrap_err();
        let pushed = push(&repository, forward("x", one.id("HEAD"), ExpectedRef::Absent)).unwrap_err();
        assert_eq!(std::mem::discriminant(&fetched), std::mem::discriminant(&pushed), "{fetched} {pushed}");
        assert!(!format!("{fetched}{fetched:?}{pushed}{pushed:?}").contains("s3cr3t"), "{fetched:?}");
        pushed
    };
    let error = url(&format!("file://{}", test_env.path("gone.git").display()));
    assert!(matches!(error, Error::RemoteRepositoryNotFound { .. }), "{error:?}");
    // Nothing listens on port 1.
    let closed = url("http://user:s3cr3t@127.0.0.1:1/x.git");
    assert!(matches!(&closed, f @ Error::Unreachable { .. } if f.is_retryable()), "{closed:?}");
    let ssh =
        one.script(Path::new(".git/ssh"), "echo 'git@host: Permission denied (publickey).' >&2; exit 255");
    one.set("core.sshCommand", ssh.to_str().unwrap());
    let locked_out = url("git@host:x.git");
    assert!(matches!(&locked_out, f @ Error::AccessDenied { .. } if !f.is_retryable()), "{locked_out:?}");
}

#[test]
fn credentials_and_headers_are_those_of_git() {
    let test_env = TestEnvironment::new();
    let (one, _, server) = team(&test_env);
    // What git starts in place of ssh is in the clone, and asks for the configuration of that.
    let ssh = one.script(
        Path::new(".git/ssh"),
        &format!(
            "test \"$(git config http.extraHeader)\" = 'X: 1' && exec git-upload-pack {}",
            server.path.display()
        ),
    );
    one.set("core.sshCommand", ssh.to_str().unwrap()).set("http.extraHeader", "X: 1");
    one.set("remote.origin.url", "ssh://git@git.example/x.git");
    assert!(fetch(&one.open(), "main").is_some());
}

#[test]
fn a_file_of_the_working_tree_does_not_say_what_git_starts() {
    for setting in [
        "[core]\n\tsshCommand = RUN",
        "[CORE]\n\tSSHCOMMAND = RUN",
        "[credential \"https://git.example\"]\n\thelper = !RUN",
        "[remote \"origin\"]\n\tuploadpack = RUN",
        "[gpg \"ssh\"]\n\tprogram = RUN",
        "[include]\n\tpath = more",
    ] {
        let test_env = TestEnvironment::new();
        let (one, _, _) = team(&test_env);
        let ran = test_env.path("ran");
        let script = one.script(Path::new("../run"), &format!("touch {}; exit 1", ran.display()));
        let setting = setting.replace("RUN", &script.display().to_string());
        one.put("team/gitconfig", format!("{setting}\n"));
        one.put("team/more", format!("[core]\n\tsshCommand = {}\n", script.display()));
        one.git(&["config", "include.path", "../team/gitconfig"]);
        one.set("remote.origin.url", "ssh://git@git.example/x.git");
        let repository = one.open();
        let fetched = repository.fetch(&Upstream::Remote("origin".to_owned()), &["main"]);
        let pushed = push(&repository, forward("x", one.id("HEAD"), ExpectedRef::Absent));
        for refused in [fetched.unwrap_err(), pushed.unwrap_err()] {
            assert!(matches!(refused, Error::IncludedProgram { .. }), "{setting}: {refused}");
            assert!(refused.to_string().contains("team/"), "{refused}");
        }
        assert!(!ran.exists(), "{setting}");
    }
    // Aliases of a team, and a file beside the working tree, count as before.
    let test_env = TestEnvironment::new();
    let (one, _, server) = team(&test_env);
    let ssh = one.script(Path::new("../ssh"), &format!("exec git-upload-pack {}", server.path.display()));
    one.put("team/gitconfig", "[alias]\n\tst = status\n");
    one.put("../own", format!("[core]\n\tsshCommand = {}\n", ssh.display()));
    one.git(&["config", "--add", "include.path", "../team/gitconfig"]);
    one.git(&["config", "--add", "include.path", "../../own"]);
    one.set("remote.origin.url", "ssh://git@git.example/x.git");
    assert!(fetch(&one.open(), "main").is_some());
}

#[test]
fn a_remote_that_is_a_program_is_not_started() {
    let test_env = TestEnvironment::new();
    let (one, _, server) = team(&test_env);
    let ran = test_env.path("ran");
    let helper = one
        .script(Path::new(".git/helper"), &format!("touch {}; exec git-upload-pack \"$1\"", ran.display()));
    one.set("protocol.ext.allow", "always");
    one.set("remote.origin.url", &format!("ext::{} {}", helper.display(), server.path.display()));
    let repository = one.open();
    let refused = repository.fetch(&Upstream::Remote("origin".to_owned()), &["main"]).unwrap_err();
    assert!(refused.to_string().contains("'ext' not allowed"), "{refused}");
    assert!(!ran.exists());
}

#[test]
fn a_server_that_never_answers_is_given_up() {
    let test_env = TestEnvironment::new();
    let (one, _, _) = team(&test_env);
    // It waits until its input ends, and git does not end it before it has answered.
    let ssh = one.script(Path::new(".git/ssh"), "cat > /dev/null");
    one.set("core.sshCommand", ssh.to_str().unwrap()).set("remote.origin.url", "git@host:x.git");
    let programs = GitCommand { timeout: Duration::from_millis(300), ..one.programs() };
    let repository = one.open().with_git_command(programs);
    let slow = repository.fetch(&Upstream::Remote("origin".to_owned()), &["main"]).unwrap_err();
    assert!(matches!(&slow, f @ Error::Timeout { .. } if f.is_retryable()), "{slow:?}");
}

#[test]
fn a_repository_without_a_remote_is_its_own_upstream() {
    let test_env = TestEnvironment::new();
    let repo = test_env.init("repo", &[]);
    let base = repo.commit("start");
    repo.git(&["branch", "live"]);
    repo.at_rest(|repository| {
        let upstream = repository.upstream("origin").unwrap();
        assert_eq!(upstream, Upstream::Local);
        assert_eq!(repository.fetch(&upstream, &["live", "no-such"]).unwrap(), [Some(base), None]);
        let made = on_top(repository, base, &[("a", "1")]);
        push(repository, forward("live", made, ExpectedRef::At(base))).unwrap();
        push(repository, forward("live", made, ExpectedRef::At(base))).unwrap();
        let other = on_top(repository, base, &[("a", "2")]);
        for expected in [ExpectedRef::Any, ExpectedRef::At(base)] {
            let refused = push(repository, forward("live", other, expected));
            assert!(matches!(refused, Err(Error::RefMoved { .. })), "{refused:?}");
        }
        let refused = push(repository, forward("main", made, ExpectedRef::At(base)));
        assert!(matches!(refused, Err(Error::CheckedOut { .. })), "{refused:?}");
        push(repository, replace("staged", Some(other), ExpectedRef::Absent)).unwrap();
        push(repository, replace("staged", None, ExpectedRef::At(other))).unwrap();
        assert_eq!(repository.tracked_branch(&upstream, "live"), Some(made));
    });
}

#[test]
fn a_hook_that_starts_pillion_does_not_confuse_it() {
    let test_env = TestEnvironment::new();
    let (one, two, server) = team(&test_env);
    let mut programs = one.programs();
    let of_two = |name: &str, value: &str| (name.into(), two.path.join(value).into());
    programs.environment.extend([
        of_two("GIT_DIR", ".git"),
        of_two("GIT_INDEX_FILE", ".git/index"),
        of_two("GIT_WORK_TREE", ""),
        of_two("GIT_OBJECT_DIRECTORY", ".git/objects"),
        ("GIT_NAMESPACE".into(), "elsewhere".into()),
    ]);
    let repository = one.open().with_git_command(programs);
    let head = fetch(&repository, "main").unwrap();
    let made = on_top(&repository, head, &[("a", "1")]);
    push(&repository, forward("main", made, ExpectedRef::At(head))).unwrap();
    assert_eq!(server.id("main"), made);
}
