//! The commands: one file each.

mod adopt;
mod approve;
mod cmp;
mod doctor;
mod dry_run;
mod explain;
mod fix;
mod hold;
mod init;
mod integration;
mod ledger_change;
#[cfg(feature = "watch")]
mod live_replicas;
mod next_step;
mod pause;
mod plan;
mod print;
mod promote;
mod pull_request;
pub(super) mod render;
mod resume;
mod rollback;
mod stage;
mod start;
mod status;
mod validate;
mod verify;
#[cfg(feature = "watch")]
mod watch;

use super::GlobalArgs;
use super::error::CommandError;
use super::reporter::Reporter;
use crate::diagnostics::Code;
use crate::model::own_kinds::OwnSchema;
use clap::Subcommand;

/// The commands.
#[derive(Debug, Subcommand)]
pub(super) enum CliCommand {
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
    /// Start rollouts with a commit on the deploy branch, which changes no running pod
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
    /// Set up a repository; write the first ledgers, or the files of an integration
    Init(init::InitArgs),
    /// Compare what runs in a cluster with git, and write the first ledgers with which no pod changes
    Adopt(adopt::AdoptArgs),
    /// Check that everything in git is what pillion makes
    Verify(verify::VerifyArgs),
    /// Generate the manifests of an Application, as a config management plugin of Argo CD
    Cmp(cmp::CmpArgs),
    /// Print the files of an integration, for this version
    Print(print::PrintArgs),
    /// Check the environment, configuration and repository for problems
    Doctor(doctor::DoctorArgs),
    /// Print the JSON Schema of pillion's own files
    Schema {
        /// File to describe
        #[arg(default_value = "repository", value_parser = print::schema_parser())]
        of: &'static OwnSchema,
    },
    /// Print a completion script for a shell
    ///
    /// It completes commands and flags, and the SidecarSets, workloads and clusters of the repository.
    Completions {
        /// Shell to complete commands in
        shell: clap_complete::Shell,
    },
    /// Print the manual page of pillion, or of a command
    Man {
        /// Command, with the words of its subcommands
        command: Vec<String>,
    },
}

impl CliCommand {
    /// Returns whether it renders or plans SidecarSets: only then a person can act on warnings about manifests and
    /// SidecarSets. In other commands they hide the answer.
    fn can_act_on_advice(&self) -> bool {
        matches!(
            self,
            Self::Render(_)
                | Self::Validate(_)
                | Self::Plan(_)
                | Self::Stage(_)
                | Self::Start(_)
                | Self::Cmp(_)
                | Self::Doctor(_)
        )
    }
}

/// Advice about several SidecarSets, and about pods after a rollout.
const ADVICE_ON_SETS: &[Code] = &[Code::SetOrderMatters, Code::OrderedReadyStuck];

/// The same, and warnings about the manifests and SidecarSets that a command reads and does not change.
const ADVICE: &[Code] = &[
    Code::ContainerNameInBothLists,
    Code::DanglingReference,
    Code::DeprecatedSyntax,
    Code::FolderSkipped,
    Code::IgnoredValue,
    Code::InitBeforeApp,
    Code::InvalidExpression,
    Code::InvalidImage,
    Code::LaunchPriorityInCluster,
    Code::MissingEmptyImage,
    Code::NamespaceDropped,
    Code::NamespaceSelectorIgnored,
    Code::NoContainers,
    Code::OrderedReadyStuck,
    Code::PatchNotJson,
    Code::PercentageByWorkload,
    Code::ResourcesLimitLeftOut,
    Code::ResourcesPlainNumber,
    Code::SharesTokenMount,
    Code::SetOrderMatters,
    Code::SymlinkSkipped,
    Code::TransferEnvMissing,
    Code::UnknownField,
    Code::UnknownOwner,
];

/// Runs a command and returns its exit code.
pub(super) fn run(
    command: &CliCommand,
    global: &GlobalArgs,
    reporter: &mut Reporter,
) -> Result<u8, CommandError> {
    if let Some(folder) = &global.directory {
        std::env::set_current_dir(folder).map_err(|error| {
            CommandError::usage(format!("cannot change to `{}`: {error}", folder.display()))
        })?;
    }
    match command {
        // The note is that of render: on the way to the release it only hides the answer.
        CliCommand::Stage(_) | CliCommand::Start(_) => reporter.suppress_notes(&[Code::SetOrderMatters]),
        _ if command.can_act_on_advice() => {}
        CliCommand::Explain(_) => reporter.suppress_codes(ADVICE_ON_SETS),
        _ => reporter.suppress_codes(ADVICE),
    }
    match command {
        CliCommand::Render(args) => render::run(args, global, reporter),
        CliCommand::Validate(args) => validate::run(args, global, reporter),
        CliCommand::Explain(args) => explain::run(args, global, reporter),
        CliCommand::Fix(args) => fix::run(args, global, reporter),
        CliCommand::Plan(args) => plan::run(args, global, reporter),
        CliCommand::Status(args) => status::run(args, global, reporter),
        CliCommand::Promote(args) => promote::run(args, global, reporter),
        CliCommand::Pause(args) => pause::run(args, global, reporter),
        CliCommand::Resume(args) => resume::run(args, global, reporter),
        CliCommand::Approve(args) => approve::run(args, global, reporter),
        CliCommand::Rollback(args) => rollback::run(args, global, reporter),
        CliCommand::Hold(args) => hold::run(args, global, reporter),
        CliCommand::Init(args) => init::run(args, global, reporter),
        CliCommand::Adopt(args) => adopt::run(args, global, reporter),
        CliCommand::Verify(args) => verify::run(args, global, reporter),
        CliCommand::Stage(args) => stage::run(args, global, reporter),
        CliCommand::Start(args) => start::run(args, global, reporter),
        #[cfg(feature = "watch")]
        CliCommand::Watch(args) => watch::run(args, global, reporter),
        CliCommand::Cmp(args) => cmp::run(args, reporter),
        CliCommand::Print(args) => print::print_templates(args),
        CliCommand::Doctor(args) => doctor::run(args, global, reporter),
        CliCommand::Schema { of } => print::schema(of),
        CliCommand::Completions { shell } => print::completions(*shell),
        CliCommand::Man { command } => print::man(command),
    }
}
