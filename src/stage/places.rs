//! Where do the files of a rollout lie in the tree of the live branch?

use super::Configuration;
use crate::model::file_list::{self, slashes};
use crate::read::{Input, Source, plain};
use std::path::{Path, PathBuf};

impl Configuration {
    /// Returns the place of the rendered file of an input; None where git holds no rendered files.
    pub fn rendered_place(&self, input: &Input) -> Option<String> {
        match input.source {
            Source::File(_) => self.in_rendered(&input.relative),
            // What a command has built has no place in git.
            Source::Stdin => None,
        }
    }

    /// Returns the place of the list of rendered files.
    pub fn list_place(&self) -> Option<String> {
        self.in_rendered(Path::new(file_list::NAME))
    }

    /// Returns the place of a file in the folder of rendered files.
    pub fn in_rendered(&self, relative: &Path) -> Option<String> {
        let folder = self.layout.rendered.as_ref()?;
        Some(slashes(&plain(&self.layout.root.join(folder).join(relative))))
    }

    /// Returns the place of a ledger; None where pillion.yaml names no folder of ledgers.
    pub fn ledger_place(&self, cluster: Option<&str>, sidecar_set: &str) -> Option<String> {
        let mut folder = self.layout.root.join(self.layout.ledgers.as_ref()?);
        folder.extend(cluster.map(PathBuf::from));
        Some(slashes(&plain(&folder.join(format!("{sidecar_set}.yaml")))))
    }
}
