//! Checks that the files of the integrations are complete, well-formed and consistent with the code.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn pillion(arguments: &[&str], folder: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_pillion"))
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .output()
        .unwrap()
}

fn stdout(arguments: &[&str]) -> String {
    let output = pillion(arguments, Path::new(env!("CARGO_MANIFEST_DIR")));
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The workflow for repositories with two branches only.
const RENDER_WORKFLOW: &str = ".github/workflows/pillion-render.yaml";

/// Every integration with its files, as `pillion print` lists them.
fn integrations() -> Vec<(String, Vec<String>)> {
    let mut integrations: Vec<(String, Vec<String>)> = Vec::new();
    for line in stdout(&["print"]).lines() {
        match line.strip_prefix(' ') {
            Some(file) => integrations.last_mut().unwrap().1.push(file.trim().to_owned()),
            None => integrations.push((line.split_whitespace().next().unwrap().to_owned(), Vec::new())),
        }
    }
    integrations
}

#[test]
fn every_file_of_an_integration_is_pinned_and_can_be_read() {
    for (integration, files) in integrations() {
        for file in &files {
            let text = stdout(&["print", &integration, file]);
            let held = text.replace("@SHA256:", "");
            assert!(!held.contains("@VERSION@") && !held.contains("@REPOSITORY@"), "{integration}/{file}");
            if !file.ends_with(".yaml") && file != "Kptfile" {
                continue;
            }
            let name = file.as_str().into();
            for (index, piece) in pillion::yaml::split_documents(&name, &text).0.into_iter().enumerate() {
                let read = pillion::yaml::Document::read(&name, index, piece.first_line, &text[piece.span]);
                let document = read.unwrap_or_else(|e| panic!("{integration}/{file}: {}", e.message));
                assert!(document.diagnostics().is_empty(), "{integration}/{file}");
            }
        }
    }
}

#[test]
fn init_writes_what_print_prints_and_never_over_other_files() {
    for (integration, files) in integrations() {
        let folder = tempfile::tempdir().unwrap();
        assert!(
            pillion(&["init", &integration, "--dir", "new"], folder.path()).status.success(),
            "{integration}"
        );
        for file in files.iter().filter(|file| *file != RENDER_WORKFLOW) {
            let written = fs::read_to_string(folder.path().join("new").join(file)).unwrap();
            assert_eq!(written, stdout(&["print", &integration, file]), "{integration}/{file}");
        }
        assert!(
            pillion(&["init", &integration, "--dir", "new"], folder.path()).status.success(),
            "{integration} again"
        );
        let first = folder.path().join("new").join(&files[0]);
        fs::write(&first, "mine\n").unwrap();
        let refused = pillion(&["init", &integration, "--dir", "new"], folder.path());
        assert_eq!(refused.status.code(), Some(1), "{integration}");
        assert_eq!(fs::read_to_string(&first).unwrap(), "mine\n");
        assert!(pillion(&["init", &integration, "--dir", "new", "--force"], folder.path()).status.success());
    }
}

/// Runs a line of shell in a folder, with a git that has no configuration.
fn sh(folder: &Path, line: &str) {
    let identity = ["AUTHOR", "COMMITTER"]
        .map(|who| [(format!("GIT_{who}_NAME"), "A"), (format!("GIT_{who}_EMAIL"), "a@b.c")]);
    let status = Command::new("sh")
        .args(["-ec", line])
        .current_dir(folder)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .envs([("GIT_CONFIG_GLOBAL", "/dev/null"), ("GIT_CONFIG_NOSYSTEM", "1")])
        .envs(identity.into_iter().flatten())
        .status()
        .unwrap();
    assert!(status.success(), "{line}");
}

#[test]
fn files_are_filled_in_from_the_repository() {
    let folder = tempfile::tempdir().unwrap();
    let config = "apiVersion: pillion.dev/v1alpha1\nkind: Repository\nsources: [workloads]\nsidecarSets: [platform/sets]\nrendered: out\nledgers: state\nnamespaces: [{folder: workloads, name: prod}]\ngit: {deploy: env/live, source: trunk, remote: upstream}\n";
    fs::write(folder.path().join("pillion.yaml"), config).unwrap();
    sh(
        folder.path(),
        "git init -q -b trunk; git remote add upstream https://user:secret@git.acme.example/a/b.git; git add .; git commit -qm files",
    );
    let init = |integration: &str| {
        let output = pillion(&["init", integration], folder.path());
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(output.status.success(), "{integration}: {}", text(&output.stderr));
        text(&output.stdout)
    };
    let read = |file: &str| fs::read_to_string(folder.path().join(file)).unwrap();
    let text = init("argocd-rendered");
    assert!(text.starts_with("created application.yaml\nnext: "), "{text}");
    let application = read("application.yaml");
    for expected in [
        "targetRevision: \"env/live\"",
        "path: \"out\"",
        "@git.acme.example/a/b.git\"",
        "namespace: \"prod\"",
    ] {
        assert!(application.contains(expected), "{expected}: {application}");
    }
    assert!(!application.contains("secret"), "{application}");
    fs::remove_file(folder.path().join("application.yaml")).unwrap();
    init("argocd");
    let application = read("application.yaml");
    assert!(application.contains(": .;/state;/platform/sets;/pillion.yaml\n"), "{application}");
    assert!(application.contains("path: \"workloads\""), "{application}");
    let text = init("github");
    assert!(text.contains(&format!("created {RENDER_WORKFLOW}")), "{text}");
    assert!(text.contains("a required check of `env/live`"), "{text}");
    assert!(read(RENDER_WORKFLOW).contains("branches: [\"trunk\"]"));
    assert!(read(".github/workflows/pillion-stage.yaml").contains("branches: [\"env/live\"]"));
    // Nothing that pillion would read as its configuration.
    init("krew");
    assert_eq!(read("pillion.yaml"), config);
    assert!(read("plugins/pillion.yaml").contains("kind: Plugin"));
}

#[test]
fn files_of_others_are_merged_where_the_format_allows_it() {
    let folder = tempfile::tempdir().unwrap();
    let hooks = "# ours\nrepos:\n- repo: https://git.example/other\n  rev: v1\n  hooks: [{id: x}]\n";
    let kustomization = "# ours\nresources:\n- ../base\n";
    fs::write(folder.path().join(".pre-commit-config.yaml"), hooks).unwrap();
    fs::write(folder.path().join("kustomization.yml"), kustomization).unwrap();
    for (integration, file, old) in
        [("pre-commit", ".pre-commit-config.yaml", hooks), ("kustomize", "kustomization.yml", kustomization)]
    {
        let output = pillion(&["init", integration], folder.path());
        let stdout = String::from_utf8(output.stdout).unwrap();
        assert!(stdout.contains(&format!("merged into {file}\n")), "{stdout}");
        let merged = fs::read_to_string(folder.path().join(file)).unwrap();
        assert!(
            merged.starts_with(old)
                && merged.contains(if integration == "kustomize" {
                    "sidecars.yaml"
                } else {
                    "pillion-check"
                }),
            "{merged}"
        );
        let again = String::from_utf8(pillion(&["init", integration], folder.path()).stdout).unwrap();
        assert!(again.contains(&format!("unchanged {file}\n")), "{again}");
    }
}

#[test]
fn the_patch_of_argocd_holds_the_script() {
    let script = stdout(&["print", "argocd-health", "sidecarset.lua"]);
    let patch = stdout(&["print", "argocd-health", "argocd-cm.yaml"]);
    let document = pillion::yaml::Document::read(&"p".into(), 0, 1, &patch).unwrap();
    let data = &document.value()["data"]["resource.customizations.health.apps.kruise.io_SidecarSet"];
    assert_eq!(data.as_str().unwrap(), script);
}

#[test]
fn the_examples_hold_what_init_writes() {
    let examples: [(&str, &str, &[&str]); 2] = [
        ("kustomize", "kustomize-exec/overlays/eu", &["sidecars.yaml", "kustomizeconfig.yaml"]),
        (
            "github",
            "github-action",
            &[".github/workflows/pillion.yaml", ".github/workflows/pillion-stage.yaml"],
        ),
    ];
    for (integration, folder, files) in examples {
        for file in files {
            let path: PathBuf =
                Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(folder).join(file);
            let text = stdout(&["print", integration, file]);
            if std::env::var_os("UPDATE_GOLDEN").is_some() {
                fs::write(&path, &text).unwrap();
            }
            assert_eq!(fs::read_to_string(&path).unwrap(), text, "{}", path.display());
        }
    }
}

/// The action and the job that `init github` writes for it say the same about `allow-build`.
#[test]
fn the_action_allows_builds_where_its_workflow_does() {
    let read = |name: &str| fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap();
    let action = read("action.yml");
    let (_, input) = action.split_once("  allow-build:\n").unwrap();
    let input = input.lines().next().unwrap();
    assert!(
        input.contains(
            "in a workflow for pull requests, set it only in a job that has no secret and cannot write"
        ),
        "{input}"
    );
    let workflow = read("src/integrations/templates/github/pillion.yaml").replace(" #if-built\n", "\n");
    assert!(workflow.contains("This job has no secret and cannot\n        # write"), "{workflow}");
    let (job, _) = workflow.split_once("  plan:").unwrap();
    assert!(job.contains("allow-build: \"true\"") && job.contains("contents: read"), "{job}");
    assert!(!job.contains(": write") && !job.contains("secrets."), "{job}");
}

/// The entries of the hooks are commands of pillion, and write to the folder that pillion.yaml names.
#[test]
fn hooks_of_pre_commit_are_commands() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(".pre-commit-hooks.yaml");
    let hooks = fs::read_to_string(file).unwrap();
    let entries: Vec<&str> = hooks.lines().filter_map(|l| l.trim().strip_prefix("entry: pillion ")).collect();
    assert!(entries.contains(&"render --write") && entries.contains(&"render --check"), "{entries:?}");
    let folder = tempfile::tempdir().unwrap();
    let pillion = "apiVersion: pillion.dev/v1alpha1\nkind: Repository\nrendered: out\n";
    fs::write(folder.path().join("pillion.yaml"), pillion).unwrap();
    let set = "apiVersion: apps.kruise.io/v1beta1\nkind: SidecarSet\nmetadata: {name: log}\nspec: {selector: {matchLabels: {log: 'true'}}, containers: [{name: log, image: 'log:1'}]}\n";
    fs::write(folder.path().join("set.yaml"), set).unwrap();
    let pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: a, namespace: b, labels: {log: 'true'}}\nspec: {containers: [{name: a, image: 'a:1'}]}\n";
    fs::write(folder.path().join("pod.yaml"), pod).unwrap();
    for entry in ["render --write"].into_iter().chain(entries) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pillion"));
        let output = command.args(entry.split(' ')).current_dir(folder.path()).output().unwrap();
        assert!(output.status.success(), "{entry}: {output:?}");
    }
    assert!(fs::read_to_string(folder.path().join("out/pod.yaml")).unwrap().contains("log:1"));
}

#[test]
fn workflows_give_no_more_rights_than_they_need() {
    for file in [".github/workflows/pillion.yaml", ".github/workflows/pillion-stage.yaml", RENDER_WORKFLOW] {
        let text = stdout(&["print", "github", file]);
        assert!(text.contains("\npermissions: {}\n"), "{file}");
        for line in text.lines().filter(|l| l.contains("uses: ") && !l.contains("/pillion@")) {
            let (_, pin) = line.split_once('@').unwrap();
            let pin = pin.split_whitespace().next().unwrap();
            assert!(pin.len() == 40 && pin.chars().all(|c| c.is_ascii_hexdigit()), "{line}");
        }
    }
}

#[test]
fn no_script_of_the_action_holds_an_expression() {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("action.yml")).unwrap();
    for line in text.lines().filter(|l| l.trim_start().starts_with("run:")) {
        assert!(!line.contains("${{"), "{line}");
    }
}

#[test]
fn the_health_of_sidecar_sets_calls_no_library() {
    // Argo CD's Lua has none of these unless an administrator opens them.
    let script = stdout(&["print", "argocd-health", "sidecarset.lua"]);
    let code: String = script.lines().filter(|line| !line.trim_start().starts_with("--")).collect();
    for library in ["math", "string", "io", "debug", "coroutine"] {
        assert!(!code.contains(&format!("{library}.")), "{library}");
    }
}
