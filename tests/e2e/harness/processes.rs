//! Servers that run until the sandbox ends, each with its own log file.

use super::sandbox;
use std::fs::{self, File};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};

static SERVERS: Mutex<Vec<(String, Child)>> = Mutex::new(Vec::new());

/// Starts a server. It stops with the test.
pub(crate) fn serve(name: &str, command: &mut Command) {
    let logs = sandbox::enter().join("logs");
    fs::create_dir_all(&logs).unwrap();
    let log = File::create(logs.join(format!("{name}.log"))).unwrap();
    command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
    let child = command.spawn().unwrap_or_else(|error| panic!("{name}: {error}"));
    SERVERS.lock().unwrap_or_else(PoisonError::into_inner).push((name.to_owned(), child));
}

/// Fails when a server has ended by itself, with the end of its log.
pub(crate) fn all_run() {
    let mut servers = SERVERS.lock().unwrap_or_else(PoisonError::into_inner);
    for (name, child) in servers.iter_mut() {
        if let Some(status) = child.try_wait().unwrap() {
            let log = sandbox::enter().join("logs").join(format!("{name}.log"));
            let log = fs::read_to_string(log).unwrap_or_default();
            let end: Vec<&str> = log.lines().rev().take(15).collect();
            panic!("{name} ended, {status}:\n{}", end.into_iter().rev().collect::<Vec<_>>().join("\n"));
        }
    }
}
