//! Shows a long text in the pager of the user, as git does.

/// Shows a text in the program of `PILLION_PAGER` or `PAGER`, else in `less`, until the user ends it. Returns whether it
/// was shown: not if a variable is empty or `cat`, or if the program cannot be started.
#[cfg(unix)]
pub(crate) fn run_pager(text: &str) -> bool {
    use super::signals::ignore_interrupts_while;
    use super::{CredentialAccess, command_without_secrets};
    use std::io::Write as _;
    use std::process::Stdio;

    let variable = |name| std::env::var(name).ok();
    let pager = variable("PILLION_PAGER").or_else(|| variable("PAGER")).unwrap_or_else(|| "less".to_owned());
    if pager.trim().is_empty() || pager.trim() == "cat" {
        return false;
    }
    // The variable may have arguments.
    let mut command = command_without_secrets("sh", CredentialAccess::None);
    command.arg("-c").arg(&pager).stdin(Stdio::piped());
    // Colors, no clearing of the screen, and no pager for a text that fits: the defaults of git.
    for (name, value) in [("LESS", "FRX"), ("LV", "-c")] {
        if std::env::var_os(name).is_none() {
            command.env(name, value);
        }
    }
    ignore_interrupts_while(|| {
        let Ok(mut child) = command.spawn() else { return false };
        if let Some(mut input) = child.stdin.take() {
            // A user may end it before the end of the text.
            let _ = input.write_all(text.as_bytes());
        }
        // The shell exits with 126 or 127 if it cannot start the pager.
        child.wait().is_ok_and(|status| !matches!(status.code(), Some(126 | 127)))
    })
}

/// There is no pager that every installation has.
#[cfg(not(unix))]
pub(crate) fn run_pager(_text: &str) -> bool {
    false
}

/// Returns the columns and rows of the terminal on standard output; None if there is none.
#[cfg(unix)]
pub(crate) fn terminal_size() -> Option<(usize, usize)> {
    let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok()?;
    let (columns, rows) = (usize::from(size.ws_col), usize::from(size.ws_row));
    (columns > 0 && rows > 0).then_some((columns, rows))
}

/// Unknown: nothing is fitted to the terminal.
#[cfg(not(unix))]
pub(crate) fn terminal_size() -> Option<(usize, usize)> {
    None
}
