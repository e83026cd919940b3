//! The person who runs a command: the author of its commit.

use crate::git::{Identity, Repository};
use crate::stage::Error;

/// Returns the person at work: as git is configured, or as a CI system says who started it.
///
/// # Errors
/// If no person is known: a name that git guesses from the machine and its user is not one.
pub(super) fn current_author(repository: &Repository) -> Result<Identity, Error> {
    let known = repository.configured_author()?;
    known.or_else(|| author_from_ci(&|name| std::env::var(name).ok())).ok_or(Error::NoIdentity)
}

/// The person who started a job of GitHub or GitLab.
fn author_from_ci(variable: &dyn Fn(&str) -> Option<String>) -> Option<Identity> {
    let variable_text = |name| variable(name).filter(|text| !text.trim().is_empty());
    if let Some(actor) = variable_text("GITHUB_ACTOR") {
        return Identity::new(&actor, &format!("{actor}@users.noreply.github.com")).ok();
    }
    Identity::new(&variable_text("GITLAB_USER_NAME")?, &variable_text("GITLAB_USER_EMAIL")?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_says_who_started_it() {
        let of = |variables: &[(&str, &str)]| {
            let find =
                |name: &str| variables.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned());
            author_from_ci(&find).map(|who| who.to_string())
        };
        assert_eq!(of(&[("GITHUB_ACTOR", "ann")]).unwrap(), "ann <ann@users.noreply.github.com>");
        let gitlab = [("GITLAB_USER_NAME", "Ann B"), ("GITLAB_USER_EMAIL", "ann@acme.example")];
        assert_eq!(of(&gitlab).unwrap(), "Ann B <ann@acme.example>");
        assert_eq!(of(&gitlab[..1]), None);
        assert_eq!(of(&[("GITHUB_ACTOR", " ")]), None);
    }
}
