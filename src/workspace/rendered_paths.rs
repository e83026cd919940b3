//! Computes where rendered files and ledgers are in a tree, and finds sources that two clusters render to one file.

use super::{Configuration, Input, InputSource};
use crate::diagnostics::{Code, Diagnostic, Span};
use crate::model::file_list::{self, to_slash};
use crate::read::{FileSource, normalize_path};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Reports files of a cluster that are rendered for another one too: a batch of one would be a batch of both. Without a
/// cluster it checks all.
pub(crate) fn shared_files<'i>(
    configuration: &Configuration,
    cluster: Option<&str>,
    inputs: impl IntoIterator<Item = &'i Input>,
) -> Vec<Diagnostic> {
    let Configuration { repository, layout, .. } = configuration;
    if layout.rendered.is_none() || repository.build.is_some() {
        return Vec::new();
    }
    let is_built = |name: &str| repository.clusters.iter().any(|c| c.name == name && c.build.is_some());
    let plain: Vec<_> = layout.clusters.iter().filter(|c| !is_built(&c.name)).collect();
    let mut shared: BTreeMap<(&str, &str), Vec<&Input>> = BTreeMap::new();
    for input in inputs.into_iter().filter(|input| matches!(input.source, InputSource::File(_))) {
        let mut owners = plain.iter().filter(|c| layout.cluster_contains(c, input));
        if let (Some(first), Some(second)) = (owners.next(), owners.next())
            && cluster.is_none_or(|c| *c == *first.name || *c == *second.name)
        {
            shared.entry((&first.name, &second.name)).or_default().push(input);
        }
    }
    let config = configuration.path();
    shared
        .into_iter()
        .filter_map(|(pair, inputs)| Some(shared_file(&config, pair, inputs.first()?, inputs.len())))
        .collect()
}

fn shared_file(config: &Path, (first, second): (&str, &str), input: &Input, files: usize) -> Diagnostic {
    let more = match files {
        1 => String::new(),
        n => format!(", and {} more,", n - 1),
    };
    let message = format!(
        "`{}`{more} {} rendered for cluster `{first}` and for cluster `{second}`, to one place",
        input.name,
        if files == 1 { "is" } else { "are" }
    );
    Diagnostic::error(Code::OutputCollision, message)
        .at(Span::whole_file(Arc::clone(&input.name)))
        .at(Span::whole_file(config.to_string_lossy().into_owned()))
        .because("what a batch changes for one of them would be changed for the other, too")
        .help("give each cluster a `folder` of its own in `clusters:`; or leave `rendered` out, so that only ledgers say which revision each has")
}

impl Configuration {
    /// Returns the path of the rendered file of an input of a cluster; None where git has no rendered files. A file in the
    /// folders of several clusters is an error, and has a path for the first of them only.
    pub(crate) fn rendered_path(&self, cluster: Option<&str>, input: &Input) -> Option<String> {
        // The output of a build has no path in git.
        let InputSource::File(_) = input.source else { return None };
        let first = self.layout.clusters.iter().find(|c| self.layout.cluster_contains(c, input));
        match (cluster, first) {
            (Some(cluster), Some(first)) if *first.name != *cluster => None,
            _ => self.path_in_rendered(&input.output_path),
        }
    }

    /// Returns the path of the list of rendered files.
    pub(crate) fn file_list_path(&self) -> Option<String> {
        self.path_in_rendered(Path::new(file_list::FILE_NAME))
    }

    /// Returns the rendered files of a tree that pillion wrote, relative to their folder. An unreadable list counts as
    /// empty: what it lists is then reported as not written by pillion.
    pub(crate) fn listed_files(&self, files: &dyn FileSource) -> BTreeSet<String> {
        let read = |list: String| files.read_text(Path::new(&list), &list.as_str().into()).ok();
        file_list::parse(&self.file_list_path().and_then(read).unwrap_or_default())
    }

    /// Returns the path of a file in the folder of rendered files.
    pub(crate) fn path_in_rendered(&self, relative: &Path) -> Option<String> {
        let folder = self.layout.rendered.as_ref()?;
        Some(to_slash(&normalize_path(&self.layout.root.join(folder).join(relative))))
    }

    /// Returns the path of a ledger; None where pillion.yaml names no folder of ledgers.
    pub(crate) fn ledger_path(&self, cluster: Option<&str>, sidecar_set: &str) -> Option<String> {
        let mut folder = self.layout.root.join(self.layout.ledgers.as_ref()?);
        folder.extend(cluster.map(PathBuf::from));
        Some(to_slash(&normalize_path(&folder.join(format!("{sidecar_set}.yaml")))))
    }
}
