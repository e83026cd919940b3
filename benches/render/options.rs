//! Options of a benchmark, after `--` on the command line.

use std::path::{Path, PathBuf};

/// How much is measured.
pub(crate) struct Options {
    /// Numbers of workloads.
    pub(crate) sizes: Vec<usize>,
    /// How often.
    pub(crate) runs: usize,
    /// Where repositories are made and left.
    pub(crate) keep: Option<PathBuf>,
}

impl Options {
    /// Reads `--sizes 1000,10000`, `--runs 3`, `--keep FOLDER`, `--quick`; `sizes` count without them.
    pub(crate) fn read(words: &[&str], sizes: &[usize]) -> Self {
        let mut options = Self { sizes: sizes.to_vec(), runs: 3, keep: None };
        // `cargo test --all-targets` runs a benchmark without `--bench`: then a smoke run is wanted.
        if !std::env::args().any(|a| a == "--bench") {
            options = Self { sizes: vec![20], runs: 1, keep: None };
        }
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match *word {
                "--sizes" => {
                    options.sizes = words.next().unwrap().split(',').map(|n| n.parse().unwrap()).collect();
                }
                "--runs" => options.runs = words.next().unwrap().parse().unwrap(),
                "--keep" => options.keep = Some(words.next().unwrap().into()),
                "--quick" => options = Self { sizes: vec![100], runs: 1, ..options },
                other => {
                    eprintln!("unknown option {other}");
                    std::process::exit(2);
                }
            }
        }
        options
    }

    /// Returns where repositories are made.
    pub(crate) fn folder(&self, name: &str) -> PathBuf {
        self.keep.clone().unwrap_or_else(|| Path::new(env!("CARGO_TARGET_TMPDIR")).join(name))
    }
}
