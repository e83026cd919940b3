//! What is live: the head of the branch that the cluster follows, and the sources that it was rendered from.

use super::{
    Branches, Configuration, Failure, Manifests, Past, Renders, Site, SourceBranch, Sources, Tree, missing,
};
use crate::diag::{Code, Diagnostic};
use crate::git::{Commit, Id, Kind, Repository};
use crate::read::{Files, Listed, Listing};
use std::io;
use std::path::{Path, PathBuf};

/// What is live, without a checkout.
pub struct Live<'r> {
    /// Where it is read from.
    pub repository: &'r Repository,
    /// Names, and who commits: those of pillion.yaml in the source commit, but for the live branch itself.
    pub branches: Branches,
    /// The ref that was read: the remote's branch as it was fetched, or the local one.
    pub place: String,
    /// Where pillion.yaml is in the tree of the sources.
    pub config: PathBuf,
    /// The head of the live branch.
    pub head: Commit,
    /// The commit of sources, SidecarSets and pillion.yaml: the head itself, unless sources have their own branch.
    pub source: Commit,
    /// pillion.yaml.
    pub configuration: Configuration,
    /// Manifests that are no plain files.
    pub manifests: Manifests,
    sources: Listing<'r, Id>,
    /// The files of the head, where those of the sources are others.
    rendered: Option<Listing<'r, Id>>,
}

impl<'r> Live<'r> {
    /// Reads what is live. `branches` say which branch that is, `config` where pillion.yaml is in the tree of the
    /// sources. With an error in pillion.yaml there is nothing but diagnostics.
    ///
    /// # Errors
    /// When there is no such branch, no source commit or no pillion.yaml in it, or git fails.
    pub fn read(
        repository: &'r Repository,
        branches: &Branches,
        config: &Path,
    ) -> Result<(Option<Self>, Vec<Diagnostic>), Failure> {
        let (place, head) = branches.find_live(repository).ok_or_else(|| no_live_branch(branches))?;
        Self::read_at(repository, branches, config, (place, head))
    }

    /// Reads what is live if the live branch, whose ref is known, were at a commit. Of a commit of the sources that is
    /// not to be believed nothing is read: there is nothing but diagnostics.
    ///
    /// # Errors
    /// As [`Live::read`].
    pub fn read_at(
        repository: &'r Repository,
        branches: &Branches,
        config: &Path,
        (place, head): (String, Id),
    ) -> Result<(Option<Self>, Vec<Diagnostic>), Failure> {
        let source = match Renders::of(repository, branches, config, (&place, head))? {
            None => head,
            Some(renders) => match renders.newest()? {
                Ok(source) => source,
                Err(refused) => return Ok((None, vec![*refused])),
            },
        };
        Self::read_from(repository, branches, config, ((place, head), source))
    }

    /// The same for a commit of the sources that the caller has judged.
    pub(super) fn read_from(
        repository: &'r Repository,
        branches: &Branches,
        config: &Path,
        ((place, head), source): ((String, Id), Id),
    ) -> Result<(Option<Self>, Vec<Diagnostic>), Failure> {
        let head = repository.commit(head)?;
        let source = if source == head.id { head.clone() } else { repository.commit(source)? };
        let sources = listing(repository, source.tree)?;
        let rendered = match source.tree == head.tree {
            true => None,
            false => Some(listing(repository, head.tree)?),
        };
        let (configuration, diagnostics) = configuration(&sources, source.id, config)?;
        let Some(configuration) = configuration else { return Ok((None, diagnostics)) };
        let committed = Branches::of(&configuration.repository)?;
        // Which branch is read is known already; how commits look follows from what is committed, so that they
        // look alike everywhere.
        let branches =
            Branches { pattern: committed.pattern, identity: committed.identity, ..branches.clone() };
        let (config, manifests) = (config.to_owned(), Manifests::default());
        let live = Self {
            repository,
            branches,
            place,
            config,
            head,
            source,
            configuration,
            manifests,
            sources,
            rendered,
        };
        Ok((Some(live), diagnostics))
    }

    /// Two branches: returns the head of the branch of the sources, where manifests, SidecarSets or pillion.yaml there
    /// are others than in the commit that the live head was rendered from.
    ///
    /// # Errors
    /// When git fails.
    pub fn newer_source(&self) -> Result<Option<Id>, Failure> {
        let source = SourceBranch::of(self.repository, &self.branches, &self.place);
        let Some(head) = source.and_then(|source| source.head()) else { return Ok(None) };
        let head = self.repository.commit(head)?;
        let is_behind = self.repository.is_ancestor(self.source.id, head.id)?
            && self.has_new_sources(head.id, &listing(self.repository, head.tree)?);
        Ok(is_behind.then_some(head.id))
    }

    /// Tells whether a commit has other sources, SidecarSets or pillion.yaml than the one that is named last.
    pub(super) fn has_new_sources(&self, commit: Id, sources: &Listing<'_, Id>) -> bool {
        self.source.id != commit && {
            let layout = &self.configuration.layout;
            let mut roots = layout.sources();
            roots.extend(layout.in_root(&layout.sidecar_sets));
            roots.push(layout.root.join("pillion.yaml"));
            roots.iter().any(|root| self.sources().below_or_at(root) != sources.below_or_at(root))
        }
    }

    /// Returns the files of the source commit.
    pub fn sources(&self) -> &Listing<'r, Id> {
        &self.sources
    }

    /// Returns the files of the live head: rendered files and ledgers.
    pub fn rendered(&self) -> &Listing<'r, Id> {
        self.rendered.as_ref().unwrap_or(&self.sources)
    }

    /// Returns the clusters, in the order of pillion.yaml; without any, one that has no name.
    pub fn clusters(&self) -> Vec<Option<&str>> {
        let clusters = &self.configuration.layout.clusters;
        if clusters.is_empty() { vec![None] } else { clusters.iter().map(|c| Some(&*c.name)).collect() }
    }

    /// Returns the cluster of a live commit of a rollout: the one whose ledger it changes.
    ///
    /// # Errors
    /// When git fails.
    pub fn cluster_of(&self, commit: &Commit) -> Result<Option<String>, Failure> {
        let Some(&parent) = commit.parents.first() else { return Ok(None) };
        let before = self.repository.commit(parent)?.tree;
        let (ledgers, _) = self.configuration.layout.ledgers(self.rendered());
        let mut found = None;
        for ledger in ledgers.into_iter().filter(|ledger| ledger.cluster.is_some()) {
            let id = |tree| self.repository.entry_at(tree, &ledger.input.name).map(|e| e.map(|e| e.id));
            if found != ledger.cluster && id(before)? != id(commit.tree)? {
                // What changes ledgers of several is of none of them.
                if found.is_some() {
                    return Ok(None);
                }
                found = ledger.cluster;
            }
        }
        Ok(found.map(|cluster| cluster.to_string()))
    }

    /// Returns it with manifests that are no plain files.
    #[must_use]
    pub fn with_manifests(self, manifests: &Manifests) -> Self {
        Self { manifests: manifests.clone(), ..self }
    }

    /// Reads everything of one cluster: manifests and SidecarSets of the source commit, ledgers of the head. Where a
    /// command builds the manifests, it is run; and the workloads of open rollouts must still be there.
    pub fn site(&self, cluster: Option<&str>) -> (Site, Vec<Diagnostic>) {
        let (site, mut wrong) = self.unjudged_site(cluster);
        // What is wrong with the manifests themselves comes first; that a ledger is missing is another matter.
        if !wrong.iter().any(|d| d.is_error() && d.code != Code::NoLedger) {
            wrong.extend(missing(&site, &Tree::of_commit(&self.sources), Some(&self.past())));
        }
        (site, wrong)
    }

    /// Returns where earlier states of rollouts are found.
    pub fn past(&self) -> Past<'_> {
        let Self { repository, branches, config, head, manifests, .. } = self;
        Past { repository, branches, config, head: head.id, manifests }
    }

    /// The same, whatever has become of the workloads of open rollouts.
    pub(super) fn unjudged_site(&self, cluster: Option<&str>) -> (Site, Vec<Diagnostic>) {
        let tree = self.source.tree;
        let (built, failed) =
            match self.manifests.of_tree(self.repository, tree, &self.configuration, cluster) {
                Ok(built) => (built, None),
                // Without manifests the site says nothing but what is wrong.
                Err(failed) => (Some(("".into(), "".into())), Some(*failed)),
            };
        let built = built.as_ref().map(|(name, text)| (&**name, &**text));
        let (files, ledgers): (&dyn Files, &dyn Files) = (&self.sources, self.rendered());
        let (site, mut wrong) = Site::load(&self.configuration, &Sources { files, ledgers, built, cluster });
        wrong.extend(failed);
        (site, wrong)
    }
}

/// Reads pillion.yaml of a commit, for repositories without a working tree.
///
/// # Errors
/// When the commit has none, or git fails.
pub fn configuration_of(
    repository: &Repository,
    commit: Id,
    config: &Path,
) -> Result<(Option<Configuration>, Vec<Diagnostic>), Failure> {
    let tree = repository.commit(commit)?.tree;
    configuration(&listing(repository, tree)?, commit, config)
}

fn configuration(
    files: &Listing<'_, Id>,
    commit: Id,
    config: &Path,
) -> Result<(Option<Configuration>, Vec<Diagnostic>), Failure> {
    if files.kind(config).is_none() {
        return Err(Failure::NoConfiguration { commit, path: config.display().to_string() });
    }
    Ok(Configuration::read(files, config))
}

/// Lists the files of a tree; their bytes are read when somebody asks, on any thread.
///
/// # Errors
/// When git fails.
pub fn listing(repository: &Repository, tree: Id) -> Result<Listing<'_, Id>, Failure> {
    let mut entries = Vec::new();
    for entry in repository.files(tree, &[""])? {
        let listed = match entry.kind {
            Kind::File | Kind::Executable => Listed::File(entry.id),
            Kind::Link => Listed::Link(String::from_utf8_lossy(&repository.read(entry.id)?).into_owned()),
            Kind::Gitlink => Listed::Submodule,
            Kind::Folder => continue,
        };
        entries.push((PathBuf::from(entry.path), listed));
    }
    let reader = repository.reader()?;
    Ok(Listing::new(entries, move |id: &Id| reader.read(*id).map_err(io::Error::other)))
}

/// Says that there is no live branch, and how it comes to be.
pub fn no_live_branch(branches: &Branches) -> Failure {
    let branch = branches.live.clone();
    let more = match branches.source {
        Some(_) => format!(
            ", `pillion render --branch {branch} --create` makes the first commit of it, with every sidecar at once"
        ),
        None => String::new(),
    };
    Failure::NoLiveBranch { tracking: branches.tracking(), local: branches.local(), branch, more }
}
