//! Checks the branch names of pillion.yaml.
//!
//! Staged branches and branches of pull requests are below `pillion/`, all others are not, so that no two of them can
//! have one name.

use super::GitConfig;
use crate::diagnostics::{Code, Diagnostic};
use crate::yaml::{Document, EntryPart, FieldPath};

/// Prefix of the branches that pillion writes and removes.
pub(crate) const BRANCH_PREFIX: &str = "pillion/";

/// Prefix of the branches of pull requests.
const PULL_REQUEST_PREFIX: &str = "pillion/next/";

/// Placeholders in the name of a staged branch.
const PLACEHOLDERS: [&str; 3] = ["{deploy}", "{sidecarSet}", "{cluster}"];

impl GitConfig {
    /// Reports invalid branch names.
    pub(super) fn validate(&self, document: &Document) -> Vec<Diagnostic> {
        let mut diagnostics = Vec::new();
        let mut report = |key: &str, (reason, help): (String, String)| {
            let at = FieldPath::dotted("git").child(key);
            let diagnostic = Diagnostic::error(Code::InvalidConfiguration, format!("`{at}` {reason}"));
            let label = document.label(&at, EntryPart::Value, "");
            diagnostics.push(diagnostic.at(label).field(at.to_string()).help(help));
        };
        for (key, name) in [("deploy", &self.deploy), ("source", &self.source)] {
            if let Some(error) = name.as_deref().and_then(check_branch) {
                report(key, error);
            }
        }
        if let Some(error) = self.staged.as_deref().and_then(check_pattern) {
            report("staged", error);
        }
        diagnostics
    }
}

/// Returns the error of a branch outside of `pillion/`, and what to write.
fn check_branch(name: &str) -> Option<(String, String)> {
    let example = "write the short name of a branch, such as `main` or `env/prod`";
    if name == BRANCH_PREFIX.trim_end_matches('/') || name.starts_with(BRANCH_PREFIX) {
        let reason =
            format!("is `{name}`, but pillion writes and removes the branches below `{BRANCH_PREFIX}`");
        return Some((reason, "use another name, such as `env/prod`".to_owned()));
    }
    if name == "HEAD" || name.starts_with("refs/") {
        return Some((format!("is `{name}`; expected a short branch name"), example.to_owned()));
    }
    invalid_branch_reason(name).map(|reason| {
        (format!("is `{name}`, which is not a valid branch name: {reason}"), example.to_owned())
    })
}

/// Returns the error of the pattern of staged branches, and what to write.
fn check_pattern(pattern: &str) -> Option<(String, String)> {
    let help = "write `staged: pillion/{deploy}/{sidecarSet}`, or remove the key";
    let error = |reason: String| Some((reason, help.to_owned()));
    if !pattern.starts_with(BRANCH_PREFIX) {
        return error(format!(
            "is `{pattern}`, which is not below `{BRANCH_PREFIX}`; pillion replaces and removes staged branches there only"
        ));
    }
    if pattern.starts_with(PULL_REQUEST_PREFIX) {
        return error(format!(
            "is `{pattern}`, but `{PULL_REQUEST_PREFIX}` is reserved for the branches of pull requests"
        ));
    }
    if !pattern.contains("{sidecarSet}") {
        return error(format!(
            "is `{pattern}`, but must contain `{{sidecarSet}}`, because each SidecarSet has its own staged branch"
        ));
    }
    let filled = PLACEHOLDERS.iter().fold(pattern.to_owned(), |text, key| text.replace(key, "x"));
    if filled.contains(['{', '}']) {
        return error(format!("is `{pattern}`, but the placeholders are `{}`", PLACEHOLDERS.join("`, `")));
    }
    invalid_branch_reason(&filled).map(|reason| {
        (format!("is `{pattern}`, which makes no valid branch name: {reason}"), help.to_owned())
    })
}

/// Returns why git refuses a name for a branch, by git-check-ref-format(1).
pub(crate) fn invalid_branch_reason(name: &str) -> Option<&'static str> {
    let has = |parts: &[&str]| parts.iter().any(|part| name.contains(part));
    let is_refused = |c: char| c.is_control() || " ~^:?*[\\".contains(c);
    if name.is_empty() || name.split('/').any(str::is_empty) {
        Some("a part of it is empty")
    } else if name.starts_with('-') || name.split('/').any(|part| part.starts_with('.')) {
        Some("it begins with `-`, or a part of it with `.`")
    } else if name.ends_with('.') || name.split('/').any(|part| part.ends_with(".lock")) {
        Some("it ends with `.`, or a part of it with `.lock`")
    } else if has(&["..", "@{"]) || name.contains(is_refused) {
        Some("it has `..`, `@{`, a space, a control character or one of `~^:?*[\\`")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::super::decode;
    use crate::yaml::Document;

    fn messages(git: &str) -> Vec<String> {
        let text = format!("apiVersion: pillion.dev/v1alpha1\nkind: Repository\ngit: {{{git}}}\n");
        let document = Document::read(&"pillion.yaml".into(), 0, 1, &text).unwrap();
        let (_, diagnostics) = decode(&document);
        diagnostics.into_iter().map(|d| format!("{}: {}", d.spans[0].line, d.message)).collect()
    }

    #[test]
    fn valid_branch_names() {
        for git in [
            "deploy: env/prod, source: main",
            "staged: 'pillion/{deploy}/{sidecarSet}'",
            "staged: 'pillion/{sidecarSet}'",
            "staged: 'pillion/{cluster}/{deploy}-{sidecarSet}'",
            "deploy: pillions, source: next",
        ] {
            assert_eq!(messages(git), Vec::<String>::new(), "{git}");
        }
    }

    #[test]
    fn invalid_branch_names() {
        for (git, why) in [
            ("deploy: pillion/prod", "`git.deploy` is `pillion/prod`, but pillion writes"),
            ("deploy: pillion", "`git.deploy` is `pillion`, but pillion writes"),
            ("source: pillion/next/log/main", "`git.source` is `pillion/next/log/main`, but pillion writes"),
            ("deploy: HEAD", "expected a short branch name"),
            ("deploy: refs/heads/main", "expected a short branch name"),
            ("deploy: a..b", "is not a valid branch name"),
            ("source: x.lock", "is not a valid branch name"),
            ("deploy: ../x", "is not a valid branch name"),
            ("deploy: '-f'", "is not a valid branch name"),
            ("staged: 'feature/{sidecarSet}'", "is not below `pillion/`"),
            ("staged: '{sidecarSet}'", "is not below `pillion/`"),
            ("staged: '{deploy}/{sidecarSet}'", "is not below `pillion/`"),
            ("staged: 'pillion-{sidecarSet}'", "is not below `pillion/`"),
            ("staged: 'refs/heads/pillion/{sidecarSet}'", "is not below `pillion/`"),
            ("staged: 'pillion/next/{sidecarSet}/{deploy}'", "is reserved for"),
            ("staged: 'pillion/{deploy}'", "must contain `{sidecarSet}`"),
            ("staged: 'pillion/{deploy}/{sidecarSet}/{set}'", "the placeholders are"),
            ("staged: 'pillion/../{sidecarSet}'", "makes no valid branch name"),
            ("staged: 'pillion/{sidecarSet}.lock'", "makes no valid branch name"),
        ] {
            let found = messages(git);
            assert!(
                matches!(&found[..], [one] if one.starts_with("3: ") && one.contains(why)),
                "{git}: {found:?}"
            );
        }
    }
}
