//! Measures the cost of `pillion plan` on a big repository.
//!
//! `cargo bench --bench plan` makes the repositories, measures and prints a table. Options follow `--`:
//! `--sizes 1000,10000` (workloads; default 100,1000,10000,50000), `--runs 3`, `--keep FOLDER` (make them there and
//! leave them), `--quick` (100 workloads once).
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
#![expect(clippy::print_stderr, reason = "and what it is doing")]
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on stops")]

#[path = "../render/generate.rs"]
#[allow(dead_code, reason = "the other benchmark needs more of it")]
mod generate;
#[path = "../render/measure.rs"]
mod measure;
#[path = "../render/options.rs"]
mod options;
#[path = "../render/sets.rs"]
mod sets;

use measure::{Cost, measure};
use options::Options;
use pillion::model::ledger::{Ledger, Revision, emit};
use pillion::read::Disk;
use pillion::stage::ClusterView;
use pillion::workspace::{ClusterSources, Configuration};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

const PILLION: &str = env!("CARGO_BIN_EXE_pillion");

const CONFIGURATION: &str = "apiVersion: pillion.dev/v1alpha1\nkind: Repository\nsources: [apps]\nsidecarSets: [sidecars]\nrendered: rendered\nledgers: ledgers\nnamespaces: [{folder: ., name: default}]\nrollout: {maxBatches: 10000}\nlint: {job-never-completes: allow}\n";

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["measure", command @ ..] => measure::child(command),
        words => bench(&Options::read(words, &[100, 1_000, 10_000, 50_000])),
    }
}

fn bench(options: &Options) {
    let folder = options.folder("bench-plan");
    println!("| workloads | command | batches | wall s | CPU s | peak MiB |\n|---|---|---|---|---|---|");
    for &workloads in &options.sizes {
        let repository = folder.join(workloads.to_string());
        let _ = fs::remove_dir_all(&repository);
        eprintln!("making {workloads} workloads.");
        let facts = generate::repository(&repository, workloads).unwrap();
        eprintln!("{facts}.");
        prepare(&repository);
        for (name, words) in commands() {
            println!("{}", row(&repository, workloads, name, &words, options.runs));
        }
        if options.keep.is_none() {
            let _ = fs::remove_dir_all(&repository);
        }
    }
}

/// What is measured, with the same new image of one SidecarSet.
fn commands() -> Vec<(&'static str, Vec<&'static str>)> {
    vec![
        ("plan", vec!["plan"]),
        ("plan -o json", vec!["plan", "-o", "json"]),
        ("plan -o html", vec!["plan", "-o", "html"]),
        ("plan --next", vec!["plan", "--next"]),
        ("plan, 1% unavailable", vec!["plan", "--strategy", "maxUnavailable=1%"]),
    ]
}

/// Ledgers at what is written, and then a new image.
fn prepare(repository: &Path) {
    fs::write(repository.join("pillion.yaml"), CONFIGURATION).unwrap();
    let bare = repository.join("bare.yaml");
    fs::write(&bare, CONFIGURATION.replace("ledgers: ledgers\n", "").replace("[apps]", "[sidecars]"))
        .unwrap();
    let configuration = Configuration::read(&Disk, &bare).0.unwrap();
    let view = ClusterView::load(
        &configuration,
        &ClusterSources { files: &Disk, ledgers: &Disk, built: None, cluster: None },
    )
    .0;
    fs::create_dir_all(repository.join("ledgers")).unwrap();
    for set in &view.prepared.sets {
        let revision = Revision::from_set(set);
        let mut ledger = Ledger::new(&set.name);
        ledger.released = Some(Arc::clone(&revision.name));
        ledger.revisions.insert(Arc::clone(&revision.name), revision);
        fs::write(repository.join(format!("ledgers/{}.yaml", set.name)), emit(&ledger)).unwrap();
    }
    let changed = repository.join(format!("sidecars/{}.yaml", sets::SETS[0].name));
    let text = fs::read_to_string(&changed).unwrap();
    let (image, _) = text.split_once("image: ").and_then(|(_, rest)| rest.split_once('\n')).unwrap();
    fs::write(&changed, text.replacen(image, &format!("{image}-next"), 1)).unwrap();
}

fn row(repository: &Path, workloads: usize, name: &str, words: &[&str], runs: usize) -> String {
    let command: Vec<String> =
        std::iter::once(PILLION).chain(words.iter().copied()).map(str::to_owned).collect();
    let mut costs: Vec<Cost> = (0..runs).map(|_| measure(&command, repository, None)).collect();
    if let Some(failure) = costs.iter().find_map(|c| c.failure.as_ref()) {
        return format!("| {workloads} | {name} | {failure} |");
    }
    costs.sort_by(|a, b| a.wall.total_cmp(&b.wall));
    let Cost { wall, cpu, peak, .. } = &costs[costs.len() / 2];
    format!("| {workloads} | {name} | {} | {wall:.2} | {cpu:.2} | {peak:.0} |", batches(repository, words))
}

/// Counts the batches once more, unmeasured: a fast program that plans nothing is not a goal.
fn batches(repository: &Path, words: &[&str]) -> usize {
    let words: Vec<&str> = words.iter().copied().filter(|w| !["-o", "json", "html"].contains(w)).collect();
    let output =
        self::command(&[&[PILLION], &words[..], &["-o", "json"]].concat()).current_dir(repository).output();
    let text = String::from_utf8_lossy(&output.unwrap().stdout).into_owned();
    text.matches("\"batch\":").count()
}

fn command(words: &[impl AsRef<str>]) -> Command {
    let mut command = Command::new(words[0].as_ref());
    command.args(words[1..].iter().map(AsRef::as_ref));
    command
}
