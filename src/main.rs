//! Runs the command line and returns its exit code.

use std::process::ExitCode;

/// Parsing allocates many small strings, which takes half the time of the C library's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    std::panic::set_hook(Box::new(|panic| pillion::cli::report_bug(&panic.to_string())));
    ExitCode::from(pillion::cli::run(std::env::args_os()))
}
