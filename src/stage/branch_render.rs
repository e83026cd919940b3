//! Renders a commit of the sources onto the deploy branch, where sources have a branch of their own.

use super::joint_changes::joint_changes_since;
use super::template_changes::{may_change_templates, template_changes_since};
use super::{
    BranchConfig, ClusterView, DeployBranch, Error, RenderHistory, SourceBranch, check_drift, message,
    missing_workloads, read_configuration, unreached_in_clusters,
};
use crate::diagnostics::{Code, Diagnostic, Span};
use crate::git::{Commit, NewCommit, ObjectId, Repository, Signature, Signing, TreeEditor};
use crate::model::file_list::{self, to_slash};
use crate::read::CommitListing;
use crate::read::list_tree;
use crate::workspace::{ClusterSources, Configuration, ManifestSource, TreeFiles, WhatIf};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

/// Where a render is committed.
pub(crate) struct BranchRender<'r> {
    /// The repository.
    pub(crate) repository: &'r Repository,
    /// The ref that was read and its head; None: the branch does not exist yet.
    pub(crate) head: Option<(String, Commit)>,
    /// The commit that is rendered.
    pub(crate) source: Commit,
    /// Names of branches, and the identity of commits.
    pub(crate) branches: BranchConfig,
    /// The path of pillion.yaml in the sources.
    pub(crate) config: &'r Path,
    /// The commit will be pushed: its source commit must be on the remote.
    pub(crate) is_pushed: bool,
    /// A person lets the render continue although the newest render before it is not trusted.
    pub(crate) accepts_untrusted_source: bool,
    /// A new branch gets no sidecars, so that their first injection is a rollout.
    pub(crate) leaves_out_sidecars: bool,
    /// Manifests that are not plain files.
    pub(crate) manifests: &'r ManifestSource,
}

/// The result of a render.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BranchRenderOutcome {
    /// The commit; None where the head of the deploy branch is up to date.
    pub(crate) commit: Option<ObjectId>,
    /// Rendered files.
    pub(crate) files: usize,
}

/// Renders a commit of the sources with the ledgers of the head, and creates the commit. Moves no ref; with an error
/// there is no commit.
///
/// # Errors
/// When the head was rendered from a commit that is not an ancestor, a file cannot be written, or git fails.
pub(crate) fn render_branch(
    options: &BranchRender<'_>,
    signing: &Signing<'_>,
) -> Result<(Option<BranchRenderOutcome>, Vec<Diagnostic>), Error> {
    let BranchRender { repository, head, source, branches, config, .. } = options;
    require_on_source(options)?;
    let mut diagnostics = Vec::new();
    let RenderBase { deploy_branch: before, is_source_refused: is_refused } = match head {
        Some(head) => {
            let (before, problems) = read_base(options, head)?;
            diagnostics.extend(problems);
            before
        }
        None => RenderBase::default(),
    };
    let (configuration, problems) = read_configuration(repository, source.id, config)?;
    diagnostics.extend(problems);
    let Some(mut configuration) = configuration else { return Ok((None, diagnostics)) };
    if head.is_none() && !options.leaves_out_sidecars {
        // `init rollout` derives ledgers from the deploy branch, so it has to come first.
        configuration.repository.rollout.get_or_insert_default().require_ledger = Some(false);
    }
    if diagnostics.iter().any(Diagnostic::is_error) {
        return Ok((None, diagnostics));
    }
    let tree = head.as_ref().map(|(_, head)| head.tree);
    let mut folder = RenderedTree::open(repository, &configuration, tree)?;
    let sources = list_tree(repository, source.tree)?;
    diagnostics.extend(render_clusters(options, &sources, before.as_ref(), &mut folder)?);
    if diagnostics.iter().any(Diagnostic::is_error) {
        return Ok((None, diagnostics));
    }
    let files = folder.written.len();
    let (after, mut editor) = folder.finish()?;
    let is_new = Some(after) != tree
        || is_refused
        || before.as_ref().is_none_or(|b| b.has_new_sources(source.id, &sources));
    if !is_new {
        return Ok((Some(BranchRenderOutcome { commit: None, files }), diagnostics));
    }
    let parents: Vec<ObjectId> = head.iter().map(|(_, head)| head.id).collect();
    let who = Signature::new(&branches.identity, source.time);
    let message = message::render_message(source);
    let new = NewCommit { tree: after, parents: &parents, message: &message, author: who, committer: who };
    let commit = Some(editor.commit(&new, signing)?);
    editor.finish()?;
    Ok((Some(BranchRenderOutcome { commit, files }), diagnostics))
}

/// Renders every cluster into the folder; `before` is the deploy branch so far.
fn render_clusters(
    options: &BranchRender<'_>,
    sources: &CommitListing<'_, ObjectId>,
    before: Option<&DeployBranch<'_>>,
    folder: &mut RenderedTree<'_>,
) -> Result<Vec<Diagnostic>, Error> {
    let configuration = folder.configuration.clone();
    let leaves_out_sidecars = options.head.is_none() && options.leaves_out_sidecars;
    let may_change = before.is_some_and(|before| may_change_templates(before, &configuration, sources));
    let mut diagnostics = Vec::new();
    let mut views = Vec::new();
    for cluster in configuration.layout.cluster_names() {
        let tree = options.source.tree;
        let built = match options.manifests.for_tree(options.repository, tree, &configuration, cluster) {
            Ok(built) => built,
            Err(failed) => {
                diagnostics.push(*failed);
                continue;
            }
        };
        let built = built.as_ref().map(|(name, text)| (&**name, &**text));
        let from = ClusterSources { files: sources, ledgers: &folder.files, built, cluster };
        let what_if = WhatIf { ledgers: leaves_out_sidecars.then(BTreeMap::new), ..WhatIf::default() };
        let (view, mut problems) = ClusterView::hypothetical(&configuration, &from, &what_if);
        if leaves_out_sidecars {
            // Nothing is released until `init rollout` writes that down.
            problems.retain(|problem| problem.code != Code::NoLedger);
        }
        let is_sound = !problems.iter().any(Diagnostic::is_error);
        diagnostics.extend(problems);
        if let Some(before) = before.filter(|_| is_sound) {
            diagnostics.extend(missing_workloads(
                &view,
                &TreeFiles::from_commit(sources),
                Some(&before.ledger_history()),
            ));
            if may_change {
                diagnostics.extend(template_changes_since(before, &view));
            }
            diagnostics.extend(joint_changes_since(before, &view));
        }
        folder.render(&view, &mut diagnostics)?;
        if is_sound && !view.prepared.renderer.overrides.is_empty() {
            views.push(view);
        }
    }
    diagnostics.extend(unreached_in_clusters(&views.iter().collect::<Vec<_>>()));
    Ok(diagnostics)
}

/// Refuses a commit that is not on the source branch.
fn require_on_source(options: &BranchRender<'_>) -> Result<(), Error> {
    let BranchRender { repository, source, branches, is_pushed: pushes, .. } = options;
    let place = if *pushes { branches.tracking_ref() } else { branches.deploy_ref() };
    let Some(branch) = SourceBranch::find(repository, branches, &place) else { return Ok(()) };
    if branch.contains(source.id)? {
        return Ok(());
    }
    Err(Error::NotOnSource {
        commit: source.id,
        branch: branches.deploy.clone(),
        source_branch: branch.display_name(),
        name: branches.source.clone().unwrap_or_default(),
    })
}

/// What a render is based on.
#[derive(Default)]
struct RenderBase<'r> {
    /// The deploy branch; None: nothing that was rendered from a trusted commit.
    deploy_branch: Option<DeployBranch<'r>>,
    /// The newest render is not trusted, and a person continues anyway.
    is_source_refused: bool,
}

/// Reads the deploy branch, and refuses to render over an edited or a newer one.
fn read_base<'r>(
    options: &BranchRender<'r>,
    (place, head): &(String, Commit),
) -> Result<(RenderBase<'r>, Vec<Diagnostic>), Error> {
    let BranchRender { repository, source, branches, config, manifests, .. } = options;
    let renders = match RenderHistory::find(repository, branches, config, (place, head.id)) {
        // A branch that was created by hand has never been rendered.
        Err(Error::NoSourceTrailer { .. }) => None,
        found => found?,
    };
    let Some(renders) = renders else { return Ok((RenderBase::default(), Vec::new())) };
    let (rendered_from, is_refused) = match renders.newest_source()? {
        Ok(source) => (Some(source), false),
        Err(_) if options.accepts_untrusted_source => (renders.newest_trusted_source()?, true),
        Err(refused) => return Ok((RenderBase::default(), vec![*refused])),
    };
    let Some(rendered_from) = rendered_from else {
        return Ok((RenderBase { deploy_branch: None, is_source_refused: is_refused }, Vec::new()));
    };
    let at = ((place.clone(), head.id), rendered_from);
    let (branch, mut diagnostics) = DeployBranch::read_from(repository, branches, config, at)?;
    let Some(branch) = branch.map(|branch| branch.with_manifests(manifests)) else {
        return Ok((RenderBase::default(), diagnostics));
    };
    if !repository.is_ancestor(branch.source.id, source.id)? {
        return Err(Error::NewerSource {
            branch: branches.deploy.clone(),
            deploy_branch: branch.source.id,
            commit: source.id,
        });
    }
    for cluster in branch.clusters() {
        let (view, problems) = branch.cluster_view(cluster);
        // Errors of the older sources were reported when they were rendered; they may be fixed now.
        if !problems.iter().any(Diagnostic::is_error) {
            let strays = check_drift(&branch, &view)?;
            diagnostics.extend(strays.into_iter().filter(is_drift));
        }
    }
    Ok((RenderBase { deploy_branch: Some(branch), is_source_refused: is_refused }, diagnostics))
}

/// Returns whether the rendered folder has a file that render does not make.
fn is_drift(diagnostic: &Diagnostic) -> bool {
    matches!(diagnostic.code, Code::DeployBranchNotRendered | Code::UnmanagedManifest)
}

/// The rendered files of a tree, and their new state: as `render --out` keeps a folder.
struct RenderedTree<'r> {
    configuration: Configuration,
    files: CommitListing<'r, ObjectId>,
    editor: TreeEditor<'r>,
    /// The files that pillion wrote earlier, relative to the folder.
    listed: BTreeSet<String>,
    /// The files that pillion writes now.
    written: BTreeSet<String>,
    /// The input of each file.
    inputs: BTreeMap<String, Arc<str>>,
}

impl<'r> RenderedTree<'r> {
    fn open(
        repository: &'r Repository,
        configuration: &Configuration,
        tree: Option<ObjectId>,
    ) -> Result<Self, Error> {
        let present = match tree {
            Some(tree) => list_tree(repository, tree)?,
            None => CommitListing::new([], |_: &ObjectId| Ok(Vec::new())),
        };
        if configuration.layout.rendered.is_none() {
            return Err(Error::NoRenderedFolder);
        }
        Ok(Self {
            configuration: configuration.clone(),
            listed: configuration.listed_files(&present),
            editor: repository.editor(tree)?,
            files: present,
            written: BTreeSet::new(),
            inputs: BTreeMap::new(),
        })
    }

    fn render(&mut self, view: &ClusterView, diagnostics: &mut Vec<Diagnostic>) -> Result<(), Error> {
        let mut failure = None;
        view.render_all(&view.prepared.renderer, |input, text, rendered| {
            let text = rendered.text(text);
            diagnostics.extend(rendered.diagnostics);
            let place = self.configuration.rendered_path(view.cluster.as_deref(), input);
            let Some(place) = place.filter(|_| !rendered.is_dropped) else { return };
            match self.put_file(&to_slash(&input.output_path), &place, &input.name, &text) {
                Ok(problems) => diagnostics.extend(problems),
                Err(problems) => failure = Some(problems),
            }
        });
        failure.map_or(Ok(()), Err)
    }

    fn put_file(
        &mut self,
        name: &str,
        place: &str,
        input: &Arc<str>,
        text: &str,
    ) -> Result<Option<Diagnostic>, Error> {
        if let Some(first) = self.inputs.insert(name.to_owned(), Arc::clone(input)) {
            return Ok(Some(output_collision(place, &first, input)));
        }
        if !self.listed.contains(name)
            && let Some(present) = self.files.file_id(Path::new(place))
        {
            // A file that happens to be right is still not pillion's.
            let is_right = *present == ObjectId::hash_blob(text.as_bytes())?;
            return Ok((!is_right).then(|| unmanaged_file(place)));
        }
        self.written.insert(name.to_owned());
        self.editor.put(place, text.as_bytes())?;
        Ok(None)
    }

    fn finish(mut self) -> Result<(ObjectId, TreeEditor<'r>), Error> {
        for name in self.listed.difference(&self.written) {
            if let Some(place) = self.configuration.path_in_rendered(Path::new(name)) {
                self.editor.remove(&place)?;
            }
        }
        if let (Some(list), true) = (self.configuration.file_list_path(), self.written != self.listed) {
            self.editor.put(&list, file_list::emit(&self.written).as_bytes())?;
        }
        Ok((self.editor.write()?, self.editor))
    }
}

fn unmanaged_file(place: &str) -> Diagnostic {
    let message = format!("`{place}` exists and was not written by pillion");
    Diagnostic::error(Code::UnmanagedFile, message).at(Span::whole_file(place.to_owned())).help(format!(
        "remove it from the deploy branch; `{}` there lists the files that pillion wrote",
        file_list::FILE_NAME
    ))
}

/// Reports two inputs with the same rendered file.
pub(super) fn output_collision(place: &str, first: &Arc<str>, second: &Arc<str>) -> Diagnostic {
    let message = format!("`{first}` and `{second}` would both be written to `{place}`");
    Diagnostic::error(Code::OutputCollision, message)
        .at(Span::whole_file(Arc::clone(second)))
        .at(Span::whole_file(Arc::clone(first)))
        .help("name one folder that contains both in `sources` of pillion.yaml")
}
