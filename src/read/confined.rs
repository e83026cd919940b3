//! Does a path that a manifest names stay inside the repository, without a symbolic link on the way?

use crate::confine::{Refusal, Top, is_of_git};
use crate::diag::{Code, Diagnostic, Label};
use std::path::{Path, PathBuf};

/// The folder that paths must not leave, and why it is this one.
#[derive(Debug, Clone)]
pub struct Bounds {
    /// The folder, as the user would name it.
    pub root: PathBuf,
    /// What makes it the limit, for messages.
    pub because: &'static str,
}

/// Returns a path below a folder as the user would name it.
///
/// # Errors
/// A diagnostic when it is absolute, leads nowhere or out of the bounds, or is reached through a link.
pub fn confined(
    written: &str,
    folder: &Path,
    bounds: &Bounds,
    top: Option<&Top>,
    at: &Label,
) -> Result<PathBuf, Diagnostic> {
    let path = folder.join(written);
    let outside = |how: &str| {
        Diagnostic::error(Code::PathOutside, format!("`{written}` {how}"))
            .at(at.clone())
            .because(bounds.because)
            .help("name a file or folder of this repository, relative to the folder of this configuration")
    };
    if Path::new(written).is_absolute() {
        return Err(outside("is an absolute path"));
    }
    if is_of_git(Path::new(written)) {
        return Err(outside("leads into the folder of git, which holds credentials"));
    }
    let Ok(resolved) = path.canonicalize() else {
        // What is outside is not even said to be missing.
        return Err(match leaves(&path, &bounds.root) {
            true => outside("leads out of the repository"),
            false => Diagnostic::error(Code::UnreadableFile, format!("`{written}` does not exist"))
                .at(at.clone())
                .help("check the name; paths are relative to the folder of this configuration"),
        });
    };
    let Ok(root) = named(&bounds.root).canonicalize() else { return Err(outside("cannot be judged")) };
    if !resolved.starts_with(root) {
        return Err(outside("leads out of the repository"));
    }
    match top.and_then(|top| top.place(&path)?.link()) {
        None => Ok(path),
        Some(link) => {
            let wrong = Refusal::Link(link).diagnostic(written);
            Err(Diagnostic { labels: vec![at.clone()], ..wrong })
        }
    }
}

/// Tells by its longest part that exists whether a path leads out of a folder.
fn leaves(path: &Path, root: &Path) -> bool {
    let Ok(root) = named(root).canonicalize() else { return true };
    let existing = path.ancestors().find_map(|above| named(above).canonicalize().ok());
    existing.is_none_or(|above| !above.starts_with(root))
}

fn named(path: &Path) -> &Path {
    if path.as_os_str().is_empty() { Path::new(".") } else { path }
}
