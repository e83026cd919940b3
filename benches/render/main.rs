//! Measures the cost of `pillion render` on a big repository, next to reading and parsing the same files in the same run.
//!
//! `cargo bench --bench render` makes the repositories, measures and prints the tables. Options follow `--`:
//! `--sizes 1000,10000` (workloads; default 1000,10000,50000), `--runs 3`, `--keep FOLDER` (make them there and leave
//! them), `--quick` (100 workloads once). `KUSTOMIZE=/path/to/kustomize` adds kustomize doing the same by patches.
//!
//! Each measured program is the only child of a small process (this binary as `measure`), so that CPU time and peak
//! memory are those of that program alone: `getrusage` with `RUSAGE_CHILDREN`, through the safe crate `nix`.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
#![expect(clippy::print_stderr, reason = "and what it is doing")]
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on stops")]

mod generate;
mod kustomize;
mod measure;
mod options;
mod report;
mod sets;
mod yardstick;

use measure::{Cost, measure};
use options::Options;
use report::{Row, Table};
use std::path::Path;
use std::process::Command;

const PILLION: &str = env!("CARGO_BIN_EXE_pillion");

/// The command that the goals are about, run in the repository.
const RENDER: [&str; 5] = [PILLION, "render", "apps", "--sidecarsets", "sidecars"];

/// kustomize needs hours above this many workloads.
const MOST_FOR_KUSTOMIZE: usize = 1_000;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["measure", command @ ..] => measure::child(command),
        ["read", folder, threads] => yardstick::read(Path::new(folder), threads.parse().unwrap()),
        ["events", folder, threads] => yardstick::events(Path::new(folder), threads.parse().unwrap()),
        ["generate", workloads, folder] => {
            println!("{}", generate::repository(Path::new(folder), workloads.parse().unwrap()).unwrap());
        }
        words => bench(&Options::read(words, &[1_000, 10_000, 50_000])),
    }
}

fn bench(options: &Options) {
    let folder = options.folder("bench-render");
    let mut tables = Vec::new();
    for &workloads in &options.sizes {
        let repository = folder.join(workloads.to_string());
        let _ = std::fs::remove_dir_all(&repository);
        eprintln!("making {workloads} workloads.");
        let facts = generate::repository(&repository, workloads).unwrap();
        let table = one_size(&repository, workloads, options.runs, &facts);
        println!("{table}");
        tables.push(table);
        if options.keep.is_none() {
            let _ = std::fs::remove_dir_all(&repository);
        }
    }
    println!("{}", report::growth(&tables));
}

/// Measures every step once a round, so that a busy moment of the machine hits all of them alike.
fn one_size(repository: &Path, workloads: usize, runs: usize, facts: &generate::Facts) -> Table {
    let steps = steps(repository, workloads);
    let mut costs: Vec<Vec<Cost>> = vec![Vec::new(); steps.len()];
    for round in 0..runs {
        for (step, costs) in steps.iter().zip(&mut costs) {
            if round > 0 && step.is_slow {
                continue;
            }
            eprintln!("round {} of {runs}: {}.", round + 1, step.name);
            costs.push(measure(&step.command, repository, None));
        }
    }
    let rows = steps.into_iter().zip(costs).map(|(step, costs)| Row::new(step.name, costs)).collect();
    Table { workloads, facts: format!("{facts}; {}", proof(repository, facts.sidecars)), rows }
}

/// Renders once more, unmeasured, and counts what was injected: a fast program that does nothing is not a goal.
fn proof(repository: &Path, sidecars: usize) -> String {
    let output = command(&RENDER).current_dir(repository).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let images = sets::SETS.iter().filter_map(|set| set.containers.lines().nth(1));
    let found: usize = images.map(|image| text.matches(image.trim()).count()).sum();
    let verdict = if found == sidecars { "right" } else { "WRONG" };
    format!("rendered to {:.1} MB with {found} of {sidecars} sidecars: {verdict}", text.len() as f64 / 1e6)
}

struct Step {
    name: &'static str,
    command: Vec<String>,
    is_slow: bool,
}

fn steps(repository: &Path, workloads: usize) -> Vec<Step> {
    let me = std::env::current_exe().unwrap().display().to_string();
    let cores = std::thread::available_parallelism().map_or(1, usize::from).to_string();
    let step = |name, words: &[&str]| Step {
        name,
        command: words.iter().map(|&w| w.to_owned()).collect(),
        is_slow: false,
    };
    let mut steps = vec![
        step("read", &[&me, "read", "apps", &cores]),
        step(report::EVENTS, &[&me, "events", "apps", "1"]),
        step("saphyr events, all cores", &[&me, "events", "apps", &cores]),
        step(report::RENDER, &RENDER),
        step("render, 300 more sets", &[&RENDER[..], &["--sidecarsets", "more"]].concat()),
        step("render --out, changed", &[&RENDER[..], &["--out", "out"]].concat()),
        step("render --out, unchanged", &[&RENDER[..], &["--out", "out"]].concat()),
    ];
    if let Some(kustomize) = std::env::var("KUSTOMIZE").ok().filter(|_| workloads <= MOST_FOR_KUSTOMIZE) {
        kustomize::kustomization(repository).unwrap();
        let mut step = step(
            report::KUSTOMIZE,
            &[&kustomize, "build", "kustomize", "--load-restrictor", "LoadRestrictionsNone"],
        );
        step.is_slow = true;
        steps.push(step);
    }
    steps
}

fn command(words: &[impl AsRef<str>]) -> Command {
    let mut command = Command::new(words[0].as_ref());
    command.args(words[1..].iter().map(AsRef::as_ref));
    command
}
