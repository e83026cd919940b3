//! `pillion hold`: keeps a workload at its revision, or gives it an emergency image, until a date or `--off`.

use super::ledger_change::{
    LedgerArgs, LedgerChange, LedgerCommandContext, commit_change_despite, find_ledger, parse_reason,
};
use crate::cli::GlobalArgs;
use crate::cli::error::CommandError;
use crate::cli::reporter::Reporter;
use crate::cli::sidecar_set_names::SidecarSetNames;
use crate::diagnostics::{Code, Diagnostic};
use crate::model::defaults::REASON;
use crate::model::ledger::{Ledger, RevisionName};
use crate::model::workload::{WorkloadQuery, WorkloadQueryError};
use crate::rollout::report::revision_with_images;
use crate::rollout::report::workload_title;
use crate::rollout::transitions::{self, HoldRequest, TransitionError};
use crate::rollout::workload_set::PlannedWorkload;
use crate::rollout::{ExternalState, RolloutContext};
use crate::stage::{ClusterView, CommitAction, verify};
use clap::Args;
use std::collections::{BTreeMap, BTreeSet};

/// Arguments of `pillion hold`.
#[derive(Debug, Args)]
pub(in crate::cli) struct HoldArgs {
    /// Workload: `web`, `deploy/web`, `shop/web`, `deploy/shop/web` or its whole key
    workload: String,
    /// Reason, written to the ledger [default: the reason there, else `no reason given`]
    #[arg(long, value_parser = parse_reason)]
    reason: Option<String>,
    /// Emergency image for a container of the SidecarSet (repeatable)
    #[arg(long = "image", value_name = "CONTAINER=IMAGE")]
    images: Vec<String>,
    /// Last day of the hold, `YYYY-MM-DD` in UTC [default: until `--off`]
    #[arg(long, value_name = "DATE")]
    until: Option<String>,
    /// End the hold: rollouts update the workload again
    #[arg(long, conflicts_with_all = ["images", "reason", "until"])]
    off: bool,
    /// SidecarSet, where several reach the workload
    #[arg(long = "sidecarset", value_name = "NAME")]
    sidecar_set: Option<String>,
    #[command(flatten)]
    ledger: LedgerArgs,
}

/// Runs `pillion hold`.
pub(in crate::cli) fn run(
    args: &HoldArgs,
    common: &GlobalArgs,
    reporter: &mut Reporter,
) -> Result<u8, CommandError> {
    // A workload that is gone is held until its hold is taken off.
    let answers = |view: &ClusterView, d: &Diagnostic| {
        args.off
            && d.code == Code::WorkloadsMissing
            && find_workload(args, &BTreeMap::new(), view).is_ok_and(is_absent(view))
    };
    commit_change_despite(&args.ledger, common, reporter, answers, |context| {
        SidecarSetNames::from_cluster(context.cluster_view).check(&args.sidecar_set)?;
        let images = parse_images(&args.images)?;
        let (name, key) = find_workload(args, &images, context.cluster_view)?;
        let before = find_ledger(context.cluster_view, &name)?;
        let (rollout, _) = context.cluster_view.rollout_context(&name);
        let mut change = match args.off {
            true => {
                let workload = rollout.workloads.find(&key);
                let held = before.entries.get(key.as_str()).filter(|entry| entry.is_held_by_override());
                let hold = workload.and_then(|w| w.active_override_hold(Some(context.today)));
                if let (Some(_), Some(hold)) = (held, hold) {
                    return Err(TransitionError(format!(
                        "`{key}` is held by {} ({}) until {}: remove `hold` from it",
                        hold.by, hold.place, hold.until
                    ))
                    .into());
                }
                release_workload(&before, &key)?
            }
            false => hold_workload(args, &images, context, (&rollout, &before), &key)?,
        };
        change.notes.extend(voided_approvals(context, &rollout, &before, &change.ledger));
        Ok(change.about(key))
    })
}

fn release_workload(before: &Ledger, key: &str) -> Result<LedgerChange, CommandError> {
    let after = transitions::release_hold(before, key)?;
    let has = |ledger: &Ledger| {
        let entry = ledger.entries.get(key);
        revision_with_images(entry.map_or(&ledger.released, |entry| &entry.revision), entry)
    };
    let (old, new) = (has(before), has(&after));
    let body = match old == new {
        true => "It keeps its revision until a rollout changes it.".to_owned(),
        false => format!("This commit updates it from {old} to {new}, which is released."),
    };
    let subject = format!("no longer hold {}", workload_title(key));
    let change = LedgerChange::new(after, CommitAction::Hold, subject, body.clone());
    Ok(LedgerChange { notes: vec![body], ..change })
}

fn is_absent(view: &ClusterView) -> impl Fn((String, String)) -> bool {
    |(name, key)| {
        let (rollout, _) = view.rollout_context(&name);
        rollout.workloads.find(&key).is_none() && !rollout.unselected_holds.contains(&*key)
    }
}

fn hold_workload(
    args: &HoldArgs,
    images: &BTreeMap<String, String>,
    context: &LedgerCommandContext<'_>,
    (rollout, before): (&RolloutContext<'_>, &Ledger),
    key: &str,
) -> Result<LedgerChange, CommandError> {
    let workload =
        rollout.workloads.find(key).ok_or_else(|| TransitionError(format!("there is no `{key}` in git")))?;
    let until = args.until.as_deref();
    let hold =
        HoldRequest { reason: args.reason.as_deref(), images, by: context.by, today: context.today, until };
    let after = transitions::hold(before, workload, &hold)?;
    let entry = after.entries.get(key);
    let mut body = match args.images.is_empty() {
        true => "It keeps what it has, whatever is released.".to_owned(),
        false => format!("Emergency image: {}", args.images.join(", ")),
    };
    body.push_str(&match entry.and_then(|l| l.held_until.as_ref()) {
        Some(until) => format!("\nThe hold lasts until {until}, or until `pillion hold {key} --off`."),
        None => format!("\nThe hold lasts until `pillion hold {key} --off`."),
    });
    let reason = entry.and_then(|l| l.hold_reason.as_deref()).unwrap_or(REASON);
    let off = format!(
        "`pillion hold {key} --sidecarset {} --off{}` lets rollouts update it again",
        before.name, context.options
    );
    let change = LedgerChange::new(
        after.clone(),
        CommitAction::Hold,
        format!("hold {}, {reason}", workload_title(key)),
        body,
    );
    Ok(change.with_next(off))
}

/// Approvals of batches that are other ones without or with the workload.
fn voided_approvals(
    context: &LedgerCommandContext<'_>,
    rollout: &RolloutContext<'_>,
    before: &Ledger,
    after: &Ledger,
) -> Vec<String> {
    let external = ExternalState { today: Some(context.today.to_owned()), ..ExternalState::default() };
    let counts = |ledger: &Ledger, batch: u32, plan: &str| {
        verify::upcoming_batch_digest(rollout, ledger, batch, &external).is_some_and(|digest| digest == plan)
    };
    let void = before
        .approvals
        .iter()
        .filter(|a| counts(before, a.batch, &a.plan) && !counts(after, a.batch, &a.plan));
    void.map(|a| {
        format!(
            "the approval of batch {0} no longer applies: its plan is another one now; `pillion approve {1} {0}` approves that",
            a.batch,
            rollout.command_arguments()
        )
    })
    .collect()
}

/// The SidecarSet and the key of the workload that is meant: of several sets the one that brings the containers that
/// get an image.
fn find_workload(
    args: &HoldArgs,
    images: &BTreeMap<String, String>,
    view: &ClusterView,
) -> Result<(String, String), TransitionError> {
    let names = view.prepared.ledgers.keys().map(ToString::to_string);
    let names = names.filter(|n| args.sidecar_set.as_ref().is_none_or(|wanted| wanted == n));
    let query = WorkloadQuery::new(&args.workload);
    let (mut found, mut all) = (Vec::new(), BTreeSet::new());
    for name in names {
        let (rollout, _) = view.rollout_context(&name);
        let ledger = view.ledger(&name);
        all.extend(rollout.workloads.as_slice().iter().map(|workload| workload.key().to_string()));
        let reaches = |workload: &PlannedWorkload| {
            let has_entry = ledger.entries.contains_key(workload.key());
            // A workload may be held before the first revision comes to it, too.
            let next =
                ledger.target.clone().unwrap_or_else(|| rollout.source.as_ref().map(|r| r.name.clone()));
            let brings =
                |name: &RevisionName| !rollout.workloads.change_to(workload, &None, name).diff.is_empty();
            has_entry || brings(&ledger.released) || brings(&next)
        };
        let workloads = rollout.workloads.as_slice().iter().filter(|u| query.matches(u.key()) && reaches(u));
        found.extend(workloads.map(|workload| {
            let brings = transitions::has_containers(&ledger, workload, images.keys());
            (name.clone(), workload.key().to_string(), brings)
        }));
        // What is no longer in git may still be held, until the next step drops its entry.
        let entries = ledger.entries.iter().filter(|(_, entry)| args.off && entry.hold_reason.is_some());
        let missing = entries.filter(|(key, _)| rollout.workloads.find(key).is_none() && query.matches(key));
        found.extend(missing.map(|(key, _)| (name.clone(), key.to_string(), false)));
    }
    if !images.is_empty() && found.iter().any(|(_, _, brings)| *brings) {
        found.retain(|(_, _, brings)| *brings);
    }
    let mut found: Vec<(String, String)> = found.into_iter().map(|(name, key, _)| (name, key)).collect();
    let mut keys: Vec<&str> = found.iter().map(|(_, key)| key.as_str()).collect();
    keys.dedup();
    // The whole key is meant where it is also the end of others.
    let key = query.find(keys).map(str::to_owned);
    found.retain(|(_, reached)| key.as_ref().is_ok_and(|key| key == reached));
    match (key, found.len()) {
        (Ok(_), 1) => Ok(found.remove(0)),
        (Ok(key), _) => {
            let names: Vec<String> = found.iter().map(|(name, _)| format!("SidecarSet {name}")).collect();
            Err(TransitionError(format!(
                "`{key}` is reached by {}: choose one with `--sidecarset NAME`",
                names.join(" and ")
            )))
        }
        (Err(error @ WorkloadQueryError::Ambiguous(..)), _) => Err(TransitionError(error.to_string())),
        (Err(_), _) => Err(unreached_workload(&query, &all)),
    }
}

/// Explains why no workload that a SidecarSet reaches has a name.
fn unreached_workload(query: &WorkloadQuery<'_>, all: &BTreeSet<String>) -> TransitionError {
    TransitionError(match query.find(all.iter().map(String::as_str)) {
        Ok(key) => {
            format!("no SidecarSet with a ledger reaches `{key}`: `pillion explain {key}` explains why")
        }
        Err(error) => error.to_string(),
    })
}

fn parse_images(written: &[String]) -> Result<BTreeMap<String, String>, TransitionError> {
    let pair = |text: &String| match text.split_once('=') {
        Some((_, image)) if image.contains(char::is_whitespace) => {
            Err(TransitionError(format!("`--image {text}`: an image has no spaces")))
        }
        Some((container, image)) if !container.is_empty() && !image.is_empty() => {
            Ok((container.to_owned(), image.to_owned()))
        }
        _ => Err(TransitionError(format!("`--image {text}` is not `CONTAINER=IMAGE`"))),
    };
    written.iter().map(pair).collect()
}
