//! Image references: which tag an image has, as the reference grammar of container registries reads it.

use regex::Regex;
use std::sync::LazyLock;

/// `[domain/]path[:tag][@digest]` of distribution/reference.
static REFERENCE: LazyLock<Regex> = LazyLock::new(|| {
    let part = "[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*";
    let host = "(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])";
    let domain = format!(r"(?:{host}(?:\.{host})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?");
    let digest = "[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}";
    let tag = "[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}";
    Regex::new(&format!("^(?:{domain}/)?{part}(?:/{part})*(?::({tag}))?(@{digest})?$"))
        .expect("the pattern is a constant")
});

/// Returns the tag of an image: `latest` where neither a tag nor a digest is written; None where a digest stands
/// alone and where the text is no image reference.
pub fn tag(image: &str) -> Option<&str> {
    // A reference is far shorter; a longer text is none and not worth matching.
    if image.len() > 4096 || is_identifier(image) {
        return None;
    }
    let found = REFERENCE.captures(image)?;
    match (found.get(1), found.get(2)) {
        (Some(tag), _) => Some(tag.as_str()),
        (None, Some(_)) => None,
        (None, None) => Some("latest"),
    }
}

/// Tells whether the text is the hexadecimal name of an image, which is no reference.
fn is_identifier(image: &str) -> bool {
    image.len() == 64 && image.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

#[cfg(test)]
mod tests {
    use super::tag;

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
}
