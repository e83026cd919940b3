//! Unreadable inputs are never skipped: every command reports where they are, and nothing in git changes.

use crate::support::cluster_view::Texts;
use crate::support::git_fixtures::{Repo, TestEnvironment};
use crate::support::rollout_fixtures::{example, newer, released};
use std::fs;

/// What one look at a broken repository has to say.
const COMMANDS: &[&[&str]] = &[
    &["render", "."],
    &["render", "--out", "rendered"],
    &["render", "--check"],
    &["validate"],
    &["explain", "Deployment/web"],
    &["plan"],
    &["stage"],
    &["start", "log"],
    &["status"],
    &["verify"],
    &["init", "rollout"],
    &["pause", "log"],
    &["rollback", "log"],
    &["hold", "Deployment/web"],
];

/// A repository in which a rollout is open and its first batch is out; HEAD is detached.
fn open(test_env: &TestEnvironment) -> (Repo, Texts) {
    let repo = released(test_env, "repo");
    repo.git(&["switch", "-q", "--detach"]);
    let texts = newer(example());
    repo.hold(&texts).commit("logtail 1.5.0");
    repo.git(&["branch", "-f", "main", "HEAD"]);
    repo.pillion(&["stage"]);
    repo.release("pillion/main/log~3");
    repo.git(&["switch", "-q", "--detach", "main"]);
    (repo, texts)
}

/// Commits a change to what is on main.
fn commit(repo: &Repo, path: &str, bytes: &[u8]) {
    repo.put(path, bytes).commit("a slip");
    repo.git(&["branch", "-f", "main", "HEAD"]);
}

/// Every command fails, says where, and moves nothing.
fn assert_refused(repo: &Repo, place: &str, code: &str) {
    let refs = repo.git(&["for-each-ref"]);
    let rendered = files(repo, "rendered");
    for command in COMMANDS {
        let output = repo.try_pillion(&[*command, &["--message-format", "short"]].concat());
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(matches!(output.status.code(), Some(1 | 2)), "{command:?}: {:?}\n{stderr}", output.status);
        assert!(stderr.contains(&format!("{place}: error[{code}]")), "{command:?} of {place}:\n{stderr}");
        assert_eq!(refs, repo.git(&["for-each-ref"]), "{command:?} moved something");
        assert_eq!(rendered, files(repo, "rendered"), "{command:?} wrote something");
    }
}

fn files(repo: &Repo, folder: &str) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let mut folders = vec![repo.path.join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path)
            } else {
                found.push((path.clone(), fs::read(path).unwrap()))
            }
        }
    }
    found.sort();
    found
}

#[test]
fn a_sidecarset_with_one_space_too_few_is_not_deleted() {
    let test_env = TestEnvironment::new();
    let (repo, texts) = open(&test_env);
    let broken = texts["sidecars/log.yaml"].replace("    image:", "   image:");
    commit(&repo, "sidecars/log.yaml", broken.as_bytes());
    assert_refused(&repo, "sidecars/log.yaml:9:4", "invalid-yaml");
    let head = repo.git(&["rev-parse", "main"]);
    repo.put("sidecars/log.yaml", &texts["sidecars/log.yaml"]).commit("fixed");
    repo.git(&["branch", "-f", "main", "HEAD"]);
    assert_ne!(head, repo.git(&["rev-parse", "main"]));
    let staged = repo.pillion(&["stage"]);
    assert!(staged.contains("batch 3/"), "the rollout goes on where it was: {staged}");
}

#[test]
fn a_workload_that_cannot_be_read_is_not_one_workload_fewer() {
    let test_env = TestEnvironment::new();
    let (repo, texts) = open(&test_env);
    let path = "apps/shop/cart.yaml";
    let line = texts[path].lines().position(|l| l.contains("kind: ")).unwrap() + 1;
    let broken = texts[path].replacen("kind: ", "kind ", 1);
    assert_ne!(broken, texts[path]);
    commit(&repo, path, broken.as_bytes());
    let place = format!("{path}:{}:1", line.max(2));
    let stderr = String::from_utf8_lossy(&repo.try_pillion(&["plan", "--message-format", "short"]).stderr)
        .into_owned();
    let place = stderr
        .lines()
        .find_map(|l| l.split_once(": error[invalid-yaml]"))
        .map_or(place, |(at, _)| at.to_owned());
    assert!(place.starts_with(path), "{stderr}");
    assert_refused(&repo, &place, "invalid-yaml");
}

#[test]
fn a_workload_with_a_key_twice_is_not_passed_over() {
    let test_env = TestEnvironment::new();
    let (repo, texts) = open(&test_env);
    let path = "apps/shop/web.yaml";
    commit(&repo, path, format!("{}spec: {{}}\n", texts[path].trim_end().to_owned() + "\n").as_bytes());
    let line = texts[path].trim_end().lines().count() + 1;
    assert_refused(&repo, &format!("{path}:{line}:1"), "duplicate-key");
}

#[test]
fn a_ledger_that_cannot_be_read_is_not_absent() {
    let test_env = TestEnvironment::new();
    let (repo, _) = open(&test_env);
    let text = repo.git(&["show", "main:ledgers/log.yaml"]) + "\n";
    commit(&repo, "ledgers/log.yaml", text.replacen("spec:", "spec", 1).as_bytes());
    let stderr = String::from_utf8_lossy(&repo.try_pillion(&["plan", "--message-format", "short"]).stderr)
        .into_owned();
    let place =
        stderr.lines().find_map(|l| l.split_once(": error[invalid-yaml]")).map(|(at, _)| at.to_owned());
    let place = place.unwrap_or_else(|| panic!("{stderr}"));
    assert!(place.starts_with("ledgers/log.yaml:"), "{stderr}");
    assert_refused(&repo, &place, "invalid-yaml");
}

#[test]
fn a_sidecarset_of_other_bytes_or_another_kind_is_not_deleted() {
    let test_env = TestEnvironment::new();
    let (repo, texts) = open(&test_env);
    let sound = &texts["sidecars/log.yaml"];
    let before = repo.git(&["rev-parse", "main"]);
    let utf16: Vec<u8> =
        [0xff, 0xfe].into_iter().chain(sound.encode_utf16().flat_map(u16::to_le_bytes)).collect();
    let escaped =
        sound.replace("kind: SidecarSet", "\"kind\": \"Sidecar\\u0053et\"").replace("image:", "image");
    for (bytes, place, code) in [
        (utf16, "1:1", "not-utf8"),
        (sound.replace("logs", "l\0gs").into_bytes(), "10:28", "nul-byte"),
        (sound.replace("SidecarSet", "Sidecarset").into_bytes(), "2:7", "misspelt-kind"),
        (sound.replace("apps.kruise.io", "app.kruise.io").into_bytes(), "1:13", "misspelt-kind"),
        (sound.replace("kind: SidecarSet\n", "").into_bytes(), "1:13", "misspelt-kind"),
        (escaped.into_bytes(), "9:5", "invalid-yaml"),
    ] {
        commit(&repo, "sidecars/log.yaml", &bytes);
        assert_refused(&repo, &format!("sidecars/log.yaml:{place}"), code);
        repo.git(&["reset", "-q", "--hard", &before]);
    }
}

#[cfg(unix)]
#[test]
fn a_link_that_leads_nowhere_is_not_a_deleted_sidecarset() {
    let test_env = TestEnvironment::new();
    let (repo, _) = open(&test_env);
    fs::remove_file(repo.path.join("sidecars/log.yaml")).unwrap();
    std::os::unix::fs::symlink("gone.yaml", repo.path.join("sidecars/log.yaml")).unwrap();
    repo.commit("a slip");
    repo.git(&["branch", "-f", "main", "HEAD"]);
    assert_refused(&repo, "sidecars/log.yaml:1:1", "symlink-outside");
}

#[cfg(unix)]
#[test]
fn a_configuration_that_cannot_be_read_is_no_missing_one() {
    let test_env = TestEnvironment::new();
    let (repo, texts) = open(&test_env);
    commit(&repo, "pillion.yaml", texts["pillion.yaml"].replace("ledgers: ", "ledgers ").as_bytes());
    assert_refused(&repo, "pillion.yaml:6:1", "invalid-yaml");
    repo.git(&["reset", "-q", "--hard", "HEAD~1"]);
    fs::remove_file(repo.path.join("pillion.yaml")).unwrap();
    std::os::unix::fs::symlink("gone.yaml", repo.path.join("pillion.yaml")).unwrap();
    for command in [&["render"][..], &["validate"], &["plan"]] {
        let (code, stderr) = repo.refused(command);
        assert!(code == 2 && stderr.contains("pillion.yaml"), "{command:?} {code}: {stderr}");
    }
}

#[test]
fn a_folder_of_sidecarsets_that_is_gone_is_said() {
    let test_env = TestEnvironment::new();
    let (repo, texts) = open(&test_env);
    commit(&repo, "pillion.yaml", texts["pillion.yaml"].replace("[sidecars]", "[sidecar]").as_bytes());
    let stderr = String::from_utf8_lossy(&repo.try_pillion(&["plan"]).stderr).into_owned();
    assert!(stderr.contains("`sidecar` does not exist: its SidecarSets count as deleted"), "{stderr}");
}

#[test]
fn a_manifest_that_git_does_not_hold_is_not_passed_over() {
    let test_env = TestEnvironment::new();
    let (repo, texts) = open(&test_env);
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a21\nsize 12345\n";
    commit(&repo, "apps/shop/web.yaml", pointer.as_bytes());
    assert_refused(&repo, "apps/shop/web.yaml:1:1", "unreadable-file");
    commit(&repo, "apps/shop/web.yaml", texts["apps/shop/web.yaml"].as_bytes());
    repo.pillion(&["stage"]);
    // A submodule has files on a disk, and none in a commit.
    let id = repo.id("HEAD").to_string();
    repo.git(&["update-index", "--add", "--cacheinfo", &format!("160000,{id},apps/shop/more")]);
    repo.git(&["commit", "-q", "-m", "a submodule"]);
    repo.git(&["branch", "-f", "main", "HEAD"]);
    let before = repo.git(&["for-each-ref"]);
    for command in [&["stage"][..], &["status"], &["verify"], &["pause", "log"], &["rollback", "log"]] {
        let (code, stderr) = repo.refused(&[command, &["--message-format", "short"]].concat());
        assert!(
            code == 1 && stderr.contains("apps/shop/more:1:1: error[unreadable-file]"),
            "{command:?}: {stderr}"
        );
    }
    assert_eq!(before, repo.git(&["for-each-ref"]));
    commit(&repo, "pillion.yaml", format!("{}ignore: [apps/shop/more]\n", texts["pillion.yaml"]).as_bytes());
    repo.pillion(&["stage"]);
}

#[test]
fn a_ledger_that_nobody_names_is_an_error() {
    let test_env = TestEnvironment::new();
    let (repo, texts) = open(&test_env);
    let settings = &texts["pillion.yaml"];
    let without = settings.replace("ledgers: ledgers\n", "");
    assert_ne!(settings, &without);
    commit(&repo, "pillion.yaml", without.as_bytes());
    assert_refused(&repo, "ledgers/log.yaml:1:1", "ledger-not-configured");
    // A cluster that is no longer named, and one that is new.
    commit(&repo, "pillion.yaml", format!("{settings}clusters: [{{name: eu}}]\n").as_bytes());
    assert_refused(&repo, "ledgers/log.yaml:1:1", "ledger-not-configured");
    commit(&repo, "pillion.yaml", settings.as_bytes());
    repo.pillion(&["stage"]);
    // Without any pillion.yaml the whole folder is rendered.
    repo.git(&["mv", "pillion.yaml", "pillion.yml"]);
    let (code, stderr) = repo.refused(&["render"]);
    assert!(code == 1 && stderr.contains("ledger-not-configured"), "{stderr}");
}

#[cfg(feature = "watch")]
#[test]
fn a_watch_that_cannot_read_everything_releases_nothing() {
    let test_env = TestEnvironment::new();
    let (repo, mut texts) = open(&test_env);
    let cluster = crate::support::fake_cluster::FakeCluster::start();
    let settings = texts.get_mut("pillion.yaml").unwrap();
    *settings = settings.replace("  soak: 120s", "  soak: 120s\n  start: Auto");
    let (settings, set) = (settings.clone(), texts["sidecars/log.yaml"].clone());
    commit(&repo, "pillion.yaml", settings.as_bytes());
    let slips: [(&str, String, &str); 5] = [
        ("sidecars/log.yaml", set.replace("  selector:", " selector:"), "invalid-yaml"),
        ("sidecars/log.yaml", format!("{set}spec: {{}}\n"), "duplicate-key"),
        ("ledgers/log.yaml", "<<<<<<< HEAD\n".to_owned(), "ledger-broken"),
        ("pillion.yaml", settings.replace("ledgers: ledgers\n", ""), "ledger-not-configured"),
        ("apps/shop/web.yaml", "kind: Deployment\n\tspec: {}\n".to_owned(), "invalid-yaml"),
    ];
    let sound = repo.id("HEAD").to_string();
    for (path, text, code) in slips {
        repo.git(&["switch", "-q", "--detach", &sound]);
        commit(&repo, path, text.as_bytes());
        let before = repo.git(&["for-each-ref"]);
        let mut watch = repo.command(env!("CARGO_BIN_EXE_pillion"));
        let output =
            watch.args(["watch", "--once"]).env("KUBECONFIG", cluster.kubeconfig()).output().unwrap();
        let message = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(
            output.status.code() == Some(1) && message.contains(code),
            "{path}, {code}: {}\n{message}",
            output.status
        );
        assert_eq!(before, repo.git(&["for-each-ref"]), "{path}, {code}");
    }
}

#[test]
fn a_ledger_with_another_ending_is_not_left_out() {
    let test_env = TestEnvironment::new();
    let (repo, _) = open(&test_env);
    repo.git(&["mv", "ledgers/log.yaml", "ledgers/log.yml"]);
    repo.commit("a slip");
    repo.git(&["branch", "-f", "main", "HEAD"]);
    for command in [&["plan"][..], &["stage"], &["render", "--check"]] {
        let (code, stderr) = repo.refused(command);
        assert_ne!(code, 0, "{command:?}: {stderr}");
        assert!(stderr.contains("ledger-not-configured"), "{command:?}: {stderr}");
        assert!(stderr.contains("rename it to `log.yaml`"), "{command:?}: {stderr}");
    }
}
