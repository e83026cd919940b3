//! Single-character typos in every SidecarSet and ledger of golden/, examples/ and tests/conformance/: pillion
//! rejects whatever the reader of Kubernetes rejects, through every integration.
//!
//! tests/typos/ records the verdicts of that reader in tests/typos/verdicts.txt, one line per text: its digest, and one
//! digit per typo. After new cases are added, record again:
//!
//! ```text
//! TYPOS_TEXTS=/tmp/typos.json cargo test --test all yaml::typos
//! (cd tests/typos && go run . < /tmp/typos.json > verdicts.txt)
//! ```
//!
//! `TYPOS=all cargo test --test all yaml::typos` checks every recorded typo, instead of a sample per text.

use indoc::indoc;
use pillion::diagnostics::{Code, Diagnostic};
use pillion::render::collect_objects;
use pillion::yaml::{is_certainly_readable, split_documents};
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

/// Typos of one text that are recorded, and those that are looked at.
const RECORDED: usize = 96;
const LOOKED_AT: usize = 12;

/// What one character more or less may do to a line, and to the next.
const TYPOS: &[fn(&str) -> Option<String>] = &[
    |line| Some(format!(" {line}")),
    |line| line.strip_prefix(' ').map(str::to_owned),
    |line| without(line, ":"),
    |line| without(line, "-"),
    |line| without(line, "\"").or_else(|| without(line, "'")),
    |line| line.strip_prefix(' ').map(|rest| format!("\t{rest}")),
    |line| line.contains(": ").then(|| line.replacen(": ", ":\t", 1)),
    |line| line.contains(": ").then(|| line.replacen(": ", ":", 1)),
    |line| line.contains("- ").then(|| line.replacen("- ", "-", 1)),
    |line| ["{", "[", "}", "]"].iter().find_map(|bracket| without(line, bracket)),
    |line| line.contains(": ").then(|| line.replacen(": ", ": {", 1)),
    |line| Some(format!("{line}]")),
];

fn without(line: &str, what: &str) -> Option<String> {
    line.contains(what).then(|| line.replacen(what, "", 1))
}

/// Returns the typos of a text that are recorded: all of them, or as many as that in an order of chance that the
/// text decides.
fn typos(text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let mut all: Vec<(usize, usize)> =
        (0..lines.len()).flat_map(|l| (0..=TYPOS.len()).map(move |s| (l, s))).collect();
    let mut state = text.bytes().fold(7_u64, |sum, b| sum.wrapping_mul(31).wrapping_add(u64::from(b)));
    for last in (1..all.len()).rev() {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        all.swap(last, usize::try_from(state >> 33).unwrap_or(0) % (last + 1));
    }
    let altered = all.into_iter().filter_map(|(at, kind)| {
        let line = lines[at].trim_end_matches('\n');
        let altered = match TYPOS.get(kind) {
            _ if line.trim().is_empty() => None,
            Some(typo) => typo(line).map(|altered| lines[at].replacen(line, &altered, 1)),
            // The line break is lost.
            None => lines[at].ends_with('\n').then(|| line.to_owned()),
        }?;
        Some([&lines[..at].concat(), &*altered, &lines[at + 1..].concat()].concat())
    });
    altered.take(RECORDED).collect()
}

/// The texts with a SidecarSet or a ledger, by their digest; some of them as items of a ResourceList as well.
fn texts() -> BTreeMap<String, String> {
    let mut files = Vec::new();
    for folder in ["golden", "examples", "tests/conformance"] {
        find(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &mut files);
    }
    let mut texts = BTreeMap::new();
    for file in files {
        let Ok(text) = fs::read_to_string(&file) else { continue };
        let (pieces, diagnostics) = split_documents(&"f".into(), &text);
        for piece in pieces.into_iter().map(|piece| &text[piece.span]).filter(|_| diagnostics.is_empty()) {
            let says = |words: &[&str]| {
                piece.lines().any(|line| words.contains(&line.trim_start().trim_end_matches(',')))
            };
            let is_one = says(&["kind: SidecarSet", "kind: SidecarRollout", "\"kind\": \"SidecarSet\""]);
            if is_one && !is_refused(piece, false) {
                let digest = digest(piece);
                if digest.starts_with(['0', '1']) && !piece.starts_with("---") {
                    let list = as_item(piece);
                    texts.insert(self::digest(&list), list);
                }
                texts.insert(digest, piece.to_owned());
            }
        }
    }
    texts
}

fn as_item(text: &str) -> String {
    let item: String = text.split_inclusive('\n').map(|line| format!("  {line}")).collect();
    format!(
        "apiVersion: config.kubernetes.io/v1\nkind: ResourceList\nitems:\n-{}\n",
        item.trim_end().get(1..).unwrap_or("")
    )
}

fn digest(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().take(6).map(|b| format!("{b:02x}")).collect()
}

fn find(folder: &Path, files: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> =
        fs::read_dir(folder).expect("a folder").map(|e| e.expect("an entry").path()).collect();
    entries.sort();
    for path in entries {
        match path.extension().and_then(|e| e.to_str()) {
            _ if path.is_dir() => find(&path, files),
            Some("yaml" | "yml" | "json") => files.push(path),
            _ => {}
        }
    }
}

fn verdicts() -> BTreeMap<String, String> {
    let recorded = include_str!("../../typos/verdicts.txt").lines();
    recorded
        .filter_map(|line| line.split_once(' '))
        .map(|(id, digits)| (id.to_owned(), digits.to_owned()))
        .collect()
}

fn errors(text: &str, is_named: bool) -> Vec<Diagnostic> {
    let found = collect_objects(&Arc::from("typo.yaml"), text, is_named);
    found.unreadable.into_iter().chain(found.diagnostics).filter(Diagnostic::is_error).collect()
}

fn is_refused(text: &str, is_named: bool) -> bool {
    !errors(text, is_named).is_empty()
}

/// Where pillion is stricter than Kubernetes' reader, in words of its messages; docs/support.md says why.
const STRICTER: &[&str] = &[
    "text after the end of the document is dropped by Kubernetes",
    // The parser takes any word, and the API server knows no such kind.
    "is not a kind of `apps.kruise.io/",
    "is not a kind of `pillion.dev/",
];

#[test]
fn what_kubernetes_refuses_is_refused() {
    let texts = texts();
    if let Ok(file) = std::env::var("TYPOS_TEXTS") {
        let mut out = std::io::BufWriter::new(fs::File::create(file).expect("the file can be made"));
        for (id, text) in &texts {
            let line = serde_json::json!({"id": id, "texts": typos(text)});
            writeln!(out, "{line}").expect("it can be written");
        }
        return;
    }
    let verdicts = verdicts();
    let looked_at = if std::env::var("TYPOS").is_ok_and(|v| v == "all") { RECORDED } else { LOOKED_AT };
    // One of each kind is shown.
    let (mut unknown, mut accepted, mut refused) = (0, BTreeMap::new(), 0_usize);
    for (id, text) in &texts {
        let Some(digits) = verdicts.get(id) else {
            unknown += 1;
            continue;
        };
        for (typo, digit) in typos(text).iter().zip(digits.bytes()).take(looked_at) {
            let errors = errors(typo, false);
            let is_documented = |d: &Diagnostic| STRICTER.iter().any(|words| d.message.contains(words));
            refused += usize::from(digit == b'0');
            if digit == b'0' && is_certainly_readable(typo) && split_documents(&"f".into(), typo).1.is_empty()
            {
                accepted.insert("no reader parses it, and Kubernetes refuses it".to_owned(), typo.clone());
            }
            match (digit, errors.first()) {
                (b'0', None) => {
                    _ = accepted.insert("taken, and Kubernetes refuses it".to_owned(), typo.clone())
                }
                (b'1', Some(error)) if !is_documented(error) => {
                    accepted
                        .insert(format!("refused, and Kubernetes takes it: {}", error.message), typo.clone());
                }
                _ => {}
            }
        }
    }
    assert!(
        accepted.is_empty(),
        "{}",
        accepted.iter().map(|(why, typo)| format!("{why}:\n{typo}\n")).collect::<String>()
    );
    assert!(texts.len() > 300 && refused > 2000, "{} texts, {refused} typos refused", texts.len());
    assert!(
        unknown * 10 < texts.len(),
        "{unknown} of {} texts are not recorded: see above how that is done",
        texts.len()
    );
}

/// How a text comes to pillion: the arguments, and whether it comes on standard input.
const INVOCATIONS: &[(&str, &[&str], bool)] = &[
    ("folder", &["render", "in"], false),
    ("file", &["render", "in/typo.yaml"], false),
    ("validate", &["validate", "in"], false),
    ("explain", &["explain", "Pod/web", "--sidecarsets", "in", "other"], false),
    ("set", &["render", "other", "--sidecarsets", "in"], false),
    ("pipe", &["render", "-"], true),
    ("filter", &[], true),
    ("cmp", &["cmp", "generate", "-"], true),
    ("plugin", &["./plugin.yaml"], true),
];

#[test]
fn no_invocation_lets_through_what_kubernetes_refuses() {
    let (texts, verdicts) = (texts(), verdicts());
    let refused = texts.iter().filter_map(|(id, text)| {
        let digits = verdicts.get(id)?;
        let typo = typos(text).into_iter().zip(digits.bytes()).find(|(_, digit)| *digit == b'0')?.0;
        Some((text.contains("kind: ResourceList"), typo))
    });
    let (lists, others): (Vec<_>, Vec<_>) = refused.partition(|(is_list, _)| *is_list);
    let sample = |all: Vec<(bool, String)>| {
        all.into_iter().step_by(23).take(8).map(|(_, text)| text).collect::<Vec<_>>()
    };
    let (lists, others) = (sample(lists), sample(others));
    assert!(lists.len() > 1 && others.len() > 5, "{} and {}", lists.len(), others.len());
    let mut seen = BTreeSet::new();
    for text in &others {
        for (invocation, args, on_stdin) in INVOCATIONS {
            assert_refused(invocation, args, text, *on_stdin);
            seen.insert(*invocation);
        }
    }
    lists.iter().for_each(|text| assert_refused("ResourceList", &[], text, true));
    assert_eq!(seen.len(), INVOCATIONS.len());
}

fn assert_refused(invocation: &str, args: &[&str], text: &str, on_stdin: bool) {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("it can be made");
        fs::write(path, text).expect("it can be written");
    };
    write("in/typo.yaml", text);
    write(
        "other/web.yaml",
        indoc! {"
            apiVersion: v1
            kind: Pod
            metadata: {name: web}
            spec:
              containers:
              - {name: a, image: b}
        "},
    );
    write(
        "plugin.yaml",
        indoc! {"
            apiVersion: pillion.dev/v1alpha1
            kind: Sidecars
            metadata: {name: s}
        "},
    );
    let mut command = Command::new(env!("CARGO_BIN_EXE_pillion"));
    command.current_dir(folder.path()).env_clear().args(args);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("pillion starts");
    let input = if on_stdin { text } else { "" };
    // A program that has seen enough may have closed it.
    let _ = child.stdin.take().expect("its input").write_all(input.as_bytes());
    let output = child.wait_with_output().expect("it ends");
    let stderr = String::from_utf8_lossy(&output.stderr);
    let names_it = Code::ALL
        .iter()
        .any(|code| matches!(code, Code::InvalidYaml | Code::DuplicateKey) && stderr.contains(code.name()));
    assert!(
        output.status.code() == Some(1) && names_it,
        "{invocation}: {:?}\n{stderr}\n{text}",
        output.status
    );
    let is_list = output.stdout.starts_with(b"apiVersion: config.kubernetes.io");
    assert!(output.stdout.is_empty() || is_list, "{invocation}: {}", String::from_utf8_lossy(&output.stdout));
}
