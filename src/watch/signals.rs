//! How does a long run end? SIGTERM and SIGINT let the step that is being taken come to its end.

use super::service::Wake;
use crate::programs;
use std::sync::mpsc::SyncSender;
use tokio::runtime::Runtime;

/// Ends the loop on SIGTERM and SIGINT; a second one ends the process at once.
pub fn stop_on_signals(runtime: &Runtime, wakes: SyncSender<Wake>) {
    runtime.spawn(async move {
        stopped().await;
        // A build or a check may take longer than the time that is left.
        programs::end_all();
        // The channel may hold a change: what ends the loop has to arrive.
        let sent = tokio::task::spawn_blocking(move || wakes.send(Wake::Stop).is_ok());
        tokio::select! {
            _ = sent => stopped().await,
            () = stopped() => {}
        }
        std::process::abort();
    });
}

#[cfg(unix)]
async fn stopped() {
    use tokio::signal::unix::{SignalKind, signal};
    let terminate = signal(SignalKind::terminate());
    let interrupt = signal(SignalKind::interrupt());
    match (terminate, interrupt) {
        (Ok(mut terminate), Ok(mut interrupt)) => {
            tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
        }
        // Without handlers the signals end the process by themselves.
        _ => std::future::pending().await,
    }
}

#[cfg(not(unix))]
async fn stopped() {
    drop(tokio::signal::ctrl_c().await);
}
