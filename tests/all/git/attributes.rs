//! Line endings: a blob equals what `git add` would store, according to the `.gitattributes` of the tree alone.

use crate::support::git_fixtures::{Repo, TestEnvironment};
use pillion::git::{Error, ObjectId};

/// Puts a file with pillion on top of HEAD and returns its blob.
fn put(repo: &Repo, path: &str, bytes: &[u8]) -> ObjectId {
    repo.at_rest(|repository| {
        let tree = repository.commit(repo.id("HEAD")).unwrap().tree;
        let mut editor = repository.editor(Some(tree)).unwrap();
        editor.put(path, bytes).unwrap();
        let tree = editor.write().unwrap();
        editor.finish().unwrap();
        repository.entry_at(tree, path).unwrap().unwrap().id
    })
}

/// Puts it with git.
fn add(repo: &Repo, path: &str, bytes: &[u8]) -> ObjectId {
    repo.put(path, bytes);
    repo.git(&["add", "--", path]);
    repo.git(&["ls-files", "-s", "--", path]).split(' ').nth(1).unwrap().parse().unwrap()
}

#[test]
fn patterns_mean_what_they_mean_to_git() {
    let patterns = [
        "*.yaml text",
        "* text",
        "a/*.yaml text",
        "/*.yaml text",
        "a/ text",
        "a text",
        "a/** text",
        "**/b/*.yaml text",
        "a/**/x.yaml text",
        "x.yaml text",
        "/a/b/x.yaml text",
        "b/x.yaml text",
        "[xy].yaml text",
        "[!x].yaml text",
        "[^x].yaml text",
        "?.yaml text",
        "\"x y.yaml\" text",
        "\"x\\040y.yaml\" text",
        "x\\ y.yaml text",
        "*.{yaml,yml} text",
        "!x.yaml text",
        "#x text",
        "\"#x.yaml\" text",
        "  *.yaml   text  ",
        "*.yaml text\n*.yaml -text",
        "*.yaml -text\n*.yaml text",
        "*.yaml text -text",
        "*.yaml text\n*.yaml !text",
        "*.yaml eol=crlf",
        "*.yaml eol=lf",
        "*.yaml eol=other",
        "*.yaml text=input",
        "*.yaml text=other",
        "*.yaml crlf",
        "*.yaml -crlf eol=crlf",
        "*.yaml crlf=input",
        "*.yaml crlf=auto",
        "*.yaml text=auto",
        "*.yaml text=auto eol=crlf",
        "* text=auto\n*.yaml binary",
        "*.yaml binary text",
        "*.yaml text\n*.yaml !binary",
        "*.yaml binary\n*.yaml !binary",
        "[attr]lines text eol=lf\n*.yaml lines",
        "[attr]lines text\n*.yaml lines\nx.yaml -lines",
        "[attr]one two\n[attr]two text\n*.yaml one",
        "[attr]lines text\n*.yaml lines=1",
        "[attr]binary text\n*.yaml binary",
        "\u{feff}*.yaml text",
        "*.yaml\ttext",
        "größe.yaml text",
        "*.yaml text\r\n",
        "*.YAML text",
    ];
    let paths = [
        "x.yaml",
        "a/x.yaml",
        "a/b/x.yaml",
        "x y.yaml",
        "{yaml,yml}.yaml",
        "#x.yaml",
        "größe.yaml",
        "a/c/b/y.yml",
        "w.{yaml,yml}",
    ];
    let test_env = TestEnvironment::new();
    let repo = test_env.init("repo", &[]);
    repo.set("core.quotePath", "false");
    let asked: Vec<&str> = paths.to_vec();
    for (n, pattern) in patterns.iter().enumerate() {
        repo.put(".gitattributes", pattern).git(&["add", ".gitattributes"]);
        repo.git(&["commit", "-q", "-m", "attributes"]);
        let repository = repo.open();
        let tree = repository.commit(repo.id("HEAD")).unwrap().tree;
        let mut editor = repository.editor(Some(tree)).unwrap();
        for path in &asked {
            let bytes = format!("a: {n}\r\nb: 1\r\n");
            editor.put(path, bytes.as_bytes()).unwrap();
            repo.put(path, &bytes);
        }
        let made = editor.write().unwrap();
        editor.finish().unwrap();
        repo.git(&["-c", "core.safecrlf=false", "add", "-A"]);
        let theirs = repo.git(&["ls-files", "-s", "-z"]);
        repo.git(&["rm", "-rfq", "--cached", "--", "a", "x.yaml"]);
        repo.git(&["reset", "-q", "--hard", "HEAD"]);
        let format = "--format=%(objectmode) %(objectname) 0\t%(path)";
        let ours = repo.git(&["ls-tree", "-r", "-z", format, &made.to_string()]).replace('"', "");
        assert_eq!(ours, theirs, "{pattern}");
    }
}

#[test]
fn deeper_files_of_attributes_win() {
    let test_env = TestEnvironment::new();
    let repo = test_env.init("repo", &[]);
    repo.put(".gitattributes", "* text\n[attr]lines text\n")
        .put("a/.gitattributes", "*.yaml -text\n[attr]mine text\n");
    repo.put("a/b/.gitattributes", "/x.yaml text\ny.yaml !text\nz.yaml mine\nw.yaml lines\n");
    repo.commit("attributes");
    for path in [
        "top.yaml",
        "a/x.yaml",
        "a/x.txt",
        "a/b/x.yaml",
        "a/b/y.yaml",
        "a/b/z.yaml",
        "a/b/w.yaml",
        "a/b/c/x.yaml",
        "a/bb/x.yaml",
    ] {
        assert_eq!(put(&repo, path, b"1\r\n2\r\n"), add(&repo, path, b"1\r\n2\r\n"), "{path}");
    }
}

#[test]
fn a_written_file_shows_no_change_after_a_checkout() {
    let test_env = TestEnvironment::new();
    let repo = test_env.init("repo", &[]);
    repo.put(".gitattributes", "*.yaml text eol=crlf\n").put("x.yaml", "a: 1\r\n");
    let base = repo.commit("start");
    let made = repo.at_rest(|repository| {
        crate::support::git_fixtures::on_top(
            repository,
            base,
            &[("x.yaml", "a: 2\r\n"), ("new.yaml", "n: 1\r\n")],
        )
    });
    repo.git(&["checkout", "-q", &made.to_string()]);
    assert_eq!(repo.git(&["status", "--porcelain"]), "");
    assert_eq!(std::fs::read(repo.path.join("new.yaml")).unwrap(), b"n: 1\r\n");
    assert_eq!(repo.show("HEAD:new.yaml"), b"n: 1\n");
}

#[test]
fn what_looks_binary_or_came_with_crlf_is_kept_by_auto() {
    let test_env = TestEnvironment::new();
    let repo = test_env.init("repo", &[]);
    repo.put("crlf", "old\r\n").put("lf", "old\n").put("nul", b"\0\r\n");
    repo.commit("before the attributes");
    repo.put(".gitattributes", "* text=auto\n");
    repo.git(&["add", ".gitattributes"]);
    repo.git(&["commit", "-q", "-m", "attributes"]);
    let many = [b"text\r\n".repeat(40), vec![1; 3]].concat();
    for (path, bytes) in [
        ("crlf", b"new\r\n".as_slice()),
        ("lf", b"new\r\n"),
        ("nul", b"new\r\n"),
        ("new", b"new\r\n"),
        ("bin", b"a\0b\r\n"),
        ("lone", b"a\rb\r\n"),
        ("few", b"\x01\x02a\r\n"),
        ("many", many.as_slice()),
        ("esc", b"\x1b\x08\x0c\r\n"),
        ("eof", b"a\r\n\x1a"),
        ("high", "größe\r\n".as_bytes()),
        ("empty", b""),
    ] {
        assert_eq!(put(&repo, path, bytes), add(&repo, path, bytes), "{path}");
    }
}

#[test]
fn the_machine_does_not_change_a_commit() {
    let test_env = TestEnvironment::new();
    let repo = test_env.init("repo", &[]);
    repo.put("x.yaml", "a\n");
    repo.commit("start");
    let plain = put(&repo, "x.yaml", b"1\r\n");
    std::fs::create_dir_all(repo.path.join(".git/info")).unwrap();
    repo.put(".git/info/attributes", "* text\n").put("mine", "* text\n");
    repo.set("core.autocrlf", "true").set("core.attributesFile", repo.path.join("mine").to_str().unwrap());
    assert_eq!(put(&repo, "x.yaml", b"1\r\n"), plain);
    assert_eq!(repo.show(&plain.to_string()), b"1\r\n");
}

#[test]
fn a_file_that_a_filter_makes_is_refused() {
    let test_env = TestEnvironment::new();
    let repo = test_env.init("repo", &[]);
    repo.put(".gitattributes", "*.bin filter=lfs diff=lfs merge=lfs -text\nsecret/** filter=git-crypt\nsecret/.gitattributes !filter\n");
    let base = repo.commit("start");
    repo.at_rest(|repository| {
        let tree = repository.commit(base).unwrap().tree;
        let mut editor = repository.editor(Some(tree)).unwrap();
        for (path, word) in [("a/b.bin", "filter=lfs"), ("secret/x.yaml", "filter=git-crypt")] {
            match editor.put(path, b"x") {
                Err(Error::InvalidPath { reason, .. }) => assert!(reason.contains(word), "{reason}"),
                other => panic!("{other:?}"),
            }
        }
        editor.put("secret/.gitattributes", b"x.yaml !filter\n").unwrap();
        editor.put("secret/x.yaml", b"x").unwrap();
    });
}
