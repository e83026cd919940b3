//! Decodes and validates the collected SidecarSets, each name once.

use crate::diagnostics::{Code, Diagnostic};
use crate::model::sidecar_set::{DecodeMode, SidecarSet, ValidationContext, conflicts, decode_for, validate};
use crate::yaml::{Document, EntryPart, FieldPath};
use std::collections::BTreeMap;
use std::sync::Arc;

/// SidecarSets as they were found: the document and the place in it.
pub(crate) type DocumentObject = (Arc<Document>, FieldPath);

/// Decodes sets; of two with one name the first stays. The result is in name order.
pub(crate) fn read_sets(
    found: &[DocumentObject],
    mode: DecodeMode,
) -> (Vec<Arc<SidecarSet>>, Vec<Diagnostic>) {
    let (all, mut diagnostics) = read_states(found, mode);
    let mut sets: BTreeMap<String, Arc<SidecarSet>> = BTreeMap::new();
    for set in all {
        match sets.get(&set.name) {
            Some(first) => diagnostics.push(duplicate_sidecar_set(first, &set, mode)),
            None => {
                sets.insert(set.name.clone(), set);
            }
        }
    }
    (sets.into_values().collect(), diagnostics)
}

/// Decodes states of sets, of which several may have one name; the result is in the order of the input.
pub(crate) fn read_states(
    found: &[DocumentObject],
    mode: DecodeMode,
) -> (Vec<Arc<SidecarSet>>, Vec<Diagnostic>) {
    let mut diagnostics = Vec::new();
    let mut states = Vec::new();
    for (document, path) in found {
        diagnostics.extend(document.diagnostics().iter().cloned());
        let (set, problems) = decode_for(mode, document, path);
        diagnostics.extend(problems);
        states.extend(set.map(Arc::new));
    }
    (states, diagnostics)
}

/// Validates each set, as an update where `old` holds its name, and all of them against each other.
pub(crate) fn validate_sets(
    sets: &[Arc<SidecarSet>],
    old: &[Arc<SidecarSet>],
    history: &[Arc<SidecarSet>],
) -> Vec<Diagnostic> {
    let each = sets.iter().flat_map(|set| {
        let old = old.iter().find(|o| o.name == set.name).map(Arc::as_ref);
        validate(set, ValidationContext { old, others: &[], history })
    });
    each.chain(conflicts(sets)).collect()
}

/// A name in two files: a render cannot tell which one counts; a file that is only checked may be another state
/// of the set, or belong to another cluster.
fn duplicate_sidecar_set(first: &SidecarSet, second: &SidecarSet, mode: DecodeMode) -> Diagnostic {
    let label = |set: &SidecarSet, text: &str| {
        set.document.label(&set.path.join(&FieldPath::dotted("metadata.name")), EntryPart::Value, text)
    };
    let message = format!("two SidecarSets have the name `{}`", first.name);
    let diagnostic = match mode {
        DecodeMode::Render => Diagnostic::error(Code::DuplicateSidecarSet, message),
        DecodeMode::Validate => {
            Diagnostic::warning(Code::DuplicateSidecarSet, message).because("only the first one is checked")
        }
    };
    diagnostic
        .at(label(second, "here again"))
        .at(label(first, "first here"))
        .help("rename one, or remove one of the files")
}
