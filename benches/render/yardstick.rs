//! Measures the lower bound: reading and parsing the same files.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Reads every file below a folder.
pub(crate) fn read(folder: &Path, threads: usize) {
    println!("{} bytes", over_files(folder, threads, |text| text.len()));
}

/// Reads every file below a folder and takes every event of every document from saphyr's parser.
pub(crate) fn events(folder: &Path, threads: usize) {
    let count = |text: &str| {
        saphyr_parser::Parser::new_from_str(text).inspect(|e| assert!(e.is_ok(), "not YAML")).count()
    };
    println!("{} events", over_files(folder, threads, count));
}

fn over_files(folder: &Path, threads: usize, work: impl Fn(&str) -> usize + Sync) -> usize {
    let mut files = Vec::new();
    walk(folder, &mut files);
    let next = AtomicUsize::new(0);
    let sum = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(file) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let text = std::fs::read_to_string(file).unwrap();
                    sum.fetch_add(work(&text), Ordering::Relaxed);
                }
            });
        }
    });
    sum.into_inner()
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            walk(&entry.path(), files);
        } else {
            files.push(entry.path());
        }
    }
}
