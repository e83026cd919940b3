//! Reads the files of ledgers.

use super::{Input, Layout, read_input};
use crate::diagnostics::{Code, Diagnostic, Span};
use crate::read::FileSource;
use crate::render::{CollectedObjects, collect_objects};
use crate::yaml::{Document, EntryPart, FieldPath};
use std::path::Path;
use std::sync::Arc;

/// Reads the ledgers of a cluster.
pub(crate) fn read_ledgers(
    layout: &Layout,
    files: &dyn FileSource,
    cluster: Option<&str>,
) -> (CollectedObjects, Vec<Diagnostic>) {
    let (found, mut diagnostics) = layout.find_ledgers(files);
    let own = found.iter().filter(|ledger| ledger.cluster.as_deref() == cluster);
    let (gathered, problems) = gather_ledgers(own.map(|ledger| &ledger.input), files);
    diagnostics.extend(problems);
    (gathered, diagnostics)
}

/// Reads the files of ledgers; each must be named for its SidecarSet.
pub(crate) fn gather_ledgers<'i>(
    inputs: impl IntoIterator<Item = &'i Input>,
    files: &dyn FileSource,
) -> (CollectedObjects, Vec<Diagnostic>) {
    let (mut gathered, mut diagnostics) = (CollectedObjects::default(), Vec::new());
    for input in inputs {
        match read_input(input, files) {
            Ok(text) => {
                let found = collect_objects(&input.name, &text, true);
                diagnostics.extend(
                    found
                        .ledgers
                        .iter()
                        .filter_map(|(document, path)| misplaced_ledger(document, path, input)),
                );
                if found.ledgers.is_empty() && found.unreadable.is_empty() {
                    diagnostics.push(not_a_ledger(input));
                }
                gathered.merge(found);
            }
            Err(error) => diagnostics.push(error),
        }
    }
    (gathered, diagnostics)
}

/// Reports a file without a ledger in their folder: a reader may take it for one.
fn not_a_ledger(input: &Input) -> Diagnostic {
    Diagnostic::error(Code::InvalidLedger, format!("`{}` contains no ledger", input.name))
        .at(Span::whole_file(Arc::clone(&input.name)))
        .because("a ledger says `apiVersion: pillion.dev/v1alpha1` and `kind: SidecarRollout`")
        .help(format!("restore the last valid version: `git log -p -- {}` lists the versions", input.name))
}

/// Reports a ledger of another SidecarSet than its file is named for.
fn misplaced_ledger(document: &Document, path: &FieldPath, input: &Input) -> Option<Diagnostic> {
    let name = path.find(document.value())?["metadata"]["name"].as_str()?;
    let stem = Path::new(&*input.name).file_stem()?.to_string_lossy().into_owned();
    let at = path.join(&FieldPath::dotted("metadata.name"));
    (stem != name).then(|| {
        Diagnostic::error(
            Code::LedgerMisplaced,
            format!("this is the ledger of SidecarSet `{name}`, not of `{stem}`"),
        )
        .at(document.label(&at, EntryPart::Value, ""))
        .help(format!("name the file `{name}.yaml`, or restore the last good state of this one from git"))
    })
}
