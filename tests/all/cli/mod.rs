//! Tests of the command line: arguments, exit codes, output, and single commands.

mod command_line;
mod completions;
mod doctor;
#[cfg(unix)]
mod init;
mod invocation;
mod plan;
mod promote;
#[cfg(feature = "watch")]
mod pull_requests;
