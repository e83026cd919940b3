//! Kinds of repositories: which ones are read, and the errors for the others.

use crate::support::git_fixtures::{NOW, TestEnvironment, by, on_top, pillion};
use pillion::git::{Error, HistoryWalk, Identity, ObjectId, Repository, Signing, trailer};
use std::fs;
use std::path::Path;

fn failure<T>(result: Result<T, Error>) -> Error {
    result.err().expect("it was to fail")
}

#[test]
fn a_repository_is_found_upwards() {
    let test_env = TestEnvironment::new();
    let repo = test_env.init("repo", &[]);
    repo.put("apps/deep/x.yaml", "");
    repo.commit("start");
    for from in ["", "apps/deep", "apps/deep/x.yaml", ".git"] {
        let found = Repository::discover(&repo.path.join(from)).unwrap();
        assert_eq!(found.root().unwrap().canonicalize().unwrap(), repo.path, "{from}");
        assert!(!found.is_bare() && !found.is_shallow() && !found.is_partial() && !found.is_detached());
        assert_eq!(found.head_branch().as_deref(), Some("refs/heads/main"));
    }
    let none = failure(Repository::discover(&test_env.path("home")));
    assert!(matches!(none, Error::RepositoryNotFound { .. }), "{none}");
    let none = failure(Repository::discover(&test_env.path("no/such/folder")));
    assert!(matches!(none, Error::RepositoryNotFound { .. }), "{none}");
}

#[test]
fn the_same_commit_is_made_in_every_kind_of_repository() {
    let test_env = TestEnvironment::new();
    let repo = test_env.init("repo", &[]);
    repo.put("a/b", "1").put("c", "2");
    let base = repo.commit("start");
    repo.git(&["worktree", "add", "-q", "--detach", "../linked"]);
    repo.git(&["gc", "-q"]);
    test_env.clone(&repo, "bare.git", &["--bare"]);
    test_env.clone(&repo, "mirror.git", &["--mirror"]);
    test_env.clone(&repo, "shared", &["--shared"]);
    test_env.clone(&repo, "detached", &[]).git(&["checkout", "-q", "--detach"]);
    let made: Vec<ObjectId> = ["repo", "linked", "bare.git", "mirror.git", "shared", "detached"]
        .iter()
        .map(|name| test_env.repo(name).at_rest(|r| on_top(r, base, &[("a/b", "3"), ("d/e", "4")])))
        .collect();
    assert!(made.iter().all(|id| *id == made[0]), "{made:?}");
    assert!(test_env.repo("detached").open().is_detached());
    assert!(test_env.repo("linked").open().is_detached());
    assert!(test_env.repo("mirror.git").open().is_bare());
}

#[test]
fn sha_256_and_reftable_are_refused_with_the_reason() {
    let test_env = TestEnvironment::new();
    let sha = test_env.init("sha256", &["--object-format=sha256"]);
    let refused = failure(Repository::discover(&sha.path)).to_string();
    assert!(refused.contains("SHA-256") && refused.contains("pillion render"), "{refused}");
    // A git that knows reftable writes this; the one of the tests need not know it.
    let repo = test_env.init("reftable", &[]);
    repo.set("core.repositoryformatversion", "1").set("extensions.refStorage", "reftable");
    let refused = failure(Repository::discover(&repo.path)).to_string();
    assert!(refused.contains("git refs migrate"), "{refused}");
    let repo = test_env.init("unusual", &[]);
    repo.set("core.repositoryformatversion", "1").set("extensions.somethingNew", "true");
    let refused = failure(Repository::discover(&repo.path));
    assert!(refused.to_string().contains("`somethingnew`") && !refused.is_retryable(), "{refused}");
    let repo = test_env.init("partial", &[]);
    repo.set("core.repositoryformatversion", "1").set("extensions.partialClone", "origin");
    let refused = failure(Repository::discover(&repo.path)).to_string();
    assert!(refused.contains("without `--filter`"), "{refused}");
}

#[test]
fn a_shallow_clone_says_what_it_cannot_tell() {
    let test_env = TestEnvironment::new();
    let repo = test_env.init("repo", &[]);
    let first = repo.commit("one");
    repo.commit("two");
    let third = repo.commit("three");
    let clone = test_env.clone(&repo, "clone", &["--depth=1"]);
    clone.at_rest(|repository| {
        assert!(repository.is_shallow());
        let refused = failure(repository.is_ancestor(first, third));
        assert!(refused.to_string().contains("git fetch --unshallow"), "{refused}");
        let refused = failure(repository.resolve("v1"));
        assert!(refused.to_string().contains("--unshallow"), "{refused}");
        let made = on_top(repository, third, &[("x", "1")]);
        assert!(repository.is_ancestor(third, made).unwrap());
        assert_eq!(repository.log(made, None, HistoryWalk::All).unwrap().count(), 2);
    });
}

#[test]
fn a_partial_clone_says_what_it_lacks() {
    let test_env = TestEnvironment::new();
    let repo = test_env.init("repo", &[]);
    repo.set("uploadpack.allowFilter", "true").put("x.yaml", "a: 1\n");
    repo.commit("one");
    let clone = test_env.clone(&repo, "clone", &["--no-checkout", "--filter=blob:none"]);
    let repository = clone.open();
    assert!(repository.is_partial());
    let tree = repository.commit(repository.resolve("main").unwrap()).unwrap().tree;
    let file = repository.entry_at(tree, "x.yaml").unwrap().unwrap();
    let refused = failure(repository.read_blob(file.id)).to_string();
    assert!(refused.contains("partial clone") && refused.contains("without `--filter`"), "{refused}");
    let listing = pillion::read::list_tree(&repository, tree).unwrap();
    let diagnostic = pillion::workspace::read_input(
        &pillion::workspace::inputs_from_paths(&["x.yaml".into()]).remove(0),
        &listing,
    )
    .unwrap_err();
    assert!(diagnostic.message.contains("without `--filter`") && diagnostic.help.is_none(), "{diagnostic:?}");
}

#[test]
fn an_unknown_revision_names_what_may_be_meant() {
    let test_env = TestEnvironment::new();
    let repo = test_env.init("repo", &[]);
    let empty = failure(repo.open().resolve("main")).to_string();
    assert!(empty.contains("there is no commit yet; make the first one"), "{empty}");
    let base = repo.commit("start");
    repo.git(&["tag", "-a", "-m", "x", "v1"]);
    for name in ["main", "v1", "HEAD", &base.to_string(), &base.short(), "main^0"] {
        assert_eq!(repo.open().resolve(name).unwrap(), base, "{name}");
    }
    let clone = test_env.clone(&repo, "clone", &[]);
    clone.git(&["checkout", "-q", "--detach"]);
    clone.git(&["branch", "-q", "-D", "main"]);
    let hint = failure(clone.open().resolve("main")).to_string();
    assert_eq!(hint, "`main` is not a commit of this repository: there is `origin/main`");
    assert!(failure(clone.open().resolve("refs/heads/no..pe")).to_string().contains("origin/main"));
}

#[test]
fn history_is_walked_newest_first() {
    let test_env = TestEnvironment::new();
    let repo = test_env.init("repo", &[]);
    repo.put("sidecars/log.yaml", "1").put("apps/x", "1");
    let one = repo.commit("one");
    repo.put("apps/x", "2");
    let two = repo.commit("two");
    repo.git(&["checkout", "-q", "-b", "side", &one.to_string()]);
    repo.put("sidecars/log.yaml", "2");
    let side = repo.commit("side");
    repo.git(&["checkout", "-q", "main"]);
    repo.git(&["merge", "-q", "--no-ff", "-m", "merge", "side"]);
    let merge = repo.id("HEAD");
    fs::remove_file(repo.path.join("sidecars/log.yaml")).unwrap();
    let removal = repo.commit("gone");
    let repository = repo.open();
    let log = |path, walk| -> Vec<ObjectId> {
        repository.log(removal, path, walk).unwrap().map(|c| c.unwrap().id).collect()
    };
    assert_eq!(log(None, HistoryWalk::FirstParent), [removal, merge, two, one]);
    assert_eq!(log(Some("sidecars/log.yaml"), HistoryWalk::FirstParent), [removal, merge, one]);
    assert_eq!(log(Some("./sidecars/".trim_start_matches("./")), HistoryWalk::All), [removal, side, one]);
    assert_eq!(log(Some("apps"), HistoryWalk::All), [two, one]);
    assert_eq!(log(None, HistoryWalk::All).len(), 5);
    assert_eq!(log(Some("no/such"), HistoryWalk::All), []);
    assert!(
        repository.is_ancestor(side, removal).unwrap() && repository.is_ancestor(removal, removal).unwrap()
    );
    assert!(!repository.is_ancestor(side, two).unwrap());
    let unknown: ObjectId = "1234567890123456789012345678901234567890".parse().unwrap();
    assert!(!repository.is_ancestor(unknown, removal).unwrap());
    assert!(matches!(failure(repository.commit(unknown)), Error::MissingObject { .. }));
    let commit = repository.commit(merge).unwrap();
    assert_eq!((commit.subject(), &*commit.parents), ("merge", [two, side].as_slice()));
    assert_eq!((commit.author.name(), commit.time.seconds), ("A Person", 1_600_000_000));
}

#[test]
fn trailers_are_what_git_takes_for_trailers() {
    let test_env = TestEnvironment::new();
    let repo = test_env.init("repo", &[]);
    let mut base = repo.commit("start");
    let made = trailer::format_message(
        "log: batch\n2/3",
        "\nWords:\nmore words\n\n",
        &[
            (trailer::SOURCE, "9d2e".to_owned()),
            (trailer::EVIDENCE, "{\"pod\":\"a/x\"}".to_owned()),
            (trailer::EVIDENCE, "{\"pod\":\"a/b\"}\nPillion-Action: Complete".to_owned()),
            (trailer::ACTION, "Pause".to_owned()),
        ],
    );
    assert_eq!(
        made,
        "log: batch 2/3\n\nWords:\nmore words\n\nPillion-Action: Pause\nPillion-Evidence: {\"pod\":\"a/x\"}\nPillion-Evidence: {\"pod\":\"a/b\"} Pillion-Action: Complete\nPillion-Source: 9d2e\n"
    );
    let cases = [
        made.as_str(),
        "subject",
        "subject: x",
        "subject\n\nKey: value",
        "subject\n\nKey: value\nnot a trailer",
        "subject\n\nnot a trailer\nSigned-off-by: A <a@b>",
        "subject\n\n1\n2\n3\n4\nSigned-off-by: A <a@b>",
        "subject\n\nKey: one\n  two\n\tthree\nOther : x",
        "subject\n\nA: 1\n\nB: 2\n\n\n",
        "subject\n\nA: 1\n(cherry picked from commit 1234)\nB: 2",
        "subject\n\nA: 1\n---\nB: 2",
        "subject\n\nA:1\nB:\nC-d: http://x:80/",
        "subject\n\n: x\nB: 1",
        "subject\n\nBad key: x",
        "subject\n\n  A: 1\nB: 1",
        "subject\n\nA: 1\n \nB: 1",
    ];
    repo.at_rest(|repository| {
        for message in cases {
            let tree = repository.commit(base).unwrap().tree;
            let (who, parents) = (pillion(), [base]);
            let new = by(&who, NOW, tree, &parents, message);
            base = repository.write_commit(&new, &Signing::disabled()).unwrap();
            let ours: Vec<String> = repository
                .commit(base)
                .unwrap()
                .trailers()
                .iter()
                .map(|t| format!("{}={}", t.key, t.value))
                .collect();
            let format = "--format=%(trailers:only,unfold,key_value_separator=%x3D,separator=%x0A)";
            let theirs = repo.git(&["log", "-1", format, &base.to_string()]);
            assert_eq!(ours.join("\n"), theirs, "{message:?}");
        }
    });
    assert!(trailer::KEYS.is_sorted());
}

#[test]
fn an_identity_that_git_cannot_hold_is_refused() {
    for (name, email) in [("", "a@b"), ("a", " "), ("a<b", "a@b"), ("a", "a@b>"), ("a\nb", "c"), ("a", "b\0")]
    {
        let refused = failure(Identity::new(name, email));
        assert!(refused.to_string().contains("git.identity"), "{refused}");
    }
    assert_eq!(Identity::new(" pillion ", "p@x").unwrap().name(), "pillion");
}

#[test]
fn a_commit_is_sound_with_odd_times_and_messages() {
    let test_env = TestEnvironment::new();
    let repo = test_env.init("repo", &[]);
    let base = repo.commit("start");
    repo.at_rest(|repository| {
        let tree = repository.commit(base).unwrap().tree;
        for (offset_minutes, zone) in [(-570, "-0930"), (345, "+0545"), (0, "+0000"), (-30, "-0030")] {
            let time = pillion::git::CommitTime { seconds: 500_000, offset_minutes };
            let (who, parents) = (pillion(), [base, base]);
            let new = by(&who, time, tree, &parents, "größe");
            let made = repository.write_commit(&new, &Signing::disabled()).unwrap();
            assert_eq!(
                repo.git(&["log", "-1", "--format=%ad|%s", "--date=format:%z", &made.to_string()]),
                format!("{zone}|größe")
            );
            assert_eq!(repository.commit(made).unwrap().time, time);
        }
        let who = pillion();
        let new = by(&who, NOW, tree, &[], "a\0b");
        assert!(matches!(
            failure(repository.write_commit(&new, &Signing::disabled())),
            Error::InvalidMessage
        ));
    });
}

#[test]
fn a_missing_git_is_explained() {
    let test_env = TestEnvironment::new();
    let repo = test_env.init("repo", &[]);
    repo.set("remote.origin.url", "file:///nowhere");
    let programs = pillion::git::GitCommand { git: "no-such-git".into(), ..repo.programs() };
    let repository = repo.open().with_git_command(programs);
    let upstream = repository.upstream("origin").unwrap();
    let refused = failure(repository.fetch(&upstream, &["main"]));
    assert_eq!(refused.to_string(), "the program `no-such-git` is not found: install it, or add it to PATH");
    assert!(!Path::new("no-such-git").exists() && !refused.is_retryable());
}
