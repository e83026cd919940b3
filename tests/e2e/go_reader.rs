//! Kubernetes' own reader of YAML (`tools/yaml`: sigs.k8s.io/yaml) reads manifests as pillion does, and edited texts as
//! the values that were intended.

use crate::harness::tools;
use crate::mutations::{Numbers, mutate_part};
use crate::yaml_edits::{apply, document, edits, runner};
use crate::yaml_generator::{Choices, write};
use pillion::diagnostics::Code;
use pillion::yaml::{Document, FieldPath, split_documents};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

/// Changed parts of manifests that are compared; `FUZZ_COUNT` sets another number.
const MUTATIONS: usize = 20_000;

/// Collections in one another that serde_json reads.
const MAX_DEPTH: usize = 120;

/// Edited documents that Go reads.
const EDITS: u32 = 10_000;

#[test]
#[ignore = "needs Go and a Go module proxy: cargo test --test e2e -- --ignored"]
fn manifests_are_read_as_kubernetes_reads_them() {
    let manifests = manifests();
    assert!(manifests.len() > 5000, "{} manifests", manifests.len());
    let summary = compare(&manifests);
    assert!(summary.equal * 100 > manifests.len() * 90, "{summary:?}");
    let count = std::env::var("FUZZ_COUNT").ok().and_then(|n| n.parse().ok()).unwrap_or(MUTATIONS);
    let mut numbers = Numbers(1);
    let changed: Vec<String> =
        (0..count).map(|_| mutate_part(&manifests[numbers.below(manifests.len())], &mut numbers)).collect();
    let summary = compare(&changed);
    assert!(summary.equal * 3 > count, "{summary:?}");
}

#[test]
#[ignore = "needs Go and a Go module proxy: cargo test --test e2e -- --ignored"]
fn edited_texts_have_the_intended_values_for_kubernetes() {
    tools::build("yaml");
    let input = (document(), prop::collection::vec(any::<u16>(), 0..300), edits());
    let mut runner = runner(EDITS, 3);
    let (mut texts, mut intended) = (Vec::new(), Vec::new());
    for _ in 0..EDITS {
        let (root, choices, edits) = input.new_tree(&mut runner).unwrap().current();
        let written = write(&root, &mut Choices::new(&choices));
        let document = Document::read(&"edit.yaml".into(), 0, 1, &written.text).unwrap();
        let (new, _) = apply(&root, &edits);
        // go-yaml loses bytes around U+FEFF where its buffer ends.
        if [&written.text, &new.to_string()].iter().any(|text| text.contains('\u{feff}')) {
            continue;
        }
        match document.rewrite(&FieldPath::root(), &new) {
            Ok(text) => {
                texts.push(text);
                intended.push(new);
            }
            Err(diagnostic) => assert_eq!(diagnostic.code, Code::AliasedNode, "{}", written.text),
        }
    }
    assert!(texts.len() > EDITS as usize / 2, "{} texts were edited", texts.len());
    for ((text, new), read) in texts.iter().zip(&intended).zip(read_with_go(&texts)) {
        assert_eq!(read.as_ref(), Ok(new), "{text}");
    }
}

/// What a comparison found.
#[derive(Debug, Default)]
struct Comparison {
    /// Texts with the same value.
    equal: usize,
    /// Texts that neither reader takes.
    refused: usize,
    /// Texts that pillion alone refuses, by its message.
    refused_by_pillion: BTreeMap<String, usize>,
}

/// Compares the readings of texts that are one document each; the others are left out, and those that are nested deeper
/// than serde_json reads Go's answer.
fn compare(texts: &[String]) -> Comparison {
    tools::build("yaml");
    let is_document = |text: &&String| {
        let (pieces, found) = split_documents(&"text.yaml".into(), text);
        pieces.len() == 1 && found.is_empty() && !text.contains('\u{feff}')
    };
    let read = |text: &String| {
        let value = Document::read(&"text.yaml".into(), 0, 1, text).map(|document| document.value().clone());
        value.as_ref().map_or(0, depth).lt(&MAX_DEPTH).then(|| (text.clone(), value))
    };
    let (texts, ours): (Vec<String>, Vec<_>) = texts.iter().filter(is_document).filter_map(read).unzip();
    let mut summary = Comparison::default();
    let mut different = Vec::new();
    for ((text, ours), theirs) in texts.iter().zip(ours).zip(read_with_go(&texts)) {
        match (ours, theirs) {
            (Ok(ours), Ok(theirs)) if ours == theirs => summary.equal += 1,
            (Err(_), Err(_)) => summary.refused += 1,
            (Err(diagnostic), Ok(_)) => {
                *summary.refused_by_pillion.entry(diagnostic.message).or_default() += 1;
            }
            (ours, theirs) => different.push(format!("{text:?}\n  pillion {ours:?}\n  Go      {theirs:?}")),
        }
    }
    assert!(different.is_empty(), "{} differ:\n{}", different.len(), different.join("\n"));
    summary
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(map) => 1 + map.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

/// Reads texts with Go.
fn read_with_go(texts: &[String]) -> Vec<Result<Value, String>> {
    let mut child = Command::new(tools::tool("yaml", "read-yaml"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut input, output) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
    let answers: Vec<Result<Value, String>> = std::thread::scope(|scope| {
        scope.spawn(move || {
            for text in texts {
                writeln!(input, "{}", Value::from(text.as_str())).unwrap();
            }
        });
        let answer = |line: std::io::Result<String>| {
            let mut answer: Value =
                serde_json::from_str(&line.unwrap()).map_err(|error| error.to_string())?;
            match answer.get("error") {
                Some(error) => Err(error.as_str().unwrap().to_owned()),
                None => Ok(answer["json"].take()),
            }
        };
        output.lines().map(answer).collect()
    });
    assert!(child.wait().unwrap().success());
    assert_eq!(answers.len(), texts.len());
    answers
}

/// Returns the documents of the repository's manifests and of those that projects publish.
fn manifests() -> Vec<String> {
    fn add(folder: &Path, texts: &mut Vec<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.is_symlink() {
                add(&path, texts);
            } else if path.extension().is_some_and(|e| e == "yaml" || e == "yml")
                && let Ok(text) = fs::read_to_string(&path)
            {
                let (pieces, _) = split_documents(&"text.yaml".into(), &text);
                texts.extend(pieces.into_iter().map(|piece| text[piece.span].to_owned()));
            }
        }
    }
    tools::build("manifests");
    let mut texts = Vec::new();
    for folder in ["golden", "examples", "deploy", "tests/conformance"] {
        add(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &mut texts);
    }
    add(&tools::tool("manifests", ""), &mut texts);
    texts.sort();
    texts.dedup();
    texts
}
