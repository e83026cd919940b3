//! A git server: a bare repository with a `file://` URL.

use crate::git_fixtures::{Repo, World};

pub(crate) struct GitServer {
    world: World,
    pub(crate) bare: Repo,
}

impl GitServer {
    /// An empty one, with the branch `main`.
    pub(crate) fn new() -> Self {
        let world = World::new();
        let bare = world.init("server.git", &["--bare"]);
        Self { world, bare }
    }

    pub(crate) fn url(&self) -> String {
        format!("file://{}", self.bare.path.display())
    }

    /// A person's clone.
    pub(crate) fn clone(&self, name: &str) -> Repo {
        let clone = self.world.repo(name);
        self.bare.git(&["clone", "-q", &self.url(), &clone.path.display().to_string()]);
        clone
    }

    /// The bare repository for another thread.
    pub(crate) fn another(&self) -> Repo {
        self.world.repo("server.git")
    }
}
