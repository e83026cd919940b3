//! The address of a remote: host and path, as far as a provider needs them.

use super::super::http_client::is_loopback;

/// Hosts that only serve ssh on the HTTPS port, and the host that they belong to.
const SSH_HOSTS: [(&str, &str); 3] = [
    ("ssh.github.com", "github.com"),
    ("altssh.gitlab.com", "gitlab.com"),
    ("altssh.bitbucket.org", "bitbucket.org"),
];

/// The address of a remote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RemoteAddress {
    /// The host in lowercase, with its port if the address is one of HTTP.
    pub(super) host: String,
    /// The address is one of HTTP: a path may have the root of the server before the repository.
    pub(super) is_http: bool,
    /// `http` for a loopback address of plain HTTP, else `https`.
    pub(super) web_scheme: &'static str,
    /// The parts of the path: at least two.
    pub(super) path: Vec<String>,
}

impl RemoteAddress {
    /// Parses `https://host/owner/name.git`, `ssh://git@host/owner/name`, `git@host:owner/name.git`. None: it names no
    /// repository of a provider.
    pub(super) fn parse(address: &str) -> Option<Self> {
        let address = address.trim();
        let mut web_scheme = "https";
        let (host, path, is_http) = match address.split_once("://") {
            Some((scheme, rest)) => {
                let (authority, path) = rest.split_once('/')?;
                // Which part of it is the host, programs may see differently.
                if authority.contains(['#', '?', '\\']) {
                    return None;
                }
                let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
                match scheme {
                    "https" | "http" => {
                        if scheme == "http" && is_loopback(host_without_port(authority)) {
                            web_scheme = "http";
                        }
                        (authority, path, true)
                    }
                    "ssh" | "git+ssh" => (host_without_port(authority), path, false),
                    _ => return None,
                }
            }
            None => {
                // As in ssh: a slash before the colon makes it a path, and one letter is a drive.
                let (authority, path) = address.split_once(':')?;
                if authority.contains('/') || authority.len() < 2 {
                    return None;
                }
                (authority.rsplit_once('@').map_or(authority, |(_, host)| host), path, false)
            }
        };
        let path = path.trim_matches('/');
        let path: Vec<String> =
            path.strip_suffix(".git").unwrap_or(path).split('/').map(str::to_owned).collect();
        if host.is_empty() || path.len() < 2 || !path.iter().all(|part| is_plain(part)) {
            return None;
        }
        let host = host.to_ascii_lowercase();
        let known = SSH_HOSTS.iter().find(|(ssh, _)| !is_http && *ssh == host);
        Some(Self { host: known.map_or(host, |(_, web)| (*web).to_owned()), is_http, web_scheme, path })
    }
}

fn host_without_port(authority: &str) -> &str {
    let port = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_digit());
    authority.rsplit_once(':').filter(|(_, end)| port(end)).map_or(authority, |(host, _)| host)
}

/// Returns whether a part of a path can stand in an address as it is. Bitbucket's personal projects begin with `~`.
fn is_plain(part: &str) -> bool {
    let word = part.strip_prefix('~').unwrap_or(part);
    let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    !word.is_empty() && word.chars().all(is_word) && word.chars().any(|c| c != '.')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(address: &str) -> Option<String> {
        let address = RemoteAddress::parse(address)?;
        Some(format!("{} {} {}", address.web_scheme, address.host, address.path.join(" ")))
    }

    #[test]
    fn repositories_are_read_from_addresses_of_all_forms() {
        for address in [
            "https://github.com/acme/gitops.git",
            "https://github.com/acme/gitops",
            "https://github.com/acme/gitops/",
            "https://x-access-token:s3cr3t@github.com/acme/gitops.git",
            "ssh://git@github.com/acme/gitops.git",
            "ssh://git@ssh.github.com:443/acme/gitops.git",
            "git@github.com:acme/gitops.git",
            "git@GitHub.com:acme/gitops",
            "github.com:/acme/gitops.git",
        ] {
            assert_eq!(parts(address).as_deref(), Some("https github.com acme gitops"), "{address}");
        }
        for (address, read) in [
            ("https://ghe.acme.example:8443/a/b.c.git", "https ghe.acme.example:8443 a b.c"),
            ("ssh://git@ghe.acme.example:2222/a/b", "https ghe.acme.example a b"),
            ("https://gitlab.com/a/b/c", "https gitlab.com a b c"),
            ("ssh://git@altssh.gitlab.com:443/a/b.git", "https gitlab.com a b"),
            ("http://127.0.0.1:3000/a/b.git", "http 127.0.0.1:3000 a b"),
            ("http://[::1]:3000/a/b.git", "http [::1]:3000 a b"),
            ("http://git.acme.example/a/b.git", "https git.acme.example a b"),
            ("ssh://git@bitbucket.acme.example:7999/~ann/b.git", "https bitbucket.acme.example ~ann b"),
        ] {
            assert_eq!(parts(address).as_deref(), Some(read), "{address}");
        }
        for address in [
            "/srv/git/gitops.git",
            "../gitops",
            "file:///srv/a/b.git",
            "C:\\a\\b",
            "https://github.com/acme",
            "https://github.com/../x",
            "https://github.com/~/x",
            "git@host:a b/c",
            "https://github.com/a/b?c=d",
            "https://github.com#@mallory.example/a/b",
            "https://github.com?@mallory.example/a/b",
            "https://github.com\\@mallory.example/a/b",
            "",
        ] {
            assert_eq!(parts(address), None, "{address}");
        }
    }
}
