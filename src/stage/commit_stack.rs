//! The commits of a rollout, on top of the deploy branch: each has the tree of the one before, the files of the
//! updated workloads, and the ledger.

use super::{ClusterView, DeployBranch, Error, message};
use crate::diagnostics::Diagnostic;
use crate::git::{self, Commit, CommitTime, NewCommit, ObjectId, Signature, Signing, TreeEditor};
use crate::model::file_list::{self, to_slash};
use crate::model::ledger::{Ledger, LedgerWriter};
use crate::model::workload::sidecar_set_key;
use crate::read::map_in_order;
use crate::render::{RenderedFile, Renderer};
use crate::rollout::{RolloutPlan, RolloutStep};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The commits of a rollout.
#[derive(Debug)]
pub(crate) struct CommitStack {
    /// The commit below the first one.
    pub(crate) base: ObjectId,
    /// The commits, each on top of the one before.
    pub(crate) commits: Vec<StagedCommit>,
}

/// One commit of a rollout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StagedCommit {
    /// Its id.
    pub(crate) id: ObjectId,
    /// Its tree.
    pub(crate) tree: ObjectId,
    /// The whole message.
    pub(crate) message: String,
}

impl StagedCommit {
    /// Returns the first line of the message.
    pub(crate) fn subject(&self) -> &str {
        self.message.lines().next().unwrap_or_default()
    }
}

impl CommitStack {
    /// Returns the last commit; the base where there is none.
    pub(crate) fn tip_or_base(&self) -> ObjectId {
        self.tip().unwrap_or(self.base)
    }

    /// Returns the last commit; None where there is none.
    pub(crate) fn tip(&self) -> Option<ObjectId> {
        self.commits.last().map(|c| c.id)
    }
}

/// Creates the commits of the first `limit` steps of a rollout, and moves no ref. An error in a file creates none of
/// them. Of signed commits that are `kept`, in their order, those with the same content are reused: each signature
/// differs. `on_commit` is called after each commit.
///
/// # Errors
/// When a file cannot be written, or git fails.
pub(crate) fn build_stack(
    (deploy_branch, view): (&DeployBranch<'_>, &ClusterView),
    rollout: &RolloutPlan<'_>,
    limit: usize,
    signing: &Signing<'_>,
    kept: &[Commit],
    on_commit: impl Fn(),
) -> Result<(Option<CommitStack>, Vec<Diagnostic>), Error> {
    // Only the last step may be Idle or Blocked.
    let count = rollout.steps.iter().take(limit).filter(|step| step.ledger().is_some()).count();
    let steps = &rollout.steps[..count];
    let work = StackWork::of((deploy_branch, view), rollout, steps);
    let mut builder = StackBuilder::new((deploy_branch, view), rollout, steps, (signing, kept))?;
    let mut failure = None;
    let mut items = work.tasks.iter();
    let make = |item: &StackTask| work.run_task(item);
    map_in_order(&work.tasks, make, |made| {
        if let (Some(item), None) = (items.next(), &failure) {
            failure = builder.add_output(item, made).err();
            if matches!(item.kind, StackTaskKind::Ledger) {
                on_commit();
            }
        }
    });
    match failure {
        Some(failure) => Err(failure),
        None => builder.finish(),
    }
}

/// The tasks of a stack; those of one step follow those of the step before.
struct StackWork<'a> {
    view: &'a ClusterView,
    /// The renderer of each batch.
    renderers: BTreeMap<usize, Renderer>,
    /// The renderers before and after each step that changes no rendered byte.
    renderer_pairs: BTreeMap<usize, [Renderer; 2]>,
    /// Where Kruise injects the sidecars, the key of the SidecarSet: every step changes it, and nothing else.
    kruise_key: Option<String>,
    tasks: Vec<StackTask>,
}

/// One task: the index of its step, and its kind.
struct StackTask {
    step: usize,
    kind: StackTaskKind,
}

enum StackTaskKind {
    /// The rendered file of an input.
    File { input: usize, path: String },
    /// A workload, which the step must not change.
    Unchanged { workload: usize },
    /// The ledger, which completes the step.
    Ledger,
}

enum StackTaskOutput<'a> {
    /// The file, its text, and the id of a blob of that.
    File(Box<RenderedFile>, Cow<'a, str>, Result<ObjectId, git::Error>),
    Unchanged,
    Ledger,
}

impl<'a> StackWork<'a> {
    fn of(
        (deploy_branch, view): (&DeployBranch<'_>, &'a ClusterView),
        rollout: &'a RolloutPlan<'_>,
        steps: &[RolloutStep],
    ) -> Self {
        let files = RolloutFiles::of(deploy_branch, view);
        let (renderers, pairs) = (BTreeMap::new(), BTreeMap::new());
        let kruise_key = rollout.context.kruise.as_ref().map(|_| sidecar_set_key(rollout.name()));
        let tasks = Vec::new();
        let mut work = Self { view, renderers, renderer_pairs: pairs, kruise_key, tasks };
        for (step, taken) in steps.iter().enumerate() {
            let pieces = match taken {
                RolloutStep::Batch(batch) => {
                    let keys = batch.updates.iter().map(|update| &*update.key);
                    work.file_tasks(step, &batch.ledger, keys, &files)
                }
                RolloutStep::Start(after) | RolloutStep::Complete(after) | RolloutStep::Resume(after) => {
                    let before = rollout.ledger_before(step);
                    let pair = [before, after].map(|ledger| view.prepared.renderer_with(ledger, None));
                    work.renderer_pairs.insert(step, pair);
                    let workloads = 0..view.workloads().len();
                    let unchanged = workloads.map(|workload| StackTaskKind::Unchanged { workload });
                    let own = work.kruise_key.clone();
                    let files = work.file_tasks(step, after, own.as_deref().into_iter(), &files);
                    files.into_iter().chain(unchanged).collect()
                }
                RolloutStep::Idle | RolloutStep::Blocked(_) => Vec::new(),
            };
            work.tasks.extend(
                pieces
                    .into_iter()
                    .chain([StackTaskKind::Ledger])
                    .map(|piece| StackTask { step, kind: piece }),
            );
        }
        work
    }

    /// Returns the tasks for the rendered files of some workloads, with the ledger after a step.
    fn file_tasks<'k>(
        &mut self,
        step: usize,
        after: &Ledger,
        keys: impl Iterator<Item = &'k str>,
        files: &RolloutFiles<'_>,
    ) -> Vec<StackTaskKind> {
        let (inputs, workloads) = files.files_of_workloads(keys);
        if !inputs.is_empty() {
            let renderer = self.view.prepared.renderer_with(after, Some(&workloads));
            self.renderers.insert(step, renderer);
        }
        inputs.into_iter().map(|(input, path)| StackTaskKind::File { input, path }).collect()
    }

    fn run_task(&self, item: &StackTask) -> StackTaskOutput<'a> {
        match &item.kind {
            StackTaskKind::Ledger => StackTaskOutput::Ledger,
            StackTaskKind::File { input, .. } => {
                let file = self.view.render_input(*input, &self.renderers[&item.step]);
                let text = file.text(&self.view.inputs()[*input].1);
                let id = ObjectId::hash_blob(text.as_bytes());
                StackTaskOutput::File(Box::new(file), text, id)
            }
            StackTaskKind::Unchanged { workload } => {
                let workload = &self.view.workloads()[*workload];
                let [before, after] = &self.renderer_pairs[&item.step];
                let is_own = self.kruise_key.as_deref() == Some(&*workload.manifest.key);
                if !is_own && !before.renders_same(after, workload) {
                    let (document, manifest) = (workload.source.read(), &workload.manifest);
                    let [old, new] = [before, after].map(|r| r.inject(&document, manifest).change);
                    assert!(old == new, "starting or completing a rollout changes `{}`", manifest.key);
                }
                StackTaskOutput::Unchanged
            }
        }
    }
}

/// The files that are rendered into git.
struct RolloutFiles<'s> {
    /// The path of the file of each input.
    paths: BTreeMap<usize, String>,
    /// The workloads of each input.
    workloads: BTreeMap<usize, Vec<&'s Arc<str>>>,
    /// The input of each workload.
    inputs: BTreeMap<&'s str, usize>,
}

impl<'s> RolloutFiles<'s> {
    fn of(deploy_branch: &DeployBranch<'_>, view: &'s ClusterView) -> Self {
        let mut files = Self { paths: BTreeMap::new(), workloads: BTreeMap::new(), inputs: BTreeMap::new() };
        for (key, input) in view.inputs_of_workloads() {
            let Some(path) =
                deploy_branch.configuration.rendered_path(view.cluster.as_deref(), &view.inputs()[input].0)
            else {
                continue;
            };
            files.paths.entry(input).or_insert(path);
            files.workloads.entry(input).or_default().push(key);
            files.inputs.insert(key, input);
        }
        files
    }

    /// Returns the files of some workloads, and all workloads in them.
    fn files_of_workloads<'k>(
        &self,
        keys: impl Iterator<Item = &'k str>,
    ) -> (Vec<(usize, String)>, BTreeSet<Arc<str>>) {
        let inputs: BTreeSet<usize> = keys.filter_map(|key| self.inputs.get(key).copied()).collect();
        let workloads = inputs.iter().flat_map(|i| &self.workloads[i]).map(|key| Arc::clone(key)).collect();
        (inputs.iter().map(|i| (*i, self.paths[i].clone())).collect(), workloads)
    }
}

/// Assembles the commits from the results of the tasks.
struct StackBuilder<'a, 'r> {
    deploy_branch: &'a DeployBranch<'r>,
    view: &'a ClusterView,
    rollout: &'a RolloutPlan<'a>,
    steps: &'a [RolloutStep],
    signing: &'a Signing<'a>,
    signed_commits: &'a [Commit],
    ledger_path: String,
    ledger_writer: LedgerWriter,
    editor: TreeEditor<'r>,
    /// The rendered files after the last step.
    listed_files: BTreeSet<String>,
    stack: CommitStack,
    diagnostics: Vec<Diagnostic>,
}

impl<'a, 'r> StackBuilder<'a, 'r> {
    fn new(
        (deploy_branch, view): (&'a DeployBranch<'r>, &'a ClusterView),
        rollout: &'a RolloutPlan<'a>,
        steps: &'a [RolloutStep],
        (signing, kept): (&'a Signing<'a>, &'a [Commit]),
    ) -> Result<Self, Error> {
        let path = deploy_branch.configuration.ledger_path(view.cluster.as_deref(), rollout.name());
        Ok(Self {
            deploy_branch,
            view,
            rollout,
            steps,
            signing,
            signed_commits: kept,
            ledger_path: path.ok_or(Error::NoLedgers)?,
            ledger_writer: LedgerWriter::default(),
            editor: deploy_branch.repository.editor(Some(deploy_branch.head.tree))?,
            listed_files: deploy_branch.listed_files(),
            stack: CommitStack { base: deploy_branch.head.id, commits: Vec::new() },
            diagnostics: Vec::new(),
        })
    }

    fn add_output(&mut self, item: &StackTask, made: StackTaskOutput<'_>) -> Result<(), Error> {
        match (made, &item.kind) {
            (StackTaskOutput::File(file, text, id), StackTaskKind::File { input, path }) => {
                let RenderedFile { diagnostics, is_dropped, .. } = *file;
                self.diagnostics.extend(diagnostics.into_iter().filter(Diagnostic::is_error));
                // A file with nothing but SidecarSets is not part of the output.
                let name = &self.view.inputs()[*input].0.output_path;
                match is_dropped {
                    false => self.editor.put_named(path, text.as_bytes(), id?)?,
                    true if self.listed_files.contains(&to_slash(name)) => {
                        self.editor.remove(path)?;
                    }
                    true => {}
                }
                self.list_file(&to_slash(name), !is_dropped)
            }
            (StackTaskOutput::Ledger, _) => self.commit_step(item.step),
            (StackTaskOutput::File(..) | StackTaskOutput::Unchanged, _) => Ok(()),
        }
    }

    /// Keeps the list of rendered files: a SidecarSet that Kruise injects is one of them once it is deployed.
    fn list_file(&mut self, name: &str, is_rendered: bool) -> Result<(), Error> {
        if self.rollout.context.kruise.is_none() || self.listed_files.contains(name) == is_rendered {
            return Ok(());
        }
        match is_rendered {
            true => self.listed_files.insert(name.to_owned()),
            false => self.listed_files.remove(name),
        };
        if let Some(path) = self.deploy_branch.configuration.file_list_path() {
            self.editor.put(&path, file_list::emit(&self.listed_files).as_bytes())?;
        }
        Ok(())
    }

    /// Commits a step.
    fn commit_step(&mut self, step: usize) -> Result<(), Error> {
        if !self.diagnostics.is_empty() {
            return Ok(());
        }
        let taken = &self.steps[step];
        let ledger = taken.ledger().expect("build_stack takes steps with a ledger only");
        let ledger = self.ledger_writer.emit(ledger);
        self.editor.put(&self.ledger_path, ledger.as_bytes())?;
        let before = self.rollout.ledger_before(step);
        let message = message::step_message(self.deploy_branch, self.rollout, before, taken);
        let message = message.expect("only Idle and Blocked have no message, and a stack has no such step");
        // The same ids in every clone: nothing depends on this machine or this moment.
        let who = Signature::new(&self.deploy_branch.branches.identity, self.commit_time());
        let (tree, parents) = (self.editor.write()?, &[self.stack.tip_or_base()]);
        let new = NewCommit { tree, parents, message: &message, author: who, committer: who };
        let kept =
            self.signed_commits.get(self.stack.commits.len()).filter(|kept| has_same_content(kept, &new));
        let id = match kept {
            Some(kept) => kept.id,
            None => self.editor.commit(&new, self.signing)?,
        };
        self.stack.commits.push(StagedCommit { id, tree, message });
        Ok(())
    }

    /// Returns the time of the head, or of the last hold that has expired, whichever is later.
    fn commit_time(&self) -> CommitTime {
        let head = self.deploy_branch.head.time;
        let ended = self.rollout.last_hold_expiry().map(|seconds| CommitTime { seconds, offset_minutes: 0 });
        ended.filter(|ended| ended.seconds > head.seconds).unwrap_or(head)
    }

    fn finish(self) -> Result<(Option<CommitStack>, Vec<Diagnostic>), Error> {
        let is_sound = self.diagnostics.is_empty();
        if is_sound {
            self.editor.finish()?;
        }
        Ok((is_sound.then_some(self.stack), self.diagnostics))
    }
}

/// Returns whether a signed commit has the content of a new one.
fn has_same_content(kept: &Commit, new: &NewCommit<'_>) -> bool {
    kept.is_signed
        && kept.tree == new.tree
        && kept.parents == new.parents
        && kept.message.trim_end() == new.message.trim_end()
        && Signature::new(&kept.author, kept.author_time) == new.author
        && Signature::new(&kept.committer, kept.time) == new.committer
}
