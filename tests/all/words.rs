//! Checks that words which the project gave up do not come back.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

/// Words that must not come back, and what to write instead.
/// A word with a capital letter is matched exactly, others in any case.
const WORDS: &[(&str, &str)] = &[
    ("--observed", "--cluster-state"),
    ("--patience", "--timeout"),
    ("CARRYING", "UPDATED"),
    ("Rest", "Idle or Blocked"),
    ("Says whether", "Returns whether"),
    ("Tells whether", "Returns whether"),
    ("WANTED", "DESIRED"),
    ("anew", "again, recreated"),
    ("are told", "are reported, are notified"),
    ("carries", "has, runs, is at"),
    ("course", "RolloutContext, context, schedule"),
    ("courses", "schedules"),
    ("deed", "action, commit"),
    ("deeds", "actions, commits"),
    ("door", "integration"),
    ("doors", "integrations"),
    ("guise", "invocation"),
    ("guises", "invocations"),
    ("has gone different ways", "has diverged"),
    ("is no", "is not a; `there is no` and `is no longer` are fine"),
    ("is told", "is reported, is notified"),
    ("judgement", "HealthReport, health"),
    ("judgements", "HealthReports, health"),
    ("live branch", "deploy branch"),
    ("mend", "fix"),
    ("mended", "fixed, repaired"),
    ("nobody", "the actor, in a positive sentence"),
    ("notAppliedAfter", "syncTimeout"),
    ("odd", "unusual"),
    ("room", "module, capacity"),
    ("rooms", "modules"),
    ("site", "ClusterView, view"),
    ("sites", "ClusterViews, views"),
    ("somebody", "the actor: a person, another commit"),
    ("stage --start", "pillion start"),
    ("whose", "with, of which"),
];

/// Folders and files that are read, below the root of the repository.
const PLACES: &[&str] = &[
    ".github",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "README.md",
    "SECURITY.md",
    "action",
    "action.yml",
    "deploy",
    "docs",
    "examples",
    "src",
    "tests/e2e/README.md",
];

/// Folders of tests and benchmarks. Recorded answers of other programs are left out, and so is this file.
const TEST_PLACES: &[&str] =
    &["benches", "fuzz/fuzz_targets", "tests/all", "tests/e2e", "tests/golden", "tests/golden.rs"];

const KINDS: &[&str] = &["rs", "md", "yaml", "yml", "toml", "sh", "json"];

/// Calls `visit` with the path and text of each file below a place.
fn walk(root: &Path, place: &str, visit: &mut impl FnMut(&str, &str)) {
    let path = root.join(place);
    if path.is_dir() {
        for entry in fs::read_dir(&path).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            walk(root, &format!("{place}/{name}"), visit);
        }
    } else if path.extension().is_some_and(|kind| KINDS.iter().any(|k| *k == kind)) {
        visit(place, &fs::read_to_string(&path).unwrap());
    }
}

/// Returns whether a line has a word, not counting longer words that contain it, `there is no` and `is no longer`.
fn has_word(line: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        let rest = &line[at + word.len()..];
        !line[..at].ends_with(is_part)
            && !line[..at].ends_with("there ")
            && !rest.starts_with(is_part)
            && ![" longer", " more than"].iter().any(|next| rest.starts_with(next))
    })
}

/// Returns the lines of a place that have one of the words.
fn find_words(places: &[&str]) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut errors = String::new();
    for place in places {
        walk(root, place, &mut |path, text| {
            if path == file!() {
                return;
            }
            for (number, line) in (1..).zip(text.lines()) {
                let lower = line.to_lowercase();
                for (word, instead) in WORDS {
                    let is_exact = word.chars().any(char::is_uppercase);
                    if has_word(if is_exact { line } else { &lower }, word) {
                        writeln!(errors, "{path}:{number}: `{word}`; write: {instead}").unwrap();
                    }
                }
            }
        });
    }
    errors
}

#[test]
fn abandoned_words_do_not_come_back() {
    let errors = find_words(PLACES) + &find_words(TEST_PLACES);
    assert!(errors.is_empty(), "{errors}");
}
