//! Runs the bodies of the fuzz targets over their seeds, and over bytes derived from the seeds with a fixed generator.

use crate::fuzz::manifests::{decode_sidecar_set, read_edit_write};
use crate::fuzz::mutations::{Numbers, mutate_part};
use crate::fuzz::{readers, untrusted_input};
use std::fs;
use std::path::Path;

/// Texts that are put into seeds.
const PIECES: &[&str] = &[
    "- ", "? ", ": ", "&a ", "*a", "!!str ", "|", ">-", "|+", "\"", "'", "[", "]", "{", "}", ",", "#", " #c",
    "\n", "\n\n", "  ", "\t", "a: ", "<<: ", "yes", "0x1", "---\n", "...\n", "\\", "\r\n", "\r", "é",
    "\u{feff}", "\u{2028}", "\0", "😀",
];

/// Texts that are put into SidecarSets.
const WORDS: &[&str] = &[
    "null",
    "[]",
    "{}",
    "-1",
    "1.5",
    "true",
    "\"\"",
    "[[]]",
    "{a: {b: []}}",
    "99999999999999999999",
    "100%",
    "-",
    "1e400",
    "0.0000000001",
    "memory*",
    "max(cpu, 1",
    "(",
    ")",
    "/0",
    "HotUpgrade",
    "matchExpressions: [{key: a}]",
    "\n    ",
    "\n  ",
    ": ",
    "- ",
    "namespace: x\n",
    "v1alpha1",
    "metadata.labels['a']",
    "(?=x)",
    "é",
    "\u{2028}",
];

fn seeds(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/fuzz").join(target);
    let entries = std::fs::read_dir(folder).expect("the folder of seeds is there");
    let mut files: Vec<_> = entries.flatten().map(|e| e.path()).collect();
    files.sort();
    files.iter().flat_map(std::fs::read).collect()
}

#[test]
fn bytes_never_end_in_a_panic_or_a_wrong_edit() {
    run("read_edit_write", PIECES, read_edit_write);
}

#[test]
fn bytes_never_end_in_a_panic_of_the_decoder() {
    run("decode_sidecar_set", WORDS, decode_sidecar_set);
}

/// Texts that are put into what others send.
const SENT: &[&str] = &[
    "null",
    "[]",
    "{}",
    "-1",
    "1e400",
    "99999999999999999999",
    "true",
    "\"\"",
    "\"",
    ",",
    ":",
    "{",
    "}",
    "[",
    "]",
    "\\u0000",
    "\\ud800",
    "\u{202e}",
    "\u{1b}",
    "\n",
    "\n\n",
    "\r",
    "\0",
    " ",
    "9999-12-31T23:59:59Z",
    "0000-01-01T00:00:00Z",
    "\"kind\":\"Status\"",
    "100644 a\0",
    "40000 b\0",
    "120000 ../x\0",
    "160000 s\0",
    "..",
    "/",
    ".git",
    "../x",
    "Pillion-Action: Batch",
    "Signed-off-by: a",
    ": ",
    "- ",
    "é",
    "😀",
];

#[cfg(feature = "watch")]
#[test]
fn lines_of_watches_never_end_in_a_panic() {
    run("read_watch_line", SENT, untrusted_input::read_watch_line);
}

#[cfg(feature = "watch")]
#[test]
fn pages_of_lists_never_end_in_a_panic() {
    run("read_list_page", SENT, untrusted_input::read_list_page);
}

#[cfg(feature = "watch")]
#[test]
fn answers_of_providers_are_one_short_line_at_most() {
    run("read_provider_answer", SENT, untrusted_input::read_provider_answer);
}

#[test]
fn nobody_writes_trailers_of_pillion() {
    run("read_trailers", SENT, untrusted_input::read_trailers);
}

#[test]
fn ledgers_are_read_as_they_were_written() {
    run("read_ledger", SENT, untrusted_input::read_ledger);
}

#[test]
fn lists_of_files_lead_nowhere_else() {
    run("read_file_list", SENT, untrusted_input::read_file_list);
}

#[test]
fn trees_are_written_nowhere_else() {
    run("read_git_tree", SENT, untrusted_input::read_git_tree);
}

#[test]
fn the_plain_block_form_is_read_as_the_parsers_read_it() {
    compare_readers(readers::read_block_form, |compared, texts| compared * 5 > texts);
}

#[test]
fn what_the_walk_is_certain_of_the_parsers_say_too() {
    compare_readers(readers::verify_walk, |compared, texts| compared * 5 > texts);
}

/// Runs a body over the repository's manifests and over changed parts of them. `are_enough` decides whether the body took
/// enough of the texts for the comparison to mean something.
fn compare_readers(body: fn(&[u8]) -> usize, are_enough: fn(usize, usize) -> bool) {
    let (manifests, mut numbers, count) = (manifests(), Numbers(1), fuzz_count());
    let taken: usize = manifests.iter().map(|text| body(text.as_bytes())).sum();
    assert!(are_enough(taken, manifests.len()), "{taken} of {} manifests", manifests.len());
    let mutated = (0..count).map(|_| mutate_part(&manifests[numbers.below(manifests.len())], &mut numbers));
    let taken: usize = mutated.map(|text| body(text.as_bytes())).sum();
    assert!(are_enough(taken, count), "{taken} of {count} changed texts");
}

/// Returns the documents of the repository's manifests.
fn manifests() -> Vec<String> {
    fn add(folder: &Path, texts: &mut Vec<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.is_symlink() {
                add(&path, texts);
            } else if path.extension().is_some_and(|e| e == "yaml" || e == "yml")
                && let Ok(text) = fs::read_to_string(&path)
                && text.len() < 1 << 16
            {
                texts.extend(text.split_inclusive("\n---\n").map(str::to_owned));
            }
        }
    }
    let mut texts = Vec::new();
    for folder in ["golden", "examples", "deploy", "tests/conformance"] {
        add(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &mut texts);
    }
    texts.sort();
    texts.dedup();
    texts
}

/// Runs a body over its seeds, and over seeds into which pieces were put or out of which bytes were cut.
fn run(target: &str, pieces: &[&str], body: fn(&[u8])) {
    let (seeds, mut numbers) = (seeds(target), Numbers(1));
    assert!(seeds.len() > 2);
    seeds.iter().for_each(|seed| body(seed));
    for _ in 0..fuzz_count() {
        let mut bytes = seeds[numbers.below(seeds.len())].clone();
        for _ in 0..=numbers.below(4) {
            let at = numbers.below(bytes.len() + 1);
            match numbers.below(3) {
                0 => drop(bytes.splice(at..at, pieces[numbers.below(pieces.len())].bytes())),
                1 => drop(bytes.drain(at..(at + numbers.below(9)).min(bytes.len()))),
                _ => {
                    let from = numbers.below(bytes.len());
                    let piece = bytes[from..(from + numbers.below(30)).min(bytes.len())].to_vec();
                    drop(bytes.splice(at..at, piece));
                }
            }
        }
        body(&bytes);
    }
}

/// Returns how many generated inputs a body gets: FUZZ_COUNT=1000000 for a long run by hand.
fn fuzz_count() -> usize {
    std::env::var("FUZZ_COUNT").ok().and_then(|c| c.parse().ok()).unwrap_or(3000)
}
