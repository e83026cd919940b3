//! Measures the memory of watching a big cluster, and the duration of one evaluation.
//!
//! `cargo bench --bench observe` watches a simulated API server in its own process, and prints the resident memory of
//! the one that watches: after the lists were read, after every pod changed several times, after all was read again.
//! Options follow `--`: `--pods 1000,10000` (default 1000,10000,50000), `--rounds 5` (changes of each pod),
//! `--pods-per-deployment 10`, `--replica-sets-per-deployment 10`, `--nodes 100`.
//! Linux only: the figures are those of /proc/self/status.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
#![expect(clippy::print_stderr, reason = "and what it is doing")]
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on stops")]
#![expect(clippy::exit, reason = "a child process passes on a status")]

mod server;

use pillion::model::workload::WorkloadKinds;
use pillion::rollout::update_method::UpdateMethod;
use pillion::watch::expected_state::{ExpectedState, ExpectedWorkload};
use pillion::watch::health::{HealthLimits, assess_health};
use pillion::watch::observe::{KubeContext, MemoryBudget, Observer, ObserverSettings, runtime};
use pillion::watch::snapshot::{ObservationScope, Snapshot};
use server::ClusterSize;
use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// Snapshots and assessments that are timed.
const EVALUATIONS: u32 = 5;

/// That of the program itself.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["serve", size @ ..] => server::serve(ClusterSize::from_words(size)),
        ["watch", rounds, size @ ..] => watch(ClusterSize::from_words(size), rounds.parse().unwrap()),
        words => bench(words),
    }
}

fn bench(words: &[&str]) {
    let (mut sizes, mut rounds) = ("1000,10000,50000", "5");
    let mut size = ClusterSize { pods: 0, per_deployment: 10, replica_sets: 10, nodes: 100 };
    // `cargo test --all-targets` runs a benchmark without `--bench`: then a smoke run is wanted.
    if !std::env::args().any(|a| a == "--bench") {
        (sizes, rounds) = ("50", "1");
    }
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let mut value = || *words.next().unwrap();
        match *word {
            "--pods" => sizes = value(),
            "--rounds" => rounds = value(),
            "--pods-per-deployment" => size.per_deployment = value().parse().unwrap(),
            "--replica-sets-per-deployment" => size.replica_sets = value().parse().unwrap(),
            "--nodes" => size.nodes = value().parse().unwrap(),
            other => {
                eprintln!("unknown option {other}");
                std::process::exit(2);
            }
        }
    }
    println!(
        "| pods | JSON of a pod | read, s | MiB then | changes | MiB then | read again: MiB | most MiB | a snapshot, ms | all assessed, ms |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|");
    for pods in sizes.split(',') {
        let this = std::env::current_exe().unwrap();
        let size = ClusterSize { pods: pods.parse().unwrap(), ..size };
        let words = ["watch", rounds].map(str::to_owned).into_iter().chain(size.words());
        assert!(Command::new(this).args(words).status().unwrap().success());
    }
}

/// What the server reads from its standard input.
fn tell(server: &mut Child, word: &str) {
    writeln!(server.stdin.as_mut().unwrap(), "{word}").unwrap();
}

fn watch(size: ClusterSize, rounds: usize) {
    let pods = size.pods;
    let this = std::env::current_exe().unwrap();
    let mut server = Command::new(this)
        .arg("serve")
        .args(size.words())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
    let address = lines.next().unwrap().unwrap();
    let pod_size = lines.next().unwrap().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config");
    std::fs::write(&path, server::kubeconfig(&address)).unwrap();

    let runtime = runtime().unwrap();
    let kinds = WorkloadKinds::default();
    let wanted = ObservationScope {
        kinds: kinds.iter().filter(|k| k.group == "apps" || k.is_pod()).cloned().collect(),
        namespaces: Vec::new(),
    };
    let place = KubeContext { kubeconfig: Some(path), context: None };
    let (sender, woken) = channel();
    let begun = Instant::now();
    let settings =
        ObserverSettings { memory: MemoryBudget::from_mebibytes(4096), ..ObserverSettings::default() };
    let observer = Observer::start_at(runtime.handle(), place, wanted, settings, move || {
        let _ = sender.send(());
    })
    .unwrap();
    let mark = |round: usize| format!("registry.example/agent@sha256:{round:064}");
    until(&observer, &woken, |s| has(s, pods, &mark(0)));
    let (read, first) = (begun.elapsed(), resident("VmRSS:"));
    for round in 1..=rounds {
        tell(&mut server, "change");
        until(&observer, &woken, |s| has(s, pods, &mark(round)));
        eprintln!(
            "round {round} of {rounds}: {:.1} MiB after {:.0} s",
            resident("VmRSS:"),
            begun.elapsed().as_secs_f64()
        );
    }
    let changed = resident("VmRSS:");
    tell(&mut server, "expire");
    tell(&mut server, "change");
    until(&observer, &woken, |s| has(s, pods, &mark(rounds + 1)));
    let again = resident("VmRSS:");
    let expected = everything_updated(&observer.snapshot().unwrap());
    let (mut taken, mut assessed) = (Duration::ZERO, Duration::ZERO);
    for _ in 0..EVALUATIONS {
        let begun = Instant::now();
        let snapshot = observer.snapshot().unwrap();
        taken += begun.elapsed();
        let begun = Instant::now();
        let report = assess_health(&expected, &snapshot, &HealthLimits::default());
        assessed += begun.elapsed();
        assert_eq!(report.workloads.len(), expected.workloads.len());
    }
    let average = |all: Duration| (all / EVALUATIONS).as_secs_f64() * 1000.0;
    println!(
        "| {pods} | {pod_size} | {:.1} | {first:.1} | {} | {changed:.1} | {again:.1} | {:.1} | {:.1} | {:.1} |",
        read.as_secs_f64(),
        pods * rounds,
        resident("VmHWM:"),
        average(taken),
        average(assessed)
    );
    drop(observer);
    server.kill().unwrap();
    server.wait().unwrap();
}

/// The state in which every Deployment has its sidecar: all of them are assessed.
fn everything_updated(snapshot: &Snapshot) -> ExpectedState {
    let workloads = snapshot.workloads.iter().map(|(key, live)| ExpectedWorkload {
        key: Arc::clone(key),
        batch: 1,
        update_method: UpdateMethod::Recreate,
        template: serde_json::from_str(live.template.as_ref().unwrap().get()).unwrap(),
        sidecars: [Arc::from("agent")].into(),
        removed_sidecars: BTreeSet::new(),
        is_ordered: false,
        partition: None,
        native_partition: None,
        kept_pods: 0,
        request_increase: None,
        memory_limits: Vec::new(),
        set: None,
    });
    ExpectedState { batch: 1, workloads: workloads.collect(), ..ExpectedState::default() }
}

/// All pods are there, and the last one has this image.
fn has(snapshot: &Snapshot, pods: usize, image_id: &str) -> bool {
    let found = snapshot.workloads.values().map(|w| w.pods.len()).sum::<usize>();
    let all = snapshot.workloads.values().flat_map(|w| w.pods.values()).flat_map(|p| p.containers.iter());
    found == pods && all.filter(|c| &*c.name == "agent").all(|c| c.image_id.as_deref() == Some(image_id))
}

fn until(observer: &Observer, woken: &Receiver<()>, is_so: impl Fn(&Snapshot) -> bool) {
    let deadline = Instant::now() + Duration::from_secs(900);
    loop {
        let look = observer.snapshot();
        match &look {
            Ok(snapshot) if is_so(snapshot) => return,
            Ok(_) => assert!(Instant::now() < deadline, "the cluster is not as it should be"),
            Err(why) => assert!(Instant::now() < deadline, "{why}"),
        }
        drop(look);
        let _ = woken.recv_timeout(Duration::from_millis(200));
        // One look is for all changes so far.
        while woken.try_recv().is_ok() {}
    }
}

/// MiB, by the kernel.
fn resident(field: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    line.and_then(|l| l.trim().strip_suffix(" kB")?.parse::<f64>().ok()).unwrap_or(f64::NAN) / 1024.0
}
