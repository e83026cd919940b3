//! Writing and removing: nothing is done through a link, and a change is made whole or not at all.

use super::*;

/// C1: names of files are the other person's text, and the list went wherever a link said.
#[test]
fn a_linked_list_is_not_written_through() {
    let hostile = Hostile::new();
    hostile.put("fakehome/.profile", "export A=b\n").put("evil/apps/touch PWNED #.yaml", web("x"));
    hostile.link("../../fakehome/.profile", "evil/rendered/.pillion-files");
    for args in ["render --out rendered", "render --check", "render --diff"] {
        hostile.run(args).is_refused(1, "symlink-outside");
        assert_eq!(hostile.text("fakehome/.profile"), "export A=b\n", "{args}");
    }
    assert_eq!(hostile.entries("evil/rendered"), [".pillion-files"]);
}

#[test]
fn a_linked_folder_of_rendered_files_is_not_written_into() {
    for folder in ["rendered", "./rendered", "sub/rendered"] {
        let hostile = Hostile::new();
        fs::create_dir(hostile.path("vdir")).unwrap();
        match folder {
            "sub/rendered" => hostile.link("../vdir", "evil/sub"),
            _ => hostile.link("../vdir", "evil/rendered"),
        };
        let absolute = hostile.path("evil").join(folder);
        for out in [folder, absolute.to_str().unwrap()] {
            let answer = hostile.run(&format!("render --out {out}"));
            // pillion.yaml names the first two.
            let code = if folder == "sub/rendered" { 1 } else { 2 };
            answer.is_refused(code, "symlink-outside");
            assert!(hostile.entries("vdir").is_empty(), "{out}");
        }
    }
}

/// H1: what is no longer made was removed through a link.
#[test]
fn nothing_is_removed_through_a_link() {
    let hostile = Hostile::new();
    hostile.put("vdir/keep", "mine\n").put("evil/rendered/.pillion-files", "sub/keep\n");
    hostile.link("../../vdir", "evil/rendered/sub");
    hostile.run("render --out rendered").is_refused(1, "symlink-outside");
    assert_eq!(hostile.text("vdir/keep"), "mine\n");
    // The file itself may be a link: it is what pillion once wrote, and the link goes.
    let hostile = Hostile::new();
    hostile.put("vdir/keep", "mine\n");
    let list = format!("keep\nlost/../../../vdir/keep\n{}\n", hostile.path("vdir/keep").display());
    hostile.put("evil/rendered/.pillion-files", list);
    hostile.link("../../vdir/keep", "evil/rendered/keep");
    assert_eq!(hostile.run("render --out rendered").code, Some(0));
    assert_eq!(hostile.text("vdir/keep"), "mine\n");
    assert_eq!(hostile.entries("evil/rendered"), [".pillion-files", "w.yaml"]);
}

#[test]
fn a_listed_file_that_is_a_link_is_replaced() {
    let hostile = Hostile::new();
    hostile.put("vdir/keep", "mine\n").put("evil/rendered/.pillion-files", "w.yaml\n");
    hostile.link("../../vdir/keep", "evil/rendered/w.yaml");
    assert_eq!(hostile.run("render --out rendered").code, Some(0));
    assert_eq!(hostile.text("vdir/keep"), "mine\n");
    assert!(hostile.path("evil/rendered/w.yaml").symlink_metadata().unwrap().is_file());
    assert!(hostile.text("evil/rendered/w.yaml").contains("logtail"));
}

/// What git keeps for itself is not a rendered file.
#[test]
fn nothing_of_git_is_removed_or_written() {
    let hostile = Hostile::new();
    hostile.put("evil/.pillion-files", ".git/config\n.git/HEAD\n");
    hostile.config("sidecarSets: [sidecars]\nsources: [apps]\n");
    let before = hostile.text("evil/.git/config");
    assert_eq!(hostile.run("render --out .").code, Some(0));
    assert_eq!(hostile.text("evil/.git/config"), before);
    assert!(hostile.path("evil/.git/HEAD").is_file());
}

/// L12: the files of an integration.
#[test]
fn init_writes_through_no_link() {
    for (link, target) in [(".github", "../vdir"), (".github/workflows", "../../vdir")] {
        let hostile = Hostile::new();
        fs::create_dir(hostile.path("vdir")).unwrap();
        hostile.link(target, &format!("evil/{link}"));
        hostile.run("init github").is_refused(1, "symlink-outside");
        hostile.run("init github --force").is_refused(1, "symlink-outside");
        assert!(hostile.entries("vdir").is_empty(), "{link}");
    }
    let hostile = Hostile::new();
    hostile.put("victim", "mine\n").link("../victim", "evil/plugin.yaml");
    hostile.run("init cmp --force").is_refused(1, "symlink-outside");
    assert_eq!(hostile.text("victim"), "mine\n");
    // What a person types may be anywhere.
    assert_eq!(hostile.run("init github --dir ../elsewhere").code, Some(0));
    assert!(hostile.path("elsewhere/.github/workflows/pillion.yaml").is_file());
}

/// M13: nothing is written where one of the files cannot be.
#[test]
fn a_folder_that_refuses_keeps_everything_unwritten() {
    let hostile = Hostile::new();
    for n in 0..40 {
        hostile.put(&format!("evil/apps/a{n:02}/w.yaml"), web(&format!("w{n}")));
    }
    let before = hostile.text("evil/apps/a00/w.yaml");
    // A folder in the place of a file refuses root, too.
    fs::create_dir_all(hostile.path("evil/rendered/w.yaml/inner")).unwrap();
    hostile.put("evil/rendered/.pillion-files", "w.yaml\n");
    assert_eq!(hostile.run("render --out rendered").code, Some(1));
    assert_eq!(hostile.entries("evil/rendered"), [".pillion-files", "w.yaml"]);
    assert_eq!(hostile.text("evil/rendered/.pillion-files"), "w.yaml\n");
    // Where `rendered:` is set, `--in-place` is refused before it writes.
    hostile.config("sources: [apps]\nsidecarSets: [sidecars]\n");
    // A folder that cannot be written: as another user, because root may write anywhere.
    let program = hostile.path("pillion");
    fs::copy(env!("CARGO_BIN_EXE_pillion"), &program).unwrap();
    fs::set_permissions(hostile.path("evil/apps/a39"), fs::Permissions::from_mode(0o555)).unwrap();
    let is_root = fs::metadata("/proc/self").is_ok_and(|m| std::os::unix::fs::MetadataExt::uid(&m) == 0);
    for args in [&["render", "--in-place", "."][..], &["render", "--out", "apps/a39/out"]] {
        let mut command = Command::new(&program);
        command.args(args).current_dir(hostile.path("evil")).env_clear();
        if is_root {
            assert!(
                Command::new("chown").args(["-R", "65534"]).arg(hostile.0.path()).status().unwrap().success()
            );
            std::os::unix::process::CommandExt::uid(&mut command, 65534);
        }
        let output = command.output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "{args:?}: {stderr}");
        assert!(stderr.contains("cannot be written"), "{stderr}");
        assert_eq!(hostile.text("evil/apps/a00/w.yaml"), before, "{args:?}");
        assert!(hostile.entries("evil").iter().all(|name| !name.starts_with(".pillion-")), "{args:?}");
    }
    fs::set_permissions(hostile.path("evil/apps/a39"), fs::Permissions::from_mode(0o755)).unwrap();
}

/// M13: what fails between is taken back.
#[test]
fn changes_that_fail_half_way_are_taken_back() {
    use pillion::sandbox::{FileTransaction, SandboxPath};
    let folder = tempfile::tempdir().unwrap();
    let top = SandboxPath::from_user_path(folder.path());
    let at = |name: &str| top.join(Path::new(name));
    fs::write(folder.path().join("a"), "old\n").unwrap();
    fs::write(folder.path().join("gone"), "old\n").unwrap();
    let mut changes = FileTransaction::default();
    changes.put(&at("a"), &top, b"new\n").unwrap();
    changes.put(&at("sub/deep/b"), &top, b"new\n").unwrap();
    changes.remove(&at("gone"), &top).unwrap();
    changes.put(&at("c"), &top, b"new\n").unwrap();
    // In the way since it was tested.
    fs::create_dir_all(folder.path().join("c/inner")).unwrap();
    let failed = changes.commit().unwrap_err();
    assert_eq!(failed.path, folder.path().join("c"));
    let text = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
    assert_eq!((text("a").as_str(), text("gone").as_str()), ("old\n", "old\n"));
    assert!(!folder.path().join("sub").exists());
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left.len(), 3, "{left:?}");
}

/// L5: what a killed run leaves goes with the next one; what a running one has, stays.
#[test]
fn leftovers_of_killed_runs_are_removed() {
    let hostile = Hostile::new();
    hostile.put("evil/.pillion-tmp-1-0/lock", "").put("evil/.pillion-tmp-1-0/0", "half\n");
    hostile.put("evil/rendered/.pillion-tmp-2-0/lock", "").put("evil/.pillion-tmp-3-0/lock", "");
    let lock = fs::File::open(hostile.path("evil/.pillion-tmp-3-0/lock")).unwrap();
    lock.lock().unwrap();
    // One that is a link is not followed.
    hostile.put("vdir/lock", "").put("vdir/keep", "").link("../vdir", "evil/.pillion-tmp-4-0");
    assert_eq!(hostile.run("render --out rendered").code, Some(0));
    let left: Vec<_> = hostile.entries("evil").into_iter().filter(|n| n.starts_with(".pillion")).collect();
    assert_eq!(left, [".pillion-tmp-3-0", ".pillion-tmp-4-0"]);
    assert_eq!(hostile.entries("evil/rendered"), [".pillion-files", "w.yaml"]);
    assert_eq!(hostile.entries("vdir"), ["keep", "lock"]);
}
