//! Reads an output of a program on its own thread.

use super::OutputLimit;
use std::io::Read;
use std::sync::mpsc::{Receiver, channel};
use std::thread;

/// The output.
#[derive(Debug)]
pub(super) struct PipeOutput {
    /// The bytes that are kept.
    pub(super) bytes: Vec<u8>,
    /// Whether there was more than the limit.
    pub(super) is_truncated: bool,
}

/// Receives the output.
pub(super) type PipeReceiver = Receiver<PipeOutput>;

/// Reads a pipe; `done` is called with whether the output exceeds its limit.
pub(super) fn read_pipe(
    pipe: Option<impl Read + Send + 'static>,
    kept: OutputLimit,
    done: impl FnOnce(bool) + Send + 'static,
) -> PipeReceiver {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        let output = pipe.map_or_else(
            || PipeOutput { bytes: Vec::new(), is_truncated: false },
            |pipe| read_to_limit(pipe, kept),
        );
        done(output.is_truncated);
        drop(sender.send(output));
    });
    receiver
}

fn read_to_limit(mut pipe: impl Read, kept: OutputLimit) -> PipeOutput {
    let mut bytes = Vec::new();
    let mut buffer = [0; 1 << 16];
    loop {
        match pipe.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => bytes.extend_from_slice(&buffer[..n]),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            // After an error there is no more output.
            Err(_) => break,
        }
        match kept {
            OutputLimit::All(max_bytes) if bytes.len() > max_bytes => {
                bytes.truncate(max_bytes);
                return PipeOutput { bytes, is_truncated: true };
            }
            OutputLimit::All(_) => {}
            OutputLimit::Tail(max_bytes) => drop(bytes.drain(..bytes.len().saturating_sub(max_bytes))),
        }
    }
    PipeOutput { bytes, is_truncated: false }
}
