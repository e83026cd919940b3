//! Does every path of pillion.yaml stay in the repository, by its name and without a symbolic link on the way?

use crate::confine::{is_of_git, shown, unusable_name};
use crate::diag::{Code, Diagnostic};
use crate::read::{Files, Layout, plain};
use crate::yaml::{self, Document, Part};
use std::path::{Component, Path};

/// Says which paths of pillion.yaml lead out of the repository, or are reached through a link.
pub fn stray_paths(files: &dyn Files, layout: &Layout, document: &Document) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for (at, written) in paths(document) {
        let Some(wrong) = stray(files, layout, &written) else { continue };
        found.push(wrong.at(document.label(&at, Part::Value, "")));
    }
    found
}

/// Every path of pillion.yaml that is a text, with its place there.
fn paths(document: &Document) -> Vec<(yaml::Path, String)> {
    let root = yaml::Path::root();
    let mut all = vec![root.then("rendered"), root.then("ledgers")];
    let mut lists = |key: &str, inner: Option<&str>| {
        let count = document.value()[key].as_array().map_or(0, Vec::len);
        let at = |i| inner.iter().fold(root.then(key).then(i), |at, key| at.then(*key));
        all.extend((0..count).map(at));
    };
    lists("sources", None);
    lists("sidecarSets", None);
    lists("clusters", Some("folder"));
    lists("namespaces", Some("folder"));
    let text = |at: yaml::Path| {
        let text = at.find(document.value())?.as_str()?.to_owned();
        Some((at, text))
    };
    all.into_iter().filter_map(text).collect()
}

fn stray(files: &dyn Files, layout: &Layout, written: &str) -> Option<Diagnostic> {
    let outside = |how: &str| {
        Diagnostic::error(Code::PathOutside, format!("`{written}` {how}"))
            .because("pillion reads and writes files of this repository only")
            .help("name a file or folder of this repository, relative to the folder of pillion.yaml")
    };
    if Path::new(written).is_absolute() || Path::new(written).has_root() {
        return Some(outside("is an absolute path"));
    }
    let path = plain(&layout.root.join(written));
    let leaves = match &layout.top {
        Some(top) => top.place(&path).is_none(),
        None => path.components().next() == Some(Component::ParentDir),
    };
    if leaves {
        return Some(outside("leads out of the repository"));
    }
    if is_of_git(Path::new(written)) {
        return Some(outside("leads into the folder of git, which holds credentials"));
    }
    if let Some(wrong) = unusable_name(Path::new(written)) {
        return Some(Diagnostic { labels: Vec::new(), ..wrong });
    }
    let link = files.link(layout.top.as_ref(), &path)?;
    let message = match plain(&link) == path || shown(&link) == path.to_string_lossy() {
        true => format!("`{written}` is a symbolic link"),
        false => format!("`{written}` is reached through the symbolic link `{}`", shown(&link)),
    };
    Some(
        Diagnostic::error(Code::LinkOutside, message)
            .because("a link may lead anywhere, and what it leads to may change without a commit")
            .help("name the file or folder that the link leads to, or replace the link with it"),
    )
}
