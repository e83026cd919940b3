//! From the SidecarSets that were found to the sets that are injected: decoded, validated, each name once.

use crate::diag::{Code, Diagnostic};
use crate::model::sidecar_set::{Mode, SidecarSet, Surroundings, conflicts, decode_for, validate};
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
            Some(first) => diagnostics.push(twice(first, &set, mode)),
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

/// Validates each set, as an update where `old` holds its name, and all of them against each other.
pub fn check_sets(
    sets: &[Arc<SidecarSet>],
    old: &[Arc<SidecarSet>],
    history: &[Arc<SidecarSet>],
) -> Vec<Diagnostic> {
    let each = sets.iter().flat_map(|set| {
        let old = old.iter().find(|o| o.name == set.name).map(Arc::as_ref);
        validate(set, Surroundings { old, others: &[], history })
    });
    each.chain(conflicts(sets)).collect()
}

/// A name in two files: a render cannot tell which one counts; a file that is only checked may be another state
/// of the set, or belong to another cluster.
fn twice(first: &SidecarSet, second: &SidecarSet, mode: Mode) -> Diagnostic {
    let label = |set: &SidecarSet, text: &str| {
        set.document.label(&set.path.join(&Path::dotted("metadata.name")), Part::Value, text)
    };
    let message = format!("there are two SidecarSets with the name `{}`", first.name);
    let diagnostic = match mode {
        Mode::Render => Diagnostic::error(Code::SidecarSetTwice, message),
        Mode::Validate => {
            Diagnostic::warning(Code::SidecarSetTwice, message).because("only the first one is checked")
        }
    };
    diagnostic
        .at(label(second, "here again"))
        .at(label(first, "first here"))
        .help("rename one, or leave one of the files out")
}
