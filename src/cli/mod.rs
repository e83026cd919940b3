//! The command line: one file a verb, and what the verbs share.

mod allowed;
mod application;
mod clock;
mod cmp;
mod compare;
mod doctor;
mod door;
mod doors;
mod explain;
mod fix;
mod guise;
mod hold;
mod init;
mod inputs;
mod items;
mod known;
mod krm;
mod kustomization;
mod kustomization_remote;
mod kustomize;
mod legacy;
mod owners;
mod parameters;
mod person;
mod pipeline;
mod plan;
mod print;
mod progress;
mod promote;
mod reference;
mod render;
mod render_branch;
mod report;
mod repository;
mod retry;
mod rollback;
mod stage;
mod status;
mod topmost;
mod validate;
mod verbs;
mod verify;
#[cfg(feature = "watch")]
mod watch;

pub use reference::reference;

use crate::diag::{Code, plain};
use crate::write::Failure;
use clap::{Args, Parser, Subcommand, ValueEnum};
use report::Reporter;
use std::ffi::OsString;
use std::io::{IsTerminal as _, Write as _};

/// Everything went well.
const DONE: u8 = 0;
/// Something is wrong with the files, or what is there is not up to date.
const FINDINGS: u8 = 1;
/// The command line or pillion.yaml is wrong.
const USAGE: u8 = 2;
/// The environment failed; a retry may help.
const ENVIRONMENT: u8 = 3;

/// Sidecars injected at build time, and rolled out by git.
#[derive(Debug, Parser)]
#[command(name = "pillion", version, about, max_term_width = 100)]
pub struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    verb: Verb,
}

/// Flags of every verb.
#[derive(Debug, Clone, Args)]
pub struct Common {
    /// How messages are written to standard error.
    #[arg(long, value_enum, default_value = "human", global = true)]
    format: Format,
    /// When to use colors.
    #[arg(long, value_enum, default_value = "auto", global = true)]
    color: Color,
    /// Only errors.
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,
    /// Say also what was done.
    #[arg(short, long, global = true)]
    verbose: bool,
    /// Use this configuration instead of the nearest pillion.yaml.
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<std::path::PathBuf>,
    /// Run the `build` commands of pillion.yaml in CI and in `watch` too, where they are off: whoever can write that file
    /// could run any program.
    #[arg(long, env = "PILLION_ALLOW_BUILD", hide_env_values = true, value_parser = allowed::flag, global = true)]
    allow_build: bool,
}

impl Common {
    /// Tells whether standard error wants colors.
    fn has_colors(&self) -> bool {
        match self.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => {
                std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
            }
        }
    }
}

/// Forms of messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
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
enum Output {
    /// For people
    Text,
    /// A document with `apiVersion` and `kind`
    Json,
}

/// When to use colors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Color {
    /// On a terminal, unless `NO_COLOR` is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// What to do.
#[derive(Debug, Subcommand)]
enum Verb {
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
    Print(doors::PrintArgs),
    /// Look at what pillion works with on this machine and in this repository
    Doctor(doctor::DoctorArgs),
    /// Print the JSON Schema of pillion's own files
    Schema {
        /// Of which file
        #[arg(default_value = "repository")]
        of: print::Of,
    },
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page
    Man,
}

impl Verb {
    /// Tells whether it renders or plans SidecarSets: only there something can be done about the order of sets and
    /// about pods that do not heal by themselves. Elsewhere such advice hides what is asked for.
    fn can_act_on_advice(&self) -> bool {
        matches!(self, Self::Render(_) | Self::Validate(_) | Self::Plan(_) | Self::Stage(_) | Self::Cmp(_))
    }
}

/// Runs the command line and returns the exit code (DESIGN.md 2).
pub fn run(arguments: impl Iterator<Item = OsString>) -> u8 {
    let arguments = guise::named(arguments.collect());
    if let Some(code) = guise::run(&arguments) {
        return code;
    }
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // Nothing is left to be done when even this cannot be printed.
            let _ = error.print();
            return if error.use_stderr() { USAGE } else { DONE };
        }
    };
    let mut reporter = Reporter::new(&cli.common);
    if !cli.verb.can_act_on_advice() {
        reporter.leave_out(&[Code::SetOrderMatters, Code::OrderedReadyStuck]);
    }
    let outcome = match &cli.verb {
        Verb::Render(args) => render::run(args, &cli.common, &mut reporter),
        Verb::Validate(args) => validate::run(args, &cli.common, &mut reporter),
        Verb::Explain(args) => explain::run(args, &cli.common, &mut reporter),
        Verb::Fix(args) => fix::run(args, &cli.common, &mut reporter),
        Verb::Plan(args) => plan::run(args, &cli.common, &mut reporter),
        Verb::Status(args) => status::run(args, &cli.common, &mut reporter),
        Verb::Promote(args) => promote::run(args, &cli.common, &mut reporter),
        Verb::Pause(args) => verbs::pause(args, &cli.common, &mut reporter),
        Verb::Resume(args) => verbs::resume(args, &cli.common, &mut reporter),
        Verb::Approve(args) => verbs::approve(args, &cli.common, &mut reporter),
        Verb::Rollback(args) => rollback::rollback(args, &cli.common, &mut reporter),
        Verb::Hold(args) => hold::hold(args, &cli.common, &mut reporter),
        Verb::Init(args) => init::run(args, &cli.common, &mut reporter),
        Verb::Verify(args) => verify::run(args, &cli.common, &mut reporter),
        Verb::Stage(args) => stage::run(args, &cli.common, &mut reporter),
        #[cfg(feature = "watch")]
        Verb::Watch(args) => watch::run(args, &cli.common, &mut reporter),
        Verb::Cmp(args) => cmp::run(args, &mut reporter),
        Verb::Print(args) => doors::print(args, &reporter),
        Verb::Doctor(args) => doctor::run(args, &cli.common, &mut reporter),
        Verb::Schema { of } => print::schema(*of),
        Verb::Completions { shell } => print::completions(*shell),
        Verb::Man => print::man(),
    };
    reporter.finish();
    match outcome {
        Ok(code) => code,
        Err(Failure::Stdout(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => ENVIRONMENT,
        Err(failure) => {
            reporter.failure(&failure);
            ENVIRONMENT
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
fn to_stdout(text: &str) -> Result<(), Failure> {
    data_to_stdout(&plain::lines(text))
}

/// Writes data to standard output, byte for byte: manifests, diffs, scripts.
fn data_to_stdout(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(Failure::Stdout)
}
