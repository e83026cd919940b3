//! Repositories for tests, made by the real `git` without any configuration of the user.

use pillion::git::{CommitTime, GitCommand, Identity, NewCommit, ObjectId, Repository, Signature, Signing};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

/// The moment of every commit of the tests.
pub(crate) const NOW: CommitTime = CommitTime { seconds: 1_700_000_000, offset_minutes: 0 };

/// A folder with repositories in it, and HOME beside them.
pub(crate) struct TestEnvironment {
    folder: TempDir,
}

/// One repository.
pub(crate) struct Repo {
    pub(crate) path: PathBuf,
    home: PathBuf,
}

impl TestEnvironment {
    pub(crate) fn new() -> Self {
        let test_env = Self { folder: tempfile::tempdir_in(quick_folder()).unwrap() };
        fs::create_dir(test_env.path("home")).unwrap();
        test_env
    }

    /// A folder that holds what another one holds.
    #[cfg(feature = "watch")]
    pub(crate) fn like(other: &Self) -> Self {
        let test_env = Self { folder: tempfile::tempdir_in(quick_folder()).unwrap() };
        copy(&other.path(""), &test_env.path(""));
        test_env
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().canonicalize().unwrap().join(name)
    }

    /// A repository that is there already.
    pub(crate) fn repo(&self, name: &str) -> Repo {
        Repo { path: self.path(name), home: self.path("home") }
    }

    /// An empty repository with a working tree.
    pub(crate) fn init(&self, name: &str, options: &[&str]) -> Repo {
        let repo = self.repo(name);
        fs::create_dir_all(&repo.path).unwrap();
        repo.git(&[&["init", "-q", "-b", "main"], options].concat());
        repo
    }

    /// A clone of another repository.
    pub(crate) fn clone(&self, from: &Repo, name: &str, options: &[&str]) -> Repo {
        let repo = self.repo(name);
        let url = format!("file://{}", from.path.display());
        let to = repo.path.display().to_string();
        from.git(&[&["clone", "-q"], options, &[&url, &to]].concat());
        repo
    }
}

/// Where folders of tests are: in memory, where there is plenty and programs may be run from it. Disks take most of the
/// time of a test that makes many small files.
#[cfg(unix)]
fn quick_folder() -> PathBuf {
    use nix::sys::statvfs::{FsFlags, statvfs};
    let memory = Path::new("/dev/shm");
    let is_fit = statvfs(memory).is_ok_and(|found| {
        let free = u128::from(found.blocks_available()) * u128::from(found.fragment_size());
        free >= 1 << 30 && !found.flags().intersects(FsFlags::ST_NOEXEC | FsFlags::ST_RDONLY)
    });
    if is_fit && std::env::var_os("TMPDIR").is_none() { memory.to_owned() } else { std::env::temp_dir() }
}

#[cfg(not(unix))]
fn quick_folder() -> PathBuf {
    std::env::temp_dir()
}

/// Copies what is in a folder into another one.
#[cfg(feature = "watch")]
fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            fs::create_dir_all(&target).unwrap();
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

impl Repo {
    /// The same repository, seen from one of its folders.
    #[cfg(unix)]
    pub(crate) fn in_folder(other: &Self, folder: &str) -> Self {
        Self { path: other.path.join(folder), home: other.home.clone() }
    }

    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.path).env_clear().stdin(Stdio::null());
        command.envs(self.environment());
        // A new repository gets no samples of hooks.
        command.env("GIT_TEMPLATE_DIR", "");
        for who in ["AUTHOR", "COMMITTER"] {
            command
                .env(format!("GIT_{who}_NAME"), "A Person")
                .env(format!("GIT_{who}_EMAIL"), "a@example.com");
            command.env(format!("GIT_{who}_DATE"), "1600000000 +0000");
        }
        command
    }

    /// What the programs that pillion starts may know.
    pub(crate) fn environment(&self) -> Vec<(OsString, OsString)> {
        let mut variables: Vec<(OsString, OsString)> = [
            ("GIT_CONFIG_GLOBAL", "/dev/null"),
            ("GIT_CONFIG_NOSYSTEM", "1"),
            ("GIT_OPTIONAL_LOCKS", "0"),
            ("LC_ALL", "C.UTF-8"),
        ]
        .map(|(k, v)| (k.into(), v.into()))
        .into();
        variables.push(("HOME".into(), self.home.clone().into()));
        // Programs of Windows do not start without SystemRoot.
        for name in ["PATH", "SystemRoot"] {
            variables.extend(std::env::var_os(name).map(|value| (name.into(), value)));
        }
        variables
    }

    /// How pillion starts git here.
    pub(crate) fn programs(&self) -> GitCommand {
        GitCommand { environment: self.environment(), ..GitCommand::default() }
    }

    /// Sets a key of the repository's configuration.
    pub(crate) fn set(&self, key: &str, value: &str) -> &Self {
        self.git(&["config", key, value]);
        self
    }

    /// Puts a script that is executable.
    pub(crate) fn script(&self, path: &Path, lines: &str) -> PathBuf {
        let path = self.path.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, format!("#!/bin/sh\n{lines}\n")).unwrap();
        #[cfg(unix)]
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        path
    }

    pub(crate) fn try_git(&self, args: &[&str]) -> Output {
        self.command("git").args(args).output().unwrap()
    }

    /// Runs git and returns what it says, without the last line end.
    pub(crate) fn git(&self, args: &[&str]) -> String {
        let output = self.try_git(args);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
        assert!(output.status.success(), "git {args:?}: {}{}", text(&output.stdout), text(&output.stderr));
        text(&output.stdout)
    }

    pub(crate) fn put(&self, name: &str, bytes: impl AsRef<[u8]>) -> &Self {
        let path = self.path.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
        self
    }

    /// Adds everything and commits it; returns the commit.
    pub(crate) fn commit(&self, message: &str) -> ObjectId {
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "--allow-empty", "-m", message]);
        self.id("HEAD")
    }

    pub(crate) fn id(&self, revision: &str) -> ObjectId {
        self.git(&["rev-parse", "--verify", revision]).parse().unwrap()
    }

    /// The bytes of a file of a revision.
    pub(crate) fn show(&self, object: &str) -> Vec<u8> {
        let output = self.try_git(&["cat-file", "blob", object]);
        assert!(output.status.success(), "{object}");
        output.stdout
    }

    pub(crate) fn open(&self) -> Repository {
        Repository::discover(&self.path).unwrap().with_git_command(self.programs())
    }

    /// Runs something that must leave index, HEAD and working tree alone, and a sound repository behind.
    pub(crate) fn at_rest<T>(&self, work: impl FnOnce(&Repository) -> T) -> T {
        let before = self.snapshot();
        let result = work(&self.open());
        assert_eq!(before, self.snapshot(), "index, HEAD or the working tree changed");
        let check = self.try_git(&["fsck", "--strict", "--no-dangling"]);
        let output = String::from_utf8_lossy(&[check.stdout, check.stderr].concat()).into_owned();
        assert!(
            check.status.success() && !output.contains("error") && !output.contains("warning"),
            "{output}"
        );
        result
    }

    /// Every file but objects, refs and their logs.
    fn snapshot(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut found = BTreeMap::new();
        collect(&self.path, &mut found);
        found
    }
}

/// Names below a `.git` folder that git operations may change.
const MOVING: &[&str] = &["objects", "refs", "logs", "packed-refs", "info", "FETCH_HEAD"];

fn collect(folder: &Path, found: &mut BTreeMap<PathBuf, Vec<u8>>) {
    let is_git = folder.join("HEAD").exists() && folder.join("objects").exists();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if is_git && MOVING.contains(&name.as_str()) {
            continue;
        }
        let kind = fs::symlink_metadata(&path).unwrap().file_type();
        if kind.is_symlink() {
            found.insert(path.clone(), fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes());
        } else if kind.is_dir() {
            collect(&path, found);
        } else {
            found.insert(path.clone(), fs::read(&path).unwrap());
        }
    }
}

/// Author and committer of what pillion commits in the tests.
pub(crate) fn pillion() -> Identity {
    Identity::new("pillion", "pillion@acme.example").unwrap()
}

/// A commit of which one is author and committer, at one time.
pub(crate) fn by<'a>(
    identity: &'a Identity,
    time: CommitTime,
    tree: ObjectId,
    parents: &'a [ObjectId],
    message: &'a str,
) -> NewCommit<'a> {
    let who = Signature::new(identity, time);
    NewCommit { tree, parents, message, author: who, committer: who }
}

/// Writes a commit on top of another, in which some files are put.
pub(crate) fn on_top(repository: &Repository, parent: ObjectId, files: &[(&str, &str)]) -> ObjectId {
    let mut editor = repository.editor(Some(repository.commit(parent).unwrap().tree)).unwrap();
    for (path, text) in files {
        editor.put(path, text.as_bytes()).unwrap();
    }
    let tree = editor.write().unwrap();
    let (pillion, parents) = (pillion(), [parent]);
    let new = by(&pillion, NOW, tree, &parents, "pillion: batch\n");
    let made = editor.commit(&new, &Signing::disabled()).unwrap();
    editor.finish().unwrap();
    made
}
