//! The commits of a rollout, on top of the live head: each with the tree of the one before, the files of the
//! workloads that move, and the ledger.

use super::rollout::after;
use super::{Failure, Live, Rollout, Site, message};
use crate::diag::Diagnostic;
use crate::git::{Commit, Id, NewCommit, Signature, Signing, Time, TreeEditor};
use crate::model::ledger::{Ledger, emit};
use crate::plan::{Batch, Step};
use crate::read::in_order;
use crate::render::{RenderedFile, Renderer};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The commits of a rollout.
#[derive(Debug)]
pub struct Stack {
    /// The commit that they stand on.
    pub base: Id,
    /// The commits, each on top of the one before.
    pub commits: Vec<Staged>,
}

/// One commit of a rollout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Staged {
    /// Its name.
    pub id: Id,
    /// The tree of its files.
    pub tree: Id,
    /// The whole message.
    pub message: String,
}

impl Staged {
    /// Returns the first line of the message.
    pub fn subject(&self) -> &str {
        self.message.lines().next().unwrap_or_default()
    }
}

impl Stack {
    /// Returns the last commit; the base where there is none.
    pub fn tip(&self) -> Id {
        self.new_tip().unwrap_or(self.base)
    }

    /// Returns the last commit; None where there is none.
    pub fn new_tip(&self) -> Option<Id> {
        self.commits.last().map(|c| c.id)
    }
}

/// Makes the commits of the first `limit` steps of a rollout, and moves no ref. None of them is there when something
/// is wrong with a file. Of signed commits that are `kept`, in their order, those are taken that say the same: a
/// signature is another one each time.
///
/// # Errors
/// When a file cannot be written, or git fails.
pub fn stack(
    live: &Live<'_>,
    rollout: &Rollout<'_>,
    limit: usize,
    signing: &Signing<'_>,
    kept: &[Commit],
) -> Result<(Option<Stack>, Vec<Diagnostic>), Failure> {
    let steps: Vec<&Step> = rollout.steps.iter().take(limit).filter(|s| after(s).is_some()).collect();
    let work = Work::of(live, rollout, &steps);
    let mut builder = Builder::new(live, rollout, &steps, (signing, kept))?;
    let mut failure = None;
    let mut items = work.items.iter();
    let make = |item: &Item| work.make(item);
    in_order(&work.items, make, |made| {
        if let (Some(item), None) = (items.next(), &failure) {
            failure = builder.take(item, made).err();
        }
    });
    match failure {
        Some(failure) => Err(failure),
        None => builder.finish(),
    }
}

/// What there is to be made; the pieces of one step follow those of the step before.
struct Work<'a> {
    site: &'a Site,
    steps: &'a [&'a Step],
    /// The renderer of each batch.
    renderers: BTreeMap<usize, Renderer>,
    /// What renders before and after each step that changes no rendered byte.
    pairs: BTreeMap<usize, [Renderer; 2]>,
    items: Vec<Item>,
}

/// One piece of a commit: the number of its step, and what it is.
struct Item {
    step: usize,
    piece: Piece,
}

enum Piece {
    /// The rendered file of an input.
    File { input: usize, place: String },
    /// The workloads of a document, which the step must not change.
    Unchanged { document: usize },
    /// The ledger, which completes the step.
    Ledger,
}

enum Made {
    File(RenderedFile),
    Unchanged,
    Ledger(String),
}

impl<'a> Work<'a> {
    fn of(live: &Live<'_>, rollout: &'a Rollout<'_>, steps: &'a [&'a Step]) -> Self {
        let site = rollout.site;
        let files = Files::of(live, site);
        let (renderers, pairs) = (BTreeMap::new(), BTreeMap::new());
        let mut work = Self { site, steps, renderers, pairs, items: Vec::new() };
        for (step, taken) in steps.iter().enumerate() {
            let pieces = match taken {
                Step::Batch(batch) => work.batch(step, batch, &files),
                Step::Open(after) | Step::Close(after) | Step::Resume(after) => {
                    let before = before(rollout, steps, step);
                    let pair = [before, after].map(|ledger| site.prepared.renderer_with(ledger, None));
                    work.pairs.insert(step, pair);
                    let documents = 0..site.workloads().len();
                    documents.map(|document| Piece::Unchanged { document }).collect()
                }
                Step::Rest(_) => Vec::new(),
            };
            work.items.extend(pieces.into_iter().chain([Piece::Ledger]).map(|piece| Item { step, piece }));
        }
        work
    }

    fn batch(&mut self, step: usize, batch: &Batch, files: &Files<'_>) -> Vec<Piece> {
        let (inputs, workloads) = files.of_batch(batch);
        if !inputs.is_empty() {
            let renderer = self.site.prepared.renderer_with(&batch.ledger, Some(&workloads));
            self.renderers.insert(step, renderer);
        }
        inputs.into_iter().map(|(input, place)| Piece::File { input, place }).collect()
    }

    fn make(&self, item: &Item) -> Made {
        match &item.piece {
            Piece::Ledger => Made::Ledger(after(self.steps[item.step]).map(emit).unwrap_or_default()),
            Piece::File { input, .. } => {
                Made::File(self.site.render_one(*input, &self.renderers[&item.step]))
            }
            Piece::Unchanged { document } => {
                let (document, workloads) = &self.site.workloads()[*document];
                let [before, after] = &self.pairs[&item.step];
                for located in workloads {
                    let [old, new] = [before, after].map(|r| r.inject(document, located).change);
                    assert!(old == new, "opening or closing a rollout changes `{}`", located.key);
                }
                Made::Unchanged
            }
        }
    }
}

/// The files that are rendered into git.
struct Files<'s> {
    /// Place by number of the input.
    places: BTreeMap<usize, String>,
    /// The workloads of each input.
    workloads: BTreeMap<usize, Vec<&'s Arc<str>>>,
    /// The input of each workload.
    inputs: BTreeMap<&'s str, usize>,
}

impl<'s> Files<'s> {
    fn of(live: &Live<'_>, site: &'s Site) -> Self {
        let mut files = Self { places: BTreeMap::new(), workloads: BTreeMap::new(), inputs: BTreeMap::new() };
        for (key, input) in site.inputs_of_workloads() {
            let Some(place) =
                live.configuration.rendered_place(site.cluster.as_deref(), &site.inputs()[input].0)
            else {
                continue;
            };
            files.places.entry(input).or_insert(place);
            files.workloads.entry(input).or_default().push(key);
            files.inputs.insert(key, input);
        }
        files
    }

    /// Returns the files that a batch changes, and all workloads in them.
    fn of_batch(&self, batch: &Batch) -> (Vec<(usize, String)>, BTreeSet<Arc<str>>) {
        let inputs: BTreeSet<usize> =
            batch.moves.iter().filter_map(|m| self.inputs.get(&*m.key).copied()).collect();
        let workloads = inputs.iter().flat_map(|i| &self.workloads[i]).map(|key| Arc::clone(key)).collect();
        (inputs.iter().map(|i| (*i, self.places[i].clone())).collect(), workloads)
    }
}

/// Puts the pieces together.
struct Builder<'a, 'r> {
    live: &'a Live<'r>,
    rollout: &'a Rollout<'a>,
    steps: &'a [&'a Step],
    signing: &'a Signing<'a>,
    kept: &'a [Commit],
    ledger_place: String,
    editor: TreeEditor<'r>,
    stack: Stack,
    diagnostics: Vec<Diagnostic>,
}

impl<'a, 'r> Builder<'a, 'r> {
    fn new(
        live: &'a Live<'r>,
        rollout: &'a Rollout<'a>,
        steps: &'a [&'a Step],
        (signing, kept): (&'a Signing<'a>, &'a [Commit]),
    ) -> Result<Self, Failure> {
        let place = live.configuration.ledger_place(rollout.site.cluster.as_deref(), rollout.name());
        Ok(Self {
            live,
            rollout,
            steps,
            signing,
            kept,
            ledger_place: place.ok_or(Failure::NoLedgers)?,
            editor: live.repository.editor(Some(live.head.tree))?,
            stack: Stack { base: live.head.id, commits: Vec::new() },
            diagnostics: Vec::new(),
        })
    }

    fn take(&mut self, item: &Item, made: Made) -> Result<(), Failure> {
        match (made, &item.piece) {
            (Made::File(file), Piece::File { input, place }) => {
                self.diagnostics.extend(file.diagnostics.into_iter().filter(Diagnostic::is_error));
                let text = file.new.as_deref().unwrap_or(&self.rollout.site.inputs()[*input].1);
                // A file that is all SidecarSets is none of the output.
                if !file.is_dropped {
                    self.editor.put(place, text.as_bytes())?;
                }
                Ok(())
            }
            (Made::Ledger(text), _) => self.commit(item.step, &text),
            (Made::File(_) | Made::Unchanged, _) => Ok(()),
        }
    }

    /// Completes a step.
    fn commit(&mut self, step: usize, ledger: &str) -> Result<(), Failure> {
        if !self.diagnostics.is_empty() {
            return Ok(());
        }
        let taken = self.steps[step];
        self.editor.put(&self.ledger_place, ledger.as_bytes())?;
        let before = before(self.rollout, self.steps, step);
        let message = message::message(self.live, self.rollout, before, taken);
        let message = message.expect("only a rest has no message, and it is no step of a stack");
        // The same ids from every clone: nothing of this machine and nothing of this moment.
        let who = Signature::new(&self.live.branches.identity, self.time());
        let (tree, parents) = (self.editor.write()?, &[self.stack.tip()]);
        let new = NewCommit { tree, parents, message: &message, author: who, committer: who };
        let kept = self.kept.get(self.stack.commits.len()).filter(|kept| is_same(kept, &new));
        let id = match kept {
            Some(kept) => kept.id,
            None => self.editor.commit(&new, self.signing)?,
        };
        self.stack.commits.push(Staged { id, tree, message });
        Ok(())
    }

    /// The time of the head, or when the last hold was over that is over now.
    fn time(&self) -> Time {
        let head = self.live.head.time;
        let ended = self.rollout.holds_ended_at().map(|seconds| Time { seconds, offset_minutes: 0 });
        ended.filter(|ended| ended.seconds > head.seconds).unwrap_or(head)
    }

    fn finish(self) -> Result<(Option<Stack>, Vec<Diagnostic>), Failure> {
        let is_sound = self.diagnostics.is_empty();
        if is_sound {
            self.editor.finish()?;
        }
        Ok((is_sound.then_some(self.stack), self.diagnostics))
    }
}

/// Returns the ledger that a step follows.
fn before<'a>(rollout: &'a Rollout<'_>, steps: &[&'a Step], step: usize) -> &'a Ledger {
    let before = step.checked_sub(1).and_then(|i| after(steps[i]));
    before.unwrap_or(&rollout.ledger)
}

/// Tells whether a signed commit says what a new one would.
fn is_same(kept: &Commit, new: &NewCommit<'_>) -> bool {
    kept.is_signed
        && kept.tree == new.tree
        && kept.parents == new.parents
        && kept.message.trim_end() == new.message.trim_end()
        && Signature::new(&kept.author, kept.author_time) == new.author
        && Signature::new(&kept.committer, kept.time) == new.committer
}
