//! A commit may hold a folder with the layout of a bare repository, and its configuration names programs: no command of
//! pillion runs them. A bare repository of the user counts as far as git's `safe.bareRepository` allows.

use crate::support::cluster_view::Texts;
use crate::support::git_fixtures::{Repo, TestEnvironment};
use crate::support::rollout_fixtures::{example, newer};
use std::fs;
use std::process::Output;

/// Everything of git's configuration that starts a program.
const PROGRAMS: &[&str] = &[
    "[core]\n\tsshCommand = RUN ssh\n\tfsmonitor = RUN fsmonitor\n\thooksPath = hooks\n\tpager = RUN pager\n\teditor = RUN editor\n\taskPass = RUN askpass\n\tgitProxy = RUN proxy\n",
    "[commit]\n\tgpgSign = true\n[gpg]\n\tprogram = RUN-gpg\n[gpg \"ssh\"]\n\tprogram = RUN-gpg\n[user]\n\tname = a\n\temail = a@b\n",
    "[credential]\n\thelper = !RUN helper\n[alias]\n\tfetch = !RUN alias\n\tvar = !RUN alias\n[diff]\n\texternal = RUN diff\n[protocol \"ext\"]\n\tallow = always\n",
    "[filter \"x\"]\n\tsmudge = RUN smudge\n\tclean = RUN clean\n\tprocess = RUN process\n[include]\n\tpath = more\n",
];

/// The example with such a folder below `envs/prod`.
fn embedded(test_env: &TestEnvironment, head: &str, is_bare: bool, remote: &str) -> Texts {
    let mut texts = newer(example());
    let script = test_env.path("run");
    fs::write(&script, format!("#!/bin/sh\necho \"$0 $*\" >> '{}'\n", test_env.path("ran").display()))
        .unwrap();
    fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    fs::copy(&script, test_env.path("run-gpg")).unwrap();
    let run = |text: &str| {
        text.replace("RUN-gpg", &test_env.path("run-gpg").display().to_string())
            .replace("RUN", &script.display().to_string())
    };
    let mut config = PROGRAMS.iter().map(|text| run(text)).collect::<String>();
    config.push_str(&format!("[core]\n\trepositoryformatversion = 0\n\tbare = {is_bare}\n"));
    if !is_bare {
        config.push_str("\tworktree = ..\n");
    }
    let address = run(remote);
    config.push_str(&format!("[remote \"origin\"]\n\turl = {address}\n\tuploadpack = {} pack\n\treceivepack = {} pack\n\tfetch = +refs/heads/*:refs/remotes/origin/*\n", script.display(), script.display()));
    for (path, text) in [
        ("HEAD", "ref: refs/heads/main\n".to_owned()),
        ("config", config.clone()),
        ("more", config),
        ("refs/heads/main", format!("{head}\n")),
        ("refs/remotes/origin/main", format!("{head}\n")),
        ("objects/info/alternates", "../../../.git/objects\n".to_owned()),
        ("objects/pack/.keep", String::new()),
        ("hooks/pre-push", format!("#!/bin/sh\nexec {} hook\n", script.display())),
        ("hooks/reference-transaction", format!("#!/bin/sh\nexec {} hook\n", script.display())),
    ] {
        texts.insert(format!("envs/prod/{path}"), text);
    }
    let configuration = texts["pillion.yaml"].clone();
    texts.insert("envs/prod/pillion.yaml".into(), configuration);
    texts
}

fn run_in(repo: &Repo, folder: &str, arguments: &[&str], variables: &[(&str, &str)]) -> (i32, String) {
    let mut command = repo.command(env!("CARGO_BIN_EXE_pillion"));
    command.current_dir(repo.path.join(folder)).args(arguments).envs(variables.iter().copied());
    // A person who is known is asked for nothing.
    let Output { status, stderr, stdout } = command.output().unwrap();
    (status.code().unwrap_or(-1), String::from_utf8_lossy(&[stderr, stdout].concat()).into_owned())
}

/// Commands that need a repository, and what they say where it is none.
const OF_A_REPOSITORY: &[&[&str]] = &[
    &["status"],
    &["plan"],
    &["plan", "--from", "HEAD"],
    &["stage"],
    &["start", "--push"],
    &["pause", "log", "--no-fetch", "--no-push"],
    &["pause", "log"],
    &["hold", "Deployment/web", "--reason", "x", "--no-fetch", "--no-push"],
    &["verify"],
    &["verify", "--base", "HEAD"],
    &["init", "rollout"],
    &["init", "rollout", "--push"],
];

#[test]
fn a_repository_in_the_tree_starts_nothing() {
    for (is_bare, remote) in [
        (true, "ssh://git@git.example/x.git"),
        (false, "ssh://git@git.example/x.git"),
        (true, "ext::RUN ext"),
        (true, "https://git.example/x.git"),
    ] {
        let test_env = TestEnvironment::new();
        let origin = test_env.init("origin", &[]);
        origin.hold(&example()).render().commit("start");
        let head = origin.id("HEAD").to_string();
        origin.hold(&embedded(&test_env, &head, is_bare, remote)).commit("a folder like any other");
        let clone = test_env.clone(&origin, "clone", &[]);
        assert!(clone.path.join("envs/prod/HEAD").is_file());
        for folder in ["envs/prod", "envs/prod/objects"] {
            for command in OF_A_REPOSITORY {
                let (code, output) = run_in(&clone, folder, command, &[]);
                assert_eq!(code, 2, "{remote} {folder} {command:?}: {output}");
                assert!(
                    output.contains("looks like a git repository, but is in the working tree"),
                    "{command:?}: {output}"
                );
                assert!(output.contains("GIT_DIR="), "{command:?}: {output}");
            }
            for command in [
                &["render"][..],
                &["render", "--check"],
                &["doctor"],
                &["init"],
                &["explain", "Deployment/web"],
                &["validate"],
                &["cmp", "generate"],
            ] {
                run_in(&clone, folder, command, &[]);
            }
            #[cfg(feature = "watch")]
            for command in [&["watch", "--once"][..], &["watch", "--once", "--dry-run"], &["watch"]] {
                let (code, output) = run_in(&clone, folder, command, &[("KUBECONFIG", "/dev/null")]);
                assert_eq!(code, 2, "{folder} {command:?}: {output}");
            }
        }
        let ran = fs::read_to_string(test_env.path("ran")).unwrap_or_default();
        assert_eq!(ran, "", "bare: {is_bare}, {remote}");
        // The clone itself is as good as ever.
        let (code, output) = run_in(&clone, "", &["plan"], &[]);
        assert_eq!(code, 0, "{output}");
        let (code, output) = run_in(&clone, "envs", &["status", "--no-fetch"], &[]);
        assert_eq!(code, 0, "{output}");
    }
}

/// `safe.bareRepository=explicit`, where git heeds it.
const EXPLICIT: &[(&str, &str)] = &[
    ("GIT_CONFIG_COUNT", "1"),
    ("GIT_CONFIG_KEY_0", "safe.bareRepository"),
    ("GIT_CONFIG_VALUE_0", "explicit"),
];

#[test]
fn a_bare_repository_counts_as_git_lets_it() {
    let test_env = TestEnvironment::new();
    let origin = test_env.init("origin", &[]);
    origin.hold(&example()).render().commit("start");
    let bare = test_env.clone(&origin, "bare.git", &["--bare"]);
    let status = &["status", "--no-fetch"];
    assert_eq!(run_in(&bare, "", status, &[]).0, 0);
    assert_eq!(run_in(&bare, "refs", status, &[]).0, 0);
    let (code, output) = run_in(&bare, "", status, EXPLICIT);
    assert!(code == 2 && output.contains("`safe.bareRepository` of git is `explicit`"), "{output}");
    let named = [EXPLICIT, &[("GIT_DIR", ".")]].concat();
    assert_eq!(run_in(&bare, "", status, &named).0, 0);
    // git itself takes the inside of `.git` for what it is.
    assert_eq!(run_in(&origin, ".git", &["status", "--no-fetch"], EXPLICIT).0, 0);
    // What the repository itself says does not count.
    bare.git(&["config", "safe.bareRepository", "all"]);
    assert_eq!(run_in(&bare, "", status, EXPLICIT).0, 2);
}
