//! Is what git holds what pillion makes? Ledgers against the planner and the verbs, byte for byte.

mod alone;
mod at_once;
mod change;
mod deed;
mod judge;
mod recent;
mod text;

pub use judge::Changed;
pub use recent::recent;

use super::surplus::left_behind;
use super::{Failure, Live, Site};
use crate::diag::{Code, Diagnostic};
use crate::git::{Commit, Id, Repository, Walk};
use crate::model::ledger::{self, Ledger};
use crate::plan::{Batch, Circumstances, Course, Step, digest, steps};
use crate::read::Files as _;
use judge::{Approve, Judged, judge};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use text::first_difference;

/// Steps that are looked at to find out what a commit did.
const MOST_STEPS: usize = 1000;

/// Compares the ledgers of a site with the one text that pillion writes for each.
pub fn canonical(live: &Live<'_>, site: &Site) -> Vec<Diagnostic> {
    let differs = |ledger: &Ledger| {
        let place = live.configuration.ledger_place(site.cluster.as_deref(), &ledger.name)?;
        let name: Arc<str> = place.as_str().into();
        let text = live.rendered().text(Path::new(&place), &name).ok()?;
        first_difference(&name, &text, &ledger::emit(ledger), "pillion writes this ledger otherwise")
    };
    site.prepared.ledgers.values().filter_map(differs).collect()
}

/// What became of the ledgers on the way from one commit to another.
#[derive(Default)]
pub struct Audit {
    /// What is wrong.
    pub wrong: Vec<Diagnostic>,
    /// What was done, oldest first.
    pub changes: Vec<Changed>,
}

/// Judges every change of a ledger on the way from `base` to what is live: each must be a step of the planner, a
/// verb or `init rollout`, and a commit of its own.
///
/// # Errors
/// When git fails, the way cannot be found, or this clone has too little of the history.
pub fn since(repository: &Repository, live: &Live<'_>, config: &Path, base: Id) -> Result<Audit, Failure> {
    let reader = Reader { repository, live, config };
    let way = way(repository, live.head.id, base)?;
    let begin = match reader.at(base)? {
        At::Live(begin) => Some(begin),
        At::Nothing(_) | At::Wrong(_) => None,
    };
    let approve = Approve::of_base(begin.as_deref());
    let mut audit = Audit::default();
    let (mut old, mut folders) = (None, BTreeSet::new());
    for (number, commit) in way.commits.iter().enumerate() {
        let is_base = number == 0 && !way.is_from_nothing;
        let new = match (reader.at(commit.id)?, &old) {
            (At::Live(new), _) => new,
            (At::Wrong(_), _) if is_base => {
                old = Some(Before::Unread(Box::new(commit.clone())));
                continue;
            }
            (At::Wrong(wrong), _) => {
                audit.wrong.push(unreadable(commit, wrong));
                continue;
            }
            (At::Nothing(why), Some(Before::Live(_))) => {
                audit.wrong.push(unreadable(commit, Diagnostic::error(Code::UnreadableCommit, why)));
                continue;
            }
            (At::Nothing(_), _) => continue,
        };
        let rendered = new.configuration.layout.rendered.clone();
        if folders.insert(rendered) {
            audit.wrong.extend(left_behind(&new.configuration, live));
        }
        if !is_base {
            let judged = match &old {
                Some(Before::Unread(before)) => judge_unread(repository, before, &new)?,
                Some(Before::Live(old)) => judge(Some(old), &new, &approve)?,
                None => judge(None, &new, &approve)?,
            };
            audit.take(&new, judged);
        }
        old = Some(Before::Live(new));
    }
    audit.wrong.extend(at_once::together(live, &audit.changes.iter().collect::<Vec<_>>()));
    if way.is_beside && !audit.changes.is_empty() {
        audit.wrong.push(beside(&live.head, base));
    }
    Ok(audit)
}

impl Audit {
    fn take(&mut self, live: &Live<'_>, judged: Judged) {
        self.wrong.extend(judged.wrong.into_iter().map(|(_, wrong)| wrong));
        self.wrong.extend(judged.changed.iter().filter_map(|changed| at_once::in_one(live, changed)));
        self.changes.extend(judged.changed);
    }
}

/// What was live before a commit.
enum Before<'r> {
    Live(Box<Live<'r>>),
    /// Its pillion.yaml cannot be read.
    Unread(Box<Commit>),
}

/// What a commit holds.
enum At<'r> {
    Live(Box<Live<'r>>),
    /// No pillion.yaml, or nothing was rendered yet; in words.
    Nothing(String),
    Wrong(Diagnostic),
}

/// Reads commits as if they were live.
struct Reader<'r, 'l> {
    repository: &'r Repository,
    live: &'l Live<'r>,
    config: &'l Path,
}

impl<'r> Reader<'r, '_> {
    fn at(&self, commit: Id) -> Result<At<'r>, Failure> {
        let Self { repository, live, config } = self;
        match Live::read_at(repository, &live.branches, config, (live.place.clone(), commit)) {
            Ok((Some(read), _)) => Ok(At::Live(Box::new(read.with_manifests(&live.manifests)))),
            Ok((None, wrong)) => {
                let error = wrong.into_iter().find(Diagnostic::is_error);
                let unknown = || Diagnostic::error(Code::UnreadableCommit, "pillion.yaml cannot be read");
                Ok(At::Wrong(error.unwrap_or_else(unknown)))
            }
            Err(failure @ (Failure::NoConfiguration { .. } | Failure::NoSource { .. })) => {
                Ok(At::Nothing(failure.to_string()))
            }
            // One that is not in a shallow clone is said so, and not taken for one that cannot be read.
            Err(Failure::Git(failure)) => Err(failure.into()),
            Err(failure) => Ok(At::Wrong(Diagnostic::error(Code::UnreadableCommit, failure.to_string()))),
        }
    }
}

/// The commits between two.
struct Way {
    /// Oldest first, along first parents; the first one is what the others come from.
    commits: Vec<Commit>,
    /// The first one comes from nothing.
    is_from_nothing: bool,
    /// The base is no ancestor of the head: the first one is where both part.
    is_beside: bool,
}

/// Finds the way from `base` to a head. Where `base` was merged on the way, the head is one change of it.
fn way(repository: &Repository, head: Id, base: Id) -> Result<Way, Failure> {
    let (mut commits, mut begins) = (Vec::new(), None);
    for commit in repository.log(head, None, Walk::FirstParent)? {
        let commit = commit?;
        begins = match (commit.id == base, repository.is_ancestor(commit.id, base)?) {
            (true, _) => Some(false),
            (false, true) => Some(true),
            (false, false) => None,
        };
        commits.push(commit);
        if begins.is_some() {
            break;
        }
    }
    commits.reverse();
    if begins == Some(false) {
        return Ok(Way { commits, is_from_nothing: false, is_beside: false });
    }
    if repository.is_ancestor(base, head)? {
        let commits = vec![repository.commit(base)?, repository.commit(head)?];
        return Ok(Way { commits, is_from_nothing: false, is_beside: false });
    }
    Ok(Way { commits, is_from_nothing: begins.is_none(), is_beside: true })
}

/// Returns the digest of a batch that lies ahead; None: there will be none of that number.
pub fn digest_of(course: &Course<'_>, ledger: &Ledger, batch: u32, given: &Circumstances) -> Option<String> {
    let unpaused = Ledger { paused: None, ..ledger.clone() };
    let mut before = unpaused.clone();
    for step in steps(course, &unpaused, given, MOST_STEPS) {
        match step {
            Step::Batch(next) if next.number == batch => {
                return Some(digest(course, &before, batch, &next.moves));
            }
            Step::Open(after) | Step::Resume(after) | Step::Batch(Batch { ledger: after, .. }) => {
                before = after
            }
            Step::Close(_) | Step::Rest(_) => break,
        }
    }
    None
}

/// Judges a commit behind one whose pillion.yaml cannot be read: its ledgers must be those that stand there.
fn judge_unread(repository: &Repository, before: &Commit, new: &Live<'_>) -> Result<Judged, Failure> {
    let mut judged = Judged::default();
    let (ledgers, _) = new.configuration.layout.ledgers(new.rendered());
    for ledger in ledgers {
        let id = |tree: Id| Ok::<_, Failure>(repository.entry_at(tree, &ledger.input.name)?.map(|e| e.id));
        if id(before.tree)? != id(new.head.tree)? {
            let message = format!(
                "commit {} changes `{}`, and pillion.yaml before it cannot be read",
                new.head.id.short(),
                ledger.input.name
            );
            let wrong = Diagnostic::error(Code::UnreadableCommit, message)
                .because("what a change of a ledger means cannot be told without what was there before")
                .help("repair pillion.yaml in a commit of its own, and merge that first");
            judged.wrong.push((None, wrong));
        }
    }
    Ok(judged)
}

/// A commit on the way that cannot be read, and why.
fn unreadable(commit: &Commit, wrong: Diagnostic) -> Diagnostic {
    let message = format!(
        "commit {} (\"{}\") cannot be judged: {}",
        commit.id.short(),
        commit.subject(),
        wrong.message
    );
    let mut told = Diagnostic::error(Code::UnreadableCommit, message)
        .because("what it did to the ledgers cannot be told, and what follows is no better than that")
        .help(
            "put the repair into that commit (`git rebase --interactive`), so that every commit can be read",
        );
    told.labels = wrong.labels;
    told
}

/// A change of a ledger on a branch that is not on top of what it is compared with.
fn beside(head: &Commit, base: Id) -> Diagnostic {
    let message = format!(
        "{} changes ledgers and is not on top of {}, which it is compared with",
        head.id.short(),
        base.short()
    );
    Diagnostic::error(Code::LedgerNotPlanned, message)
        .because("a step follows from the ledgers as they are there, and not from older ones")
        .help("rebase it onto that commit; better, let the command of pillion do the step again")
}
