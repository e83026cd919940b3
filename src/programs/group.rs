//! The process group of a program: it is ended as a whole, by us or when pillion itself is to end.

use std::io;
use std::process::{Child, Command, ExitStatus};

#[cfg(unix)]
pub use self::unix::end_all;
#[cfg(unix)]
pub(super) use self::unix::{Group, wait};

#[cfg(not(unix))]
pub use self::other::end_all;
#[cfg(not(unix))]
pub(super) use self::other::{Group, wait};

#[cfg(unix)]
mod unix {
    use super::{Child, Command, ExitStatus, io};
    use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
    use std::collections::BTreeSet;
    use std::os::unix::process::CommandExt as _;
    use std::sync::{Mutex, PoisonError};
    use std::thread;

    /// The groups that run now, by number; a number is in here only while it cannot be somebody else's.
    static RUNNING: Mutex<BTreeSet<i32>> = Mutex::new(BTreeSet::new());

    /// The group of one program.
    pub(in crate::programs) struct Group(Pid);

    impl Group {
        /// Starts a program in a group of its own.
        pub(in crate::programs) fn start(mut command: Command) -> io::Result<(Self, Child)> {
            command.process_group(0);
            // Nobody ends all groups between the start and the note of it.
            let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
            let child = command.spawn()?;
            let pid = Pid::from_child(&child);
            running.insert(pid.as_raw_nonzero().get());
            Ok((Self(pid), child))
        }

        /// Ends what is left of the group, and returns how the program ended.
        pub(in crate::programs) fn end(&mut self, child: &mut Child) -> io::Result<ExitStatus> {
            let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
            // An error says that nothing of it is left.
            let _ = kill_process_group(self.0, Signal::KILL);
            running.remove(&self.0.as_raw_nonzero().get());
            drop(running);
            child.wait()
        }
    }

    /// Calls back when a program has ended, and leaves it to be waited for.
    pub(in crate::programs) fn wait(child: &Child, ended: impl FnOnce() + Send + 'static) {
        let pid = Pid::from_child(child);
        thread::spawn(move || {
            let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
            while waitid(WaitId::Pid(pid), options).is_err_and(|e| e == rustix::io::Errno::INTR) {}
            ended();
        });
    }

    /// Ends every program that runs now: pillion itself is to end.
    pub fn end_all() {
        for group in RUNNING.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            if let Some(pid) = Pid::from_raw(*group) {
                let _ = kill_process_group(pid, Signal::KILL);
            }
        }
    }
}

/// Without process groups the program alone is ended.
#[cfg(not(unix))]
mod other {
    use super::{Child, Command, ExitStatus, io};

    /// One program.
    pub(in crate::programs) struct Group;

    impl Group {
        /// Starts a program.
        pub(in crate::programs) fn start(mut command: Command) -> io::Result<(Self, Child)> {
            Ok((Self, command.spawn()?))
        }

        /// Ends the program, and returns how it ended.
        pub(in crate::programs) fn end(&mut self, child: &mut Child) -> io::Result<ExitStatus> {
            if let Some(status) = child.try_wait()? {
                return Ok(status);
            }
            let _ = child.kill();
            child.wait()
        }
    }

    /// Nobody calls back here: the end of the output says that a program has ended.
    pub(in crate::programs) fn wait(_: &Child, _: impl FnOnce() + Send + 'static) {}

    /// Nothing is ended.
    pub fn end_all() {}
}
