//! May the next batch begin, by somebody else's measure? A program or a server is asked, by a fixed contract
//! (docs/watch.md): JSON in, pass, fail or wait out; anything else is no answer, and the question is put again.

use super::request::{Address, Client, Request, one_line};
use serde_json::{Value, json};
use std::ffi::{OsStr, OsString};
use std::io::{ErrorKind, Read, Write as _};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

/// How long a check may take, unless somebody says otherwise.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Bytes of the end of a program's output that are kept.
const KEPT: usize = 8 << 10;

/// Variables that hold secrets of pillion's own, and are not handed on.
const SECRETS: &[&str] = &[
    "GITHUB_TOKEN",
    "PILLION_CHECK_URL",
    "PILLION_FORGE_TOKEN",
    "PILLION_NOTIFY_SLACK_URL",
    "PILLION_NOTIFY_URL",
];

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

/// What a program left behind.
struct Ended {
    status: ExitStatus,
    out: Vec<u8>,
    err: Vec<u8>,
}

fn run(program: &OsStr, args: &[OsString], question: &Question, patience: Duration) -> Answer {
    let name = program.to_string_lossy();
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    for secret in SECRETS {
        command.env_remove(secret);
    }
    let ended = match ended(command, question.json().to_string(), patience) {
        Ok(Some(ended)) => ended,
        Ok(None) => {
            return Answer::Again(format!("the check `{name}` did not end within {} s", patience.as_secs()));
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Answer::Again(format!(
                "the program `{name}` of --check-command is not found: put it on PATH, or write its path"
            ));
        }
        Err(error) => return Answer::Again(format!("the check `{name}` cannot be started: {error}")),
    };
    let said = last_line(&ended.out);
    match ended.status.code() {
        Some(0) => Answer::Pass(said),
        Some(1) => Answer::Fail(said),
        Some(WAIT) => Answer::Wait(said),
        code => {
            let how = code.map_or_else(|| "was ended by a signal".into(), |c| format!("ended with code {c}"));
            let said = if said.is_empty() { last_line(&ended.err) } else { said };
            let said = if said.is_empty() { said } else { format!(": {said}") };
            Answer::Again(format!("the check `{name}` {how}, which is no answer{said}"))
        }
    }
}

fn last_line(output: &[u8]) -> String {
    let text = String::from_utf8_lossy(output);
    one_line(text.lines().rev().find(|l| !l.trim().is_empty()).unwrap_or_default())
}

/// Runs a command to its end; None when it takes too long. Nothing that it has started is left running.
fn ended(mut command: Command, input: String, patience: Duration) -> std::io::Result<Option<Ended>> {
    use std::os::unix::process::CommandExt as _;
    command.process_group(0);
    let mut child = command.spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        // A program need not read what it is told.
        thread::spawn(move || drop(stdin.write_all(input.as_bytes())));
    }
    let (out, err) = (tail(child.stdout.take()), tail(child.stderr.take()));
    let has_ended = match wait(&child).recv_timeout(patience) {
        Ok(()) | Err(RecvTimeoutError::Disconnected) => true,
        Err(RecvTimeoutError::Timeout) => false,
    };
    // It is not waited for yet, so its number still is its own.
    end_group(&mut child);
    let status = child.wait()?;
    // Pipes are closed by now, unless something has left the group: it is not waited for.
    let rest = |pipe: Receiver<Vec<u8>>| pipe.recv_timeout(Duration::from_secs(1)).unwrap_or_default();
    Ok(has_ended.then(|| Ended { status, out: rest(out), err: rest(err) }))
}

/// Says when a program has ended, and leaves it to be waited for.
fn wait(child: &Child) -> Receiver<()> {
    use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
    let (sender, receiver) = mpsc::channel();
    let pid = Pid::from_child(child);
    thread::spawn(move || {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        while waitid(WaitId::Pid(pid), options).is_err_and(|e| e == rustix::io::Errno::INTR) {}
        let _ = sender.send(());
    });
    receiver
}

fn end_group(child: &mut Child) {
    use rustix::process::{Pid, Signal, kill_process_group};
    // An error says that nothing of it is left.
    let _ = kill_process_group(Pid::from_child(child), Signal::KILL);
}

/// Reads a pipe to its end elsewhere, and keeps the end of it.
fn tail(pipe: Option<impl Read + Send + 'static>) -> Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut kept = Vec::new();
        let mut buffer = [0; 4096];
        if let Some(mut pipe) = pipe {
            while let Ok(n @ 1..) = pipe.read(&mut buffer) {
                kept.extend_from_slice(&buffer[..n]);
                kept.drain(..kept.len().saturating_sub(KEPT));
            }
        }
        drop(sender.send(kept));
    });
    receiver
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
