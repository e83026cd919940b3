//! Says why the kubelet does not accept the name of an image.

use super::image;

/// Maximum length of a name without tag and digest.
const MAX_NAME_LENGTH: usize = 255;
/// Maximum length of a tag.
const MAX_TAG_LENGTH: usize = 128;

/// What is wrong with the name of an image, and what to do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ImageNameProblem {
    pub(crate) reason: String,
    pub(crate) help: String,
}

/// Returns what is wrong with the name of an image, by the grammar of [`image`]. Empty names and names with variables of
/// other tools (`$`) are not checked.
pub(crate) fn check_image_name(image: &str) -> Option<ImageNameProblem> {
    if image.is_empty() || image.contains('$') || image::is_valid(image) {
        return None;
    }
    let form = || {
        problem(
            "it does not have the form `REGISTRY/PATH:TAG`",
            "write, for example, `registry.example/log:1.5.0`",
        )
    };
    find_problem(image).or_else(form)
}

fn find_problem(image: &str) -> Option<ImageNameProblem> {
    if image.contains(char::is_whitespace) {
        return problem("it contains a space", "remove the space");
    }
    let (rest, digest) = image.split_once('@').map_or((image, None), |(rest, digest)| (rest, Some(digest)));
    if let Some(found) = digest.and_then(check_digest) {
        return Some(found);
    }
    let (name, tag) = match rest.rsplit_once(':') {
        // A colon before a slash is that of a port.
        Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
        _ => (rest, None),
    };
    tag.and_then(check_tag).or_else(|| check_name(name))
}

fn problem(reason: impl Into<String>, help: impl Into<String>) -> Option<ImageNameProblem> {
    Some(ImageNameProblem { reason: reason.into(), help: help.into() })
}

fn check_digest(digest: &str) -> Option<ImageNameProblem> {
    let Some((algorithm, digits)) = digest.split_once(':') else {
        return problem("its digest has no algorithm", "write `@sha256:` and the 64 digits of the digest");
    };
    let Some(length) = image::digest_length(algorithm) else {
        return problem(
            format!("`{algorithm}` is not a digest algorithm"),
            "use a digest that starts with `sha256:`",
        );
    };
    let expected = format!("copy the whole digest: `{algorithm}:` and {length} digits from `0` to `f`");
    if digits.chars().count() != length {
        return problem(format!("its digest has {} of {length} digits", digits.chars().count()), expected);
    }
    let is_digit = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
    match digits.chars().find(|c| !is_digit(*c)) {
        Some(c) if c.is_ascii_hexdigit() => {
            problem("its digest has upper-case letters", "write the digest in lower case")
        }
        Some(c) => problem(format!("its digest contains `{c}`"), expected),
        None => None,
    }
}

fn check_tag(tag: &str) -> Option<ImageNameProblem> {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if tag.is_empty() {
        return problem("its tag is empty", "write a tag after the `:`, or remove the `:`");
    }
    if tag.len() > MAX_TAG_LENGTH {
        return problem(format!("its tag is longer than {MAX_TAG_LENGTH} characters"), "use a shorter tag");
    }
    match tag.chars().find(|c| !is_allowed(*c)) {
        Some(c) => {
            problem(format!("its tag contains `{c}`"), "use letters, digits, `_`, `-` and `.` in a tag")
        }
        None if tag.starts_with(['-', '.']) => {
            problem("its tag does not start with a letter, a digit or `_`", "use another tag")
        }
        None => None,
    }
}

fn check_name(name: &str) -> Option<ImageNameProblem> {
    // The first part is a registry if it cannot be part of a path.
    let is_registry = |part: &str| {
        part.contains(['.', ':']) || part == "localhost" || part.chars().any(|c| c.is_ascii_uppercase())
    };
    let (registry, path) = match name.split_once('/') {
        Some((first, path)) if is_registry(first) => (Some(first), path),
        _ => (None, name),
    };
    if path.len() > MAX_NAME_LENGTH {
        return problem(
            format!("its name is longer than {MAX_NAME_LENGTH} characters"),
            "use a shorter name",
        );
    }
    if let Some(registry) = registry.filter(|registry| !is_registry_name(registry)) {
        return problem(
            format!("`{registry}` is not the name of a registry"),
            "write the host name of the registry",
        );
    }
    if path.chars().any(|c| c.is_ascii_uppercase()) {
        return problem("its name has upper-case letters", format!("write `{}`", path.to_lowercase()));
    }
    match path.split('/').find(|part| !is_path_part(part)) {
        Some("") => problem("its name has an empty part", "remove the extra `/`"),
        Some(part) => problem(
            format!("`{part}` is not a valid part of its name"),
            "use lower-case letters and digits, with single `.`, `_` or `-` between them",
        ),
        None => None,
    }
}

/// Returns whether a text is a host, also an IPv6 address in brackets, with or without a port.
fn is_registry_name(registry: &str) -> bool {
    let (host, port) = match registry.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port),
        _ => (registry, "0"),
    };
    let is_label = |label: &str| {
        !label.is_empty()
            && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let is_address = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .is_some_and(|address| address.chars().all(|c| c.is_ascii_hexdigit() || c == ':'));
    !port.is_empty()
        && port.chars().all(|c| c.is_ascii_digit())
        && (is_address || host.split('.').all(is_label))
}

/// Returns whether a text has lower-case letters and digits, with `.`, `_`, `__` or hyphens between them.
fn is_path_part(part: &str) -> bool {
    let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let is_separator = |text: &str| matches!(text, "." | "_" | "__") || text.chars().all(|c| c == '-');
    part.starts_with(is_word)
        && part.ends_with(is_word)
        && part.split(is_word).filter(|between| !between.is_empty()).all(is_separator)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(image: &str) -> String {
        check_image_name(image).map(|found| found.reason).unwrap_or_default()
    }

    #[test]
    fn valid_names_are_accepted() {
        let digest = "0123456789abcdef".repeat(4);
        // Each part by itself, too: where the grammar finds nothing, the search for a reason must not either.
        let reason =
            |image: &str| reason(image) + &find_problem(image).map_or_else(String::new, |p| p.reason);
        for image in [
            "logtail",
            "logtail:1.5.0",
            "library/nginx",
            "registry.example/a/b_c/d__e/f---g.h:V1.2-rc_1",
            "localhost:5000/a",
            "Registry/log:1",
            "[2001:db8::1]:5000/a:1",
            "registry.example:443/log:1.5.0-distroless-static",
        ] {
            assert_eq!(reason(image), "", "{image}");
            assert_eq!(reason(&format!("{image}@sha256:{digest}")), "", "{image}");
        }
        assert_eq!(check_image_name("${REGISTRY}/log:$(VERSION)"), None);
        assert_eq!(check_image_name(""), None);
    }

    #[test]
    fn invalid_names_have_a_reason() {
        for (image, expected) in [
            ("Registry/Log Tail:1", "it contains a space"),
            ("registry.example/Log:1", "its name has upper-case letters"),
            ("Log:1", "its name has upper-case letters"),
            ("log:", "its tag is empty"),
            ("log:v1+2", "its tag contains `+`"),
            ("log:-1", "its tag does not start with a letter, a digit or `_`"),
            ("log@sha256:abc", "its digest has 3 of 64 digits"),
            ("log:1@md5:abc", "`md5` is not a digest algorithm"),
            ("log@abc", "its digest has no algorithm"),
            ("https://registry.example/log", "`https:` is not the name of a registry"),
            ("registry.example//log", "its name has an empty part"),
            ("registry.example/log_", "`log_` is not a valid part of its name"),
            ("a..b", "`a..b` is not a valid part of its name"),
        ] {
            assert_eq!(reason(image), expected, "{image}");
        }
        assert_eq!(reason(&"a".repeat(64)), "it does not have the form `REGISTRY/PATH:TAG`");
        assert_eq!(reason(&format!("log@sha256:{}", "A".repeat(64))), "its digest has upper-case letters");
        assert_eq!(reason(&format!("log@sha256:{}", "g".repeat(64))), "its digest contains `g`");
        assert_eq!(reason(&format!("log:{}", "a".repeat(129))), "its tag is longer than 128 characters");
    }
}
