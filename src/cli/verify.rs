//! `pillion verify`: is everything in git what pillion makes of it?

use super::report::Reporter;
use super::repository::{self, RepositoryArgs};
use super::{Common, DONE, FINDINGS, USAGE};
use crate::diag::{Diagnostic, counted};
use crate::stage::{Failure, Live, Opened, check_own_render, verify};
use crate::write;
use clap::Args;

/// Arguments of `pillion verify`.
#[derive(Debug, Args)]
pub(super) struct VerifyArgs {
    /// Check also how the ledgers came from their state at this commit to what they are
    #[arg(long, value_name = "COMMIT")]
    base: Option<String>,
    /// The commit to check; without it HEAD, in a bare repository and beside a live branch of its own that one
    #[arg(value_name = "COMMIT")]
    commit: Option<String>,
    #[command(flatten)]
    repository: RepositoryArgs,
}

/// Runs `pillion verify`.
pub(super) fn run(args: &VerifyArgs, common: &Common, reporter: &mut Reporter) -> Result<u8, write::Failure> {
    let result = verified(args, common, reporter);
    repository::settle(result, reporter)
}

fn verified(args: &VerifyArgs, common: &Common, reporter: &mut Reporter) -> Result<u8, Failure> {
    let Some(opened) = repository::open_without_fetch(&args.repository, common, reporter)? else {
        return Ok(USAGE);
    };
    let repository = &opened.repository;
    let live = match args.commit.as_deref().or((!repository.is_bare()).then_some("HEAD")) {
        Some(revision) => match at(&opened, revision, reporter) {
            // With two branches HEAD is mostly on that of the sources, which nothing is rendered onto.
            Err(Failure::NoSource { .. }) if args.commit.is_none() => opened.live(reporter)?,
            read => read?,
        },
        None => opened.live(reporter)?,
    };
    let Some(live) = live else { return Ok(FINDINGS) };
    let Some(clusters) = repository::clusters(&live, &args.repository, reporter) else { return Ok(USAGE) };
    let mut ledgers = 0;
    for cluster in clusters {
        let (site, wrong) = live.site(cluster);
        let is_sound = !wrong.iter().any(Diagnostic::is_error);
        reporter.add(wrong);
        if is_sound {
            ledgers += site.prepared.ledgers.len();
            reporter.add(verify::canonical(&live, &site));
            reporter.add(check_own_render(&live, &site)?);
        }
    }
    if let Some(base) = &args.base {
        let base = repository.resolve(base)?;
        reporter.add(verify::since(repository, &live, &opened.config, base)?);
    }
    if reporter.has_errors() {
        return Ok(FINDINGS);
    }
    reporter.done(&format!(
        "{} is what pillion makes, {}",
        live.head.id.short(),
        counted(ledgers as u64, "ledger")
    ));
    Ok(DONE)
}

/// Reads what would be live if the live branch were at a commit.
fn at<'o>(opened: &'o Opened, revision: &str, reporter: &mut Reporter) -> Result<Option<Live<'o>>, Failure> {
    let commit = opened.repository.resolve(revision)?;
    let place = (revision.to_owned(), commit);
    let (live, wrong) = Live::read_at(&opened.repository, &opened.branches, &opened.config, place)?;
    reporter.add(wrong);
    Ok(live.map(|live| live.with_manifests(&opened.manifests)))
}
