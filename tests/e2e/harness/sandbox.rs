//! The test binary runs itself again in its own Linux namespaces: its ports are private and free, and every process it
//! starts ends with it.

use super::tools;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

/// Set inside: the folder for everything that the run writes.
const FOLDER: &str = "PILLION_E2E_FOLDER";

/// The first process of the process namespace: when it ends, the kernel ends all others. The tests mostly wait, so
/// more of them run at a time than there are cores.
const INIT: &str = r#"
trap : INT TERM
ip link set lo up || exit 1
PILLION_E2E_FOLDER=$(mktemp -d -t pillion-e2e.XXXXXX) || exit 1
export PILLION_E2E_FOLDER TMPDIR="$PILLION_E2E_FOLDER" RUST_TEST_THREADS="${RUST_TEST_THREADS:-8}"
"$@"
status=$?
cat "$PILLION_E2E_FOLDER/notes" >&2 2>/dev/null
if [ "$status" -eq 0 ] && [ -z "$PILLION_E2E_KEEP" ]; then
  rm -rf "$PILLION_E2E_FOLDER"
else
  echo "the logs of the control plane are in $PILLION_E2E_FOLDER" >&2
fi
exit "$status"
"#;

/// Returns the folder of this run, inside the sandbox. Outside, it builds what needs the network, and runs this
/// program again inside; then it does not return.
pub(crate) fn enter() -> &'static Path {
    static FOLDER_OF_RUN: LazyLock<PathBuf> = LazyLock::new(|| match std::env::var_os(FOLDER) {
        Some(folder) => folder.into(),
        None => {
            tools::build_all();
            run_again()
        }
    });
    &FOLDER_OF_RUN
}

/// Says something when the run is over, whether or not the test that measured it has passed.
pub(crate) fn note(line: &str) {
    let notes = enter().join("notes");
    let mut notes = OpenOptions::new().create(true).append(true).open(notes).unwrap();
    notes.write_all(format!("{line}\n").as_bytes()).unwrap();
}

fn run_again() -> ! {
    let mut unshare = Command::new("unshare");
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        unshare.args(["--user", "--map-root-user"]);
    }
    unshare.args(["--net", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", INIT, "sh"]);
    unshare.arg(std::env::current_exe().unwrap()).args(std::env::args_os().skip(1));
    let error = unshare.exec();
    panic!("`unshare` (util-linux), for a network and processes of its own: {error}");
}
