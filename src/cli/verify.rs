//! `pillion verify`: is everything in git what pillion makes of it?

use super::reporter::Reporter;
use super::repository::{self, RepositoryArgs};
use super::{EXIT_ENVIRONMENT, EXIT_FINDINGS, EXIT_SUCCESS, EXIT_USAGE, GlobalArgs, print_text};
use crate::diagnostics::{Code, Diagnostic, Span, pluralize};
use crate::git::ObjectId;
use crate::stage::{BranchConfig, DeployBranch, Error, RepoContext, check_drift, verify};
use crate::write;
use clap::Args;

/// Arguments of `pillion verify`.
#[derive(Debug, Args)]
pub(super) struct VerifyArgs {
    /// Check also how the ledgers came from their state at this commit to what they are
    #[arg(long, value_name = "COMMIT")]
    base: Option<String>,
    /// The commit to check; without it HEAD, in a bare repository and beside a deploy branch of its own that one
    #[arg(value_name = "COMMIT")]
    commit: Option<String>,
    #[command(flatten)]
    repository: RepositoryArgs,
}

/// Runs `pillion verify`.
pub(super) fn run(
    args: &VerifyArgs,
    common: &GlobalArgs,
    reporter: &mut Reporter,
) -> Result<u8, write::Error> {
    let mut said = String::new();
    let result = match verify_repository(args, common, reporter, &mut said) {
        // With the whole history the same command succeeds.
        Err(Error::Git(failure)) if failure.is_beyond_history() => {
            reporter.print_failure(&failure);
            Ok(EXIT_ENVIRONMENT)
        }
        result => result,
    };
    print_text(&said)?;
    repository::to_exit_code(result, reporter)
}

fn verify_repository(
    args: &VerifyArgs,
    common: &GlobalArgs,
    reporter: &mut Reporter,
    said: &mut String,
) -> Result<u8, Error> {
    let Some(opened) = repository::open_without_fetch(&args.repository, common, reporter)? else {
        return Ok(EXIT_USAGE);
    };
    let repository = &opened.repository;
    if let Some(base) = &args.base {
        // Before anything is read, and any command of it is run.
        reporter.add(changed_source_branch(&opened, repository.resolve(base)?)?);
        if reporter.has_errors() {
            return Ok(EXIT_FINDINGS);
        }
    }
    let live = match args.commit.as_deref().or((!repository.is_bare()).then_some("HEAD")) {
        Some(revision) => match read_at(&opened, revision, reporter) {
            // With two branches HEAD is mostly on that of the sources, which nothing is rendered onto.
            Err(Error::NoSourceTrailer { .. }) if args.commit.is_none() => {
                opened.read_deploy_branch_reporting(reporter)?
            }
            read => read?,
        },
        None => opened.read_deploy_branch_reporting(reporter)?,
    };
    let Some(live) = live else { return Ok(EXIT_FINDINGS) };
    let Some(clusters) = repository::select_clusters(&live, &args.repository, reporter) else {
        return Ok(EXIT_USAGE);
    };
    let mut ledgers = 0;
    for cluster in clusters {
        let (site, wrong) = live.cluster_view(cluster);
        let is_sound = !wrong.iter().any(Diagnostic::is_error);
        reporter.add(wrong);
        if is_sound {
            ledgers += site.prepared.ledgers.len();
            reporter.add(verify::check_canonical(&live, &site));
            reporter.add(check_drift(&live, &site)?);
        }
    }
    if let Some(base) = &args.base {
        let base = repository.resolve(base)?;
        let audit = verify::audit_since(repository, &live, &opened.config, base)?;
        reporter.add(audit.diagnostics);
        audit.changes.iter().for_each(|changed| said.push_str(&format!("{}\n", changed.description())));
    }
    if reporter.has_errors() {
        return Ok(EXIT_FINDINGS);
    }
    reporter.print_verbose(&format!(
        "{} is what pillion makes, {}",
        live.head.id.short(),
        pluralize(ledgers as u64, "ledger")
    ));
    Ok(EXIT_SUCCESS)
}

/// Reads what would be live if the deploy branch were at a commit.
fn read_at<'o>(
    opened: &'o RepoContext,
    revision: &str,
    reporter: &mut Reporter,
) -> Result<Option<DeployBranch<'o>>, Error> {
    let commit = opened.repository.resolve(revision)?;
    let place = (revision.to_owned(), commit);
    let (live, wrong) = DeployBranch::read_at(&opened.repository, &opened.branches, &opened.config, place)?;
    reporter.add(wrong);
    Ok(live.map(|live| live.with_manifests(&opened.manifest_source)))
}

/// With two branches: says so where the branch of the sources is another one than at the base. Settings may be those of
/// the very change that is judged, and must not name the branch that it is judged by.
fn changed_source_branch(opened: &RepoContext, base: ObjectId) -> Result<Option<Diagnostic>, Error> {
    let RepoContext { repository, branches, config, .. } = opened;
    let Some(source) = &branches.source else { return Ok(None) };
    let before = match DeployBranch::read_at(repository, branches, config, (String::new(), base)) {
        Ok((Some(live), _)) => BranchConfig::from_repository(&live.configuration.repository)?.source,
        // What cannot be read of it is said where it is judged.
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
