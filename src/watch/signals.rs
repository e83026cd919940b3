//! Stops a long run on SIGTERM and SIGINT within a second, whatever it waits for.
//!
//! Steps and running programs check for the stop request; programs are ended with their process groups. Requests to
//! servers are abandoned. A run may stop anywhere: the next one reads from git what was done.

use super::service::WakeReason;
use crate::git::StopToken;
use crate::programs;
use std::sync::mpsc::SyncSender;
use std::time::Duration;
use std::{io, panic, thread};
use tokio::sync::oneshot;

/// How long a run may take to stop.
const SHUTDOWN_GRACE: Duration = Duration::from_millis(650);

/// Stack size of the thread: that of a main thread.
const STACK_SIZE: usize = 8 << 20;

/// Runs `work` on its own thread until it ends, or a moment longer after a signal. None: it had not ended by then.
///
/// # Errors
/// When the thread cannot be started.
pub(crate) fn run_until_signal<T: Send + 'static>(
    stop: &StopToken,
    wakes: &SyncSender<WakeReason>,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<Option<T>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        // The signal handler is installed before anything runs that it would have to end.
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
                // The channel may be full: the receiver checks the stop request, too.
                let _ = wakes.try_send(WakeReason::Stop);
                let ended = tokio::time::timeout(SHUTDOWN_GRACE, done).await.ok();
                // Programs that were started in the meantime.
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
