//! A signal that ends pillion ends the programs that it runs, too: they are in process groups of their own, which a
//! terminal, a plugin server or `timeout` do not know.

use super::process_group::terminate_all_then;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// Somebody else listens, and ends the programs.
static IS_HANDLED_ELSEWHERE: AtomicBool = AtomicBool::new(false);

static INSTALL: Once = Once::new();

/// Leaves it to the caller to listen to signals and to end the programs.
pub fn disable_signal_handler() {
    IS_HANDLED_ELSEWHERE.store(true, Ordering::Release);
}

/// Begins to listen, before the first program is started. Then a signal ends the programs, and pillion as it would
/// have without them.
pub(super) fn install_signal_handler() {
    if IS_HANDLED_ELSEWHERE.load(Ordering::Acquire) {
        return;
    }
    INSTALL.call_once(|| {
        // Without a listener pillion ends as ever; only what it has started goes on.
        let Ok(mut signals) = Signals::new([SIGINT, SIGTERM]) else { return };
        thread::spawn(move || {
            for signal in signals.forever() {
                terminate_all_then(|| drop(emulate_default_handler(signal)));
            }
        });
    });
}
