//! Versions of pillion that the files of CI systems and pre-commit name.

use super::{CheckState, DoctorCheck};
use crate::git::find_git_dir;
use crate::read::{MAX_FILE_BYTES, decode_text, list_visible_files};
use crate::sandbox::SandboxPath;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The folders and files of CI systems, from the root of the repository.
const CI_PLACES: &[&str] = &[
    ".github/workflows",
    ".gitea/workflows",
    ".forgejo/workflows",
    ".gitlab",
    ".gitlab-ci.yml",
    ".pre-commit-config.yaml",
];

/// A version that a line names.
#[derive(Debug, PartialEq, Eq)]
enum NamedVersion<'l> {
    /// All digits of a commit.
    Commit,
    /// A tag like `v1.2.3`.
    Tag(&'l str),
    /// Anything else: a branch, which moves.
    Moving(&'l str),
}

pub(super) fn check(path: &Path) -> Vec<DoctorCheck> {
    let Ok(git_dir) = find_git_dir(path) else { return Vec::new() };
    let root = git_dir.parent().unwrap_or(path).to_owned();
    let mut checks = Vec::new();
    for file in ci_files(&root) {
        let name: Arc<str> = file.to_string_lossy().into();
        let bytes = SandboxPath::from_user_path(&root).join(&file).read(MAX_FILE_BYTES);
        let Some(text) = bytes.ok().and_then(|bytes| decode_text(bytes, &name).ok()) else { continue };
        checks.extend(check_text(&name, &text));
    }
    checks
}

fn ci_files(root: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for place in CI_PLACES {
        let at = root.join(place);
        if at.is_file() {
            files.push(PathBuf::from(place));
            continue;
        }
        let is_yaml = |path: &Path| path.extension().is_some_and(|e| e == "yaml" || e == "yml");
        let below = if at.is_dir() { list_visible_files(&at, 1000, is_yaml) } else { Vec::new() };
        files.extend(below.into_iter().map(|file| Path::new(place).join(file)));
    }
    files
}

fn check_text(name: &str, text: &str) -> Vec<DoctorCheck> {
    let mut checks: Vec<DoctorCheck> = Vec::new();
    let mut seen = Vec::new();
    let mut is_own_hook = false;
    for line in text.lines() {
        let line = line.split(" #").next().unwrap_or(line);
        if line.contains("repo:") {
            is_own_hook = line.trim_end().ends_with("/pillion");
        }
        let Some(version) = named_version(line, is_own_hook) else { continue };
        if !seen.contains(&line.trim()) {
            seen.push(line.trim());
            checks.push(to_check(name, &version));
        }
    }
    checks
}

/// Returns the version of pillion that a line names: an action, a download, or `rev` of its hooks.
fn named_version(line: &str, is_own_hook: bool) -> Option<NamedVersion<'_>> {
    let after = |mark: &str| line.split_once(mark).map(|(_, rest)| rest);
    let text = match () {
        () if line.contains("uses:") => after("/pillion@")?,
        () if line.contains("/pillion/releases/download/") => after("/download/")?.split('/').next()?,
        () if is_own_hook => line.trim().strip_prefix("rev:")?,
        () => return None,
    };
    let text = text.trim().trim_matches(['"', '\'']);
    let is_commit = text.len() == 40 && text.chars().all(|c| c.is_ascii_hexdigit());
    let is_tag = text.strip_prefix('v').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    Some(match (is_commit, is_tag) {
        (true, _) => NamedVersion::Commit,
        (_, true) => NamedVersion::Tag(text),
        _ => NamedVersion::Moving(text),
    })
}

fn to_check(name: &str, version: &NamedVersion<'_>) -> DoctorCheck {
    let own = env!("CARGO_PKG_VERSION");
    match version {
        NamedVersion::Commit => {
            DoctorCheck::new(CheckState::Ok, "version", format!("`{name}` pins pillion to a commit"))
        }
        NamedVersion::Tag(tag) if tag.trim_start_matches('v') == own => {
            DoctorCheck::new(CheckState::Ok, "version", format!("`{name}` uses {tag}, as this program"))
        }
        NamedVersion::Tag(tag) => DoctorCheck::new(
            CheckState::Warning,
            "version",
            format!("`{name}` uses {tag}, and this program is v{own}"),
        )
        .help("two versions may render differently: use one on every machine"),
        NamedVersion::Moving(branch) => {
            DoctorCheck::new(CheckState::Warning, "version", format!("`{name}` uses `{branch}`, which moves"))
                .help(format!("pin a commit, or v{own}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_in_actions_downloads_and_hooks() {
        let commit = "0123456789abcdef0123456789abcdef01234567";
        let line = format!("    - uses: acme/pillion@{commit} # v1");
        assert_eq!(named_version(line.split(" #").next().unwrap(), false), Some(NamedVersion::Commit));
        assert_eq!(named_version("- uses: \"acme/pillion@main\"", false), Some(NamedVersion::Moving("main")));
        let line = "curl https://h/acme/pillion/releases/download/v1.2.3/x.tgz";
        assert_eq!(named_version(line, false), Some(NamedVersion::Tag("v1.2.3")));
        assert_eq!(named_version("  rev: v1.2.3", true), Some(NamedVersion::Tag("v1.2.3")));
        assert_eq!(named_version("  rev: v1.2.3", false), None);
        assert_eq!(named_version("- uses: actions/checkout@v5", false), None);
    }

    #[test]
    fn another_version_than_this_one_is_a_warning() {
        let text = "repos:\n- repo: https://h/acme/pillion\n  rev: v0.0.1\n- repo: https://h/acme/other\n  rev: v9\n";
        let checks = check_text(".pre-commit-config.yaml", text);
        assert_eq!((checks.len(), checks[0].state), (1, CheckState::Warning));
    }
}
