//! `init rollout`: the first ledgers change no rendered byte, whatever existed before.

use crate::support::cluster_view::Texts;
use crate::support::git_fixtures::{Repo, TestEnvironment};
use crate::support::rollout_fixtures::{example, in_two_clusters, ledger_at, newer};
use indoc::formatdoc;
use std::fs;
use std::process::Command;

/// The worked example before its first ledger.
fn unledgered() -> Texts {
    let mut texts = example();
    texts.remove("ledgers/log.yaml");
    texts
}

/// The example without a folder of rendered files.
fn ledger_only() -> Texts {
    let mut texts = unledgered();
    let settings = texts.get_mut("pillion.yaml").unwrap();
    *settings = settings.replace("rendered: rendered\n", "");
    texts
}

/// A second SidecarSet for the workloads of the example.
fn proxy() -> String {
    let set = example()["sidecars/log.yaml"].replace("{name: log}", "{name: proxy}");
    set.replace("logtail", "envoy").replace("{name: logs", "{name: proxy")
}

/// A clone of a bare remote `origin.git` that holds what a repository holds.
fn shared(test_env: &TestEnvironment, from: &Repo) -> (Repo, Repo) {
    let origin = test_env.clone(from, "origin.git", &["--bare"]);
    (test_env.clone(&origin, "clone", &[]), origin)
}

/// Copies `apps` to `rendered`, as a person does who begins.
fn copy_apps(repo: &Repo) {
    assert!(repo.command("cp").args(["-r", "apps", "rendered"]).status().unwrap().success());
}

fn tree(repo: &Repo, what: &str) -> String {
    repo.git(&["rev-parse", "--verify", what])
}

fn outbox(repo: &Repo) -> Option<String> {
    let output = repo.try_git(&["rev-parse", "--verify", "-q", "refs/pillion/outbox"]);
    output.status.success().then(|| String::from_utf8(output.stdout).unwrap().trim().to_owned())
}

/// What a ledger says is released.
fn released(repo: &Repo, at: &str) -> String {
    let text = String::from_utf8(repo.show(at)).unwrap();
    let line = text.lines().find_map(|l| l.strip_prefix("  released: "));
    line.filter(|name| *name != "\"-\"").unwrap_or("nothing").to_owned()
}

/// Runs `init rollout`, which must be refused and leave everything as it is.
fn refused(repo: &Repo, origin: &Repo, further: &[&str]) -> (i32, String) {
    let before = [tree(repo, "main"), tree(origin, "main")];
    let (code, stderr) = repo.refused(&[&["init", "rollout"], further].concat());
    assert_eq!(before, [tree(repo, "main"), tree(origin, "main")], "{stderr}");
    assert_eq!((outbox(repo), outbox(origin)), (None, None), "{stderr}");
    (code, stderr)
}

#[test]
fn rendered_files_that_somebody_has_edited_are_refused() {
    let test_env = TestEnvironment::new();
    let repo = test_env.init("repo", &[]);
    let mut texts = unledgered();
    texts.retain(|path, _| !path.starts_with("apps/"));
    for n in 1..=10 {
        let app = formatdoc! {r#"
            apiVersion: apps/v1
            kind: Deployment
            metadata: {{name: app{n}}}
            spec:
              replicas: 4
              selector: {{matchLabels: {{app: app{n}}}}}
              template:
                metadata: {{labels: {{app: app{n}, log: "true"}}}}
                spec:
                  containers:
                  - name: app
                    image: "app:{n}"
        "#};
        texts.insert(format!("apps/shop/app{n}.yaml"), app);
    }
    repo.hold(&texts);
    copy_apps(&repo);
    let edited = texts["apps/shop/app1.yaml"].replace("replicas: 4", "replicas: 99");
    repo.put("rendered/shop/app1.yaml", edited).commit("start");
    let (clone, origin) = shared(&test_env, &repo);
    for further in [&[][..], &["--push"], &["--released", "nothing", "--push"]] {
        let (code, stderr) = refused(&clone, &origin, further);
        assert_eq!(code, 1, "{stderr}");
        assert!(stderr.contains("error[deploy-branch-not-rendered]"), "{stderr}");
        assert!(stderr.contains("rendered/shop/app1.yaml:5:1"), "{stderr}");
        assert!(stderr.contains("replicas: 99") && !stderr.contains("app2.yaml"), "{stderr}");
    }
    // What is said of the others would be wrong as well.
    let (code, stderr) =
        refused(&clone, &origin, &["--released", "current", "--push", "--message-format", "short"]);
    assert_eq!((code, stderr.matches("error[deploy-branch-not-rendered]").count()), (1, 10), "{stderr}");
}

#[test]
fn what_nobody_carries_is_not_released() {
    let test_env = TestEnvironment::new();
    let repo = test_env.init("repo", &[]);
    repo.hold(&unledgered());
    copy_apps(&repo);
    repo.put("rendered/NOTES.txt", "mine").commit("start");
    let (clone, origin) = shared(&test_env, &repo);
    let before = tree(&origin, "main");
    let stdout = clone.pillion(&["init", "rollout"]);
    assert!(stdout.contains("pillion: ledger of log, nothing released"), "{stdout}");
    assert!(stdout.contains("next: `git push origin refs/pillion/outbox:main` pushes it"), "{stdout}");
    assert_eq!(tree(&origin, "main"), before, "nothing is pushed");
    clone.git(&["push", "-q", "origin", "refs/pillion/outbox:main"]);
    let changed = origin.git(&["diff-tree", "--no-commit-id", "--name-status", "-r", "main"]);
    assert_eq!(changed, "A\tledgers/log.yaml\nA\trendered/.pillion-files");
    assert_eq!(released(&origin, "main:ledgers/log.yaml"), "nothing");
    let list = String::from_utf8(origin.show("main:rendered/.pillion-files")).unwrap();
    assert!(list.contains("shop/web.yaml") && !list.contains("NOTES"), "{list}");
    let stdout = origin.git(&["log", "-1", "--format=%an|%cn|%s|%b", "main"]);
    assert!(
        stdout.starts_with(
            "A Person|pillion|pillion: ledger of log, nothing released|log: nothing is released"
        )
    );
    assert!(
        stdout.contains("Pillion-By: A Person <a@example.com>") && stdout.contains("Pillion-Action: Init")
    );
    clone.git(&["pull", "-q"]);
    clone.pillion(&["verify", "--base", "HEAD~1"]);
    assert_eq!(clone.pillion(&["init", "rollout"]), "every SidecarSet has a ledger already\n");
    // The first injection is a rollout like any other.
    let staged = clone.pillion(&["stage"]);
    assert!(staged.contains("log: batch 1/4"), "{staged}");
}

#[test]
fn what_everybody_carries_is_released() {
    let test_env = TestEnvironment::new();
    let repo = test_env.init("repo", &[]);
    repo.hold(&example()).render().commit("start");
    repo.hold(&unledgered()).commit("no ledger yet");
    let (clone, origin) = shared(&test_env, &repo);
    let rendered = tree(&origin, "main:rendered");
    clone.pillion(&["init", "rollout", "--push"]);
    assert_eq!(tree(&origin, "main:rendered"), rendered);
    assert!(released(&origin, "main:ledgers/log.yaml").starts_with("log-"));
    let subject = origin.git(&["log", "-1", "--format=%s", "main"]);
    assert!(
        subject.starts_with("pillion: ledger of log, log-") && subject.ends_with(" released"),
        "{subject}"
    );
    clone.git(&["pull", "-q"]);
    assert!(clone.pillion(&["stage"]).contains("nothing to stage"));
    clone.pillion(&["verify", "--base", "HEAD~1"]);
}

#[test]
fn what_some_carry_is_refused_and_named() {
    let test_env = TestEnvironment::new();
    let repo = test_env.init("repo", &[]);
    repo.hold(&example()).render();
    let raw = fs::read(repo.path.join("apps/shop/web.yaml")).unwrap();
    repo.put("rendered/shop/web.yaml", raw);
    repo.hold(&unledgered()).commit("start");
    let (clone, origin) = shared(&test_env, &repo);
    let (code, stderr) = refused(&clone, &origin, &["--push", "--message-format", "short"]);
    assert!(code == 1 && stderr.contains("rendered/shop/web.yaml:"), "{stderr}");
    assert_eq!(stderr.matches("error[deploy-branch-not-rendered]").count(), 1, "{stderr}");
    // An older content in all of them is not what the file holds.
    repo.hold(&example()).render();
    repo.hold(&newer(unledgered())).commit("1.5.0");
    repo.git(&["push", "-q", &origin.path.display().to_string(), "main"]);
    clone.git(&["pull", "-q"]);
    let (code, stderr) = refused(&clone, &origin, &["--push"]);
    assert!(code == 1 && stderr.contains("render makes `image: registry.example/logtail:1.5.0`"), "{stderr}");
    assert!(stderr.contains("an earlier content of a SidecarSet"), "{stderr}");
}

#[test]
fn files_without_a_list_are_adopted_where_they_are_right() {
    let test_env = TestEnvironment::new();
    let repo = test_env.init("repo", &[]);
    repo.hold(&example()).render();
    fs::remove_file(repo.path.join("rendered/.pillion-files")).unwrap();
    repo.hold(&unledgered()).commit("start");
    let (clone, origin) = shared(&test_env, &repo);
    clone.pillion(&["init", "rollout", "--push"]);
    let changed = origin.git(&["diff-tree", "--no-commit-id", "--name-status", "-r", "main"]);
    assert_eq!(changed, "A\tledgers/log.yaml\nA\trendered/.pillion-files");
    assert!(released(&origin, "main:ledgers/log.yaml").starts_with("log-"));
    clone.git(&["pull", "-q"]);
    clone.pillion(&["render", "--check"]);
}

#[test]
fn the_first_rendered_files_are_the_sources() {
    let test_env = TestEnvironment::new();
    let repo = test_env.init("repo", &[]);
    repo.hold(&unledgered()).commit("start");
    let (clone, origin) = shared(&test_env, &repo);
    clone.pillion(&["init", "rollout", "--push"]);
    for file in ["data/events.yaml", "shop/cart.yaml", "shop/import.yaml", "shop/web.yaml"] {
        assert_eq!(
            tree(&origin, &format!("main:rendered/{file}")),
            tree(&origin, &format!("main:apps/{file}"))
        );
    }
    clone.git(&["pull", "-q"]);
    clone.pillion(&["verify", "--base", "HEAD~1"]);
    // A person who says that all of them run it is believed where nothing says otherwise.
    let other = test_env.init("other", &[]);
    other.hold(&unledgered()).commit("start");
    other.git(&["switch", "-q", "--detach"]);
    other.pillion(&["init", "rollout", "--released", "current", "--push"]);
    assert!(other.git(&["show", "main:rendered/shop/web.yaml"]).contains("logtail:1.4.2"));
}

#[test]
fn without_rendered_files_nothing_is_released_but_on_a_persons_word() {
    let test_env = TestEnvironment::new();
    let repo = test_env.init("repo", &[]);
    repo.hold(&ledger_only()).commit("start");
    let (clone, origin) = shared(&test_env, &repo);
    let output = clone.try_pillion(&["init", "rollout", "--push"]);
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(stderr.contains("git does not say what the cluster runs: nothing is released"), "{stderr}");
    assert!(stderr.contains("pushing to `main`") && stderr.contains("writes ledgers/log.yaml"), "{stderr}");
    assert_eq!(released(&origin, "main:ledgers/log.yaml"), "nothing");
    let web = |repo: &Repo| repo.try_pillion(&["render", "apps/shop/web.yaml"]).stdout;
    clone.git(&["pull", "-q"]);
    assert_eq!(web(&clone), clone.show("HEAD:apps/shop/web.yaml"), "the next build is like the last one");
    // A plugin injects already, and a person says so.
    let other = test_env.init("other", &[]);
    other.hold(&ledger_only()).commit("start");
    other.git(&["switch", "-q", "--detach"]);
    other.pillion(&["init", "rollout", "--released", "current", "--push"]);
    assert!(released(&other, "main:ledgers/log.yaml").starts_with("log-"));
}

#[test]
fn sources_that_carry_it_already_tell() {
    let test_env = TestEnvironment::new();
    let mut texts = ledger_only();
    let repo = test_env.init("repo", &[]);
    repo.hold(&example()).render();
    for file in ["data/events.yaml", "shop/cart.yaml", "shop/import.yaml", "shop/web.yaml"] {
        let injected = fs::read_to_string(repo.path.join("rendered").join(file)).unwrap();
        texts.insert(format!("apps/{file}"), injected);
    }
    fs::remove_dir_all(repo.path.join("rendered")).unwrap();
    repo.hold(&texts).commit("injected by hand");
    let (clone, origin) = shared(&test_env, &repo);
    clone.pillion(&["init", "rollout", "--push"]);
    assert!(released(&origin, "main:ledgers/log.yaml").starts_with("log-"));
    // Only one does not: nothing that is released leaves all as they are.
    texts.insert("apps/shop/web.yaml".into(), example()["apps/shop/web.yaml"].clone());
    let mixed = test_env.init("mixed", &[]);
    mixed.hold(&texts).commit("injected by hand");
    let origin = test_env.clone(&mixed, "mixed.git", &["--bare"]);
    let clone = test_env.clone(&origin, "mixed-clone", &[]);
    let (code, stderr) = refused(&clone, &origin, &["--push"]);
    assert!(code == 1 && stderr.contains("apps/shop/web.yaml"), "{stderr}");
}

#[test]
fn each_of_several_sets_is_judged_by_itself() {
    let test_env = TestEnvironment::new();
    // Both are new, and no workload has one.
    let repo = test_env.init("none", &[]);
    let mut texts = unledgered();
    texts.insert("sidecars/proxy.yaml".into(), proxy());
    repo.hold(&texts);
    copy_apps(&repo);
    repo.commit("start");
    repo.git(&["switch", "-q", "--detach"]);
    let stdout = repo.pillion(&["init", "rollout", "--push"]);
    assert!(stdout.contains("pillion: ledgers of log and proxy, nothing released"), "{stdout}");
    // One is carried by all.
    let repo = test_env.init("one", &[]);
    repo.hold(&example()).render();
    repo.hold(&texts).commit("a proxy that is not rendered yet");
    let rendered = tree(&repo, "main:rendered");
    repo.git(&["switch", "-q", "--detach"]);
    repo.pillion(&["init", "rollout", "--push"]);
    assert!(released(&repo, "main:ledgers/log.yaml").starts_with("log-"));
    assert_eq!(released(&repo, "main:ledgers/proxy.yaml"), "nothing");
    assert_eq!(tree(&repo, "main:rendered"), rendered);
    // One has a ledger, and the other comes later.
    let repo = test_env.init("later", &[]);
    repo.hold(&example()).render();
    texts.insert("ledgers/log.yaml".into(), example()["ledgers/log.yaml"].clone());
    repo.hold(&texts).commit("a proxy");
    let rendered = tree(&repo, "main:rendered");
    repo.git(&["switch", "-q", "--detach"]);
    repo.pillion(&["init", "rollout", "--push", "--owner", "@acme/platform", "--workflow"]);
    assert_eq!(released(&repo, "main:ledgers/proxy.yaml"), "nothing");
    assert_eq!(tree(&repo, "main:rendered"), rendered);
    assert!(repo.git(&["show", "main:.github/CODEOWNERS"]).contains("/ledgers/ @acme/platform"));
    assert!(repo.git(&["show", "main:.github/workflows/pillion.yaml"]).contains("pillion verify"));
    repo.pillion(&["verify", "main", "--base", "main~1"]);
    // A workflow that another command or a person wrote is never replaced.
    let repo = test_env.init("workflow", &[]);
    repo.hold(&example()).render();
    let mut with_workflow = texts.clone();
    with_workflow.insert(".github/workflows/pillion.yaml".into(), "name: mine\n".into());
    repo.hold(&with_workflow).commit("a proxy and a workflow");
    repo.git(&["switch", "-q", "--detach"]);
    let before = repo.id("main");
    let refused = repo.try_pillion(&["init", "rollout", "--push", "--workflow"]);
    let stderr = String::from_utf8_lossy(&refused.stderr).into_owned();
    let what = "`.github/workflows/pillion.yaml` already exists on `main` with different content; nothing was written";
    assert!(refused.status.code() == Some(1) && stderr.contains(what), "{stderr}");
    assert!(
        stderr.contains("leave out `--workflow` if `pillion init` or `pillion init github` wrote the file"),
        "{stderr}"
    );
    assert_eq!(repo.id("main"), before);
    repo.pillion(&["init", "rollout", "--push"]);
    assert_eq!(repo.git(&["show", "main:.github/workflows/pillion.yaml"]), "name: mine");
    // It came with everybody carrying it.
    let repo = test_env.init("carried", &[]);
    let mut both = texts.clone();
    both.insert("ledgers/proxy.yaml".into(), ledger_at(&proxy()));
    repo.hold(&both).render();
    repo.hold(&texts).commit("a proxy that is rendered");
    repo.git(&["switch", "-q", "--detach"]);
    repo.pillion(&["init", "rollout", "--push"]);
    assert!(released(&repo, "main:ledgers/proxy.yaml").starts_with("proxy-"));
}

#[test]
fn a_word_that_the_rendered_files_deny_is_refused() {
    let test_env = TestEnvironment::new();
    let repo = test_env.init("repo", &[]);
    repo.hold(&example()).render();
    repo.hold(&unledgered()).commit("start");
    let (clone, origin) = shared(&test_env, &repo);
    let (code, stderr) = refused(&clone, &origin, &["--released", "nothing", "--push"]);
    assert!(code == 1 && stderr.contains("error[deploy-branch-not-rendered]"), "{stderr}");
    assert!(stderr.contains("rendered/shop/web.yaml:"), "{stderr}");
}

#[test]
fn clusters_share_the_list_of_rendered_files() {
    let test_env = TestEnvironment::new();
    let repo = test_env.init("repo", &[]);
    repo.hold(&in_two_clusters(unledgered(), ["eu", "us"])).commit("start");
    let (clone, origin) = shared(&test_env, &repo);
    clone.pillion(&["init", "rollout", "--push"]);
    let list = String::from_utf8(origin.show("main:rendered/.pillion-files")).unwrap();
    assert!(list.contains("shop/web.yaml") && list.contains("data/events.yaml"), "{list}");
    for cluster in ["eu", "us"] {
        assert_eq!(released(&origin, &format!("main:ledgers/{cluster}/log.yaml")), "nothing");
    }
    let body = origin.git(&["log", "-1", "--format=%b", "main"]);
    assert!(body.contains("log in eu: nothing is released") && body.contains("log in us: "), "{body}");
    clone.git(&["pull", "-q"]);
    clone.pillion(&["verify", "--base", "HEAD~1"]);
}

#[test]
fn a_ledger_that_was_removed_is_not_begun_anew() {
    let test_env = TestEnvironment::new();
    let repo = test_env.init("repo", &[]);
    let mut texts = crate::workspace::builds::built();
    let settings = texts.get_mut("pillion.yaml").unwrap();
    *settings = settings.replace("build: [sh, make.sh]\n", "sources: [apps]\n");
    repo.hold(&texts).commit("start");
    repo.git(&["rm", "-q", "ledgers/log.yaml"]);
    let removed = repo.commit("tidy up").to_string();
    repo.git(&["switch", "-q", "--detach"]);
    let (code, stderr) = repo.refused(&["init", "rollout", "--push"]);
    let back = format!("git checkout {}~1 -- ledgers/log.yaml", &removed[..10]);
    assert!(code == 1 && stderr.contains(&back), "{stderr}");
    assert_eq!(repo.id("main").to_string(), removed);
    // A person who says what is released decides.
    repo.pillion(&["init", "rollout", "--push", "--released", "current"]);
    assert!(released(&repo, "main:ledgers/log.yaml").starts_with("log-"));
}

#[test]
fn two_branches_begin_at_what_the_live_one_holds() {
    let test_env = TestEnvironment::new();
    let repo = test_env.init("repo", &[]);
    let mut texts = unledgered();
    let settings = texts.get_mut("pillion.yaml").unwrap();
    *settings = settings.replace("deploy: main", "deploy: env/prod");
    repo.hold(&texts).commit("start");
    let (clone, origin) = shared(&test_env, &repo);
    let (code, stderr) = clone.refused(&["init", "rollout", "--push"]);
    let words = "`origin` has no branch `env/prod` yet: pillion render --branch env/prod --create --push";
    assert!(code == 2 && stderr.contains(words), "{stderr}");
    clone.pillion(&["render", "--branch", "env/prod", "--create", "--push"]);
    let rendered = tree(&origin, "env/prod:rendered");
    clone.pillion(&["init", "rollout", "--push"]);
    assert_eq!(tree(&origin, "env/prod:rendered"), rendered);
    assert!(released(&origin, "env/prod:ledgers/log.yaml").starts_with("log-"));
    let source = origin.git(&["log", "-1", "--format=%(trailers:key=Pillion-Source,valueonly)", "env/prod"]);
    assert_eq!(source.trim(), tree(&origin, "main"));
}

#[test]
fn a_remote_without_the_branch_is_told_at_once() {
    let test_env = TestEnvironment::new();
    let origin = test_env.init("origin.git", &["--bare"]);
    let repo = test_env.init("repo", &[]);
    repo.hold(&unledgered()).commit("start");
    repo.git(&["remote", "add", "origin", &origin.path.display().to_string()]);
    let words = "`origin` has no branch `main` yet: git push -u origin main";
    for args in [&["init", "rollout", "--push"][..], &["init", "rollout"], &["pause", "log"], &["start"]] {
        let (code, stderr) = repo.refused(args);
        assert!(code == 2 && stderr.contains(words), "{args:?}: {stderr}");
    }
    assert_eq!(origin.git(&["for-each-ref"]), "");
    assert_eq!(outbox(&repo), None);
    repo.git(&["push", "-q", "-u", "origin", "main"]);
    repo.pillion(&["init", "rollout", "--push"]);
    // A branch that the remote has lost since is another matter.
    origin.git(&["update-ref", "-d", "refs/heads/main"]);
    let (code, stderr) = repo.refused(&["pause", "log"]);
    assert!(code == 3 && stderr.contains("`origin` no longer has a branch `main`"), "{stderr}");
}

#[test]
fn without_a_remote_the_branch_is_moved_only_when_asked_for() {
    let test_env = TestEnvironment::new();
    let repo = test_env.init("repo", &[]);
    repo.hold(&unledgered()).commit("start");
    let before = tree(&repo, "main");
    let stdout = repo.pillion(&["init", "rollout", "--no-push"]);
    assert!(stdout.contains("next: `pillion init rollout --push` puts it onto `main`"), "{stdout}");
    assert_eq!((tree(&repo, "main"), outbox(&repo).is_some()), (before, true));
    repo.git(&["switch", "-q", "--detach"]);
    repo.pillion(&["init", "rollout", "--push"]);
    assert_eq!(released(&repo, "main:ledgers/log.yaml"), "nothing");
}

#[test]
fn nobody_is_nobody() {
    let test_env = TestEnvironment::new();
    let repo = test_env.init("repo", &[]);
    repo.hold(&unledgered()).commit("start");
    let (clone, origin) = shared(&test_env, &repo);
    let run = |more: &[(&str, &str)]| {
        let mut command: Command = clone.command(env!("CARGO_BIN_EXE_pillion"));
        command.env_remove("GIT_AUTHOR_NAME").env_remove("GIT_AUTHOR_EMAIL").env("EMAIL", "guess@host");
        let output = command.envs(more.iter().copied()).args(["init", "rollout", "--push"]).output().unwrap();
        (output.status.code().unwrap(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let before = tree(&origin, "main");
    let (code, text) = run(&[]);
    assert!(code == 2 && text.contains("git config --global user.name"), "{text}");
    assert_eq!(tree(&origin, "main"), before);
    assert_eq!(run(&[("GITHUB_ACTOR", "ann")]).0, 0);
    let author = |repo: &Repo| repo.git(&["log", "-1", "--format=%an <%ae>", "main"]);
    assert_eq!(author(&origin), "ann <ann@users.noreply.github.com>");
    // What git is configured with comes before that.
    clone.set("user.name", "Ann B").set("user.email", "ann@acme.example");
    origin.git(&["update-ref", "refs/heads/main", &before]);
    assert_eq!(run(&[("GITHUB_ACTOR", "bob")]).0, 0);
    assert_eq!(author(&origin), "Ann B <ann@acme.example>");
}
