//! Runs the console blocks of pages and compares their output with the page. `UPDATE_GOLDEN=1` rewrites the page.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Returns the folder of an example.
pub(crate) fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name)
}

/// Copies an example, but for its page.
pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        match path.is_dir() {
            true => copy(&path, &target),
            false if path.ends_with("README.md") => {}
            false => drop(fs::copy(&path, target).unwrap()),
        }
    }
}

/// Plays a page; `shell` makes the command that a shell is to be started with.
pub(crate) fn check(page: &Path, shell: impl Fn() -> Command) {
    let written = fs::read_to_string(page).unwrap();
    let mut new = String::new();
    let mut lines = written.lines().peekable();
    let mut in_block = false;
    while let Some(line) = lines.next() {
        new.push_str(line);
        new.push('\n');
        in_block = if line.starts_with("```") { !in_block && line == "```console" } else { in_block };
        if let Some(command) = line.strip_prefix("$ ").filter(|_| in_block) {
            while lines.peek().is_some_and(|l| !l.starts_with("$ ") && !l.starts_with("```")) {
                lines.next();
            }
            new.push_str(&run(command, shell()));
        }
    }
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(page, new).unwrap();
    } else {
        assert_eq!(written, new);
    }
}

/// Runs one command line, and returns what it prints, and its exit code where that is not 0.
fn run(line: &str, mut shell: Command) -> String {
    let output = shell.args(["-c", &format!("exec 2>&1; {line}")]).output().unwrap();
    let mut text = String::from_utf8(output.stdout).unwrap();
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    match output.status.code() {
        Some(0) => text,
        code => format!("{text}? {}\n", code.unwrap_or(-1)),
    }
}
