//! Checks the formats of names in Kubernetes. Each function returns the violated rule, which continues "it".

/// A violated rule.
pub(super) type FormatViolation = Option<&'static str>;

const DNS_LABEL_RULE: &str =
    "must have at most 63 lower-case letters, digits and `-`, and start and end with a letter or digit";
const DNS_SUBDOMAIN_RULE: &str =
    "must have at most 253 lower-case letters, digits, `-` and `.`, and start and end with a letter or digit";
const QUALIFIED_NAME_RULE: &str = "must be `NAME` or `DOMAIN/NAME`, the name of at most 63 letters, digits, `-`, `_` and `.`, \
                         starting and ending with a letter or digit";
const LABEL_VALUE_RULE: &str = "must be empty or have at most 63 letters, digits, `-`, `_` and `.`, and start and end with a letter or digit";

/// Checks an RFC 1123 label: the name of a container or volume.
pub(super) fn check_dns_label(text: &str) -> FormatViolation {
    (text.len() > 63 || !is_dns_label(text)).then_some(DNS_LABEL_RULE)
}

/// Checks an RFC 1123 subdomain: the name of most objects.
pub(super) fn check_dns_subdomain(text: &str) -> FormatViolation {
    (text.len() > 253 || !text.split('.').all(is_dns_label)).then_some(DNS_SUBDOMAIN_RULE)
}

/// Checks the key of a label or, in lower case, of an annotation.
pub(super) fn check_qualified_name(text: &str) -> FormatViolation {
    let (prefix, name) = match text.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, text),
    };
    let is_good =
        prefix.is_none_or(|p| check_dns_subdomain(p).is_none()) && name.len() <= 63 && is_name(name);
    (!is_good).then_some(QUALIFIED_NAME_RULE)
}

/// Checks the value of a label.
pub(super) fn check_label_value(text: &str) -> FormatViolation {
    (text.len() > 63 || !(text.is_empty() || is_name(text))).then_some(LABEL_VALUE_RULE)
}

/// Checks the name of an environment variable.
pub(super) fn check_env_name(text: &str) -> FormatViolation {
    let is_letter = |b: u8| b.is_ascii_alphabetic() || b"-._".contains(&b);
    let is_good = text.bytes().next().is_some_and(is_letter)
        && text.bytes().all(|b| is_letter(b) || b.is_ascii_digit());
    if !is_good {
        return Some("must have only letters, digits, `_`, `-` and `.`, and must not start with a digit");
    }
    check_parent_steps(text)
}

/// Checks a key of a ConfigMap or Secret.
pub(super) fn check_config_key(text: &str) -> FormatViolation {
    let is_good = !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b));
    if text.len() > 253 || !is_good {
        return Some("must have at most 253 letters, digits, `-`, `_` and `.`");
    }
    check_parent_steps(text)
}

/// Checks the name of a port.
pub(super) fn check_port_name(text: &str) -> FormatViolation {
    let is_good = text.len() <= 15
        && !text.is_empty()
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && text.bytes().any(|b| b.is_ascii_lowercase())
        && !text.contains("--")
        && !text.starts_with('-')
        && !text.ends_with('-');
    (!is_good).then_some(
        "must have at most 15 lower-case letters, digits and single inner hyphens, and at least one letter",
    )
}

/// Checks the name of an HTTP header.
pub(super) fn check_http_header(text: &str) -> FormatViolation {
    let is_good = !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    (!is_good).then_some("must have only letters, digits and `-`")
}

/// Checks a relative path without `..`.
pub(super) fn check_descending_path(text: &str) -> FormatViolation {
    if text.starts_with('/') { Some("must be a relative path") } else { check_no_parent_steps(text) }
}

/// Checks the path of a file that Kubernetes writes into a volume.
pub(super) fn check_file_path(text: &str) -> FormatViolation {
    check_descending_path(text).or_else(|| text.starts_with("..").then_some("must not start with `..`"))
}

/// Checks a path without `..`.
pub(super) fn check_no_parent_steps(text: &str) -> FormatViolation {
    text.split('/').any(|part| part == "..").then_some("must not contain `..`")
}

fn check_parent_steps(text: &str) -> FormatViolation {
    (text == "." || text.starts_with("..")).then_some("must not be `.` or start with `..`")
}

fn is_dns_label(text: &str) -> bool {
    let is_inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    !text.is_empty() && text.bytes().all(is_inner) && !text.starts_with('-') && !text.ends_with('-')
}

/// Returns whether a text is the name part of a qualified name.
fn is_name(text: &str) -> bool {
    let is_end = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_alphanumeric());
    let is_inner = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    is_end(text.bytes().next()) && is_end(text.bytes().next_back()) && text.bytes().all(is_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_valid_names_only() {
        let long = "a".repeat(64);
        for (check, good, bad) in [
            (check_dns_label as fn(&str) -> FormatViolation, ["a", "a-1", "0"], ["", "A", &long]),
            (check_dns_subdomain, ["a.b", "a", "a-b.c"], ["", "a..b", "-a"]),
            (check_qualified_name, ["a", "x.io/A_b", "a.b"], ["a b", "/a", "a/b/c"]),
            (check_label_value, ["", "A.b_c", "1"], ["a b", "-a", &long]),
            (check_env_name, ["A", "_a.b", "-x"], ["1A", "", "..a"]),
            (check_port_name, ["http", "a-1", "8a"], ["80", "a--b", "a-very-long-name-"]),
        ] {
            assert!(good.iter().all(|g| check(g).is_none()), "{good:?}");
            assert!(bad.iter().all(|b| check(b).is_some()), "{bad:?}");
        }
    }
}
