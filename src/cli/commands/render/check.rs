//! `pillion render --check` and `--diff`: compares files with a new render.

use crate::diagnostics::{Code, Diagnostic, Span, first_differing_line};
use crate::model::file_list;
use crate::read::normalize_path;
use crate::stage::unmanaged_manifest;
use crate::workspace::{Configuration, RenderedInput};
use crate::workspace::{is_applied, may_be_applied};
use crate::write::{OutputFolder, unified_diff};
use std::path::{Path, PathBuf};

/// What is there, compared with what render makes.
pub(in crate::cli) struct RenderCheck {
    /// The folder to compare with; None: the inputs themselves.
    folder: Option<OutputFolder>,
    folder_name: Option<PathBuf>,
    /// What lies in the folder by right: ledgers, and where it is the folder of pillion.yaml what that names.
    managed_paths: Vec<PathBuf>,
    shows_diff: bool,
    /// The command that writes the files.
    command: String,
    pub(in crate::cli) diff: String,
    pub(in crate::cli) differs: bool,
}

impl RenderCheck {
    pub(in crate::cli) fn new(
        folder: Option<OutputFolder>,
        name: Option<PathBuf>,
        shows_diff: bool,
        command: String,
        configuration: &Configuration,
    ) -> Self {
        let (layout, config) = (&configuration.layout, configuration.path());
        let own =
            name.as_deref().map(|name| layout.managed_paths_below(&normalize_path(name), Some(&config)));
        Self {
            folder,
            folder_name: name,
            managed_paths: own.unwrap_or_default(),
            shows_diff,
            command,
            diff: String::new(),
            differs: false,
        }
    }

    /// Returns whether the files are compared that the result comes from.
    pub(in crate::cli) fn compares_sources(&self) -> bool {
        self.folder.is_none()
    }

    pub(in crate::cli) fn compare_file(&mut self, done: &RenderedInput<'_>) -> Option<Diagnostic> {
        let (name, present) = match (&mut self.folder, &self.folder_name) {
            (Some(_), _) if done.rendered.is_dropped => return None,
            (Some(folder), Some(root)) => {
                let expected = folder.register_file(&done.input.output_path, &done.input.name);
                let present = match expected.and_then(|_| folder.read_current(&done.input.output_path)) {
                    Ok(present) => present,
                    Err(diagnostic) => return Some(*diagnostic),
                };
                (root.join(&done.input.output_path), present)
            }
            _ => (PathBuf::from(&*done.input.name), Some(done.original.to_string())),
        };
        self.compare_text(&name, present.as_deref(), &done.text())
    }

    fn compare_text(&mut self, name: &Path, present: Option<&str>, text: &str) -> Option<Diagnostic> {
        let line = first_differing_line(present.unwrap_or_default(), text)?;
        self.differs = true;
        if self.shows_diff {
            self.diff.push_str(&unified_diff(&name.to_string_lossy(), present.unwrap_or_default(), text));
            return None;
        }
        let message = match present {
            Some(_) => format!("`{}` is not what render makes of its sources", name.display()),
            None => format!("`{}` does not exist, and render makes it", name.display()),
        };
        Some(self.not_up_to_date(name, line, present, message))
    }

    /// Compares the other files of the folder: those of earlier renders, and manifests that no render wrote.
    pub(in crate::cli) fn compare_other_files(&mut self) -> Vec<Diagnostic> {
        let (Some(folder), Some(root)) = (&self.folder, &self.folder_name) else { return Vec::new() };
        let mut found = Vec::new();
        for name in folder.stale_files().map(PathBuf::from) {
            match folder.read_current(&name) {
                Ok(None) => {}
                Ok(present) => {
                    let message = format!("`{}` is no longer made by render", root.join(&name).display());
                    found.push(self.not_up_to_date(&root.join(&name), 1, present.as_deref(), message));
                }
                Err(diagnostic) => found.push(*diagnostic),
            }
        }
        let list = root.join(file_list::FILE_NAME);
        // Of a file that is not as it should be that is said already.
        if let Some(name) = folder.unlisted_files().next().filter(|_| !self.differs) {
            let message = format!("`{}` does not list `{name}`, which is made by render", list.display());
            found.push(self.not_up_to_date(&list, 1, None, message));
        }
        match folder.foreign_files() {
            Ok(foreign) => {
                let foreign =
                    foreign.into_iter().filter(|(name, text)| self.is_applied(name, text.as_deref()));
                found.extend(foreign.map(|(name, _)| {
                    let place = root.join(name);
                    unmanaged_manifest(format!("`{}` is not made by render", place.display()), &place)
                }));
            }
            Err(diagnostic) => found.push(*diagnostic),
        }
        self.differs |= !found.is_empty();
        found
    }

    fn is_applied(&self, name: &Path, text: Option<&str>) -> bool {
        let is_own = self.managed_paths.iter().any(|own| {
            self.folder_name.as_ref().is_some_and(|root| normalize_path(&root.join(name)).starts_with(own))
        });
        !is_own
            && match text {
                Some(text) => is_applied(name, text),
                None => name.extension().is_none() || may_be_applied(name),
            }
    }

    fn not_up_to_date(&self, name: &Path, line: usize, present: Option<&str>, message: String) -> Diagnostic {
        let text = present.unwrap_or_default();
        let mut label =
            Span::whole_line(name.to_string_lossy(), text, line, "the first line that differs".to_owned());
        // A missing line is a place, too.
        label.width = label.width.max(1);
        Diagnostic::warning(Code::NotUpToDate, message).at(label).help(format!(
            "run `{}` and commit the result; `pillion render --diff` shows what changes",
            self.command
        ))
    }
}
