//! From the SidecarSets that were found to the sets that are injected: decoded, validated, each name once.

use crate::diag::{Code, Diagnostic};
use crate::model::sidecar_set::{Mode, SidecarSet, conflicts, decode_for, validate};
use crate::yaml::{Document, Part, Path};
use std::collections::BTreeMap;
use std::sync::Arc;

/// SidecarSets as they were found: the document and the place in it.
pub type Found = (Arc<Document>, Path);

/// Decodes sets; of two with one name the first stays. The result is in name order.
pub fn read_sets(found: &[Found], mode: Mode) -> (Vec<Arc<SidecarSet>>, Vec<Diagnostic>) {
    let (all, mut diagnostics) = read_states(found, mode);
    let mut sets: BTreeMap<String, Arc<SidecarSet>> = BTreeMap::new();
    for set in all {
        match sets.get(&set.name) {
            Some(first) => diagnostics.push(twice(first, &set)),
            None => {
                sets.insert(set.name.clone(), set);
            }
        }
    }
    (sets.into_values().collect(), diagnostics)
}

/// Decodes states of sets, of which several may have one name; the result is in the order of the input.
pub fn read_states(found: &[Found], mode: Mode) -> (Vec<Arc<SidecarSet>>, Vec<Diagnostic>) {
    let mut diagnostics = Vec::new();
    let mut states = Vec::new();
    for (document, path) in found {
        diagnostics.extend(document.diagnostics().iter().cloned());
        let (set, wrong) = decode_for(mode, document, path);
        diagnostics.extend(wrong);
        states.extend(set.map(Arc::new));
    }
    (states, diagnostics)
}

/// Validates each set, and all of them against each other.
pub fn check_sets(sets: &[Arc<SidecarSet>], history: &[Arc<SidecarSet>]) -> Vec<Diagnostic> {
    let each = sets.iter().flat_map(|set| validate(set, history));
    each.chain(conflicts(sets)).collect()
}

fn twice(first: &SidecarSet, second: &SidecarSet) -> Diagnostic {
    let label = |set: &SidecarSet, text: &str| {
        set.document.label(&set.path.join(&Path::dotted("metadata.name")), Part::Value, text)
    };
    Diagnostic::error(
        Code::SidecarSetTwice,
        format!("there are two SidecarSets with the name `{}`", first.name),
    )
    .at(label(second, "here again"))
    .at(label(first, "first here"))
    .help("rename one, or leave one of the files out")
}
