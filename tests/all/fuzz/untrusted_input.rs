//! Bodies of the fuzz targets for bytes from servers and from anyone who can push to a repository. A panic is a
//! finding, and so is a broken guarantee.

use pillion::diagnostics::escape;
use pillion::git::{ObjectId, Repository, trailer};
use pillion::model::{file_list, ledger};
use pillion::yaml::{Document, FieldPath};
use std::sync::{Arc, Mutex};

/// Reads bytes as a line of a watch.
#[cfg(feature = "watch")]
pub(crate) fn read_watch_line(data: &[u8]) {
    pillion::watch::observe::read_watch_line(data);
}

/// Reads bytes as a page of a list, and looks at the cluster that holds it.
#[cfg(feature = "watch")]
pub(crate) fn read_list_page(data: &[u8]) {
    pillion::watch::observe::read_list_page(data, "2026-06-19T15:00:00Z".parse().unwrap());
}

/// Reads bytes as an answer of each git provider.
#[cfg(feature = "watch")]
pub(crate) fn read_provider_answer(data: &[u8]) {
    use pillion::model::config::GitProvider;
    use pillion::watch::providers::{read_pull_requests, read_refusal};
    for provider in GitProvider::ALL {
        let reason = read_refusal(provider, data);
        assert!(reason.chars().count() <= 301 && !reason.contains(escape::is_hidden), "{reason:?}");
        read_pull_requests(provider, data, "pillion/next/log/main", "main");
    }
}

/// Reads bytes as a commit message, and writes them into one.
pub(crate) fn read_trailers(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    for found in trailer::parse_trailers(&text) {
        assert!(!found.key.is_empty() && !found.key.contains([' ', '\n', ':']), "{found:?}");
        assert!(!found.value.contains('\n'), "{found:?}");
    }
    let written = [(trailer::ACTION, "Batch".to_owned()), (trailer::EVIDENCE, text.to_string())];
    let message = trailer::format_message(&text, &text, &written);
    assert!(!message.contains(|c| escape::is_hidden(c) && c != '\n' && c != '\t'), "{message:?}");
    // Whatever others wrote, the trailers are those that were written.
    let read: Vec<String> = trailer::parse_trailers(&message).into_iter().map(|t| t.key).collect();
    assert_eq!(read, [trailer::ACTION, trailer::EVIDENCE], "{message:?}");
}

/// Reads bytes as a ledger; what is read is written, and read as the same again.
pub(crate) fn read_ledger(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Some(first) = decoded(text) else { return };
    let emitted = ledger::emit(&first);
    let again = decoded(&emitted).unwrap_or_else(|| panic!("what was written cannot be read:\n{emitted}"));
    assert_eq!(ledger::emit(&again), emitted);
}

fn decoded(text: &str) -> Option<ledger::Ledger> {
    let document = Arc::new(Document::read(&"fuzz.yaml".into(), 0, 1, text).ok()?);
    let (ledger, found) = ledger::decode(&document, &FieldPath::root());
    assert!(
        ledger.is_some() || found.iter().any(pillion::diagnostics::Diagnostic::is_error),
        "nothing and no error"
    );
    ledger
}

/// Reads bytes as the list of what pillion wrote into a folder: no name leads out of it.
pub(crate) fn read_file_list(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let names = file_list::parse(text);
    for name in &names {
        let path = std::path::Path::new(name);
        let is_plain = |c| matches!(c, std::path::Component::Normal(_));
        assert!(path.components().all(is_plain), "{name:?}");
    }
    assert_eq!(file_list::parse(&file_list::emit(&names)), names);
}

/// Reads bytes as a tree of a repository: lists its files, and writes them to a folder.
pub(crate) fn read_git_tree(data: &[u8]) {
    /// One repository for all inputs, with the object that trees may name.
    static PLACE: Mutex<Option<(tempfile::TempDir, Repository)>> = Mutex::new(None);
    let mut place = PLACE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let (folder, repository) = place.get_or_insert_with(|| {
        let folder = tempfile::tempdir().unwrap();
        git2::Repository::init_bare(folder.path().join("git")).unwrap();
        let repository = Repository::open(&folder.path().join("git")).unwrap();
        (folder, repository)
    });
    let raw = git2::Repository::open(folder.path().join("git")).unwrap();
    let odb = raw.odb().unwrap();
    odb.write(git2::ObjectType::Blob, b"kind: Pod\n").unwrap();
    let empty = odb.write(git2::ObjectType::Tree, b"").unwrap();
    // Names of objects are written as one byte, so that bytes that are changed still name one.
    let blob = odb.write(git2::ObjectType::Blob, b"kind: Pod\n").unwrap();
    let mut bytes = Vec::new();
    for part in data.split_inclusive(|b| *b == 0) {
        bytes.extend_from_slice(part);
        if part.ends_with(&[0]) {
            let id = if part.starts_with(b"4") { empty } else { blob };
            bytes.extend_from_slice(id.as_bytes());
        }
    }
    let Ok(tree) = odb.write(git2::ObjectType::Tree, &bytes) else { return };
    let tree: ObjectId = tree.to_string().parse().unwrap();
    let Ok(files) = repository.list_files(tree, &[""]) else { return };
    assert!(files.windows(2).all(|pair| pair[0].path.as_bytes() <= pair[1].path.as_bytes()));
    let out = tempfile::tempdir_in(folder.path()).unwrap();
    let _ = repository.export_tree(tree, &out.path().join("to"));
    let _ = std::fs::create_dir(out.path().join("to"));
    let _ = repository.export_tree(tree, &out.path().join("to"));
    let beside: Vec<_> = std::fs::read_dir(out.path()).unwrap().collect();
    assert!(beside.len() <= 1, "something was written outside: {beside:?}");
}
