//! `pillion verify`: checks that everything in git is what pillion makes.

use crate::cli::error::CommandError;
use crate::cli::reporter::Reporter;
use crate::cli::repository::{self, RepositoryArgs};
use crate::cli::{EXIT_SUCCESS, GlobalArgs, print_text};
use crate::diagnostics::{Code, Diagnostic, Span, pluralize};
use crate::git::ObjectId;
use crate::stage::{
    BranchConfig, DeployBranch, Error, RepoContext, check_drift, describe_uncommitted, verify,
};
use clap::Args;

/// Arguments of `pillion verify`.
#[derive(Debug, Args)]
pub(in crate::cli) struct VerifyArgs {
    /// Commit to check the changes of ledgers since
    #[arg(long, value_name = "COMMIT")]
    base: Option<String>,
    /// Commit to check [default: HEAD; the deploy branch in a bare repository, or where sources have their own branch]
    #[arg(value_name = "COMMIT")]
    commit: Option<String>,
    #[command(flatten)]
    repository: RepositoryArgs,
}

/// Runs `pillion verify`.
pub(in crate::cli) fn run(
    args: &VerifyArgs,
    global: &GlobalArgs,
    reporter: &mut Reporter,
) -> Result<u8, CommandError> {
    let (changes, summary) =
        verify_repository(args, global, reporter).map_err(CommandError::or_missing_history)?;
    print_text(&changes)?;
    reporter.fail_on_errors()?;
    reporter.print_state(&summary);
    Ok(EXIT_SUCCESS)
}

/// Checks the commit; returns the changes of ledgers since the base, and what was checked.
fn verify_repository(
    args: &VerifyArgs,
    global: &GlobalArgs,
    reporter: &mut Reporter,
) -> Result<(String, String), CommandError> {
    let (context, paths) = repository::open_without_fetch(&args.repository, global, reporter)?;
    let repository = &context.repository;
    if let Some(base) = &args.base {
        // Before anything of the commit is read, and any of its commands is run.
        reporter.add(changed_source_branch(&context, repository.resolve(base)?)?);
        reporter.fail_on_errors()?;
    }
    let deploy_branch = match args.commit.as_deref().or((!repository.is_bare()).then_some("HEAD")) {
        Some(revision) => match read_at(&context, revision, reporter) {
            // With two branches HEAD is usually on the branch of the sources, which nothing is rendered onto.
            Err(Error::NoSourceTrailer { .. }) if args.commit.is_none() => {
                context.read_deploy_branch_reporting(reporter)?
            }
            read => read?.ok_or_else(|| CommandError::from_diagnostics([]))?,
        },
        None => context.read_deploy_branch_reporting(reporter)?,
    };
    let uncommitted = match &args.commit {
        Some(_) => None,
        None => describe_uncommitted(repository, &paths.all)?,
    };
    reporter.print_state(&format!(
        "checking {} @{}{}",
        deploy_branch.place(),
        deploy_branch.head.id.short(),
        uncommitted.map_or_else(String::new, |files| format!(" ({files})"))
    ));
    let mut ledgers = 0;
    for cluster in repository::select_clusters(&deploy_branch, &args.repository)? {
        let (view, diagnostics) = deploy_branch.cluster_view(cluster);
        let is_sound = !diagnostics.iter().any(Diagnostic::is_error);
        reporter.add(diagnostics);
        if is_sound {
            ledgers += view.prepared.ledgers.len();
            reporter.add(verify::check_canonical(&deploy_branch, &view));
            reporter.add(check_drift(&deploy_branch, &view)?);
        }
    }
    let mut changes = String::new();
    if let Some(base) = &args.base {
        let base = repository.resolve(base)?;
        let audit = verify::audit_since(repository, &deploy_branch, &context.config, base)?;
        reporter.add(audit.diagnostics);
        changes.extend(audit.changes.iter().map(|change| format!("{}\n", change.description())));
    }
    let head = deploy_branch.head.id.short();
    Ok((changes, format!("{head} is what pillion makes; checked {}", pluralize(ledgers as u64, "ledger"))))
}

/// Reads the deploy branch as if it were at a commit.
fn read_at<'o>(
    context: &'o RepoContext,
    revision: &str,
    reporter: &mut Reporter,
) -> Result<Option<DeployBranch<'o>>, Error> {
    let commit = context.repository.resolve(revision)?;
    let place = (revision.to_owned(), commit);
    let (deploy_branch, diagnostics) =
        DeployBranch::read_at(&context.repository, &context.branches, &context.config, place)?;
    reporter.add(diagnostics);
    Ok(deploy_branch.map(|deploy_branch| deploy_branch.with_manifests(&context.manifest_source)))
}

/// With two branches: reports that the branch of the sources is another one than at the base. The settings may be part
/// of the change that is checked, and must not name the branch that it is checked against.
fn changed_source_branch(context: &RepoContext, base: ObjectId) -> Result<Option<Diagnostic>, Error> {
    let RepoContext { repository, branches, config, .. } = context;
    let Some(source) = &branches.source else { return Ok(None) };
    let before = match DeployBranch::read_at(repository, branches, config, (String::new(), base)) {
        Ok((Some(deploy_branch), _)) => {
            BranchConfig::from_repository(&deploy_branch.configuration.repository)?.source
        }
        // What cannot be read of it is reported where it is checked.
        Ok((None, _)) | Err(_) => return Ok(None),
    };
    Ok((before.as_ref() != Some(source)).then(|| {
        let message = format!(
            "`git.source` is `{source}` here, and `{}` at {}",
            before.as_deref().unwrap_or("not set"),
            base.short()
        );
        Diagnostic::error(Code::UntrustedSource, message)
            .at(Span::whole_file(config.to_string_lossy()))
            .field("git.source")
            .because("whoever names the branch of the sources says what is rendered")
            .help("take the settings of the branch that they are merged to (`pillion verify --branch NAME`); where the branch was renamed, render from it first, and name a base behind that")
    }))
}
