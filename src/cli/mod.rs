//! The command line: one file for each command, and what commands share.

mod approve;
mod author;
mod clock;
mod cmp;
mod cmp_parameters;
mod codeowners;
mod doctor;
mod error;
mod explain;
mod fix;
mod hold;
mod init;
mod inputs;
mod invocation;
mod krm;
mod kustomization;
mod kustomize;
mod kustomize_exec;
mod ledger_change;
mod pause;
mod permissions;
mod plan;
mod print;
mod progress;
mod promote;
mod reference;
mod remote_bases;
mod render;
mod render_branch;
mod render_check;
mod reporter;
mod repository;
mod resume;
mod retry;
mod rollback;
mod sidecar_set_names;
mod stage;
mod start;
mod status;
mod templates;
mod validate;
mod verify;
#[cfg(feature = "watch")]
mod watch;

pub use reference::cli_reference;

use crate::diagnostics::{Code, escape};
use crate::write::Error;
use clap::{Args, Parser, Subcommand, ValueEnum};
use error::CommandError;
use reporter::Reporter;
use std::ffi::OsString;
use std::io::{IsTerminal as _, Write as _};

/// Done.
const EXIT_SUCCESS: u8 = 0;
/// Findings, or a difference.
const EXIT_FINDINGS: u8 = 1;
/// Wrong usage or configuration.
const EXIT_USAGE: u8 = 2;
/// The environment failed; a retry may help.
const EXIT_ENVIRONMENT: u8 = 3;

/// Inject sidecars at build time, and roll them out through git.
#[derive(Debug, Parser)]
#[command(name = "pillion", version, about, max_term_width = 100)]
pub struct Cli {
    #[command(flatten)]
    global: GlobalArgs,
    #[command(subcommand)]
    command: CliCommand,
}

/// Options of every command.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global options")]
pub struct GlobalArgs {
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
    fn has_colors(&self) -> bool {
        match self.color {
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            ColorChoice::Auto => {
                std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
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

/// The commands.
#[derive(Debug, Subcommand)]
enum CliCommand {
    /// Inject sidecars into workloads
    Render(render::RenderArgs),
    /// Validate SidecarSets as the webhook of Kruise does
    Validate(validate::ValidateArgs),
    /// Explain which SidecarSets reach a workload, which do not, and what they add
    Explain(explain::ExplainArgs),
    /// Repair the indentation of SidecarSets that cannot be read
    Fix(fix::FixArgs),
    /// Print the plan of rollouts, batch by batch
    Plan(plan::PlanArgs),
    /// Write the commits of rollouts to staged branches, for review
    Stage(stage::StageArgs),
    /// Start rollouts with a commit on the deploy branch, which changes no rendered file
    Start(start::StartArgs),
    /// Release the batches of rollouts while pods stay healthy
    #[cfg(feature = "watch")]
    Watch(Box<watch::WatchArgs>),
    /// Show the status of rollouts
    Status(status::StatusArgs),
    /// Release the next batch of a rollout by hand
    Promote(promote::PromoteArgs),
    /// Pause a rollout
    Pause(pause::PauseArgs),
    /// Resume a paused rollout, or allow a rolled-back revision to be staged again
    Resume(resume::ResumeArgs),
    /// Approve a batch that is waiting for approval
    Approve(approve::ApproveArgs),
    /// Roll back to the released revision, or to an earlier batch
    Rollback(rollback::RollbackArgs),
    /// Keep a workload at its revision, or give it an emergency image
    Hold(hold::HoldArgs),
    /// Write the first ledgers, or the files of an integration
    Init(init::InitArgs),
    /// Check that everything in git is what pillion makes
    Verify(verify::VerifyArgs),
    /// Generate the manifests of an Application, as a config management plugin of Argo CD
    Cmp(cmp::CmpArgs),
    /// Print the files of an integration, for this version
    Print(templates::PrintArgs),
    /// Check the environment, configuration and repository for problems
    Doctor(doctor::DoctorArgs),
    /// Print the JSON Schema of pillion's own files
    Schema {
        /// File to describe
        #[arg(default_value = "repository")]
        of: print::SchemaKind,
    },
    /// Print a completion script for a shell
    Completions {
        /// Shell to complete commands in
        shell: clap_complete::Shell,
    },
    /// Print the manual page
    Man,
}

impl CliCommand {
    /// Returns whether it renders or plans SidecarSets: only then a person can act on advice about the order of sets
    /// and about pods that do not heal by themselves. In other commands such advice hides the answer.
    fn can_act_on_advice(&self) -> bool {
        matches!(
            self,
            Self::Render(_)
                | Self::Validate(_)
                | Self::Plan(_)
                | Self::Stage(_)
                | Self::Start(_)
                | Self::Cmp(_)
        )
    }
}

/// Runs the command line and returns the exit code (DESIGN.md 2).
pub fn run(arguments: impl Iterator<Item = OsString>) -> u8 {
    let arguments = invocation::with_display_name(arguments.collect());
    if let Some(code) = invocation::run_other_invocation(&arguments) {
        return code;
    }
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // A closed standard error leaves nothing to do.
            let _ = error.print();
            return if error.use_stderr() { EXIT_USAGE } else { EXIT_SUCCESS };
        }
    };
    let mut reporter = Reporter::new(&cli.global);
    let result = run_command(&cli, &mut reporter);
    let code = result.unwrap_or_else(|error| error.report(&mut reporter));
    reporter.print_diagnostics();
    code
}

fn run_command(cli: &Cli, reporter: &mut Reporter) -> Result<u8, CommandError> {
    if let Some(folder) = &cli.global.directory {
        std::env::set_current_dir(folder).map_err(|error| {
            CommandError::usage(format!("cannot change to `{}`: {error}", folder.display()))
        })?;
    }
    if !cli.command.can_act_on_advice() {
        reporter.suppress_codes(&[Code::SidecarSetOrderMatters, Code::OrderedReadyStuck]);
    }
    match &cli.command {
        CliCommand::Render(args) => render::run(args, &cli.global, reporter),
        CliCommand::Validate(args) => validate::run(args, &cli.global, reporter),
        CliCommand::Explain(args) => explain::run(args, &cli.global, reporter),
        CliCommand::Fix(args) => fix::run(args, &cli.global, reporter),
        CliCommand::Plan(args) => plan::run(args, &cli.global, reporter),
        CliCommand::Status(args) => status::run(args, &cli.global, reporter),
        CliCommand::Promote(args) => promote::run(args, &cli.global, reporter),
        CliCommand::Pause(args) => pause::run(args, &cli.global, reporter),
        CliCommand::Resume(args) => resume::run(args, &cli.global, reporter),
        CliCommand::Approve(args) => approve::run(args, &cli.global, reporter),
        CliCommand::Rollback(args) => rollback::run(args, &cli.global, reporter),
        CliCommand::Hold(args) => hold::run(args, &cli.global, reporter),
        CliCommand::Init(args) => init::run(args, &cli.global, reporter),
        CliCommand::Verify(args) => verify::run(args, &cli.global, reporter),
        CliCommand::Stage(args) => stage::run(args, &cli.global, reporter),
        CliCommand::Start(args) => start::run(args, &cli.global, reporter),
        #[cfg(feature = "watch")]
        CliCommand::Watch(args) => watch::run(args, &cli.global, reporter),
        CliCommand::Cmp(args) => cmp::run(args, reporter),
        CliCommand::Print(args) => templates::print_templates(args),
        CliCommand::Doctor(args) => doctor::run(args, &cli.global, reporter),
        CliCommand::Schema { of } => print::schema(*of),
        CliCommand::Completions { shell } => print::completions(*shell),
        CliCommand::Man => print::man(),
    }
}

/// Prints a panic, which is a bug of pillion.
pub fn report_bug(panic: &str) {
    let _ = writeln!(
        std::io::stderr(),
        "pillion panicked, which is a bug: {panic}\nplease report it with the command and, if you can, the files"
    );
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
