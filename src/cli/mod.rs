//! The command line: one file for each command, and what commands share.

mod author;
mod clock;
mod commands;
mod completions;
mod error;
mod examples;
mod format;
mod inputs;
mod invocation;
mod paint;
mod permissions;
mod progress;
mod reference;
mod reporter;
mod repository;
mod retry;
mod sidecar_set_names;
mod terminal;

pub use reference::cli_reference;

use crate::diagnostics::escape;
use crate::write::Error;
use crate::yaml;
use clap::{Args, Command, CommandFactory as _, FromArgMatches as _, Parser, ValueEnum};
use reporter::Reporter;
use std::ffi::OsString;
use std::io::{IsTerminal, Write as _};

/// Done.
const EXIT_SUCCESS: u8 = 0;
/// Findings, or a difference.
const EXIT_FINDINGS: u8 = 1;
/// Wrong usage or configuration.
const EXIT_USAGE: u8 = 2;
/// The environment failed; a retry may help.
const EXIT_ENVIRONMENT: u8 = 3;
/// `watch --once`: a rollout waits.
#[cfg(feature = "watch")]
const EXIT_WAITING: u8 = 4;
/// `watch --once`: a rollout is paused.
#[cfg(feature = "watch")]
const EXIT_PAUSED: u8 = 5;

/// Inject sidecars at build time, and roll them out through git.
#[derive(Debug, Parser)]
#[command(name = "pillion", version, about, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    global: GlobalArgs,
    #[command(subcommand)]
    command: commands::CliCommand,
}

/// Options of every command.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct GlobalArgs {
    /// Run as if pillion had been started in DIR
    #[arg(short = 'C', value_name = "DIR", global = true)]
    directory: Option<std::path::PathBuf>,
    /// Format of messages on standard error
    #[arg(long = "message-format", value_enum, default_value = "human", global = true)]
    format: MessageFormat,
    /// Use of colors
    #[arg(long, value_enum, default_value = "auto", global = true)]
    color: ColorChoice,
    /// Print errors only
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,
    /// Print what was done
    #[arg(short, long, global = true)]
    verbose: bool,
    /// Print long output without a pager
    #[arg(long, global = true)]
    no_pager: bool,
    /// Treat warnings as errors, except those that `lint:` of pillion.yaml allows
    #[arg(long, global = true)]
    strict: bool,
    /// Configuration file to use instead of the nearest pillion.yaml
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<std::path::PathBuf>,
    /// Run the `build` commands of pillion.yaml in CI and in `watch`, where they are disabled because whoever can write
    /// that file can run any program
    #[arg(long, env = "PILLION_ALLOW_BUILD", hide_env_values = true, value_parser = permissions::parse_flag, global = true)]
    allow_build: bool,
}

impl GlobalArgs {
    /// Returns whether messages on standard error have colors.
    fn colors_stderr(&self) -> bool {
        self.has_colors(&std::io::stderr())
    }

    /// Returns whether reports on standard output have colors.
    fn colors_stdout(&self) -> bool {
        self.has_colors(&std::io::stdout())
    }

    fn has_colors(&self, stream: &impl IsTerminal) -> bool {
        match self.color {
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            ColorChoice::Auto => {
                stream.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
            }
        }
    }
}

/// Formats of messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum MessageFormat {
    /// With the lines of the file
    Human,
    /// One line each
    Short,
    /// One JSON document
    Json,
    /// Workflow commands of GitHub Actions
    Github,
}

/// Formats of the output of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum OutputFormat {
    /// For people
    Text,
    /// A document with `apiVersion` and `kind`
    Json,
    /// The same document as YAML
    Yaml,
}

impl OutputFormat {
    /// Returns a JSON document in the format that was asked for.
    fn convert(self, json: String) -> String {
        match self {
            Self::Text | Self::Json => json,
            Self::Yaml => yaml::emit(&serde_json::from_str(&json).expect("pillion has written this JSON")),
        }
    }
}

/// Use of colors
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ColorChoice {
    /// On a terminal, unless `NO_COLOR` is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// Returns the command line, with the examples of each command.
fn command() -> Command {
    examples::add_examples(Cli::command())
}

/// Runs the command line and returns the exit code.
pub fn run(arguments: impl Iterator<Item = OsString>) -> u8 {
    let arguments = invocation::with_display_name(arguments.collect());
    if let Some(code) = completions::run(&arguments) {
        return code;
    }
    if let Some(code) = invocation::run_other_invocation(&arguments) {
        return code;
    }
    let parsed = command().try_get_matches_from(arguments);
    let cli = match parsed.and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => cli,
        Err(error) => {
            // A closed standard error leaves nothing to do.
            let _ = error.print();
            return if error.use_stderr() { EXIT_USAGE } else { EXIT_SUCCESS };
        }
    };
    let mut reporter = Reporter::new(&cli.global);
    let result =
        clock::check_environment().and_then(|()| commands::run(&cli.command, &cli.global, &mut reporter));
    let code = result.unwrap_or_else(|error| reporter.add_command_error(error));
    reporter.print_diagnostics();
    code
}

/// Prints a panic, which is a bug of pillion.
pub fn report_bug(panic: &str) {
    write_stderr(&format!(
        "pillion panicked, which is a bug: {panic}\nplease report it with the command and, if you can, the files\n"
    ));
}

/// Writes a text to standard error. With a closed one, no message can be shown.
fn write_stderr(text: &str) {
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}

/// Writes a text for people, or JSON, to standard output, with hidden characters escaped.
fn print_text(text: &str) -> Result<(), Error> {
    print_data(&escape::lines(text))
}

/// Writes data to standard output, byte for byte: manifests, diffs, scripts.
fn print_data(text: &str) -> Result<(), Error> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(Error::Stdout)
}
