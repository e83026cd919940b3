//! `pillion hold`: a workload keeps what it carries, or gets an emergency image, until a person or a date says otherwise.

use super::Common;
use super::report::Reporter;
use super::verbs::{LedgerArgs, Seen, Stop, Wanted, change_despite, in_words, ledger_of};
use crate::diag::{Code, Diagnostic};
use crate::model::ledger::{Ledger, Name};
use crate::plan::fleet::Unit;
use crate::plan::report::title;
use crate::plan::{Circumstances, Course};
use crate::stage::verbs::{self, BY_HAND, Hold, Refused};
use crate::stage::{Site, verify};
use crate::write;
use clap::Args;
use std::collections::BTreeMap;

/// Arguments of `pillion hold`.
#[derive(Debug, Args)]
pub(super) struct HoldArgs {
    /// The workload: `KIND/NAME`, `KIND/NAMESPACE/NAME` or its whole key
    workload: String,
    /// Why, for those who read the ledger; without it `by hand`, or what is written there already
    #[arg(long, value_parser = in_words)]
    reason: Option<String>,
    /// An emergency image for a container of the SidecarSet; may be given several times
    #[arg(long = "image", value_name = "CONTAINER=IMAGE")]
    images: Vec<String>,
    /// The last day of the hold, `YYYY-MM-DD` in UTC; without it, it lasts until `--off`
    #[arg(long, value_name = "DATE")]
    until: Option<String>,
    /// Let rollouts move it again
    #[arg(long, conflicts_with_all = ["images", "reason", "until"])]
    off: bool,
    /// The SidecarSet, where several reach the workload
    #[arg(long = "sidecarset", value_name = "NAME")]
    sidecar_set: Option<String>,
    #[command(flatten)]
    ledger: LedgerArgs,
}

/// Runs `pillion hold`.
pub(super) fn hold(args: &HoldArgs, common: &Common, reporter: &mut Reporter) -> Result<u8, write::Failure> {
    // A workload that is gone is held until its hold is taken off.
    let answers = |site: &Site, d: &Diagnostic| {
        args.off
            && d.code == Code::WorkloadsMissing
            && held(args, &BTreeMap::new(), site).is_ok_and(is_gone(site))
    };
    change_despite(&args.ledger, common, reporter, answers, |seen| {
        let images = images(&args.images)?;
        let (name, key) = held(args, &images, seen.site)?;
        let before = ledger_of(seen.site, &name)?;
        let (course, _) = seen.site.course(&name);
        let mut wanted = match args.off {
            true => {
                let body = "Rollouts move it again; until then it carries what the others do.".to_owned();
                let after = verbs::release(&before, &key)?;
                Wanted::new(after, "Hold", format!("no longer hold {}", title(&key)), body)
            }
            false => keep(args, &images, seen, (&course, &before), &key)?,
        };
        wanted.notes = void_approvals(seen, &course, &before, &wanted.after);
        Ok(wanted)
    })
}

fn is_gone(site: &Site) -> impl Fn((String, String)) -> bool {
    |(name, key)| {
        let (course, _) = site.course(&name);
        course.fleet.find(&key).is_none() && !course.held_unselected.contains(&*key)
    }
}

fn keep(
    args: &HoldArgs,
    images: &BTreeMap<String, String>,
    seen: &Seen<'_>,
    (course, before): (&Course<'_>, &Ledger),
    key: &str,
) -> Result<Wanted, Stop> {
    let unit = course.fleet.find(key).ok_or_else(|| Refused(format!("there is no `{key}` in git")))?;
    let until = args.until.as_deref();
    let hold = Hold { reason: args.reason.as_deref(), images, by: seen.by, today: seen.today, until };
    let after = verbs::hold(before, unit, &hold)?;
    let line = after.lines.get(key);
    let mut body = match args.images.is_empty() {
        true => "It keeps what it carries, whatever is released.".to_owned(),
        false => format!("Emergency image: {}", args.images.join(", ")),
    };
    body.push_str(&match line.and_then(|l| l.until.as_ref()) {
        Some(until) => format!("\nThe hold lasts until {until}, or until `pillion hold {key} --off`."),
        None => format!("\nThe hold lasts until `pillion hold {key} --off`."),
    });
    let reason = line.and_then(|l| l.held.as_deref()).unwrap_or(BY_HAND);
    let off = format!("pillion hold {key} --sidecarset {} --off", before.name);
    let wanted = Wanted::new(after.clone(), "Hold", format!("hold {}, {reason}", title(key)), body);
    Ok(wanted.then(off, "lets rollouts move it again"))
}

/// Approvals of batches that are other ones without or with the workload.
fn void_approvals(seen: &Seen<'_>, course: &Course<'_>, before: &Ledger, after: &Ledger) -> Vec<String> {
    let given = Circumstances { today: Some(seen.today.to_owned()), ..Circumstances::default() };
    let counts = |ledger: &Ledger, batch: u32, plan: &str| {
        verify::digest_of(course, ledger, batch, &given).is_some_and(|digest| digest == plan)
    };
    let void = before
        .approved
        .iter()
        .filter(|a| counts(before, a.batch, &a.plan) && !counts(after, a.batch, &a.plan));
    void.map(|a| {
        format!(
            "the approval of batch {0} no longer applies: its plan is another one now; `pillion approve {1} {0}` approves that",
            a.batch, before.name
        )
    })
    .collect()
}

/// The SidecarSet and the key of the workload that is meant: of several sets the one that brings the containers that
/// get an image.
fn held(
    args: &HoldArgs,
    images: &BTreeMap<String, String>,
    site: &Site,
) -> Result<(String, String), Refused> {
    let names = site.prepared.ledgers.keys().map(ToString::to_string);
    let names = names.filter(|n| args.sidecar_set.as_ref().is_none_or(|wanted| wanted == n));
    let mut found = Vec::new();
    for name in names {
        let (course, _) = site.course(&name);
        let ledger = site.ledger(&name);
        let reaches = |unit: &Unit| {
            let is_line = ledger.lines.contains_key(unit.key());
            // A workload may be held before the first revision comes to it, too.
            let next =
                ledger.target.clone().unwrap_or_else(|| course.source.as_ref().map(|r| r.name.clone()));
            let brings = |name: &Name| !course.fleet.change(unit, &None, name).difference.is_empty();
            is_line || brings(&ledger.released) || brings(&next)
        };
        let units = course.fleet.units().iter().filter(|u| is_meant(u.key(), &args.workload) && reaches(u));
        found.extend(units.map(|unit| {
            let brings = verbs::has_containers(&ledger, unit, images.keys());
            (name.clone(), unit.key().to_string(), brings)
        }));
        // What is no longer in git may still be held, until the next step drops its line.
        let lines = ledger.lines.iter().filter(|(_, line)| args.off && line.held.is_some());
        let gone = lines.filter(|(key, _)| course.fleet.find(key).is_none() && is_meant(key, &args.workload));
        found.extend(gone.map(|(key, _)| (name.clone(), key.to_string(), false)));
    }
    if !images.is_empty() && found.iter().any(|(_, _, brings)| *brings) {
        found.retain(|(_, _, brings)| *brings);
    }
    let mut found: Vec<(String, String)> = found.into_iter().map(|(name, key, _)| (name, key)).collect();
    match found.len() {
        1 => Ok(found.remove(0)),
        0 => Err(Refused(format!(
            "no SidecarSet with a ledger reaches a workload `{}`: `pillion explain {0}` says why",
            args.workload
        ))),
        _ => {
            let all: Vec<String> =
                found.iter().map(|(name, key)| format!("{key} (SidecarSet {name})")).collect();
            Err(Refused(format!(
                "`{}` may be {}: write the whole key, and `--sidecarset NAME`",
                args.workload,
                all.join(" or ")
            )))
        }
    }
}

fn is_meant(key: &str, words: &str) -> bool {
    let mut parts = key.splitn(3, '/');
    let (Some(kind), Some(namespace), Some(name)) = (parts.next(), parts.next(), parts.next()) else {
        return false;
    };
    let kind = kind.split('.').next().unwrap_or(kind);
    let is_kind = |word: &str| word.eq_ignore_ascii_case(kind);
    match words.split('/').collect::<Vec<_>>()[..] {
        _ if words == key => true,
        [k, n] => is_kind(k) && n == name,
        [k, ns, n] => is_kind(k) && ns == namespace && n == name,
        _ => false,
    }
}

fn images(written: &[String]) -> Result<BTreeMap<String, String>, Refused> {
    let pair = |text: &String| match text.split_once('=') {
        Some((_, image)) if image.contains(char::is_whitespace) => {
            Err(Refused(format!("`--image {text}`: an image has no blanks")))
        }
        Some((container, image)) if !container.is_empty() && !image.is_empty() => {
            Ok((container.to_owned(), image.to_owned()))
        }
        _ => Err(Refused(format!("`--image {text}` is not `CONTAINER=IMAGE`"))),
    };
    written.iter().map(pair).collect()
}
