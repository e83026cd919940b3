//! Chooses what pillion.yaml names as sources: plain manifests where there are any, else what kustomizations or charts
//! build. A workload that is in several places, such as a base and its released copy, is taken from one of them.

use super::built_clusters::BuiltCluster;
use super::{
    RepositorySurvey, SurveyedApplication, SurveyedWorkload, has_path_below, is_side_folder, shown_path,
};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Bound;
use std::path::{Path, PathBuf};

/// The chosen sources, and what was left out.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SourceChoice {
    /// The sources.
    pub(crate) plan: SourcePlan,
    /// Folders that were left out, with the reason.
    pub(crate) left_out: Vec<(PathBuf, String)>,
    /// The files and folders for `sources:`: those of plain manifests, or one folder above all of them.
    pub(crate) paths: Vec<PathBuf>,
    /// What is not a manifest below these: files that cannot be read; and below the one folder, what it has besides.
    pub(crate) ignored: Vec<PathBuf>,
}

/// Where the manifests come from.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum SourcePlan {
    /// Folders and files with plain manifests.
    Plain(Vec<ManifestFolder>),
    /// Builds: one without a name, or one a cluster.
    Built(Vec<BuiltCluster>),
    /// There is no workload.
    Nothing,
}

/// A folder or file with plain manifests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ManifestFolder {
    /// Its path.
    pub(crate) path: PathBuf,
    /// Its workloads.
    pub(crate) workloads: Vec<SurveyedWorkload>,
    /// The namespace of manifests that name none, where an Application says it.
    pub(crate) namespace: Option<String>,
}

/// A path that cannot be a source.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum UnknownSource {
    /// There is no workload below it.
    NoWorkload(PathBuf),
    /// Some sources are plain and others are built.
    Mixed,
}

impl fmt::Display for UnknownSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoWorkload(path) => write!(f, "there is no workload in `{}`", shown_path(path)),
            Self::Mixed => write!(
                f,
                "`--sources` names both plain manifests and folders that need a build: name one kind, or write a `build` command that prints everything"
            ),
        }
    }
}

impl RepositorySurvey {
    /// Chooses sources.
    pub(crate) fn choose_sources(&self) -> SourceChoice {
        let (plain, mut left_out) = self.choose_plain_folders();
        let roots = self.built_roots();
        let is_followed = |path: &Path| self.applications.iter().any(|a| a.path == path);
        let is_built = roots.iter().any(|root| is_followed(root))
            && !plain.iter().any(|folder| self.application_of(&folder.path).is_some());
        let has_rollout = plain.iter().any(|folder| folder.workloads.iter().any(|w| w.is_replaced));
        if has_rollout && !is_built {
            return self.plain_choice(plain, left_out);
        }
        let charts = self.workload_charts();
        let plan = if !roots.is_empty() {
            left_out
                .extend(charts.into_iter().map(|chart| (chart, "the kustomizations are built".to_owned())));
            SourcePlan::Built(self.kustomized_clusters(&roots))
        } else if !charts.is_empty() {
            SourcePlan::Built(vec![self.charted_cluster(charts)])
        } else if !plain.is_empty() {
            return self.plain_choice(plain, left_out);
        } else {
            SourcePlan::Nothing
        };
        SourceChoice { plan, left_out, paths: Vec::new(), ignored: Vec::new() }
    }

    /// Returns the choice of some folders. A rendered file has the path of its source below the folder of `sources:`, so
    /// folders with files of the same name are named by the one above them.
    fn plain_choice(
        &self,
        mut folders: Vec<ManifestFolder>,
        mut left_out: Vec<(PathBuf, String)>,
    ) -> SourceChoice {
        let mut common = None;
        while let Some((first, second)) = self.find_same_output(&folders) {
            let above = common_folder(&folders);
            if !above.as_os_str().is_empty() {
                common = Some(above);
                break;
            }
            let reason = format!("it has files of the same names as `{}`", shown_path(&first));
            folders.retain(|folder| folder.path != second);
            left_out.push((second, reason));
        }
        let paths = match &common {
            Some(folder) => vec![folder.clone()],
            None => folders.iter().map(|folder| folder.path.clone()).collect(),
        };
        let is_below = |path: &PathBuf| paths.iter().any(|folder| path.starts_with(folder));
        let mut ignored: Vec<PathBuf> =
            self.unreadable.keys().filter(|path| is_below(path)).cloned().collect();
        if common.is_some() {
            let folders = self.kustomizations.keys().chain(self.charts.keys());
            ignored.extend(
                folders.chain(left_out.iter().map(|(path, _)| path)).filter(|path| is_below(path)).cloned(),
            );
            ignored.extend(self.sidecar_sets.keys().filter(|path| is_below(path)).cloned());
        }
        ignored.sort();
        ignored.dedup_by(|path, above| path.starts_with(above));
        SourceChoice { plan: SourcePlan::Plain(folders), left_out, paths, ignored }
    }

    /// Returns two folders with files that would be rendered to the same path.
    fn find_same_output(&self, folders: &[ManifestFolder]) -> Option<(PathBuf, PathBuf)> {
        let mut known: BTreeMap<PathBuf, &Path> = BTreeMap::new();
        for folder in folders {
            let below = self.manifest_files.range(folder.path.clone()..);
            for file in below.take_while(|file| file.starts_with(&folder.path)) {
                let inner =
                    file.strip_prefix(&folder.path).ok().filter(|inner| !inner.as_os_str().is_empty());
                let output = inner
                    .map_or_else(|| file.file_name().map(PathBuf::from).unwrap_or_default(), Path::to_owned);
                match known.get(&output) {
                    Some(first) if **first != *folder.path => {
                        return Some(((*first).to_owned(), folder.path.clone()));
                    }
                    _ => drop(known.insert(output, &folder.path)),
                }
            }
        }
        None
    }

    /// Takes the sources that a person names.
    ///
    /// # Errors
    /// The first one that cannot be a source.
    pub(crate) fn use_sources(&self, paths: &[PathBuf]) -> Result<SourceChoice, UnknownSource> {
        let (mut roots, mut charts, mut plain) = (Vec::new(), Vec::new(), Vec::new());
        for path in paths {
            if self.kustomizations.contains_key(path) {
                roots.push(path.as_path());
            } else if self.charts.contains_key(path) {
                charts.push(path.clone());
            } else {
                let folder = self.manifest_folder(path.clone());
                if folder.workloads.is_empty() {
                    return Err(UnknownSource::NoWorkload(path.clone()));
                }
                plain.push(folder);
            }
        }
        let plan = match (plain.is_empty(), roots.is_empty(), charts.is_empty()) {
            (false, true, true) => return Ok(self.plain_choice(plain, Vec::new())),
            (true, false, true) => SourcePlan::Built(self.kustomized_clusters(&roots)),
            (true, true, false) => SourcePlan::Built(vec![self.charted_cluster(charts)]),
            (true, false, false) => {
                let mut cluster = self.charted_cluster(charts);
                cluster.parts.extend(roots.iter().map(|root| self.kustomization_part(root)));
                cluster.workloads =
                    roots.iter().flat_map(|root| self.kustomization_workloads(root)).collect();
                SourcePlan::Built(vec![cluster])
            }
            _ => return Err(UnknownSource::Mixed),
        };
        Ok(SourceChoice { plan, left_out: Vec::new(), paths: Vec::new(), ignored: Vec::new() })
    }

    /// Returns the nearest Application for a folder.
    pub(super) fn application_of(&self, path: &Path) -> Option<&SurveyedApplication> {
        let following = self.applications.iter().filter(|application| application.follows(path));
        following.max_by_key(|application| application.path.components().count())
    }

    fn manifest_folder(&self, path: PathBuf) -> ManifestFolder {
        let workloads = self.workloads.iter().filter(|workload| workload.file.starts_with(&path));
        let application = self.application_of(&path).filter(|a| path.starts_with(&a.path));
        let namespace = application.and_then(|a| a.namespace.clone());
        ManifestFolder { workloads: workloads.cloned().collect(), namespace, path }
    }

    /// Returns folders with plain manifests, without a workload twice, and those that were left out.
    fn choose_plain_folders(&self) -> (Vec<ManifestFolder>, Vec<(PathBuf, String)>) {
        let listed: BTreeSet<&Path> =
            self.kustomizations.values().flat_map(|k| &k.parts).map(PathBuf::as_path).collect();
        let files: BTreeSet<&PathBuf> = self.workloads.iter().map(|workload| &workload.file).collect();
        let (plain, mut others): (Vec<&PathBuf>, BTreeSet<PathBuf>) = (
            files.iter().copied().filter(|file| self.is_plain(file, &listed)).collect(),
            files.iter().filter(|file| !self.is_plain(file, &listed)).map(|file| (**file).clone()).collect(),
        );
        // Where one of these is, a folder does not hold plain manifests only.
        others.extend(
            self.kustomizations.keys().chain(self.charts.keys()).chain(self.sidecar_sets.keys()).cloned(),
        );
        let paths: BTreeSet<PathBuf> = plain.into_iter().map(|file| source_path_of(file, &others)).collect();
        let mut candidates: Vec<ManifestFolder> =
            paths.into_iter().map(|path| self.manifest_folder(path)).collect();
        candidates.sort_by_cached_key(|folder| {
            (
                is_side_folder(&folder.path),
                self.application_of(&folder.path).is_none(),
                std::cmp::Reverse(folder.workloads.len()),
                folder.path.components().count(),
                folder.path.clone(),
            )
        });
        let (mut chosen, mut left_out) = (Vec::<ManifestFolder>::new(), Vec::new());
        let mut taken: BTreeMap<(String, String, String), PathBuf> = BTreeMap::new();
        for folder in candidates {
            if is_side_folder(&folder.path) && chosen.iter().any(|c| !is_side_folder(&c.path)) {
                left_out.push((folder.path, "its name says that it is applied to no cluster".to_owned()));
                continue;
            }
            let keys: Vec<_> = folder.workloads.iter().filter_map(|w| key_in(&folder, w)).collect();
            let known = keys.iter().find_map(|key| Some((key, taken.get(key)?)));
            if let Some(((kind, _, name), other)) = known {
                let reason = format!("{kind} `{name}` is in `{}`, too", shown_path(other));
                left_out.push((folder.path, reason));
                continue;
            }
            taken.extend(keys.into_iter().map(|key| (key, folder.path.clone())));
            chosen.push(folder);
        }
        chosen.sort_by(|a, b| a.path.cmp(&b.path));
        (chosen, left_out)
    }

    /// Returns whether a file is a manifest as it is: no kustomization is above it or lists it.
    fn is_plain(&self, file: &Path, listed: &BTreeSet<&Path>) -> bool {
        let is_listed = |above: &Path| !above.as_os_str().is_empty() && listed.contains(above);
        self.kustomization_above(file).is_none() && !file.ancestors().any(is_listed)
    }
}

/// Returns the topmost folder above a file without one of the `others`, else the file.
fn source_path_of(file: &Path, others: &BTreeSet<PathBuf>) -> PathBuf {
    let above: Vec<&Path> =
        file.ancestors().skip(1).filter(|folder| !folder.as_os_str().is_empty()).collect();
    let is_clean = |folder: &&Path| {
        !has_path_below(others.range::<Path, _>((Bound::Included(*folder), Bound::Unbounded)), folder)
    };
    above.into_iter().rev().find(is_clean).unwrap_or(file).to_owned()
}

/// Returns the key of a workload with the namespace that it will have.
fn key_in(folder: &ManifestFolder, workload: &SurveyedWorkload) -> Option<(String, String, String)> {
    let (kind, namespace, name) = workload.identity()?;
    let namespace = match namespace {
        "" => folder.namespace.as_deref().unwrap_or("default"),
        namespace => namespace,
    };
    Some((kind.to_owned(), namespace.to_owned(), name.to_owned()))
}

/// Returns the folder above all of them.
fn common_folder(folders: &[ManifestFolder]) -> PathBuf {
    let mut paths = folders.iter().map(|folder| folder.path.parent().unwrap_or(Path::new("")));
    let first = paths.next().unwrap_or(Path::new("")).to_owned();
    paths.fold(first, |common, path| {
        common.ancestors().find(|above| path.starts_with(above)).unwrap_or(Path::new("")).to_owned()
    })
}
