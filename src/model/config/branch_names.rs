//! What pillion.yaml may say of branches: staged ones and those of pull requests live below `pillion/`, where nobody
//! works, and the branches that people and clusters read live elsewhere. So no name of one can be that of another.

use super::config::GitConfig;
use crate::diagnostics::{Code, Diagnostic};
use crate::yaml::{Document, EntryPart, FieldPath};

/// Below this are the branches that pillion writes and removes.
pub const BRANCH_PREFIX: &str = "pillion/";

/// Below this are the branches of pull requests.
const PULL_REQUEST_PREFIX: &str = "pillion/next/";

/// What is filled in in the name of a staged branch.
const PLACEHOLDERS: [&str; 3] = ["{deploy}", "{sidecarSet}", "{cluster}"];

impl GitConfig {
    /// Says which names of branches cannot be used.
    pub(super) fn validate(&self, document: &Document) -> Vec<Diagnostic> {
        let mut found = Vec::new();
        let mut say = |key: &str, (why, help): (String, String)| {
            let at = FieldPath::dotted("git").child(key);
            let told = Diagnostic::error(Code::InvalidConfiguration, format!("`{at}` {why}"));
            found.push(told.at(document.label(&at, EntryPart::Value, "")).field(at.to_string()).help(help));
        };
        for (key, name) in [("deploy", &self.deploy), ("source", &self.source)] {
            if let Some(wrong) = name.as_deref().and_then(check_branch) {
                say(key, wrong);
            }
        }
        if let Some(wrong) = self.staged.as_deref().and_then(check_pattern) {
            say("staged", wrong);
        }
        found
    }
}

/// What is wrong with the name of a branch of others, and what to write.
fn check_branch(name: &str) -> Option<(String, String)> {
    let example = "write the short name of a branch, such as `main` or `env/prod`";
    if name == BRANCH_PREFIX.trim_end_matches('/') || name.starts_with(BRANCH_PREFIX) {
        let why = format!(
            "is `{name}`, and below `{BRANCH_PREFIX}` are the branches that pillion writes and removes"
        );
        return Some((why, "give the branch a name outside of that, such as `env/prod`".to_owned()));
    }
    if name == "HEAD" || name.starts_with("refs/") {
        return Some((format!("is `{name}`, which is no short name of a branch"), example.to_owned()));
    }
    invalid_branch_reason(name)
        .map(|why| (format!("is `{name}`, which cannot be the name of a branch: {why}"), example.to_owned()))
}

/// What is wrong with the pattern of staged branches, and what to write.
fn check_pattern(pattern: &str) -> Option<(String, String)> {
    let help = "write `staged: pillion/{deploy}/{sidecarSet}`, or leave the key out";
    let wrong = |why: String| Some((why, help.to_owned()));
    if !pattern.starts_with(BRANCH_PREFIX) {
        return wrong(format!(
            "is `{pattern}`, which is not below `{BRANCH_PREFIX}`: pillion replaces and removes staged branches, and elsewhere branches are of people"
        ));
    }
    if pattern.starts_with(PULL_REQUEST_PREFIX) {
        return wrong(format!(
            "is `{pattern}`, and below `{PULL_REQUEST_PREFIX}` are the branches of pull requests"
        ));
    }
    if !pattern.contains("{sidecarSet}") {
        return wrong(format!(
            "is `{pattern}`, which has no `{{sidecarSet}}`, and each SidecarSet has a staged branch of its own"
        ));
    }
    let filled = PLACEHOLDERS.iter().fold(pattern.to_owned(), |text, key| text.replace(key, "x"));
    if filled.contains(['{', '}']) {
        return wrong(format!("is `{pattern}`, and what is filled in is `{}`", PLACEHOLDERS.join("`, `")));
    }
    invalid_branch_reason(&filled)
        .map(|why| (format!("is `{pattern}`, which makes no names of branches: {why}"), help.to_owned()))
}

/// Why git would not take a name for a branch, as git-check-ref-format(1) has it.
pub fn invalid_branch_reason(name: &str) -> Option<&'static str> {
    let has = |odd: &[&str]| odd.iter().any(|part| name.contains(part));
    let is_odd = |c: char| c.is_control() || " ~^:?*[\\".contains(c);
    if name.is_empty() || name.split('/').any(str::is_empty) {
        Some("a part of it is empty")
    } else if name.starts_with('-') || name.split('/').any(|part| part.starts_with('.')) {
        Some("it begins with `-`, or a part of it with `.`")
    } else if name.ends_with('.') || name.split('/').any(|part| part.ends_with(".lock")) {
        Some("it ends with `.`, or a part of it with `.lock`")
    } else if has(&["..", "@{"]) || name.contains(is_odd) {
        Some("it has `..`, `@{`, a space, a control character or one of `~^:?*[\\`")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::super::config::decode;
    use crate::yaml::Document;

    fn told(git: &str) -> Vec<String> {
        let text = format!("apiVersion: pillion.dev/v1alpha1\nkind: Repository\ngit: {{{git}}}\n");
        let document = Document::read(&"pillion.yaml".into(), 0, 1, &text).unwrap();
        let (_, found) = decode(&document);
        found.into_iter().map(|d| format!("{}: {}", d.spans[0].line, d.message)).collect()
    }

    #[test]
    fn names_of_branches_that_are_fine() {
        for git in [
            "deploy: env/prod, source: main",
            "staged: 'pillion/{deploy}/{sidecarSet}'",
            "staged: 'pillion/{sidecarSet}'",
            "staged: 'pillion/{cluster}/{deploy}-{sidecarSet}'",
            "deploy: pillions, source: next",
        ] {
            assert_eq!(told(git), Vec::<String>::new(), "{git}");
        }
    }

    #[test]
    fn names_of_branches_that_are_refused() {
        for (git, why) in [
            ("deploy: pillion/prod", "`git.deploy` is `pillion/prod`, and below `pillion/`"),
            ("deploy: pillion", "`git.deploy` is `pillion`, and below `pillion/`"),
            ("source: pillion/next/log/main", "`git.source` is `pillion/next/log/main`, and below"),
            ("deploy: HEAD", "no short name"),
            ("deploy: refs/heads/main", "no short name"),
            ("deploy: a..b", "cannot be the name of a branch"),
            ("source: x.lock", "cannot be the name of a branch"),
            ("deploy: ../x", "cannot be the name of a branch"),
            ("deploy: '-f'", "cannot be the name of a branch"),
            ("staged: 'feature/{sidecarSet}'", "is not below `pillion/`"),
            ("staged: '{sidecarSet}'", "is not below `pillion/`"),
            ("staged: '{deploy}/{sidecarSet}'", "is not below `pillion/`"),
            ("staged: 'pillion-{sidecarSet}'", "is not below `pillion/`"),
            ("staged: 'refs/heads/pillion/{sidecarSet}'", "is not below `pillion/`"),
            ("staged: 'pillion/next/{sidecarSet}/{deploy}'", "branches of pull requests"),
            ("staged: 'pillion/{deploy}'", "has no `{sidecarSet}`"),
            ("staged: 'pillion/{deploy}/{sidecarSet}/{set}'", "what is filled in is"),
            ("staged: 'pillion/../{sidecarSet}'", "makes no names of branches"),
            ("staged: 'pillion/{sidecarSet}.lock'", "makes no names of branches"),
        ] {
            let found = told(git);
            assert!(
                matches!(&found[..], [one] if one.starts_with("3: ") && one.contains(why)),
                "{git}: {found:?}"
            );
        }
    }
}
