//! Does an example's README show what happens, with the real program that it needs? `UPDATE_GOLDEN=1` writes down what
//! came out.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The folder of an example.
pub(crate) fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name)
}

/// Copies a folder with all that is in it.
pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, target).unwrap();
        }
    }
}

/// Plays the console blocks of a page; `program` makes a command of a program and its arguments.
pub(crate) fn check(page: &Path, program: impl Fn(&str, &[&str]) -> Command) {
    let written = fs::read_to_string(page).unwrap();
    let (mut new, mut in_block) = (String::new(), false);
    let mut lines = written.lines().peekable();
    while let Some(line) = lines.next() {
        let _ = writeln!(new, "{line}");
        in_block = if line.starts_with("```") { !in_block && line == "```console" } else { in_block };
        let Some(command) = line.strip_prefix("$ ").filter(|_| in_block) else { continue };
        while lines.peek().is_some_and(|l| !l.starts_with("$ ") && !l.starts_with("```")) {
            lines.next();
        }
        let output = program("/bin/sh", &["-c", &format!("exec 2>&1; {command}")]).output().unwrap();
        new.push_str(&String::from_utf8(output.stdout).unwrap());
        if !output.status.success() {
            let _ = writeln!(new, "? {}", output.status.code().unwrap_or(-1));
        }
    }
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(page, &new).unwrap();
    }
    assert_eq!(fs::read_to_string(page).unwrap(), new);
}
