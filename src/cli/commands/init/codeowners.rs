//! Lines of CODEOWNERS: a change of what decides about sidecars is reviewed by their owner.

use crate::model::config::RepositoryConfig;
use crate::model::file_list::to_slash;
use crate::read::{FileKind, FileSource, normalize_path};
use std::path::Path;

/// Returns the text of CODEOWNERS with the lines that an owner needs at its end, where the last that matches counts.
///
/// They cover pillion.yaml at any depth, because a nearer one wins; what it names; the files of `further`, each with
/// its path from the root.
pub(in crate::cli) fn add_owner(
    old: &str,
    owner: &str,
    (repository, root): (&RepositoryConfig, &Path),
    files: &dyn FileSource,
    further: &[&str],
) -> String {
    let mut patterns = vec!["pillion.yaml".to_owned()];
    let ledgers = repository.ledgers.as_deref().unwrap_or("ledgers");
    let folders = [Some(ledgers), repository.rendered.as_deref()].into_iter().flatten();
    patterns.extend(folders.map(|folder| codeowners_pattern(&root.join(folder), true)));
    patterns.extend(repository.sidecar_sets.iter().map(|set| {
        let path = normalize_path(&root.join(set));
        codeowners_pattern(&path, files.kind(&path) != Some(FileKind::File))
    }));
    patterns.extend(further.iter().map(|file| codeowners_pattern(Path::new(file), false)));
    let mut new = old.to_owned();
    for pattern in patterns {
        let line = format!("{pattern} {owner}");
        if new.lines().any(|known| known == line) {
            continue;
        }
        if !new.is_empty() && !new.ends_with('\n') {
            new.push('\n');
        }
        new.push_str(&line);
        new.push('\n');
    }
    new
}

/// Returns the pattern of a file or folder; of the whole repository it is `*`.
fn codeowners_pattern(path: &Path, is_folder: bool) -> String {
    let path = to_slash(&normalize_path(path));
    if path.is_empty() {
        return "*".to_owned();
    }
    let mut pattern = String::from("/");
    for c in path.chars() {
        if matches!(c, ' ' | '#' | '\\' | '*' | '?' | '[') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    if is_folder {
        pattern.push('/');
    }
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read::{CommitListing, ListingEntry};
    use indoc::indoc;

    #[test]
    fn everything_that_decides_about_sidecars_has_an_owner() {
        let files = CommitListing::new([("platform/extra set.yaml".into(), ListingEntry::File(()))], |()| {
            Ok(Vec::new())
        });
        let mut repository = RepositoryConfig {
            ledgers: Some("ledgers".to_owned()),
            rendered: Some("rendered".to_owned()),
            sidecar_sets: vec!["sidecars".to_owned(), "extra set.yaml".to_owned()],
            ..RepositoryConfig::default()
        };
        let own = [".github/CODEOWNERS"];
        let root = Path::new("platform");
        let text = add_owner("* @all", "@acme/platform", (&repository, root), &files, &own);
        assert_eq!(
            text,
            indoc! {r"
                * @all
                pillion.yaml @acme/platform
                /platform/ledgers/ @acme/platform
                /platform/rendered/ @acme/platform
                /platform/sidecars/ @acme/platform
                /platform/extra\ set.yaml @acme/platform
                /.github/CODEOWNERS @acme/platform
            "}
        );
        assert_eq!(add_owner(&text, "@acme/platform", (&repository, root), &files, &own), text);
        repository.rendered = Some(".".to_owned());
        let text = add_owner("", "@a", (&repository, Path::new("")), &files, &[]);
        assert!(text.contains("\n* @a\n"), "{text}");
    }
}
