//! Runs the program in its own clone until the guard is dropped.

use super::memory::Memory;
use super::story::Story;
use crate::git_fixtures::Repo;
use crate::harness::wait::{SOON, wait_for};
use jiff::Timestamp;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::process::{Child, ExitStatus, Stdio};
use std::thread;

pub(super) struct Watcher {
    child: Child,
    clone: Repo,
}

/// Where it writes its log, in its clone.
const LOG: &str = ".git/watch.log";

impl Watcher {
    /// A long run: looks at git every second, and at the cluster when something changes there.
    pub(super) fn start(story: &Story, clone: &str) -> Self {
        Self::start_with(story, clone, &[])
    }

    /// The same with further variables of the environment.
    pub(super) fn start_with(story: &Story, clone: &str, variables: &[(&str, &str)]) -> Self {
        let clone = story.server.clone(clone);
        let log = File::create(clone.path.join(LOG)).unwrap();
        let mut command = story.watch(&clone);
        command.args(["--interval=1s", "--log=json"]).envs(variables.iter().copied());
        let child = command.stdout(Stdio::null()).stderr(log).spawn().unwrap();
        Self { child, clone }
    }

    pub(super) fn log(&self) -> String {
        fs::read_to_string(self.clone.path.join(LOG)).unwrap()
    }

    /// The lines of the log with a message.
    pub(super) fn log_entries(&self, message: &str) -> Vec<Value> {
        let log = self.log();
        let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.filter(|line| line["message"] == message).collect()
    }

    /// When it has pushed which commit.
    pub(super) fn released(&self) -> BTreeMap<String, Timestamp> {
        let time = |line: &Value| line["timestamp"].as_str().unwrap().parse().unwrap();
        let commit = |line: &Value| line["commit"].as_str().unwrap().to_owned();
        self.log_entries("released").iter().map(|line| (commit(line), time(line))).collect()
    }

    pub(super) fn process(&self) -> u32 {
        self.child.id()
    }

    /// Looks at its memory from now on.
    pub(super) fn memory(&self) -> Memory {
        Memory::of(self.process())
    }

    /// Waits until it has ended by itself.
    #[track_caller]
    pub(super) fn wait(&mut self, why: &str) -> ExitStatus {
        wait_for(why, SOON, || self.child.try_wait().unwrap().ok_or("it runs"))
    }

    /// Asks it to end, as a kubelet does.
    #[track_caller]
    pub(super) fn stop(&mut self) -> ExitStatus {
        self.clone.command("kill").arg(self.child.id().to_string()).status().unwrap();
        self.wait("it ends when it is asked to")
    }
}

impl Drop for Watcher {
    #[expect(clippy::print_stderr, reason = "a test that fails shows what the watcher said")]
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            let log = self.log();
            let end: Vec<&str> = log.lines().rev().take(40).collect();
            let end: Vec<&str> = end.into_iter().rev().collect();
            eprintln!("the watcher's log, its end:\n{}", end.join("\n"));
        }
    }
}
