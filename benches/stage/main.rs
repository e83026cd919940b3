//! Measures the cost of `pillion stage` on a big repository: a rollout of every workload in 100 batches.
//!
//! `cargo bench --bench stage` makes the repositories, measures and prints the table. Options follow `--`:
//! `--sizes 1000,10000` (workloads; default 100,1000,10000,50000), `--runs 3`, `--keep FOLDER`, `--quick`.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
#![expect(clippy::print_stderr, reason = "and what it is doing")]
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on stops")]

mod generate;
#[path = "../render/measure.rs"]
mod measure;
#[path = "../render/options.rs"]
mod options;
mod release;

use measure::{Cost, measure};
use options::Options;
use release::{command, release_and_change, run};
use std::path::Path;
use std::process::Command;

const PILLION: &str = env!("CARGO_BIN_EXE_pillion");

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["measure", command @ ..] => measure::child(command),
        words => bench(&Options::read(words, &[100, 1_000, 10_000, 50_000])),
    }
}

fn bench(options: &Options) {
    let folder = options.folder("bench-stage");
    println!("| workloads | pods, batches | step | wall s | CPU s | peak MiB |\n|---|---|---|---|---|---|");
    let mut last: Option<(usize, f64)> = None;
    for &workloads in &options.sizes {
        let repository = folder.join(workloads.to_string());
        let _ = std::fs::remove_dir_all(&repository);
        eprintln!("making {workloads} workloads.");
        let pods = generate::repository(&repository, workloads).unwrap();
        release_and_change(&repository, PILLION);
        let cpu = one_size(&repository, workloads, pods, options.runs);
        if let Some((small, before)) = last {
            let exponent = (cpu / before).ln() / (workloads as f64 / small as f64).ln();
            eprintln!("growth of CPU time from {small}: exponent {exponent:.2} (1.00 is linear)");
        }
        last = Some((workloads, cpu));
        if options.keep.is_none() {
            let _ = std::fs::remove_dir_all(&repository);
        }
    }
}

/// Measures staging for the first time and once more, and returns the CPU time of the first.
fn one_size(repository: &Path, workloads: usize, pods: usize, runs: usize) -> f64 {
    let stage = [PILLION, "stage"].map(str::to_owned);
    let (mut first, mut again) = (Vec::new(), Vec::new());
    for round in 0..runs {
        eprintln!("round {} of {runs}.", round + 1);
        run("git", &["update-ref", "-d", "refs/heads/pillion/main/log"], repository);
        // What an earlier round wrote is not there to be found.
        run("git", &["-c", "gc.pruneExpire=now", "prune"], repository);
        run("git", &["-c", "repack.writeBitmaps=false", "repack", "-adq"], repository);
        first.push(measure(&stage, repository, None));
        again.push(measure(&stage, repository, None));
    }
    let commits = Command::new("git")
        .args(["rev-list", "--count", "main..pillion/main/log"])
        .current_dir(repository)
        .output()
        .unwrap();
    let commits: usize = String::from_utf8_lossy(&commits.stdout).trim().parse().unwrap();
    for (step, costs) in [("stage", &mut first), ("stage again", &mut again)] {
        let cost = median(costs);
        let what =
            cost.failure.unwrap_or_else(|| format!("{:.2} | {:.2} | {:.0}", cost.wall, cost.cpu, cost.peak));
        println!("| {workloads} | {pods}, {} | {step} | {what} |", commits.saturating_sub(2));
    }
    median(&mut first).cpu
}

fn median(costs: &mut [Cost]) -> Cost {
    costs.sort_by(|a, b| a.cpu.total_cmp(&b.cpu));
    costs[(costs.len() - 1) / 2].clone()
}
