//! The environment of one test: a namespace, a git server with a repository, a person, and an agent that applies the
//! deploy branch.

use super::deploy;
use super::fleet::{Fleet, Layout, RENDERED, sidecar_file};
use crate::git_fixtures::Repo;
use crate::harness::agent::{Agent, Applies};
use crate::harness::api::PODS;
use crate::harness::git_server::GitServer;
use crate::harness::namespace::Namespace;
use crate::harness::pods::{container, is_ready};
use crate::harness::wait::{SOON, wait_for};
use pillion::git::ObjectId;
use serde_json::Value;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::Duration;

pub(super) struct Story {
    pub(super) agent: Box<dyn Applies>,
    pub(super) person: Repo,
    pub(super) server: GitServer,
    pub(super) namespace: Namespace,
    pub(super) fleet: Fleet,
    pub(super) kubeconfig: PathBuf,
    /// The commit of the deploy branch when all runs with version 1.
    pub(super) start: ObjectId,
}

/// A commit of a rollout, as its trailers tell it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Act {
    pub(super) commit: ObjectId,
    pub(super) set: String,
    /// `Open`, `Batch 1/2`, `Close`, `Pause`, ...
    pub(super) action: String,
}

pub(super) const PILLION: &str = env!("CARGO_BIN_EXE_pillion");

impl Story {
    /// The fleet runs with version 1 of its sidecars, and git says so.
    pub(super) fn begin(namespace: Namespace, fleet: Fleet) -> Self {
        Self::begin_beside(namespace, fleet, |server, namespace| {
            Box::new(Agent::start(server, "main", RENDERED, &namespace.kubectl))
        })
    }

    /// The same beside another agent.
    pub(super) fn begin_beside(
        namespace: Namespace,
        fleet: Fleet,
        agent: impl FnOnce(&GitServer, &Namespace) -> Box<dyn Applies>,
    ) -> Self {
        let server = GitServer::new();
        let person = server.clone("person");
        fleet.put(&person, &namespace.name);
        person.commit("applications and sidecars");
        person.git(&["push", "-q", "origin", "HEAD:main"]);
        render_branch(&person, fleet.layout, &["--create"]);
        let init = person
            .command(PILLION)
            .args(["init", "rollout", "--released=current", "--push"])
            .output()
            .unwrap();
        assert!(init.status.success(), "{init:?}");
        let start = server.bare.id(fleet.layout.deploy_branch());
        let agent = agent(&server, &namespace);
        let kubeconfig = deploy::kubeconfig(&namespace.name);
        agent.wait_applied(start);
        let story = Self { agent, person, server, namespace, fleet, kubeconfig, start };
        story.wait_until("all pods are ready", |pods| {
            pods.len() == story.fleet.pods() && pods.iter().all(is_ready)
        });
        story
    }

    /// How long anything may take: a busy machine makes a few tens of pods a second, for all tests together.
    pub(super) fn patience(&self) -> Duration {
        SOON + Duration::from_millis(200) * u32::try_from(self.fleet.pods()).unwrap()
    }

    /// The pods that are not being deleted.
    pub(super) fn pods(&self) -> Vec<Value> {
        let mut pods = self.namespace.list(PODS);
        pods.retain(|pod| pod["metadata"]["deletionTimestamp"].is_null());
        pods
    }

    #[track_caller]
    pub(super) fn wait_until(&self, what: &str, holds: impl Fn(&[Value]) -> bool) {
        wait_for(what, self.patience(), || {
            let pods = self.pods();
            let line = |pod: &Value| format!("{} ready {}", pod["metadata"]["name"], is_ready(pod));
            if holds(&pods) { Ok(()) } else { Err(pods.iter().map(line).collect::<Vec<_>>().join(", ")) }
        });
    }

    /// Returns whether every pod with a sidecar runs this image of it, and is ready.
    #[track_caller]
    pub(super) fn wait_carried(&self, sidecar: &str, image: &str) {
        let has_image = |pod: &Value| {
            let has = pod["metadata"]["labels"][sidecar] == "yes";
            !has || (container(pod, sidecar)["image"] == image && is_ready(pod))
        };
        self.wait_until(&format!("all carry {image}"), |pods| {
            pods.len() == self.fleet.pods() && pods.iter().all(has_image)
        });
    }

    /// The person's pillion, in the person's clone.
    pub(super) fn pillion(&self, args: &[&str]) -> Output {
        self.person.command(PILLION).args(args).output().unwrap()
    }

    /// The same, which must succeed; returns what it prints.
    #[track_caller]
    pub(super) fn run_pillion(&self, args: &[&str]) -> String {
        let output = self.pillion(args);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(output.status.success(), "{args:?}: {}{}", text(&output.stdout), text(&output.stderr));
        text(&output.stdout)
    }

    /// What is to come of the only rollout, as `pillion plan` says of pods that are seen.
    pub(super) fn plan(&self) -> Value {
        let mut args = vec!["plan", "--output=json"];
        // How many pods a daemon has stands in no file.
        let kinds = self.fleet.kinds_of_daemons();
        if !kinds.is_empty() {
            let kinds = kinds.join(",");
            self.person
                .put("../observed.json", self.namespace.kubectl.run(&["get", &kinds, "--output=json"]));
            args.push("--cluster-state=../observed.json");
        }
        let mut plan: Value = serde_json::from_str(&self.run_pillion(&args)).unwrap();
        plan["items"][0].take()
    }

    /// `pillion watch` in a clone, as the account of `deploy/`, with nothing of the environment of the tests.
    pub(super) fn watch(&self, clone: &Repo) -> Command {
        let mut command = clone.command(PILLION);
        command.env("KUBECONFIG", &self.kubeconfig);
        command.arg("watch").arg(format!("--namespace={}", self.namespace.name));
        command
    }

    /// A person's commit on what is live now.
    pub(super) fn push(&self, message: &str, change: impl Fn(&Repo)) -> ObjectId {
        wait_for("the person's push is faster than others", SOON, || {
            self.person.git(&["fetch", "-q", "origin", "main"]);
            self.person.git(&["reset", "-q", "--hard", "FETCH_HEAD"]);
            change(&self.person);
            let commit = self.person.commit(message);
            let pushed = self.person.try_git(&["push", "-q", "origin", "HEAD:main"]);
            if !pushed.status.success() {
                return Err("another push was faster");
            }
            render_branch(&self.person, self.fleet.layout, &[]);
            Ok(commit)
        })
    }

    /// A person merges another image of a sidecar.
    pub(super) fn change(&self, sidecar: &str, image: &str) -> ObjectId {
        self.push(image, |repo| {
            repo.put(&sidecar_file(sidecar), self.fleet.sidecar_set(sidecar, image));
        })
    }

    pub(super) fn head(&self) -> ObjectId {
        self.server.bare.id(self.fleet.layout.deploy_branch())
    }

    /// What happened to a rollout since everything ran, oldest first.
    pub(super) fn acts(&self, set: &str) -> Vec<Act> {
        let of = |key: &str| format!("%(trailers:key=Pillion-{key},valueonly,separator=%x2C)");
        let format = format!("--format=%H|{}|{}|{}", of("SidecarSet"), of("Action"), of("Batch"));
        let range = format!("{}..{}", self.start, self.head());
        let log = self.server.bare.git(&["log", "--first-parent", "--reverse", &format, &range]);
        let acts = log.lines().map(|line| {
            let mut words = line.split('|');
            let mut word = || words.next().unwrap();
            let (commit, set) = (word().parse().unwrap(), word().to_owned());
            let (action, batch) = (word(), word());
            let action = if action == "Batch" { format!("{action} {batch}") } else { action.to_owned() };
            Act { commit, set, action }
        });
        acts.filter(|act| act.set == set).collect()
    }

    pub(super) fn actions(&self, set: &str) -> Vec<String> {
        self.acts(set).into_iter().map(|act| act.action).collect()
    }

    /// The same, as ids.
    pub(super) fn ids(&self, set: &str) -> Vec<String> {
        self.acts(set).into_iter().map(|act| act.commit.to_string()).collect()
    }

    /// The same, as what they hold and say: their ids tell of the time of their release, too.
    pub(super) fn commits(&self, set: &str) -> Vec<String> {
        let says =
            |act: Act| self.server.bare.git(&["log", "-1", "--format=%T%n%B", &act.commit.to_string()]);
        self.acts(set).into_iter().map(says).collect()
    }

    /// The commits of an undisturbed rollout, by content and message: those that `pillion stage`
    /// writes.
    pub(super) fn staged(&self, set: &str) -> Vec<String> {
        self.run_pillion(&["stage", set]);
        let range =
            format!("{}..refs/heads/pillion/{}/{set}", self.head(), self.fleet.layout.deploy_branch());
        let log = self.person.git(&["log", "--reverse", "--format=%H", &range]);
        log.lines().map(|id| self.person.git(&["log", "-1", "--format=%T%n%B", id])).collect()
    }

    /// Waits for a commit of a rollout, and returns it.
    #[track_caller]
    pub(super) fn wait_act(&self, set: &str, action: &str) -> ObjectId {
        wait_for(&format!("{set}: {action}"), self.patience(), || {
            let acts = self.acts(set);
            let found = acts.iter().find(|act| act.action == action);
            found.map(|act| act.commit).ok_or_else(|| format!("{:?}", self.actions(set)))
        })
    }

    /// What git holds is what pillion makes, from the start to the head of the deploy branch, and sound.
    #[track_caller]
    pub(super) fn verify(&self) {
        self.person.git(&["fetch", "-q", "origin"]);
        self.run_pillion(&["verify", "--base", &self.start.to_string(), &self.head().to_string()]);
        let fsck = self.server.bare.try_git(&["fsck", "--strict", "--no-dangling"]);
        let output = String::from_utf8_lossy(&[fsck.stdout, fsck.stderr].concat()).into_owned();
        assert!(fsck.status.success() && output.is_empty(), "{output}");
    }
}

/// What the CI of `main` does where rendered files have a branch of their own.
fn render_branch(person: &Repo, layout: Layout, options: &[&str]) {
    if layout == Layout::Branch {
        let render = ["render", "--push", "--branch", layout.deploy_branch()];
        let rendered = person.command(PILLION).args(render).args(options).output().unwrap();
        assert!(rendered.status.success(), "{rendered:?}");
    }
}
