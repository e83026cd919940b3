//! May the next batch begin, by somebody else's measure? A program or a server is asked, by a fixed contract
//! (docs/watch.md): JSON in, pass, fail or wait out; anything else is no answer, and the question is put again.

use super::http_client::{HttpClient, HttpRequest, SecretUrl, one_line};
use crate::programs::{self, CredentialAccess, Error, NO_SLOW_NOTICE, OutputLimit, ProgramLimits};
use serde_json::{Value, json};
use std::ffi::{OsStr, OsString};
use std::io::ErrorKind;
use std::time::Duration;

/// How long a check may take, unless somebody says otherwise.
pub const CHECK_TIMEOUT: Duration = Duration::from_secs(30);

/// Bytes of the end of a program's output that are kept.
const MAX_OUTPUT_BYTES: usize = 8 << 10;

/// Exit code of a check that wants to be asked again later.
const EXIT_CODE_WAIT: i32 = 4;

/// Whom to ask.
#[derive(Debug, Clone)]
pub enum BatchCheck {
    /// A program: no shell is in between.
    Command {
        /// Its name or path.
        program: OsString,
        /// Its arguments.
        args: Vec<OsString>,
        /// How long it may take; then it is ended, with everything that it has started.
        timeout: Duration,
    },
    /// A server.
    Url {
        /// Where to.
        address: SecretUrl,
        /// Its patience counts.
        client: HttpClient,
    },
}

/// What is asked.
#[derive(Debug, Clone, Default)]
pub struct CheckRequest {
    /// Name of the SidecarSet.
    pub sidecar_set: String,
    /// The cluster, where pillion.yaml names some.
    pub cluster: Option<String>,
    /// The batch that is out and healthy; 0: none yet.
    pub batch: u32,
    /// How many there will be.
    pub batches: u32,
    /// The released revision; None: nothing was released before.
    pub from: Option<String>,
    /// The target; None: the sidecar goes.
    pub to: Option<String>,
    /// The deploy head.
    pub head: String,
    /// What carries the target.
    pub workloads: Vec<CheckedWorkload>,
    /// When the batch became healthy, in the API server's time; None: no batch is out.
    pub healthy_since: Option<jiff::Timestamp>,
}

/// A workload that carries the target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckedWorkload {
    /// `KIND[.GROUP]/NAMESPACE/NAME`.
    pub workload: String,
    /// Pods that carry it.
    pub pods: u32,
}

impl CheckRequest {
    /// Returns what is sent.
    pub fn to_json(&self) -> Value {
        let workloads: Vec<Value> =
            self.workloads.iter().map(|w| json!({"workload": w.workload, "pods": w.pods})).collect();
        json!({
            "apiVersion": "pillion.dev/v1alpha1",
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

/// What is answered, each with a line for people, which may be empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckResult {
    /// The next batch may begin.
    Pass(String),
    /// The batch that is out is bad.
    Fail(String),
    /// Not yet: nothing is wrong.
    Wait(String),
    /// That was no answer: the question is to be put again.
    Inconclusive(String),
}

impl BatchCheck {
    /// Asks, and waits for the answer.
    pub fn run(&self, question: &CheckRequest) -> CheckResult {
        match self {
            Self::Command { program, args, timeout: patience } => {
                run_command(program, args, question, *patience)
            }
            Self::Url { address, client } => post_request(address, client, question),
        }
    }
}

fn run_command(
    program: &OsStr,
    args: &[OsString],
    question: &CheckRequest,
    patience: Duration,
) -> CheckResult {
    let name = program.to_string_lossy();
    let mut command = programs::command_without_secrets(program, CredentialAccess::None);
    command.args(args);
    let limits = ProgramLimits {
        timeout: patience,
        output: OutputLimit::Tail(MAX_OUTPUT_BYTES),
        stderr_bytes: MAX_OUTPUT_BYTES,
    };
    let ended = match programs::run_program(
        command,
        Some(question.to_json().to_string().into_bytes()),
        &limits,
        NO_SLOW_NOTICE,
    ) {
        Ok(ended) => ended,
        Err(Error::TimedOut(_)) => {
            return CheckResult::Inconclusive(format!(
                "the check `{name}` did not end within {} s",
                patience.as_secs()
            ));
        }
        Err(Error::OutputTooLarge(_) | Error::OutputStillOpen | Error::Stopped) => {
            return CheckResult::Inconclusive(format!("the output of the check `{name}` has no end"));
        }
        Err(Error::Start(error)) if error.kind() == ErrorKind::NotFound => {
            return CheckResult::Inconclusive(format!(
                "the program `{name}` of --check-command is not found: put it on PATH, or write its path"
            ));
        }
        Err(Error::Start(error)) => {
            return CheckResult::Inconclusive(format!("the check `{name}` cannot be started: {error}"));
        }
    };
    let said = last_line(&ended.stdout);
    match ended.status.code() {
        Some(0) => CheckResult::Pass(said),
        Some(1) => CheckResult::Fail(said),
        Some(EXIT_CODE_WAIT) => CheckResult::Wait(said),
        code => {
            let how = code.map_or_else(|| "was ended by a signal".into(), |c| format!("ended with code {c}"));
            let said = if said.is_empty() { last_line(&ended.stderr) } else { said };
            let said = if said.is_empty() { said } else { format!(": {said}") };
            CheckResult::Inconclusive(format!("the check `{name}` {how}, which is no answer{said}"))
        }
    }
}

fn last_line(output: &[u8]) -> String {
    let text = String::from_utf8_lossy(output);
    one_line(text.lines().rev().find(|l| !l.trim().is_empty()).unwrap_or_default())
}

fn post_request(address: &SecretUrl, client: &HttpClient, question: &CheckRequest) -> CheckResult {
    let host = address.host();
    let again = |why: String| CheckResult::Inconclusive(format!("the check at {host}: {why}"));
    let headers = [("accept", "application/json")];
    let body = question.to_json().to_string();
    let answer = match client.send(&HttpRequest { method: "POST", url: address, headers: &headers, body }) {
        Ok(answer) => answer,
        Err(why) => return again(why),
    };
    if answer.status != 200 {
        return again(format!("it answers with status {}, not 200", answer.status));
    }
    let Ok(value) = serde_json::from_slice::<Value>(&answer.body) else {
        return again("its answer is no JSON".to_owned());
    };
    let said = one_line(value["message"].as_str().unwrap_or_default());
    match value["result"].as_str() {
        Some("pass") => CheckResult::Pass(said),
        Some("fail") => CheckResult::Fail(said),
        Some("wait") => CheckResult::Wait(said),
        _ => again("`result` of its answer is none of `pass`, `fail` and `wait`".to_owned()),
    }
}
