//! The world as it is: git through the `git` program, clusters through kube, people through webhooks and a forge.

use super::check::{Answer, Check, Question};
use super::forge::{Forge, PullRequest, State, next_branch};
use super::notify::{Form, Notice, Notifier, Receiver, Undelivered};
use super::observe::Observer;
use super::snapshot::Snapshot;
use super::world::{Proposal, Released, Stopped, Unseen, World};
use crate::diag::plain;
use crate::git::{Expected, Id, Identity, Move, RefUpdate, Release, Stop, Time, Upstream};
use crate::model::git_settings::unusable;
use crate::stage::{Failure, Live, Opened, examine};
use std::collections::{BTreeMap, BTreeSet};

/// Where it is written down which live commit each receiver was told of last.
const TOLD: &str = "refs/pillion/told";

/// The world as it is.
pub struct Outside {
    /// The clusters that are watched; None: the one of a repository that names none.
    pub observers: BTreeMap<Option<String>, Observer>,
    /// Who is told of commits.
    pub notifier: Option<Notifier>,
    /// What is asked before a batch.
    pub check: Option<Check>,
    /// Where commits are proposed, where they are not pushed.
    pub forge: Option<Box<dyn Forge>>,
    /// Nothing is begun any more when this is asked for.
    pub stop: Stop,
    /// What time it is, where no API server says so.
    pub clock: fn() -> Time,
    /// The pull requests that say what they are to, by branch: the commit, and the number.
    proposed: BTreeMap<String, (Id, u64)>,
    /// Branches of pull requests that are left alone as they are.
    left: BTreeSet<(String, Id)>,
}

impl Outside {
    /// Begins with clusters alone: nobody is told, nothing is asked, commits are pushed.
    pub fn new(observers: BTreeMap<Option<String>, Observer>, clock: fn() -> Time) -> Self {
        let (stop, proposed, left) = (Stop::default(), BTreeMap::new(), BTreeSet::new());
        Self { observers, notifier: None, check: None, forge: None, stop, clock, proposed, left }
    }

    /// Begins nothing when everything is to end.
    fn goes_on(&self) -> Result<(), Stopped> {
        if self.stop.is_requested() { Err(Stopped::Ending) } else { Ok(()) }
    }

    /// Proposes a commit: it stands on a branch of its own, and merging that is the release. So it says nothing of
    /// when, and is the same one until the live branch moves.
    fn propose(
        &mut self,
        opened: &Opened,
        live: &Live<'_>,
        proposal: &Proposal<'_>,
    ) -> Result<Option<Released>, Stopped> {
        let Some(forge) = &self.forge else { return Ok(None) };
        let branches = &opened.branches;
        let branch = next_branch(&branches.live, proposal.cluster, proposal.sidecar_set);
        if let Some(why) = unusable(&branch) {
            let words = format!("`{branch}` cannot be the name of a branch, so nothing is proposed: {why}");
            return Ok(Some(Released::Blocked(words)));
        }
        let whose = (proposal.sidecar_set, &live.branches.identity);
        if let Some(words) = foreign(opened, (live.head.id, &branch), whose)? {
            return Ok(Some(Released::Blocked(format!("nothing is proposed: {words}"))));
        }
        let number = match self.proposed.get(&branch) {
            Some((commit, number)) if *commit == proposal.commit => *number,
            _ => {
                let found = opened.repository.branch(&upstream(opened)?, &branch);
                let name = format!("refs/heads/{branch}");
                let (to, expected) = (Some(proposal.commit), Expected::read(found));
                push(opened, RefUpdate { name, to, expected, how: Move::Replace })?;
                let request = PullRequest::of_message(&branch, &branches.live, proposal.message);
                let number = forge.open_or_update(&request).map_err(refused)?.number;
                self.proposed.insert(branch, (proposal.commit, number));
                number
            }
        };
        let words = format!("proposed as pull request #{number}: merging it releases the commit");
        Ok(Some(Released::Proposed(words)))
    }
}

/// Says which commits of others are on the branch of a pull request: they are neither replaced nor removed.
fn foreign(
    opened: &Opened,
    (head, branch): (Id, &str),
    whose: (&str, &Identity),
) -> Result<Option<String>, Stopped> {
    let Some(tip) = opened.repository.branch(&upstream(opened)?, branch) else { return Ok(None) };
    let side = examine(&opened.repository, (head, tip), whose)?;
    Ok(side.foreign.first().map(|commit| {
        format!(
            "`{branch}` holds {} (\"{}\") by {}, which pillion did not make; once nobody needs it, `git push {} --delete {branch}`",
            commit.id.short(),
            plain::line(commit.subject()),
            plain::line(&commit.author.to_string()),
            opened.branches.remote
        )
    }))
}

fn refused(failure: super::forge::Failure) -> Stopped {
    let text = failure.to_string();
    match failure.retry_after {
        Some(after) => Stopped::Later { text, after },
        None => Stopped::Service { is_retryable: failure.is_retryable, text },
    }
}

impl World for Outside {
    fn fetch(&mut self, opened: &Opened) -> Result<(), Stopped> {
        self.goes_on()?;
        reached("fetch");
        let staged = opened.branches.all_staged();
        let proposed = self.forge.as_ref().map(|_| "pillion/next/*");
        let more: Vec<&str> = [staged.as_str()].into_iter().chain(proposed).collect();
        Ok(opened.fetch_with(&more).map(drop)?)
    }

    fn look(&mut self, cluster: Option<&str>) -> Result<Snapshot, Unseen> {
        let observer = self.observers.get(&cluster.map(str::to_owned));
        let observer = observer.ok_or_else(|| Unseen("this cluster is not watched".to_owned()))?;
        observer.look().map_err(|none| Unseen(none.to_string()))
    }

    fn release(
        &mut self,
        opened: &Opened,
        live: &Live<'_>,
        proposal: &Proposal<'_>,
    ) -> Result<Released, Stopped> {
        self.goes_on()?;
        reached("before-push");
        let released = match self.propose(opened, live, proposal)? {
            Some(proposed) => proposed,
            None => {
                let release = Release { at: proposal.at.unwrap_or_else(self.clock), by: None };
                Released::Put(opened.release(live, proposal.commit, &release)?)
            }
        };
        reached("after-push");
        Ok(released)
    }

    fn withdraw(
        &mut self,
        opened: &Opened,
        cluster: Option<&str>,
        sidecar_set: &str,
        why: &str,
    ) -> Result<(), Stopped> {
        self.goes_on()?;
        let Some(forge) = &self.forge else { return Ok(()) };
        let live = &opened.branches.live;
        let branch = next_branch(live, cluster, sidecar_set);
        let Some(found) = opened.repository.branch(&upstream(opened)?, &branch) else { return Ok(()) };
        self.proposed.remove(&branch);
        let Some((_, head)) = opened.branches.find_live(&opened.repository) else { return Ok(()) };
        let whose = (sidecar_set, &opened.branches.identity);
        if let Some(words) = foreign(opened, (head, &branch), whose)? {
            if self.left.insert((branch, found)) {
                tracing::warn!("a branch that is needed no longer is left alone: {words}");
            }
            return Ok(());
        }
        if let Some(request) = forge.find(&branch, live).map_err(refused)?.filter(|r| r.state == State::Open)
        {
            forge.close(request.number, why).map_err(refused)?;
        }
        let (name, expected) = (format!("refs/heads/{branch}"), Expected::At(found));
        push(opened, RefUpdate { name, to: None, expected, how: Move::Replace })
    }

    fn push_staged(&mut self, opened: &Opened, update: RefUpdate) -> Result<(), Stopped> {
        self.goes_on()?;
        push(opened, update)
    }

    fn ask(&mut self, question: &Question) -> Answer {
        self.check.as_ref().map_or_else(|| Answer::Pass(String::new()), |check| check.ask(question))
    }

    fn receivers(&self) -> Vec<Form> {
        self.notifier.iter().flat_map(Notifier::receivers).map(Receiver::form).collect()
    }

    fn told(&mut self, opened: &Opened, receiver: Form) -> Result<Option<Id>, Stopped> {
        self.goes_on()?;
        let upstream = upstream(opened)?;
        Ok(opened.repository.fetch_ref(&upstream, &told_of(opened, receiver))?)
    }

    fn tell(&mut self, receiver: Form, notice: &Notice) -> Result<(), Stopped> {
        self.goes_on()?;
        reached("before-notify");
        let Some(notifier) = &self.notifier else { return Ok(()) };
        for receiver in notifier.receivers().iter().filter(|r| r.form() == receiver) {
            notifier.send(receiver, notice).map_err(undelivered)?;
        }
        reached("after-notify");
        Ok(())
    }

    fn remember_told(
        &mut self,
        opened: &Opened,
        receiver: Form,
        before: Option<Id>,
        commit: Id,
    ) -> Result<(), Stopped> {
        let (name, expected) = (told_of(opened, receiver), Expected::read(before));
        push(opened, RefUpdate { name, to: Some(commit), expected, how: Move::Replace })
    }
}

fn undelivered(undelivered: Undelivered) -> Stopped {
    let text = undelivered.to_string();
    match undelivered.retry_after {
        Some(after) => Stopped::Later { text, after },
        None => Stopped::Service { is_retryable: undelivered.is_retryable, text },
    }
}

fn told_of(opened: &Opened, receiver: Form) -> String {
    format!("{TOLD}/{}/{}", receiver.name(), opened.branches.live)
}

fn upstream(opened: &Opened) -> Result<Upstream, Failure> {
    Ok(opened.repository.upstream(&opened.branches.remote)?)
}

/// Moves one ref of the remote, or here where there is none.
fn push(opened: &Opened, update: RefUpdate) -> Result<(), Stopped> {
    for outcome in opened.repository.push(&upstream(opened)?, &[update])? {
        match outcome {
            // Somebody else has written the same or something newer: the next look finds it.
            Ok(_) | Err(crate::git::Failure::RefMoved { .. }) => {}
            Err(failure) => return Err(failure.into()),
        }
    }
    Ok(())
}

/// A point at which tests end the process as SIGKILL does: no destructor runs, nothing is flushed.
#[cfg(debug_assertions)]
fn reached(point: &str) {
    if std::env::var("PILLION_KILL_AT").is_ok_and(|at| at == point) {
        std::process::abort();
    }
}

#[cfg(not(debug_assertions))]
fn reached(_: &str) {}
