//! Measures one program: wall time, CPU time of all its threads, and peak memory.

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;
use std::fs::File;
use std::path::Path;
use std::process::Stdio;
use std::time::Instant;

/// The cost of one run.
#[derive(Debug, Clone)]
pub(crate) struct Cost {
    /// Seconds from start to end.
    pub(crate) wall: f64,
    /// Seconds of processor time, user and system.
    pub(crate) cpu: f64,
    /// Peak resident memory in MiB.
    pub(crate) peak: f64,
    /// What went wrong, where something did.
    pub(crate) failure: Option<String>,
}

/// Runs a command in a folder by way of a process of its own, and returns what it cost. It reads a file as its standard
/// input, or nothing.
pub(crate) fn measure(words: &[String], folder: &Path, stdin: Option<&Path>) -> Cost {
    let me = std::env::current_exe().unwrap().display().to_string();
    let wrapped: Vec<String> = [me, "measure".into()].into_iter().chain(words.iter().cloned()).collect();
    let output = super::command(&wrapped)
        .current_dir(folder)
        .stdin(stdin.map_or_else(Stdio::null, |path| File::open(path).unwrap().into()))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    let mut lines: Vec<&str> = stderr.lines().collect();
    let figures: Vec<f64> = lines.pop().unwrap_or("").split(' ').filter_map(|f| f.parse().ok()).collect();
    let [wall, cpu, peak, status] = figures[..] else {
        return Cost { wall: 0.0, cpu: 0.0, peak: 0.0, failure: Some(stderr.into_owned()) };
    };
    let failure = (status != 0.0).then(|| format!("exit {status}: {}", lines.first().unwrap_or(&"")));
    Cost { wall, cpu, peak, failure }
}

/// The process in between: runs the command and prints its cost as the last line on standard error.
pub(crate) fn child(words: &[&str]) {
    let start = Instant::now();
    let status = super::command(words).status();
    let wall = start.elapsed().as_secs_f64();
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).unwrap();
    let cpu = (usage.user_time().num_microseconds() + usage.system_time().num_microseconds()) as f64 / 1e6;
    let peak = usage.max_rss() as f64 / 1024.0;
    let status = status.ok().and_then(|s| s.code()).unwrap_or(127);
    eprintln!("\n{wall} {cpu} {peak} {status}");
}
