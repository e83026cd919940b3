//! Signs commits as git is configured to, with the program that git would run.

use super::{Error, Identity, Repository};
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io::Write as _;
use std::process::Command;

/// Whether and how commits are signed.
///
/// A signature differs each time: signed commits have the same trees and messages on every machine, but not the same
/// ids.
pub struct Signing<'r>(Option<CommitSigner<'r>>);

struct CommitSigner<'r> {
    repository: &'r Repository,
    format: SignatureFormat,
    program: OsString,
    /// `user.signingkey`.
    key: Option<String>,
    /// `gpg.ssh.defaultKeyCommand`.
    key_command: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SignatureFormat {
    OpenPgp,
    X509,
    Ssh,
}

impl<'r> Signing<'r> {
    /// Commits are not signed: the same parts are the same commit everywhere.
    pub fn disabled() -> Self {
        Self(None)
    }

    /// Reads `commit.gpgsign`, `gpg.*` and `user.signingkey` as git does.
    ///
    /// # Errors
    /// When git fails, or `gpg.format` is none of the formats that git knows.
    pub fn from_config(repository: &'r Repository) -> Result<Self, Error> {
        let setting = repository.git(&["config", "--type=bool", "--get", "commit.gpgsign"])?;
        if setting.stdout.trim_ascii() != b"true" {
            return Ok(Self(None));
        }
        let settings = signing_config(repository)?;
        let one_of = |names: &[&str], else_: &str| {
            let found = names.iter().find_map(|n| settings.get(*n));
            OsString::from(found.map_or(else_, String::as_str))
        };
        let (format, program) = match settings.get("gpg.format").map_or("openpgp", String::as_str) {
            "openpgp" => (SignatureFormat::OpenPgp, one_of(&["gpg.openpgp.program", "gpg.program"], "gpg")),
            "x509" => (SignatureFormat::X509, one_of(&["gpg.x509.program"], "gpgsm")),
            "ssh" => (SignatureFormat::Ssh, one_of(&["gpg.ssh.program"], "ssh-keygen")),
            other => {
                let detail = format!("`gpg.format` is `{other}`; git knows `openpgp`, `x509` and `ssh`");
                return Err(Error::SigningFailed { program: "git".to_owned(), detail });
            }
        };
        let key = settings.get("user.signingkey").cloned();
        let key_command = settings.get("gpg.ssh.defaultkeycommand").cloned();
        Ok(Self(Some(CommitSigner { repository, format, program, key, key_command })))
    }

    /// Returns whether commits are signed.
    pub(crate) fn is_enabled(&self) -> bool {
        self.0.is_some()
    }

    /// Returns the bytes of a commit with its signature.
    pub(super) fn sign(&self, commit: Vec<u8>, identity: &Identity) -> Result<Vec<u8>, Error> {
        let Some(signer) = &self.0 else { return Ok(commit) };
        let signature = match signer.format {
            SignatureFormat::Ssh => signer.sign_with_ssh(&commit)?,
            SignatureFormat::OpenPgp | SignatureFormat::X509 => signer.sign_with_gpg(&commit, identity)?,
        };
        let signature = String::from_utf8_lossy(&signature).replace('\r', "");
        let header = format!("gpgsig {}\n", signature.trim_end().replace('\n', "\n "));
        // The header is the last one before the empty line.
        let end = commit.windows(2).position(|w| w == b"\n\n").map_or(commit.len(), |at| at + 1);
        Ok([&commit[..end], header.as_bytes(), &commit[end..]].concat())
    }
}

impl CommitSigner<'_> {
    // git gpg-interface.c sign_buffer_gpg.
    fn sign_with_gpg(&self, commit: &[u8], identity: &Identity) -> Result<Vec<u8>, Error> {
        let key = match &self.key {
            Some(key) => key.clone(),
            None => format!("{} <{}>", identity.name(), identity.email()),
        };
        let mut command = self.repository.command(&self.program);
        command.args(["--status-fd=2", "-bsau", &key]);
        let output = self.repository.run(command, "signing a commit", commit.to_owned())?;
        if output.code != Some(0) || !output.stderr.contains("[GNUPG:] SIG_CREATED ") {
            let message: Vec<&str> = output.stderr.lines().filter(|l| !l.starts_with("[GNUPG:]")).collect();
            return Err(self.signing_error(&message.join("; "), &format!("`user.signingkey` is `{key}`")));
        }
        Ok(output.stdout)
    }

    // git gpg-interface.c sign_buffer_ssh.
    fn sign_with_ssh(&self, commit: &[u8]) -> Result<Vec<u8>, Error> {
        let key = self.ssh_key()?;
        let folder =
            tempfile::tempdir().map_err(|e| self.signing_error(&e.to_string(), "the temporary folder"))?;
        let put = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            let mut file = std::fs::File::create(&path)?;
            file.write_all(bytes)?;
            Ok(path)
        };
        let unwritten = |e: std::io::Error| self.signing_error(&e.to_string(), "the temporary folder");
        let mut command = self.repository.command(&self.program);
        command.args(["-Y", "sign", "-n", "git", "-f"]);
        // A literal key instead of a file: its secret half is in the agent.
        match key.strip_prefix("key::").or_else(|| key.starts_with("ssh-").then_some(key.as_str())) {
            Some(text) => {
                command.arg(put("key", format!("{text}\n").as_bytes()).map_err(unwritten)?).arg("-U")
            }
            None => command.arg(&key),
        };
        let buffer = put("commit", commit).map_err(unwritten)?;
        command.arg(&buffer);
        let output = self.repository.run(command, "signing a commit", Vec::new())?;
        let signature = std::fs::read(folder.path().join("commit.sig"));
        match signature {
            Ok(signature) if output.code == Some(0) => Ok(signature),
            _ => Err(self.signing_error(output.stderr.trim(), &format!("`user.signingkey` is `{key}`"))),
        }
    }

    /// Returns `user.signingkey`, or the first key that `gpg.ssh.defaultKeyCommand` prints.
    fn ssh_key(&self) -> Result<String, Error> {
        if let Some(key) = &self.key {
            return Ok(key.clone());
        }
        let Some(line) = &self.key_command else {
            return Err(
                self.signing_error("", "neither `user.signingkey` nor `gpg.ssh.defaultKeyCommand` is set")
            );
        };
        let mut command: Command = self.repository.command(OsStr::new("sh"));
        command.args(["-c", line]);
        let output = self.repository.run(command, "gpg.ssh.defaultKeyCommand", Vec::new())?;
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        match printed.lines().next() {
            Some(key) if output.code == Some(0) && (key.starts_with("ssh-") || key.starts_with("key::")) => {
                Ok(key.to_owned())
            }
            _ => Err(self.signing_error(output.stderr.trim(), "`gpg.ssh.defaultKeyCommand` printed no key")),
        }
    }

    fn signing_error(&self, message: &str, also: &str) -> Error {
        let message = if message.is_empty() { String::new() } else { format!("{message}; ") };
        let detail = format!("{message}{also}");
        Error::SigningFailed { program: self.program.to_string_lossy().into_owned(), detail }
    }
}

/// Returns git's signing configuration; a path may begin with `~`.
fn signing_config(repository: &Repository) -> Result<BTreeMap<String, String>, Error> {
    let what = r"^(gpg\..*|user\.signingkey)$";
    let output = repository.git(&["config", "--type=path", "-z", "--get-regexp", what])?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    // The last value of a name wins, as in git.
    Ok(text
        .split('\0')
        .filter_map(|e| e.split_once('\n'))
        .map(|(k, v)| (k.to_owned(), v.to_owned()))
        .collect())
}
