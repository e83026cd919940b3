//! Reads an output of a program to its end, on a thread of its own.

use super::Kept;
use std::io::Read;
use std::sync::mpsc::{Receiver, channel};
use std::thread;

/// What was read.
#[derive(Debug)]
pub(super) struct Output {
    /// The bytes that are kept.
    pub(super) bytes: Vec<u8>,
    /// There was more than may be.
    pub(super) is_cut: bool,
}

/// Where the output arrives.
pub(super) type Reader = Receiver<Output>;

/// Reads a pipe; `done` hears whether it holds more than may be.
pub(super) fn read(
    pipe: Option<impl Read + Send + 'static>,
    kept: Kept,
    done: impl FnOnce(bool) + Send + 'static,
) -> Reader {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        let output = pipe.map_or_else(|| Output { bytes: Vec::new(), is_cut: false }, |pipe| all(pipe, kept));
        done(output.is_cut);
        drop(sender.send(output));
    });
    receiver
}

fn all(mut pipe: impl Read, kept: Kept) -> Output {
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
            Kept::All(most) if bytes.len() > most => {
                bytes.truncate(most);
                return Output { bytes, is_cut: true };
            }
            Kept::All(_) => {}
            Kept::End(most) => drop(bytes.drain(..bytes.len().saturating_sub(most))),
        }
    }
    Output { bytes, is_cut: false }
}
