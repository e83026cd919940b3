//! Lines of CODEOWNERS: a change of what decides about sidecars is reviewed by their owner.

use crate::model::file_list::slashes;
use crate::model::repository::Repository;
use crate::read::{Files, Kind, plain};
use std::path::Path;

/// Returns the text of CODEOWNERS with the lines that an owner needs at its end, where the last that matches counts.
///
/// They cover pillion.yaml at any depth, because a nearer one wins; what it names; the files of `further`, each with
/// its path from the root.
pub(super) fn with_owner(
    old: &str,
    owner: &str,
    (repository, root): (&Repository, &Path),
    files: &dyn Files,
    further: &[&str],
) -> String {
    let mut patterns = vec!["pillion.yaml".to_owned()];
    let ledgers = repository.ledgers.as_deref().unwrap_or("ledgers");
    let folders = [Some(ledgers), repository.rendered.as_deref()].into_iter().flatten();
    patterns.extend(folders.map(|folder| pattern(&root.join(folder), true)));
    patterns.extend(repository.sidecar_sets.iter().map(|set| {
        let path = plain(&root.join(set));
        pattern(&path, files.kind(&path) != Some(Kind::File))
    }));
    patterns.extend(further.iter().map(|file| pattern(Path::new(file), false)));
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
fn pattern(path: &Path, is_folder: bool) -> String {
    let path = slashes(&plain(path));
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
    use crate::read::{Listed, Listing};

    #[test]
    fn everything_that_decides_about_sidecars_has_an_owner() {
        let files = Listing::new([("platform/extra set.yaml".into(), Listed::File(()))], |()| Ok(Vec::new()));
        let mut repository = Repository {
            ledgers: Some("ledgers".to_owned()),
            rendered: Some("rendered".to_owned()),
            sidecar_sets: vec!["sidecars".to_owned(), "extra set.yaml".to_owned()],
            ..Repository::default()
        };
        let own = [".github/CODEOWNERS"];
        let root = Path::new("platform");
        let text = with_owner("* @all", "@acme/platform", (&repository, root), &files, &own);
        assert_eq!(
            text,
            "* @all\npillion.yaml @acme/platform\n/platform/ledgers/ @acme/platform\n/platform/rendered/ @acme/platform\n/platform/sidecars/ @acme/platform\n/platform/extra\\ set.yaml @acme/platform\n/.github/CODEOWNERS @acme/platform\n"
        );
        assert_eq!(with_owner(&text, "@acme/platform", (&repository, root), &files, &own), text);
        repository.rendered = Some(".".to_owned());
        let text = with_owner("", "@a", (&repository, Path::new("")), &files, &[]);
        assert!(text.contains("\n* @a\n"), "{text}");
    }
}
