//! The `.pillion-files` list of the files that pillion wrote into a folder.

use std::collections::BTreeSet;
use std::path::{Component, Path};

/// The file that lists what pillion wrote into a folder, one path a line, sorted.
pub(crate) const FILE_NAME: &str = ".pillion-files";

/// Reads a list; a line that leads out of the folder or into the one of git, or holds a control character, was not
/// written by pillion.
pub fn parse(text: &str) -> BTreeSet<String> {
    let is_inside = |line: &&str| Path::new(line).components().all(is_safe_component);
    let is_plain = |line: &&str| !line.chars().any(char::is_control);
    text.lines().filter(is_inside).filter(is_plain).map(str::to_owned).collect()
}

fn is_safe_component(step: Component<'_>) -> bool {
    matches!(step, Component::Normal(name) if !name.eq_ignore_ascii_case(".git"))
}

/// Returns the text of a list.
pub fn emit(names: &BTreeSet<impl AsRef<str>>) -> String {
    names.iter().map(|name| format!("{}\n", name.as_ref())).collect()
}

/// Returns a path with `/` on every system, as lists and trees hold it.
pub(crate) fn to_slash(path: &Path) -> String {
    let mut text = String::with_capacity(path.as_os_str().len());
    for (i, step) in path.components().enumerate() {
        if i > 0 {
            text.push('/');
        }
        text.push_str(&step.as_os_str().to_string_lossy());
    }
    text
}
