//! The head of the deploy branch, and the sources that it was rendered from.

use super::branches::short_ref_name;
use super::{BranchConfig, ClusterView, Error, RenderHistory, SourceBranch};
use crate::diagnostics::Diagnostic;
use crate::git::{Commit, ObjectId, Repository};
use crate::read::{CommitListing, FileSource, list_tree};
use crate::workspace::{ClusterSources, Configuration, ManifestSource};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The deploy branch, without a checkout.
pub struct DeployBranch<'r> {
    /// Where it is read from.
    pub(crate) repository: &'r Repository,
    /// Names of branches, and the identity of commits: those of pillion.yaml in the source commit, except for the
    /// deploy branch.
    pub branches: BranchConfig,
    /// The ref that was read: the tracking ref, or the local branch.
    pub(crate) reference: String,
    /// The path of pillion.yaml in the sources.
    pub(crate) config: PathBuf,
    /// The head of the deploy branch.
    pub head: Commit,
    /// The commit of sources, SidecarSets and pillion.yaml: the head itself, unless sources have a branch of their
    /// own.
    pub(crate) source: Commit,
    /// pillion.yaml.
    pub(crate) configuration: Configuration,
    /// Manifests that are not plain files.
    pub(crate) manifests: ManifestSource,
    source_files: CommitListing<'r, ObjectId>,
    /// The files of the head, where the sources are in another commit.
    rendered_files: Option<CommitListing<'r, ObjectId>>,
}

impl<'r> DeployBranch<'r> {
    /// Reads the deploy branch. `branches` names it, `config` is the path of pillion.yaml in the sources. With an
    /// error in pillion.yaml there are only diagnostics.
    ///
    /// # Errors
    /// When there is no such branch, no source commit or no pillion.yaml in it, or git fails.
    pub(crate) fn read(
        repository: &'r Repository,
        branches: &BranchConfig,
        config: &Path,
    ) -> Result<(Option<Self>, Vec<Diagnostic>), Error> {
        let (place, head) =
            branches.find_deploy_branch(repository).ok_or_else(|| no_deploy_branch(branches))?;
        Self::read_at(repository, branches, config, (place, head))
    }

    /// Reads the deploy branch as if it were at a commit. Nothing is read from an untrusted source commit: there are
    /// only diagnostics.
    ///
    /// # Errors
    /// As [`DeployBranch::read`].
    pub fn read_at(
        repository: &'r Repository,
        branches: &BranchConfig,
        config: &Path,
        (place, head): (String, ObjectId),
    ) -> Result<(Option<Self>, Vec<Diagnostic>), Error> {
        let source = match RenderHistory::find(repository, branches, config, (&place, head))? {
            None => head,
            Some(renders) => match renders.newest_source()? {
                Ok(source) => source,
                Err(refused) => return Ok((None, vec![*refused])),
            },
        };
        Self::read_from(repository, branches, config, ((place, head), source))
    }

    /// As [`DeployBranch::read_at`], with a source commit that the caller has checked.
    pub(super) fn read_from(
        repository: &'r Repository,
        branches: &BranchConfig,
        config: &Path,
        ((place, head), source): ((String, ObjectId), ObjectId),
    ) -> Result<(Option<Self>, Vec<Diagnostic>), Error> {
        let head = repository.commit(head)?;
        let source = if source == head.id { head.clone() } else { repository.commit(source)? };
        let sources = list_tree(repository, source.tree)?;
        let rendered = match source.tree == head.tree {
            true => None,
            false => Some(list_tree(repository, head.tree)?),
        };
        let (configuration, diagnostics) = configuration_in(&sources, source.id, config)?;
        let Some(configuration) = configuration else { return Ok((None, diagnostics)) };
        let committed = BranchConfig::from_repository(&configuration.repository)?;
        // The branch is known already; the form of commits follows from the committed settings, so that they are the
        // same everywhere.
        let branches = BranchConfig {
            staged_pattern: committed.staged_pattern,
            identity: committed.identity,
            ..branches.clone()
        };
        let (config, manifests) = (config.to_owned(), ManifestSource::default());
        let deploy_branch = Self {
            repository,
            branches,
            reference: place,
            config,
            head,
            source,
            configuration,
            manifests,
            source_files: sources,
            rendered_files: rendered,
        };
        Ok((Some(deploy_branch), diagnostics))
    }

    /// Two branches: returns the head of the source branch, where its manifests, SidecarSets or pillion.yaml differ
    /// from the commit that the head of the deploy branch was rendered from.
    ///
    /// # Errors
    /// When git fails.
    pub(crate) fn find_newer_source(&self) -> Result<Option<ObjectId>, Error> {
        let source = SourceBranch::find(self.repository, &self.branches, &self.reference);
        let Some(head) = source.and_then(|source| source.head()) else { return Ok(None) };
        let head = self.repository.commit(head)?;
        let is_behind = self.repository.is_ancestor(self.source.id, head.id)?
            && self.has_new_sources(head.id, &list_tree(self.repository, head.tree)?);
        Ok(is_behind.then_some(head.id))
    }

    /// Returns whether a commit has other sources, SidecarSets or pillion.yaml than the last one.
    pub(super) fn has_new_sources(&self, commit: ObjectId, sources: &CommitListing<'_, ObjectId>) -> bool {
        self.source.id != commit && {
            let layout = &self.configuration.layout;
            let mut roots = layout.source_paths();
            roots.extend(layout.paths_in_root(&layout.sidecar_sets));
            roots.push(self.config.clone());
            roots.iter().any(|root| {
                self.source_files().entries_at_or_below(root) != sources.entries_at_or_below(root)
            })
        }
    }

    /// Returns what was read, as people name it: `HEAD`, `origin/main`.
    pub(crate) fn place(&self) -> &str {
        short_ref_name(&self.reference)
    }

    /// Returns the files of the source commit.
    pub(crate) fn source_files(&self) -> &CommitListing<'r, ObjectId> {
        &self.source_files
    }

    /// Returns the files of the head of the deploy branch: rendered files and ledgers.
    pub(crate) fn rendered_files(&self) -> &CommitListing<'r, ObjectId> {
        self.rendered_files.as_ref().unwrap_or(&self.source_files)
    }

    /// Returns the files that pillion has rendered so far.
    pub(super) fn listed_files(&self) -> BTreeSet<String> {
        self.configuration.listed_files(self.rendered_files())
    }

    /// Returns the clusters, in the order of pillion.yaml; without clusters, one without a name.
    pub(crate) fn clusters(&self) -> Vec<Option<&str>> {
        self.configuration.layout.cluster_names()
    }

    /// Returns the cluster of a rollout commit on the deploy branch: the one with the ledger that it changes.
    ///
    /// # Errors
    /// When git fails.
    pub(crate) fn cluster_of(&self, commit: &Commit) -> Result<Option<String>, Error> {
        let Some(&parent) = commit.parents.first() else { return Ok(None) };
        let before = self.repository.commit(parent)?.tree;
        let (ledgers, _) = self.configuration.layout.find_ledgers(self.rendered_files());
        let mut found = None;
        for ledger in ledgers.into_iter().filter(|ledger| ledger.cluster.is_some()) {
            let id = |tree| self.repository.entry_at(tree, &ledger.input.name).map(|e| e.map(|e| e.id));
            if found != ledger.cluster && id(before)? != id(commit.tree)? {
                // A commit that changes ledgers of several clusters belongs to none.
                if found.is_some() {
                    return Ok(None);
                }
                found = ledger.cluster;
            }
        }
        Ok(found.map(|cluster| cluster.to_string()))
    }

    /// Returns it with manifests that are not plain files.
    #[must_use]
    pub fn with_manifests(self, manifests: &ManifestSource) -> Self {
        Self { manifests: manifests.clone(), ..self }
    }

    /// Reads one cluster as [`Self::cluster_view`], without the check of open rollouts.
    pub(super) fn unchecked_cluster_view(&self, cluster: Option<&str>) -> (ClusterView, Vec<Diagnostic>) {
        let tree = self.source.tree;
        let built = self.manifests.for_tree(self.repository, tree, &self.configuration, cluster);
        let (built, failed) = match built {
            Ok(built) => (built, None),
            // Without manifests the view has only diagnostics.
            Err(failed) => (Some(("".into(), "".into())), Some(*failed)),
        };
        let built = built.as_ref().map(|(name, text)| (&**name, &**text));
        let (files, ledgers): (&dyn FileSource, &dyn FileSource) =
            (&self.source_files, self.rendered_files());
        let (view, mut diagnostics) =
            ClusterView::load(&self.configuration, &ClusterSources { files, ledgers, built, cluster });
        diagnostics.extend(failed);
        (view, diagnostics)
    }
}

/// Reads pillion.yaml of a commit, for repositories without a working tree.
///
/// # Errors
/// When the commit has none, or git fails.
pub fn read_configuration(
    repository: &Repository,
    commit: ObjectId,
    config: &Path,
) -> Result<(Option<Configuration>, Vec<Diagnostic>), Error> {
    let tree = repository.commit(commit)?.tree;
    configuration_in(&list_tree(repository, tree)?, commit, config)
}

fn configuration_in(
    files: &CommitListing<'_, ObjectId>,
    commit: ObjectId,
    config: &Path,
) -> Result<(Option<Configuration>, Vec<Diagnostic>), Error> {
    if files.kind(config).is_none() {
        return Err(Error::NoConfiguration { commit, path: config.display().to_string() });
    }
    Ok(Configuration::read(files, config))
}

/// Reports that the deploy branch is missing, and how to create it.
pub fn no_deploy_branch(branches: &BranchConfig) -> Error {
    let branch = branches.deploy.clone();
    let more = match branches.source {
        Some(_) => {
            format!(", `pillion render --branch {branch} --create` creates it, with every sidecar at once")
        }
        None => String::new(),
    };
    Error::NoDeployBranch { tracking: branches.tracking_ref(), local: branches.deploy_ref(), branch, more }
}
