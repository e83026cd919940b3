//! The process group of a program: it is ended as a whole, by us or when pillion itself is to end.

use std::io;
use std::process::{Child, Command, ExitStatus};

#[cfg(unix)]
pub use self::unix::terminate_all;
#[cfg(unix)]
pub(super) use self::unix::{ProcessGroup, notify_on_exit, terminate_all_then};

#[cfg(not(unix))]
pub use self::other::terminate_all;
#[cfg(not(unix))]
pub(super) use self::other::{ProcessGroup, notify_on_exit};

/// How the end of a program is brought about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TerminationMode {
    /// At once, with everything that it has started: a program that the user or the repository names.
    Kill,
    /// It is asked first, so that it removes its locks: git. What it leaves in the background when it ends by itself,
    /// such as a credential cache, goes on.
    Terminate,
    /// The same, by whoever waits for it.
    TerminateByWaiter,
}

#[cfg(unix)]
mod unix {
    use super::{Child, Command, ExitStatus, TerminationMode, io};
    use crate::programs::signals;
    use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, kill_process_group, waitid};
    use std::collections::BTreeMap;
    use std::os::unix::process::CommandExt as _;
    use std::sync::{Mutex, MutexGuard, PoisonError};
    use std::thread;
    use std::time::{Duration, Instant};

    /// How long a program may take to remove its locks after it was asked to end.
    const TERMINATION_GRACE: Duration = Duration::from_millis(200);

    /// The programs that run now; one is in here only while its number cannot be somebody else's.
    static RUNNING: Mutex<BTreeMap<i32, ProcessGroup>> = Mutex::new(BTreeMap::new());

    fn running_groups() -> MutexGuard<'static, BTreeMap<i32, ProcessGroup>> {
        RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One program and what it has started.
    #[derive(Debug, Clone, Copy)]
    pub(in crate::programs) struct ProcessGroup {
        pid: Pid,
        /// Its group is its own; else it is pillion's, so that it can ask the person at the terminal.
        is_own: bool,
        mode: TerminationMode,
    }

    impl ProcessGroup {
        /// Starts a program, in a group of its own unless it may have to ask a person.
        pub(in crate::programs) fn start(
            mut command: Command,
            ending: TerminationMode,
        ) -> io::Result<(Self, Child)> {
            signals::install_signal_handler();
            let is_own = ending != TerminationMode::Terminate || !has_terminal();
            if is_own {
                command.process_group(0);
            }
            // Nobody ends all programs between the start and the note of it.
            let mut running = running_groups();
            let child = command.spawn()?;
            let group = Self { pid: Pid::from_child(&child), is_own, mode: ending };
            running.insert(group.raw_pid(), group);
            Ok((group, child))
        }

        /// Notes that the program has ended by itself or is to end now, ends what is left, and returns how it ended.
        pub(in crate::programs) fn terminate(&self, child: &mut Child) -> io::Result<ExitStatus> {
            let has_ended = has_exited(self.pid);
            if self.mode != TerminationMode::Kill && !has_ended {
                self.signal(Signal::TERM);
                let until = Instant::now() + TERMINATION_GRACE;
                while !self::has_exited(self.pid) && Instant::now() < until {
                    thread::sleep(Duration::from_millis(10));
                }
            }
            let mut running = running_groups();
            if self.mode == TerminationMode::Kill || !has_ended {
                self.signal(Signal::KILL);
            }
            running.remove(&self.raw_pid());
            drop(running);
            child.wait()
        }

        fn signal(&self, signal: Signal) {
            // An error says that nothing of it is left.
            let _ = match self.is_own {
                true => kill_process_group(self.pid, signal),
                false => kill_process(self.pid, signal),
            };
        }

        fn raw_pid(&self) -> i32 {
            self.pid.as_raw_nonzero().get()
        }
    }

    /// Tells whether there is a terminal, at which ssh or a credential helper may ask for a password. A program in a
    /// group of its own could not.
    fn has_terminal() -> bool {
        std::fs::File::open("/dev/tty").is_ok()
    }

    /// Tells whether a child has ended, and leaves it to be waited for.
    fn has_exited(child: Pid) -> bool {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
        matches!(waitid(WaitId::Pid(child), options), Ok(Some(_)))
    }

    /// Calls back when a program has ended, and leaves it to be waited for.
    pub(in crate::programs) fn notify_on_exit(child: &Child, ended: impl FnOnce() + Send + 'static) {
        let pid = Pid::from_child(child);
        thread::spawn(move || {
            let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
            while waitid(WaitId::Pid(pid), options).is_err_and(|e| e == rustix::io::Errno::INTR) {}
            ended();
        });
    }

    /// Ends every program that runs now: pillion itself is to end. What somebody waits for who has heard of it, too, is
    /// left to that.
    pub fn terminate_all() {
        signal_all(&running_groups());
    }

    fn signal_all(running: &BTreeMap<i32, ProcessGroup>) -> bool {
        let mut is_one_asked = false;
        for group in running.values() {
            match group.mode {
                TerminationMode::Kill => group.signal(Signal::KILL),
                TerminationMode::Terminate => {
                    group.signal(Signal::TERM);
                    is_one_asked = true;
                }
                TerminationMode::TerminateByWaiter => {}
            }
        }
        is_one_asked
    }

    /// Ends every program, does the last thing of all, and lets nobody start another one meanwhile.
    pub(in crate::programs) fn terminate_all_then(last: impl FnOnce()) {
        let running = running_groups();
        if signal_all(&running) {
            let asked = || running.values().filter(|g| g.mode == TerminationMode::Terminate);
            let until = Instant::now() + TERMINATION_GRACE;
            while asked().any(|g| !has_exited(g.pid)) && Instant::now() < until {
                thread::sleep(Duration::from_millis(10));
            }
            asked().for_each(|group| group.signal(Signal::KILL));
        }
        last();
    }
}

/// Without process groups the program alone is ended.
#[cfg(not(unix))]
mod other {
    use super::{Child, Command, ExitStatus, TerminationMode, io};

    /// One program.
    pub(in crate::programs) struct ProcessGroup;

    impl ProcessGroup {
        /// Starts a program.
        pub(in crate::programs) fn start(
            mut command: Command,
            _: TerminationMode,
        ) -> io::Result<(Self, Child)> {
            Ok((Self, command.spawn()?))
        }

        /// Ends the program, and returns how it ended.
        pub(in crate::programs) fn terminate(&self, child: &mut Child) -> io::Result<ExitStatus> {
            if let Some(status) = child.try_wait()? {
                return Ok(status);
            }
            let _ = child.kill();
            child.wait()
        }
    }

    /// Nobody calls back here: the end of the output says that a program has ended.
    pub(in crate::programs) fn notify_on_exit(_: &Child, _: impl FnOnce() + Send + 'static) {}

    /// Nothing is ended.
    pub fn terminate_all() {}
}
