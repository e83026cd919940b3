//! Ends a long run on SIGTERM and SIGINT, within a second, whatever it waits for.
//!
//! The request to end is looked at between steps, and by whatever runs a program: programs are ended with all that they
//! have started. What waits for a server is not waited for. A run may end anywhere: what it has come to is read from git.

use super::service::WakeReason;
use crate::git::StopToken;
use crate::programs;
use std::sync::mpsc::SyncSender;
use std::time::Duration;
use std::{io, panic, thread};
use tokio::sync::oneshot;

/// How long a run that was asked to end is waited for.
const SHUTDOWN_GRACE: Duration = Duration::from_millis(650);

/// Stack of the thread of a run: as much as the first thread of a program has.
const STACK_SIZE: usize = 8 << 20;

/// Does something on a thread of its own until it ends, or for a moment longer after a signal asks for the end. None:
/// it had not come to its end by then.
///
/// # Errors
/// When the system gives no thread.
pub fn run_until_signal<T: Send + 'static>(
    stop: &StopToken,
    wakes: &SyncSender<WakeReason>,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<Option<T>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        // Signals are listened to before there is anything to be ended.
        #[cfg(unix)]
        programs::disable_signal_handler();
        let signal = stop_signal()?;
        let (sender, mut done) = oneshot::channel();
        let thread = thread::Builder::new().name("watch".to_owned()).stack_size(STACK_SIZE);
        let thread = thread.spawn(move || drop(sender.send(work())))?;
        let ended = tokio::select! {
            ended = &mut done => Some(ended),
            () = signal => {
                stop.request();
                programs::terminate_all();
                // The channel may hold a change: who takes that looks for the request, too.
                let _ = wakes.try_send(WakeReason::Stop);
                let ended = tokio::time::timeout(SHUTDOWN_GRACE, done).await.ok();
                // What was started at that very moment.
                programs::terminate_all();
                ended
            }
        };
        match ended {
            Some(Ok(value)) => Ok(Some(value)),
            Some(Err(_)) => match thread.join() {
                Err(panic) => panic::resume_unwind(panic),
                Ok(()) => Ok(None),
            },
            None => Ok(None),
        }
    })
}

#[cfg(unix)]
fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
    })
}

#[cfg(not(unix))]
fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    Ok(async { drop(tokio::signal::ctrl_c().await) })
}
