//! Documents that are made from the code are what the code makes.

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
        pillion::write::unified(name, &written, made)
    );
}

#[test]
fn codes() {
    check("codes.md", &pillion::diag::reference());
}

#[test]
fn reference() {
    check("reference.md", &pillion::cli::reference());
}

#[test]
fn schema() {
    let mut text = serde_json::to_string_pretty(&pillion::model::repository::json_schema()).unwrap();
    text.push('\n');
    check("pillion.schema.json", &text);
}
