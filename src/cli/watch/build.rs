//! Manifests of clusters that a command of pillion.yaml builds: run in a folder that holds the source commit.

use super::NoStart;
use crate::cli::USAGE;
use crate::cli::report::Reporter;
use crate::cli::repository::{self, Opened, RepositoryArgs};
use crate::watch::world::Stopped;
use std::process::{Command, Stdio};

/// Makes the manifests of clusters.
pub(super) struct Builder {
    /// Manifests that a person has named.
    named: Option<(String, String)>,
}

impl Builder {
    pub(super) fn new(_: &Opened, args: &RepositoryArgs, reporter: &mut Reporter) -> Result<Self, NoStart> {
        let named = repository::built(args, reporter).map_err(|()| NoStart::Told(USAGE))?;
        Ok(Self { named })
    }

    /// Returns the manifests of a cluster, name and text; None: they are plain files of git.
    pub(super) fn build(
        &self,
        opened: &Opened,
        cluster: Option<&str>,
    ) -> Result<Option<(String, String)>, Stopped> {
        if let Some(named) = &self.named {
            return Ok(Some(named.clone()));
        }
        let Some(name) = cluster else { return Ok(None) };
        let (live, _) = opened.read()?;
        let Some(live) = live else { return Ok(None) };
        let clusters = &live.configuration.repository.clusters;
        let words =
            clusters.iter().find(|c| c.name == name).and_then(|c| c.build.as_deref()).unwrap_or_default();
        let Some((program, args)) = words.split_first() else { return Ok(None) };
        let failed = |what: String, is_retryable| Stopped::Service {
            text: format!(
                "the manifests of cluster `{name}` cannot be built by `{}`: {what}",
                words.join(" ")
            ),
            is_retryable,
        };
        let folder = tempfile::tempdir().map_err(|e| failed(e.to_string(), true))?;
        opened.repository.export(live.source.tree, folder.path())?;
        let root = folder.path().join(&live.configuration.layout.root);
        let mut command = Command::new(program);
        command.args(args).current_dir(&root).stdin(Stdio::null());
        let output = command.output().map_err(|e| failed(format!("it cannot be started ({e})"), true))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            return Err(failed(format!("{}: {said}", output.status), false));
        }
        let text =
            String::from_utf8(output.stdout).map_err(|_| failed("it prints no UTF-8".to_owned(), false))?;
        if text.trim().is_empty() {
            return Err(failed("it prints nothing".to_owned(), false));
        }
        Ok(Some((format!("{} (cluster {name})", words.join(" ")), text)))
    }
}
