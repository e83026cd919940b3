//! Tests of the sandbox: no file outside the repository is read, written or removed.

mod hostile_files;
