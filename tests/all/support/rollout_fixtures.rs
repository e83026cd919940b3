//! Repositories with a rollout: sources, SidecarSets, ledgers and rendered files, made by `git` and by `pillion
//! render`.

use crate::support::cluster_view::{Texts, folder};
use crate::support::git_fixtures::{Repo, TestEnvironment};
use indoc::formatdoc;
use pillion::model::ledger::{Ledger, Revision, emit};
use pillion::model::sidecar_set::{DecodeMode, decode_for};
use pillion::yaml::{Document, FieldPath as YamlPath};
use std::fs;
use std::process::Output;
use std::sync::Arc;

/// The ledger of a SidecarSet that is released as it is written: what `init rollout` makes.
pub(crate) fn ledger_at(set: &str) -> String {
    let document = Arc::new(Document::read(&"set.yaml".into(), 0, 1, set).unwrap());
    let set = Arc::new(decode_for(DecodeMode::Render, &document, &YamlPath::root()).0.unwrap());
    let revision = Revision::from_set(&set);
    let mut ledger = Ledger::new(&set.name);
    ledger.released = Some(Arc::clone(&revision.name));
    ledger.revisions.insert(Arc::clone(&revision.name), revision);
    emit(&ledger)
}

/// The worked example with its ledger.
pub(crate) fn example() -> Texts {
    let mut texts = folder("examples/rollout");
    texts.retain(|path, _| {
        !path.starts_with("rendered/") && !path.starts_with("ledgers/") && !path.ends_with(".md")
    });
    let ledger = ledger_at(&texts["sidecars/log.yaml"]);
    texts.insert("ledgers/log.yaml".into(), ledger);
    texts
}

impl Repo {
    /// Makes the working tree hold these texts and nothing else besides rendered files.
    pub(crate) fn hold(&self, texts: &Texts) -> &Self {
        for entry in fs::read_dir(&self.path).unwrap() {
            let path = entry.unwrap().path();
            if path.ends_with(".git") || path.ends_with("rendered") {
                continue;
            }
            if path.is_dir() { fs::remove_dir_all(path).unwrap() } else { fs::remove_file(path).unwrap() }
        }
        for (path, text) in texts {
            self.put(path, text);
        }
        self
    }

    pub(crate) fn try_pillion(&self, args: &[&str]) -> Output {
        self.command(env!("CARGO_BIN_EXE_pillion")).args(args).output().unwrap()
    }

    /// Runs pillion, which must succeed and leave a sound repository behind, and returns what it prints.
    pub(crate) fn pillion(&self, args: &[&str]) -> String {
        let output = self.at_rest(|_| self.try_pillion(args));
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(output.status.success(), "{args:?}: {}{}", text(&output.stdout), text(&output.stderr));
        text(&output.stdout)
    }

    /// Runs pillion, which must fail, and returns its exit code and messages.
    pub(crate) fn refused(&self, args: &[&str]) -> (i32, String) {
        let output = self.at_rest(|_| self.try_pillion(args));
        (output.status.code().unwrap(), String::from_utf8_lossy(&output.stderr).into_owned())
    }

    /// Puts staged commits onto `main` as a watcher does: one after the other, an hour apart.
    pub(crate) fn release(&self, tip: &str) -> &Self {
        if !self.try_git(&["merge-base", "--is-ancestor", "main", tip]).status.success() {
            self.pillion(&["stage"]);
        }
        let head = self.as_released("main", tip);
        self.git(&["branch", "-f", "main", &head]);
        self
    }

    /// Returns staged commits as a watcher would have released them, on top of a branch that is not moved.
    pub(crate) fn as_released(&self, branch: &str, tip: &str) -> String {
        let mut head = self.git(&["rev-parse", branch]);
        let date = |commit: &str| self.git(&["log", "-1", "--format=%ct", commit]).parse::<i64>().unwrap();
        for staged in self.git(&["rev-list", "--reverse", &format!("{branch}..{tip}")]).lines() {
            let time = (date(&head) + 3600).max(date(staged));
            let message = self.git(&["log", "-1", "--format=%B", staged]);
            let mut command = self.command("git");
            command.env("GIT_COMMITTER_DATE", format!("{time} +0000"));
            for who in ["AUTHOR", "COMMITTER"] {
                command.env(format!("GIT_{who}_NAME"), "pillion");
                command.env(format!("GIT_{who}_EMAIL"), "pillion@acme.example");
            }
            command.args(["commit-tree", &format!("{staged}^{{tree}}"), "-p", &head, "-m", &message]);
            head = String::from_utf8(command.output().unwrap().stdout).unwrap().trim().to_owned();
        }
        head
    }

    /// Renders the working tree, as a person does.
    pub(crate) fn render(&self) -> &Self {
        let output = self.try_pillion(&["render", "--out", "rendered"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        self
    }
}

/// A repository of one branch with the worked example, released as 1.4.2.
pub(crate) fn released(test_env: &TestEnvironment, name: &str) -> Repo {
    let repo = test_env.init(name, &[]);
    repo.hold(&example()).render().commit("start");
    repo
}

/// Makes 1.5.0 of the example's 1.4.2.
pub(crate) fn newer(mut texts: Texts) -> Texts {
    let set = texts.get_mut("sidecars/log.yaml").unwrap();
    *set = set.replace("1.4.2", "1.5.0");
    texts
}

/// Splits a repository into two clusters, of `apps/shop` and of `apps/data`, with ledgers of their own.
pub(crate) fn in_two_clusters(mut texts: Texts, [shop, data]: [&str; 2]) -> Texts {
    texts.get_mut("pillion.yaml").unwrap().push_str(&formatdoc! {"
        clusters:
        - name: {shop}
          folder: apps/shop
        - name: {data}
          folder: apps/data
    "});
    let ledgers: Vec<String> = texts.keys().filter(|path| path.starts_with("ledgers/")).cloned().collect();
    for path in ledgers {
        let ledger = texts.remove(&path).unwrap();
        for cluster in [shop, data] {
            texts.insert(path.replace("ledgers/", &format!("ledgers/{cluster}/")), ledger.clone());
        }
    }
    texts
}

/// The example with sources on `main` and everything else on `env/prod`.
pub(crate) fn two_branches() -> Texts {
    let mut texts = example();
    texts.remove("ledgers/log.yaml");
    let pillion_yaml = texts.get_mut("pillion.yaml").unwrap();
    *pillion_yaml =
        pillion_yaml.replace("rendered: rendered", "rendered: .").replace("deploy: main", "deploy: env/prod");
    texts
}
