//! A workload as a person names it, in the forms of kubectl and of ledgers.

use super::kinds::{KNOWN_KINDS, SIDECAR_SET};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Candidates that a message lists.
const MAX_CANDIDATES: usize = 5;

/// The name of a workload: `web`, `deploy/web`, `Deployment.apps/web`, `shop/web`, `deploy/shop/web` or its whole key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct WorkloadQuery<'a> {
    text: &'a str,
}

/// Why a name is not that of one workload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum WorkloadQueryError {
    /// It has another form than that of a name.
    Invalid(String),
    /// No workload has it; the nearest ones.
    Unknown(String, Vec<String>),
    /// No workload has it or one like it; all that exist.
    Unlike(String, Vec<String>),
    /// Several have it.
    Ambiguous(String, Vec<String>),
}

impl<'a> WorkloadQuery<'a> {
    /// Takes the words of a person.
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text: text.trim() }
    }

    /// Returns whether a key, `KIND[.GROUP]/NAMESPACE/NAME`, has this name. Kinds are matched in any case, and by the
    /// short and plural names of kubectl.
    pub(crate) fn matches(&self, key: &str) -> bool {
        let Some((kind, namespace, name)) = split_key(key) else { return false };
        match self.text.split('/').collect::<Vec<_>>()[..] {
            _ if self.text == key => true,
            [only] => only == name,
            [above, wanted] => wanted == name && (above == namespace || is_kind(above, kind)),
            [above, within, wanted] => wanted == name && within == namespace && is_kind(above, kind),
            _ => false,
        }
    }

    /// Returns the one key that has this name; the whole key wins over shorter names.
    ///
    /// # Errors
    /// When none has it, or several.
    pub(crate) fn find<'k>(
        &self,
        keys: impl IntoIterator<Item = &'k str>,
    ) -> Result<&'k str, WorkloadQueryError> {
        let all: Vec<&str> = keys.into_iter().collect();
        let mut found: Vec<&str> = all.iter().copied().filter(|key| self.matches(key)).collect();
        found.sort_unstable();
        found.dedup();
        if let Some(whole) = found.iter().find(|key| **key == self.text) {
            return Ok(whole);
        }
        match found[..] {
            [only] => Ok(only),
            [] => Err(self.unknown(&all)),
            _ => Err(WorkloadQueryError::Ambiguous(
                self.text.to_owned(),
                found.into_iter().map(str::to_owned).collect(),
            )),
        }
    }

    /// Returns the error for a name that no key has.
    pub(crate) fn unknown(&self, keys: &[&str]) -> WorkloadQueryError {
        let parts = self.text.split('/').count();
        if self.text.is_empty() || parts > 3 || self.text.split('/').any(str::is_empty) {
            return WorkloadQueryError::Invalid(self.text.to_owned());
        }
        let wanted = self.text.to_lowercase();
        let name = wanted.rsplit('/').next().unwrap_or(&wanted);
        let mut near: Vec<(usize, &str)> = Vec::new();
        for key in keys {
            let forms = forms_of(key).into_iter().filter(|form| form.split('/').count() == parts);
            let forms = forms.filter_map(|form| distance(&wanted, &form.to_lowercase()));
            // Another kind or namespace is less near than a wrong letter.
            let named = split_key(key).map_or(*key, |(_, _, name)| name).to_lowercase();
            let named = distance(name, &named).map(|distance| distance * 2 + 2);
            near.extend(forms.chain(named).min().map(|distance| (distance, *key)));
        }
        near.sort_unstable();
        near.dedup();
        let near: Vec<String> =
            near.into_iter().take(MAX_CANDIDATES).map(|(_, key)| key.to_owned()).collect();
        if near.is_empty() {
            let all: BTreeSet<&str> = keys.iter().copied().collect();
            return WorkloadQueryError::Unlike(
                self.text.to_owned(),
                all.into_iter().map(str::to_owned).collect(),
            );
        }
        WorkloadQueryError::Unknown(self.text.to_owned(), near)
    }
}

/// Returns names of workloads that begin with what a person has typed: of each workload the shortest one that names no
/// other workload.
pub(crate) fn complete_workload(typed: &str, keys: &BTreeSet<String>) -> BTreeSet<String> {
    let mut uses: BTreeMap<String, usize> = BTreeMap::new();
    for form in keys.iter().flat_map(|key| distinct_forms_of(key)) {
        *uses.entry(form).or_default() += 1;
    }
    let shortest = |key: &String| {
        let mut forms = distinct_forms_of(key).into_iter();
        forms.find(|form| form.starts_with(typed) && uses.get(form) == Some(&1))
    };
    keys.iter().filter_map(shortest).collect()
}

impl fmt::Display for WorkloadQueryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(text) => write!(
                f,
                "`{text}` is not the name of a workload: write `web`, `deploy/web`, `shop/web` or `Deployment.apps/shop/web`"
            ),
            Self::Unknown(text, near) => {
                write!(f, "there is no workload `{text}`: did you mean {}?", listed(near))
            }
            Self::Unlike(text, all) if all.is_empty() => {
                write!(f, "there is no workload `{text}`, nor any other in the manifests that were read")
            }
            Self::Unlike(text, all) => {
                let named: Vec<String> =
                    all.iter().take(MAX_CANDIDATES).map(|key| format!("`{key}`")).collect();
                let rest = match all.len().saturating_sub(MAX_CANDIDATES) {
                    0 => String::new(),
                    more => format!(" and {more} more"),
                };
                write!(f, "there is no workload `{text}`; there is {}{rest}", named.join(", "))
            }
            Self::Ambiguous(text, found) => {
                write!(f, "`{text}` may be {}: write the whole key", listed(found))
            }
        }
    }
}

/// Returns keys as a sentence has them; the first ones by name.
fn listed(keys: &[String]) -> String {
    let named: Vec<String> = keys.iter().take(MAX_CANDIDATES).map(|key| format!("`{key}`")).collect();
    match keys.len().saturating_sub(MAX_CANDIDATES) {
        0 => named.join(" or "),
        more => format!("{} or {more} more", named.join(", ")),
    }
}

/// Returns how many letters are wrong; None: more in one part than a typing error has.
fn distance(wanted: &str, form: &str) -> Option<usize> {
    let parts = wanted.split('/').zip(form.split('/'));
    let distances = parts.map(|(wanted, part)| {
        let distance = strsim::osa_distance(wanted, part);
        (distance <= wanted.len().max(part.len()) / 3).then_some(distance)
    });
    distances.sum()
}

/// Splits a key into kind with group, namespace and name.
fn split_key(key: &str) -> Option<(&str, &str, &str)> {
    let mut parts = key.splitn(3, '/');
    Some((parts.next()?, parts.next()?, parts.next()?))
}

/// The names that a person may give a workload.
fn forms_of(key: &str) -> Vec<String> {
    let Some((kind, namespace, name)) = split_key(key) else { return vec![key.to_owned()] };
    let plain = kind.split('.').next().unwrap_or(kind);
    let mut forms = vec![
        name.to_owned(),
        format!("{namespace}/{name}"),
        format!("{plain}/{name}"),
        format!("{kind}/{name}"),
        format!("{plain}/{namespace}/{name}"),
        key.to_owned(),
    ];
    forms.extend(names_of(kind).map(|short| format!("{short}/{name}")));
    forms
}

/// The same, each once: kinds of the core group have one name with and without their group.
fn distinct_forms_of(key: &str) -> Vec<String> {
    let mut forms: Vec<String> = Vec::new();
    for form in forms_of(key) {
        if !forms.contains(&form) {
            forms.push(form);
        }
    }
    forms
}

/// Returns whether a word names a kind (`Deployment.apps`): with or without its group, or by a name of kubectl.
fn is_kind(word: &str, kind: &str) -> bool {
    let (plain, group) = kind.split_once('.').unwrap_or((kind, ""));
    let word = match word.split_once('.') {
        Some((word, written)) if written.eq_ignore_ascii_case(group) => word,
        Some(_) => return false,
        None => word,
    };
    word.eq_ignore_ascii_case(plain) || names_of(kind).any(|name| name.eq_ignore_ascii_case(word))
}

/// Returns the names that kubectl takes for a kind besides its own.
fn names_of(kind: &str) -> impl Iterator<Item = &'static str> {
    let (plain, group) = kind.split_once('.').unwrap_or((kind, ""));
    let known =
        KNOWN_KINDS.iter().chain([&SIDECAR_SET]).find(|known| known.kind == plain && known.group == group);
    known.into_iter().flat_map(|known| known.short_names.iter().copied().chain([known.plural]))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: &[&str] = &[
        "CloneSet.apps.kruise.io/shop/cart",
        "Deployment.apps/default/frontend",
        "Deployment.apps/default/web",
        "Deployment.apps/shop/web",
        "Pod/shop/web",
        "StatefulSet.apps.kruise.io/data/events",
        "StatefulSet.apps/data/queue",
    ];

    fn find(text: &str) -> Result<&'static str, WorkloadQueryError> {
        WorkloadQuery::new(text).find(KEYS.iter().copied())
    }

    #[test]
    fn the_forms_of_kubectl_and_of_ledgers_are_understood() {
        for text in [
            "cart",
            "shop/cart",
            "clone/cart",
            "clonesets/cart",
            "cloneset/shop/cart",
            "CloneSet.apps.kruise.io/cart",
            "CloneSet.apps.kruise.io/shop/cart",
        ] {
            assert_eq!(find(text), Ok("CloneSet.apps.kruise.io/shop/cart"), "{text}");
        }
        assert_eq!(find("deploy/shop/web"), Ok("Deployment.apps/shop/web"));
        assert_eq!(find("po/web"), Ok("Pod/shop/web"));
        // `sts` is short for both StatefulSets, `asts` for that of Kruise.
        assert_eq!(find("sts/events"), Ok("StatefulSet.apps.kruise.io/data/events"));
        assert!(matches!(find("asts/queue"), Err(WorkloadQueryError::Unknown(..))));
    }

    #[test]
    fn several_are_listed() {
        assert_eq!(
            find("deploy/web").unwrap_err().to_string(),
            "`deploy/web` may be `Deployment.apps/default/web` or `Deployment.apps/shop/web`: write the whole key"
        );
        // A namespace and a kind of the same name are both meant.
        assert!(matches!(find("shop/web"), Err(WorkloadQueryError::Ambiguous(_, all)) if all.len() == 2));
    }

    #[test]
    fn a_completion_is_the_shortest_name_of_one_workload() {
        let keys: BTreeSet<String> = KEYS.iter().map(ToString::to_string).collect();
        let complete = |typed: &str| complete_workload(typed, &keys).into_iter().collect::<Vec<_>>();
        assert_eq!(
            complete(""),
            ["Deployment/shop/web", "Pod/web", "cart", "default/web", "events", "frontend", "queue"]
        );
        assert_eq!(complete("fr"), ["frontend"]);
        assert_eq!(complete("shop/"), ["shop/cart"]);
        assert_eq!(complete("deploy/f"), ["deploy/frontend"]);
        assert_eq!(
            complete("Deployment/"),
            ["Deployment/default/web", "Deployment/frontend", "Deployment/shop/web"]
        );
        assert_eq!(complete("StatefulSet."), ["StatefulSet.apps.kruise.io/events", "StatefulSet.apps/queue"]);
        assert!(complete("zebra").is_empty());
        for name in
            ["", "de", "Deployment", "StatefulSet", "shop/", "po", "data/"].into_iter().flat_map(complete)
        {
            assert!(find(&name).is_ok(), "{name}");
        }
    }

    #[test]
    fn a_typing_error_is_answered_with_the_nearest() {
        for (text, near) in [
            ("Deployment/fronted", "Deployment.apps/default/frontend"),
            ("deploy/frontned", "Deployment.apps/default/frontend"),
            ("fronted", "Deployment.apps/default/frontend"),
            ("shop/crat", "CloneSet.apps.kruise.io/shop/cart"),
            // Another kind, or another namespace.
            ("Deployment/cart", "CloneSet.apps.kruise.io/shop/cart"),
            ("data/frontend", "Deployment.apps/default/frontend"),
        ] {
            let said = find(text).unwrap_err().to_string();
            assert!(said.contains(&format!("did you mean `{near}`")), "{text}: {said}");
        }
        // The kind may be right, and the name is none of these.
        for text in ["zebra", "Deployment/none"] {
            let said = find(text).unwrap_err().to_string();
            assert!(
                said.starts_with(&format!("there is no workload `{text}`; there is `CloneSet.")),
                "{said}"
            );
            assert!(said.ends_with(" more"), "{said}");
        }
        assert_eq!(
            WorkloadQuery::new("web").find([]).unwrap_err().to_string(),
            "there is no workload `web`, nor any other in the manifests that were read"
        );
        for text in ["", "/", "a/", "a/b/c/d"] {
            assert!(matches!(find(text), Err(WorkloadQueryError::Invalid(_))), "{text}");
        }
    }
}
