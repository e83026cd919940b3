//! Hostile repositories, built to make pillion read, write or remove files outside of them.
#![cfg(unix)]

use crate::support::manifests::LOG_SET;
use indoc::{formatdoc, indoc};
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const SECRET: &str = indoc! {"
    apiVersion: v1
    kind: Secret
    metadata: {name: s}
    stringData: {token: top-secret}
"};
const CONFIG: &str = indoc! {"
    apiVersion: pillion.dev/v1alpha1
    kind: Repository
    sources: [apps]
    sidecarSets: [sidecars]
    rendered: rendered
"};

fn web(name: &str) -> String {
    formatdoc! {r#"
        apiVersion: apps/v1
        kind: Deployment
        metadata:
          name: {name}
        spec:
          template:
            metadata:
              labels:
                log: "true"
            spec:
              containers:
              - name: web
                image: a
    "#}
}

/// A folder with the repository `evil/` in it, which says what `pillion.yaml` says, and what is beside it.
struct Hostile(tempfile::TempDir);

#[derive(Debug)]
struct Answer {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Answer {
    /// Refused by a finding of this code, without a word of what must not be seen.
    fn is_refused(&self, code: i32, finding: &str) {
        assert_eq!(self.code, Some(code), "{self:?}");
        assert!(self.err.contains(finding) && !self.err.contains("panicked"), "{self:?}");
        assert!(!self.out.contains("top-secret") && !self.err.contains("top-secret"), "{self:?}");
    }
}

impl Hostile {
    fn new() -> Self {
        let hostile = Self(tempfile::tempdir().unwrap());
        hostile.put("evil/pillion.yaml", CONFIG).put("evil/apps/w.yaml", web("w"));
        hostile.put("evil/sidecars/log.yaml", LOG_SET);
        let git = Command::new("git").args(["init", "-q"]).current_dir(hostile.path("evil")).status();
        assert!(git.unwrap().success());
        hostile
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn put(&self, name: &str, text: impl AsRef<[u8]>) -> &Self {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    fn link(&self, target: &str, name: &str) -> &Self {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        symlink(target, path).unwrap();
        self
    }

    fn config(&self, text: &str) -> &Self {
        self.put("evil/pillion.yaml", format!("apiVersion: pillion.dev/v1alpha1\nkind: Repository\n{text}"))
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    fn run(&self, args: &str) -> Answer {
        self.run_in("evil", args, "")
    }

    /// Runs pillion, which has half a minute and 8 GiB.
    fn run_in(&self, folder: &str, args: &str, stdin: &str) -> Answer {
        let mut command = Command::new("sh");
        command.args([
            "-c",
            "ulimit -v 8388608; exec timeout 30 \"$@\"",
            "sh",
            env!("CARGO_BIN_EXE_pillion"),
        ]);
        command.args(args.split_whitespace()).current_dir(self.path(folder));
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap()).env("HOME", self.0.path());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
        let output = child.wait_with_output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Answer { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
    }

    /// Every entry of a folder, links as links.
    fn entries(&self, folder: &str) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(self.path(folder))
            .unwrap()
            .map(|e| e.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }
}

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

/// What git keeps for itself is nobody's rendered file.
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

/// H2: the log of a job is public, and what a link leads to is not.
#[test]
fn check_and_diff_do_not_show_what_a_link_leads_to() {
    for (target, place) in [
        ("../../secret", "rendered/w.yaml"),
        ("/proc/self/environ", "rendered/w.yaml"),
        ("../secret", "pillion.yaml"),
        ("../secret", "rendered"),
    ] {
        let hostile = Hostile::new();
        hostile.put("secret", "top-secret: {\n");
        if place == "pillion.yaml" {
            fs::remove_file(hostile.path("evil/pillion.yaml")).unwrap();
        }
        hostile.link(target, &format!("evil/{place}"));
        for args in ["render --check", "render --diff", "render --check --out rendered", "plan", "validate"] {
            if place != "pillion.yaml" && !args.starts_with("render") {
                continue;
            }
            let answer = hostile.run(args);
            let code = if place.contains("/w.yaml") { 1 } else { 2 };
            match (args, place) {
                // It says so in its own way.
                ("plan" | "validate", _) => assert_ne!(answer.code, Some(0), "{answer:?}"),
                _ => answer.is_refused(code, "symlink-outside"),
            }
            assert!(!answer.err.contains("top-secret") && !answer.out.contains("top-secret"), "{answer:?}");
            assert!(!answer.out.contains("HOME=") && !answer.err.contains("HOME="), "{answer:?}");
        }
    }
}

/// H2 and L13: devices and pipes are no files, and nobody waits for them.
#[test]
fn endless_files_are_not_read() {
    for place in ["rendered/w.yaml", "rendered/.pillion-files", "apps/.gitignore", ".gitignore"] {
        for target in ["/dev/zero", "/dev/stdin", "pipe"] {
            let hostile = Hostile::new();
            fs::create_dir_all(hostile.path("evil/rendered")).unwrap();
            let path = hostile.path("evil").join(place);
            match target {
                "pipe" => assert!(Command::new("mkfifo").arg(&path).status().unwrap().success()),
                _ => drop(hostile.link(target, &format!("evil/{place}"))),
            }
            let all = [
                "render --check",
                "render --diff",
                "render --out rendered",
                "render --in-place",
                "render apps",
            ];
            for args in all {
                if ["render --in-place", "render apps"].contains(&args) && place.starts_with("rendered") {
                    continue;
                }
                let answer = hostile.run(args);
                assert_eq!(answer.code, Some(1), "{place} -> {target}: {args}: {answer:?}");
                assert!(
                    answer.err.contains("symlink-outside") || answer.err.contains("unreadable-file"),
                    "{answer:?}"
                );
            }
        }
    }
}

/// H3: paths of pillion.yaml, in each form.
#[test]
fn sources_stay_in_the_repository() {
    let victim = |hostile: &Hostile| hostile.text("victim/w.yaml");
    for form in ["../victim", "linked", "linked/inner", "apps/one.yaml", "apps/../../victim", "ABSOLUTE"] {
        let hostile = Hostile::new();
        hostile.put("victim/w.yaml", web("v")).put("victim/inner/w.yaml", web("i"));
        hostile.put("victim/secret.yaml", SECRET);
        hostile.link("../victim", "evil/linked").link("../../victim/w.yaml", "evil/apps/one.yaml");
        let absolute = hostile.path("victim");
        let form = if form == "ABSOLUTE" { absolute.to_str().unwrap() } else { form };
        hostile.config(&formatdoc! {"
            sources: [{form}]
            sidecarSets: [sidecars]
            rendered: rendered
        "});
        let finding = match form {
            "linked" | "linked/inner" | "apps/one.yaml" => "symlink-outside",
            _ => "path-outside",
        };
        for args in ["render", "render --in-place", "render --diff", "validate", "explain Deployment/v"] {
            let answer = hostile.run(args);
            assert!(matches!(answer.code, Some(1 | 2)), "{form}: {args}: {answer:?}");
            answer.is_refused(answer.code.unwrap_or_default(), finding);
            assert_eq!(victim(&hostile), web("v"), "{form}: {args}");
        }
    }
}

#[test]
fn every_other_path_of_the_configuration_stays_in_the_repository() {
    for lines in [
        "sources: [apps]\nsidecarSets: [../sets]\n",
        "sources: [apps]\nsidecarSets: [/]\n",
        "sources: [apps]\nsidecarSets: [linked]\n",
        indoc! {"
            sources: [apps]
            sidecarSets: [sidecars]
            ledgers: ../ledgers
        "},
        "sources: [apps]\nsidecarSets: [sidecars]\nledgers: linked\n",
        indoc! {"
            sources: [apps]
            sidecarSets: [sidecars]
            rendered: ../rendered
        "},
        indoc! {"
            sources: [apps]
            sidecarSets: [sidecars]
            rendered: linked
        "},
        indoc! {"
            sources: [apps]
            sidecarSets: [sidecars]
            clusters:
            - {name: a, folder: ../sets}
        "},
        indoc! {"
            sources: [apps]
            sidecarSets: [sidecars]
            namespaces:
            - {name: a, folder: /sets}
        "},
        indoc! {r#"
            sources: [apps]
            sidecarSets: [sidecars]
            rendered: "a\nb"
        "#},
        "sources: [.git/config]\nsidecarSets: [sidecars]\n",
        "sources: [apps]\nsidecarSets: [sidecars/../.GIT]\n",
    ] {
        let hostile = Hostile::new();
        hostile.put("sets/log.yaml", LOG_SET).put("ledgers/log.yaml", SECRET).link("../sets", "evil/linked");
        hostile.config(lines);
        let commands = ["render", "render --check", "plan", "validate"];
        for args in commands {
            let answer = hostile.run(args);
            assert_ne!(answer.code, Some(0), "{lines}: {args}: {answer:?}");
            let findings = ["path-outside", "symlink-outside", "unusable-name"];
            assert!(findings.iter().any(|f| answer.err.contains(f)), "{lines}: {args}: {answer:?}");
        }
        // As a plugin of Argo CD, without a `.git`, and as a function.
        fs::rename(hostile.path("evil/.git"), hostile.path("git")).unwrap();
        let answer = hostile.run_in("evil/apps", "cmp generate", "");
        assert_ne!(answer.code, Some(0), "{lines}: {answer:?}");
        let list = indoc! {"
            apiVersion: config.kubernetes.io/v1
            kind: ResourceList
            items: []
        "};
        let answer = hostile.run_in("evil", "", list);
        assert_ne!(answer.code, Some(0), "{lines}: {answer:?}");
    }
}

/// The same in what commits hold.
#[test]
fn paths_of_a_committed_configuration_stay_in_the_commit() {
    for (lines, finding) in [
        (
            indoc! {"
                sources: [../apps]
                sidecarSets: [sidecars]
                ledgers: ledgers
                rendered: rendered
            "},
            "path-outside",
        ),
        (
            indoc! {"
                sources: [linked]
                sidecarSets: [sidecars]
                ledgers: ledgers
                rendered: rendered
            "},
            "symlink-outside",
        ),
        (
            indoc! {"
                sources: [linked/w]
                sidecarSets: [sidecars]
                ledgers: ledgers
                rendered: .
            "},
            "symlink-outside",
        ),
        (
            indoc! {"
                sources: [apps]
                sidecarSets: [sidecars]
                ledgers: linked
                rendered: rendered
            "},
            "symlink-outside",
        ),
    ] {
        let hostile = Hostile::new();
        hostile.config(lines).link("apps", "evil/linked");
        let git = |args: &[&str]| {
            let mut command = Command::new("git");
            command.args(["-c", "user.name=a", "-c", "user.email=a@example.com"]).args(args);
            assert!(command.current_dir(hostile.path("evil")).status().unwrap().success(), "{args:?}");
        };
        git(&["checkout", "-q", "-b", "main"]);
        git(&["add", "-A"]);
        git(&["commit", "-q", "-m", "all"]);
        for args in ["verify", "stage --no-fetch", "status --no-fetch"] {
            let answer = hostile.run(args);
            assert_ne!(answer.code, Some(0), "{lines}: {args}: {answer:?}");
            assert!(answer.err.contains(finding), "{lines}: {args}: {answer:?}");
        }
    }
}

#[test]
fn links_in_sources_are_reported_and_not_followed() {
    for target in [
        "../../victim/w.yaml",
        "../../victim",
        "/proc/self/environ",
        "/dev/zero",
        "loop.yaml",
        "nowhere.yaml",
        "/",
    ] {
        let hostile = Hostile::new();
        hostile.put("victim/w.yaml", SECRET).link(target, "evil/apps/loop.yaml");
        hostile.run("render").is_refused(1, "symlink-outside");
        hostile.run("render --in-place").is_refused(1, "symlink-outside");
        assert_eq!(hostile.text("victim/w.yaml"), SECRET);
    }
    // Ledgers, too.
    let hostile = Hostile::new();
    hostile.put("victim/log.yaml", SECRET).link("../../victim/log.yaml", "evil/ledgers/log.yaml");
    hostile.config(indoc! {"
        sources: [apps]
        sidecarSets: [sidecars]
        ledgers: ledgers
    "});
    hostile.run("render").is_refused(1, "symlink-outside");
}

/// What is swapped for a link after it was found is not read through it.
#[test]
fn a_file_that_is_swapped_for_a_link_is_not_read() {
    use pillion::read::{Disk, IgnoreRules};
    use pillion::workspace::{InputOptions, Layout, read_input, select_inputs};
    let hostile = Hostile::new();
    hostile.put("victim/w.yaml", SECRET).put("evil/apps/deep/w.yaml", web("w"));
    let layout = Layout::default();
    let choice = InputOptions {
        ignore_rules: IgnoreRules::empty(),
        namespaces: layout.namespace_rules(),
        repository_root: None,
        user_paths: Vec::new(),
    };
    let chosen = select_inputs(&Disk, &[hostile.path("evil/apps")], &choice).inputs;
    assert_eq!(chosen.len(), 2);
    fs::remove_dir_all(hostile.path("evil/apps/deep")).unwrap();
    hostile.link("../../victim", "evil/apps/deep");
    fs::remove_file(hostile.path("evil/apps/w.yaml")).unwrap();
    hostile.link("../../victim/w.yaml", "evil/apps/w.yaml");
    for input in &chosen {
        assert_eq!(read_input(input, &Disk).unwrap_err().code.name(), "symlink-outside", "{}", input.name);
    }
}

#[test]
fn names_with_control_characters_become_no_lines() {
    for name in ["a\nkeep.yaml", "a\u{1b}[31m.yaml", "\n::error file=x::pwned.yaml", "sub\n/w.yaml"] {
        let hostile = Hostile::new();
        hostile.put(&format!("evil/apps/{name}"), web("x"));
        for args in ["render --out rendered", "render --in-place", "--message-format short render"] {
            let answer = hostile.run(args);
            answer.is_refused(1, "unusable-name");
            assert!(!answer.err.contains('\u{1b}') && !answer.err.contains("\n::error"), "{answer:?}");
        }
        assert!(!hostile.path("evil/rendered").exists());
    }
    let hostile = Hostile::new();
    hostile
        .put("evil/rendered/.pillion-files", "a\u{1b}[31m.yaml\n")
        .put("evil/rendered/a\u{1b}[31m.yaml", "");
    let answer = hostile.run("render --check");
    assert!(!answer.err.contains('\u{1b}'), "{answer:?}");
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

/// What a person types stays theirs.
#[test]
fn what_a_person_types_is_followed() {
    let hostile = Hostile::new();
    hostile.put("elsewhere/w.yaml", web("e")).link("../elsewhere/w.yaml", "evil/current.yaml");
    assert!(hostile.run("render ../elsewhere/w.yaml --sidecarsets sidecars").out.contains("logtail"));
    assert!(hostile.run("render current.yaml --sidecarsets sidecars").out.contains("logtail"));
    fs::create_dir(hostile.path("out")).unwrap();
    hostile.link("out", "link");
    assert_eq!(hostile.run("render --out ../link").code, Some(0));
    assert_eq!(hostile.entries("out"), [".pillion-files", "w.yaml"]);
    hostile.link("real.yaml", "evil/config.yaml").put("evil/real.yaml", CONFIG);
    assert_eq!(hostile.run("render --config config.yaml").code, Some(0));
}
