//! Refs move only from the value that was read, and never while they are checked out or locked elsewhere.

use crate::support::git_fixtures::{TestEnvironment, on_top};
use pillion::git::{Error, ExpectedRef};

#[test]
fn a_ref_moves_only_from_what_was_read() {
    let test_env = TestEnvironment::new();
    let repo = test_env.init("repo", &[]);
    let base = repo.commit("start");
    repo.at_rest(|repository| {
        let one = on_top(repository, base, &[("a", "1")]);
        let two = on_top(repository, one, &[("a", "2")]);
        let name = "refs/heads/pillion/main/log";
        let move_to = |to, expected| repository.update_ref(name, to, expected, "pillion: test");
        let is_moved =
            |r: Result<(), Error>| matches!(r, Err(f @ Error::RefMoved { .. }) if f.is_retryable());
        assert!(is_moved(move_to(one, ExpectedRef::At(base))), "not there yet");
        move_to(one, ExpectedRef::Absent).unwrap();
        assert!(is_moved(move_to(two, ExpectedRef::Absent)));
        assert!(is_moved(move_to(two, ExpectedRef::At(base))));
        assert_eq!(repository.find_ref(name), Some(one));
        move_to(two, ExpectedRef::At(one)).unwrap();
        move_to(base, ExpectedRef::Any).unwrap();
        assert_eq!(repository.refs("refs/heads/pillion/").unwrap(), [(name.to_owned(), base)]);
        assert!(is_moved(repository.delete_ref(name, ExpectedRef::At(one))));
        repository.delete_ref(name, ExpectedRef::At(base)).unwrap();
        repository.delete_ref(name, ExpectedRef::Absent).unwrap();
        assert!(is_moved(repository.delete_ref(name, ExpectedRef::At(base))));
        assert_eq!(repository.find_ref(name), None);
    });
}

#[test]
fn the_reflog_says_who_moved_it() {
    let test_env = TestEnvironment::new();
    let repo = test_env.init("repo", &[]);
    let base = repo.commit("start");
    repo.at_rest(|r| r.update_ref("refs/heads/x", base, ExpectedRef::Absent, "pillion: stage").unwrap());
    assert_eq!(repo.git(&["reflog", "-1", "--format=%gs", "x"]), "pillion: stage");
}

#[test]
fn a_branch_that_is_checked_out_stays() {
    let test_env = TestEnvironment::new();
    let repo = test_env.init("repo", &[]);
    let base = repo.commit("start");
    repo.git(&["branch", "other"]);
    repo.git(&["branch", "free"]);
    repo.git(&["branch", "rebased"]);
    repo.git(&["worktree", "add", "-q", "../linked", "other"]);
    repo.put(".git/rebase-merge/head-name", "refs/heads/rebased\n");
    let linked = test_env.repo("linked");
    for at in [&repo, &linked] {
        let repository = at.open();
        let next = on_top(&repository, base, &[("a", "1")]);
        for (name, place) in [("main", "repo"), ("rebased", "repo"), ("other", "linked")] {
            let name = format!("refs/heads/{name}");
            for result in [
                repository.update_ref(&name, next, ExpectedRef::At(base), "x"),
                repository.update_ref(&name, next, ExpectedRef::Any, "x"),
                repository.delete_ref(&name, ExpectedRef::At(base)),
            ] {
                match result {
                    Err(Error::CheckedOut { place: found, .. }) => {
                        assert_eq!(found.trim_end_matches('/'), test_env.path(place).to_str().unwrap());
                    }
                    other => panic!("{other:?}"),
                }
            }
        }
        repository.update_ref("refs/heads/free", next, ExpectedRef::Any, "x").unwrap();
    }
}

#[test]
fn a_bare_repository_has_nothing_checked_out() {
    let test_env = TestEnvironment::new();
    let start = test_env.init("start", &[]);
    let base = start.commit("start");
    let bare = test_env.clone(&start, "bare.git", &["--bare"]);
    bare.git(&["branch", "other"]);
    bare.git(&["worktree", "add", "-q", "../linked", "other"]);
    bare.at_rest(|repository| {
        assert!(repository.is_bare());
        let next = on_top(repository, base, &[("a", "1")]);
        repository.update_ref("refs/heads/main", next, ExpectedRef::At(base), "x").unwrap();
    });
    let linked = test_env.repo("linked").open();
    let next = on_top(&linked, base, &[("a", "2")]);
    linked.update_ref("refs/heads/main", next, ExpectedRef::Any, "x").unwrap();
    let refused = linked.update_ref("refs/heads/other", next, ExpectedRef::Any, "x");
    assert!(matches!(refused, Err(Error::CheckedOut { .. })), "{refused:?}");
}

#[test]
fn names_that_cannot_be_are_refused() {
    let test_env = TestEnvironment::new();
    let repo = test_env.init("repo", &[]);
    let base = repo.commit("start");
    repo.git(&["branch", "pillion"]);
    repo.git(&["branch", "packed"]);
    repo.git(&["pack-refs", "--all"]);
    repo.git(&["branch", "a/b/c"]);
    repo.at_rest(|repository| {
        for name in [
            "HEAD",
            "main",
            "refs/heads/a..b",
            "refs/heads/a b",
            "refs/heads/x.lock",
            "refs/heads/",
            "refs/heads/.x",
            "../x",
        ] {
            let refused = repository.update_ref(name, base, ExpectedRef::Any, "x");
            assert!(matches!(refused, Err(Error::InvalidRefName { .. })), "{name}: {refused:?}");
        }
        for expected in [ExpectedRef::Absent, ExpectedRef::Any] {
            for name in ["pillion/main/log", "packed/log", "a/b", "a"] {
                match repository.update_ref(&format!("refs/heads/{name}"), base, expected, "x") {
                    Err(Error::InvalidRefName { reason, .. }) => {
                        assert!(reason.contains("another ref conflicts"), "{reason}")
                    }
                    other => panic!("{name}: {other:?}"),
                }
            }
        }
    });
}

#[test]
fn a_lock_that_was_left_behind_is_explained() {
    let test_env = TestEnvironment::new();
    let repo = test_env.init("repo", &[]);
    let base = repo.commit("start");
    repo.git(&["branch", "x"]);
    repo.put(".git/refs/heads/x.lock", "");
    let next = on_top(&repo.open(), base, &[("a", "1")]);
    let locked = repo.open().update_ref("refs/heads/x", next, ExpectedRef::At(base), "x");
    assert!(matches!(&locked, Err(f @ Error::Locked { .. }) if f.is_retryable()), "{locked:?}");
}
