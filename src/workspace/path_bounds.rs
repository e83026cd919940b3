//! Does a path that a manifest names stay inside the repository, without a symbolic link on the way?

use super::config_lookup::or_current_dir;
use crate::diagnostics::{Code, Diagnostic, Span};
use crate::sandbox::{AccessError, RepositoryRoot, is_git_internal};
use std::path::{Path, PathBuf};

/// The folder that paths must not leave, and why it is this one.
#[derive(Debug, Clone)]
pub(super) struct PathBounds {
    /// The folder, as the user would name it.
    pub(super) root: PathBuf,
    /// What makes it the limit, for messages.
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
        // What is outside is not even said to be missing.
        return Err(match is_outside(&path, &bounds.root) {
            true => outside("leads out of the repository"),
            false => Diagnostic::error(Code::UnreadableFile, format!("`{written}` does not exist"))
                .at(at.clone())
                .help("check the name; paths are relative to the folder of this configuration"),
        });
    };
    let Ok(root) = or_current_dir(&bounds.root).canonicalize() else {
        return Err(outside("cannot be judged"));
    };
    if !resolved.starts_with(root) {
        return Err(outside("leads out of the repository"));
    }
    match top.and_then(|top| top.resolve(&path)?.find_symlink()) {
        None => Ok(path),
        Some(link) => {
            let wrong = AccessError::Symlink(link).to_diagnostic(written);
            Err(Diagnostic { spans: vec![at.clone()], ..wrong })
        }
    }
}

/// Tells by its longest part that exists whether a path leads out of a folder.
fn is_outside(path: &Path, root: &Path) -> bool {
    let Ok(root) = or_current_dir(root).canonicalize() else { return true };
    let existing = path.ancestors().find_map(|above| or_current_dir(above).canonicalize().ok());
    existing.is_none_or(|above| !above.starts_with(root))
}
