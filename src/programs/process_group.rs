//! Process groups of programs: each is ended as a whole, at a limit or when pillion shuts down.

use std::io;
use std::process::{Child, Command, ExitStatus};

#[cfg(unix)]
pub(crate) use self::unix::terminate_all;
#[cfg(unix)]
pub(super) use self::unix::{ProcessGroup, notify_on_exit, terminate_all_then};

#[cfg(not(unix))]
pub(crate) use self::other::terminate_all;
#[cfg(not(unix))]
pub(super) use self::other::{ProcessGroup, notify_on_exit};

/// How a program is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TerminationMode {
    /// At once, with its process group: a program of the user or the repository.
    Kill,
    /// It gets SIGTERM first, so that it removes its locks: git. Its background processes, such as a credential
    /// cache, survive if it ends by itself.
    Terminate,
    /// As `Terminate`, but by the thread that waits for it.
    TerminateByWaiter,
}

#[cfg(unix)]
mod unix {
    use super::{Child, Command, ExitStatus, TerminationMode, io};
    use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, kill_process_group, waitid};
    use std::collections::BTreeMap;
    use std::os::unix::process::CommandExt as _;
    use std::sync::{Mutex, MutexGuard, PoisonError};
    use std::thread;
    use std::time::{Duration, Instant};

    /// How long a program may take to remove its locks after SIGTERM.
    const TERMINATION_GRACE: Duration = Duration::from_millis(200);

    /// The running programs; an entry exists only while the process id cannot have been reused.
    static RUNNING: Mutex<BTreeMap<i32, ProcessGroup>> = Mutex::new(BTreeMap::new());

    fn running_groups() -> MutexGuard<'static, BTreeMap<i32, ProcessGroup>> {
        RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One program with its descendants.
    #[derive(Debug, Clone, Copy)]
    pub(in crate::programs) struct ProcessGroup {
        pid: Pid,
        /// Whether it has its own group; otherwise it shares pillion's, so that it can prompt at the terminal.
        is_own: bool,
        mode: TerminationMode,
    }

    impl ProcessGroup {
        /// Starts a program, in its own group unless it may have to prompt.
        pub(in crate::programs) fn start(
            mut command: Command,
            mode: TerminationMode,
        ) -> io::Result<(Self, Child)> {
            let is_own = mode != TerminationMode::Terminate || !has_terminal();
            if is_own {
                command.process_group(0);
            }
            // Holds the lock so that `terminate_all` does not run between start and registration.
            let mut running = running_groups();
            let child = command.spawn()?;
            let group = Self { pid: Pid::from_child(&child), is_own, mode };
            running.insert(group.raw_pid(), group);
            Ok((group, child))
        }

        /// Records the end of the program, ends what is left, and returns its status.
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
            // An error means that nothing is left.
            let _ = match self.is_own {
                true => kill_process_group(self.pid, signal),
                false => kill_process(self.pid, signal),
            };
        }

        fn raw_pid(&self) -> i32 {
            self.pid.as_raw_nonzero().get()
        }
    }

    /// Returns whether there is a terminal, at which ssh or a credential helper may prompt for a password. A program
    /// in its own process group could not.
    fn has_terminal() -> bool {
        std::fs::File::open("/dev/tty").is_ok()
    }

    /// Returns whether a child has exited, without reaping it.
    fn has_exited(child: Pid) -> bool {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
        matches!(waitid(WaitId::Pid(child), options), Ok(Some(_)))
    }

    /// Calls back when a program has exited, without reaping it.
    pub(in crate::programs) fn notify_on_exit(child: &Child, ended: impl FnOnce() + Send + 'static) {
        let pid = Pid::from_child(child);
        thread::spawn(move || {
            let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
            while waitid(WaitId::Pid(pid), options).is_err_and(|e| e == rustix::io::Errno::INTR) {}
            ended();
        });
    }

    /// Ends every running program: pillion is shutting down. Programs with a waiter that checks for a stop request are
    /// left to it.
    pub(crate) fn terminate_all() {
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

    /// Ends every program, runs `last`, and prevents new programs meanwhile.
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

/// Without process groups only the program itself is ended.
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

        /// Ends the program and returns its status.
        pub(in crate::programs) fn terminate(&self, child: &mut Child) -> io::Result<ExitStatus> {
            if let Some(status) = child.try_wait()? {
                return Ok(status);
            }
            let _ = child.kill();
            child.wait()
        }
    }

    /// Never calls back: the end of the output indicates the exit.
    pub(in crate::programs) fn notify_on_exit(_: &Child, _: impl FnOnce() + Send + 'static) {}

    /// Does nothing.
    pub(crate) fn terminate_all() {}
}
