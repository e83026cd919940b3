//! Checks that the files of src/ do not import each other in circles. Types that several files of a module use are in
//! its `mod.rs` or `types.rs`; imports between a `mod.rs` and the files below it do not count.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// A module of the crate, as its path: `stage::drift`.
type ModulePath = Vec<String>;

/// Returns the files of a folder of src/ by their module, without tests.
fn read_modules(folder: &Path, at: &[String], found: &mut BTreeMap<ModulePath, String>) {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths {
        let stem = path.file_stem().unwrap().to_string_lossy().into_owned();
        let module: ModulePath = at.iter().cloned().chain([stem.clone()]).collect();
        if path.is_dir() {
            read_modules(&path, &module, found);
        } else if !["tests", "lib", "main"].contains(&&*stem) {
            let text = fs::read_to_string(&path).unwrap();
            let code: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
            let code = code.join("\n");
            let end = code.find("#[cfg(test)]\nmod tests {").unwrap_or(code.len());
            found.insert(if stem == "mod" { at.to_vec() } else { module }, code[..end].to_owned());
        }
    }
}

/// Returns the paths of a `use` tree: `a::{b, c::d}` are `a::b` and `a::c::d`.
fn expand(prefix: &[String], tree: &str, found: &mut Vec<ModulePath>) {
    let (mut depth, mut start) = (0, 0);
    let mut parts = Vec::new();
    for (at, c) in tree.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&tree[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&tree[start..]);
    for part in parts.into_iter().map(str::trim).filter(|part| !part.is_empty()) {
        let (head, inner) = part.split_once('{').map_or((part, None), |(head, inner)| (head, Some(inner)));
        let head = head.split(" as ").next().unwrap_or_default();
        let segments = head.split("::").map(str::trim).filter(|s| !s.is_empty() && *s != "self");
        let path: ModulePath = prefix.iter().cloned().chain(segments.map(str::to_owned)).collect();
        match inner {
            Some(inner) => expand(&path, inner.trim_end().trim_end_matches('}'), found),
            None => found.push(path),
        }
    }
}

/// Returns the paths that a file imports, from the root of the crate; `re_exports`: those that it hands on.
fn imports(module: &[String], is_folder: bool, code: &str, re_exports: bool) -> Vec<ModulePath> {
    let mut found = Vec::new();
    for statement in code.split(';') {
        let Some((before, tree)) = statement.rsplit_once("use ") else { continue };
        let before = before.lines().next_back().unwrap_or_default().trim_start();
        let is_use = before.is_empty() || before.starts_with("pub");
        if !is_use || before.starts_with("pub") != re_exports {
            continue;
        }
        expand(&[], tree, &mut found);
    }
    let absolute = |path: ModulePath| -> Option<ModulePath> {
        let supers = path.iter().take_while(|segment| *segment == "super").count();
        let rest = path[supers..].to_vec();
        match path.first()?.as_str() {
            "crate" => Some(path[1..].to_vec()),
            "super" => Some([&module[..module.len().checked_sub(supers)?], &rest].concat()),
            _ if is_folder => Some([module, &path].concat()),
            _ => None,
        }
    };
    found.into_iter().filter_map(absolute).collect()
}

/// Returns the file that a path leads to: through re-exports to the file of the definition.
fn resolve(path: &[String], re_exports: &BTreeMap<ModulePath, Vec<ModulePath>>) -> Option<ModulePath> {
    let end = (1..=path.len()).rev().find(|end| re_exports.contains_key(&path[..*end]))?;
    let (module, rest) = path.split_at(end);
    let is_meant = |export: &&ModulePath| !rest.is_empty() && export.last() == rest.first();
    match re_exports[module].iter().filter(is_meant).find(|export| export[..] != *path) {
        Some(export) => resolve(export, re_exports),
        None => Some(module.to_vec()),
    }
}

/// Follows imports from a file, and returns the first circle.
fn find_circle(
    at: &ModulePath,
    edges: &BTreeMap<ModulePath, BTreeSet<ModulePath>>,
    path: &mut Vec<ModulePath>,
    done: &mut BTreeSet<ModulePath>,
) -> Option<Vec<ModulePath>> {
    if let Some(start) = path.iter().position(|module| module == at) {
        return Some(path[start..].to_vec());
    }
    if !done.insert(at.clone()) {
        return None;
    }
    path.push(at.clone());
    let circle = edges[at].iter().find_map(|next| find_circle(next, edges, path, done));
    path.pop();
    circle
}

#[test]
fn files_do_not_import_each_other_in_circles() {
    let mut modules = BTreeMap::new();
    read_modules(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &[], &mut modules);
    let is_folder =
        |module: &ModulePath| modules.keys().any(|m| m.len() > module.len() && m.starts_with(module));
    let re_exports =
        modules.iter().map(|(module, code)| (module.clone(), imports(module, true, code, true))).collect();
    let mut edges = BTreeMap::new();
    for (module, code) in &modules {
        let used = imports(module, is_folder(module), code, false);
        let mut used: BTreeSet<ModulePath> =
            used.iter().filter_map(|path| resolve(path, &re_exports)).collect();
        used.retain(|other| !other.starts_with(module) && !module.starts_with(other));
        edges.insert(module.clone(), used);
    }
    // The graph is not empty because a line was read wrongly.
    assert!(edges.values().map(BTreeSet::len).sum::<usize>() > 1000);
    let done = &mut BTreeSet::new();
    let circle = edges.keys().find_map(|module| find_circle(module, &edges, &mut Vec::new(), done));
    let circle = circle.map(|circle| circle.iter().map(|m| m.join("::")).collect::<Vec<_>>().join(" -> "));
    assert_eq!(circle, None, "these files import each other");
}
