//! Resolves a path that a configuration names, and refuses one that leaves the repository or passes a symbolic link.

use crate::diagnostics::{Code, Diagnostic, Span};
use crate::sandbox::{AccessError, RepositoryRoot, is_git_internal, or_current_dir};
use std::path::{Path, PathBuf};

/// The folder that paths must not leave, and the reason.
#[derive(Debug, Clone)]
pub(super) struct PathBounds {
    /// The folder, as the user would name it.
    pub(super) root: PathBuf,
    /// The reason for the limit, for messages.
    pub(super) reason: &'static str,
}

/// Returns a path below a folder as the user would name it.
///
/// # Errors
/// A diagnostic when it is absolute, leads nowhere or out of the bounds, or is reached through a link.
pub(super) fn resolve_within(
    written: &str,
    folder: &Path,
    bounds: &PathBounds,
    top: Option<&RepositoryRoot>,
    at: &Span,
) -> Result<PathBuf, Diagnostic> {
    let path = folder.join(written);
    let outside = |how: &str| {
        Diagnostic::error(Code::PathOutside, format!("`{written}` {how}"))
            .at(at.clone())
            .because(bounds.reason)
            .help("name a file or folder of this repository, relative to the folder of this configuration")
    };
    if Path::new(written).is_absolute() {
        return Err(outside("is an absolute path"));
    }
    if is_git_internal(Path::new(written)) {
        return Err(outside("leads into the folder of git, which holds credentials"));
    }
    let Ok(resolved) = path.canonicalize() else {
        // Outside, not even a missing file is reported.
        return Err(match is_outside(&path, &bounds.root) {
            true => outside("leads out of the repository"),
            false => Diagnostic::error(Code::UnreadableFile, format!("`{written}` does not exist"))
                .at(at.clone())
                .help("check the name; paths are relative to the folder of this configuration"),
        });
    };
    let Ok(root) = or_current_dir(&bounds.root).canonicalize() else {
        return Err(outside("cannot be compared with the folder of the repository, which does not exist"));
    };
    if !resolved.starts_with(root) {
        return Err(outside("leads out of the repository"));
    }
    match top.and_then(|top| top.resolve(&path)?.find_symlink()) {
        None => Ok(path),
        Some(link) => {
            let diagnostic = AccessError::Symlink(link).to_diagnostic(written);
            Err(Diagnostic { spans: vec![at.clone()], ..diagnostic })
        }
    }
}

/// Returns whether a path leads out of a folder, by its longest existing part.
fn is_outside(path: &Path, root: &Path) -> bool {
    let Ok(root) = or_current_dir(root).canonicalize() else { return true };
    let existing = path.ancestors().find_map(|above| or_current_dir(above).canonicalize().ok());
    existing.is_none_or(|above| !above.starts_with(root))
}
