//! What people do to a ledger: pause, resume, roll back, approve, hold. Pure: a ledger in, the next one out.

use crate::model::ledger::{Approved, Ledger, Line, Name, Paused, name_text};
use crate::plan::fleet::Unit;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Why a verb does not apply: what is found, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refused(pub String);

fn refused<T>(why: impl Into<String>) -> Result<T, Refused> {
    Err(Refused(why.into()))
}

/// Stops a rollout where it is; one that is not open will not be opened.
///
/// # Errors
/// When it is paused already.
pub fn pause(ledger: &Ledger, reason: &str) -> Result<Ledger, Refused> {
    if let Some(paused) = &ledger.paused {
        return refused(format!(
            "`{}` is paused already, at batch {}: {}",
            ledger.name, paused.batch, paused.reason
        ));
    }
    let mut after = ledger.clone();
    after.paused = Some(Paused { batch: ledger.last_batch(), reason: reason.to_owned(), by: None });
    Ok(after)
}

/// Lets a rollout go on; where it is not paused, lets `source`, which was rolled back, be staged again.
///
/// # Errors
/// When there is nothing to resume.
pub fn resume(ledger: &Ledger, source: &Name) -> Result<Ledger, Refused> {
    let mut after = ledger.clone();
    if after.paused.take().is_some() {
        return Ok(after);
    }
    after.rejected.retain(|r| **r != *name_text(source));
    if after.rejected.len() < ledger.rejected.len() {
        return Ok(after);
    }
    refused(format!(
        "`{}` is not paused, and what its file holds (`{}`) was not rolled back: `pillion status` shows where it stands",
        ledger.name,
        name_text(source)
    ))
}

/// Makes the released revision the target; the one that was is not staged again.
///
/// # Errors
/// When no rollout is open, or it goes back already.
pub fn roll_back(ledger: &Ledger) -> Result<Ledger, Refused> {
    let Some(target) = &ledger.target else {
        return refused(format!(
            "no rollout of `{}` is open: to go back to an earlier content, revert the SidecarSet's file, and that is a rollout like any other",
            ledger.name
        ));
    };
    if *target == ledger.released {
        return refused(format!("`{}` goes back to `{}` already", ledger.name, name_text(&ledger.released)));
    }
    let mut after = ledger.clone();
    reject(&mut after, target);
    after.target = Some(ledger.released.clone());
    after.paused = None;
    after.approved.clear();
    Ok(after)
}

/// Remembers that a revision is not to be staged again.
fn reject(ledger: &mut Ledger, revision: &Name) {
    let name: Arc<str> = name_text(revision).into();
    if let Err(at) = ledger.rejected.binary_search(&name) {
        ledger.rejected.insert(at, name);
    }
}

/// Lets a batch pass that waits for a person; `plan` is the digest of what was seen.
///
/// # Errors
/// When it is approved already.
pub fn approve(ledger: &Ledger, batch: u32, plan: &str) -> Result<Ledger, Refused> {
    let approval = Approved { batch, plan: plan.to_owned() };
    if ledger.approved.contains(&approval) {
        return refused(format!("batch {batch} of `{}` is approved already", ledger.name));
    }
    let mut after = ledger.clone();
    // An approval of the same batch with other workloads is out of date.
    after.approved.retain(|a| a.batch != batch);
    after.approved.push(approval);
    after.approved.sort_by_key(|a| a.batch);
    Ok(after)
}

/// Keeps a workload as it is, whatever is rolled out; `images` are emergency images by container.
///
/// # Errors
/// When an image is for a container that the workload's revision does not have.
pub fn hold(
    ledger: &Ledger,
    unit: &Unit,
    reason: &str,
    images: &BTreeMap<String, String>,
) -> Result<Ledger, Refused> {
    let present = ledger.line(unit.key(), unit.located.pod_template(&unit.document));
    let revision = present.map_or_else(|| ledger.released.clone(), |l| l.revision.clone());
    let content = revision.as_ref().and_then(|name| ledger.revision(name));
    let containers = || content.iter().flat_map(|r| r.set.containers.iter().chain(&r.set.init_containers));
    if let Some(unknown) = images.keys().find(|name| !containers().any(|c| c.name == **name)) {
        return refused(format!(
            "`{}` has no container `{unknown}` of SidecarSet `{}`",
            unit.key(),
            ledger.name
        ));
    }
    let is_pair =
        |name: &&String| containers().any(|c| c.name == **name && c.hot_upgrade_empty_image.is_some());
    if let Some(pair) = images.keys().find(is_pair) {
        return refused(format!(
            "`{pair}` of SidecarSet `{}` is upgraded hot: an emergency image would restart the container that works",
            ledger.name
        ));
    }
    let mut after = ledger.clone();
    let line = Line {
        revision,
        batch: present.and_then(|l| l.batch),
        partition: present.and_then(|l| l.partition),
        template: Some(unit.template_hash()),
        held: Some(reason.into()),
        images: images.clone(),
        ..Line::default()
    };
    after.lines.insert_mut(Arc::clone(unit.key()), line);
    Ok(after)
}

/// Lets rollouts move a workload again; it gets what the others have.
///
/// # Errors
/// When it is not held.
pub fn release(ledger: &Ledger, key: &str) -> Result<Ledger, Refused> {
    let Some(line) = ledger.lines.get(key).filter(|l| l.held.is_some()) else {
        return refused(format!("SidecarSet `{}` does not hold `{key}`", ledger.name));
    };
    let mut after = ledger.clone();
    if line.batch.is_some() && ledger.target.as_ref() == Some(&line.revision) {
        let line = Line { held: None, images: BTreeMap::new(), ..line.clone() };
        after.lines.insert_mut(key.into(), line);
    } else {
        after.lines.remove_mut(key);
    }
    Ok(after)
}
