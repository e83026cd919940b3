//! Reads and edits trees without losing any entry.

use crate::support::git_fixtures::{NOW, TestEnvironment, by, pillion};
use pillion::git::{Error, ExpectedRef, FileEdit, ObjectId, Repository, Signing, trailer};
use std::collections::BTreeMap;
use std::fs;

fn put(path: &str, text: &str) -> (String, FileEdit) {
    (path.to_owned(), FileEdit::Put(text.as_bytes().to_owned()))
}

fn remove(path: &str) -> (String, FileEdit) {
    (path.to_owned(), FileEdit::Remove)
}

fn edited<const N: usize>(
    repository: &Repository,
    base: ObjectId,
    edits: [(String, FileEdit); N],
) -> Result<ObjectId, Error> {
    let tree = repository.commit(base).unwrap().tree;
    repository.write_tree(Some(tree), &BTreeMap::from(edits))
}

/// What is wrong with writing a path.
#[cfg(unix)]
fn reason(result: Result<ObjectId, Error>) -> String {
    match result {
        Err(Error::InvalidPath { reason, .. }) => reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_commit_is_made_beside_the_working_tree() {
    let test_env = TestEnvironment::new();
    let repo = test_env.init("repo", &[]);
    repo.put("apps/a.yaml", "a: 1\n").put("apps/b.yaml", "b: 1\n").put("README", "hello\n");
    let base = repo.commit("start");
    // Half-done work that must stay as it is.
    repo.put("apps/a.yaml", "a: not staged\n").put("new", "x");
    repo.put("README", "staged\n").git(&["add", "README"]);
    let make = |repository: &Repository| {
        let tree =
            edited(repository, base, [put("apps/b.yaml", "b: 2\n"), put("apps/c/d.yaml", "d: 1\n")]).unwrap();
        let message = trailer::format_message(
            "log: batch 1/3",
            "Some words.",
            &[(trailer::ACTION, "Batch".to_owned())],
        );
        let (who, parents) = (pillion(), [base]);
        let new = by(&who, NOW, tree, &parents, &message);
        repository.write_commit(&new, &Signing::disabled()).unwrap()
    };
    let made = repo.at_rest(|repository| {
        let made = make(repository);
        repository
            .update_ref("refs/heads/pillion/main/log", made, ExpectedRef::Absent, "pillion: stage")
            .unwrap();
        made
    });
    assert_eq!(repo.id("pillion/main/log"), made);
    assert_eq!(repo.at_rest(make), made, "the second run makes the same commit");
    assert_eq!(
        repo.git(&["diff-tree", "-r", "--name-status", &base.to_string(), &made.to_string()]),
        "M\tapps/b.yaml\nA\tapps/c/d.yaml"
    );
    assert_eq!(
        repo.git(&[
            "log",
            "-1",
            "--format=%an <%ae> %at %ad|%cn %ct|%s|%(trailers:key=Pillion-Action)",
            &made.to_string()
        ]),
        "pillion <pillion@acme.example> 1700000000 Tue Nov 14 22:13:20 2023 +0000|pillion 1700000000|log: batch 1/3|Pillion-Action: Batch"
    );
}

#[cfg(unix)]
#[test]
fn what_is_not_edited_is_copied_as_it_is() {
    let test_env = TestEnvironment::new();
    let repo = test_env.init("repo", &[]);
    repo.put("bin/run", "#!/bin/sh\n").put("bin/data", "x").put("a.b", "1").put("a/c", "1").put("a0", "1");
    std::os::unix::fs::symlink("../bin/run", repo.path.join("bin/link")).unwrap();
    fs::set_permissions(repo.path.join("bin/run"), std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .unwrap();
    let unusual = <std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(b"bin/caf\xe9 \"q\"\t");
    fs::write(repo.path.join(unusual), "latin").unwrap();
    repo.put("bin/größe und mehr.yaml", "u: 1\n");
    repo.git(&["add", "-A"]);
    repo.git(&[
        "update-index",
        "--add",
        "--cacheinfo",
        "160000,1234567890123456789012345678901234567890,bin/module",
    ]);
    repo.git(&["commit", "-q", "-m", "start"]);
    let base = repo.id("HEAD");
    let next = repo.at_rest(|repository| {
        edited(
            repository,
            base,
            [put("bin/run", "#!/bin/bash\n"), put("bin/größe und mehr.yaml", "u: 2\n"), put("a/c", "2")],
        )
        .unwrap()
    });
    let listed = |what: &str| repo.git(&["ls-tree", "-r", "-t", what]);
    let changed = |listed: String| {
        listed
            .lines()
            .map(|l| (l[..6].to_owned(), l.split('\t').nth(1).unwrap().to_owned()))
            .collect::<Vec<_>>()
    };
    assert_eq!(changed(listed(&next.to_string())), changed(listed("HEAD")), "modes and names");
    let differing = repo.git(&["diff-tree", "-r", "-z", "--name-only", "HEAD", &next.to_string()]);
    assert_eq!(differing, "a/c\0bin/größe und mehr.yaml\0bin/run\0");
    assert_eq!(repo.show(&format!("{next}:bin/run")), b"#!/bin/bash\n");
}

#[cfg(unix)]
#[test]
fn files_are_listed_by_path_below_the_folders_asked_for() {
    use pillion::git::TreeEntryKind;
    let test_env = TestEnvironment::new();
    let repo = test_env.init("repo", &[]);
    repo.put("apps/x.yaml", "")
        .put("apps/x/y.yaml", "")
        .put("apps-old/z.yaml", "")
        .put("one.yaml", "1")
        .put("two.yaml", "2");
    std::os::unix::fs::symlink("x.yaml", repo.path.join("apps/link")).unwrap();
    let unusual = <std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(b"apps/\xff.yaml");
    fs::write(repo.path.join(unusual), "latin").unwrap();
    let tree = repo.open().commit(repo.commit("start")).unwrap().tree;
    let repository = repo.open();
    let names = |under: &[&str]| -> Vec<(String, TreeEntryKind)> {
        repository.list_files(tree, under).unwrap().into_iter().map(|e| (e.path, e.kind)).collect()
    };
    let plain = |n: &str| (n.to_owned(), TreeEntryKind::File);
    let apps = [
        ("apps/link".to_owned(), TreeEntryKind::Symlink),
        plain("apps/x.yaml"),
        plain("apps/x/y.yaml"),
        plain("apps/\u{fffd}.yaml"),
    ];
    assert_eq!(names(&["apps/"]), apps);
    assert_eq!(names(&["./apps", "apps/x", "apps/x/y.yaml"]), apps);
    assert_eq!(names(&["two.yaml", "no-such", "apps/x"]), [plain("apps/x/y.yaml"), plain("two.yaml")]);
    assert_eq!(names(&["."]).len(), 7);
    let inexact: Vec<_> =
        repository.list_files(tree, &[""]).unwrap().into_iter().filter(|e| !e.is_utf8).collect();
    assert_eq!(inexact.len(), 1);
    assert_eq!(repository.read_blob(inexact[0].id).unwrap(), b"latin");
    assert_eq!(repository.entry_at(tree, "apps").unwrap().unwrap().kind, TreeEntryKind::Folder);
    assert_eq!(repository.entry_at(tree, "apps/none/x").unwrap(), None);
}

#[test]
fn blobs_are_read_on_several_threads() {
    let test_env = TestEnvironment::new();
    let repo = test_env.init("repo", &[]);
    for n in 0..200 {
        repo.put(&format!("f/{n}"), format!("file {n}"));
    }
    let base = repo.commit("start");
    let repository = repo.open();
    let files = repository.list_files(repository.commit(base).unwrap().tree, &[""]).unwrap();
    let reader = repository.blob_reader().unwrap();
    let (half, other) = files.split_at(100);
    let read = |part: &[pillion::git::TreeEntry]| {
        part.iter().map(|e| (e.path.clone(), reader.read(e.id).unwrap())).collect::<Vec<_>>()
    };
    let mut all = std::thread::scope(|scope| {
        let thread = scope.spawn(|| read(other));
        let mut all = read(half);
        all.extend(thread.join().unwrap());
        all
    });
    all.retain(|(path, bytes)| *bytes == format!("file {}", &path[2..]).into_bytes());
    assert_eq!(all.len(), 200);
}

#[test]
fn an_empty_folder_vanishes() {
    let test_env = TestEnvironment::new();
    let repo = test_env.init("repo", &[]);
    repo.put("a/b/c/one", "1").put("a/b/two", "2").put("x/y", "3");
    let base = repo.commit("start");
    let after = |edits: &[(String, FileEdit)]| {
        repo.at_rest(|repository| {
            let tree = repository.commit(base).unwrap().tree;
            let next = repository.write_tree(Some(tree), &edits.iter().cloned().collect()).unwrap();
            repo.git(&["ls-tree", "-r", "-t", "--name-only", &next.to_string()])
        })
    };
    assert_eq!(after(&[remove("a/b/c/one")]), "a\na/b\na/b/two\nx\nx/y");
    assert_eq!(after(&[remove("a/b/c/one"), remove("a/b/two"), remove("no/such/file")]), "x\nx/y");
    assert_eq!(after(&[remove("a/b/c/one"), remove("a/b/two"), remove("x/y")]), "");
    // A file takes the place of a folder, and a folder that of a file.
    assert_eq!(after(&[remove("a/b/c/one"), remove("a/b/two"), put("a", "file")]), "a\nx\nx/y");
    assert_eq!(
        after(&[remove("x/y"), put("x/y/z", "deep")]),
        "a\na/b\na/b/c\na/b/c/one\na/b/two\nx\nx/y\nx/y/z"
    );
}

#[cfg(unix)]
#[test]
fn nothing_in_the_way_is_overwritten() {
    let test_env = TestEnvironment::new();
    let repo = test_env.init("repo", &[]);
    repo.put("file", "1").put("folder/x", "2");
    std::os::unix::fs::symlink("file", repo.path.join("link")).unwrap();
    std::os::unix::fs::symlink("folder", repo.path.join("way")).unwrap();
    repo.git(&["add", "-A"]);
    repo.git(&[
        "update-index",
        "--add",
        "--cacheinfo",
        "160000,1234567890123456789012345678901234567890,module",
    ]);
    repo.git(&["commit", "-q", "-m", "start"]);
    let base = repo.id("HEAD");
    repo.at_rest(|repository| {
        for (edit, word) in [
            (put("link", "x"), "symbolic link"),
            (put("way/x", "x"), "symbolic link"),
            (put("module", "x"), "submodule"),
            (put("module/x", "x"), "submodule"),
            (put("folder", "x"), "a folder is there"),
            (put("file/x", "x"), "a file is where"),
            (remove("link"), "symbolic link"),
            (remove("folder"), "a folder is there"),
            (put("", "x"), "empty part"),
            (put("/abs", "x"), "empty part"),
            (put("a/../b", "x"), "not valid names"),
            (put("a/.GIT/config", "x"), "git's own folder"),
            (put("a/.git./config", "x"), "git's own folder"),
            (put("git~1", "x"), "git's own folder"),
            (put("a\0b", "x"), "NUL"),
        ] {
            let found = reason(edited(repository, base, [edit.clone()]));
            assert!(found.contains(word), "{edit:?}: {found}");
        }
    });
}

#[test]
fn an_editor_goes_on_from_commit_to_commit() {
    let test_env = TestEnvironment::new();
    let repo = test_env.init("repo", &["--bare"]);
    repo.at_rest(|repository| {
        let mut editor = repository.editor(None).unwrap();
        let empty = editor.write().unwrap();
        assert_eq!(empty.to_string(), "4b825dc642cb6eb9a060e54bf8d69288fbee4904");
        let mut trees = Vec::new();
        for n in 0..5 {
            for k in 0..20 {
                editor.put(&format!("d{k}/e/f{n}.yaml"), format!("n: {n}\nk: {k}\n").as_bytes()).unwrap();
            }
            trees.push(editor.write().unwrap());
        }
        editor.finish().unwrap();
        let mut base = None;
        for (n, expected) in trees.iter().enumerate() {
            let edits =
                (0..20).map(|k| put(&format!("d{k}/e/f{n}.yaml"), &format!("n: {n}\nk: {k}\n"))).collect();
            base = Some(repository.write_tree(base, &edits).unwrap());
            assert_eq!(base, Some(*expected));
        }
    });
}

#[test]
fn many_objects_are_one_pack_and_a_second_run_writes_nothing() {
    let test_env = TestEnvironment::new();
    let repo = test_env.init("repo", &["--bare"]);
    let make = |repository: &Repository, is_finished: bool| {
        let mut editor = repository.editor(None).unwrap();
        let mut head: Vec<ObjectId> = Vec::new();
        for n in 0..10 {
            for k in 0..100 {
                editor
                    .put(&format!("team-{k}/app.yaml"), format!("app: {k}\nround: {n}\n").as_bytes())
                    .unwrap();
            }
            let tree = editor.write().unwrap();
            let who = pillion();
            let made = editor.commit(&by(&who, NOW, tree, &head, "x"), &Signing::disabled()).unwrap();
            head = vec![made];
        }
        if is_finished {
            editor.finish().unwrap();
        }
        head[0]
    };
    let count = || repo.git(&["count-objects", "-v"]).replace('\n', ", ");
    let nothing = count();
    // Killed before the end: as if it had never begun.
    let made = repo.at_rest(|r| make(r, false));
    assert_eq!(count(), nothing);
    assert_eq!(repo.at_rest(|r| make(r, true)), made);
    let packed = count();
    assert!(packed.contains("in-pack: 2020, packs: 1,") && packed.starts_with("count: 0,"), "{packed}");
    assert!(packed.contains("garbage: 0"), "{packed}");
    assert_eq!(repo.at_rest(|r| make(r, true)), made);
    assert_eq!(count(), packed);
    assert_eq!(repo.git(&["rev-list", "--count", &made.to_string()]), "10");
}

#[test]
fn a_commit_of_what_is_not_there_yet_is_refused() {
    let test_env = TestEnvironment::new();
    let repo = test_env.init("repo", &[]);
    let base = repo.commit("start");
    repo.at_rest(|repository| {
        let mut editor = repository.editor(None).unwrap();
        editor.put("a", b"1").unwrap();
        let tree = editor.write().unwrap();
        let (who, parents) = (pillion(), [base]);
        let new = by(&who, NOW, tree, &parents, "x");
        let early = repository.write_commit(&new, &Signing::disabled());
        assert!(matches!(early, Err(Error::MissingObject { id, .. }) if id == tree), "{early:?}");
        editor.finish().unwrap();
        repository.write_commit(&new, &Signing::disabled()).unwrap();
    });
}

#[test]
fn objects_of_a_pack_in_progress_can_be_read() {
    let test_env = TestEnvironment::new();
    let repo = test_env.init("repo", &["--bare"]);
    repo.at_rest(|repository| {
        let mut editor = repository.editor(None).unwrap();
        editor.put(".gitattributes", b"* text=auto\n").unwrap();
        let line = b"0123456789abcdef\n".repeat(1 << 16);
        for n in 0..70u8 {
            editor.put(&format!("f{n}"), &[&[n + 32], line.as_slice()].concat()).unwrap();
        }
        // Attributes are read again, and both those at the top and the old file are in a pack that git does not see yet.
        editor.put("more/.gitattributes", b"* text\n").unwrap();
        editor.put("f0", b"new\r\n").unwrap();
        let tree = editor.write().unwrap();
        editor.finish().unwrap();
        assert_eq!(repository.list_files(tree, &[""]).unwrap().len(), 72);
        let id = repository.entry_at(tree, "f0").unwrap().unwrap().id;
        assert_eq!(repository.read_blob(id).unwrap(), b"new\n");
    });
    let count = repo.git(&["count-objects", "-v"]);
    assert!(count.contains("packs: 1") && count.contains("garbage: 0"), "{count}");
}

#[test]
fn what_cannot_be_written_is_a_failure_of_the_environment() {
    let test_env = TestEnvironment::new();
    let repo = test_env.init("repo", &[]);
    // A file where the folder of packs has to be stops even a test that runs as root.
    fs::remove_dir_all(repo.path.join(".git/objects/pack")).unwrap();
    repo.put(".git/objects/pack", "");
    let repository = repo.open();
    let mut editor = repository.editor(None).unwrap();
    for n in 0..600 {
        editor.put(&format!("f{n}"), format!("{n}").as_bytes()).unwrap();
    }
    editor.write().unwrap();
    let failed = editor.finish().unwrap_err();
    assert!(matches!(&failed, f @ Error::WriteFailed { .. } if f.is_retryable()), "{failed:?}");
}

/// A few objects that say that there are files without end.
#[test]
fn a_tree_without_end_is_refused() {
    let test_env = TestEnvironment::new();
    let repo = test_env.init("repo", &[]);
    repo.put("apps/a.yaml", "a: 1\n").commit("start");
    let raw = git2::Repository::open(&repo.path).unwrap();
    let odb = raw.odb().unwrap();
    let blob = odb.write(git2::ObjectType::Blob, b"a: 1\n").unwrap();
    let tree = |entries: &[(&str, String, git2::Oid)]| {
        let bytes: Vec<u8> = entries
            .iter()
            .flat_map(|(mode, name, id)| [format!("{mode} {name}\0").as_bytes(), id.as_bytes()].concat())
            .collect();
        odb.write(git2::ObjectType::Tree, &bytes).unwrap()
    };
    let ten = |mode: &'static str, id| (0..10).map(|n| (mode, n.to_string(), id)).collect::<Vec<_>>();
    let mut wide = tree(&ten("100644", blob));
    let mut hollow = odb.write(git2::ObjectType::Tree, b"").unwrap();
    for _ in 0..9 {
        (wide, hollow) = (tree(&ten("40000", wide)), tree(&ten("40000", hollow)));
    }
    let mut deep = blob;
    for depth in 0..2_000 {
        deep = tree(&[(if depth == 0 { "100644" } else { "40000" }, "d".to_owned(), deep)]);
    }
    let mut long = tree(&[("100644", "a".to_owned(), blob)]);
    for _ in 0..20 {
        long = tree(&[("40000", "x".repeat(250), long)]);
    }
    let repository = repo.open();
    let refused = |bomb: git2::Oid| {
        let bomb: ObjectId = tree(&[("40000", "bomb".to_owned(), bomb)]).to_string().parse().unwrap();
        let failure = repository.list_files(bomb, &[""]).unwrap_err();
        assert!(!failure.is_retryable());
        failure.to_string()
    };
    assert!(refused(wide).contains("1,000,000 files"));
    assert!(refused(hollow).contains("1,000,000 files"));
    assert!(refused(deep).contains("1,000 nested folders"));
    assert!(refused(long).contains("4,096 bytes"));
}
