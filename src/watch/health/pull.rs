//! Classifies pull errors by the message of the runtime: permanent or transient.

/// Whether a pull may succeed later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Retryability {
    /// The image does not exist, or access is denied.
    Permanent,
    /// The registry or the network has trouble.
    Transient,
    /// The message does not say.
    Unknown,
}

/// Phrases of overloaded registries and unreachable networks.
const TRANSIENT_PHRASES: &[&str] = &[
    "too many requests",
    "toomanyrequests",
    "status code 429",
    "status: 429",
    "timeout",
    "timed out",
    "deadline exceeded",
    "pull qps exceeded",
    "service unavailable",
    "bad gateway",
    "internal server error",
    "status code 50",
    "status: 50",
    "connection refused",
    "connection reset",
    "network is unreachable",
    "no route to host",
    "no such host",
    "temporary failure",
    "server misbehaving",
    "unexpected eof",
];

/// Phrases of permanent errors.
const PERMANENT_PHRASES: &[&str] = &[
    "not found",
    "manifest unknown",
    "manifest_unknown",
    "name unknown",
    "name_unknown",
    "denied",
    "unauthorized",
    "authentication required",
    "invalid reference",
    "does not exist",
    "no matching manifest",
    "no match for platform",
];

/// Classifies the message of a failed pull. Network trouble comes first: then the rest of the message is unreliable.
pub(super) fn classify_pull_message(message: &str, image: &str) -> Retryability {
    let text = if image.is_empty() { message.to_owned() } else { message.replace(image, "") }.to_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
    if has(TRANSIENT_PHRASES) {
        Retryability::Transient
    } else if has(PERMANENT_PHRASES) {
        Retryability::Permanent
    } else {
        Retryability::Unknown
    }
}

#[cfg(test)]
mod tests {
    use super::{Retryability, classify_pull_message};

    #[test]
    fn messages_of_runtimes() {
        let cases = [
            (r#"Back-off pulling image "log:not found""#, Retryability::Unknown),
            (
                r#"rpc error: code = NotFound desc = failed to pull and unpack image: "a.example/x:1": not found"#,
                Retryability::Permanent,
            ),
            ("manifest for log:9 not found: manifest unknown", Retryability::Permanent),
            (
                "pull access denied, repository does not exist or may require authorization",
                Retryability::Permanent,
            ),
            (
                "failed to authorize: failed to fetch token: unexpected status: 503 Service Unavailable",
                Retryability::Transient,
            ),
            (
                "toomanyrequests: You have reached your pull rate limit; access denied until you log in",
                Retryability::Transient,
            ),
            ("dial tcp 192.0.2.1:443: i/o timeout", Retryability::Transient),
            ("x509: certificate signed by unknown authority", Retryability::Unknown),
        ];
        for (message, expected) in cases {
            assert_eq!(classify_pull_message(message, "log:not found"), expected, "{message}");
        }
    }
}
