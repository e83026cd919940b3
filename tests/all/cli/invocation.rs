//! Calls without a subcommand and as a plugin of Argo CD, where golden cases cannot show the behavior.
#![cfg(unix)]

use crate::support::manifests::LOG_SET;
use indoc::indoc;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

const WEB: &str = indoc! {r#"
    apiVersion: apps/v1
    kind: Deployment
    metadata: {name: web}
    spec:
      template:
        metadata: {labels: {log: "true"}}
        spec:
          containers:
          - {name: web, image: a}
"#};
const CONFIG: &str = indoc! {"
    apiVersion: pillion.dev/v1alpha1
    kind: Sidecars
    metadata: {name: s}
    spec: {sidecarSets: [set.yaml]}
"};

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    fs::write(folder.path().join("pillion.yaml"), "apiVersion: pillion.dev/v1alpha1\nkind: Repository\n")
        .unwrap();
    folder
}

fn start(program: &Path, arguments: &[&str], folder: &Path, environment: &[(&str, &str)]) -> Child {
    Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .envs(environment.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn finish(mut child: Child, stdin: &str) -> Output {
    let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
    child.wait_with_output().unwrap()
}

fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_pillion"))
}

/// A program of this name that does as the script says.
fn script(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn the_name_of_the_kind_makes_it_a_plugin() {
    let folder = folder(&[("set.yaml", LOG_SET), ("config", CONFIG)]);
    let link = folder.path().join("Sidecars");
    symlink(program(), &link).unwrap();
    let output = finish(start(&link, &["config"], folder.path(), &[]), WEB);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(String::from_utf8_lossy(&output.stdout).contains("logtail"));
}

#[test]
fn help_of_kubectls_plugin_says_kubectl() {
    let folder = folder(&[]);
    let link = folder.path().join("kubectl-pillion");
    symlink(program(), &link).unwrap();
    let output = finish(start(&link, &["render", "--help"], folder.path(), &[]), "");
    assert!(String::from_utf8_lossy(&output.stdout).contains("Usage: kubectl pillion render "));
}

#[test]
fn the_environment_of_a_plugin_decides_nothing() {
    let folder = folder(&[("apps/web.yaml", WEB)]);
    let environment = [("KUSTOMIZE_PLUGIN_CONFIG_STRING", CONFIG), ("KUSTOMIZE_PLUGIN_CONFIG_ROOT", "/")];
    let output = finish(start(program(), &["render", "apps"], folder.path(), &environment), "");
    assert_eq!(String::from_utf8_lossy(&output.stdout), WEB);
}

#[test]
fn a_second_pass_changes_nothing() {
    let folder = folder(&[("set.yaml", LOG_SET)]);
    let list = format!(
        "apiVersion: config.kubernetes.io/v1\nkind: ResourceList\nitems:\n- {}functionConfig:\n  {}",
        WEB.replace('\n', "\n  ").trim_end_matches(' '),
        CONFIG.replace('\n', "\n  ").trim_end()
    );
    let once = finish(start(program(), &[], folder.path(), &[]), &list);
    let once = String::from_utf8(once.stdout).unwrap();
    assert!(once.contains("logtail"));
    let twice = finish(start(program(), &[], folder.path(), &[]), &once);
    assert_eq!(String::from_utf8(twice.stdout).unwrap(), once);
}

#[test]
fn many_at_once_neither_disturb_each_other_nor_leave_anything() {
    let folder = folder(&[("apps/web.yaml", WEB), ("sidecars/set.yaml", LOG_SET)]);
    let config = indoc! {"
        apiVersion: pillion.dev/v1alpha1
        kind: Repository
        sidecarSets: [sidecars]
    "};
    fs::write(folder.path().join("pillion.yaml"), config).unwrap();
    let temporary = tempfile::tempdir().unwrap();
    let environment = [
        ("ARGOCD_APP_SOURCE_PATH", "apps"),
        ("ARGOCD_APP_NAMESPACE", "shop"),
        ("TMPDIR", temporary.path().to_str().unwrap()),
    ];
    let apps = folder.path().join("apps");
    let children: Vec<Child> =
        (0..8).map(|_| start(program(), &["cmp", "generate"], &apps, &environment)).collect();
    let outputs: Vec<Vec<u8>> = children.into_iter().map(|c| finish(c, "").stdout).collect();
    assert!(String::from_utf8_lossy(&outputs[0]).contains("logtail"));
    assert!(outputs.iter().all(|o| *o == outputs[0]));
    assert_eq!(fs::read_dir(temporary.path()).unwrap().count(), 0);
    assert_eq!(fs::read_dir(&apps).unwrap().count(), 1);
}

#[test]
fn nothing_above_the_repository_of_an_application_is_read() {
    let outer = folder(&[("repo/apps/web.yaml", WEB), ("set.yaml", LOG_SET)]);
    let config = indoc! {"
        apiVersion: pillion.dev/v1alpha1
        kind: Repository
        sidecarSets: [set.yaml]
    "};
    fs::write(outer.path().join("pillion.yaml"), config).unwrap();
    let apps = outer.path().join("repo/apps");
    let output =
        finish(start(program(), &["cmp", "generate"], &apps, &[("ARGOCD_APP_SOURCE_PATH", "apps")]), "");
    assert_eq!((output.status.code(), &*output.stdout), (Some(1), &b""[..]));
    assert!(String::from_utf8_lossy(&output.stderr).contains("there is no pillion.yaml up to the root"));
    let parameters = r#"[{"name":"sidecarsets","array":["../../set.yaml"]}]"#;
    let environment = [("ARGOCD_APP_SOURCE_PATH", "apps"), ("ARGOCD_APP_PARAMETERS", parameters)];
    let output = finish(start(program(), &["cmp", "generate"], &apps, &environment), "");
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        stderr.starts_with("error[path-outside]: `../../set.yaml` leads out of the repository"),
        "{stderr}"
    );
}

#[test]
fn kustomize_builds_first_and_its_failure_is_told() {
    let folder = folder(&[
        ("kustomization.yaml", "resources: [web.yaml]\n"),
        ("sidecars/set.yaml", LOG_SET),
        ("built", WEB),
    ]);
    let config = indoc! {"
        apiVersion: pillion.dev/v1alpha1
        kind: Repository
        sidecarSets: [sidecars]
    "};
    fs::write(folder.path().join("pillion.yaml"), config).unwrap();
    let programs = tempfile::tempdir().unwrap();
    let path = format!("{}:/usr/bin:/bin", programs.path().display());
    script(programs.path(), "kustomize", "[ \"$*\" = \"build .\" ] || exit 9\nexec cat built");
    let output = finish(start(program(), &["cmp", "generate"], folder.path(), &[("PATH", &path)]), "");
    assert!(
        String::from_utf8_lossy(&output.stdout).contains("logtail"),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    script(programs.path(), "kustomize", "echo 'Error: accumulating resources: no web.yaml' >&2\nexit 1");
    let output = finish(start(program(), &["cmp", "generate"], folder.path(), &[("PATH", &path)]), "");
    assert_eq!((output.status.code(), &*output.stdout), (Some(1), &b""[..]));
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(stderr, "pillion: `kustomize build .` failed: Error: accumulating resources: no web.yaml\n");
    // As by the kernel, when memory is short.
    script(programs.path(), "kustomize", "kill -KILL $$");
    let output = finish(start(program(), &["cmp", "generate"], folder.path(), &[("PATH", &path)]), "");
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(stderr, "pillion: `kustomize build .` failed: signal: 9 (SIGKILL)\n");
}

#[test]
fn a_build_of_kustomize_takes_no_longer_than_argocd_allows() {
    let folder = folder(&[("kustomization.yaml", "resources: [web.yaml]\n")]);
    let programs = tempfile::tempdir().unwrap();
    let pipe = programs.path().join("never");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    script(programs.path(), "kustomize", &format!("exec cat {}", pipe.display()));
    let path = format!("{}:/usr/bin:/bin", programs.path().display());
    let environment = [("PATH", path.as_str()), ("ARGOCD_EXEC_TIMEOUT", "1s")];
    let output = finish(start(program(), &["cmp", "generate"], folder.path(), &environment), "");
    assert_eq!((output.status.code(), &*output.stdout), (Some(1), &b""[..]));
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    let ended = "pillion: `kustomize build .` was ended: it took longer than `ARGOCD_EXEC_TIMEOUT` allows";
    assert!(stderr.starts_with(ended), "{stderr}");
}

#[test]
fn sigterm_ends_it_at_once_and_without_litter() {
    let folder = folder(&[("kustomization.yaml", "resources: [web.yaml]\n")]);
    let programs = tempfile::tempdir().unwrap();
    let pipe = programs.path().join("started");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    // It says that it has started, and then waits for an input that never comes.
    script(
        programs.path(),
        "kustomize",
        &format!("echo started > {}\nexec cat {}", pipe.display(), pipe.display()),
    );
    let path = format!("{}:/usr/bin:/bin", programs.path().display());
    let temporary = tempfile::tempdir().unwrap();
    let environment = [("PATH", path.as_str()), ("TMPDIR", temporary.path().to_str().unwrap())];
    let mut child = start(program(), &["cmp", "generate"], folder.path(), &environment);
    assert_eq!(fs::read_to_string(&pipe).unwrap(), "started\n");
    assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().signal(), Some(15));
    assert_eq!(fs::read_dir(temporary.path()).unwrap().count(), 0);
}

#[test]
fn a_closed_pipe_is_quiet() {
    let folder =
        folder(&[("apps/web.yaml", &format!("{WEB}---\n").repeat(5000)), ("sidecars/set.yaml", LOG_SET)]);
    let config = indoc! {"
        apiVersion: pillion.dev/v1alpha1
        kind: Repository
        sidecarSets: [sidecars]
    "};
    fs::write(folder.path().join("pillion.yaml"), config).unwrap();
    let mut child = start(program(), &["cmp", "generate"], &folder.path().join("apps"), &[]);
    drop(child.stdin.take());
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert!(!output.status.success());
}
