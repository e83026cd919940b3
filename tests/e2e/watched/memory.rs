//! Samples the memory of a program every 100 ms.

use std::fs;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

const EVERY: Duration = Duration::from_millis(100);

/// A thread that samples until it is stopped.
pub(super) struct Memory {
    stop: Sender<()>,
    thread: JoinHandle<MemorySamples>,
}

/// Resident memory in MiB, oldest first.
pub(super) struct MemorySamples(Vec<(Instant, usize)>);

impl Memory {
    pub(super) fn of(process: u32) -> Self {
        let (stop, stopped) = channel();
        let thread = thread::spawn(move || {
            let mut samples = Vec::new();
            while stopped.recv_timeout(EVERY) == Err(RecvTimeoutError::Timeout) {
                samples.push((Instant::now(), now(process)));
            }
            MemorySamples(samples)
        });
        Self { stop, thread }
    }

    pub(super) fn finish(self) -> MemorySamples {
        self.stop.send(()).unwrap();
        self.thread.join().unwrap()
    }
}

impl MemorySamples {
    /// The most from one moment to another.
    pub(super) fn most(&self, from: Instant, to: Instant) -> usize {
        let within = self.0.iter().filter(|(at, _)| (from..=to).contains(at));
        within.map(|(_, taken)| *taken).max().unwrap()
    }
}

/// What a process takes now, in MiB.
pub(super) fn now(process: u32) -> usize {
    read(process, "VmRSS:")
}

/// The most that it has taken so far, in MiB, as the kernel has kept it.
pub(super) fn peak(process: u32) -> usize {
    read(process, "VmHWM:")
}

fn read(process: u32, field: &str) -> usize {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with(field)).unwrap();
    let kibibytes: usize = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kibibytes / 1024
}
