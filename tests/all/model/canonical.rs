//! Compares defaults, hashes and revision names with those of Kruise's webhook and controller.

use crate::support::conformance::{cases, documents};
use pillion::model::sidecar_set::{SidecarSet, decode};
use pillion::yaml::FieldPath;
use serde_json::Value;

#[test]
fn sets_are_stored_as_kruise_stores_them() {
    let mut failures = Vec::new();
    let mut compared = 0;
    for case in cases("injection") {
        let stored = documents(&case, "stored.yaml");
        if stored.is_empty() {
            // Kruise cannot decode one of the sets, and nothing is stored.
            let sets = documents(&case, "sidecarsets.yaml");
            assert!(sets.iter().any(|d| decode(d, &FieldPath::root()).0.is_none()), "{}", case.display());
            continue;
        }
        let sets: Vec<SidecarSet> = documents(&case, "sidecarsets.yaml")
            .iter()
            .map(|d| {
                let (set, found) = decode(d, &FieldPath::root());
                set.unwrap_or_else(|| panic!("{}: {found:?}", case.display()))
            })
            .collect();
        assert_eq!(sets.len(), stored.len(), "{}", case.display());
        for stored in &stored {
            let stored = stored.value();
            let set =
                sets.iter().find(|s| stored["metadata"]["name"] == s.name).expect("the set of that name");
            let annotations = &stored["metadata"]["annotations"];
            let hashes = [
                ("kruise.io/sidecarset-hash", &set.hash),
                ("kruise.io/sidecarset-hash-without-image", &set.hash_without_image),
            ];
            compared += 1;
            for (key, hash) in hashes {
                if annotations[key] != hash.as_str() {
                    failures.push(format!("{}: {key} {} is {hash}", case.display(), annotations[key]));
                }
            }
            if !same(&stored["spec"], &set.canonical_spec) {
                failures.push(format!(
                    "{}: spec\n{}\n{}",
                    case.display(),
                    stored["spec"],
                    set.canonical_spec
                ));
            }
        }
    }
    assert!(compared > 160, "the recorded sets were compared");
    assert!(failures.is_empty(), "{} of {compared}:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn revisions_have_the_names_that_kruise_gives_them() {
    let mut compared = 0;
    for case in cases("injection") {
        let states = [documents(&case, "history.yaml"), documents(&case, "sidecarsets.yaml")].concat();
        let names: Vec<String> =
            states.iter().filter_map(|d| decode(d, &FieldPath::root()).0).map(|s| s.revision_name).collect();
        for revision in documents(&case, "revisions.yaml") {
            let name =
                revision.value()["metadata"]["name"].as_str().expect("a revision has a name").to_owned();
            assert!(names.contains(&name), "{}: {name} is not among {names:?}", case.display());
            compared += 1;
        }
    }
    assert!(compared > 0);
}

/// Returns whether two values are equal but for the order of keys and fields that hold null.
fn same(wanted: &Value, got: &Value) -> bool {
    match (wanted, got) {
        (Value::Object(a), Value::Object(b)) => {
            let keys = a.keys().chain(b.keys());
            keys.into_iter().all(|k| same(a.get(k).unwrap_or(&Value::Null), b.get(k).unwrap_or(&Value::Null)))
        }
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        _ => wanted == got,
    }
}
