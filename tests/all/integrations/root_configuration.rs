//! An application cannot disable its sidecars: the plugin of Argo CD and the functions use the topmost pillion.yaml of
//! the repository, or the one that the operator names, and having no SidecarSet at all is an error.

use crate::support::manifests::{LOG_SET, WEB};
use indoc::{formatdoc, indoc};
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

const HEAD: &str = "apiVersion: pillion.dev/v1alpha1\nkind: Repository\n";

/// A repository of a platform team with the application `apps/shop`, and what that team has put beside it.
fn repository(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let config = format!("{HEAD}sidecarSets: [sidecars]\n");
    let always =
        [("pillion.yaml", config.as_str()), ("sidecars/log.yaml", LOG_SET), ("apps/shop/web.yaml", WEB)];
    for (name, text) in always.iter().chain(files) {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

fn pillion(folder: &Path, arguments: &[&str], stdin: &str, variables: &[(&str, &str)]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_pillion"))
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .envs(variables.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
    child.wait_with_output().unwrap()
}

/// The ways in: the plugin with and without a stream, and the function. Each with what comes on standard input.
fn ways(resources: &str) -> [(&'static [&'static str], String); 3] {
    let items: String = resources
        .split("---\n")
        .map(|document| format!("- {}", document.replace('\n', "\n  ")))
        .map(|item| format!("{}\n", item.trim_end()))
        .collect();
    let list = formatdoc! {"
        apiVersion: config.kubernetes.io/v1
        kind: ResourceList
        items:
        {items}
    "};
    [(&["cmp", "generate"], String::new()), (&["cmp", "generate", "-"], resources.to_owned()), (&[], list)]
}

const IN_ARGOCD: &[(&str, &str)] =
    &[("ARGOCD_APP_SOURCE_PATH", "apps/shop"), ("ARGOCD_APP_NAMESPACE", "shop")];

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn pillion_yaml_of_an_application_counts_for_nothing() {
    let harmless = LOG_SET.replace("name: log}", "name: none}").replace("log: \"true\"", "log: never");
    for own in [
        "".to_owned(),
        "sidecarSets: []\n".to_owned(),
        "ignore: ['**']\n".to_owned(),
        indoc! {"
            namespaces:
            - {folder: ., name: elsewhere}
            sidecarSets: []
        "}
        .to_owned(),
        "sidecarSets: [own]\n".to_owned(),
        "annotations: none\nledgers: ledgers\n".to_owned(),
        "kinds: nonsense\n".to_owned(),
    ] {
        let own = format!("{HEAD}{own}");
        for place in ["apps/shop/pillion.yaml", "apps/pillion.yaml"] {
            let folder = repository(&[
                (place, &own),
                ("apps/shop/own/set.yaml", &harmless),
                ("apps/own/set.yaml", &harmless),
            ]);
            fs::remove_dir_all(folder.path().join("apps/shop/own")).unwrap();
            fs::create_dir(folder.path().join(".git")).unwrap();
            for (arguments, stdin) in ways(WEB) {
                let output = pillion(&folder.path().join("apps/shop"), arguments, &stdin, IN_ARGOCD);
                assert!(output.status.success(), "{place} {own} {arguments:?}: {}", stderr(&output));
                let text = String::from_utf8_lossy(&output.stdout);
                assert!(text.contains("logtail:1.4.2"), "{place} {own} {arguments:?}: {text}");
            }
        }
    }
}

#[test]
fn a_faked_root_is_none() {
    let own = format!("{HEAD}sidecarSets: []\n");
    for fake in ["apps/shop/.git/HEAD", "apps/shop/.git"] {
        let folder = repository(&[("apps/shop/pillion.yaml", &own), (fake, "ref: refs/heads/main\n")]);
        fs::create_dir(folder.path().join(".git")).unwrap();
        for (arguments, stdin) in ways(WEB) {
            let output = pillion(&folder.path().join("apps/shop"), arguments, &stdin, IN_ARGOCD);
            assert!(
                String::from_utf8_lossy(&output.stdout).contains("logtail"),
                "{fake} {arguments:?}: {}",
                stderr(&output)
            );
        }
    }
    // The folder of the Application is a link to one that is deeper, below a pillion.yaml of its own.
    let folder = repository(&[
        ("apps/real/a/b/web.yaml", WEB),
        ("apps/real/a/pillion.yaml", &own),
        ("apps/real/pillion.yaml", &own),
    ]);
    fs::remove_dir_all(folder.path().join("apps/shop")).unwrap();
    std::os::unix::fs::symlink("real/a/b", folder.path().join("apps/shop")).unwrap();
    for (arguments, stdin) in &ways(WEB)[..2] {
        let output = pillion(&folder.path().join("apps/shop"), arguments, stdin, IN_ARGOCD);
        assert!(
            String::from_utf8_lossy(&output.stdout).contains("logtail"),
            "{arguments:?}: {}",
            stderr(&output)
        );
    }
}

#[test]
fn what_an_application_brings_is_added_and_replaces_nothing() {
    let other = LOG_SET.replace("name: log}", "name: trace}").replace("logtail", "tracer");
    // Beside the manifests, and the same set once more.
    for resources in [format!("{WEB}---\n{other}"), format!("{WEB}---\n{LOG_SET}---\n{other}")] {
        let folder = repository(&[]);
        let app = folder.path().join("apps/shop");
        let output = pillion(&app, &["cmp", "generate", "-"], &resources, IN_ARGOCD);
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(text.contains("logtail:1.4.2") && text.contains("tracer"), "{}", stderr(&output));
    }
    let folder = repository(&[("apps/shop/set.yaml", &other)]);
    let output = pillion(&folder.path().join("apps/shop"), &["cmp", "generate"], "", IN_ARGOCD);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("logtail:1.4.2") && text.contains("tracer"), "{}", stderr(&output));
    // Another set of the same name is an error.
    let folder = repository(&[]);
    let weaker = LOG_SET.replace("log: \"true\"", "log: never");
    let output = pillion(
        &folder.path().join("apps/shop"),
        &["cmp", "generate", "-"],
        &format!("{WEB}---\n{weaker}"),
        IN_ARGOCD,
    );
    assert!(
        output.status.code() == Some(1) && stderr(&output).contains("two SidecarSets"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn ledgers_are_those_of_the_platform() {
    let ledger = crate::support::rollout_fixtures::ledger_at(LOG_SET);
    // Nothing is released.
    let empty = ledger
        .lines()
        .filter(|line| !line.trim_start().starts_with("released:"))
        .map(|line| format!("{line}\n"))
        .collect::<String>();
    let config = format!("{HEAD}sidecarSets: [sidecars]\nledgers: ledgers\n");
    for config in [format!("{HEAD}sidecarSets: [sidecars]\n"), config] {
        let files = [
            ("pillion.yaml", config.as_str()),
            ("ledgers/log.yaml", ledger.as_str()),
            ("apps/shop/own/log.yaml", empty.as_str()),
        ];
        let folder = repository(&files);
        let app = folder.path().join("apps/shop");
        let output = pillion(&app, &["cmp", "generate", "-"], &format!("{WEB}---\n{empty}"), IN_ARGOCD);
        assert!(
            output.status.code() == Some(1) && stderr(&output).contains("ledger-misplaced"),
            "{}",
            stderr(&output)
        );
        let output = pillion(&app, &["cmp", "generate"], "", IN_ARGOCD);
        assert!(
            output.status.code() == Some(1) && stderr(&output).contains("ledger-misplaced"),
            "{}",
            stderr(&output)
        );
    }
}

#[test]
fn no_sidecar_set_at_all_is_an_error() {
    for config in
        [HEAD.to_owned(), format!("{HEAD}sidecarSets: []\n"), format!("{HEAD}sidecarSets: [sidecars]\n")]
    {
        let folder = repository(&[("pillion.yaml", &config)]);
        fs::write(folder.path().join("sidecars/log.yaml"), "# none yet\n").unwrap();
        for (arguments, stdin) in ways(WEB) {
            let output = pillion(&folder.path().join("apps/shop"), arguments, &stdin, IN_ARGOCD);
            assert_eq!(output.status.code(), Some(1), "{config} {arguments:?}: {}", stderr(&output));
            assert!(stderr(&output).contains("no-sidecarset"), "{config} {arguments:?}: {}", stderr(&output));
            assert!(!arguments.contains(&"cmp") || output.stdout.is_empty());
        }
    }
    // The exec plugin of kustomize, without any configuration.
    let folder = repository(&[(
        "config",
        indoc! {"
            apiVersion: pillion.dev/v1alpha1
            kind: Sidecars
            metadata: {name: s}
            spec: {}
        "},
    )]);
    fs::write(folder.path().join("pillion.yaml"), HEAD).unwrap();
    let output = pillion(folder.path(), &["./config"], WEB, &[]);
    assert!(
        output.status.code() == Some(1) && stderr(&output).contains("no-sidecarset"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn the_operator_says_which_pillion_yaml_counts() {
    let none = format!("{HEAD}sidecarSets: []\n");
    let platform = format!("{HEAD}sidecarSets: [sets]\n");
    let folder = repository(&[
        ("pillion.yaml", &none),
        ("platform/pillion.yaml", &platform),
        ("platform/sets/log.yaml", LOG_SET),
    ]);
    fs::create_dir(folder.path().join(".git")).unwrap();
    let elsewhere = repository(&[]);
    let absolute = elsewhere.path().join("pillion.yaml").display().to_string();
    let app = folder.path().join("apps/shop");
    for pinned in ["platform/pillion.yaml", &absolute] {
        for (arguments, stdin) in ways(WEB) {
            let output =
                pillion(&app, arguments, &stdin, &[IN_ARGOCD, &[("PILLION_CONFIG", pinned)]].concat());
            assert!(
                String::from_utf8_lossy(&output.stdout).contains("logtail"),
                "{pinned} {arguments:?}: {}",
                stderr(&output)
            );
        }
    }
    let missing = [IN_ARGOCD, &[("PILLION_CONFIG", "no/pillion.yaml")]].concat();
    let output = pillion(&app, &["cmp", "generate"], "", &missing);
    assert!(
        output.status.code() == Some(1) && stderr(&output).contains("PILLION_CONFIG"),
        "{}",
        stderr(&output)
    );
    // What an Application sets has another name.
    let theirs = [IN_ARGOCD, &[("ARGOCD_ENV_PILLION_CONFIG", "platform/pillion.yaml")]].concat();
    assert_eq!(pillion(&app, &["cmp", "generate"], "", &theirs).status.code(), Some(1));
}

#[test]
fn a_link_is_no_configuration() {
    let folder = repository(&[("apps/shop/harmless.yaml.txt", &format!("{HEAD}sidecarSets: []\n"))]);
    fs::remove_file(folder.path().join("pillion.yaml")).unwrap();
    std::os::unix::fs::symlink("apps/shop/harmless.yaml.txt", folder.path().join("pillion.yaml")).unwrap();
    let output = pillion(&folder.path().join("apps/shop"), &["cmp", "generate"], "", IN_ARGOCD);
    assert!(
        output.status.code() == Some(1) && stderr(&output).contains("symlink-outside"),
        "{}",
        stderr(&output)
    );
}
