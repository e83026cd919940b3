//! Rollouts in every layout of files and branches, and in every file format.

use crate::support::cluster_view::Texts;
use crate::support::git_fixtures::{Repo, TestEnvironment};
use crate::support::rollout_fixtures::{example, ledger_at, newer, released, two_branches};
use indoc::indoc;

/// Commits that are staged on a branch, oldest first.
fn staged(repo: &Repo, base: &str, branch: &str) -> Vec<String> {
    let ids = repo.git(&["rev-list", "--reverse", &format!("{base}..{branch}")]);
    ids.lines().map(str::to_owned).collect()
}

/// Releases a repository, edits the example's SidecarSet, stages, and holds each commit against a render.
fn roll(test_env: &TestEnvironment, texts: &Texts) -> (Repo, Vec<String>) {
    let repo = test_env.init("repo", &[]);
    repo.hold(texts).render().commit("start");
    repo.hold(&newer(texts.clone())).commit("log 1.5.0");
    repo.pillion(&["stage"]);
    let commits = staged(&repo, "main", "pillion/main/log");
    for commit in &commits {
        let place = test_env.path("check").display().to_string();
        repo.git(&["worktree", "add", "-q", "--detach", &place, commit]);
        let output = test_env.repo("check").try_pillion(&["render", "--check", "--quiet"]);
        assert!(output.status.success(), "{commit}: {}", String::from_utf8_lossy(&output.stderr));
        repo.git(&["worktree", "remove", "--force", &place]);
    }
    (repo, commits)
}

#[test]
fn two_workloads_in_one_file() {
    let test_env = TestEnvironment::new();
    let mut texts = example();
    let web = texts.remove("apps/shop/web.yaml").unwrap();
    let cart = texts.remove("apps/shop/cart.yaml").unwrap();
    texts.insert("apps/shop/all.yaml".into(), format!("{web}---\n{cart}"));
    let (repo, commits) = roll(&test_env, &texts);
    let count = |commit: &str| {
        repo.git(&["show", &format!("{commit}:rendered/shop/all.yaml")]).matches("1.5.0").count()
    };
    assert_eq!(commits.iter().map(|c| count(c)).collect::<Vec<_>>(), [0, 0, 0, 1, 2, 2]);
}

#[test]
fn workloads_of_a_list() {
    let test_env = TestEnvironment::new();
    let mut texts = example();
    let indented = |text: &str| {
        let lines = text.lines().filter(|l| !l.starts_with('#'));
        lines
            .enumerate()
            .map(|(i, l)| format!("{}{l}\n", if i == 0 { "- " } else { "  " }))
            .collect::<String>()
    };
    let web = texts.remove("apps/shop/web.yaml").unwrap();
    let cart = texts.remove("apps/shop/cart.yaml").unwrap();
    let list = format!("apiVersion: v1\nkind: List\nitems:\n{}{}", indented(&web), indented(&cart));
    texts.insert("apps/shop/all.yaml".into(), list);
    let (repo, commits) = roll(&test_env, &texts);
    let count = |commit: &str| {
        repo.git(&["show", &format!("{commit}:rendered/shop/all.yaml")]).matches("1.5.0").count()
    };
    assert_eq!(commits.iter().map(|c| count(c)).collect::<Vec<_>>(), [0, 0, 0, 1, 2, 2]);
}

#[test]
fn line_ends_of_windows() {
    let test_env = TestEnvironment::new();
    let mut texts = example();
    for file in ["apps/shop/cart.yaml", "apps/data/events.yaml"] {
        let text = texts.get_mut(file).unwrap();
        *text = text.replace('\n', "\r\n");
    }
    let (repo, commits) = roll(&test_env, &texts);
    for commit in &commits {
        let numbers = repo.git(&["show", "--format=", "--numstat", commit, "--", "rendered"]);
        assert!(
            numbers.lines().all(|l| l.split_whitespace().take(2).all(|n| n.parse::<u32>().unwrap() < 4)),
            "{numbers}"
        );
    }
}

#[test]
fn line_ends_that_git_makes() {
    let test_env = TestEnvironment::new();
    let mut texts = example();
    texts.insert(".gitattributes".into(), "* text=auto\n".into());
    let cart = texts.get_mut("apps/shop/cart.yaml").unwrap();
    *cart = cart.replace('\n', "\r\n");
    let repo = test_env.init("repo", &[]);
    repo.hold(&texts).render().commit("start");
    repo.hold(&newer(texts)).commit("log 1.5.0");
    repo.pillion(&["stage"]);
    let commits = staged(&repo, "main", "pillion/main/log");
    let changed = repo.git(&["diff", "--numstat", "main", &commits[4], "--", "rendered/shop/cart.yaml"]);
    assert_eq!(changed, "1\t1\trendered/shop/cart.yaml");
}

/// The example without rendered files.
fn ledger_only() -> Texts {
    let mut texts = example();
    let pillion_yaml = texts.get_mut("pillion.yaml").unwrap();
    *pillion_yaml = pillion_yaml.replace("rendered: rendered\n", "");
    texts
}

#[test]
fn ledgers_alone() {
    let test_env = TestEnvironment::new();
    let repo = test_env.init("repo", &[]);
    repo.hold(&ledger_only()).commit("start");
    repo.hold(&newer(ledger_only())).commit("log 1.5.0");
    repo.pillion(&["stage"]);
    let commits = staged(&repo, "main", "pillion/main/log");
    assert_eq!(commits.len(), 6);
    for commit in &commits {
        assert_eq!(repo.git(&["show", "--format=", "--name-only", commit]), "ledgers/log.yaml");
    }
    // The same plan from manifests that another program has built.
    let built = repo
        .command("sh")
        .args(["-c", "for f in apps/*/*.yaml; do echo ---; cat $f; done"])
        .output()
        .unwrap();
    let mut texts = newer(ledger_only());
    let pillion_yaml = texts.get_mut("pillion.yaml").unwrap();
    *pillion_yaml = pillion_yaml
        .replace("sources: [apps]", "sources: [none]")
        .replace("namespaces:", "namespaces: [{folder: ., name: default}]\nkinds: []\n#")
        .replace("\n- {folder: apps/shop, name: shop}\n- {folder: apps/data, name: data}", "");
    texts.retain(|path, _| !path.starts_with("apps/"));
    let bare = test_env.init("bare", &[]);
    bare.hold(&texts).commit("start");
    std::fs::write(test_env.path("built.yaml"), &built.stdout).unwrap();
    let stdout = bare.pillion(&["stage", "--manifests", &test_env.path("built.yaml").display().to_string()]);
    assert!(stdout.contains("log: batch 4/4"), "{stdout}");
}

/// Puts a file onto a branch, as `init rollout` does.
fn put_on(test_env: &TestEnvironment, repo: &Repo, branch: &str, path: &str, text: &str) {
    let place = test_env.path("live").display().to_string();
    repo.git(&["worktree", "add", "-q", &place, branch]);
    test_env.repo("live").put(path, text).commit("by hand");
    repo.git(&["worktree", "remove", "--force", &place]);
}

#[test]
fn two_branches_from_the_first_render_to_the_end() {
    let test_env = TestEnvironment::new();
    let repo = test_env.init("repo", &[]);
    repo.hold(&two_branches());
    let first = repo.commit("start");
    repo.pillion(&["render", "--branch", "env/prod", "--create"]);
    let files = repo.git(&["ls-tree", "-r", "--name-only", "env/prod"]);
    assert_eq!(
        files,
        ".pillion-files\ndata/events.yaml\nshop/cart.yaml\nshop/import.yaml\nshop/web-autoscaler.yaml\nshop/web.yaml"
    );
    let source =
        |commit: &str| repo.git(&["show", "-s", "--format=%(trailers:key=Pillion-Source,valueonly)", commit]);
    assert_eq!(source("env/prod"), first.to_string());
    let ledger = ledger_at(&two_branches()["sidecars/log.yaml"]);
    put_on(&test_env, &repo, "env/prod", "ledgers/log.yaml", &ledger);
    // Twice is once.
    let before = repo.id("env/prod");
    repo.pillion(&["render", "--branch", "env/prod"]);
    assert_eq!(repo.id("env/prod"), before);
    // A SidecarSet is edited: no rendered byte changes, and plans have to know all the same.
    repo.hold(&newer(two_branches()));
    let second = repo.commit("log 1.5.0");
    assert!(
        repo.pillion(&["stage"]).contains("all workloads are up to date"),
        "the source of the head of the deploy branch counts"
    );
    repo.pillion(&["render", "--branch", "env/prod"]);
    assert_eq!(source("env/prod"), second.to_string());
    assert_eq!(repo.git(&["diff", "--stat", "env/prod~1", "env/prod"]), "");
    repo.pillion(&["stage"]);
    let commits = staged(&repo, "env/prod", "pillion/env/prod/log");
    assert_eq!(commits.len(), 6);
    assert!(commits.iter().all(|c| source(c) == second.to_string()));
    let released = repo.as_released("env/prod", &commits[5]);
    repo.pillion(&["verify", "--base", &before.to_string(), &released]);
    let argo = repo.git(&[
        "show",
        "-s",
        "--format=%(trailers:key=Argocd-reference-commit-sha,valueonly)",
        &commits[3],
    ]);
    assert_eq!(argo, second.to_string());
    assert_eq!(
        repo.git(&["show", "--format=", "--name-only", &commits[2]]),
        "data/events.yaml\nledgers/log.yaml"
    );
    // Two batches are released; then the application changes, and a file goes.
    repo.git(&["update-ref", "refs/heads/env/prod", &commits[2]]);
    let mut texts = newer(two_branches());
    let web = texts.get_mut("apps/shop/web.yaml").unwrap();
    *web = web.replace("web:2.4", "web:2.5");
    texts.remove("apps/shop/import.yaml");
    repo.hold(&texts).commit("web 2.5");
    repo.pillion(&["render", "--branch", "env/prod"]);
    let changed = repo.git(&["diff", "--name-status", "env/prod~1", "env/prod"]);
    assert_eq!(changed, "M\t.pillion-files\nD\tshop/import.yaml\nM\tshop/web.yaml");
    repo.pillion(&["stage"]);
    let commits = staged(&repo, "env/prod", "pillion/env/prod/log");
    assert_eq!(commits.len(), 3);
    assert!(repo.git(&["show", &format!("{}:shop/web.yaml", commits[2])]).contains("1.5.0"));
    let released = repo.as_released("env/prod", &commits[2]);
    repo.pillion(&["verify", "--base", "env/prod~1", &released]);
}

#[test]
fn a_branch_that_is_not_there_is_made_only_where_somebody_says_so() {
    let test_env = TestEnvironment::new();
    let repo = test_env.init("repo", &[]);
    repo.hold(&two_branches()).commit("start");
    // As the CI of every merge has it, after a person has deleted the branch.
    for command in [&["render", "--branch", "env/prod"][..], &["render", "--branch", "env/prod", "--push"]] {
        let (code, stderr) = repo.refused(command);
        assert!(code == 2 && stderr.contains("pillion render --branch env/prod --create"), "{stderr}");
        assert_eq!(repo.git(&["for-each-ref", "--format=%(refname)"]), "refs/heads/main");
    }
    repo.pillion(&["render", "--branch", "env/prod", "--create"]);
    // From then on ledgers decide.
    let (code, stderr) = repo.refused(&["render", "--branch", "env/prod", "--create"]);
    assert!(code == 1 && stderr.contains("no-ledger"), "{stderr}");
}

#[test]
fn an_older_source_does_not_land() {
    let test_env = TestEnvironment::new();
    let repo = test_env.init("repo", &[]);
    repo.hold(&two_branches()).commit("start");
    repo.put("README", "hello").commit("readme");
    repo.pillion(&["render", "--branch", "env/prod", "--create"]);
    repo.git(&["checkout", "-q", "--detach", "HEAD~1"]);
    let (code, stderr) = repo.refused(&["render", "--branch", "env/prod"]);
    assert!(code == 2 && stderr.contains("is not in the history of"), "{stderr}");
}

#[test]
fn a_render_does_not_land_on_edits() {
    let test_env = TestEnvironment::new();
    let repo = test_env.init("repo", &[]);
    repo.hold(&two_branches()).commit("start");
    repo.pillion(&["render", "--branch", "env/prod", "--create"]);
    let web = String::from_utf8(repo.show("env/prod:shop/web.yaml")).unwrap();
    put_on(
        &test_env,
        &repo,
        "env/prod",
        "ledgers/log.yaml",
        &ledger_at(&two_branches()["sidecars/log.yaml"]),
    );
    put_on(&test_env, &repo, "env/prod", "shop/web.yaml", &web.replace("web:2.4", "web:2.5"));
    repo.put("apps/shop/new.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n").commit("new");
    let (code, stderr) = repo.refused(&["render", "--branch", "env/prod", "--message-format", "short"]);
    assert_eq!(code, 1, "{stderr}");
    assert!(stderr.contains("shop/web.yaml:25:1: error[deploy-branch-not-rendered]"), "{stderr}");
}

#[test]
fn a_file_of_somebody_else_is_not_overwritten() {
    let test_env = TestEnvironment::new();
    let repo = test_env.init("repo", &[]);
    repo.hold(&two_branches()).commit("start");
    repo.pillion(&["render", "--branch", "env/prod", "--create"]);
    put_on(
        &test_env,
        &repo,
        "env/prod",
        "ledgers/log.yaml",
        &ledger_at(&two_branches()["sidecars/log.yaml"]),
    );
    put_on(&test_env, &repo, "env/prod", "shop/new.yaml", "mine: true\n");
    repo.put("apps/shop/new.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n").commit("new");
    let (code, stderr) = repo.refused(&["render", "--branch", "env/prod", "--message-format", "short"]);
    assert_eq!(code, 1, "{stderr}");
    assert!(stderr.contains("shop/new.yaml:1:1: error[unmanaged-file]"), "{stderr}");
}

#[test]
fn one_branch_is_not_rendered_onto() {
    let test_env = TestEnvironment::new();
    let repo = released(&test_env, "repo");
    let (code, stderr) = repo.refused(&["render", "--branch", "main"]);
    assert!(code == 2 && stderr.contains("one branch"), "{stderr}");
}

/// The example with a second SidecarSet for the same workloads.
fn two_sets() -> Texts {
    let mut texts = example();
    let second = texts["sidecars/log.yaml"]
        .replace("{name: log}", "{name: proxy}")
        .replace("logtail", "envoy")
        .replace("{name: logs", "{name: proxy");
    texts.insert("ledgers/proxy.yaml".into(), ledger_at(&second));
    texts.insert("sidecars/proxy.yaml".into(), second);
    texts
}

#[test]
fn two_sidecar_sets_at_once() {
    let test_env = TestEnvironment::new();
    let repo = test_env.init("repo", &[]);
    repo.hold(&two_sets()).render().commit("start");
    let mut texts = newer(two_sets());
    let proxy = texts.get_mut("sidecars/proxy.yaml").unwrap();
    *proxy = proxy.replace("1.4.2", "1.6.0");
    repo.hold(&texts).commit("both");
    repo.pillion(&["stage"]);
    let [log, proxy] = ["log", "proxy"].map(|set| staged(&repo, "main", &format!("pillion/main/{set}")));
    assert_eq!((log.len(), proxy.len()), (6, 6), "each as if alone");
    let show = |what: String| repo.git(&["show", &what]);
    assert!(show(format!("{}:rendered/shop/web.yaml", log[5])).contains("envoy:1.4.2"));
    // One goes first; the other is staged on top of it.
    repo.git(&["merge", "-q", "--ff-only", &log[5]]);
    repo.pillion(&["stage", "proxy"]);
    let web = show("pillion/main/proxy:rendered/shop/web.yaml".to_owned());
    assert!(web.contains("logtail:1.5.0") && web.contains("envoy:1.6.0"), "{web}");
    let (code, stderr) = repo.refused(&["stage", "none"]);
    assert!(code == 2 && stderr.contains("ledgers are of log, proxy"), "{stderr}");
}

#[test]
fn clusters_have_ledgers_and_branches_of_their_own() {
    let test_env = TestEnvironment::new();
    let repo = test_env.init("repo", &[]);
    let mut texts = example();
    let ledger = texts.remove("ledgers/log.yaml").unwrap();
    let pillion_yaml = texts.get_mut("pillion.yaml").unwrap();
    pillion_yaml.push_str(indoc! {"
        clusters:
        - {name: eu, folder: apps/shop, wave: 1}
        - {name: us, folder: apps/data, wave: 2}
    "});
    for cluster in ["eu", "us"] {
        texts.insert(format!("ledgers/{cluster}/log.yaml"), ledger.clone());
    }
    repo.hold(&texts).render().commit("start");
    repo.hold(&newer(texts)).commit("log 1.5.0");
    repo.pillion(&["stage"]);
    let [eu, us] = ["eu", "us"].map(|c| staged(&repo, "main", &format!("pillion/main/{c}/log")));
    let files = |commits: &[String]| repo.git(&["diff", "--name-only", "main", commits.last().unwrap()]);
    assert_eq!(files(&eu), "ledgers/eu/log.yaml\nrendered/shop/cart.yaml\nrendered/shop/web.yaml");
    assert_eq!(files(&us), "ledgers/us/log.yaml\nrendered/data/events.yaml");
    let stdout = repo.pillion(&["stage", "--cluster", "us"]);
    assert!(stdout.contains("pillion/main/us/log") && !stdout.contains("pillion/main/eu/log"), "{stdout}");
    assert_eq!(repo.refused(&["stage", "--cluster", "asia"]).0, 2);
}

/// The message says how to propose the render; each way to merge one without a changed line keeps it the render of the
/// branch.
#[cfg(unix)]
#[test]
fn a_render_onto_a_protected_branch_says_what_to_type() {
    for style in ["rebase", "squash", "merge"] {
        let test_env = TestEnvironment::new();
        let first = test_env.init("first", &[]);
        first.hold(&two_branches()).commit("start");
        let origin = test_env.clone(&first, "origin", &["--bare"]);
        origin.git(&["remote", "remove", "origin"]);
        let one = test_env.clone(&origin, "one", &[]);
        one.pillion(&["render", "--branch", "env/prod", "--create", "--push"]);
        one.pillion(&["init", "rollout", "--push"]);
        one.hold(&newer(two_branches())).commit("log 1.5.0");
        one.git(&["push", "-q", "origin", "main"]);
        let hook = "while read old new ref; do [ \"$ref\" = refs/heads/env/prod ] && echo 'Not allowed to push to protected branch env/prod' >&2 && exit 1; done; exit 0";
        origin.script("hooks/pre-receive".as_ref(), hook);
        let (code, stderr) = one.refused(&["render", "--branch", "env/prod", "--push"]);
        assert!(code != 0 && stderr.contains("`--pull-request` in place of `--push`"), "{stderr}");
        one.pillion(&["render", "--branch", "env/prod"]);
        one.git(&["push", "-q", "origin", "env/prod:refs/heads/render-env-prod"]);
        one.git(&["branch", "-q", "-D", "env/prod"]);
        // The git provider merges it.
        std::fs::remove_file(origin.path.join("hooks/pre-receive")).unwrap();
        let bo = test_env.clone(&origin, "bo", &["-b", "env/prod"]);
        match style {
            "rebase" => drop(bo.git(&["cherry-pick", "--allow-empty", "origin/render-env-prod"])),
            "squash" => {
                bo.git(&["merge", "-q", "--squash", "origin/render-env-prod"]);
                let message = bo.git(&["log", "-1", "--format=%B", "origin/render-env-prod"]);
                bo.git(&["commit", "-q", "--allow-empty", "-m", &message]);
            }
            _ => drop(bo.git(&["merge", "-q", "--no-ff", "-m", "Merge (#7)", "origin/render-env-prod"])),
        }
        bo.git(&["push", "-q", "origin", "env/prod"]);
        let after = one.try_pillion(&["render", "--branch", "env/prod", "--push"]);
        let text = String::from_utf8_lossy(&[after.stdout, after.stderr].concat()).into_owned();
        assert!(after.status.success() && text.contains("is up to date with"), "{style}: {text}");
        one.pillion(&["start", "log"]);
    }
}

#[test]
fn settings_of_a_configuration_with_another_name_are_rendered() {
    let test_env = TestEnvironment::new();
    let repo = test_env.init("repo", &[]);
    let mut texts = two_branches();
    let settings = texts.remove("pillion.yaml").unwrap();
    texts.insert("rollouts.yaml".into(), settings.clone());
    repo.hold(&texts).commit("start");
    let render = ["render", "--config", "rollouts.yaml", "--branch", "env/prod"];
    repo.pillion(&[&render[..], &["--create"]].concat());
    put_on(&test_env, &repo, "env/prod", "ledgers/log.yaml", &ledger_at(&texts["sidecars/log.yaml"]));
    // No rendered file changes, but the next plan follows the new settings.
    repo.put("rollouts.yaml", format!("{settings}# The same settings.\n"));
    let second = repo.commit("settings");
    repo.pillion(&render);
    let source = repo.git(&["show", "-s", "--format=%(trailers:key=Pillion-Source,valueonly)", "env/prod"]);
    assert_eq!(source, second.to_string());
}
