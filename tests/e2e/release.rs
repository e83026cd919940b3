//! What the release workflow does, as far as it needs no machine of GitHub's, and how action.yml takes what it made.

use crate::harness::sandbox;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const PILLION: &str = env!("CARGO_BIN_EXE_pillion");
const LINUX: &str = "x86_64-unknown-linux-musl";
const TARGETS: [&str; 5] = [
    LINUX,
    "aarch64-unknown-linux-musl",
    "x86_64-apple-darwin",
    "aarch64-apple-darwin",
    "x86_64-pc-windows-msvc",
];

/// Where archives are made.
struct Release {
    dist: tempfile::TempDir,
}

impl Release {
    fn new() -> Self {
        sandbox::enter();
        Self { dist: tempfile::tempdir().unwrap() }
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join(".ci/release");
        let mut command = Command::new(script);
        command.args(arguments).env("DIST", self.dist.path()).env("GITHUB_REPOSITORY", "acme/pillion");
        command.output().unwrap()
    }

    #[track_caller]
    fn step(&self, arguments: &[&str]) {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {output:?}");
    }

    fn archive(&self, target: &str) -> PathBuf {
        self.dist.path().join(format!("pillion-{target}-v{}.tgz", env!("CARGO_PKG_VERSION")))
    }
}

#[test]
#[ignore = "needs unshare: cargo test --test e2e -- --ignored"]
fn the_binary_needs_nothing_but_its_repository() {
    Release::new().step(&["alone", PILLION]);
}

#[test]
#[ignore = "makes archives of every target: cargo test --test e2e -- --ignored"]
fn archives_have_checksums_and_a_manifest() {
    let release = Release::new();
    release.step(&["tag", concat!("v", env!("CARGO_PKG_VERSION"))]);
    assert!(!release.run(&["tag", "v0.0.0"]).status.success());
    release.step(&["archive", LINUX, PILLION]);
    let first = fs::read(release.archive(LINUX)).unwrap();
    release.step(&["archive", LINUX, PILLION]);
    assert!(first == fs::read(release.archive(LINUX)).unwrap(), "the same binary gives the same archive");
    // A binary of development is not static, and everything else is there.
    let tried = release.run(&["try", LINUX]);
    assert!(String::from_utf8_lossy(&tried.stderr).contains("the binary is not static"), "{tried:?}");

    release.step(&["sums"]);
    assert!(!release.run(&["krew"]).status.success(), "there is no archive of other targets yet");
    for target in TARGETS {
        fs::write(release.archive(target), if target == LINUX { &first } else { target.as_bytes() }).unwrap();
    }
    release.step(&["sums"]);
    release.step(&["krew"]);
    let manifest = fs::read_to_string(release.dist.path().join("krew.yaml")).unwrap();
    let sums = fs::read_to_string(release.dist.path().join("SHA256SUMS")).unwrap();
    assert_eq!(sums.lines().count(), TARGETS.len());
    for line in sums.lines() {
        let (sum, name) = line.split_once("  ").unwrap();
        let (_, after) = manifest.split_once(name).unwrap();
        assert!(after.lines().nth(1).unwrap().contains(sum), "{name}: {manifest}");
    }
}

#[test]
#[ignore = "fetches an archive as a workflow does: cargo test --test e2e -- --ignored"]
fn the_action_takes_an_archive_that_is_what_its_checksum_says() {
    let release = Release::new();
    release.step(&["archive", LINUX, PILLION]);
    release.step(&["sums"]);
    let server = serve(release.dist.path().to_owned());
    let run = || {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("pillion.yaml"), "apiVersion: pillion.dev/v1alpha1\nkind: Repository\n")
            .unwrap();
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut bash = Command::new("bash");
        bash.arg(root.join("action/main.sh")).current_dir(folder.path()).env_clear();
        bash.env("PATH", "/usr/bin:/bin").env("GITHUB_ACTION_PATH", root).env("GITHUB_SERVER_URL", &server);
        bash.env("PILLION_ACTION_REPOSITORY", "acme/pillion").env("RUNNER_TEMP", folder.path());
        let output = bash.env("RUNNER_TOOL_CACHE", folder.path().join("cache")).output().unwrap();
        let cached = format!("cache/pillion/{}/{LINUX}/pillion", env!("CARGO_PKG_VERSION"));
        (folder.path().join(cached).exists(), output)
    };
    let (is_taken, output) = run();
    assert!(is_taken && output.status.success(), "{output:?}");
    // One bit is another.
    let mut bytes = fs::read(release.archive(LINUX)).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(release.archive(LINUX), bytes).unwrap();
    let (is_taken, output) = run();
    assert!(!is_taken && !output.status.success(), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("is not what its checksum says"), "{output:?}");
}

/// A server whose releases hold the files of a folder, until the test ends.
fn serve(folder: PathBuf) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.unwrap());
            let mut request = String::new();
            stream.read_line(&mut request).unwrap();
            let mut line = String::new();
            while stream.read_line(&mut line).unwrap() > 2 {
                line.clear();
            }
            let path = request.split(' ').nth(1).unwrap().to_owned();
            let version = env!("CARGO_PKG_VERSION");
            let name = path.strip_prefix(&format!("/acme/pillion/releases/download/v{version}/"));
            let (status, body) = match name.and_then(|name| fs::read(folder.join(name)).ok()) {
                Some(body) => ("200 OK", body),
                None => ("404 Not Found", Vec::new()),
            };
            let head =
                format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
            let _ = stream.get_mut().write_all(&[head.into_bytes(), body].concat());
        }
    });
    url
}
