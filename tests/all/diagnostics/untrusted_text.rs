//! Escapes names and messages from other people on terminals, in CI logs and in commits.

use crate::support::git_fixtures::TestEnvironment;
use crate::support::rollout_fixtures::{example, newer, released};
use indoc::indoc;
use pillion::diagnostics::escape::is_hidden;
use std::process::Output;

/// What a file or a workload might be called.
const NAME: &str = "web\n::error file=x::pwned\u{1b}]0;pwned\u{7}\u{9b}2J\u{202e}";

fn texts(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned()).concat()
}

/// Nothing of it moves a cursor, turns the direction of text or begins a line of its own.
#[track_caller]
fn is_plain(text: &str) {
    assert!(!text.contains(|c| is_hidden(c) && c != '\n' && c != '\t'), "{text:?}");
    assert!(!text.lines().any(|line| line.trim_start().starts_with("::error")), "{text}");
}

#[test]
fn names_of_files_are_text() {
    let test_env = TestEnvironment::new();
    let set = indoc! {"
        apiVersion: apps.kruise.io/v1beta1
        kind: SidecarSet
        spec: 3
    "};
    // Names with control characters are refused by themselves, the other ones are not.
    for (name, shown) in [(NAME, "pwned"), ("turned\u{202e}\u{2066}", "turned\\u202e\\u2066.yaml")] {
        let repo = test_env.init("repo", &[]);
        repo.hold(&example());
        repo.put(&format!("apps/shop/{name}.yaml"), "kind: [\n");
        repo.put(&format!("sidecars/{name}.yaml"), set);
        for format in ["human", "short"] {
            for verb in ["render", "validate", "plan", "explain", "doctor"] {
                let text = texts(&repo.try_pillion(&["--message-format", format, verb]));
                is_plain(&text);
                let names_it = text.contains(shown) || ["explain", "doctor"].contains(&verb);
                assert!(names_it, "{verb}: {text}");
            }
        }
    }
}

#[test]
fn names_of_workloads_are_text_in_plans_and_commits() {
    let test_env = TestEnvironment::new();
    let repo = released(&test_env, "repo");
    let name = NAME.replace('\n', "\\n").replace('\u{1b}', "\\e").replace('\u{7}', "\\a");
    let name = name.replace('\u{9b}', "\\x9b").replace('\u{202e}', "\\u202e");
    let mut texts = newer(example());
    texts.insert(
        "apps/shop/unusual.yaml".into(),
        texts["apps/shop/web.yaml"].replacen("name: web", &format!("name: \"{name}\""), 1),
    );
    repo.hold(&texts).render().commit("another workload, logtail 1.5.0");
    repo.git(&["switch", "-q", "--detach"]);
    for verb in [vec!["plan"], vec!["stage"], vec!["status"], vec!["plan", "--output", "markdown"]] {
        let output = repo.try_pillion(&verb);
        is_plain(&self::texts(&output));
        assert!(output.status.success(), "{verb:?}: {}", self::texts(&output));
    }
    let log = repo.git(&["log", "--format=%B", "pillion/main/log", "^main"]);
    is_plain(&log);
    assert!(log.contains("Deployment shop/web\\n::error file=x::pwned\\u001b]0;pwned"), "{log}");
}
