//! The command line: one file a verb, and what the verbs share.

mod author;
mod clock;
mod cmp;
mod cmp_parameters;
mod codeowners;
mod doctor;
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
mod retry;
mod rollback;
mod sidecar_set_names;
mod stage;
mod start;
mod status;
mod templates;
mod validate;
mod verbs;
mod verify;
#[cfg(feature = "watch")]
mod watch;

pub use reference::cli_reference;

use crate::diagnostics::{Code, escape};
use crate::write::Error;
use clap::{Args, Parser, Subcommand, ValueEnum};
use reporter::Reporter;
use std::ffi::OsString;
use std::io::{IsTerminal as _, Write as _};

/// Everything went well.
const EXIT_SUCCESS: u8 = 0;
/// Something is wrong with the files, or what is there is not up to date.
const EXIT_FINDINGS: u8 = 1;
/// The command line or pillion.yaml is wrong.
const EXIT_USAGE: u8 = 2;
/// The environment failed; a retry may help.
const EXIT_ENVIRONMENT: u8 = 3;

/// Sidecars injected at build time, and rolled out by git.
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
    /// Run as if pillion was started in DIR
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
    /// Tells whether standard error wants colors.
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

/// Forms of messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum MessageFormat {
    /// With the lines they are about.
    Human,
    /// One line each.
    Short,
    /// One JSON document.
    Json,
    /// Workflow commands of GitHub Actions.
    Github,
}

/// How a verb answers on standard output.
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
    /// On a terminal, unless `NO_COLOR` is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// What to do.
#[derive(Debug, Subcommand)]
enum CliCommand {
    /// Inject sidecars into every workload
    Render(render::RenderArgs),
    /// Check SidecarSets with the rules of Kruise's own validation
    Validate(validate::ValidateArgs),
    /// Say which SidecarSets reach a workload, which do not, and what they bring
    Explain(explain::ExplainArgs),
    /// Repair the indentation of SidecarSets that cannot be read
    Fix(fix::FixArgs),
    /// Say what a rollout is going to do
    Plan(plan::PlanArgs),
    /// Write the commits of a rollout onto a branch of their own, to be read before it starts
    Stage(stage::StageArgs),
    /// Start rollouts: put their first commit onto the deploy branch, which changes no rendered file
    Start(start::StartArgs),
    /// Release the batches of rollouts while pods stay healthy
    #[cfg(feature = "watch")]
    Watch(Box<watch::WatchArgs>),
    /// Say where every rollout stands, and what it waits for
    Status(status::StatusArgs),
    /// Release the next batch of a rollout by hand
    Promote(promote::PromoteArgs),
    /// Stop a rollout where it is
    Pause(verbs::PauseArgs),
    /// Let a paused rollout go on, or one that was rolled back be staged again
    Resume(verbs::ResumeArgs),
    /// Let a batch pass that waits for a person
    Approve(verbs::ApproveArgs),
    /// Go back to the released revision
    Rollback(rollback::RollbackArgs),
    /// Keep a workload as it is, or give it an emergency image
    Hold(hold::HoldArgs),
    /// Write the files that a repository needs
    Init(init::InitArgs),
    /// Check that everything in git is what pillion makes
    Verify(verify::VerifyArgs),
    /// Generate the manifests of an Application, as a plugin of Argo CD
    Cmp(cmp::CmpArgs),
    /// Print the files that a front door needs, for this version
    Print(templates::PrintArgs),
    /// Look at what pillion works with on this machine and in this repository
    Doctor(doctor::DoctorArgs),
    /// Print the JSON Schema of pillion's own files
    Schema {
        /// Of which file
        #[arg(default_value = "repository")]
        of: print::SchemaKind,
    },
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page
    Man,
}

impl CliCommand {
    /// Tells whether it renders or plans SidecarSets: only there something can be done about the order of sets and
    /// about pods that do not heal by themselves. Elsewhere such advice hides what is asked for.
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
            // Nothing is left to be done when even this cannot be printed.
            let _ = error.print();
            return if error.use_stderr() { EXIT_USAGE } else { EXIT_SUCCESS };
        }
    };
    let mut reporter = Reporter::new(&cli.global);
    if let Some(folder) = &cli.global.directory
        && let Err(error) = std::env::set_current_dir(folder)
    {
        reporter.print_error(&format!("pillion: cannot change to `{}`: {error}", folder.display()));
        return EXIT_USAGE;
    }
    if !cli.command.can_act_on_advice() {
        reporter.suppress_codes(&[Code::SidecarSetOrderMatters, Code::OrderedReadyStuck]);
    }
    let outcome = match &cli.command {
        CliCommand::Render(args) => render::run(args, &cli.global, &mut reporter),
        CliCommand::Validate(args) => validate::run(args, &cli.global, &mut reporter),
        CliCommand::Explain(args) => explain::run(args, &cli.global, &mut reporter),
        CliCommand::Fix(args) => fix::run(args, &cli.global, &mut reporter),
        CliCommand::Plan(args) => plan::run(args, &cli.global, &mut reporter),
        CliCommand::Status(args) => status::run(args, &cli.global, &mut reporter),
        CliCommand::Promote(args) => promote::run(args, &cli.global, &mut reporter),
        CliCommand::Pause(args) => verbs::pause(args, &cli.global, &mut reporter),
        CliCommand::Resume(args) => verbs::resume(args, &cli.global, &mut reporter),
        CliCommand::Approve(args) => verbs::approve(args, &cli.global, &mut reporter),
        CliCommand::Rollback(args) => rollback::run(args, &cli.global, &mut reporter),
        CliCommand::Hold(args) => hold::run(args, &cli.global, &mut reporter),
        CliCommand::Init(args) => init::run(args, &cli.global, &mut reporter),
        CliCommand::Verify(args) => verify::run(args, &cli.global, &mut reporter),
        CliCommand::Stage(args) => stage::run(args, &cli.global, &mut reporter),
        CliCommand::Start(args) => start::run(args, &cli.global, &mut reporter),
        #[cfg(feature = "watch")]
        CliCommand::Watch(args) => watch::run(args, &cli.global, &mut reporter),
        CliCommand::Cmp(args) => cmp::run(args, &mut reporter),
        CliCommand::Print(args) => templates::print_templates(args, &reporter),
        CliCommand::Doctor(args) => doctor::run(args, &cli.global, &mut reporter),
        CliCommand::Schema { of } => print::schema(*of),
        CliCommand::Completions { shell } => print::completions(*shell),
        CliCommand::Man => print::man(),
    };
    reporter.print_diagnostics();
    match outcome {
        Ok(code) => code,
        Err(Error::Stdout(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => EXIT_ENVIRONMENT,
        Err(failure) => {
            reporter.print_failure(&failure);
            EXIT_ENVIRONMENT
        }
    }
}

/// Tells a person that pillion itself is at fault.
pub fn report_bug(panic: &str) {
    let _ = writeln!(
        std::io::stderr(),
        "pillion: this is a bug, and nothing was written: {panic}\nplease report it with the command and, if you can, the files"
    );
}

/// Writes a text for people, or JSON, to standard output: what others wrote in it holds no hidden characters.
fn print_text(text: &str) -> Result<(), Error> {
    print_data(&escape::lines(text))
}

/// Writes data to standard output, byte for byte: manifests, diffs, scripts.
fn print_data(text: &str) -> Result<(), Error> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(Error::Stdout)
}
