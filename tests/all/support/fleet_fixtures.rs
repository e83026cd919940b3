//! A small fleet in a repository: four Deployments in two namespaces, and SidecarSets for tests to change.

use crate::support::cluster_view::Texts;
use crate::support::git_fixtures::{Repo, TestEnvironment};
use crate::support::rollout_fixtures::ledger_at;
use indoc::{formatdoc, indoc};
use pillion::git::ObjectId;
use pillion::model::ledger::{Ledger, decode, emit};
use pillion::yaml::{Document, FieldPath};
use std::fs;
use std::sync::Arc;

pub(crate) const SETTINGS: &str = indoc! {"
    apiVersion: pillion.dev/v1alpha1
    kind: Repository
    sources: [apps]
    sidecarSets: [sidecars]
    rendered: rendered
    ledgers: ledgers
    namespaces:
    - folder: apps/shop
      name: shop
      labels: {team: shop}
    - folder: apps/data
      name: data
      labels: {team: data}
    rollout:
      steps: [1, 50%, 100%]
      soak: 30s
"};

/// The rendered files of the fleet.
pub(crate) const FILES: [&str; 4] = ["data/db.yaml", "shop/api.yaml", "shop/cart.yaml", "shop/web.yaml"];

pub(crate) fn deployment(name: &str) -> String {
    formatdoc! {r#"
        apiVersion: apps/v1
        kind: Deployment
        metadata:
          name: {name}
        spec:
          replicas: 2
          selector:
            matchLabels: {{app: {name}}}
          template:
            metadata:
              labels: {{app: {name}, log: "true"}}
            spec:
              containers:
              - name: {name}
                image: {name}:1
    "#}
}

/// A SidecarSet over the label `log: "true"`, with some containers: name and image.
pub(crate) fn set(name: &str, containers: &[(&str, &str)]) -> String {
    let containers: String =
        containers.iter().map(|(name, image)| format!("  - name: {name}\n    image: {image}\n")).collect();
    formatdoc! {r#"
        apiVersion: apps.kruise.io/v1beta1
        kind: SidecarSet
        metadata:
          name: {name}
        spec:
          selector:
            matchLabels: {{log: "true"}}
          containers:
        {containers}
    "#}
}

/// The fleet, with the sets released as they are written; `is_auto`: rollouts start by themselves.
pub(crate) fn fleet(sets: &[(&str, &str)], is_auto: bool) -> Texts {
    let mut texts = Texts::new();
    let start = if is_auto { "  start: Auto\n" } else { "" };
    texts.insert("pillion.yaml".into(), format!("{SETTINGS}{start}"));
    for file in FILES {
        let name = file.split(['/', '.']).nth(1).unwrap();
        texts.insert(format!("apps/{file}"), deployment(name));
    }
    for (name, text) in sets {
        texts.insert(format!("sidecars/{name}.yaml"), (*text).to_owned());
        texts.insert(format!("ledgers/{name}.yaml"), ledger_at(text));
    }
    texts
}

/// A repository with a fleet, rendered, HEAD detached.
pub(crate) fn repository(test_env: &TestEnvironment, name: &str, texts: &Texts) -> Repo {
    let repo = test_env.init(name, &[]);
    repo.hold(texts).render().commit("start");
    repo.git(&["switch", "-q", "--detach"]);
    repo
}

/// The ledger of a set that has none: nothing is released.
pub(crate) fn empty_ledger(name: &str) -> String {
    emit(&Ledger::new(name))
}

impl Repo {
    /// Commits a change on top of `main`: files to put, and files to remove.
    pub(crate) fn change(&self, put: &[(&str, &str)], removed: &[&str]) -> ObjectId {
        self.git(&["switch", "-q", "--detach", "main"]);
        for path in removed {
            fs::remove_file(self.path.join(path)).unwrap();
        }
        for (path, text) in put {
            self.put(path, text);
        }
        let id = self.commit("a person's change");
        self.git(&["branch", "-f", "main", "HEAD"]);
        id
    }

    pub(crate) fn text(&self, revision: &str, path: &str) -> String {
        String::from_utf8(self.show(&format!("{revision}:{path}"))).unwrap()
    }

    pub(crate) fn ledger(&self, revision: &str, name: &str) -> Ledger {
        let text = self.text(revision, &format!("ledgers/{name}.yaml"));
        let document = Arc::new(Document::read(&"ledger.yaml".into(), 0, 1, &text).unwrap());
        decode(&document, &FieldPath::root()).0.unwrap()
    }

    /// How often each rendered file has a container: the files that have it, once each.
    pub(crate) fn carriers(&self, revision: &str, container: &str) -> Vec<&'static str> {
        let mut found = Vec::new();
        for file in FILES {
            let text = self.text(revision, &format!("rendered/{file}"));
            let times = text.matches(&format!("- name: {container}\n")).count();
            assert!(times < 2, "{revision}: {file} has {container} twice");
            if times == 1 {
                found.push(file);
            }
        }
        found
    }

    /// The commits of `main` after one, oldest first.
    pub(crate) fn since(&self, base: ObjectId) -> Vec<String> {
        let ids = self.git(&["rev-list", "--reverse", &format!("{base}..main")]);
        ids.lines().map(str::to_owned).collect()
    }

    pub(crate) fn subjects(&self, base: ObjectId) -> Vec<String> {
        let all = self.git(&["log", "--reverse", "--format=%s", &format!("{base}..main")]);
        all.lines().map(str::to_owned).collect()
    }

    /// Every commit after one is what render makes of it, and every ledger on the way is what pillion writes.
    pub(crate) fn is_sound_since(&self, test_env: &TestEnvironment, base: ObjectId) {
        for commit in self.since(base) {
            let name = format!("check-{commit}");
            let place = test_env.path(&name).display().to_string();
            self.git(&["worktree", "add", "-q", "--detach", &place, &commit]);
            let output = test_env.repo(&name).try_pillion(&["render", "--check", "--quiet"]);
            let stderr = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{commit}: {stderr}");
            self.git(&["worktree", "remove", "--force", &place]);
        }
        self.pillion(&["verify", "main", "--base", &base.to_string()]);
    }

    /// Runs pillion on `main` in the working tree; returns the exit code, and what it prints on both streams.
    pub(crate) fn says(&self, args: &[&str]) -> (i32, String) {
        self.git(&["switch", "-q", "--detach", "main"]);
        let output = self.at_rest(|_| self.try_pillion(args));
        let text = [output.stdout, output.stderr].concat();
        (output.status.code().unwrap(), String::from_utf8_lossy(&text).into_owned())
    }

    /// One look of a watcher with an API server that cannot be reached: it releases nothing, and says what is wrong in git.
    pub(crate) fn watches(&self) -> (i32, String) {
        let context = |name: &str| {
            formatdoc! {"
                - name: {name}
                  context:
                    cluster: none
                    user: none
            "}
        };
        let contexts: String = ["none", "prod", "prod-2"].map(context).concat();
        let config = formatdoc! {"
            apiVersion: v1
            kind: Config
            current-context: none
            clusters:
            - name: none
              cluster:
                server: 'http://127.0.0.1:1'
            users:
            - name: none
              user: {{}}
            contexts:
            {contexts}
        "};
        let file = self.path.with_extension("kubeconfig");
        fs::write(&file, config).unwrap();
        self.git(&["switch", "-q", "--detach", "main"]);
        let output = self.at_rest(|_| {
            let mut command = self.command(env!("CARGO_BIN_EXE_pillion"));
            command.env("KUBECONFIG", &file).args(["watch", "--once", "--timeout", "1s"]).output().unwrap()
        });
        let text = [output.stdout, output.stderr].concat();
        (output.status.code().unwrap(), String::from_utf8_lossy(&text).into_owned())
    }
}
