//! States that no commit says, on a real remote: each is notified once with the command to type, however often a watcher
//! looks, whether it was restarted, and whether another one on another machine looks too.

use crate::support::fake_cluster::FakeCluster;
use crate::support::fleet_fixtures::{FILES, fleet, repository, set};
use crate::support::git_fixtures::{Repo, TestEnvironment};
use crate::support::gitops_agent::Agent;
use crate::support::scripted_servers::Scripted;
use jiff::{SignedDuration, Timestamp};
use pillion::yaml::Document;
use serde_json::{Value, json};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long anything may take on a busy machine.
const SOON: Duration = Duration::from_secs(120);

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + SOON;
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A rollout on a remote, two machines with a clone of it, a cluster, and a receiver of notifications.
struct Watched {
    _environment: TestEnvironment,
    origin: Repo,
    machines: [Repo; 2],
    cluster: FakeCluster,
    receiver: Scripted,
    agent: Agent,
}

/// A watcher that runs until it is dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Watched {
    /// `settings` are further lines of `rollout`; the SidecarSet is released, and then it changes.
    fn new(settings: &str, edit: impl Fn(String) -> String) -> Self {
        let (environment, cluster) = (TestEnvironment::new(), FakeCluster::start());
        let image = |image| set("log", &[("log", image)]);
        let mut texts = fleet(&[("log", &image("log:0"))], true);
        texts.get_mut("pillion.yaml").unwrap().push_str(settings);
        let origin = repository(&environment, "origin", &texts);
        let mut agent = Agent::default();
        agent.work(&cluster, &origin.open());
        origin.change(&[("sidecars/log.yaml", &edit(image("log:1")))], &[]);
        let machines = ["machine", "other"].map(|name| environment.clone(&origin, name, &[]));
        let receiver = Scripted::new((0..100).map(|_| (204, vec![], String::new())));
        Self { _environment: environment, origin, machines, cluster, receiver, agent }
    }

    fn command(&self, machine: usize) -> Command {
        let mut command = self.machines[machine].command(env!("CARGO_BIN_EXE_pillion"));
        command
            .env("KUBECONFIG", self.cluster.kubeconfig())
            .env("PILLION_NOTIFY_URL", format!("{}/hook", self.receiver.url()));
        command
    }

    /// A new process looks once, on each machine.
    fn look(&self) {
        for machine in [0, 1] {
            let output = self.command(machine).args(["watch", "--once"]).output().unwrap();
            let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
            assert!(!text.contains("the next run tells it"), "{text}");
            assert!(matches!(output.status.code(), Some(0 | 1 | 4)), "{:?} {text}", output.status);
        }
    }

    fn watch(&self) -> Running {
        let mut command = self.command(0);
        command.args(["watch", "--interval=1s"]).stdout(Stdio::null()).stderr(Stdio::null());
        Running(command.spawn().unwrap())
    }

    /// The notifications of a state or an action.
    fn notifications(&self, action: &str) -> Vec<Value> {
        let all = self.receiver.asked_so_far().into_iter().map(|asked| asked.json());
        all.filter(|notification| notification["action"] == action).collect()
    }

    /// A state was notified exactly once, with this in its text.
    #[track_caller]
    fn was_notified_once(&self, action: &str, words: &[&str]) {
        let notifications = self.notifications(action);
        let all: Vec<Value> = self.receiver.asked_so_far().iter().map(|asked| asked.json()).collect();
        assert_eq!(notifications.len(), 1, "{action}: {all:#?}");
        let body = notifications[0]["body"].as_str().unwrap();
        assert!(words.iter().all(|word| body.contains(word)), "{action}: {body}");
        assert!(body.contains("`pillion ") || body.contains("`git "), "{action} names no command: {body}");
        let records = self.origin.git(&["for-each-ref", "refs/pillion/notified-states/"]);
        assert!(records.contains("refs/pillion/notified-states/webhook/main"), "{records}");
    }

    /// Another push, which changes nothing of the rollout.
    fn push_something_else(&self) {
        self.origin.change(&[("notes.txt", "something else\n")], &[]);
    }
}

#[test]
fn a_batch_that_waits_for_approval() {
    let watched = Watched::new("  approve: [1]\n", |set| set);
    watched.look();
    watched.was_notified_once("Approval", &["`pillion approve log 1`"]);
    watched.push_something_else();
    watched.look();
    watched.was_notified_once("Approval", &[]);
}

#[test]
fn a_freeze_window() {
    // The same window in all looks, except at the end of June and of December.
    let watched = Watched::new(
        "  freeze:\n  - {cron: '0 0 1 1 *', length: 4368h}\n  - {cron: '0 0 1 7 *', length: 4440h}\n",
        |set| set,
    );
    watched.look();
    watched.was_notified_once("Freeze", &["frozen until", "`pillion promote log`"]);
    watched.push_something_else();
    watched.look();
    watched.was_notified_once("Freeze", &[]);
}

#[test]
fn a_blocked_rollout() {
    let watched = Watched::new("", |set| {
        set.replace("  containers:", "  updateStrategy: {paused: true}\n  containers:")
    });
    watched.look();
    watched.was_notified_once("Blocked", &["`updateStrategy.paused` is set", "`pillion status log`"]);
    watched.push_something_else();
    watched.look();
    watched.was_notified_once("Blocked", &[]);
}

#[test]
fn a_deployment_that_is_paused_in_the_cluster() {
    let mut watched = Watched::new("", |set| set);
    until("the pods are ready", || {
        watched.agent.work(&watched.cluster, &watched.origin.open());
        watched.agent.is_settled()
    });
    watched.look();
    assert_eq!(watched.notifications("Batch").len(), 1);
    let origin = watched.origin.open();
    let tree = origin.commit(origin.find_ref("refs/heads/main").unwrap()).unwrap().tree;
    for file in FILES {
        let entry = origin.entry_at(tree, &format!("rendered/{file}")).unwrap().unwrap();
        let text = String::from_utf8(origin.read_blob(entry.id).unwrap()).unwrap();
        let mut deployment = Document::read(&"w.yaml".into(), 0, 1, &text).unwrap().value().clone();
        let (namespace, name) = file.trim_end_matches(".yaml").split_once('/').unwrap();
        deployment["metadata"] = json!({"namespace": namespace, "name": name, "uid": format!("u-{name}"),
            "generation": 2, "annotations": {"deployment.kubernetes.io/revision": "1"}});
        deployment["spec"]["paused"] = json!(true);
        deployment["status"] = json!({"observedGeneration": 2});
        watched.cluster.put("apps/v1/deployments", deployment);
    }
    watched.look();
    watched
        .was_notified_once("Stalled", &["paused or OnDelete in the cluster", "`pillion status log --watch`"]);
    watched.push_something_else();
    watched.look();
    watched.was_notified_once("Stalled", &[]);
}

#[test]
fn a_deploy_branch_that_has_drifted() {
    let watched = Watched::new("", |set| set);
    let file = watched.origin.text("main", "rendered/shop/web.yaml");
    watched.origin.change(&[("rendered/shop/web.yaml", &file.replace("replicas: 2", "replicas: 3"))], &[]);
    watched.look();
    watched.look();
    watched.was_notified_once("Error", &["deploy-branch-not-rendered", "rendered/shop/web.yaml"]);
    assert_eq!(watched.notifications("Start").len(), 0);
}

/// Half of `syncTimeout` passes only while a watcher runs; a new process counts again, and repeats nothing.
#[test]
fn a_batch_that_is_not_applied() {
    let mut watched = Watched::new("", |set| set);
    until("the pods are ready", || {
        watched.agent.work(&watched.cluster, &watched.origin.open());
        watched.agent.is_settled()
    });
    let begin = Timestamp::now();
    let date = |seconds| {
        let at = begin.saturating_add(SignedDuration::from_secs(seconds)).unwrap();
        watched.cluster.date(&at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string());
    };
    let looks = |number| {
        let before = watched.cluster.count(&["/version"]);
        until("it looks", || watched.cluster.count(&["/version"]) >= before + number);
    };
    date(0);
    let first = watched.watch();
    until("the batch is released", || watched.notifications("Batch").len() == 1);
    looks(3);
    date(400);
    until("it is out of sync", || !watched.notifications("OutOfSync").is_empty());
    // A process that is ended before it has recorded what it sent repeats it.
    until("it is recorded", || {
        !watched.origin.git(&["for-each-ref", "refs/pillion/notified-states/"]).is_empty()
    });
    drop(first);
    watched.was_notified_once("OutOfSync", &["`pillion status log --watch`"]);
    let second = watched.watch();
    looks(3);
    date(800);
    looks(3);
    watched.push_something_else();
    looks(3);
    // It pauses in the end, which a commit says.
    date(1100);
    until("it pauses", || watched.notifications("Pause").len() == 1);
    drop(second);
    watched.was_notified_once("OutOfSync", &[]);
}
