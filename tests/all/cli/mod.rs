//! Tests of the command line: arguments, exit codes, output, and single commands.

#[cfg(feature = "watch")]
mod adopt;
#[cfg(all(unix, feature = "watch"))]
mod cluster_mistakes;
mod command_line;
mod completions;
mod doctor;
mod git_states;
#[cfg(unix)]
mod init;
mod invocation;
#[cfg(feature = "watch")]
mod next_commands;
mod plan;
#[cfg(target_os = "linux")]
mod progress;
mod promote;
#[cfg(feature = "watch")]
mod pull_requests;
