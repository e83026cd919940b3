//! The plugin of Argo CD does not let kustomize fetch anything unless its operator allows it: remote references are
//! found before kustomize starts, in any notation and at any depth.

use crate::support::manifests::{LOG_SET, WEB};
use indoc::{formatdoc, indoc};
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};
use tempfile::TempDir;

/// A repository, and a `kustomize` that leaves a mark, asks the address in `$ASK` and prints a Deployment.
fn scene(files: &[(&str, &str)]) -> (TempDir, TempDir) {
    let (folder, programs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let config = indoc! {"
        apiVersion: pillion.dev/v1alpha1
        kind: Repository
        sidecarSets: [sidecars]
    "};
    let always = [
        ("pillion.yaml", config),
        ("sidecars/log.yaml", LOG_SET),
        ("app/web.yaml", WEB),
        ("base/web.yaml", WEB),
        ("base/kustomization.yaml", "resources: [web.yaml]\n"),
    ];
    for (name, text) in always.iter().chain(files) {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let script = format!(
        "#!/bin/sh\ntouch \"{0}/ran\"\nenv > \"{0}/environment\"\n{1}cat <<'X'\n{WEB}X\n",
        programs.path().display(),
        ""
    );
    let program = programs.path().join("kustomize");
    fs::write(&program, script).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    (folder, programs)
}

fn generate(scene: &(TempDir, TempDir), arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_pillion"))
        .args(["cmp", "generate"])
        .args(arguments)
        .current_dir(scene.0.path().join("app"))
        .env_clear()
        .env("PATH", format!("{}:/usr/bin:/bin", scene.1.path().display()))
        .env("ARGOCD_APP_SOURCE_PATH", "app")
        .envs(variables.iter().copied())
        .output()
        .unwrap()
}

fn has_run(scene: &(TempDir, TempDir)) -> bool {
    scene.1.path().join("ran").exists()
}

#[track_caller]
fn is_refused(files: &[(&str, &str)], place: &str) {
    let scene = scene(files);
    let output = generate(&scene, &[], &[]);
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!((output.status.code(), &*output.stdout), (Some(1), &b""[..]), "{files:?}: {stderr}");
    assert!(stderr.contains("error[remote-base]: ") && stderr.contains(place), "{files:?}: {stderr}");
    assert!(stderr.contains("--allow-remote-bases"), "{stderr}");
    assert!(!has_run(&scene), "{files:?}");
}

#[test]
fn every_form_of_address_is_found() {
    for address in [
        "http://127.0.0.1:1/base.yaml",
        "HTTPS://git.example/acme/base",
        "https:/git.example/x",
        "https://git.example/acme/base.git//overlays?ref=main",
        "git::https://git.example/acme/base",
        "ssh://git@git.example/acme/base",
        "git@git.example:acme/base.git",
        "org-1234@git.example:acme/base",
        "github.com/acme/base?ref=v1",
        "GitHub.com:acme/base",
        "gh:acme/base",
        "file:///srv/base.git",
        "dev.example/acme/_git/base",
        "oci://registry.example/base",
    ] {
        for key in [
            "resources",
            "bases",
            "components",
            "Resources",
            "RE\u{17f}ource\u{17f}",
            "transformers",
            "generators",
            "validators",
        ] {
            let text = format!("{key}:\n- web.yaml\n- \"{address}\"\n");
            is_refused(&[("app/kustomization.yaml", &text)], "kustomization.yaml:3:3");
        }
    }
}

#[test]
fn files_from_elsewhere_are_found_wherever_kustomize_reads_them() {
    for text in [
        "crds: [http://127.0.0.1:1/x]\n",
        "configurations: [http://127.0.0.1:1/x]\n",
        "openapi: {path: http://127.0.0.1:1/x}\n",
        "patches: [{path: http://127.0.0.1:1/x}]\n",
        "patchesStrategicMerge: [http://127.0.0.1:1/x]\n",
        indoc! {"
            patchesJson6902:
            - target: {kind: Deployment, name: web}
              path: http://127.0.0.1:1/x
        "},
        "replacements: [{path: http://127.0.0.1:1/x}]\n",
        "configMapGenerator: [{name: a, files: [key=http://127.0.0.1:1/x]}]\n",
        "secretGenerator: [{name: a, envs: [http://127.0.0.1:1/x]}]\n",
        "configMapGenerator: [{name: a, ENV: http://127.0.0.1:1/x}]\n",
        "transformers:\n- |-\n  apiVersion: builtin\n  kind: PatchTransformer\n  metadata: {name: a}\n  path: http://127.0.0.1:1/x\n",
        indoc! {r#"
            transformers:
            - '{apiVersion: builtin, kind: PatchTransformer, metadata: {name: a}, path: "http://127.0.0.1:1/x"}'
        "#},
    ] {
        is_refused(&[("app/kustomization.yaml", text)], "kustomization.yaml");
    }
}

#[test]
fn local_ones_are_followed() {
    let remote = "resources: [https://git.example/acme/base]\n";
    is_refused(
        &[
            ("app/kustomization.yaml", "resources: [../one]\n"),
            ("one/kustomization.yml", "components: [../two]\n"),
            ("two/Kustomization", remote),
        ],
        "../two/Kustomization:1:13",
    );
    let plugin = indoc! {"
        apiVersion: builtin
        kind: ConfigMapGenerator
        metadata: {name: a}
        files: [http://127.0.0.1:1/x]
    "};
    is_refused(&[("app/kustomization.yaml", "generators: [g.yaml]\n"), ("app/g.yaml", plugin)], "g.yaml:4:9");
    is_refused(
        &[
            ("app/kustomization.yaml", "generators: [../g]\n"),
            ("g/kustomization.yaml", "resources: [g.yaml]\n"),
            ("g/g.yaml", plugin),
        ],
        "../g/g.yaml:4:9",
    );
    // A circle ends, and a name that the file system holds is not an excuse.
    is_refused(
        &[
            ("app/kustomization.yaml", "resources: [../one]\n"),
            ("one/kustomization.yaml", "resources: [../app, github.com/acme/base]\n"),
            ("one/github.com/acme/base/kustomization.yaml", "resources: []\n"),
        ],
        "../one/kustomization.yaml:1:21",
    );
    is_refused(
        &[("app/kustomization.yaml", "resources: ['https://h/x.yaml']\n"), ("app/https:/h/x.yaml", WEB)],
        "kustomization.yaml:1:13",
    );
}

#[test]
fn what_the_repository_holds_is_built() {
    let text = indoc! {r#"
        resources: [web.yaml, ../base]
        commonAnnotations: {docs: "https://docs.example/x"}
        configMapGenerator:
        - name: a
          literals: [URL=https://shop.example]
        patches:
        - target: {kind: Deployment}
          patch: '[{op: add, path: /metadata/annotations/u, value: "https://x"}]'
        images:
        - {name: a, newName: registry.example/a}
    "#};
    let scene = scene(&[("app/kustomization.yaml", text)]);
    let secrets =
        [("GIT_CONFIG_VALUE_0", "a-secret"), ("GH_TOKEN", "a-secret"), ("SSH_AUTH_SOCK", "a-secret")];
    let output = generate(&scene, &[], &secrets);
    assert!(output.status.success(), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("logtail"), "{output:?}");
    let environment = fs::read_to_string(scene.1.path().join("environment")).unwrap();
    assert!(
        environment.contains("GIT_ALLOW_PROTOCOL=none") && !environment.contains("a-secret"),
        "{environment}"
    );
}

#[test]
fn the_operator_may_allow_it_and_the_application_may_not() {
    let remote = [("app/kustomization.yaml", "resources: [https://git.example/acme/base]\n")];
    for (arguments, variables) in [
        (&["--allow-remote-bases"][..], &[][..]),
        (
            &[],
            &[
                ("PILLION_ALLOW_REMOTE_BASES", "true"),
                ("GIT_CONFIG_VALUE_0", "kept"),
                ("GH_TOKEN", "a-secret"),
            ],
        ),
    ] {
        let scene = scene(&remote);
        let output = generate(&scene, arguments, variables);
        assert!(output.status.success() && has_run(&scene), "{output:?}");
        let environment = fs::read_to_string(scene.1.path().join("environment")).unwrap();
        assert!(
            !environment.contains("GIT_ALLOW_PROTOCOL") && !environment.contains("a-secret"),
            "{environment}"
        );
        assert_eq!(environment.contains("kept"), !variables.is_empty(), "{environment}");
    }
    let scene = scene(&remote);
    let theirs = [("ARGOCD_ENV_PILLION_ALLOW_REMOTE_BASES", "true"), ("PILLION_ALLOW_REMOTE_BASES", "")];
    assert_eq!(generate(&scene, &[], &theirs).status.code(), Some(1));
    assert_eq!(generate(&scene, &[], &[("PILLION_ALLOW_REMOTE_BASES", "ture")]).status.code(), Some(2));
    assert!(!has_run(&scene));
}

#[test]
fn a_server_is_not_asked() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    server.set_nonblocking(true).unwrap();
    let address = server.local_addr().unwrap();
    let text = formatdoc! {"
        resources:
        - http://{address}/base.yaml
        - http://{address}/acme/base.git
    "};
    let scene = scene(&[("app/kustomization.yaml", &text)]);
    let fetch = format!("#!/bin/sh\nexec bash -c 'exec 3<>/dev/tcp/127.0.0.1/{}'\n", address.port());
    fs::write(scene.1.path().join("kustomize"), fetch).unwrap();
    assert_eq!(generate(&scene, &[], &[]).status.code(), Some(1));
    assert!(server.accept().is_err(), "the server was asked");
    generate(&scene, &["--allow-remote-bases"], &[]);
    assert!(Path::new("/bin/bash").exists() && server.accept().is_ok(), "the test itself does not ask");
}
