//! Checks that words which the project gave up do not come back.
//!
//! `words.txt` lists the occurrences that are left, as `FILE: WORD: NUMBER`. `UPDATE_GOLDEN=1` rewrites it when a file
//! moves or a number falls; the total of a word never rises.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

/// Words that must not come back, and what to write instead.
/// A word with a capital letter is matched exactly, others in any case.
const WORDS: &[(&str, &str)] = &[
    ("--observed", "--cluster-state"),
    ("--patience", "--timeout"),
    ("CARRYING", "UPDATED"),
    ("Judgement", "HealthReport"),
    ("Rest", "Idle or Blocked"),
    ("Tells whether", "Returns whether"),
    ("Says whether", "Returns whether"),
    ("WANTED", "DESIRED"),
    ("anew", "again, recreated"),
    ("are told", "are reported, are notified"),
    ("carries", "has, runs, is at"),
    ("door", "integration"),
    ("doors", "integrations"),
    ("guise", "invocation"),
    ("guises", "invocations"),
    ("has gone different ways", "has diverged"),
    ("is no", "is not a; `there is no` and `is no longer` are fine"),
    ("is told", "is reported, is notified"),
    ("live branch", "deploy branch"),
    ("mend", "fix"),
    ("nobody", "the actor, in a positive sentence"),
    ("notAppliedAfter", "syncTimeout"),
    ("odd", "unusual"),
    ("room", "module, capacity"),
    ("rooms", "modules"),
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

/// Returns how often a word is in a text, not counting longer words that contain it, `there is no` and `is no longer`.
fn occurrences(text: &str, word: &str) -> usize {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(word)
        .filter(|(at, _)| {
            let rest = &text[at + word.len()..];
            !text[..*at].ends_with(is_part)
                && !text[..*at].ends_with("there ")
                && !rest.starts_with(is_part)
                && ![" longer", " more than"].iter().any(|next| rest.starts_with(next))
        })
        .count()
}

/// How often a file contains a word, by both.
type Numbers = BTreeMap<(String, String), usize>;

fn parse_numbers(text: &str) -> Numbers {
    let parse = |line: &str| {
        let mut parts = line.rsplitn(3, ": ");
        let number = parts.next()?.parse().ok()?;
        let word = parts.next()?.to_owned();
        Some(((parts.next()?.to_owned(), word), number))
    };
    text.lines().map(|line| parse(line).unwrap_or_else(|| panic!("words.txt: {line}"))).collect()
}

/// Returns the total of each word.
fn totals(numbers: &Numbers) -> BTreeMap<&str, usize> {
    let mut totals = BTreeMap::new();
    for ((_, word), number) in numbers {
        *totals.entry(word.as_str()).or_default() += number;
    }
    totals
}

fn count_words(root: &Path) -> Numbers {
    let mut found = Numbers::new();
    for place in PLACES {
        walk(root, place, &mut |path, text| {
            let lower = text.to_lowercase();
            for (word, _) in WORDS {
                let is_exact = word.chars().any(char::is_uppercase);
                let number = occurrences(if is_exact { text } else { &lower }, word);
                if number > 0 {
                    found.insert((path.to_owned(), (*word).to_owned()), number);
                }
            }
        });
    }
    found
}

#[test]
fn abandoned_words_do_not_come_back() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let list = root.join("tests/all/words.txt");
    let mut allowed = parse_numbers(&fs::read_to_string(&list).unwrap());
    let found = count_words(root);
    if std::env::var_os("UPDATE_GOLDEN").is_some_and(|v| v == "1") {
        let limits = totals(&allowed);
        let is_lower =
            totals(&found).iter().all(|(word, n)| limits.get(word).is_some_and(|limit| n <= limit));
        if is_lower {
            let lines: Vec<String> =
                found.iter().map(|((path, word), n)| format!("{path}: {word}: {n}\n")).collect();
            fs::write(&list, lines.concat()).unwrap();
            allowed.clone_from(&found);
        }
    }
    let mut errors = String::new();
    let keys: BTreeSet<_> = found.keys().chain(allowed.keys()).collect();
    for key @ (path, word) in keys {
        let [number, limit] = [&found, &allowed].map(|numbers| numbers.get(key).copied().unwrap_or_default());
        let (_, instead) = WORDS.iter().find(|(w, _)| w == word).unwrap();
        if number > limit {
            writeln!(errors, "{path}: {number} times `{word}`, at most {limit} allowed; write: {instead}")
                .unwrap();
        } else if number < limit {
            writeln!(errors, "{path}: {number} times `{word}`, not {limit}: run with UPDATE_GOLDEN=1")
                .unwrap();
        }
    }
    assert!(errors.is_empty(), "{errors}");
}
