//! Completions as the script of a shell asks for them: names of the repository, and silence in every other case.

use indoc::indoc;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use tempfile::TempDir;

const CONFIG: &str = indoc! {"
    apiVersion: pillion.dev/v1alpha1
    kind: Repository
    sources: [apps]
    sidecarSets: [sets]
    ledgers: ledgers
    clusters:
    - {name: eu, build: [touch, built]}
    - {name: us}
    namespaces:
    - {folder: apps, name: shop}
"};

fn put(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// A repository with two SidecarSets, a ledger of a third, and workloads.
fn repository() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    put(folder.path(), ".git/HEAD", "");
    put(folder.path(), "pillion.yaml", &CONFIG.replace(", build: [touch, built]", ""));
    for name in ["log", "metrics"] {
        let set =
            format!("apiVersion: apps.kruise.io/v1beta1\nkind: SidecarSet\nmetadata: {{name: {name}}}\n");
        put(folder.path(), &format!("sets/{name}.yaml"), &set);
    }
    put(
        folder.path(),
        "ledgers/eu/lego.yaml",
        indoc! {"
            apiVersion: pillion.dev/v1alpha1
            kind: SidecarRollout
            metadata: {name: lego}
            spec:
              workloads:
                Deployment.apps/shop/built-elsewhere: {revision: lego-1}
        "},
    );
    let workload = |kind: &str, name: &str| {
        format!(
            "apiVersion: apps/v1\nkind: {kind}\nmetadata: {{name: {name}}}\nspec: {{template: {{spec: {{}}}}}}\n---\n"
        )
    };
    put(folder.path(), "apps/web.yaml", &(workload("Deployment", "web") + &workload("StatefulSet", "db")));
    folder
}

/// Asks as the script of fish does: the last word is still being typed.
fn ask(folder: &Path, words: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pillion"));
    command.env_clear().env("PILLION_COMPLETE", "fish").current_dir(folder);
    command.args(["--", "pillion"]).args(words).output().unwrap()
}

/// The names that complete the last word.
fn complete(folder: &Path, words: &[&str]) -> Vec<String> {
    let answer = ask(folder, words);
    assert_eq!((answer.status.code(), &*answer.stderr), (Some(0), &b""[..]), "{words:?}: {answer:?}");
    let text = String::from_utf8(answer.stdout).unwrap();
    text.lines().map(|line| line.split('\t').next().unwrap().to_owned()).collect()
}

#[test]
fn names_are_those_of_the_repository() {
    let folder = repository();
    let folder = folder.path();
    for command in ["pause", "resume", "approve", "rollback", "promote", "start", "stage", "status", "plan"] {
        assert_eq!(complete(folder, &[command, "l"]), ["lego", "log"], "{command}");
    }
    assert_eq!(complete(folder, &["plan", "log", "m"]), ["metrics"]);
    assert_eq!(complete(folder, &["hold", "web", "--sidecarset", "m"]), ["metrics"]);
    assert_eq!(complete(folder, &["pause", "log", "--cluster", ""]), ["eu", "us"]);
    assert_eq!(complete(folder, &["pause", "log", "--cluster=u"]), ["--cluster=us"]);
    for command in ["hold", "explain"] {
        assert_eq!(
            complete(folder, &[command, ""]).join(" ").split(" -").next(),
            Some("built-elsewhere db web")
        );
        assert_eq!(complete(folder, &[command, "deploy/w"]), ["deploy/web"], "{command}");
        assert_eq!(complete(folder, &[command, "Stat"]), ["StatefulSet/db"], "{command}");
        assert_eq!(complete(folder, &[command, "shop/"]), ["shop/built-elsewhere", "shop/db", "shop/web"]);
    }
    assert_eq!(complete(folder, &["explain", "transfer-env-m"]), ["transfer-env-missing"]);
    // Below the folder of pillion.yaml, beside it with `-C`, and with `--config`.
    assert_eq!(complete(&folder.join("apps"), &["pause", "lo"]), ["log"]);
    let elsewhere = tempfile::tempdir().unwrap();
    let text = folder.display().to_string();
    assert_eq!(complete(elsewhere.path(), &["-C", &text, "pause", "lo"]), ["log"]);
    assert_eq!(
        complete(elsewhere.path(), &["pause", "--config", &format!("{text}/pillion.yaml"), "lo"]),
        ["log"]
    );
    // Commands and flags are known as ever.
    assert_eq!(complete(folder, &["rollb"]), ["rollback"]);
    assert!(complete(folder, &["pause", "--no-f"]).contains(&"--no-fetch".to_owned()));
}

#[test]
fn what_is_wrong_gives_no_names_and_no_message() {
    let empty = tempfile::tempdir().unwrap();
    let asked: &[&[&str]] =
        &[&["pause", ""], &["hold", "w"], &["explain", "shop/"], &["pause", "--cluster", ""]];
    let outside =
        |folder: &Path| asked.iter().all(|words| complete(folder, words).iter().all(|n| n.starts_with('-')));
    assert!(outside(empty.path()), "outside of a repository");
    // A set in a folder without pillion.yaml: the folder may be a home folder.
    put(
        empty.path(),
        "sets/log.yaml",
        "apiVersion: apps.kruise.io/v1beta1\nkind: SidecarSet\nmetadata: {name: log}\n",
    );
    assert!(outside(empty.path()), "without pillion.yaml");
    for broken in
        ["", "kind: [", "\u{0}", "apiVersion: pillion.dev/v1alpha1\nkind: Repository\nsouces: [a]\n"]
    {
        put(empty.path(), "pillion.yaml", broken);
        assert!(outside(empty.path()), "{broken:?}");
    }
    let folder = repository();
    put(folder.path(), "apps/broken.yaml", "kind: Deployment\n  metadata: {");
    put(folder.path(), "sets/broken.yaml", "kind: SidecarSet\n - {");
    put(folder.path(), "ledgers/eu/log.yaml", "<<<<<<< HEAD");
    put(folder.path(), "apps/kust/kustomization.yaml", "resources: [a.yaml]\n");
    fs::write(folder.path().join("apps/binary.yaml"), b"\xff\xfe kind: Pod \x00").unwrap();
    assert_eq!(complete(folder.path(), &["pause", "lo"]), ["log"]);
    assert_eq!(complete(folder.path(), &["hold", "db"]), ["db"]);
    assert!(
        complete(folder.path(), &["-C", "/nowhere", "pause", "lo"]).is_empty(),
        "names of another repository"
    );
    assert!(complete(folder.path(), &["nonsense", "--what", "x"]).is_empty());
}

/// A person types meanwhile: what cannot be read in a second has no names.
#[cfg(unix)]
#[test]
fn a_file_that_never_ends_is_not_waited_for() {
    let folder = repository();
    let pipe = |name: &str| {
        let made = Command::new("mkfifo").arg(folder.path().join(name)).status().unwrap();
        assert!(made.success());
    };
    pipe("sets/pipe.yaml");
    pipe("apps/pipe.yaml");
    let begun = std::time::Instant::now();
    let _ = complete(folder.path(), &["pause", "lo"]);
    let _ = complete(folder.path(), &["hold", "w"]);
    fs::remove_file(folder.path().join("pillion.yaml")).unwrap();
    pipe("pillion.yaml");
    assert!(complete(folder.path(), &["pause", "lo"]).is_empty());
    // Three times the limit, and as much for a busy machine as a test may take.
    assert!(begun.elapsed().as_secs() < 60, "{:?}", begun.elapsed());
}

/// A shell puts a completion into the command line without quoting it.
#[test]
fn a_name_with_characters_of_a_shell_is_not_offered() {
    let folder = repository();
    for (file, name) in
        [("a", "$(touch pwned)"), ("b", "lo; reboot"), ("c", "*"), ("d", "-rf"), ("e", "lo\\u001b[2J")]
    {
        let set =
            format!("apiVersion: apps.kruise.io/v1beta1\nkind: SidecarSet\nmetadata: {{name: \"{name}\"}}\n");
        put(folder.path(), &format!("sets/{file}.yaml"), &set);
        put(
            folder.path(),
            &format!("apps/{file}.yaml"),
            &format!("apiVersion: v1\nkind: Pod\nmetadata: {{name: \"{name}\"}}\n"),
        );
    }
    put(folder.path(), "ledgers/eu/$(id).yaml", "kind: SidecarRollout");
    let names = |words: &[&str]| {
        complete(folder.path(), words).into_iter().filter(|n| !n.starts_with("--")).collect::<Vec<_>>()
    };
    assert_eq!(
        names(&["pause", ""]).into_iter().filter(|n| n.len() > 2).collect::<Vec<_>>(),
        ["lego", "log", "metrics"]
    );
    assert_eq!(
        names(&["hold", ""]).into_iter().filter(|n| n != "-C").collect::<Vec<_>>().len(),
        3,
        "three workloads"
    );
}

/// The commands of `build` do not run, and neither does git, from which a prompt would wait for the network.
#[test]
fn a_completion_runs_no_program() {
    let folder = repository();
    put(folder.path(), "pillion.yaml", CONFIG);
    assert_eq!(complete(folder.path(), &["hold", "built"]), ["built-elsewhere"]);
    assert_eq!(complete(folder.path(), &["pause", "lo"]), ["log"]);
    assert!(!folder.path().join("built").exists());
}

/// A variable that was exported changes no other command.
#[test]
fn the_variable_alone_is_no_question() {
    let folder = repository();
    let run = |shell: &str, args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pillion"));
        command.env_clear().env("PILLION_COMPLETE", shell).current_dir(folder.path());
        command.args(args).output().unwrap()
    };
    let version = run("bash", &["--version"]);
    assert!(version.stdout.starts_with(b"pillion "), "{version:?}");
    let unknown = run("tcsh", &["--", "pillion", "pause", ""]);
    assert_eq!((unknown.status.code(), &*unknown.stdout), (Some(2), &b""[..]), "{unknown:?}");
}

#[test]
fn every_shell_has_a_script() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output =
            Command::new(env!("CARGO_BIN_EXE_pillion")).args(["completions", shell]).output().unwrap();
        let script = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && script.contains("PILLION_COMPLETE"), "{shell}: {script}");
    }
}

/// The script in a real bash, which calls the program by its name.
#[cfg(unix)]
#[test]
fn bash_completes_names() {
    let folder = repository();
    let program = Path::new(env!("CARGO_BIN_EXE_pillion"));
    let script = indoc! {r#"
        source <(pillion completions bash)
        COMP_WORDS=(pillion pause l); COMP_CWORD=2; COMP_TYPE=9
        _clap_complete_pillion pillion l pause
        printf '%s\n' "${COMPREPLY[@]}"
    "#};
    let path =
        format!("{}:{}", program.parent().unwrap().display(), std::env::var("PATH").unwrap_or_default());
    let output = Command::new("bash")
        .args(["--norc", "--noprofile", "-c", script])
        .env_clear()
        .env("PATH", path)
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert_eq!((String::from_utf8_lossy(&output.stdout), &*output.stderr), ("lego\nlog\n".into(), &b""[..]));
}
