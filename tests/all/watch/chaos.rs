//! Chaos: two real watchers of one real bare repository are killed at random, over and over, with full disks, clones
//! that cannot be written and a remote that rejects. Every batch is still released once and in order, and all
//! repositories are intact.
//!
//! `PILLION_CHAOS=600 cargo test --test all watch::chaos` kills 600 times, over 40 rollouts, and prints a summary.

use crate::support::fake_cluster::FakeCluster;
use crate::support::fleet_fixtures::{fleet, repository, set};
use crate::support::git_fixtures::{Repo, TestEnvironment};
use crate::support::gitops_agent::Agent;
use crate::watch::simulation::Dice;
use pillion::git::{ObjectId, Repository};
use rustix::process::{Pid, Signal, kill_process};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Kills of every run of the tests.
const KILLS: usize = 16;

/// Kills in each rollout.
const KILLS_EACH: usize = 15;

/// How long a rollout may take on a busy machine.
const LONGEST: Duration = Duration::from_secs(600);

/// How long a kill waits for a moment in which git runs.
const AIM: Duration = Duration::from_millis(300);

/// What is wrong as long as a watcher lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Trouble {
    None,
    /// No file can have more than 512 bytes.
    DiskFull,
    /// Nothing in the clone can be written.
    ReadOnly,
}

/// How a watcher is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kill {
    /// The process alone, by SIGKILL.
    Process,
    /// With every program that it has started, and its clone: as a pod that is lost with its volume.
    Pod,
    /// As it is asked to end.
    Terminated,
}

/// What was done, by its name.
type Counts = BTreeMap<String, usize>;

struct Watcher {
    clone: Repo,
    /// Clones that it has had before.
    lost: usize,
    life: Option<Life>,
}

struct Life {
    child: Child,
    trouble: Trouble,
    ends: Instant,
}

struct ChaosRun {
    test_env: TestEnvironment,
    person: Repo,
    origin: Repo,
    server: Repository,
    cluster: FakeCluster,
    agent: Agent,
    dice: Dice,
    watchers: Vec<Watcher>,
    /// Until when the remote refuses.
    refuses: Option<Instant>,
    killed: usize,
    counts: Counts,
}

#[test]
fn killed_watchers_release_every_batch_once_and_in_order() {
    let wanted = std::env::var("PILLION_CHAOS").ok().and_then(|n| n.parse().ok());
    let kills: usize = wanted.unwrap_or(KILLS);
    let rollouts = kills.div_ceil(KILLS_EACH);
    let began = Instant::now();
    let mut run = ChaosRun::new();
    let base = run.person.id("main");
    for n in 1..=rollouts {
        run.roll_out(n, kills * n / rollouts);
    }
    run.end();
    run.person.git(&["fetch", "-q", "origin"]);
    run.person.git(&["branch", "-f", "main", "origin/main"]);
    run.person.git(&["switch", "-q", "--detach", "main"]);
    run.person.is_sound_since(&run.test_env, base);
    assert_eq!(run.killed, kills);
    if wanted.is_some() {
        let (seconds, counts) = (began.elapsed().as_secs(), &run.counts);
        let summary = format!("{rollouts} rollouts, {kills} kills, {seconds} s: {counts:?}\n");
        std::io::stderr().write_all(summary.as_bytes()).unwrap();
    }
}

impl ChaosRun {
    fn new() -> Self {
        let test_env = TestEnvironment::new();
        let mut texts = fleet(&[("log", &set("log", &[("log", "log:0")]))], true);
        let settings = texts.get_mut("pillion.yaml").unwrap();
        *settings = settings.replace("soak: 30s", "soak: 1s");
        let person = repository(&test_env, "person", &texts);
        let origin = test_env.init("origin.git", &["--bare"]);
        let refuse = "test ! -e refuse || { echo 'the remote is closed' >&2; exit 1; }";
        origin.script(Path::new("hooks/pre-receive"), refuse);
        let url = format!("file://{}", origin.path.display());
        person.git(&["remote", "add", "origin", &url]);
        person.git(&["push", "-q", "origin", "main"]);
        let server = origin.open();
        let watchers =
            ["a", "b"].map(|name| Watcher { clone: test_env.clone(&origin, name, &[]), lost: 0, life: None });
        Self {
            test_env,
            person,
            origin,
            server,
            cluster: FakeCluster::start(),
            agent: Agent::default(),
            dice: Dice::new(1),
            watchers: watchers.into(),
            refuses: None,
            killed: 0,
            counts: Counts::new(),
        }
    }

    /// Merges a new image, and waits until it is everywhere; watchers are killed meanwhile.
    fn roll_out(&mut self, n: usize, kills: usize) {
        self.refuse(None);
        self.person.git(&["fetch", "-q", "origin"]);
        self.person.git(&["branch", "-f", "main", "origin/main"]);
        let newer = set("log", &[("log", &format!("log:{n}"))]);
        let edit = self.person.change(&[("sidecars/log.yaml", &newer)], &[]);
        self.person.git(&["push", "-q", "origin", "main"]);
        let deadline = Instant::now() + LONGEST;
        while !self.is_closed(edit) || self.killed < kills {
            assert!(Instant::now() < deadline, "rollout {n} comes to no end: {}", self.log_tail());
            self.agent.work(&self.cluster, &self.server);
            self.weather();
            for at in 0..self.watchers.len() {
                self.live_and_die(at, kills);
            }
            thread::sleep(Duration::from_millis(20));
        }
        let range = format!("{edit}..main");
        let form = "--format=%(trailers:key=Pillion-Action,valueonly,separator=)%(trailers:key=Pillion-Batch,valueonly,separator=) %ct";
        let log = self.origin.git(&["log", "--reverse", form, &range]);
        let (steps, times): (Vec<&str>, Vec<i64>) = log
            .lines()
            .map(|l| l.split_once(' ').unwrap())
            .map(|(s, t)| (s, t.parse::<i64>().unwrap()))
            .unzip();
        assert_eq!(steps, ["Start", "Batch1/3", "Batch2/3", "Batch3/3", "Complete"], "rollout {n}");
        // Between two batches lies a soak.
        assert!(times[1..].windows(2).all(|pair| pair[1] > pair[0]), "rollout {n}: {times:?}");
    }

    /// Returns whether the rollout of an edit is complete.
    fn is_closed(&self, edit: ObjectId) -> bool {
        let head = self.server.find_ref("refs/heads/main").unwrap();
        let action = self.server.commit(head).unwrap().trailer(pillion::git::trailer::ACTION);
        head != edit && action.as_deref() == Some("Complete")
    }

    /// Now and then the remote refuses for a while.
    fn weather(&mut self) {
        match self.refuses {
            Some(until) if until <= Instant::now() => self.refuse(None),
            None if self.dice.roll(150) == 0 => {
                let time = Duration::from_millis(300 + self.dice.roll(1200));
                self.refuse(Some(Instant::now() + time));
                self.count("the remote refused");
            }
            _ => {}
        }
    }

    fn refuse(&mut self, until: Option<Instant>) {
        let file = self.origin.path.join("refuse");
        match until {
            Some(_) => drop(File::create(file).unwrap()),
            None => drop(fs::remove_file(file)),
        }
        self.refuses = until;
    }

    fn count(&mut self, what: &str) {
        *self.counts.entry(what.to_owned()).or_default() += 1;
    }

    /// Starts a watcher that does not run, and kills one that has lived long enough.
    fn live_and_die(&mut self, at: usize, kills: usize) {
        let Some(life) = &mut self.watchers[at].life else {
            self.start(at, self.killed < kills);
            return;
        };
        if life.child.try_wait().unwrap().is_some() {
            // It could not begin; the kubelet waits a moment, too.
            if life.ends <= Instant::now() {
                self.count("ended by itself");
                self.over(at);
            }
            return;
        }
        if life.ends > Instant::now() {
            return;
        }
        if self.killed >= kills {
            // What is wrong comes to its end, and a sound watcher is left alone.
            if life.trouble != Trouble::None {
                self.kill(at, Kill::Terminated);
            }
            return;
        }
        let kill = match self.dice.roll(8) {
            0 => Kill::Terminated,
            1 => Kill::Pod,
            _ => Kill::Process,
        };
        self.killed += usize::from(kill != Kill::Terminated);
        self.kill(at, kill);
    }

    fn start(&mut self, at: usize, has_trouble: bool) {
        let trouble = match self.dice.roll(8) {
            0 if has_trouble => Trouble::DiskFull,
            1 if has_trouble => Trouble::ReadOnly,
            _ => Trouble::None,
        };
        self.count(&format!("life, {trouble:?}"));
        let watcher = &mut self.watchers[at];
        let mut command = match trouble {
            Trouble::None => watcher.clone.command(env!("CARGO_BIN_EXE_pillion")),
            Trouble::DiskFull => with_full_disk(&watcher.clone),
            Trouble::ReadOnly => {
                chmod(&watcher.clone, "a-w");
                without_privileges(&watcher.clone)
            }
        };
        command.args(["watch", "--interval=1s"]).env("KUBECONFIG", self.cluster.kubeconfig());
        // What a disk does not take, a log on it does not take either.
        let log = self.test_env.path(&format!("log-{at}"));
        let log = fs::OpenOptions::new().create(true).append(true).open(log).unwrap();
        command.stdout(Stdio::null()).stderr(if trouble == Trouble::DiskFull {
            Stdio::null()
        } else {
            log.into()
        });
        let ends = Instant::now() + Duration::from_millis(100 + self.dice.roll(2400));
        watcher.life = Some(Life { child: command.spawn().unwrap(), trouble, ends });
    }

    fn kill(&mut self, at: usize, kill: Kill) {
        self.count(&format!("kill, {kill:?}"));
        let is_aimed = self.dice.roll(2) == 0;
        let child = &mut self.watchers[at].life.as_mut().unwrap().child;
        let programs = programs_of(child.id(), if is_aimed { AIM } else { Duration::ZERO });
        match kill {
            Kill::Process | Kill::Pod => child.kill().unwrap(),
            Kill::Terminated => kill_process(Pid::from_child(child), Signal::TERM).unwrap(),
        }
        if kill == Kill::Pod {
            for program in programs.iter().copied().filter_map(Pid::from_raw) {
                let _ = kill_process(program, Signal::KILL);
            }
        }
        if !programs.is_empty() {
            self.count("kill, while git ran");
        }
        self.over(at);
        if kill == Kill::Pod {
            let watcher = &mut self.watchers[at];
            fs::remove_dir_all(&watcher.clone.path).unwrap();
            watcher.lost += 1;
            let name = format!("{}-{}", ["a", "b"][at], watcher.lost);
            watcher.clone = self.test_env.clone(&self.origin, &name, &[]);
        }
    }

    /// A watcher has ended, or is about to: nothing is wrong any more.
    fn over(&mut self, at: usize) {
        let watcher = &mut self.watchers[at];
        let Some(mut life) = watcher.life.take() else { return };
        life.child.wait().unwrap();
        if life.trouble == Trouble::ReadOnly {
            chmod(&watcher.clone, "u+w");
        }
    }

    /// Ends everything, and looks at what is left.
    fn end(&mut self) {
        self.refuse(None);
        for at in 0..self.watchers.len() {
            if self.watchers[at].life.is_some() {
                self.kill(at, Kill::Terminated);
            }
        }
        for repo in self.watchers.iter().map(|w| &w.clone).chain([&self.origin]) {
            let check = repo.try_git(&["fsck", "--strict", "--no-dangling"]);
            let output = String::from_utf8_lossy(&[check.stdout, check.stderr].concat()).into_owned();
            assert!(check.status.success() && !output.contains("error"), "{}: {output}", repo.path.display());
        }
    }

    /// The end of what the watchers said.
    fn log_tail(&self) -> String {
        let tail = |at| {
            let log = fs::read_to_string(self.test_env.path(&format!("log-{at}"))).unwrap_or_default();
            log.lines().rev().take(20).map(|line| format!("{at}: {line}\n")).collect::<String>()
        };
        format!("{:?}\n{}{}", self.counts, tail(0), tail(1))
    }
}

impl Drop for ChaosRun {
    fn drop(&mut self) {
        for life in self.watchers.iter_mut().filter_map(|w| w.life.as_mut()) {
            let _ = life.child.kill();
            let _ = life.child.wait();
        }
    }
}

/// pillion on a disk that takes no more than 512 bytes a file.
fn with_full_disk(clone: &Repo) -> Command {
    let mut command = clone.command("sh");
    let limit = "trap '' XFSZ; ulimit -f 1; exec \"$0\" \"$@\"";
    command.args(["-c", limit, env!("CARGO_BIN_EXE_pillion")]);
    command
}

/// pillion without root's right to write everywhere.
fn without_privileges(clone: &Repo) -> Command {
    let is_root = fs::metadata("/proc/self").is_ok_and(|m| std::os::unix::fs::MetadataExt::uid(&m) == 0);
    if !is_root {
        return clone.command(env!("CARGO_BIN_EXE_pillion"));
    }
    let mut command = clone.command("setpriv");
    let rights = "-dac_override,-dac_read_search";
    command.args([&format!("--inh-caps={rights}"), &format!("--bounding-set={rights}")]);
    command.arg(env!("CARGO_BIN_EXE_pillion"));
    command
}

fn chmod(clone: &Repo, mode: &str) {
    assert!(clone.command("chmod").args(["-R", mode, ".git"]).status().unwrap().success());
}

/// The programs that a process has started, and theirs, but those that serve the remote: they run elsewhere. Where there
/// are none, some are waited for.
fn programs_of(process: u32, patience: Duration) -> Vec<i32> {
    let until = Instant::now() + patience;
    loop {
        let found = programs_now(process);
        if !found.is_empty() || Instant::now() >= until {
            return found;
        }
        thread::sleep(Duration::from_millis(3));
    }
}

fn programs_now(process: u32) -> Vec<i32> {
    let mut parents = BTreeMap::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Ok(number) = entry.file_name().to_string_lossy().parse::<i32>() else { continue };
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let words = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let words = String::from_utf8_lossy(&words).into_owned();
        let parent = stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(1)?.parse::<i32>().ok());
        if !["receive-pack", "upload-pack"].iter().any(|server| words.contains(server)) {
            parents.insert(number, parent.unwrap_or_default());
        }
    }
    let mut found = vec![i32::try_from(process).unwrap()];
    let mut at = 0;
    while at < found.len() {
        let above = found[at];
        found.extend(parents.iter().filter(|(_, parent)| **parent == above).map(|(number, _)| *number));
        at += 1;
    }
    found.split_off(1)
}
