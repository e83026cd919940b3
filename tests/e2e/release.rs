//! The steps of the release workflow that need no GitHub runner. tests/all/supply_chain.rs tests how action.yml uses
//! their result.

use crate::harness::sandbox;
use std::fs;
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

    // Where the Dockerfile looks for them.
    release.step(&["archive", TARGETS[1], PILLION]);
    release.step(&["images"]);
    for platform in ["linux/amd64", "linux/arm64"] {
        let binary = fs::read(release.dist.path().join(platform).join("pillion")).unwrap();
        assert!(binary == fs::read(PILLION).unwrap(), "{platform}");
    }
}
