//! Runs every folder of golden/ with a `case.toml` as a named test, and every `timeline.yaml` of golden/watch.
//!
//! A case: `case.toml` (`args`, `exit`, `stdin`, `links`, `before`, `after`, `oracle`), `in/` (the working folder), and the
//! expectations: `stdout.txt`, `stderr.txt`, `after.txt` (what the commands of `after` print) and `out/` (the working folder
//! afterwards, where the command writes files).
//! `UPDATE_GOLDEN=1` writes the actual output; a missing expectation is written, and the test fails once.

use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    /// Arguments of pillion.
    args: Vec<String>,
    /// The expected exit code.
    #[serde(default)]
    exit: i32,
    /// A file of the case for standard input.
    stdin: Option<PathBuf>,
    /// Which program gave the expected answer, where it was not pillion.
    #[allow(dead_code, reason = "for readers of the case")]
    oracle: Option<String>,
    /// Symbolic links to make in the working folder, with what they say.
    #[serde(default)]
    links: BTreeMap<PathBuf, PathBuf>,
    /// Variables of the environment.
    #[serde(default)]
    env: BTreeMap<String, String>,
    /// Commands that run first, of git and pillion: a case about a repository makes one.
    #[serde(default)]
    before: Vec<Vec<String>>,
    /// Commands that run last; their standard output is compared with `after.txt`: what git holds in the end.
    #[serde(default)]
    after: Vec<Vec<String>>,
    /// The working folder is compared with `out/` afterwards.
    #[serde(default)]
    writes: bool,
}

type Outcome = Result<(), Box<dyn std::error::Error>>;

fn run(toml: &Path) -> Outcome {
    let folder = toml.parent().ok_or("no folder")?;
    let case: Case = toml::from_str(&fs::read_to_string(toml)?)?;
    if cfg!(not(unix)) && !case.links.is_empty() {
        return Ok(());
    }
    let work = tempfile::tempdir()?;
    if folder.join("in").is_dir() {
        copy(&folder.join("in"), work.path())?;
    }
    link(&case.links, work.path())?;
    run_all(&case.before, work.path())?;
    let mut command = program_in(work.path(), "pillion", !case.before.is_empty());
    command.args(&case.args).envs(&case.env);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    let stdin = case.stdin.as_ref().map_or(Ok(Vec::new()), |f| fs::read(folder.join(f)))?;
    // A program that does not read its input is not a failure here.
    let _ = child.stdin.take().ok_or("no standard input")?.write_all(&stdin);
    let output = child.wait_with_output()?;
    let mut differences = Vec::new();
    differences.extend(expect(&folder.join("stdout.txt"), &output.stdout)?);
    differences.extend(expect(&folder.join("stderr.txt"), &output.stderr)?);
    if output.status.code() != Some(case.exit) {
        differences.push(format!("exit code {:?}, expected {}", output.status.code(), case.exit));
    }
    differences.extend(expect(&folder.join("after.txt"), &run_all(&case.after, work.path())?)?);
    if case.writes {
        differences.extend(expect_folder(&folder.join("out"), work.path())?);
    }
    if differences.is_empty() { Ok(()) } else { Err(Failure::of_case(folder, &differences.join("\n"))) }
}

/// Runs commands that must succeed, and returns what they print.
fn run_all(commands: &[Vec<String>], folder: &Path) -> Result<Vec<u8>, Box<dyn std::error::Error>> {
    let mut printed = Vec::new();
    for words in commands {
        let (program, args) = words.split_first().ok_or("an empty command")?;
        let output = program_in(folder, program, true).args(args).output()?;
        if !output.status.success() {
            return Err(format!("{words:?}: {}", String::from_utf8_lossy(&output.stderr)).into());
        }
        printed.extend(output.stdout);
    }
    Ok(printed)
}

/// The differences of a case. The harness prints errors in their `Debug` form, which puts a text on one escaped line.
struct Failure(String);

impl Failure {
    fn of_case(case: &Path, differences: &str) -> Box<dyn std::error::Error> {
        let filter = case.strip_prefix("golden").unwrap_or(case).display();
        Box::new(Self(format!(
            "{}\nto accept this output, run `UPDATE_GOLDEN=1 cargo test --test golden -- {filter}` and read `git diff`",
            differences.trim_end()
        )))
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Failure {}

/// A program that knows nothing of the machine, but where git is when the case is about a repository.
fn program_in(folder: &Path, name: &str, with_git: bool) -> Command {
    let mut command = match name {
        "pillion" => Command::new(env!("CARGO_BIN_EXE_pillion")),
        other => Command::new(other),
    };
    command.current_dir(folder).env_clear().env("HOME", folder);
    if with_git {
        command.envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
        command.envs([("GIT_CONFIG_GLOBAL", "/dev/null"), ("GIT_CONFIG_NOSYSTEM", "1"), ("LC_ALL", "C")]);
        command.env("SOURCE_DATE_EPOCH", "1600000000");
        for who in ["AUTHOR", "COMMITTER"] {
            command
                .env(format!("GIT_{who}_NAME"), "A Person")
                .env(format!("GIT_{who}_EMAIL"), "a@example.com");
            command.env(format!("GIT_{who}_DATE"), "1600000000 +0000");
        }
    }
    command
}

fn is_update() -> bool {
    std::env::var_os("UPDATE_GOLDEN").is_some_and(|v| v == "1")
}

/// Compares byte for byte; an empty output needs no file.
fn expect(file: &Path, actual: &[u8]) -> Result<Option<String>, std::io::Error> {
    let expected = fs::read(file).ok();
    if expected.as_deref().unwrap_or_default() == actual {
        return Ok(None);
    }
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    if is_update() || expected.is_none() {
        fs::write(file, actual)?;
        return Ok((!is_update()).then(|| format!("{name} did not exist; it was written, read it")));
    }
    let (old, new) =
        (String::from_utf8_lossy(expected.as_deref().unwrap_or_default()), String::from_utf8_lossy(actual));
    Ok(Some(pillion::write::unified_diff(&name, &old, &new)))
}

fn expect_folder(expected: &Path, actual: &Path) -> Result<Option<String>, Box<dyn std::error::Error>> {
    let (want, got) = (files(expected)?, files(actual)?);
    if want == got {
        return Ok(None);
    }
    if is_update() || want.is_empty() {
        if expected.exists() {
            fs::remove_dir_all(expected)?;
        }
        copy(actual, expected)?;
        return Ok((!is_update()).then(|| "out/ did not exist; it was written, read it".to_owned()));
    }
    let mut differences = String::new();
    for name in want.keys().chain(got.keys().filter(|k| !want.contains_key(*k))) {
        let text = |files: &BTreeMap<PathBuf, Vec<u8>>| {
            files.get(name).map(|b| String::from_utf8_lossy(b).into_owned())
        };
        if want.get(name) != got.get(name) {
            let (old, new) = (text(&want).unwrap_or_default(), text(&got).unwrap_or_default());
            differences.push_str(&pillion::write::unified_diff(&name.to_string_lossy(), &old, &new));
        }
    }
    Ok(Some(differences))
}

fn files(folder: &Path) -> Result<BTreeMap<PathBuf, Vec<u8>>, std::io::Error> {
    let mut found = BTreeMap::new();
    if folder.is_dir() {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                let inner = files(&path)?;
                let name = PathBuf::from(path.file_name().unwrap_or_default());
                found.extend(inner.into_iter().map(|(k, v)| (name.join(k), v)));
            } else {
                found.insert(path.file_name().unwrap_or_default().into(), fs::read(&path)?);
            }
        }
    }
    Ok(found)
}

#[cfg(unix)]
fn link(links: &BTreeMap<PathBuf, PathBuf>, folder: &Path) -> Result<(), std::io::Error> {
    links.iter().try_for_each(|(link, says)| std::os::unix::fs::symlink(says, folder.join(link)))
}

/// Cases with links are not run here.
#[cfg(not(unix))]
fn link(_: &BTreeMap<PathBuf, PathBuf>, _: &Path) -> Result<(), std::io::Error> {
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<(), std::io::Error> {
    for (name, bytes) in files(from)? {
        let target = to.join(name);
        fs::create_dir_all(target.parent().unwrap_or(to))?;
        fs::write(target, bytes)?;
    }
    Ok(())
}

#[cfg(feature = "watch")]
#[path = "golden/timeline.rs"]
mod timeline;

#[cfg(feature = "watch")]
datatest_stable::harness! {
    { test = run, root = "golden", pattern = r"case\.toml$" },
    { test = timeline::run, root = "golden/watch", pattern = r"timeline\.yaml$" },
}

#[cfg(not(feature = "watch"))]
datatest_stable::harness! {
    { test = run, root = "golden", pattern = r"case\.toml$" },
}
