//! `pillion verify`: is everything in git what pillion makes of it?

use super::report::Reporter;
use super::repository::{self, RepositoryArgs};
use super::{Common, DONE, ENVIRONMENT, FINDINGS, USAGE, to_stdout};
use crate::diag::{Code, Diagnostic, Label, counted};
use crate::git::Id;
use crate::stage::{Branches, Failure, Live, Opened, check_own_render, verify};
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
    let mut said = String::new();
    let result = match verified(args, common, reporter, &mut said) {
        // With the whole history the same command succeeds.
        Err(Failure::Git(failure)) if failure.is_beyond_history() => {
            reporter.failure(&failure);
            Ok(ENVIRONMENT)
        }
        result => result,
    };
    to_stdout(&said)?;
    repository::settle(result, reporter)
}

fn verified(
    args: &VerifyArgs,
    common: &Common,
    reporter: &mut Reporter,
    said: &mut String,
) -> Result<u8, Failure> {
    let Some(opened) = repository::open_without_fetch(&args.repository, common, reporter)? else {
        return Ok(USAGE);
    };
    let repository = &opened.repository;
    if let Some(base) = &args.base {
        // Before anything is read, and any command of it is run.
        reporter.add(other_sources(&opened, repository.resolve(base)?)?);
        if reporter.has_errors() {
            return Ok(FINDINGS);
        }
    }
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
        let audit = verify::since(repository, &live, &opened.config, base)?;
        reporter.add(audit.wrong);
        audit.changes.iter().for_each(|changed| said.push_str(&format!("{}\n", changed.words())));
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

/// With two branches: says so where the branch of the sources is another one than at the base. Settings may be those of
/// the very change that is judged, and must not name the branch that it is judged by.
fn other_sources(opened: &Opened, base: Id) -> Result<Option<Diagnostic>, Failure> {
    let Opened { repository, branches, config, .. } = opened;
    let Some(source) = &branches.source else { return Ok(None) };
    let before = match Live::read_at(repository, branches, config, (String::new(), base)) {
        Ok((Some(live), _)) => Branches::of(&live.configuration.repository)?.source,
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
            .at(Label::whole_file(config.to_string_lossy()))
            .field("git.source")
            .because("whoever names the branch of the sources says what is rendered")
            .help("take the settings of the branch that they are merged to (`pillion verify --branch NAME`); where the branch was renamed, render from it first, and name a base behind that")
    }))
}
