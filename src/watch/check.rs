//! Runs the user's check, a program or a URL, before each batch. docs/watch.md has the contract: JSON in, pass, fail
//! or wait out. Any other answer is inconclusive, and the check runs again.

use super::http_client::{HttpClient, HttpRequest, SecretUrl, one_line};
use crate::model::api::PILLION_API_VERSION;
use crate::programs::{self, CredentialAccess, Error, NO_SLOW_NOTICE, OutputLimit, ProgramLimits};
use serde_json::{Value, json};
use std::ffi::{OsStr, OsString};
use std::io::ErrorKind;
use std::time::Duration;

/// Bytes of the end of the output that are kept.
const MAX_OUTPUT_BYTES: usize = 8 << 10;

/// Exit code of `wait`.
const EXIT_CODE_WAIT: i32 = 4;

/// A check.
#[derive(Debug, Clone)]
pub enum BatchCheck {
    /// A program, started without a shell.
    Command {
        /// Its name or path.
        program: OsString,
        /// Its arguments.
        args: Vec<OsString>,
        /// How long it may run; then it is ended with its process group.
        timeout: Duration,
    },
    /// A URL.
    Url {
        /// The address.
        address: SecretUrl,
        /// The client, with the timeout.
        client: HttpClient,
    },
}

/// The document that a check receives.
#[derive(Debug, Clone, Default)]
pub struct CheckRequest {
    /// Name of the SidecarSet.
    pub sidecar_set: String,
    /// The cluster, if pillion.yaml names clusters.
    pub cluster: Option<String>,
    /// The latest batch, which is healthy; 0: none yet.
    pub batch: u32,
    /// Number of batches.
    pub batches: u32,
    /// The released revision; None: nothing was released before.
    pub from: Option<String>,
    /// The target; None: the sidecar is removed.
    pub to: Option<String>,
    /// The deploy head.
    pub head: String,
    /// Workloads at the target revision.
    pub workloads: Vec<CheckedWorkload>,
    /// When the batch began to update pods, by the API server's clock; None: no batch was released.
    pub healthy_since: Option<jiff::Timestamp>,
}

/// A workload at the target revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckedWorkload {
    /// `KIND[.GROUP]/NAMESPACE/NAME`.
    pub workload: String,
    /// Its ready pods.
    pub pods: u32,
}

impl CheckRequest {
    /// Returns the document.
    pub fn to_json(&self) -> Value {
        let workloads: Vec<Value> =
            self.workloads.iter().map(|w| json!({"workload": w.workload, "pods": w.pods})).collect();
        json!({
            "apiVersion": PILLION_API_VERSION,
            "kind": "Check",
            "sidecarSet": self.sidecar_set,
            "cluster": self.cluster,
            "batch": self.batch,
            "batches": self.batches,
            "from": self.from,
            "to": self.to,
            "head": self.head,
            "workloads": workloads,
            "since": self.healthy_since.map(|t| t.to_string()),
        })
    }
}

/// The result, each with a line for people that may be empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckResult {
    /// The next batch may be released.
    Pass(String),
    /// The latest batch has failed.
    Fail(String),
    /// Not yet.
    Wait(String),
    /// No valid result: the check runs again.
    Inconclusive(String),
}

impl BatchCheck {
    /// Runs the check.
    pub fn run(&self, request: &CheckRequest) -> CheckResult {
        match self {
            Self::Command { program, args, timeout } => run_command(program, args, request, *timeout),
            Self::Url { address, client } => post_request(address, client, request),
        }
    }
}

fn run_command(program: &OsStr, args: &[OsString], request: &CheckRequest, timeout: Duration) -> CheckResult {
    let name = program.to_string_lossy();
    let mut command = programs::command_without_secrets(program, CredentialAccess::None);
    command.args(args);
    let limits = ProgramLimits {
        timeout,
        output: OutputLimit::Tail(MAX_OUTPUT_BYTES),
        stderr_bytes: MAX_OUTPUT_BYTES,
    };
    let ended = match programs::run_program(
        command,
        Some(request.to_json().to_string().into_bytes()),
        &limits,
        NO_SLOW_NOTICE,
    ) {
        Ok(ended) => ended,
        Err(Error::TimedOut(_)) => {
            return CheckResult::Inconclusive(format!(
                "the check `{name}` did not finish within {} s",
                timeout.as_secs()
            ));
        }
        Err(Error::OutputTooLarge(_) | Error::OutputStillOpen) => {
            return CheckResult::Inconclusive(format!("the output of the check `{name}` does not end"));
        }
        Err(Error::Stopped) => {
            return CheckResult::Inconclusive(format!(
                "the check `{name}` was ended, because pillion was stopped"
            ));
        }
        Err(Error::Start(error)) if error.kind() == ErrorKind::NotFound => {
            return CheckResult::Inconclusive(format!(
                "the program `{name}` of `--check-command` is not found: add it to PATH, or give its path"
            ));
        }
        Err(Error::Start(error)) => {
            return CheckResult::Inconclusive(format!("the check `{name}` cannot be started: {error}"));
        }
    };
    let message = last_line(&ended.stdout);
    match ended.status.code() {
        Some(0) => CheckResult::Pass(message),
        Some(1) => CheckResult::Fail(message),
        Some(EXIT_CODE_WAIT) => CheckResult::Wait(message),
        code => {
            let how =
                code.map_or_else(|| "was ended by a signal".into(), |c| format!("exited with code {c}"));
            let message = if message.is_empty() { last_line(&ended.stderr) } else { message };
            let message = if message.is_empty() { message } else { format!(": {message}") };
            CheckResult::Inconclusive(format!(
                "the check `{name}` {how}, which is not a valid result{message}"
            ))
        }
    }
}

fn last_line(output: &[u8]) -> String {
    let text = String::from_utf8_lossy(output);
    one_line(text.lines().rev().find(|l| !l.trim().is_empty()).unwrap_or_default())
}

fn post_request(address: &SecretUrl, client: &HttpClient, request: &CheckRequest) -> CheckResult {
    let host = address.host();
    let again = |reason: String| CheckResult::Inconclusive(format!("the check at {host}: {reason}"));
    let headers = [("accept", "application/json")];
    let body = request.to_json().to_string();
    let response = match client.send(&HttpRequest { method: "POST", url: address, headers: &headers, body }) {
        Ok(response) => response,
        Err(reason) => return again(reason),
    };
    if response.status != 200 {
        return again(format!("it answered with status {}, not 200", response.status));
    }
    let Ok(value) = serde_json::from_slice::<Value>(&response.body) else {
        return again("its answer is not JSON".to_owned());
    };
    let message = one_line(value["message"].as_str().unwrap_or_default());
    match value["result"].as_str() {
        Some("pass") => CheckResult::Pass(message),
        Some("fail") => CheckResult::Fail(message),
        Some("wait") => CheckResult::Wait(message),
        _ => again("`result` of its answer is not `pass`, `fail` or `wait`".to_owned()),
    }
}
