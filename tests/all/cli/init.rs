//! `pillion init` leads from a repository to a staged rollout: each command that it prints works as printed.

use crate::support::git_fixtures::{Repo, TestEnvironment};
use std::path::Path;
use std::process::Output;

/// The most commands from a clone to a staged rollout.
const MOST_COMMANDS: usize = 5;

/// Prints the resources of a kustomization in this repository, without transformations.
const KUSTOMIZE: &str = r#"
build() {
  for part in $(sed -n 's/^- //p' "$1/kustomization.yaml"); do
    if [ -d "$1/$part" ]; then build "$1/$part"; else echo ---; cat "$1/$part"; fi
  done
}
build "$2""#;

/// Prints the templates of a chart with the name of its release.
const HELM: &str =
    r#"for file in "$3"/templates/*.yaml; do echo ---; sed "s/{{ .Release.Name }}/$2/" "$file"; done"#;

fn deployment(name: &str) -> String {
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: {name}\nspec:\n  replicas: 2\n  selector: {{matchLabels: {{app: {name}}}}}\n  template:\n    metadata: {{labels: {{app: {name}}}}}\n    spec: {{containers: [{{name: server, image: registry.example/{name}:1}}]}}\n"
    )
}

fn sh(repo: &Repo, line: &str) -> Output {
    let program = Path::new(env!("CARGO_BIN_EXE_pillion")).parent().unwrap();
    let bin = repo.path.parent().unwrap().join("bin");
    let path = format!("{}:{}:{}", bin.display(), program.display(), std::env::var("PATH").unwrap());
    repo.command("sh").env("PATH", path).args(["-c", line]).output().unwrap()
}

/// Runs a line, which must succeed, and returns its standard output.
fn run(repo: &Repo, line: &str) -> String {
    let output = sh(repo, line);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{line}: {}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

/// Returns the commands below `next:`.
fn next_commands(text: &str) -> Vec<String> {
    let lines = text.lines().skip_while(|line| *line != "next:").skip(1);
    let commands = lines.take_while(|line| line.starts_with("  "));
    commands.map(|line| line.split("  #").next().unwrap().trim().to_owned()).collect()
}

/// Runs `pillion init` and each command that it prints; returns its output, and how many commands that were.
fn follow(repo: &Repo, init: &str) -> (String, usize) {
    let text = run(repo, init);
    let commands = next_commands(&text);
    assert!(!commands.is_empty(), "{text}");
    // The command that shows what a person gets, before anything is committed.
    let shows = text.lines().find_map(|line| line.split_once(" a sidecar; `")?.1.split_once('`'));
    match shows {
        Some((command, _)) => drop(run(repo, command)),
        None => {
            assert!(init.contains("two-branches") || text.contains("exists: nothing was written"), "{text}")
        }
    }
    for command in &commands {
        run(repo, command);
    }
    (text, 1 + commands.len())
}

/// The subjects of the commits of a staged branch, and the number of files that its first batch changes below a folder.
fn staged(repo: &Repo, branch: &str) -> (Vec<String>, usize) {
    let log = repo.git(&["log", "--reverse", "--format=%s", &format!("origin/main..{branch}")]);
    let subjects: Vec<String> = log.lines().map(str::to_owned).collect();
    assert!(subjects.len() >= 3, "no rollout: {subjects:?}");
    assert!(subjects[0].contains(": start,"), "{subjects:?}");
    assert!(subjects.last().unwrap().contains(": complete,"), "{subjects:?}");
    let batches = subjects.len() - 2;
    let changed =
        repo.git(&["diff", "--name-only", &format!("{branch}~{batches}"), branch, "--", "rendered"]);
    (subjects, changed.lines().count())
}

/// A clone of a remote with some files, on its branch `main`.
fn clone_of(test_env: &TestEnvironment, files: &[(&str, String)]) -> Repo {
    let first = test_env.init("first", &[]);
    let programs = test_env.repo("bin");
    programs.script(Path::new("kustomize"), KUSTOMIZE);
    programs.script(Path::new("helm"), HELM);
    for (path, text) in files {
        first.put(path, text);
    }
    first.commit("files");
    let origin = test_env.clone(&first, "origin.git", &["--bare"]);
    test_env.clone(&origin, "shop", &[])
}

fn kustomization(resources: &[&str]) -> String {
    format!(
        "kind: Kustomization\nresources:\n{}",
        resources.iter().map(|r| format!("- {r}\n")).collect::<String>()
    )
}

/// As microservices-demo: the same workloads as a kustomization, as a base, as a chart and in one released file.
#[test]
fn a_repository_with_a_released_copy_is_five_commands_from_a_staged_rollout() {
    let test_env = TestEnvironment::new();
    let names = ["frontend", "cart", "checkout"];
    let mut files = vec![
        ("kubernetes-manifests/kustomization.yaml", kustomization(&["frontend.yaml"])),
        ("kubernetes-manifests/frontend.yaml", deployment("frontend")),
        ("kustomize/base/kustomization.yaml", kustomization(&["frontend.yaml"])),
        ("kustomize/base/frontend.yaml", deployment("frontend")),
        ("kustomize/kustomization.yaml", kustomization(&["base"])),
        ("helm-chart/Chart.yaml", "apiVersion: v2\nname: shop\nversion: 1.0.0\n".to_owned()),
        ("helm-chart/templates/frontend.yaml", "kind: Deployment\n{{- end }}\n".to_owned()),
        ("skaffold.yaml", "apiVersion: skaffold/v3\nkind: Config\n".to_owned()),
        (".github/workflows/ci.yaml", "on: push\n".to_owned()),
    ];
    files.push(("release/manifests.yaml", names.map(deployment).join("---\n")));
    let repo = clone_of(&test_env, &files);
    let (text, count) = follow(&repo, "pillion init --yes");
    assert!(count <= MOST_COMMANDS, "{text}");
    assert!(text.contains("3 of 3 workloads get a sidecar"), "{text}");
    assert!(text.contains("created .github/workflows/pillion.yaml"), "{text}");
    let (subjects, files) = staged(&repo, "pillion/main/log-agent");
    assert_eq!((subjects.len(), files), (5, 1), "{subjects:?}");
    let config = std::fs::read_to_string(repo.path.join("pillion.yaml")).unwrap();
    assert!(config.contains("\nsources: [release]\n"), "{config}");
    // A second run writes nothing, and names what is left.
    run(&repo, "git pull -q");
    let again = run(&repo, "pillion init --yes");
    assert!(again.starts_with("pillion.yaml exists: nothing was written\n"), "{again}");
    assert_eq!(next_commands(&again), ["pillion stage"]);
    run(&repo, "pillion validate && pillion verify --base HEAD~1 && pillion render --check");
}

/// As argocd-example-apps: many folders, some plain, some kustomizations, some charts, on a branch `master`.
#[test]
fn a_repository_of_many_applications_is_five_commands_from_a_staged_rollout() {
    let test_env = TestEnvironment::new();
    let hook = "apiVersion: batch/v1\nkind: Job\nmetadata: {generateName: before-}\nspec: {template: {spec: {containers: [{name: a, image: a}]}}}\n";
    let files = [
        ("apps/Chart.yaml", "name: apps\n".to_owned()),
        ("apps/templates/applications.yaml", "kind: Application\n{{- range }}\n".to_owned()),
        ("guestbook/deployment.yaml", deployment("guestbook-ui")),
        ("helm-guestbook/Chart.yaml", "name: helm-guestbook\n".to_owned()),
        ("helm-guestbook/templates/deployment.yaml", "kind: Deployment\n{{ x }}: y\n".to_owned()),
        ("helm-hooks/manifests.yaml", deployment("frontend")),
        ("kustomize-guestbook/kustomization.yaml", kustomization(&["deployment.yaml"])),
        ("kustomize-guestbook/deployment.yaml", deployment("guestbook-ui")),
        (
            "sync-waves/manifests.yaml",
            [hook.to_owned(), deployment("frontend"), deployment("backend")].join("---\n"),
        ),
    ];
    let repo = clone_of(&test_env, &files);
    let (text, count) = follow(&repo, "pillion init --yes");
    assert!(count <= MOST_COMMANDS, "{text}");
    assert!(text.contains("3 of 4 workloads get a sidecar"), "{text}");
    assert_eq!(staged(&repo, "pillion/main/log-agent").1, 2);
}

#[test]
fn overlays_of_a_monorepo_are_clusters_with_a_rollout_each() {
    let test_env = TestEnvironment::new();
    let files = [
        ("apps/web/base/kustomization.yaml", kustomization(&["web.yaml"])),
        ("apps/web/base/web.yaml", deployment("web")),
        ("apps/web/overlays/dev/kustomization.yaml", kustomization(&["../../base"])),
        ("apps/web/overlays/prod/kustomization.yaml", kustomization(&["../../base"])),
        ("apps/db/base/kustomization.yaml", kustomization(&["db.yaml"])),
        ("apps/db/base/db.yaml", deployment("db")),
        ("apps/db/overlays/dev/kustomization.yaml", kustomization(&["../../base"])),
        ("apps/db/overlays/prod/kustomization.yaml", kustomization(&["../../base"])),
    ];
    let repo = clone_of(&test_env, &files);
    let (text, count) = follow(&repo, "pillion init --yes");
    assert!(count <= MOST_COMMANDS, "{text}");
    assert!(text.contains("4 of 4 workloads get a sidecar"), "{text}");
    let config = std::fs::read_to_string(repo.path.join("pillion.yaml")).unwrap();
    assert!(config.contains("- {name: prod, build: [sh, -c,"), "{config}");
    for cluster in ["dev", "prod"] {
        // What a build prints has no file in git: batches change ledgers only.
        assert_eq!(staged(&repo, &format!("pillion/main/{cluster}/log-agent")).1, 0);
    }
}

#[test]
fn a_repository_of_a_chart_is_five_commands_from_a_staged_rollout() {
    let test_env = TestEnvironment::new();
    let template =
        deployment("x").replace("name: x", "name: \"{{ .Release.Name }}\"").replace("app: x", "app: shop");
    let files = [
        ("charts/shop/Chart.yaml", "apiVersion: v2\nname: shop\nversion: 1.0.0\n".to_owned()),
        ("charts/shop/values.yaml", "replicas: 2\n".to_owned()),
        ("charts/shop/templates/web.yaml", template),
    ];
    let repo = clone_of(&test_env, &files);
    let (text, count) = follow(&repo, "pillion init --yes");
    assert!(count <= MOST_COMMANDS, "{text}");
    assert!(text.contains("1 of 1 workload gets a sidecar"), "{text}");
    assert_eq!(staged(&repo, "pillion/main/log-agent").1, 0);
    let config = std::fs::read_to_string(repo.path.join("pillion.yaml")).unwrap();
    assert!(
        config.contains("\nbuild: [helm, template, shop, charts/shop, ") && !config.contains("\nrendered:"),
        "{config}"
    );
    std::fs::remove_file(repo.path.join("pillion.yaml")).unwrap();
    let refused = sh(&repo, "pillion init --yes --layout one-branch");
    assert_eq!(refused.status.code(), Some(2));
}

#[test]
fn the_ledger_only_layout_stages_ledgers() {
    let test_env = TestEnvironment::new();
    let repo = clone_of(&test_env, &[("apps/web.yaml", deployment("web"))]);
    follow(&repo, "pillion init --yes --layout ledger-only --ci none");
    let (subjects, rendered) = staged(&repo, "pillion/main/log-agent");
    assert_eq!((subjects.len(), rendered), (3, 0), "{subjects:?}");
}

#[test]
fn the_first_injection_onto_a_branch_of_its_own_is_a_rollout() {
    let test_env = TestEnvironment::new();
    let repo =
        clone_of(&test_env, &[("apps/web.yaml", deployment("web")), ("apps/db.yaml", deployment("db"))]);
    let (text, _) = follow(&repo, "pillion init --yes --layout two-branches --ci github");
    assert!(text.contains("pillion render --branch env/prod --create --without-sidecars --push"), "{text}");
    assert_eq!(repo.git(&["show", "origin/env/prod:rendered/web.yaml"]), deployment("web").trim_end());
    let subjects = repo.git(&["log", "--format=%s", "origin/env/prod..pillion/env/prod/log-agent"]);
    assert!(subjects.contains(": start,") && subjects.contains("batch 1/"), "{subjects}");
}

#[test]
fn every_state_of_git_has_commands_that_work() {
    let files = [("apps/web.yaml", deployment("web"))];
    // No repository.
    let test_env = TestEnvironment::new();
    let repo = test_env.repo("plain");
    for (path, text) in &files {
        repo.put(path, text);
    }
    let (text, _) = follow(&repo, "pillion init --yes 2>&1");
    assert!(text.contains("this folder is not in a git repository"), "{text}");
    staged(&repo, "pillion/main/log-agent");
    // No commit, and an empty remote.
    let test_env = TestEnvironment::new();
    test_env.init("origin.git", &["--bare"]);
    let repo = test_env.init("unborn", &[]);
    repo.put("apps/web.yaml", deployment("web")).git(&["remote", "add", "origin", "../origin.git"]);
    let (text, _) = follow(&repo, "pillion init --yes 2>&1");
    assert!(text.contains("the branch `main` has no commit yet"), "{text}");
    staged(&repo, "pillion/main/log-agent");
    // No remote, and something else in the index.
    let test_env = TestEnvironment::new();
    let repo = test_env.init("alone", &[]);
    repo.put("apps/web.yaml", deployment("web")).commit("files");
    repo.put("notes.txt", "mine\n").git(&["add", "notes.txt"]);
    let (text, _) = follow(&repo, "pillion init --yes");
    assert!(text.contains("1 changed file is not committed"), "{text}");
    staged(&repo, "pillion/main/log-agent");
    assert_eq!(repo.git(&["status", "--porcelain"]), "A  notes.txt");
    // A detached HEAD, in a subfolder.
    let test_env = TestEnvironment::new();
    let repo = clone_of(&test_env, &[("deploy/apps/web.yaml", deployment("web"))]);
    repo.git(&["switch", "-q", "--detach"]);
    let folder = Repo::in_folder(&repo, "deploy");
    let (text, _) = follow(&folder, "pillion init --yes --ci github 2>&1");
    assert!(text.contains("HEAD is detached"), "{text}");
    assert!(text.contains("created ../.github/workflows/pillion.yaml"), "{text}");
    let workflow = std::fs::read_to_string(repo.path.join(".github/workflows/pillion.yaml")).unwrap();
    assert!(workflow.contains("working-directory: \"deploy\""), "{workflow}");
    staged(&repo, "pillion/main/log-agent");
    // A shallow clone.
    let test_env = TestEnvironment::new();
    let origin = test_env.init("origin", &[]);
    origin.put("apps/web.yaml", deployment("web")).commit("files");
    origin.put("apps/db.yaml", deployment("db")).commit("more");
    origin.git(&["switch", "-q", "--detach"]);
    let repo = test_env.clone(&origin, "shallow", &["--depth", "1", "--branch", "main"]);
    let (text, _) = follow(&repo, "pillion init --yes");
    assert!(text.contains("git fetch --unshallow"), "{text}");
    staged(&repo, "pillion/main/log-agent");
}

#[test]
fn without_a_terminal_nothing_is_written_unless_yes() {
    let test_env = TestEnvironment::new();
    let repo = clone_of(&test_env, &[("apps/web.yaml", deployment("web"))]);
    let output = sh(&repo, "pillion init");
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("`pillion init --yes`"), "{stderr}");
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        "would write:\n  pillion.yaml\n  sidecars/log-agent.yaml\n"
    );
    assert_eq!(repo.git(&["status", "--porcelain"]), "");
}

#[test]
fn nothing_is_overwritten_and_existing_sets_are_used() {
    let test_env = TestEnvironment::new();
    let set = "apiVersion: apps.kruise.io/v1beta1\nkind: SidecarSet\nmetadata: {name: proxy}\nspec:\n  selector: {matchLabels: {app: web}}\n  containers: [{name: proxy, image: registry.example/proxy:1}]\n";
    let files = [
        ("apps/web.yaml", deployment("web")),
        ("platform/proxy.yaml", set.to_owned()),
        ("rendered/notes.txt", "mine\n".to_owned()),
    ];
    let repo = clone_of(&test_env, &files);
    let (text, _) = follow(&repo, "pillion init --yes");
    assert!(!text.contains("log-agent"), "{text}");
    let config = std::fs::read_to_string(repo.path.join("pillion.yaml")).unwrap();
    assert!(config.contains("\nsidecarSets: [platform]\n"), "{config}");
    assert!(config.contains("\nrendered: pillion/rendered\n"), "{config}");
    let subjects = repo.git(&["log", "--format=%s", "origin/main..pillion/main/proxy"]);
    assert!(subjects.contains("batch 1/"), "{subjects}");
}

#[test]
fn a_folder_without_workloads_is_reported_with_what_to_do() {
    let test_env = TestEnvironment::new();
    let repo = clone_of(&test_env, &[("README.md", "x\n".to_owned())]);
    let output = sh(&repo, "pillion init --yes");
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("there is no workload in this folder") && stderr.contains("hint:"), "{stderr}");
    assert_eq!(repo.git(&["status", "--porcelain"]), "");
    // Charts that Flux renders in the cluster: the command for the first one.
    let release = "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {name: web, namespace: shop}\nspec: {chart: {spec: {chart: web, sourceRef: {kind: HelmRepository, name: charts}}}}\n---\napiVersion: source.toolkit.fluxcd.io/v1\nkind: HelmRepository\nmetadata: {name: charts}\nspec: {url: https://charts.example}\n";
    repo.put("release.yaml", release);
    let said = String::from_utf8(sh(&repo, "pillion init --yes").stderr).unwrap();
    let command = "`mkdir -p manifests && helm template web web --repo https://charts.example --namespace shop > manifests/web.yaml`";
    assert!(said.contains("1 HelmRelease in the cluster") && said.contains(command), "{said}");
    std::fs::remove_file(repo.path.join("release.yaml")).unwrap();
    let output = sh(&repo, "pillion init --yes --sources apps");
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn a_missing_helm_is_reported_and_the_configuration_is_written() {
    let test_env = TestEnvironment::new();
    let files = [
        (
            "shop/Chart.yaml",
            "name: shop\ndependencies: [{name: redis, repository: https://c.example}]\n".to_owned(),
        ),
        ("shop/templates/web.yaml", "kind: Deployment\n{{ x }}\n".to_owned()),
    ];
    let repo = clone_of(&test_env, &files);
    let mut command = repo.command(env!("CARGO_BIN_EXE_pillion"));
    let output = command.env("PATH", "/nothing").args(["init", "--yes"]).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("helm is not on PATH"), "{stderr}");
    assert!(stderr.contains("helm dependency build shop"), "{stderr}");
    assert!(repo.path.join("pillion.yaml").exists(), "{stderr}");
}
