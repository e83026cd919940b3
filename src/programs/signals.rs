//! Ends running programs when a signal ends pillion: they are in their own process groups, which a terminal, a plugin
//! server or `timeout` does not know.

use super::process_group::terminate_all_then;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// Whether the caller handles signals and ends the programs.
static IS_HANDLED_ELSEWHERE: AtomicBool = AtomicBool::new(false);

/// Whether a program on the terminal, such as a pager, handles interrupts.
static IGNORES_INTERRUPTS: AtomicBool = AtomicBool::new(false);

static INSTALL: Once = Once::new();

/// Leaves signals and the end of programs to the caller.
pub(crate) fn disable_signal_handler() {
    IS_HANDLED_ELSEWHERE.store(true, Ordering::Release);
}

/// Ignores interrupts of the terminal during `work`: the program that it runs gets them as well, and decides.
pub(super) fn ignore_interrupts_while<T>(work: impl FnOnce() -> T) -> T {
    install_signal_handler();
    IGNORES_INTERRUPTS.store(true, Ordering::Release);
    let result = work();
    IGNORES_INTERRUPTS.store(false, Ordering::Release);
    result
}

/// Installs the handler before the first program is started. A signal then ends the programs, and pillion as without
/// the handler.
pub(super) fn install_signal_handler() {
    if IS_HANDLED_ELSEWHERE.load(Ordering::Acquire) {
        return;
    }
    INSTALL.call_once(|| {
        // Without a handler pillion ends as usual; only its programs continue.
        let Ok(mut signals) = Signals::new([SIGINT, SIGTERM]) else { return };
        thread::spawn(move || {
            for signal in signals.forever() {
                if signal == SIGINT && IGNORES_INTERRUPTS.load(Ordering::Acquire) {
                    continue;
                }
                terminate_all_then(|| drop(emulate_default_handler(signal)));
            }
        });
    });
}
