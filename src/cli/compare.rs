//! `pillion render --check` and `--diff`: is what is there what render makes?

use super::pipeline::Done;
use crate::diag::{Code, Diagnostic, Label};
use crate::model::applied::{is_applied, may_be_applied};
use crate::model::file_list;
use crate::read::{Layout, plain};
use crate::stage::manifest_not_made;
use crate::write::{Folder, difference, unified};
use std::path::{Path, PathBuf};

/// What is there, compared with what render makes.
pub(super) struct Compare {
    /// The folder to compare with; None: the inputs themselves.
    folder: Option<Folder>,
    name: Option<PathBuf>,
    /// What lies in the folder by right: ledgers, and where it is the folder of pillion.yaml what that names.
    own: Vec<PathBuf>,
    shows_diff: bool,
    pub(super) diff: String,
    pub(super) differs: bool,
}

impl Compare {
    pub(super) fn new(
        folder: Option<Folder>,
        name: Option<PathBuf>,
        shows_diff: bool,
        layout: &Layout,
    ) -> Self {
        let config = layout.root.join("pillion.yaml");
        let own = name.as_deref().map(|name| layout.own_below(&plain(name), Some(&config)));
        Self { folder, name, own: own.unwrap_or_default(), shows_diff, diff: String::new(), differs: false }
    }

    /// Returns whether the files are compared that the result comes from.
    pub(super) fn is_of_sources(&self) -> bool {
        self.folder.is_none()
    }

    pub(super) fn take(&mut self, done: &Done<'_>) -> Option<Diagnostic> {
        let (name, present) = match (&mut self.folder, &self.name) {
            (Some(_), _) if done.file.is_dropped => return None,
            (Some(folder), Some(root)) => {
                let expected = folder.expect_file(&done.input.relative, &done.input.name);
                let present = match expected.and_then(|()| folder.present(&done.input.relative)) {
                    Ok(present) => present,
                    Err(wrong) => return Some(*wrong),
                };
                (root.join(&done.input.relative), present)
            }
            _ => (PathBuf::from(&*done.input.name), Some(done.old.to_string())),
        };
        self.compare(&name, present.as_deref(), done.text())
    }

    fn compare(&mut self, name: &Path, present: Option<&str>, text: &str) -> Option<Diagnostic> {
        let line = difference(present.unwrap_or_default(), text)?;
        self.differs = true;
        if self.shows_diff {
            self.diff.push_str(&unified(&name.to_string_lossy(), present.unwrap_or_default(), text));
            return None;
        }
        let message = match present {
            Some(_) => format!("`{}` is not what render makes of its sources", name.display()),
            None => format!("`{}` does not exist, and render makes it", name.display()),
        };
        Some(stale(name, line, present, message))
    }
}

impl Compare {
    /// What else is in the folder than what is made: files of earlier renders, and manifests of nobody.
    pub(super) fn rest(&mut self) -> Vec<Diagnostic> {
        let (Some(folder), Some(root)) = (&self.folder, &self.name) else { return Vec::new() };
        let mut found = Vec::new();
        for name in folder.stale().map(PathBuf::from) {
            match folder.present(&name) {
                Ok(None) => {}
                Ok(present) => {
                    let message = format!("`{}` is no longer made by render", root.join(&name).display());
                    found.push(stale(&root.join(&name), 1, present.as_deref(), message));
                }
                Err(wrong) => found.push(*wrong),
            }
        }
        let list = root.join(file_list::NAME);
        // Of a file that is not as it should be that is said already.
        if let Some(name) = folder.unlisted().next().filter(|_| !self.differs) {
            let message = format!("`{}` does not list `{name}`, which is made by render", list.display());
            found.push(stale(&list, 1, None, message));
        }
        match folder.foreign() {
            Ok(foreign) => {
                let foreign =
                    foreign.into_iter().filter(|(name, text)| self.is_applied(name, text.as_deref()));
                found.extend(foreign.map(|(name, _)| {
                    let place = root.join(name);
                    manifest_not_made(format!("`{}` is not made by render", place.display()), &place)
                }));
            }
            Err(wrong) => found.push(*wrong),
        }
        self.differs |= !found.is_empty();
        found
    }

    fn is_applied(&self, name: &Path, text: Option<&str>) -> bool {
        let is_own = self
            .own
            .iter()
            .any(|own| self.name.as_ref().is_some_and(|root| plain(&root.join(name)).starts_with(own)));
        !is_own
            && match text {
                Some(text) => is_applied(name, text),
                None => name.extension().is_none() || may_be_applied(name),
            }
    }
}

fn stale(name: &Path, line: usize, present: Option<&str>, message: String) -> Diagnostic {
    let source = present.and_then(|p| p.lines().nth(line - 1)).unwrap_or_default();
    let label = Label {
        file: name.to_string_lossy().into(),
        line,
        column: 1,
        width: source.chars().count().clamp(1, crate::diag::MAX_LINE),
        source: source.chars().take(crate::diag::MAX_LINE).collect::<String>().into(),
        text: "the first line that differs".to_owned(),
    };
    Diagnostic::warning(Code::NotUpToDate, message)
        .at(label)
        .help("run `pillion render` with `--out` or `--in-place` and commit the result; `--diff` shows what changes")
}
