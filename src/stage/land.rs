//! Two branches: what the live branch holds when it is rendered from another commit of the sources.

use super::{
    Branches, Configuration, Failure, Live, Manifests, Renders, Site, SourceBranch, Sources, Tree,
    check_own_render, configuration_of, listing, message, missing,
};
use crate::diag::{Code, Diagnostic, Label};
use crate::git::{Commit, Id, NewCommit, Repository, Signature, Signing, TreeEditor};
use crate::model::file_list::{self, slashes};
use crate::read::{Files as _, Listing};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

/// Where a render lands.
pub struct Landing<'r> {
    /// The repository.
    pub repository: &'r Repository,
    /// The ref that was read and its head; None: the branch is not there yet.
    pub head: Option<(String, Commit)>,
    /// The commit that is rendered.
    pub source: Commit,
    /// Names, and who commits.
    pub branches: Branches,
    /// Where pillion.yaml is in the tree of the sources.
    pub config: &'r Path,
    /// The commit is to be pushed: what it is rendered from has to be on the remote.
    pub pushes: bool,
    /// A person says that the render goes on although the newest one before is not to be believed.
    pub accepts_source: bool,
    /// Manifests that are no plain files.
    pub manifests: &'r Manifests,
}

/// What came of a render.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Landed {
    /// The commit; None where the live head is as it should be.
    pub commit: Option<Id>,
    /// Rendered files.
    pub files: usize,
}

/// Renders a commit of the sources with the ledgers of the head that it lands on, and makes the commit. No ref is
/// moved, and with an error there is no commit.
///
/// # Errors
/// When the head was rendered from a commit that is no ancestor, a file cannot be written, or git fails.
pub fn land(
    landing: &Landing<'_>,
    signing: &Signing<'_>,
) -> Result<(Option<Landed>, Vec<Diagnostic>), Failure> {
    let Landing { repository, head, source, branches, config, manifests, .. } = landing;
    on_source(landing)?;
    let mut diagnostics = Vec::new();
    let Before { live: before, is_refused } = match head {
        Some(head) => {
            let (before, wrong) = before(landing, head)?;
            diagnostics.extend(wrong);
            before
        }
        None => Before::default(),
    };
    let (configuration, wrong) = configuration_of(repository, source.id, config)?;
    diagnostics.extend(wrong);
    let Some(mut configuration) = configuration else { return Ok((None, diagnostics)) };
    if head.is_none() {
        // `init rollout` makes ledgers of what is live, so that has to come first.
        configuration.repository.rollout.get_or_insert_default().require_ledger = Some(false);
    }
    if diagnostics.iter().any(Diagnostic::is_error) {
        return Ok((None, diagnostics));
    }
    let tree = head.as_ref().map(|(_, head)| head.tree);
    let mut folder = Folder::open(repository, &configuration, tree)?;
    let sources = listing(repository, source.tree)?;
    let clusters = &configuration.layout.clusters;
    let names: Vec<Option<&str>> =
        if clusters.is_empty() { vec![None] } else { clusters.iter().map(|c| Some(&*c.name)).collect() };
    for cluster in names {
        let built = match manifests.of_tree(repository, source.tree, &configuration, cluster) {
            Ok(built) => built,
            Err(failed) => {
                diagnostics.push(*failed);
                continue;
            }
        };
        let built = built.as_ref().map(|(name, text)| (&**name, &**text));
        let from = Sources { files: &sources, ledgers: &folder.present, built, cluster };
        let (site, wrong) = Site::load(&configuration, &from);
        let is_sound = !wrong.iter().any(Diagnostic::is_error);
        diagnostics.extend(wrong);
        if let Some(before) = before.as_ref().filter(|_| is_sound) {
            diagnostics.extend(missing(&site, &Tree::of_commit(&sources), Some(&before.past())));
        }
        folder.render(&site, &mut diagnostics)?;
    }
    if diagnostics.iter().any(Diagnostic::is_error) {
        return Ok((None, diagnostics));
    }
    let files = folder.made.len();
    let (after, mut editor) = folder.finish()?;
    let is_new = Some(after) != tree
        || is_refused
        || before.as_ref().is_none_or(|b| b.has_new_sources(source.id, &sources));
    if !is_new {
        return Ok((Some(Landed { commit: None, files }), diagnostics));
    }
    let parents: Vec<Id> = head.iter().map(|(_, head)| head.id).collect();
    let who = Signature::new(&branches.identity, source.time);
    let message = message::render(source);
    let new = NewCommit { tree: after, parents: &parents, message: &message, author: who, committer: who };
    let commit = Some(editor.commit(&new, signing)?);
    editor.finish()?;
    Ok((Some(Landed { commit, files }), diagnostics))
}

/// Refuses what is not on the branch of the sources.
fn on_source(landing: &Landing<'_>) -> Result<(), Failure> {
    let Landing { repository, source, branches, pushes, .. } = landing;
    let place = if *pushes { branches.tracking() } else { branches.local() };
    let Some(branch) = SourceBranch::of(repository, branches, &place) else { return Ok(()) };
    if branch.holds(source.id)? {
        return Ok(());
    }
    Err(Failure::NotOnSource {
        commit: source.id,
        branch: branches.live.clone(),
        source_branch: branch.title(),
        name: branches.source.clone().unwrap_or_default(),
    })
}

/// What a render lands on.
#[derive(Default)]
struct Before<'r> {
    /// What is live; None: nothing that was rendered from a commit that can be believed.
    live: Option<Live<'r>>,
    /// The newest render is not to be believed, and a person goes on all the same.
    is_refused: bool,
}

/// Reads what is live so far, and refuses to land on what somebody has edited, or on what is newer.
fn before<'r>(
    landing: &Landing<'r>,
    (place, head): &(String, Commit),
) -> Result<(Before<'r>, Vec<Diagnostic>), Failure> {
    let Landing { repository, source, branches, config, manifests, .. } = landing;
    let renders = match Renders::of(repository, branches, config, (place, head.id)) {
        // A branch that was made by hand has never been rendered.
        Err(Failure::NoSource { .. }) => None,
        found => found?,
    };
    let Some(renders) = renders else { return Ok((Before::default(), Vec::new())) };
    let (rendered_from, is_refused) = match renders.newest()? {
        Ok(source) => (Some(source), false),
        Err(_) if landing.accepts_source => (renders.newest_sound()?, true),
        Err(refused) => return Ok((Before::default(), vec![*refused])),
    };
    let Some(rendered_from) = rendered_from else {
        return Ok((Before { live: None, is_refused }, Vec::new()));
    };
    let at = ((place.clone(), head.id), rendered_from);
    let (live, mut diagnostics) = Live::read_from(repository, branches, config, at)?;
    let Some(live) = live.map(|live| live.with_manifests(manifests)) else {
        return Ok((Before::default(), diagnostics));
    };
    if !repository.is_ancestor(live.source.id, source.id)? {
        return Err(Failure::NewerSource {
            branch: branches.live.clone(),
            live: live.source.id,
            commit: source.id,
        });
    }
    for cluster in live.clusters() {
        let (site, wrong) = live.site(cluster);
        // What is wrong with the older sources was said when they were rendered; it need not be so any more.
        if !wrong.iter().any(Diagnostic::is_error) {
            let strays = check_own_render(&live, &site)?;
            diagnostics.extend(strays.into_iter().filter(is_stray));
        }
    }
    Ok((Before { live: Some(live), is_refused }, diagnostics))
}

/// Returns whether something lies in the rendered folder that render does not make.
fn is_stray(wrong: &Diagnostic) -> bool {
    matches!(wrong.code, Code::LiveNotRendered | Code::ManifestNotMade)
}

/// The rendered files of a tree, and the new state they are to have: as `render --out` keeps a folder.
struct Folder<'r> {
    configuration: Configuration,
    present: Listing<'r, Id>,
    editor: TreeEditor<'r>,
    /// What pillion wrote earlier, relative to the folder.
    known: BTreeSet<String>,
    /// What there will be of pillion's.
    made: BTreeSet<String>,
    /// The input that each file is made from.
    inputs: BTreeMap<String, Arc<str>>,
}

impl<'r> Folder<'r> {
    fn open(
        repository: &'r Repository,
        configuration: &Configuration,
        tree: Option<Id>,
    ) -> Result<Self, Failure> {
        let present = match tree {
            Some(tree) => listing(repository, tree)?,
            None => Listing::new([], |_: &Id| Ok(Vec::new())),
        };
        let list = configuration.list_place().ok_or(Failure::NothingRendered)?;
        let text = present.text(Path::new(&list), &list.as_str().into()).unwrap_or_default();
        Ok(Self {
            configuration: configuration.clone(),
            known: file_list::parse(&text),
            editor: repository.editor(tree)?,
            present,
            made: BTreeSet::new(),
            inputs: BTreeMap::new(),
        })
    }

    fn render(&mut self, site: &Site, diagnostics: &mut Vec<Diagnostic>) -> Result<(), Failure> {
        let mut failure = None;
        site.render(&site.prepared.renderer, |input, text, rendered| {
            diagnostics.extend(rendered.diagnostics);
            let place = self.configuration.rendered_place(site.cluster.as_deref(), input);
            let Some(place) = place.filter(|_| !rendered.is_dropped) else { return };
            let text = rendered.new.as_deref().unwrap_or(text);
            match self.put(&slashes(&input.relative), &place, &input.name, text) {
                Ok(wrong) => diagnostics.extend(wrong),
                Err(wrong) => failure = Some(wrong),
            }
        });
        failure.map_or(Ok(()), Err)
    }

    fn put(
        &mut self,
        name: &str,
        place: &str,
        input: &Arc<str>,
        text: &str,
    ) -> Result<Option<Diagnostic>, Failure> {
        if let Some(first) = self.inputs.insert(name.to_owned(), Arc::clone(input)) {
            return Ok(Some(collision(place, &first, input)));
        }
        if !self.known.contains(name)
            && let Some(present) = self.present.file(Path::new(place))
        {
            // A file that happens to be right stays somebody else's.
            let is_right = *present == Id::of_blob(text.as_bytes())?;
            return Ok((!is_right).then(|| not_ours(place)));
        }
        self.made.insert(name.to_owned());
        self.editor.put(place, text.as_bytes())?;
        Ok(None)
    }

    fn finish(mut self) -> Result<(Id, TreeEditor<'r>), Failure> {
        for name in self.known.difference(&self.made) {
            if let Some(place) = self.configuration.in_rendered(Path::new(name)) {
                self.editor.remove(&place)?;
            }
        }
        if let (Some(list), true) = (self.configuration.list_place(), self.made != self.known) {
            self.editor.put(&list, file_list::emit(&self.made).as_bytes())?;
        }
        Ok((self.editor.write()?, self.editor))
    }
}

fn not_ours(place: &str) -> Diagnostic {
    let message = format!("`{place}` is in the way: pillion did not write it");
    Diagnostic::error(Code::FileNotOurs, message)
        .at(Label::whole_file(place.to_owned()))
        .help(format!("remove it from the live branch; `{}` there lists what pillion wrote", file_list::NAME))
}

fn collision(place: &str, first: &Arc<str>, second: &Arc<str>) -> Diagnostic {
    let message = format!("`{first}` and `{second}` would both be written to `{place}`");
    Diagnostic::error(Code::OutputCollision, message)
        .at(Label::whole_file(Arc::clone(second)))
        .at(Label::whole_file(Arc::clone(first)))
        .help("name one folder that holds both in `sources` of pillion.yaml")
}
