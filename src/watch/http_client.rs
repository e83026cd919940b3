//! HTTP client of webhooks, checks and providers: with a deadline, a bounded answer, and no secret in errors.

use crate::diagnostics::escape;
use crate::git::mask_credentials;
use std::fmt;
use std::io::{ErrorKind, Read as _};
use std::time::Duration;
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, Error, Proxy};

/// Bytes of an answer that are read; the rest is cut.
const MAX_RESPONSE_BYTES: u64 = 1 << 20;

/// An address that may contain a secret: only its host is shown.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretUrl {
    url: String,
    host: String,
}

impl SecretUrl {
    /// Parses an `http://` or `https://` address.
    ///
    /// # Errors
    /// When it is invalid; the message does not repeat it.
    pub fn parse(url: &str) -> Result<Self, String> {
        let invalid = |what: &str| format!("{what}: use an address like https://host/path");
        let uri: http::Uri = url.trim().parse().map_err(|_| invalid("this is not a valid address"))?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) {
            return Err(invalid("the address does not begin with https:// or http://"));
        }
        if uri.authority().is_some_and(|a| a.as_str().contains('@')) {
            return Err(invalid("the address contains a user name or a password, which would not be sent"));
        }
        let host = uri.host().filter(|h| !h.is_empty()).ok_or_else(|| invalid("the address has no host"))?;
        Ok(Self { host: host.to_owned(), url: uri.to_string() })
    }

    /// Returns the host, which may be shown.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// Returns the whole address, for tests of how it is built.
    #[cfg(test)]
    pub(super) fn reveal(&self) -> &str {
        &self.url
    }

    /// Returns the address with a path appended.
    pub(super) fn join(&self, path: &str) -> Self {
        let url = format!("{}/{}", self.url.trim_end_matches('/'), path.trim_start_matches('/'));
        Self { url, host: self.host.clone() }
    }
}

impl fmt::Debug for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretUrl({})", self.host)
    }
}

/// A request.
pub(super) struct HttpRequest<'a> {
    pub(super) method: &'static str,
    pub(super) url: &'a SecretUrl,
    pub(super) headers: &'a [(&'static str, &'a str)],
    /// JSON; empty: no body.
    pub(super) body: String,
}

/// A response.
#[derive(Debug)]
pub(super) struct HttpResponse {
    pub(super) status: u16,
    headers: http::HeaderMap,
    pub(super) body: Vec<u8>,
}

impl HttpResponse {
    /// Returns a header, if it is text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Returns the `Retry-After` of the server, if it is in seconds.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        self.header("retry-after")?.trim().parse().ok().map(Duration::from_secs)
    }

    /// Returns the server's time from its `Date` header, in seconds since 1970.
    pub(super) fn server_time(&self) -> Option<i64> {
        let text = self.header("date")?;
        jiff::fmt::rfc2822::parse(text).ok().map(|z| z.timestamp().as_second())
    }
}

/// The trusted authorities; by default the built-in public ones.
#[derive(Debug, Clone)]
pub struct CaCertificates(RootCerts);

impl Default for CaCertificates {
    fn default() -> Self {
        Self(RootCerts::WebPki)
    }
}

impl CaCertificates {
    /// Reads authorities (PEM) to trust in place of the public ones.
    ///
    /// # Errors
    /// When there is no certificate.
    pub(crate) fn from_pem(pem: &[u8]) -> Result<Self, String> {
        let found: Result<Vec<_>, _> = parse_pem(pem).collect();
        let found = found.map_err(|_| "this is not a PEM file with certificates".to_owned())?;
        let certificates: Vec<_> = found
            .into_iter()
            .filter_map(|item| match item {
                PemItem::Certificate(certificate) => Some(certificate),
                _ => None,
            })
            .collect();
        if certificates.is_empty() {
            return Err("this PEM file contains no certificate".to_owned());
        }
        Ok(Self(RootCerts::new_with_certs(&certificates)))
    }
}

/// An HTTP client.
#[derive(Clone)]
pub struct HttpClient {
    agent: Agent,
    direct_agent: Agent,
}

impl fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A proxy's address may contain a password.
        f.write_str("HttpClient")
    }
}

impl HttpClient {
    /// Builds a client with a timeout for the whole request. Proxies come from the environment, except for loopback
    /// addresses. Redirects are not followed: they would send the body elsewhere.
    pub fn new(timeout: Duration, roots: &CaCertificates) -> Self {
        let agent = |proxy| {
            let tls = TlsConfig::builder().root_certs(roots.0.clone()).build();
            Agent::config_builder()
                .timeout_global(Some(timeout))
                .http_status_as_error(false)
                .max_redirects(0)
                .max_redirects_will_error(false)
                .user_agent(concat!("pillion/", env!("CARGO_PKG_VERSION")))
                .tls_config(tls)
                .proxy(proxy)
                .build()
                .new_agent()
        };
        Self { agent: agent(Proxy::try_from_env()), direct_agent: agent(None) }
    }

    /// Sends a request and reads the answer, whatever its status.
    pub(super) fn send(&self, request: &HttpRequest<'_>) -> Result<HttpResponse, String> {
        let agent = if is_loopback(&request.url.host) { &self.direct_agent } else { &self.agent };
        let mut built = http::Request::builder().method(request.method).uri(&request.url.url);
        for (name, value) in request.headers {
            built = built.header(*name, *value);
        }
        if !request.body.is_empty() {
            built = built.header("content-type", "application/json");
        }
        let built = built.body(request.body.as_str());
        // The header may contain a token: its value is not repeated.
        let built = built.map_err(|_| "a header contains characters that cannot be sent".to_owned())?;
        let response = agent.run(built).map_err(|error| describe_error(&error))?;
        let (parts, mut body) = response.into_parts();
        let mut bytes = Vec::new();
        body.as_reader()
            .take(MAX_RESPONSE_BYTES)
            .read_to_end(&mut bytes)
            .map_err(|_| "the response was cut off".to_owned())?;
        Ok(HttpResponse { status: parts.status.as_u16(), headers: parts.headers, body: bytes })
    }
}

/// Returns whether a host is this machine: what is sent there does not travel.
pub(super) fn is_loopback(host: &str) -> bool {
    let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// Percent-encodes a value of a query, but for `safe` characters.
pub(super) fn percent_encode(value: &str, safe: &str) -> String {
    let encode = |byte: u8| match char::from(byte) {
        c if c.is_ascii_alphanumeric() || "-._~".contains(c) || safe.contains(c) => c.to_string(),
        _ => format!("%{byte:02X}"),
    };
    value.bytes().map(encode).collect()
}

/// Describes an error without the address, which ureq repeats in some messages.
fn describe_error(error: &Error) -> String {
    match error {
        Error::HostNotFound => "its host was not found".to_owned(),
        Error::ConnectionFailed => "the connection failed".to_owned(),
        Error::Timeout(_) => "it did not answer in time".to_owned(),
        Error::Tls(what) => format!("TLS failed ({what})"),
        Error::Rustls(what) => format!("TLS failed ({what})"),
        Error::ConnectProxyFailed(_) | Error::InvalidProxyUrl => {
            "the proxy of the environment refuses the connection".to_owned()
        }
        // Errors of rustls have this kind.
        Error::Io(what) if what.kind() == ErrorKind::InvalidData => {
            let reason = what.get_ref().map_or_else(|| what.kind().to_string(), ToString::to_string);
            let own = if reason.contains("UnknownIssuer") {
                "; set `--ca-file` to trust your own authorities"
            } else {
                ""
            };
            format!("TLS failed ({}{own})", one_line(&reason))
        }
        Error::Io(what) => format!("the connection failed ({})", what.kind()),
        Error::Protocol(_) | Error::Http(_) => "it does not answer with HTTP".to_owned(),
        Error::LargeResponseHeader(..) => "its response header is too long".to_owned(),
        _ => "the request failed".to_owned(),
    }
}

/// Characters that are kept of a message of another program.
const MAX_TEXT_CHARS: usize = 300;

/// Returns a message of another program as one short line, without hidden characters and secrets of addresses.
pub(super) fn one_line(text: &str) -> String {
    let blank: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let words: Vec<&str> = blank.split_whitespace().collect();
    let text = mask_credentials(&words.join(" "));
    escape::truncate(&escape::line(&text), MAX_TEXT_CHARS).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_host_of_an_address_is_shown() {
        let address = SecretUrl::parse("https://hooks.example/services/T0/B0/s3cr3t?x=1").unwrap();
        assert_eq!(address.host(), "hooks.example");
        assert_eq!(format!("{address:?}"), "SecretUrl(hooks.example)");
        for (address, reason) in [
            ("hooks.example/s3cr3t", "this is not a valid address"),
            ("/s3cr3t", "the address does not begin with"),
            ("ftp://h/s3cr3t", "the address does not begin with"),
            ("https://u:s3cr3t@h/x", "the address contains a user name"),
            ("https:///s3cr3t", "this is not a valid address"),
            ("s3cr3t with spaces", "this is not a valid address"),
        ] {
            let message = SecretUrl::parse(address).unwrap_err();
            assert!(message.starts_with(reason) && !message.contains("s3cr3t"), "{address}: {message}");
        }
    }

    #[test]
    fn a_server_that_is_not_there_is_told_without_its_address() {
        let client = HttpClient::new(Duration::from_secs(5), &CaCertificates::default());
        let to = SecretUrl::parse("http://127.0.0.1:1/s3cr3t").unwrap();
        let message = client.send(&HttpRequest { method: "POST", url: &to, headers: &[], body: "{}".into() });
        let message = message.unwrap_err();
        assert!(!message.contains("s3cr3t") && !message.is_empty(), "{message}");
    }

    #[test]
    fn a_value_of_a_query_is_encoded() {
        assert_eq!(percent_encode("eyJ2Ijoi+/=&x", ""), "eyJ2Ijoi%2B%2F%3D%26x");
        assert_eq!(percent_encode("pillion/next/a&b:ü", "/"), "pillion/next/a%26b%3A%C3%BC");
    }

    #[test]
    fn what_others_say_is_one_short_line() {
        assert_eq!(one_line(" a\x1b[31m\n\tb \0"), "a [31m b");
        assert_eq!(one_line("see https://u:p@h/x!"), "see https://***@h/x!");
        assert_eq!(one_line("see https://h/x?token=p"), "see https://h/x?***");
        assert_eq!(one_line("a\u{202e}b"), "a\\u202eb");
        assert_eq!(one_line(&"x".repeat(400)).chars().count(), MAX_TEXT_CHARS + 1);
    }

    #[test]
    fn roots_are_certificates() {
        let invalid = |pem: &str| CaCertificates::from_pem(pem.as_bytes()).unwrap_err();
        assert_eq!(invalid("nothing"), "this PEM file contains no certificate");
        CaCertificates::from_pem(CERTIFICATE.as_bytes()).unwrap();
    }

    /// A self-signed certificate for tests; its key was discarded.
    const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----
MIIBlDCCATugAwIBAgIUJyaSptw1sfjOcmjYsSOa0FGnvrkwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyNzE4MjYxN1oYDzIxMjYxMTAz
MTgyNjE3WjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAAT0YKqiIulwcARgQUKDuoe1DcAXsY1qKSL7RhsWoucp8b5qWGGHIhiU
2oHhLiPYb+riRqXG/jhiNXI1MHSWlyPLo2kwZzAdBgNVHQ4EFgQUVUfq6F3IxKXo
AHxKxoLkkQug+ZMwHwYDVR0jBBgwFoAUVUfq6F3IxKXoAHxKxoLkkQug+ZMwDwYD
VR0TAQH/BAUwAwEB/zAUBgNVHREEDTALgglsb2NhbGhvc3QwCgYIKoZIzj0EAwID
RwAwRAIgHrqZ/Oc7X+hHcJTt10pZq7apwosM0faWKrCMdWubC/gCIAGZGw7G1ObR
e8SOhYcHb+rlpVIThUFAbSPxxdg45fMy
-----END CERTIFICATE-----
";
}
