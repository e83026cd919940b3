//! How is a kustomization built for a plugin of Argo CD? By the real kustomize, and for no longer than Argo CD says.

use crate::model::duration;
use std::io::{self, Read};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

/// After this time it is said what is waited for. Argo CD ends a plugin when its own time is over, after a minute by
/// default, and then shows what stands on standard error.
const SLOW: Duration = Duration::from_secs(10);

/// The variable that Argo CD's documentation gives administrators for the time of a plugin. Its server does not read
/// it (v3.2.11 cmpserver/plugin/plugin.go runCommand).
pub(super) const LIMIT: &str = "ARGOCD_EXEC_TIMEOUT";

/// Builds the kustomization of a folder; none when that takes too long. `slow` is called when it takes long.
pub(super) fn build(folder: &Path, slow: impl FnOnce(Duration)) -> io::Result<Option<Output>> {
    let mut kustomize = Command::new("kustomize");
    kustomize.arg("build").arg(folder);
    let limit = std::env::var(LIMIT).ok().and_then(|text| duration::parse(&text)).filter(|limit| *limit > 0);
    let limit = limit.map_or(Duration::MAX, Duration::from_secs);
    run(kustomize, (SLOW, || slow(SLOW)), limit)
}

/// Runs a command to its end; none when the limit comes first.
fn run(
    mut command: Command,
    (usual, slow): (Duration, impl FnOnce()),
    limit: Duration,
) -> io::Result<Option<Output>> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let start = Instant::now();
    let mut child = command.spawn()?;
    let texts = collect(&mut child);
    let wait = |until: Duration| texts.recv_timeout(until.saturating_sub(start.elapsed()));
    let mut said = wait(usual.min(limit));
    if said.is_err() && usual < limit {
        slow();
        said = wait(limit);
    }
    let Ok((stdout, stderr)) = said else {
        child.kill()?;
        child.wait()?;
        return Ok(None);
    };
    Ok(Some(Output { status: child.wait()?, stdout, stderr }))
}

/// Reads both outputs of a program to their ends, elsewhere.
fn collect(child: &mut Child) -> Receiver<(Vec<u8>, Vec<u8>)> {
    let (sender, receiver) = channel();
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    thread::spawn(move || {
        let stderr = thread::spawn(|| read(stderr));
        let stdout = read(stdout);
        drop(sender.send((stdout, stderr.join().unwrap_or_default())));
    });
    receiver
}

fn read(pipe: Option<impl Read>) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(mut pipe) = pipe {
        // What was read before an error is all that there will be.
        drop(pipe.read_to_end(&mut bytes));
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::OpenOptions;

    #[test]
    #[cfg(unix)]
    fn only_what_takes_long_is_noted() {
        let quick = run(Command::new("true"), (Duration::MAX, || panic!("it is quick")), Duration::MAX);
        assert!(quick.unwrap().unwrap().status.success());
        // This program ends when it is noted that it has not.
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let mut cat = Command::new("cat");
        cat.arg(&pipe);
        let note = || drop(OpenOptions::new().write(true).open(&pipe).unwrap());
        assert!(run(cat, (Duration::ZERO, note), Duration::MAX).unwrap().unwrap().status.success());
    }

    #[test]
    #[cfg(unix)]
    fn what_takes_too_long_is_ended() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let mut cat = Command::new("cat");
        cat.arg(&pipe);
        let noted = || panic!("the limit comes first");
        assert!(run(cat, (Duration::MAX, noted), Duration::from_millis(1)).unwrap().is_none());
    }
}
