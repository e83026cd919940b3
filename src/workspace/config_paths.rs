//! Checks that every path of pillion.yaml stays in the repository, by its name and without a symbolic link on the way.

use super::Layout;
use crate::diagnostics::{Code, Diagnostic};
use crate::read::{FileSource, normalize_path};
use crate::sandbox::{check_file_name, display_path, is_git_internal};
use crate::yaml::{self, Document, EntryPart};
use std::path::{Component, Path};

/// Reports the paths of pillion.yaml that lead out of the repository, or pass a symbolic link.
pub(super) fn check_config_paths(
    files: &dyn FileSource,
    layout: &Layout,
    document: &Document,
) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for (at, written) in config_paths(document) {
        let Some(diagnostic) = check_path(files, layout, &written) else { continue };
        found.push(diagnostic.at(document.label(&at, EntryPart::Value, "")));
    }
    found
}

/// Returns every path of pillion.yaml that is a string, with its field path.
fn config_paths(document: &Document) -> Vec<(yaml::FieldPath, String)> {
    let root = yaml::FieldPath::root();
    let mut all = vec![root.child("rendered"), root.child("ledgers")];
    let mut lists = |key: &str, inner: Option<&str>| {
        let list = yaml::FieldPath::dotted(key);
        let count = list.find(document.value()).and_then(|found| found.as_array()).map_or(0, Vec::len);
        let at = |i| inner.iter().fold(list.child(i), |at, key| at.child(*key));
        all.extend((0..count).map(at));
    };
    lists("sources", None);
    lists("sidecarSets", None);
    lists("clusters", Some("folder"));
    lists("namespaces", Some("folder"));
    lists("overrides.rules", Some("folder"));
    let text = |at: yaml::FieldPath| {
        let text = at.find(document.value())?.as_str()?.to_owned();
        Some((at, text))
    };
    all.into_iter().filter_map(text).collect()
}

fn check_path(files: &dyn FileSource, layout: &Layout, written: &str) -> Option<Diagnostic> {
    let outside = |how: &str| {
        Diagnostic::error(Code::PathOutside, format!("`{written}` {how}"))
            .because("pillion reads and writes files of this repository only")
            .help("name a file or folder of this repository, relative to the folder of pillion.yaml")
    };
    if Path::new(written).is_absolute() || Path::new(written).has_root() {
        return Some(outside("is an absolute path"));
    }
    let path = normalize_path(&layout.root.join(written));
    let leaves = match &layout.repository_root {
        Some(top) => top.resolve(&path).is_none(),
        None => path.components().next() == Some(Component::ParentDir),
    };
    if leaves {
        return Some(outside("leads out of the repository"));
    }
    if is_git_internal(Path::new(written)) {
        return Some(outside("leads into the folder of git, which holds credentials"));
    }
    if let Some(diagnostic) = check_file_name(Path::new(written)) {
        return Some(Diagnostic { spans: Vec::new(), ..diagnostic });
    }
    let link = files.find_symlink(layout.repository_root.as_ref(), &path)?;
    let message = match normalize_path(&link) == path || display_path(&link) == path.to_string_lossy() {
        true => format!("`{written}` is a symbolic link"),
        false => format!("`{written}` is reached through the symbolic link `{}`", display_path(&link)),
    };
    Some(
        Diagnostic::error(Code::SymlinkOutside, message)
            .because("a link may lead anywhere, and what it leads to may change without a commit")
            .help("name the file or folder that the link leads to, or replace the link with it"),
    )
}
