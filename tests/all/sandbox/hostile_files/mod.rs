//! Hostile repositories, built to make pillion read, write or remove files outside of them.
#![cfg(unix)]

mod configuration;
mod inputs;
mod outputs;

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
