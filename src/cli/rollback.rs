//! `pillion rollback`: back to what is released, to an earlier batch, or to what was released before.

use super::Common;
use super::report::Reporter;
use super::verbs::{LedgerArgs, Seen, Stop, Wanted, change, in_words, ledger_of};
use crate::git::trailer;
use crate::model::ledger::{Ledger, name_text};
use crate::stage::verbs::{self, Refused, TakenBack};
use crate::stage::{after_batch, before_close, missing_then};
use crate::write;
use clap::Args;

/// Arguments of `pillion rollback`.
#[derive(Debug, Args)]
pub(super) struct RollbackArgs {
    /// The SidecarSet; where its rollout is closed already, that is opened again and goes back
    name: String,
    /// Take back only the batches behind this one, in one commit, and pause there; 0: all of them
    #[arg(long = "to", value_name = "BATCH")]
    batch: Option<u32>,
    /// Why, for those who read the commit
    #[arg(long, default_value = "by hand", value_parser = in_words)]
    reason: String,
    #[command(flatten)]
    ledger: LedgerArgs,
}

/// Runs `pillion rollback`.
pub(super) fn rollback(
    args: &RollbackArgs,
    common: &Common,
    reporter: &mut Reporter,
) -> Result<u8, write::Failure> {
    change(&args.ledger, common, reporter, |seen| {
        let before = ledger_of(seen.site, &args.name)?;
        let open = match before.target {
            Some(_) => before.clone(),
            None => reopened(seen, &before)?,
        };
        match args.batch {
            Some(batch) => to_batch(args, seen, &open, batch),
            None => to_released(args, &before, &open),
        }
        .map(|wanted| without_the_gone(args, seen, wanted))
    })
}

/// Of a rollout that is opened again workloads may have left git since: a person says that it goes on without them.
fn without_the_gone(args: &RollbackArgs, seen: &Seen<'_>, wanted: Wanted) -> Wanted {
    let Some(missing) = missing_then(seen.live, seen.site, &wanted.after) else { return wanted };
    let command = format!("pillion stage --start {} --accept-missing", args.name);
    let notes = [wanted.notes.clone(), vec![missing.message]].concat();
    Wanted { notes, ..wanted }.then(command, "goes on without those that are gone on purpose")
}

/// The last rollout as it was before its Close.
fn reopened(seen: &Seen<'_>, closed: &Ledger) -> Result<Ledger, Stop> {
    let (course, _) = seen.site.course(&closed.name);
    let before = before_close(seen.live, seen.site.cluster.as_deref(), closed)?;
    let before = before.ok_or_else(|| {
        Refused(format!(
            "no rollout of `{0}` is open, and none has brought what is released now (`{1}`): to go to another content, change the SidecarSet's file",
            closed.name,
            name_text(&closed.released)
        ))
    })?;
    Ok(verbs::reopen(&course, closed, &before)?)
}

fn to_released(args: &RollbackArgs, before: &Ledger, open: &Ledger) -> Result<Wanted, Stop> {
    let after = verbs::roll_back(open)?;
    let target = open.target.as_ref().map_or("-", name_text);
    let subject = format!("roll back to {}, {}", name_text(&open.released), args.reason);
    let again = match before.target {
        Some(_) => String::new(),
        None => format!("The rollout to {target} was closed, and is opened again on its way back.\n"),
    };
    let body = format!(
        "{again}{target} is not staged again until `pillion resume {}` or another content.\n\
         No rendered file changes with this commit: the batches that follow take the workloads back.",
        args.name
    );
    let stage = format!("pillion stage {}", args.name);
    Ok(Wanted::new(after, "RollBack", subject, body).then(stage, "shows the way back"))
}

fn to_batch(args: &RollbackArgs, seen: &Seen<'_>, open: &Ledger, batch: u32) -> Result<Wanted, Stop> {
    let (course, _) = seen.site.course(&args.name);
    let last = open.last_batch();
    let past = match batch <= last {
        true => after_batch(seen.live, seen.site.cluster.as_deref(), open, batch)?,
        false => None,
    };
    let past = past.ok_or_else(|| {
        Refused(format!(
            "the rollout of `{}` had no batch {batch}: {last} is the last one that is out",
            args.name
        ))
    })?;
    let back = TakenBack { batch, past: &past, reason: &args.reason, by: Some(seen.by) };
    let after = verbs::take_back(&course, open, &back)?;
    let subject = format!("roll back to batch {batch}, {}", args.reason);
    let what = match last.saturating_sub(batch) {
        0 => format!("Batch {batch} is the last one that is out."),
        1 => format!("Batch {last} is taken back."),
        _ => format!("Batches {} to {last} are taken back.", batch + 1),
    };
    let body = format!("{what}\nNothing more is released until `pillion resume {}`.", course.in_commands());
    let trailers = vec![(trailer::BATCH, format!("{batch}/{last}"))];
    let wanted = Wanted { trailers, ..Wanted::new(after, "RollBack", subject, body) };
    Ok(wanted.then(format!("pillion resume {}", args.name), "lets it go on"))
}
