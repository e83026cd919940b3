//! Checks that generated documents match the code, and that links and paths in security pages exist.

use std::fs;
use std::path::Path;

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

/// What docs/security.md names is there: tests, pages and their headings.
#[test]
fn security_names_what_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = |path: &Path| fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    for (page, folder) in [("docs/security.md", "docs"), ("SECURITY.md", "")] {
        let page = text(&root.join(page));
        for test in page.split('`').filter(|word| word.ends_with(".rs")) {
            assert!(root.join(test).is_file(), "{test} does not exist");
        }
        for link in page.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let (path, heading) = link.split_once('#').unwrap_or((link, ""));
            let path = if path.is_empty() { "security.md" } else { path };
            let path = root.join(folder).join(path);
            assert!(path.exists(), "{link} leads nowhere");
            let headings = text(&if path.is_dir() { path.join("README.md") } else { path });
            let mut anchors = headings.lines().filter(|l| l.starts_with('#')).map(anchor);
            assert!(heading.is_empty() || anchors.any(|a| a == heading), "{link} has no such heading");
        }
    }
}

/// The anchor that forges make of a heading.
fn anchor(heading: &str) -> String {
    let text = heading.trim_start_matches(['#', ' ']).to_lowercase().replace(' ', "-");
    text.chars().filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_')).collect()
}
