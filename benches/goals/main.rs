//! Prints the table of goals of docs/benchmarks.md, all of it measured in one run.
//!
//! `cargo bench --bench goals` makes the repositories, measures every command in turn and prints the medians and the goals.
//! Options follow `--`: `--sizes 1000,10000,50000,200000` (workloads: the integrations and kustomize; render, plan and
//! stage; a large plan; a large render), `--runs 3`, `--keep FOLDER`, `--quick` (100 workloads once).
//! `KUSTOMIZE=/path/to/kustomize` adds kustomize doing the same by patches, `AGAINST=/path/to/pillion` another pillion,
//! with runs that alternate with those of this one. The memory of a watcher is in `cargo bench --bench observe`.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
#![expect(clippy::print_stderr, reason = "and what it is doing")]
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on stops")]

#[path = "../render/generate.rs"]
#[allow(dead_code, reason = "the other benchmark needs more of it")]
mod generate;
mod inputs;
#[path = "../render/kustomize.rs"]
mod kustomize;
#[path = "../render/measure.rs"]
mod measure;
#[path = "../render/options.rs"]
mod options;
#[path = "../stage/release.rs"]
mod release;
mod report;
#[path = "../render/sets.rs"]
mod sets;
#[path = "../stage/generate.rs"]
mod stage_generate;
#[path = "../render/yardstick.rs"]
#[allow(dead_code, reason = "the same")]
mod yardstick;

use measure::{Cost, measure};
use options::Options;
use release::command;
use report::{Measured, Report};
use std::path::{Path, PathBuf};

const PILLION: &str = env!("CARGO_BIN_EXE_pillion");

/// Stands for the measured pillion in the words of a task.
const SUBJECT: &str = "PILLION";

/// Workloads above which a step is measured once.
const MOST_FOR_RUNS: usize = 100_000;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["measure", command @ ..] => measure::child(command),
        ["events", folder] => yardstick::events(Path::new(folder), 1),
        words => bench(&Options::read(words, &[1_000, 10_000, 50_000, 200_000])),
    }
}

/// What is measured at one size.
struct Task {
    name: &'static str,
    repository: PathBuf,
    /// The command, with [`SUBJECT`] for each pillion.
    words: Vec<String>,
    stdin: Option<PathBuf>,
    /// Runs before every measured run.
    reset: fn(&Path),
}

impl Task {
    fn new(name: &'static str, repository: &Path, words: &[&str]) -> Self {
        let words = words.iter().map(|&word| word.to_owned()).collect();
        Self { name, repository: repository.to_owned(), words, stdin: None, reset: |_| {} }
    }
}

fn bench(options: &Options) {
    let folder = options.folder("bench-goals");
    let size = |n: usize| *options.sizes.get(n).or(options.sizes.last()).unwrap();
    let mut report = Report::default();
    // The same size may stand for several: it is measured once.
    let mut renders = vec![size(0), size(1), size(3)];
    let mut rollouts = vec![size(1), size(2)];
    renders.dedup();
    rollouts.dedup();
    for (nth, &workloads) in renders.iter().enumerate() {
        let repository = prepare_folder(&folder.join(format!("render-{workloads}")), workloads);
        generate::repository(&repository, workloads).unwrap();
        let mut tasks = render_tasks(&repository);
        if nth == 0 {
            tasks.extend(integration_tasks(&repository, workloads));
        }
        run_tasks(&tasks, workloads, options, &mut report);
        clean_up(&repository, options);
    }
    for &workloads in &rollouts {
        let repository = prepare_folder(&folder.join(format!("rollout-{workloads}")), workloads);
        stage_generate::repository(&repository, workloads).unwrap();
        release::release_and_change(&repository, PILLION);
        run_tasks(&rollout_tasks(&repository), workloads, options, &mut report);
        clean_up(&repository, options);
    }
    println!("{report}");
    println!("{}", report.goals([size(0), size(1), size(2), size(3)]));
}

fn prepare_folder(repository: &Path, workloads: usize) -> PathBuf {
    let _ = std::fs::remove_dir_all(repository);
    eprintln!("making {workloads} workloads.");
    repository.to_owned()
}

fn clean_up(repository: &Path, options: &Options) {
    if options.keep.is_none() {
        let _ = std::fs::remove_dir_all(repository);
    }
}

/// The command that most goals are about.
const RENDER: [&str; 5] = [SUBJECT, "render", "apps", "--sidecarsets", "sidecars"];

fn render_tasks(repository: &Path) -> Vec<Task> {
    let me = std::env::current_exe().unwrap().display().to_string();
    let out = [&RENDER[..], &["--out", "out"]].concat();
    vec![
        Task::new(report::EVENTS, repository, &[&me, "events", "apps"]),
        Task::new(report::RENDER, repository, &RENDER),
        Task {
            // The first run makes the folder: its cost is in no figure of later runs.
            reset: |repository| {
                if !repository.join("out").exists() {
                    release::run(PILLION, &[&RENDER[1..], &["--out", "out"]].concat(), repository);
                }
            },
            ..Task::new(report::OUT, repository, &out)
        },
    ]
}

fn integration_tasks(repository: &Path, items: usize) -> Vec<Task> {
    inputs::configuration(repository).unwrap();
    let list = inputs::resource_list(repository, items).unwrap();
    let mut tasks = vec![
        Task { stdin: Some(list), ..Task::new(report::FUNCTION, repository, &[SUBJECT]) },
        Task::new(report::CMP, &repository.join("apps"), &[SUBJECT, "cmp", "generate"]),
        Task::new(
            report::APPLICATION,
            &inputs::application(repository, 10).unwrap(),
            &[SUBJECT, "cmp", "generate"],
        ),
    ];
    if let Ok(kustomize) = std::env::var("KUSTOMIZE") {
        kustomize::kustomization(repository).unwrap();
        let words = [&*kustomize, "build", "kustomize", "--load-restrictor", "LoadRestrictionsNone"];
        tasks.push(Task::new(report::KUSTOMIZE, repository, &words));
    }
    tasks
}

fn rollout_tasks(repository: &Path) -> Vec<Task> {
    vec![
        Task::new(report::PLAN, repository, &[SUBJECT, "plan"]),
        Task {
            reset: |repository| {
                release::run("git", &["update-ref", "-d", "refs/heads/pillion/main/log"], repository);
                // What an earlier run wrote is not there to be found.
                release::run("git", &["-c", "gc.pruneExpire=now", "prune"], repository);
                release::run("git", &["-c", "repack.writeBitmaps=false", "repack", "-adq"], repository);
            },
            ..Task::new(report::STAGE, repository, &[SUBJECT, "stage"])
        },
    ]
}

/// Measures every task once a round, each pillion in turn, so that a busy moment of the machine hits all of them alike.
fn run_tasks(tasks: &[Task], workloads: usize, options: &Options, report: &mut Report) {
    let against = std::env::var("AGAINST").ok();
    let subjects: Vec<&str> = std::iter::once(PILLION).chain(against.as_deref()).collect();
    let runs = if workloads > MOST_FOR_RUNS { 1 } else { options.runs };
    for round in 0..runs {
        for task in tasks {
            if round > 0 && task.name == report::KUSTOMIZE {
                continue;
            }
            eprintln!("round {} of {runs}: {} of {workloads}.", round + 1, task.name);
            let is_ours = task.words.iter().any(|word| word == SUBJECT);
            for (nth, subject) in subjects.iter().enumerate().take(if is_ours { subjects.len() } else { 1 }) {
                (task.reset)(&task.repository);
                let words = task.words.iter().map(|word| if word == SUBJECT { *subject } else { word });
                let words: Vec<String> = words.map(str::to_owned).collect();
                let cost: Cost = measure(&words, &task.repository, task.stdin.as_deref());
                report.add(Measured { name: task.name, workloads, is_other: nth > 0 }, cost);
            }
        }
    }
}
