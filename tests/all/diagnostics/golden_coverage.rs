//! Checks that every diagnostic code has a case under golden/ that shows its output.

use pillion::diagnostics::{Code, Severity};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Codes that no folder of small files can show, each with the reason.
const NOT_BY_A_CASE: [(Code, &str); 4] = [
    (Code::EditCheckFailed, "only a bug in pillion gives it"),
    (Code::DocumentTooLarge, "needs a document of more than 64 MiB; src/yaml/tests.rs makes one"),
    (Code::RevisionNotFound, "validation says it first; golden/inject/diagnostics.txt has its words"),
    (
        Code::FileTooLarge,
        "needs a file of more than 512 MiB; tests/all/cli/command_line.rs makes one without content",
    ),
];

#[test]
fn every_code_has_a_golden_case() {
    let mut text = String::new();
    collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join("golden"), &mut text);
    let is_shown =
        |name: &str| text.contains(&format!("[{name}]")) || text.contains(&format!("\"code\": \"{name}\""));
    let excused: BTreeSet<Code> = NOT_BY_A_CASE.iter().map(|(code, _)| *code).collect();
    let missing: Vec<&str> = Code::ALL
        .iter()
        .filter(|c| !excused.contains(c))
        .map(|c| c.name())
        .filter(|n| !is_shown(n))
        .collect();
    assert!(missing.is_empty(), "codes without a case under golden/: {missing:?}");
    let needless: Vec<&str> = excused.iter().map(|c| c.name()).filter(|n| is_shown(n)).collect();
    assert!(needless.is_empty(), "these have a case after all: {needless:?}");
}

#[test]
fn the_registry_has_every_severity_of_a_code() {
    let mut text = String::new();
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden");
    for entry in fs::read_dir(&golden).unwrap().chain(fs::read_dir(golden.join("cli")).unwrap()) {
        // In `lint`, pillion.yaml sets the severities.
        let path = entry.unwrap().path();
        if path.is_dir() && !["cli", "lint"].iter().any(|name| path.ends_with(name)) {
            collect(&path, &mut text);
        }
    }
    let names = [(Severity::Error, "error"), (Severity::Warning, "warning"), (Severity::Note, "note")];
    let has = |code: &Code, severity| text.contains(&format!("{severity}[{}]", code.name()));
    let mut wrong = Vec::new();
    for code in Code::ALL {
        let missing = names.iter().filter(|(s, name)| has(code, name) && !code.severities().contains(s));
        wrong.extend(missing.map(|(_, name)| format!("{name}[{}]", code.name())));
    }
    assert!(wrong.is_empty(), "severities that src/diagnostics/codes.rs does not have: {wrong:?}");
}

/// Reads what the cases below a folder expect on both streams.
fn collect(folder: &Path, text: &mut String) {
    for entry in fs::read_dir(folder).expect("golden/ can be read") {
        let path = entry.expect("golden/ can be read").path();
        if path.is_dir() {
            collect(&path, text);
        } else if path.file_name().is_some_and(|n| n == "stderr.txt" || n == "stdout.txt") {
            text.push_str(&fs::read_to_string(&path).expect("what is expected is text"));
        }
    }
}
