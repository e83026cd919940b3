//! A run that takes long shows on a terminal how far it is, and nothing anywhere else.

use indoc::indoc;
use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// A repository with manifests that take longer to build than a run without progress may.
fn repository(folder: &Path) {
    let files = [
        (
            "pillion.yaml",
            indoc! {"
                apiVersion: pillion.dev/v1alpha1
                kind: Repository
                sidecarSets: [log.yaml]
                ledgers: ledgers
                build: [sh, -c, 'sleep 1; cat apps.yaml']
            "},
        ),
        (
            "log.yaml",
            indoc! {"
                apiVersion: apps.kruise.io/v1beta1
                kind: SidecarSet
                metadata: {name: log}
                spec: {selector: {matchLabels: {log: 'true'}}, containers: [{name: log, image: 'log:1'}]}
            "},
        ),
        (
            "ledgers/log.yaml",
            indoc! {"
                apiVersion: pillion.dev/v1alpha1
                kind: SidecarRollout
                metadata: {name: log}
                spec: {}
            "},
        ),
        (
            "apps.yaml",
            indoc! {"
                apiVersion: v1
                kind: Pod
                metadata: {name: a, namespace: b, labels: {log: 'true'}}
                spec: {containers: [{name: a, image: 'a:1'}]}
            "},
        ),
    ];
    for (name, text) in files {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
}

/// Plans; returns what is written to standard error, and to standard output.
fn plan(folder: &Path, args: &[&str], is_terminal: bool) -> (String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pillion"));
    command.arg("plan").args(args).current_dir(folder).env_clear();
    command.env("PATH", std::env::var_os("PATH").unwrap()).stdin(Stdio::null()).stdout(Stdio::piped());
    if !is_terminal {
        let output = command.stderr(Stdio::piped()).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let text = |bytes| String::from_utf8(bytes).unwrap();
        return (text(output.stderr), text(output.stdout));
    }
    let terminal = nix::pty::openpty(None, None).unwrap();
    let mut child = command.stderr(Stdio::from(terminal.slave)).spawn().unwrap();
    // The terminal ends with its last writer.
    drop(command);
    let mut seen = Vec::new();
    let mut master = fs::File::from(terminal.master);
    let mut piece = [0; 1024];
    while let Ok(length @ 1..) = master.read(&mut piece) {
        seen.extend_from_slice(&piece[..length]);
    }
    let mut printed = String::new();
    child.stdout.take().unwrap().read_to_string(&mut printed).unwrap();
    assert!(child.wait().unwrap().success(), "{}", String::from_utf8_lossy(&seen));
    (String::from_utf8(seen).unwrap(), printed)
}

#[test]
fn a_slow_plan_shows_counts_on_a_terminal_only() {
    let folder = tempfile::tempdir().unwrap();
    repository(folder.path());
    let (seen, printed) = plan(folder.path(), &[], true);
    assert!(seen.contains("\rReading 0/1 clusters\u{1b}[K"), "{seen:?}");
    let (_, after) = seen.rsplit_once("clusters\u{1b}[K").unwrap();
    assert!(after.starts_with("\r\u{1b}[K"), "the line is erased: {seen:?}");
    let (piped, same) = plan(folder.path(), &[], false);
    assert!(!piped.contains(['\r', '\u{1b}']) && !piped.contains("Reading"), "{piped:?}");
    assert_eq!(printed, same);
    let (quiet, _) = plan(folder.path(), &["--quiet"], true);
    assert!(!quiet.contains("Reading"), "{quiet:?}");
}
