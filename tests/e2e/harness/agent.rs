//! Acts as the GitOps agent: applies a branch of the git server to the cluster, with a short delay.

use super::git_server::GitServer;
use super::kubectl::Kubectl;
use super::wait::{SOON, wait_for};
use crate::git_fixtures::Repo;
use pillion::git::ObjectId;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Whoever applies what is live, until it is dropped.
pub(crate) trait Applies {
    /// Waits until a commit is applied, all of it.
    fn wait_applied(&self, commit: ObjectId);

    /// When this returns, nothing is being applied, and nothing will be.
    fn pause(&self) {
        panic!("only the agent of the tests can be paused");
    }

    /// Applies again.
    fn resume(&self) {
        panic!("only the agent of the tests can be paused");
    }
}

/// How often it looks at the branch.
const EVERY: Duration = Duration::from_millis(100);

/// A thread that applies until it is dropped. It takes nothing away that git no longer holds.
pub(crate) struct Agent {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    ended: bool,
    paused: bool,
    applied: Option<ObjectId>,
    /// Why the last attempt failed. It is made again and again.
    failure: String,
}

/// What is applied, and where.
struct Source {
    repo: Repo,
    branch: String,
    folder: String,
    kubectl: Kubectl,
}

impl Agent {
    /// Applies the YAML files of a folder of a branch.
    pub(crate) fn start(server: &GitServer, branch: &str, folder: &str, kubectl: &Kubectl) -> Self {
        let source = Source {
            repo: server.another(),
            branch: format!("refs/heads/{branch}"),
            folder: folder.to_owned(),
            kubectl: kubectl.clone(),
        };
        let shared = Arc::new(Shared { state: Mutex::default(), changed: Condvar::new() });
        let of_thread = Arc::clone(&shared);
        let thread = thread::spawn(move || of_thread.run(&source));
        Self { shared, thread: Some(thread) }
    }

    /// The commit that was applied last, all of it.
    pub(crate) fn applied(&self) -> Option<ObjectId> {
        self.shared.lock().applied
    }
}

impl Applies for Agent {
    #[track_caller]
    fn wait_applied(&self, commit: ObjectId) {
        wait_for(&format!("commit {commit} is applied"), SOON, || {
            let state = self.shared.lock();
            if state.applied == Some(commit) {
                return Ok(());
            }
            Err(format!("{} {}", state.applied.map(|id| id.to_string()).unwrap_or_default(), state.failure))
        });
    }

    fn pause(&self) {
        self.shared.lock().paused = true;
    }

    fn resume(&self) {
        self.shared.lock().paused = false;
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.shared.lock().ended = true;
        self.shared.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, source: &Source) {
        let mut state = self.lock();
        while !state.ended {
            if !state.paused {
                match source.apply(state.applied) {
                    Ok(head) => (state.applied, state.failure) = (head, String::new()),
                    Err(failure) => state.failure = failure,
                }
            }
            state = self.changed.wait_timeout(state, EVERY).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Source {
    /// Brings the cluster from one commit to the branch's head: files that changed, or all of them at first.
    fn apply(&self, from: Option<ObjectId>) -> Result<Option<ObjectId>, String> {
        let found = self.repo.try_git(&["rev-parse", "--verify", "--quiet", &self.branch]);
        if !found.status.success() {
            return Ok(from);
        }
        let head: ObjectId = String::from_utf8_lossy(&found.stdout).trim().parse().unwrap();
        if from == Some(head) {
            return Ok(from);
        }
        let (commit, folder) = (head.to_string(), self.folder.as_str());
        let files = match from {
            Some(from) => {
                let from = from.to_string();
                let changed = ["diff", "--name-only", "--diff-filter=d", &from, &commit, "--", folder];
                self.repo.git(&changed)
            }
            None => self.repo.git(&["ls-tree", "-r", "--name-only", &commit, "--", folder]),
        };
        let files = files.lines().filter(|name| name.ends_with(".yaml"));
        let texts: Vec<String> = files
            .map(|name| String::from_utf8(self.repo.show(&format!("{commit}:{name}"))).unwrap())
            .collect();
        if !texts.is_empty() {
            let output = self.kubectl.try_apply(&texts.join("\n---\n"));
            if !output.status.success() {
                return Err(String::from_utf8_lossy(&output.stderr).into_owned());
            }
        }
        Ok(Some(head))
    }
}
