//! A real Gitea, with its database in a file, and its users.

use super::processes::{all_run, serve};
use super::sandbox;
use super::tools;
use super::wait::{SOON, wait_for};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

const PORT: u16 = 3000;

pub(crate) struct Gitea {
    folder: PathBuf,
}

/// A user with a token for everything.
pub(crate) struct User {
    pub(crate) name: &'static str,
    pub(crate) token: String,
}

/// The server of this test binary, started by the first test that uses it.
pub(crate) fn gitea() -> &'static Gitea {
    static GITEA: LazyLock<Gitea> = LazyLock::new(|| Gitea::start(&sandbox::enter().join("gitea")));
    &GITEA
}

/// The API's address.
fn api_url() -> String {
    format!("http://127.0.0.1:{PORT}/api/v1")
}

impl Gitea {
    fn start(folder: &Path) -> Self {
        fs::create_dir_all(folder).unwrap();
        let gitea = Self { folder: folder.to_owned() };
        let secret = |name: &str| gitea.run(&["generate", "secret", name]);
        let (internal, key) = (secret("INTERNAL_TOKEN"), secret("SECRET_KEY"));
        let output = Command::new("id").arg("-un").output().unwrap();
        let user = String::from_utf8(output.stdout).unwrap();
        let place = folder.display();
        let files = tools::tool("gitea", "static");
        let configuration = format!(
            "RUN_USER = {}
WORK_PATH = {place}
I_AM_BEING_UNSAFE_RUNNING_AS_ROOT = true
[server]
HTTP_ADDR = 127.0.0.1
HTTP_PORT = {PORT}
ROOT_URL = http://127.0.0.1:{PORT}/
DISABLE_SSH = true
OFFLINE_MODE = true
STATIC_ROOT_PATH = {}
[database]
DB_TYPE = sqlite3
PATH = {place}/gitea.db
[repository]
ROOT = {place}/repositories
[security]
INSTALL_LOCK = true
INTERNAL_TOKEN = {internal}
SECRET_KEY = {key}
[indexer]
ISSUE_INDEXER_TYPE = db
[actions]
ENABLED = false
[cron]
ENABLED = false
[log]
LEVEL = Warn
",
            user.trim(),
            files.display()
        );
        fs::write(folder.join("app.ini"), configuration).unwrap();
        gitea.run(&["migrate"]);
        serve("gitea", gitea.program().arg("web"));
        wait_for("Gitea answers", SOON, || {
            all_run();
            match gitea.request("", "GET", "version", &Value::Null) {
                (200, _) => Ok(()),
                (status, body) => Err(format!("{status} {body}")),
            }
        });
        gitea
    }

    fn program(&self) -> Command {
        let mut command = Command::new(tools::tool("gitea", "gitea"));
        command.env_clear().env("HOME", &self.folder).env("PATH", std::env::var_os("PATH").unwrap());
        command.env("GITEA_I_AM_BEING_UNSAFE_RUNNING_AS_ROOT", "true");
        command.current_dir(&self.folder).arg("--work-path").arg(&self.folder);
        command.arg("--config").arg(self.folder.join("app.ini"));
        command
    }

    /// Runs a command of the administrator and returns the last line that it prints.
    fn run(&self, args: &[&str]) -> String {
        let output = self.program().args(args).stdin(Stdio::null()).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        assert!(output.status.success(), "gitea {args:?}: {}{}", text(&output.stdout), text(&output.stderr));
        text(&output.stdout).lines().last().unwrap_or_default().to_owned()
    }

    /// Creates a user, `NAME@acme.example`, with a full name.
    pub(crate) fn create_user(&self, name: &'static str, full_name: &str) -> User {
        let email = format!("{name}@acme.example");
        self.run(&[
            "admin",
            "user",
            "create",
            "--username",
            name,
            "--fullname",
            full_name,
            "--email",
            &email,
            "--random-password",
            "--must-change-password=false",
        ]);
        let token = self.run(&[
            "admin",
            "user",
            "generate-access-token",
            "--username",
            name,
            "--token-name",
            "e2e",
            "--raw",
            "--scopes",
            "all",
        ]);
        User { name, token }
    }

    /// The address of a repository, with the credentials of a user.
    pub(crate) fn remote(user: &User, repository: &str) -> String {
        format!("http://{}:{}@127.0.0.1:{PORT}/{repository}.git", user.name, user.token)
    }

    /// Sends a request to the API, which must succeed.
    pub(crate) fn call(&self, user: &User, method: &str, path: &str, body: &Value) -> Value {
        let (status, answer) = self.request(&user.token, method, path, body);
        assert!(matches!(status, 200..=299), "{method} {path}: {status} {answer}");
        answer
    }

    /// Sends a request to the API; returns the status, 0 without an answer.
    pub(crate) fn request(&self, token: &str, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--noproxy", "*", "--request", method, "--write-out", "\n%{http_code}"]);
        curl.args(["--header", "content-type: application/json", "--header"]);
        curl.arg(format!("authorization: token {token}"));
        if !body.is_null() {
            curl.args(["--data", &body.to_string()]);
        }
        let output = curl.arg(format!("{}/{path}", api_url())).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let (answer, status) = text.rsplit_once('\n').unwrap_or(("", &text));
        (status.parse().unwrap_or_default(), serde_json::from_str(answer).unwrap_or_default())
    }
}
