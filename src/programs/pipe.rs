//! Reads an output of a program to its end, on a thread of its own.

use super::OutputLimit;
use std::io::Read;
use std::sync::mpsc::{Receiver, channel};
use std::thread;

/// What was read.
#[derive(Debug)]
pub(super) struct PipeOutput {
    /// The bytes that are kept.
    pub(super) bytes: Vec<u8>,
    /// There was more than may be.
    pub(super) is_truncated: bool,
}

/// Where the output arrives.
pub(super) type PipeReceiver = Receiver<PipeOutput>;

/// Reads a pipe; `done` hears whether it holds more than may be.
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
            // What was read before an error is all that there will be.
            Err(_) => break,
        }
        match kept {
            OutputLimit::All(most) if bytes.len() > most => {
                bytes.truncate(most);
                return PipeOutput { bytes, is_truncated: true };
            }
            OutputLimit::All(_) => {}
            OutputLimit::Tail(most) => drop(bytes.drain(..bytes.len().saturating_sub(most))),
        }
    }
    PipeOutput { bytes, is_truncated: false }
}
