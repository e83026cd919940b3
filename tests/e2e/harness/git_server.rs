//! A git server: a bare repository with a `file://` URL.

use crate::git_fixtures::{Repo, TestEnvironment};

pub(crate) struct GitServer {
    test_env: TestEnvironment,
    pub(crate) bare: Repo,
}

impl GitServer {
    /// An empty one, with the branch `main`.
    pub(crate) fn new() -> Self {
        let test_env = TestEnvironment::new();
        let bare = test_env.init("server.git", &["--bare"]);
        Self { test_env, bare }
    }

    pub(crate) fn url(&self) -> String {
        format!("file://{}", self.bare.path.display())
    }

    /// A person's clone.
    pub(crate) fn clone(&self, name: &str) -> Repo {
        let clone = self.test_env.repo(name);
        self.bare.git(&["clone", "-q", &self.url(), &clone.path.display().to_string()]);
        clone
    }

    /// The bare repository for another thread.
    pub(crate) fn another(&self) -> Repo {
        self.test_env.repo("server.git")
    }
}
