//! Checks that downloads match what was committed: the action, the release, and the workflows that pillion writes.
#![cfg(unix)]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const TARGET: &str = "x86_64-unknown-linux-musl";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn version() -> String {
    env!("CARGO_PKG_VERSION").to_owned()
}

/// A runner of workflows, as far as the action sees it: its programs, caches and a server.
struct Runner(tempfile::TempDir);

impl Runner {
    /// The server has an archive with this program in it, and a table of checksums that says so.
    fn new() -> Self {
        let runner = Self(tempfile::tempdir().unwrap());
        for folder in ["bin", "temp", "cache", "server", "workspace", "action/action"] {
            fs::create_dir_all(runner.path(folder)).unwrap();
        }
        for file in ["Cargo.toml", "action/main.sh"] {
            fs::copy(root().join(file), runner.path("action").join(file)).unwrap();
        }
        // What curl is asked for stands in a log, and comes from the folder of the server.
        runner.program(
            "curl",
            "echo \"$@\" >>\"$HOME/asked\"; out=; for last; do :; done; while [ $# -gt 0 ]; do case $1 in -o) out=$2; shift ;; esac; shift; done; cat \"$HOME/server/$(basename \"$last\")\" >\"$out\"",
        );
        runner.program("uname", "case $1 in -s) echo Linux ;; *) echo x86_64 ;; esac");
        runner.serve("echo mine");
        runner.pin(&runner.digest(&runner.archive()));
        runner
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn archive(&self) -> PathBuf {
        self.path("server").join(format!("pillion-{TARGET}-v{}.tgz", version()))
    }

    fn program(&self, name: &str, script: &str) {
        let path = self.path("bin").join(name);
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Puts an archive on the server, and sums of its own beside it.
    fn serve(&self, script: &str) {
        self.pack(script, &self.archive());
        let name = self.archive().file_name().unwrap().to_string_lossy().into_owned();
        fs::write(self.path("server/SHA256SUMS"), format!("{}  {name}\n", self.digest(&self.archive())))
            .unwrap();
    }

    fn pack(&self, script: &str, to: &Path) {
        let name = format!("pillion-{TARGET}-v{}", version());
        let folder = self.path("temp").join(&name);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("pillion"), format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(folder.join("pillion"), fs::Permissions::from_mode(0o755)).unwrap();
        let status =
            Command::new("tar").arg("-czf").arg(to).arg("-C").arg(self.path("temp")).arg(&name).status();
        assert!(status.unwrap().success());
        fs::remove_dir_all(folder).unwrap();
    }

    fn digest(&self, file: &Path) -> String {
        let output = Command::new("sha256sum").arg(file).output().unwrap();
        String::from_utf8(output.stdout).unwrap().split_whitespace().next().unwrap().to_owned()
    }

    fn pin(&self, sum: &str) {
        let name = self.archive().file_name().unwrap().to_string_lossy().into_owned();
        fs::write(self.path("action/action/SHA256SUMS"), format!("# a comment\n{sum}  {name}\n")).unwrap();
    }

    fn run(&self, what: &str, environment: &[(&str, &str)]) -> Output {
        let path = format!("{}:/usr/local/bin:/usr/bin:/bin", self.path("bin").display());
        let mut command = Command::new("bash");
        command.args(["--noprofile", "--norc"]).arg(self.path("action/action/main.sh")).arg(what);
        command.current_dir(self.path("workspace")).env_clear().env("PATH", path).env("HOME", self.0.path());
        command.env("GITHUB_ACTION_PATH", self.path("action")).env("RUNNER_TEMP", self.path("temp"));
        command.env("RUNNER_TOOL_CACHE", self.path("cache")).env("GITHUB_OUTPUT", self.path("output"));
        command.env("GITHUB_WORKSPACE", self.path("workspace"));
        command.env("PILLION_ACTION_REPOSITORY", "acme/pillion").envs(environment.iter().copied());
        command.output().unwrap()
    }

    /// Installs, and returns what the program that was installed prints.
    fn install(&self, environment: &[(&str, &str)]) -> Result<String, String> {
        drop(fs::remove_file(self.path("output")));
        let output = self.run("install", environment);
        let message =
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        if !output.status.success() {
            return Err(message);
        }
        let outputs = fs::read_to_string(self.path("output")).unwrap();
        let binary = outputs.lines().skip_while(|l| !l.starts_with("binary<<")).nth(1).unwrap().to_owned();
        let output = Command::new(binary).output().unwrap();
        Ok(String::from_utf8(output.stdout).unwrap())
    }

    fn asked(&self) -> String {
        fs::read_to_string(self.path("asked")).unwrap_or_default()
    }
}

#[test]
fn the_action_runs_what_its_table_says() {
    let runner = Runner::new();
    assert_eq!(runner.install(&[]).as_deref(), Ok("mine\n"));
    assert!(runner.asked().contains("--proto =https --proto-redir =https"), "{}", runner.asked());
    // From the cache the second time.
    fs::remove_file(runner.path("asked")).unwrap();
    assert_eq!(runner.install(&[]).as_deref(), Ok("mine\n"));
    assert_eq!(runner.asked(), "");
}

/// M10: sums that come with the release are those of whoever made it.
#[test]
fn an_archive_without_an_entry_is_not_run() {
    for table in ["# nothing\n", "", "x  pillion.tgz\n"] {
        let runner = Runner::new();
        fs::write(runner.path("action/action/SHA256SUMS"), table).unwrap();
        let stderr = runner.install(&[]).unwrap_err();
        assert!(stderr.contains("has no checksum of"), "{stderr}");
        assert_eq!(runner.asked(), "", "nothing is fetched");
    }
    let stderr = Runner::new().install(&[("PILLION_VERSION", "9.9.9")]).unwrap_err();
    assert!(stderr.contains("has no checksum of"), "{stderr}");
    let stderr = Runner::new().install(&[("PILLION_VERSION", "latest")]).unwrap_err();
    assert!(stderr.contains("is not like 1.2.3"), "{stderr}");
}

#[test]
fn another_archive_is_not_run() {
    let runner = Runner::new();
    runner.serve("echo pwned");
    let stderr = runner.install(&[]).unwrap_err();
    assert!(stderr.contains("does not match its checksum") && !stderr.contains("pwned"), "{stderr}");
}

#[test]
fn the_cache_is_checked_each_time() {
    let runner = Runner::new();
    runner.install(&[]).unwrap();
    let cached = runner.path("cache/pillion").join(version()).join(runner.archive().file_name().unwrap());
    assert!(cached.is_file());
    runner.pack("echo pwned", &cached);
    assert_eq!(runner.install(&[]).as_deref(), Ok("mine\n"), "it is fetched again");
    // A program where an earlier version of the action kept it is not looked at.
    let old = runner.path("cache/pillion").join(version()).join(TARGET);
    fs::create_dir_all(&old).unwrap();
    fs::write(old.join("pillion"), "#!/bin/sh\necho pwned\n").unwrap();
    fs::set_permissions(old.join("pillion"), fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(runner.install(&[]).as_deref(), Ok("mine\n"));
}

#[test]
fn an_attestation_is_asked_for_where_that_is_possible() {
    let runner = Runner::new();
    runner.program("gh", "echo \"$GH_TOKEN $*\" >\"$HOME/gh\"; exit 1");
    let token = [("PILLION_TOKEN", "secret-token")];
    let stderr = runner.install(&token).unwrap_err();
    assert!(
        stderr.contains("has no attestation of `acme/pillion`") && !stderr.contains("secret-token"),
        "{stderr}"
    );
    let asked = fs::read_to_string(runner.path("gh")).unwrap();
    assert!(
        asked.starts_with("secret-token attestation verify ") && asked.contains("--repo acme/pillion"),
        "{asked}"
    );
    runner.program("gh", "exit 0");
    assert_eq!(runner.install(&token).as_deref(), Ok("mine\n"));
}

/// H2: what reads the files of a pull request finds no token in its environment.
#[test]
fn no_program_is_started_with_the_token() {
    let runner = Runner::new();
    runner.program("fake", "env >>\"$HOME/environment\"");
    let binary = runner.path("bin/fake").display().to_string();
    for command in ["check", "plan", "comment"] {
        let environment = [
            ("PILLION_TOKEN", "secret-token"),
            ("PILLION_COMMAND", command),
            ("PILLION_BINARY", binary.as_str()),
        ];
        runner.run("run", &environment);
    }
    let environment = fs::read_to_string(runner.path("environment")).unwrap();
    assert!(environment.contains("PATH=") && !environment.contains("secret-token"), "{environment}");
    // The first two do not get it at all.
    let action = fs::read_to_string(root().join("action.yml")).unwrap();
    let run = action.split("- id: run").nth(1).unwrap();
    assert!(
        run.contains("contains(fromJSON('[\"comment\", \"stage\", \"render\", \"watch\"]'), inputs.command)"),
        "{run}"
    );
}

/// A copy of what `.ci/release` reads.
fn release(sums: &str) -> (tempfile::TempDir, impl Fn(&[&str]) -> Output + use<>) {
    let folder = tempfile::tempdir().unwrap();
    for file in ["Cargo.toml", ".ci/release", ".github/workflows/release.yml"] {
        let to = folder.path().join(file);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(root().join(file), to).unwrap();
    }
    fs::create_dir_all(folder.path().join("action")).unwrap();
    fs::write(folder.path().join("action/SHA256SUMS"), sums).unwrap();
    fs::create_dir_all(folder.path().join("dist")).unwrap();
    let at = folder.path().to_owned();
    let run = move |args: &[&str]| Command::new(at.join(".ci/release")).args(args).output().unwrap();
    (folder, run)
}

#[test]
fn a_release_without_committed_checksums_fails() {
    let targets = [
        "x86_64-unknown-linux-musl",
        "aarch64-unknown-linux-musl",
        "x86_64-apple-darwin",
        "aarch64-apple-darwin",
        "x86_64-pc-windows-msvc",
    ];
    let name = |target: &str| format!("pillion-{target}-v{}.tgz", version());
    // Of `echo -n x`.
    let sum = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881";
    let table =
        |targets: &[&str]| targets.iter().map(|t| format!("{sum}  {}\n", name(t))).collect::<String>();
    let (folder, run) = release(&table(&targets));
    for target in targets {
        fs::write(folder.path().join("dist").join(name(target)), "x").unwrap();
    }
    let output = run(&["pinned"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    fs::write(folder.path().join("dist").join(name(targets[4])), "y").unwrap();
    assert!(String::from_utf8_lossy(&run(&["pinned"]).stderr).contains("does not match its checksum"));
    fs::write(folder.path().join("action/SHA256SUMS"), table(&targets[..4])).unwrap();
    let output = run(&["pinned"]);
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("has no checksum of"));
}

/// Every file below a folder with a name that ends in `.yaml` or `.yml`.
fn yaml_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            yaml_files(&path, found);
        } else if path.extension().is_some_and(|e| e == "yaml" || e == "yml") {
            found.push(path);
        }
    }
}

/// L15: a tag of an action may be moved, a commit may not.
#[test]
fn actions_are_pinned_and_credentials_are_not_kept() {
    let mut files = vec![root().join("action.yml"), root().join("src/cli/commands/init/workflow.yaml")];
    for folder in [".github", "src/integrations/templates", "deploy", "examples"] {
        yaml_files(&root().join(folder), &mut files);
    }
    let mut count = 0;
    for file in &files {
        let text = fs::read_to_string(file).unwrap();
        for (n, line) in text.lines().enumerate() {
            let line = line.trim().trim_start_matches("- ");
            let Some(action) = line.strip_prefix("uses: ") else { continue };
            let at = format!("{}:{}: {action}", file.display(), n + 1);
            count += 1;
            let reference = action.split_whitespace().next().unwrap().rsplit('@').next().unwrap().to_owned();
            // Gitea takes actions by their whole address.
            let name = action.strip_prefix("https://github.com/").unwrap_or(action);
            let is_own =
                name.starts_with("@REPOSITORY@@v@VERSION@") || name.starts_with("example-org/pillion@v");
            let is_pinned = reference.len() == 40 && reference.bytes().all(|b| b.is_ascii_hexdigit());
            // The commit of pillion's own tag cannot stand in what that commit holds.
            assert!(is_pinned || (is_own && action.contains("# pin it")), "{at}");
            if action.starts_with("actions/checkout@") {
                let after: String = text.lines().skip(n + 1).take(4).collect();
                assert!(after.contains("persist-credentials: false"), "{at}");
            }
        }
    }
    assert!(count > 15, "{count}");
}

#[test]
fn advisories_are_checked_by_a_pinned_program() {
    let ci = fs::read_to_string(root().join(".github/workflows/ci.yml")).unwrap();
    assert!(
        ci.contains("cargo install --locked --version ") && ci.contains("cargo deny check advisories"),
        "{ci}"
    );
    assert!(fs::read_to_string(root().join("deny.toml")).unwrap().contains("[advisories]"));
}
