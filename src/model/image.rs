//! Parses image references: the tag and digest, by the reference grammar of container registries.

use regex::{Captures, Regex};
use std::sync::LazyLock;

/// `[domain/]path[:tag][@digest]` of distribution/reference.
static REFERENCE: LazyLock<Regex> = LazyLock::new(|| {
    let part = "[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*";
    let host = "(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])";
    let domain = format!(r"(?:{host}(?:\.{host})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?");
    let digest = "[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}";
    let tag = "[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}";
    Regex::new(&format!("^((?:{domain}/)?{part}(?:/{part})*)(?::({tag}))?(?:@({digest}))?$"))
        .expect("the pattern is a constant")
});

/// Returns the tag of an image: `latest` where neither a tag nor a digest is written; None if a digest stands
/// alone and where the text is not an image reference.
pub(crate) fn tag(image: &str) -> Option<&str> {
    if is_image_id(image) {
        return None;
    }
    let found = match_reference(image)?;
    match (found.get(2), found.get(3)) {
        (Some(tag), _) => Some(tag.as_str()),
        (None, Some(_)) => None,
        (None, None) => Some("latest"),
    }
}

/// Returns the name and the digest of an image that is named by its digest, be there a tag or not.
pub(crate) fn split_digest(image: &str) -> Option<(&str, &str)> {
    let found = match_reference(image)?;
    let (name, digest) = (found.get(1)?.as_str(), found.get(3)?.as_str());
    let (algorithm, encoded) = digest.split_once(':')?;
    (encoded.len() == digest_length(algorithm)? && is_hex(encoded)).then_some((name, digest))
}

/// Returns the hexadecimal digits of a digest; None: the algorithm is unknown.
pub(crate) fn digest_length(algorithm: &str) -> Option<usize> {
    match algorithm {
        "sha256" => Some(64),
        "sha384" => Some(96),
        "sha512" => Some(128),
        _ => None,
    }
}

/// Returns whether the kubelet accepts the name of an image (`ParseNormalizedNamed` of distribution/reference).
pub(crate) fn is_valid(image: &str) -> bool {
    let is_reference = |found: Captures<'_>| found.get(3).is_none() || split_digest(image).is_some();
    !is_image_id(image) && match_reference(image).is_some_and(is_reference)
}

/// Name, tag and digest.
fn match_reference(image: &str) -> Option<Captures<'_>> {
    // References are far shorter; matching a longer text would only cost time.
    (image.len() <= 4096).then(|| REFERENCE.captures(image))?
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

/// Returns whether the text is the hexadecimal name of an image, which is not a reference.
fn is_image_id(image: &str) -> bool {
    image.len() == 64 && is_hex(image)
}

#[cfg(test)]
mod tests {
    use super::{split_digest, tag};

    #[test]
    fn finds_the_tag() {
        let digest = format!("sha256:{}", "a".repeat(64));
        for (image, wanted) in [
            ("nginx", Some("latest")),
            ("nginx:1.25", Some("1.25")),
            ("localhost:5000/team/log", Some("latest")),
            ("registry.example/log:latest", Some("latest")),
            (&format!("log@{digest}"), None),
            (&format!("log:2@{digest}"), Some("2")),
            ("Log", None),
            ("", None),
            ("a b", None),
            (&"a".repeat(64), None),
        ] {
            assert_eq!(tag(image), wanted, "{image}");
        }
    }

    #[test]
    fn finds_the_digest() {
        let digest = format!("sha256:{}", "a".repeat(64));
        for name in ["log", "localhost:5000/team/log"] {
            assert_eq!(split_digest(&format!("{name}@{digest}")), Some((name, &*digest)));
            assert_eq!(split_digest(&format!("{name}:2@{digest}")), Some((name, &*digest)));
        }
        let long = format!("log@md5:{}", "a".repeat(64));
        let upper = format!("log@sha256:{}", "A".repeat(64));
        let short = format!("log@sha256:{}", "a".repeat(40));
        for image in ["log", "log:2", "", &digest, &long, &upper, &short] {
            assert_eq!(split_digest(image), None, "{image}");
        }
    }
}
