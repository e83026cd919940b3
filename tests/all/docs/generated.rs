//! Checks that generated documents match the code, that links and paths in pages exist, and that the README is short.

use std::fs;
use std::path::{Path, PathBuf};

fn check(name: &str, made: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some_and(|v| v == "1") {
        fs::write(&path, made).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == made,
        "docs/{name} is not what the code makes: run the tests with UPDATE_GOLDEN=1\n{}",
        pillion::write::unified_diff(name, &written, made)
    );
}

#[test]
fn codes() {
    check("codes.md", &pillion::diagnostics::code_reference());
}

#[test]
fn reference() {
    check("reference.md", &pillion::cli::cli_reference());
}

#[test]
fn configuration() {
    check("configuration.md", &super::configuration::configuration_reference());
}

#[test]
fn schema() {
    let mut text = serde_json::to_string_pretty(&pillion::model::config::json_schema()).unwrap();
    text.push('\n');
    check("pillion.schema.json", &text);
}

/// The pages of the repository with their folders.
pub(super) fn pages() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders = vec![root.to_owned(), root.join("docs"), root.join("deploy"), root.join("tests/e2e")];
    folders.extend(fs::read_dir(root.join("examples")).unwrap().map(|e| e.unwrap().path()));
    folders.push(root.join("examples"));
    let files = folders.iter().filter(|f| f.is_dir()).flat_map(|f| fs::read_dir(f).unwrap());
    let paths = files.map(|e| e.unwrap().path()).filter(|p| p.extension().is_some_and(|e| e == "md"));
    paths.map(|path| (path.clone(), fs::read_to_string(&path).unwrap())).collect()
}

#[test]
fn links_lead_to_pages_and_headings() {
    for (page, text) in pages() {
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let (path, heading) = link.split_once('#').unwrap_or((link, ""));
            if path.contains("://") || link.contains([' ', '\n']) {
                continue;
            }
            let target = if path.is_empty() { page.clone() } else { page.parent().unwrap().join(path) };
            assert!(target.exists(), "{}: {link} leads nowhere", page.display());
            let target = if target.is_dir() { target.join("README.md") } else { target };
            let is_known = || {
                let text = fs::read_to_string(&target).unwrap();
                text.lines().filter(|l| l.starts_with('#')).map(anchor).any(|a| a == heading)
            };
            assert!(heading.is_empty() || is_known(), "{}: {link} has no such heading", page.display());
        }
    }
}

#[test]
fn security_pages_name_tests_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for page in ["docs/security.md", "docs/safety.md", "SECURITY.md"] {
        let text = fs::read_to_string(root.join(page)).unwrap();
        for test in text.split('`').filter(|word| word.starts_with("tests/")) {
            assert!(root.join(test).exists(), "{page}: {test} does not exist");
        }
    }
}

/// A page that is read to its end.
#[test]
fn the_readme_has_at_most_200_lines() {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    assert!(text.lines().count() <= 200, "README.md has {} lines", text.lines().count());
}

/// The anchor that git providers make of a heading.
fn anchor(heading: &str) -> String {
    let text = heading.trim_start_matches(['#', ' ']).to_lowercase().replace(' ', "-");
    text.chars().filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_')).collect()
}

/// Returns the text of all Rust files of a folder.
fn source_text(folder: &Path) -> String {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let texts = paths.map(|path| match path.is_dir() {
        true => source_text(&path),
        false if path.extension().is_some_and(|e| e == "rs") => fs::read_to_string(path).unwrap(),
        false => String::new(),
    });
    texts.collect()
}

/// People search for what they see: a message that was reworded must be reworded on the page as well.
#[test]
fn troubleshooting_quotes_messages_of_the_program() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let source = source_text(&root.join("src")).replace("\\\"", "\"");
    // A literal may continue on the next line.
    let lines: Vec<&str> = source.split("\\\n").collect();
    let source: String = lines.iter().map(|line| line.trim_start()).collect();
    let page = fs::read_to_string(root.join("docs/troubleshooting.md")).unwrap();
    let messages = page.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    let mut count = 0;
    for message in messages {
        count += 1;
        let code = message.strip_prefix("error[").and_then(|rest| rest.strip_suffix(']'));
        let parts = message.split('…').map(str::trim).filter(|part| !part.is_empty());
        let is_known = match code {
            Some(code) => source.contains(&format!("\"{code}\"")),
            None => parts.into_iter().all(|part| source.contains(part)),
        };
        assert!(is_known, "docs/troubleshooting.md: no message of pillion has `{message}`");
    }
    assert!(count > 30, "{count} messages");
}
