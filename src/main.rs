//! Starts the command line and turns its outcome into an exit code.

use std::process::ExitCode;

/// Parsing makes and drops many small texts; this allocator takes half the time of the C library's for them.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    std::panic::set_hook(Box::new(|panic| pillion::cli::report_bug(&panic.to_string())));
    ExitCode::from(pillion::cli::run(std::env::args_os()))
}
