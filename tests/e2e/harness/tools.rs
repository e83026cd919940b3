//! The real servers and clients, built once per machine from the Go module proxy by `tools/build.sh`.

use sha2::{Digest as _, Sha256};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The parts that tests use, with the files that say what is built, the script that builds it first: a change of one
/// builds the part again.
const PARTS: &[(&str, &[&str])] = &[
    ("tools", &["build.sh", "main.go", "go.mod", "go.sum"]),
    ("kruise", &["build.sh"]),
    ("act", &["build.sh"]),
    ("argocd", &["build.sh"]),
    ("kustomize-old", &["build.sh"]),
    ("helm", &["build.sh"]),
    ("gitea", &["gitea/build.sh", "gitea/sqlite.go"]),
    (
        "schema",
        &[
            "schema/build.sh",
            "schema/additions.go",
            "schema/additions/v1.9.0.go",
            "schema/go.mod",
            "schema/go.sum",
            "schema/main.go",
            "schema/read.go",
            "schema/rust.go",
        ],
    ),
    ("yaml", &["yaml/build.sh", "yaml/main.go", "yaml/go.mod", "yaml/go.sum"]),
    ("manifests", &["manifests.sh"]),
];

/// A program, or a folder of manifests, of one of the parts.
pub(crate) fn tool(part: &str, name: &str) -> PathBuf {
    folder(part).join(name)
}

/// Builds what is not there yet.
pub(crate) fn build_all() {
    for (part, _) in PARTS {
        build(part);
    }
}

/// Builds a part that is not there yet. What needs no servers can be built and used outside the sandbox.
pub(crate) fn build(part: &str) {
    let folder = folder(part);
    let cache = folder.parent().unwrap();
    fs::create_dir_all(cache).unwrap();
    // Held until it is closed: test binaries that run at the same time build once.
    let lock = File::create(cache.join(format!("{part}.lock"))).unwrap();
    lock.lock().unwrap();
    if folder.exists() {
        return;
    }
    let beside = tempfile::tempdir_in(cache).unwrap();
    let made = beside.path().join(part);
    let script = sources_of(part)[0];
    let status = Command::new(sources().join(script)).arg(&made).arg(part).status();
    match status {
        Ok(status) if status.success() => fs::rename(made, &folder).unwrap(),
        Ok(_) => panic!("tools/{script} {part} failed, see above; it needs Go and a Go module proxy"),
        Err(error) => panic!("tools/{script}: {error}"),
    }
}

fn folder(part: &str) -> PathBuf {
    let mut hash = Sha256::new();
    for name in sources_of(part) {
        hash.update(fs::read(sources().join(name)).unwrap());
    }
    let key: String = hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    cache().join(format!("{part}-{key}"))
}

fn sources_of(part: &str) -> &'static [&'static str] {
    PARTS.iter().find(|(name, _)| *name == part).expect("one of the parts").1
}

fn cache() -> PathBuf {
    let base = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    base.unwrap_or_else(|| Path::new(&std::env::var_os("HOME").unwrap()).join(".cache")).join("pillion-e2e")
}

fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/tools")
}
