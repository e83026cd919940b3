//! May the next batch begin, by somebody else's measure? A program or a server is asked, by a fixed contract
//! (docs/watch.md): JSON in, pass, fail or wait out; anything else is no answer, and the question is put again.

use super::request::{Address, Client, Request, one_line};
use crate::programs::{self, Failure, Kept, Limits, NEVER, Trust};
use serde_json::{Value, json};
use std::ffi::{OsStr, OsString};
use std::io::ErrorKind;
use std::time::Duration;

/// How long a check may take, unless somebody says otherwise.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Bytes of the end of a program's output that are kept.
const KEPT: usize = 8 << 10;

/// Exit code of a check that wants to be asked again later.
const WAIT: i32 = 4;

/// Whom to ask.
#[derive(Debug, Clone)]
pub enum Check {
    /// A program: no shell is in between.
    Command {
        /// Its name or path.
        program: OsString,
        /// Its arguments.
        args: Vec<OsString>,
        /// How long it may take; then it is ended, with everything that it has started.
        patience: Duration,
    },
    /// A server.
    Url {
        /// Where to.
        address: Address,
        /// Its patience counts.
        client: Client,
    },
}

/// What is asked.
#[derive(Debug, Clone, Default)]
pub struct Question {
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
    /// The live head.
    pub head: String,
    /// What carries the target.
    pub workloads: Vec<Carrier>,
    /// When the batch became healthy, in the API server's time; None: no batch is out.
    pub since: Option<jiff::Timestamp>,
}

/// A workload that carries the target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Carrier {
    /// `KIND[.GROUP]/NAMESPACE/NAME`.
    pub workload: String,
    /// Pods that carry it.
    pub pods: u32,
}

impl Question {
    /// Returns what is sent.
    pub fn json(&self) -> Value {
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
            "since": self.since.map(|t| t.to_string()),
        })
    }
}

/// What is answered, each with a line for people, which may be empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The next batch may begin.
    Pass(String),
    /// The batch that is out is bad.
    Fail(String),
    /// Not yet: nothing is wrong.
    Wait(String),
    /// That was no answer: the question is to be put again.
    Again(String),
}

impl Check {
    /// Asks, and waits for the answer.
    pub fn ask(&self, question: &Question) -> Answer {
        match self {
            Self::Command { program, args, patience } => run(program, args, question, *patience),
            Self::Url { address, client } => post(address, client, question),
        }
    }
}

fn run(program: &OsStr, args: &[OsString], question: &Question, patience: Duration) -> Answer {
    let name = program.to_string_lossy();
    let mut command = programs::without_secrets(program, Trust::Nobody);
    command.args(args);
    let limits = Limits { time: patience, output: Kept::End(KEPT), errors: KEPT };
    let ended = match programs::run(command, Some(question.json().to_string().into_bytes()), &limits, NEVER) {
        Ok(ended) => ended,
        Err(Failure::TooLong(_)) => {
            return Answer::Again(format!("the check `{name}` did not end within {} s", patience.as_secs()));
        }
        Err(Failure::TooMuch(_) | Failure::StillOpen | Failure::Stopped) => {
            return Answer::Again(format!("the output of the check `{name}` has no end"));
        }
        Err(Failure::Start(error)) if error.kind() == ErrorKind::NotFound => {
            return Answer::Again(format!(
                "the program `{name}` of --check-command is not found: put it on PATH, or write its path"
            ));
        }
        Err(Failure::Start(error)) => {
            return Answer::Again(format!("the check `{name}` cannot be started: {error}"));
        }
    };
    let said = last_line(&ended.output);
    match ended.status.code() {
        Some(0) => Answer::Pass(said),
        Some(1) => Answer::Fail(said),
        Some(WAIT) => Answer::Wait(said),
        code => {
            let how = code.map_or_else(|| "was ended by a signal".into(), |c| format!("ended with code {c}"));
            let said = if said.is_empty() { last_line(&ended.errors) } else { said };
            let said = if said.is_empty() { said } else { format!(": {said}") };
            Answer::Again(format!("the check `{name}` {how}, which is no answer{said}"))
        }
    }
}

fn last_line(output: &[u8]) -> String {
    let text = String::from_utf8_lossy(output);
    one_line(text.lines().rev().find(|l| !l.trim().is_empty()).unwrap_or_default())
}

fn post(address: &Address, client: &Client, question: &Question) -> Answer {
    let host = address.host();
    let again = |why: String| Answer::Again(format!("the check at {host}: {why}"));
    let headers = [("accept", "application/json")];
    let body = question.json().to_string();
    let answer = match client.send(&Request { method: "POST", to: address, headers: &headers, body }) {
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
        Some("pass") => Answer::Pass(said),
        Some("fail") => Answer::Fail(said),
        Some("wait") => Answer::Wait(said),
        _ => again("`result` of its answer is none of `pass`, `fail` and `wait`".to_owned()),
    }
}
