//! Checks that each module of src/ imports only what ARCHITECTURE.md allows, and that every file starts with a header.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Module, the modules it may import, and the outside crates it may import besides serde and serde_json.
const MODULES: &[(&str, &[&str], &[&str])] = &[
    ("diagnostics", &[], &["annotate_snippets"]),
    ("backoff", &[], &[]),
    ("yaml", &["diagnostics"], &["granit_parser", "yaml_rust2", "memchr"]),
    ("sandbox", &["diagnostics"], &["cap_std", "cap_fs_ext"]),
    ("read", &["diagnostics", "git", "sandbox"], &["ignore", "memchr"]),
    ("model", &["diagnostics", "yaml"], &["cronexpr", "jiff", "schemars", "sha2", "regex", "rpds", "strsim"]),
    ("inject", &["diagnostics", "yaml", "model"], &["regex", "sha2"]),
    ("rollout", &["diagnostics", "yaml", "model", "inject", "render"], &["sha2", "json_patch"]),
    (
        "workspace",
        &["diagnostics", "yaml", "sandbox", "read", "model", "render", "git", "programs"],
        &["tempfile"],
    ),
    (
        "stage",
        &["diagnostics", "yaml", "model", "render", "rollout", "read", "git", "workspace"],
        &["thiserror"],
    ),
    ("render", &["diagnostics", "yaml", "model", "inject"], &["aho_corasick", "memchr"]),
    ("write", &["diagnostics", "yaml", "model", "sandbox"], &["similar", "tempfile", "thiserror"]),
    ("programs", &[], &["rustix", "signal_hook"]),
    ("git", &["diagnostics", "programs"], &["flate2", "git2", "ignore", "sha1", "tempfile", "thiserror"]),
    (
        "watch",
        &[
            "backoff",
            "diagnostics",
            "yaml",
            "model",
            "render",
            "rollout",
            "git",
            "stage",
            "read",
            "programs",
            "workspace",
        ],
        &[
            "jiff",
            "kube",
            "k8s_openapi",
            "tokio",
            "http",
            "http_body_util",
            "tower",
            "ureq",
            "axum",
            "prometheus_client",
            "tracing",
            "tracing_subscriber",
            "cronexpr",
            "thiserror",
        ],
    ),
    (
        "integrations",
        &["diagnostics", "yaml", "model", "sandbox", "read", "render", "workspace", "programs"],
        &["thiserror"],
    ),
    (
        "cli",
        &[
            "backoff",
            "diagnostics",
            "yaml",
            "model",
            "inject",
            "render",
            "rollout",
            "stage",
            "read",
            "write",
            "git",
            "programs",
            "watch",
            "sandbox",
            "workspace",
            "integrations",
        ],
        &["clap", "clap_complete", "clap_mangen", "strsim"],
    ),
];

/// Modules without files, clocks, environment, threads or output, and the parts of others that are so.
const PURE: &[&str] = &[
    "diagnostics",
    "yaml",
    "model",
    "inject",
    "rollout",
    "render",
    "watch/health",
    "watch/snapshot.rs",
    "watch/expected_state.rs",
];

/// What the pure parts of a module that talks to the world may import of outside crates.
const PURE_CRATES: &[&str] = &["crate", "super", "self", "std", "serde", "serde_json", "jiff"];

const IMPURE: &[&str] = &[
    "std::fs",
    "std::io",
    "std::env",
    "std::net",
    "std::process",
    "std::thread",
    "std::time",
    "println!",
    "SystemTime",
    "Timestamp::now",
    "Zoned::now",
];

/// Type names that several modules may define: their paths tell them apart.
const SHARED_TYPE_NAMES: &[&str] = &["Error", "Options"];

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// The files of a folder, or one file, tests left out: they may do what they need.
fn files(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let paths: Vec<PathBuf> = if folder.is_file() {
        vec![folder.to_owned()]
    } else {
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
    };
    for path in paths {
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|e| e == "rs")
            && path.file_name().is_none_or(|n| n != "tests.rs")
        {
            let text = fs::read_to_string(&path).unwrap();
            let tests = text.find("#[cfg(test)]\nmod tests {").unwrap_or(text.len());
            found.push((path, text[..tests].to_owned()));
        }
    }
    found.sort();
    found
}

/// The first segments after `crate::` in a text, and of `use` lines the outside crates.
fn imports(text: &str) -> (Vec<&str>, Vec<&str>) {
    let word = |rest: &str| rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
    let inner = text
        .match_indices("crate::")
        .map(|(at, m)| &text[at + m.len()..])
        .map(|rest| &rest[..word(rest)])
        .collect();
    let outer = text
        .lines()
        .filter_map(|l| l.strip_prefix("use ").or_else(|| l.strip_prefix("pub use ")))
        .map(|rest| &rest[..word(rest)])
        .collect();
    (inner, outer)
}

#[test]
fn modules_import_only_what_they_may() {
    for (module, modules, crates) in MODULES {
        for (path, text) in files(&source().join(module)) {
            let (inner, outer) = imports(&text);
            for used in inner {
                assert!(
                    used == *module || modules.contains(&used),
                    "{} imports crate::{used}",
                    path.display()
                );
            }
            let known = ["crate", "super", "self", "std", "serde", "serde_json"];
            let siblings: Vec<&str> = text
                .lines()
                .filter_map(|l| l.strip_prefix("mod ").or_else(|| l.strip_prefix("pub mod ")))
                .map(|l| l.trim_end_matches(';'))
                .collect();
            for used in outer {
                let is_local = siblings.contains(&used) || used.starts_with(char::is_uppercase);
                assert!(
                    known.contains(&used) || crates.contains(&used) || is_local,
                    "{} imports {used}",
                    path.display()
                );
            }
        }
    }
}

/// The names of the types that a file defines at its top level.
fn defined_types(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| {
        let line = line.strip_prefix("pub").map_or(line, |rest| {
            rest.strip_prefix('(').and_then(|r| r.split_once(')')).map_or(rest, |(_, r)| r).trim_start()
        });
        let name =
            ["struct ", "enum ", "union ", "trait ", "type "].iter().find_map(|k| line.strip_prefix(k))?;
        name.split(|c: char| !c.is_alphanumeric()).next()
    })
}

#[test]
fn one_type_name_is_one_type() {
    let mut definitions: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    for (path, text) in files(&source()) {
        for name in defined_types(&text).filter(|name| !SHARED_TYPE_NAMES.contains(name)) {
            definitions.entry(name.to_owned()).or_default().push(path.clone());
        }
    }
    definitions.retain(|_, paths| paths.len() > 1);
    assert!(definitions.is_empty(), "these type names have several definitions: {definitions:#?}");
}

#[test]
fn pure_modules_do_no_io() {
    for module in PURE {
        for (path, text) in files(&source().join(module)) {
            for word in IMPURE {
                let code =
                    text.lines().filter(|l| !l.trim_start().starts_with("//")).any(|l| l.contains(word));
                assert!(!code, "{} uses {word}", path.display());
            }
        }
    }
}

#[test]
fn what_judges_knows_no_cluster() {
    for part in PURE.iter().filter(|part| part.contains('/')) {
        for (path, text) in files(&source().join(part)) {
            for used in imports(&text).1 {
                assert!(PURE_CRATES.contains(&used), "{} imports {used}", path.display());
            }
        }
    }
}

#[test]
fn every_file_says_what_it_is_for() {
    for (path, text) in files(&source()) {
        assert!(text.starts_with("//! "), "{} does not start with `//!`", path.display());
    }
}

#[test]
fn every_module_is_known() {
    for entry in fs::read_dir(source()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        assert!(
            !path.is_dir() || MODULES.iter().any(|(module, ..)| *module == name),
            "src/{name} is not a module of ARCHITECTURE.md"
        );
    }
}

fn architecture() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("ARCHITECTURE.md")).unwrap()
}

#[test]
fn the_table_of_modules_matches_the_imports() {
    let page = architecture();
    for (module, modules, _) in MODULES.iter().filter(|(module, ..)| *module != "cli") {
        let row = page.lines().find(|l| l.starts_with(&format!("| `{module}` "))).unwrap_or_default();
        let mut listed: Vec<&str> =
            row.split('|').nth(3).unwrap_or_default().split(',').map(str::trim).collect();
        listed.retain(|name| !name.is_empty());
        listed.sort_unstable();
        let mut modules = modules.to_vec();
        modules.sort_unstable();
        assert_eq!(listed, modules, "ARCHITECTURE.md, row of `{module}`");
    }
}

#[test]
fn architecture_names_what_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = architecture();
    for word in page.split('`').skip(1).step_by(2) {
        let is_path = word.contains('/') && !word.starts_with('/') && !word.contains([' ', '*', '<']);
        if is_path {
            let exists = [root.join(word), source().join(word), source().join(format!("{word}.rs"))];
            let exists = exists.iter().any(|path| path.exists());
            assert!(exists, "ARCHITECTURE.md names {word}, which does not exist");
        }
        let segments: Vec<&str> = word.split("::").collect();
        let (module, name) = (segments[0], segments[segments.len() - 1]);
        if segments.len() > 1 && source().join(module).is_dir() {
            let is_there = files(&source().join(module)).iter().any(|(_, text)| {
                ["fn ", "struct ", "enum ", "trait ", "mod "]
                    .iter()
                    .any(|kind| defines(text, &format!("{kind}{name}")))
            });
            assert!(is_there, "ARCHITECTURE.md names {word}, which does not exist");
        }
    }
}

/// Returns whether a text contains a definition and not just one with a longer name.
fn defines(text: &str, definition: &str) -> bool {
    text.match_indices(definition)
        .any(|(at, _)| !text[at + definition.len()..].starts_with(|c: char| c.is_alphanumeric() || c == '_'))
}

/// Files, ledgers and settings reach a renderer in one way, the same for every command.
#[test]
fn renderers_are_built_in_the_workspace_only() {
    let is_outside =
        |path: &Path| !["render", "workspace"].iter().any(|m| path.starts_with(source().join(m)));
    for (path, text) in files(&source()).into_iter().filter(|(path, _)| is_outside(path)) {
        for word in ["build_renderer(", "RendererInputs", "Renderer::new"] {
            assert!(!text.contains(word), "{} uses {word}", path.display());
        }
    }
}

#[test]
fn programs_are_started_in_one_module() {
    let mut files = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    let starts = |path: &&PathBuf| {
        let text = fs::read_to_string(path).unwrap();
        let is_of_module = path.to_string_lossy().contains("/src/programs/");
        let is_of_clap = text.contains("use clap::") && !text.contains("std::process::Command");
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        !is_of_module
            && !is_of_clap
            && [" Command::new(", ".spawn()?", ".output()"].iter().any(|call| code.contains(call))
    };
    let found: Vec<_> =
        files.iter().filter(starts).filter(|path| !path.ends_with("git/git_command.rs")).collect();
    assert!(found.is_empty(), "these start programs by themselves: {found:?}");
}
