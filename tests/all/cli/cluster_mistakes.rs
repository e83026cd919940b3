//! Mistakes on the way to a cluster, as a person meets them: no kubeconfig, a wrong context, an API server that does not
//! answer. Each answer says what is wrong, where, why, and what to do.

use crate::support::git_fixtures::{Repo, TestEnvironment};
use crate::support::rollout_fixtures::{example, newer};
use indoc::formatdoc;
use std::fs;
use std::path::PathBuf;

/// A repository with a rollout whose first batch is released, and a folder beside it.
struct Operator {
    environment: TestEnvironment,
    repo: Repo,
}

impl Operator {
    fn new() -> Self {
        let environment = TestEnvironment::new();
        let repo = environment.init("repo", &[]);
        let texts = newer(example());
        let mut released = texts.clone();
        let set = released.get_mut("sidecars/log.yaml").unwrap();
        *set = set.replace("1.5.0", "1.4.2");
        repo.hold(&released).render().commit("start");
        repo.hold(&texts).commit("logtail 1.5.0");
        repo.git(&["switch", "-q", "--detach"]);
        repo.pillion(&["start", "log"]);
        repo.pillion(&["promote", "log"]);
        Self { environment, repo }
    }

    /// A kubeconfig with the contexts `prod` and `staging` of one API server.
    fn kubeconfig(&self, server: &str) -> PathBuf {
        let text = formatdoc! {"
            apiVersion: v1
            kind: Config
            current-context: prod
            clusters: [{{name: c, cluster: {{server: '{server}'}}}}]
            users: [{{name: u, user: {{token: s3cr3t}}}}]
            contexts:
            - {{name: prod, context: {{cluster: c, user: u}}}}
            - {{name: staging, context: {{cluster: c, user: u}}}}
        "};
        let file = self.environment.path("kubeconfig");
        fs::write(&file, text).unwrap();
        file
    }

    /// Looks once; returns the exit code and what is printed.
    fn watch_once(&self, kubeconfig: Option<PathBuf>, args: &[&str]) -> (Option<i32>, String) {
        let mut command = self.repo.command(env!("CARGO_BIN_EXE_pillion"));
        if let Some(file) = kubeconfig {
            command.env("KUBECONFIG", file);
        }
        let output = command.args(["watch", "--once", "--timeout=1s"]).args(args).output().unwrap();
        let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(!text.contains("s3cr3t"), "{text}");
        (output.status.code(), text)
    }
}

#[test]
fn without_a_kubeconfig_the_file_and_the_way_are_named() {
    let operator = Operator::new();
    let file = operator.environment.path("home").join(".kube/config");
    let (code, text) = operator.watch_once(None, &[]);
    let expected = format!(
        "cannot watch the cluster: there is no kubeconfig `{}`, and pillion does not run in a pod: set KUBECONFIG to the file that kubectl uses, and choose one of its contexts with `--context NAME`\n",
        file.display()
    );
    assert!(code == Some(2) && text.ends_with(&expected), "{code:?} {text}");
    let nowhere = operator.environment.path("nowhere");
    let (code, text) = operator.watch_once(Some(nowhere.clone()), &["--context", "prod"]);
    let expected =
        format!("cannot watch the cluster: the kubeconfig `{}` cannot be read: ", nowhere.display());
    assert!(
        code == Some(2) && text.contains(&expected) && text.contains("; set KUBECONFIG"),
        "{code:?} {text}"
    );
}

#[test]
fn a_misspelt_context_is_answered_with_the_nearest() {
    let operator = Operator::new();
    let file = operator.kubeconfig("https://127.0.0.1:1");
    let (code, text) = operator.watch_once(Some(file.clone()), &["--context", "prdo"]);
    let expected = "cannot watch the cluster: the kubeconfig has no context `prdo`, but `prod`: did you mean that? `kubectl config get-contexts` lists them\n";
    assert!(code == Some(2) && text.ends_with(expected), "{code:?} {text}");
    let (code, text) = operator.watch_once(Some(file), &["--context", "test"]);
    let expected = "the kubeconfig has no context `test`; `kubectl config get-contexts` lists them\n";
    assert!(code == Some(2) && text.ends_with(expected), "{code:?} {text}");
}

/// kubectl skips files of KUBECONFIG that do not exist.
#[test]
fn of_several_kubeconfigs_those_that_exist_are_read() {
    let operator = Operator::new();
    let (file, nowhere) = (operator.kubeconfig("https://127.0.0.1:1"), operator.environment.path("nowhere"));
    let both = std::env::join_paths([nowhere, file]).unwrap();
    let (code, text) = operator.watch_once(Some(both.into()), &["--context", "staging"]);
    assert!(code == Some(3) && text.contains("https://127.0.0.1:1 (context `staging`)"), "{code:?} {text}");
}

/// A person copies the command of the message.
#[test]
fn a_context_that_a_shell_would_interpret_is_in_no_command() {
    let operator = Operator::new();
    let file = operator.kubeconfig("https://127.0.0.1:1");
    let text = fs::read_to_string(&file).unwrap().replace("prod", "'x; reboot'");
    fs::write(&file, text).unwrap();
    let (code, text) = operator.watch_once(Some(file), &[]);
    assert!(code == Some(3) && text.contains("(context `x; reboot`): Connection refused"), "{code:?} {text}");
    assert!(!text.contains("kubectl"), "{text}");
}

#[test]
fn an_api_server_that_does_not_answer_is_named() {
    let operator = Operator::new();
    for (server, args, context) in [
        ("https://127.0.0.1:1", &[][..], "prod"),
        ("https://admin:s3cr3t@127.0.0.1:1/k8s/clusters/c-1/", &["--context", "staging"], "staging"),
    ] {
        let file = operator.kubeconfig(server);
        let (code, text) = operator.watch_once(Some(file), args);
        let shown = server.replace("admin:s3cr3t@", "");
        let cause = format!(
            "waiting: health is unknown: cannot reach the API server at {} (context `{context}`): Connection refused",
            shown.trim_end_matches('/')
        );
        let fix = format!(
            "; check the address and the network: `kubectl --context {context} version` asks the same server; no answer for "
        );
        assert!(code == Some(3) && text.contains(&cause) && text.contains(&fix), "{code:?} {text}");
    }
}
