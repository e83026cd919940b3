//! `pillion watch` ends on request, whatever it waits for, and leaves no program behind. The waits in these tests
//! would last for hours.

use crate::support::endless_server::{Endless, EndlessServer};
use crate::support::fake_cluster::{FakeCluster, Fault};
use crate::support::fleet_fixtures::{fleet, repository, set};
use crate::support::git_fixtures::{Repo, TestEnvironment};
use crate::support::gitops_agent::Agent;
use crate::support::rollout_fixtures::{example, newer, released};
use indoc::indoc;
use serde_json::json;
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

/// How long anything of a test may take on a busy machine: far less than what is waited for.
const SOON: Duration = Duration::from_secs(120);

/// A repository with a rollout that has not begun, its clone, and a cluster.
struct WatchedRepository {
    test_env: TestEnvironment,
    origin: Repo,
    clone: Repo,
    cluster: FakeCluster,
}

impl WatchedRepository {
    /// `settings` stands in pillion.yaml.
    fn new(settings: &str) -> Self {
        let (test_env, cluster) = (TestEnvironment::new(), FakeCluster::start());
        let origin = released(&test_env, "origin");
        let mut texts = newer(example());
        let configuration = texts.get_mut("pillion.yaml").unwrap();
        *configuration = configuration.replace("  soak: 120s", "  soak: 120s\n  start: Auto");
        configuration.push_str(settings);
        origin.hold(&texts).commit("log: 1.5.0");
        origin.git(&["checkout", "-q", "--detach"]);
        let clone = test_env.clone(&origin, "clone", &[]);
        Self { test_env, origin, clone, cluster }
    }

    /// One in which batches turn healthy: a check is asked about the first.
    fn with_pods() -> Self {
        let (test_env, cluster) = (TestEnvironment::new(), FakeCluster::start());
        let image = |image| set("log", &[("log", image)]);
        let mut texts = fleet(&[("log", &image("log:0"))], true);
        let settings = texts.get_mut("pillion.yaml").unwrap();
        *settings = settings.replace("soak: 30s", "soak: 1s");
        let origin = repository(&test_env, "origin", &texts);
        origin.change(&[("sidecars/log.yaml", &image("log:1"))], &[]);
        let clone = test_env.clone(&origin, "clone", &[]);
        Self { test_env, origin, clone, cluster }
    }

    /// Lets the agent apply what is released until it is so.
    fn work_until(&self, what: &str, mut is_so: impl FnMut() -> bool) {
        let (mut agent, server) = (Agent::default(), self.origin.open());
        until(what, || {
            agent.work(&self.cluster, &server);
            is_so()
        });
    }

    /// Puts a `git` before the real one that hangs in a command, with a child, and does not end when it is asked to. It
    /// hangs as soon as the file `hang` is there; `hung` tells of it.
    fn hanging_git(&self, command: &str) {
        let real = String::from_utf8(
            self.clone.command("sh").args(["-c", "command -v git"]).output().unwrap().stdout,
        );
        let real = real.unwrap();
        let (hang, hung) = (self.test_env.path("hang"), self.test_env.path("hung"));
        self.clone.script(
            Path::new("../programs/git"),
            &format!(
                "case \" $* \" in *' {command} '*) if test -e '{}'; then trap '' TERM; sleep 86400 & echo $$ $! > '{}.new'; mv '{}.new' '{}'; wait; wait; fi;; esac\nexec {} \"$@\"",
                hang.display(),
                hung.display(),
                hung.display(),
                hung.display(),
                real.trim()
            ),
        );
    }

    fn watch(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Watch {
        let log = self.test_env.path("log");
        let path = std::env::var("PATH").unwrap();
        let path = format!("{}:{path}", self.test_env.path("programs").display());
        let mut command = self.clone.command(env!("CARGO_BIN_EXE_pillion"));
        command.arg("watch").args(arguments);
        command.env("KUBECONFIG", self.cluster.kubeconfig()).env("PATH", path);
        command.envs(variables.iter().copied());
        let child = command.stdout(Stdio::null()).stderr(File::create(&log).unwrap()).spawn().unwrap();
        Watch { child, log }
    }

    fn hung(&self) -> bool {
        self.test_env.path("hung").exists()
    }

    /// Nothing is left of what hung.
    fn nothing_hangs(&self) {
        let processes = fs::read_to_string(self.test_env.path("hung")).unwrap();
        for process in processes.split_whitespace() {
            until("nothing hangs any more", || {
                let state = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
                state.is_empty() || state.contains(") Z ")
            });
        }
    }
}

struct Watch {
    child: Child,
    log: PathBuf,
}

impl Watch {
    fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// Waits for a line of the log.
    fn says(&self, what: &str) {
        until(what, || self.log().contains(what));
    }

    /// Asks it to end, as a kubelet does, and waits.
    #[track_caller]
    fn ends(&mut self) {
        let asked = Instant::now();
        assert!(Command::new("kill").arg(self.child.id().to_string()).status().unwrap().success());
        let mut status = None;
        until(&format!("it ends: {}", self.log()), || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        note("ended after ms", asked.elapsed().as_millis());
        assert_eq!(status.unwrap().code(), Some(0), "{}", self.log());
    }
}

/// Records a number in the file of `PILLION_ENDS=FILE cargo test --test all watch::shutdown`.
fn note(what: &str, number: impl std::fmt::Display) {
    if let Some(file) = std::env::var_os("PILLION_ENDS") {
        let name = thread::current().name().unwrap_or_default().to_owned();
        let mut file = fs::OpenOptions::new().create(true).append(true).open(file).unwrap();
        writeln!(file, "{name}: {what} {number}").unwrap();
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[track_caller]
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + SOON;
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// A server that accepts connections and never answers; it reports each.
fn silent_server() -> (String, mpsc::Receiver<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, receiver) = channel();
    thread::spawn(move || {
        let mut kept = Vec::new();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 1024]);
            let _ = sender.send(());
            kept.push(stream);
        }
    });
    (format!("http://{address}/hook"), receiver)
}

#[test]
fn idle() {
    let watched = WatchedRepository::new("");
    // A variable that is set to nothing is not set.
    let nothing = [("PILLION_CHECK_URL", ""), ("PILLION_PROVIDER_URL", ""), ("PILLION_NOTIFY_URL", "")];
    let mut watch = watched.watch(&["--interval=8784h"], &nothing);
    watch.says("released");
    watch.ends();
}

#[test]
fn lengths_of_time_have_a_bound() {
    let watched = WatchedRepository::new("");
    for flag in ["--interval", "--timeout", "--unhealthy-after", "--check-timeout"] {
        for length in ["18446744073709551615s", "8785h"] {
            let output = watched.clone.try_pillion(&["watch", &format!("{flag}={length}")]);
            assert_eq!(output.status.code(), Some(2));
            assert!(String::from_utf8_lossy(&output.stderr).contains("at most 8784h"), "{output:?}");
        }
    }
}

#[test]
fn in_a_build_that_hangs() {
    let watched = WatchedRepository::new(indoc! {r#"
        build:
        - sh
        - -c
        - "sleep 86400 & echo $$ $! > $HUNG.new; mv $HUNG.new $HUNG; wait"
    "#});
    let hung = watched.test_env.path("hung");
    let mut watch = watched.watch(&["--interval=1s", "--allow-build"], &[("HUNG", hung.to_str().unwrap())]);
    until(&format!("it hangs: {}", watch.log()), || watched.hung());
    watch.ends();
    watched.nothing_hangs();
}

#[test]
fn in_a_check_that_hangs() {
    let watched = WatchedRepository::with_pods();
    let hung = watched.test_env.path("hung");
    let hangs = "trap '' TERM; sleep 86400 & echo $$ $! > $HUNG.new; mv $HUNG.new $HUNG; wait; wait";
    let check = ["--interval=1s", "--check-timeout=1h", "--check-command=sh", "--", "-c", hangs];
    let mut watch = watched.watch(&check, &[("HUNG", hung.to_str().unwrap())]);
    watched.work_until("it hangs", || watched.hung());
    watch.ends();
    watched.nothing_hangs();
}

#[test]
fn with_a_check_that_does_not_answer() {
    let watched = WatchedRepository::with_pods();
    let (url, asked) = silent_server();
    let mut watch = watched.watch(&["--interval=1s", "--check-timeout=1h"], &[("PILLION_CHECK_URL", &url)]);
    watched.work_until("it is asked", || asked.try_recv().is_ok());
    watch.ends();
}

#[test]
fn with_a_silent_api_server() {
    let watched = WatchedRepository::new("");
    watched.cluster.fail(&["/"], Fault::Silence, usize::MAX);
    let mut watch = watched.watch(&["--interval=1s"], &[]);
    until("the server was asked for the time", || watched.cluster.count(&["/version"]) > 0);
    watch.ends();
}

#[test]
fn under_a_flood_of_events() {
    let watched = WatchedRepository::new("");
    let mut watch = watched.watch(&["--interval=8784h"], &[]);
    watch.says("released");
    let is_over = Arc::new(AtomicBool::new(false));
    thread::scope(|scope| {
        let over = Arc::clone(&is_over);
        let cluster = &watched.cluster;
        scope.spawn(move || {
            for number in 0_u64.. {
                if over.load(Ordering::Relaxed) {
                    return;
                }
                let pod = json!({"metadata": {"name": "p", "namespace": "shop", "uid": number.to_string()},
                    "spec": {"containers": []}});
                cluster.put("v1/pods", pod);
                thread::sleep(Duration::from_micros(200));
            }
        });
        watch.ends();
        is_over.store(true, Ordering::Relaxed);
    });
}

#[test]
fn in_a_fetch_that_hangs() {
    let watched = WatchedRepository::new("");
    watched.hanging_git("fetch");
    let mut watch = watched.watch(&["--interval=1s"], &[]);
    watch.says("released");
    File::create(watched.test_env.path("hang")).unwrap();
    until("it hangs", || watched.hung());
    watch.ends();
    watched.nothing_hangs();
}

#[test]
fn in_the_first_fetch() {
    let watched = WatchedRepository::new("");
    watched.hanging_git("fetch");
    File::create(watched.test_env.path("hang")).unwrap();
    let mut watch = watched.watch(&["--interval=1s"], &[]);
    until("it hangs", || watched.hung());
    watch.ends();
    watched.nothing_hangs();
}

#[test]
fn while_it_pushes() {
    let watched = WatchedRepository::new("");
    watched.hanging_git("push");
    File::create(watched.test_env.path("hang")).unwrap();
    let mut watch = watched.watch(&["--interval=1s"], &[]);
    until("it hangs", || watched.hung());
    watch.ends();
    watched.nothing_hangs();
    assert_eq!(watched.origin.id("main"), watched.clone.id("origin/main"), "nothing was released");
}

/// A receiver that never answers holds up neither the rollout nor the end.
#[test]
fn with_a_receiver_that_does_not_answer() {
    let watched = WatchedRepository::new("");
    let (url, asked) = silent_server();
    let mut watch = watched.watch(&["--interval=1s"], &[("PILLION_NOTIFY_URL", &url)]);
    asked.recv_timeout(SOON).unwrap();
    // The first commit has been notified, or would be: what follows does not wait for that.
    watch.says("evaluated");
    watch.ends();
}

/// The Deployment gives the watcher 512 MiB.
#[test]
fn its_memory_is_bounded_whatever_a_server_sends() {
    for (what, why) in [
        (Endless::Pages, "take more than 128 MiB"),
        (Endless::Text, "is longer than 32 MiB"),
        (Endless::BigObjects, "an object of more than 2 MiB"),
    ] {
        let watched = WatchedRepository::new("");
        let server = EndlessServer::start(what);
        let config = server.kubeconfig();
        let mut watch = watched.watch(&["--interval=1s"], &[("KUBECONFIG", config.to_str().unwrap())]);
        until(&format!("{what:?}"), || watch.log().matches(why).count() > 2);
        let pages = server.pages();
        until("it has begun again", || server.pages() > pages + 6);
        let status = fs::read_to_string(format!("/proc/{}/status", watch.child.id())).unwrap();
        let most = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        let most: u64 = most.trim().trim_end_matches(" kB").parse().unwrap();
        note(&format!("{what:?}: peak MiB"), most >> 10);
        assert!(most < 512 << 10, "{what:?}: {} MiB", most >> 10);
        watch.ends();
    }
}
