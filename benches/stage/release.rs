//! Brings a generated repository to where a rollout begins: the first image is released, the second is committed.

use std::path::Path;
use std::process::Command;

/// Releases the first image, and commits the second.
pub(crate) fn release_and_change(repository: &Path, pillion: &str) {
    let git = |args: &[&str]| run("git", args, repository);
    git(&["init", "-q", "-b", "main"]);
    let text = std::fs::read_to_string(repository.join("pillion.yaml")).unwrap();
    std::fs::write(repository.join("pillion.yaml"), text.replace("ledgers: ledgers\n", "")).unwrap();
    run(pillion, &["render", "--out", "rendered"], repository);
    std::fs::write(repository.join("pillion.yaml"), text).unwrap();
    git(&["add", "-A"]);
    git(&["-c", "gc.auto=0", "commit", "-q", "-m", "start"]);
    git(&["switch", "-q", "--detach"]);
    run(pillion, &["init", "rollout", "--push"], repository);
    git(&["switch", "-q", "main"]);
    git(&["reset", "-q", "--hard"]);
    let set = repository.join("sidecars/log.yaml");
    let text = std::fs::read_to_string(&set).unwrap();
    std::fs::write(&set, text.replace("1.4.2", "1.5.0")).unwrap();
    git(&["commit", "-q", "-a", "-m", "log 1.5.0"]);
}

/// Runs a program in a folder; it has to succeed.
pub(crate) fn run(program: &str, args: &[&str], folder: &Path) {
    let output = command(&[&[program], args].concat()).current_dir(folder).output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Returns a command that knows no configuration of git but an author.
pub(crate) fn command(words: &[impl AsRef<str>]) -> Command {
    let mut command = Command::new(words[0].as_ref());
    command.args(words[1..].iter().map(AsRef::as_ref));
    command.envs([("GIT_CONFIG_GLOBAL", "/dev/null"), ("GIT_CONFIG_NOSYSTEM", "1")]);
    for who in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{who}_NAME"), "bench").env(format!("GIT_{who}_EMAIL"), "bench@localhost");
    }
    command
}
