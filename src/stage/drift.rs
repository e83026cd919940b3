//! Is the head of the deploy branch what render makes of its own sources and ledgers?
//!
//! Where it is not, somebody has edited rendered files: a batch would overwrite that, or carry it along. So nothing
//! is written before a person has looked at it.

use super::unmanaged_files::{check_file_list, unmanaged_files};
use super::{ClusterView, DeployBranch, Error};
use crate::diagnostics::{Code, Diagnostic, MAX_LINE_CHARS, Span};
use crate::git::{FileEdit, ObjectId};
use crate::model::file_list;
use crate::read::{FileSource as _, map_in_order};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

/// What became of one input.
enum RenderComparison {
    /// It is not part of the rendered files, or its rendered file is there.
    Same,
    /// Its rendered file should hold this.
    Differs(String),
}

/// Says where the rendered files of the head of the deploy branch are not what render makes, what else is applied with them, where their
/// list is not that of what is made, and what is wrong with the sources.
///
/// # Errors
/// When git fails.
pub fn check_drift(live: &DeployBranch<'_>, site: &ClusterView) -> Result<Vec<Diagnostic>, Error> {
    let (mut diagnostics, made) = compare_files(live, site)?;
    diagnostics.extend(check_file_list(live, site.cluster.as_deref(), &made));
    Ok(diagnostics)
}

/// The same, whatever the list says.
///
/// # Errors
/// When git fails.
pub(super) fn check_rendered_files(
    live: &DeployBranch<'_>,
    site: &ClusterView,
) -> Result<Vec<Diagnostic>, Error> {
    Ok(compare_files(live, site)?.0)
}

/// What is wrong, and the names of what render makes.
fn compare_files(
    live: &DeployBranch<'_>,
    site: &ClusterView,
) -> Result<(Vec<Diagnostic>, BTreeSet<String>), Error> {
    let mut diagnostics = Vec::new();
    let mut made = BTreeSet::new();
    let mut inputs = site.inputs().iter();
    let mut failure = None;
    // A repository stays on its thread; what is read of it does not have to.
    let (configuration, files) = (&live.configuration, live.rendered_files());
    let numbers: Vec<usize> = (0..site.inputs().len()).collect();
    let compare = |number: &usize| {
        let (input, text) = &site.inputs()[*number];
        let rendered = site.render_input(*number, &site.prepared.renderer);
        let place =
            configuration.rendered_path(site.cluster.as_deref(), input).filter(|_| !rendered.is_dropped);
        let Some(place) = place else { return Ok((rendered.diagnostics, None, RenderComparison::Same)) };
        let new = rendered.text.as_deref().unwrap_or(text);
        let is_same = files.file_id(Path::new(&place)) == Some(&ObjectId::hash_blob(new.as_bytes())?);
        let compared =
            if is_same { RenderComparison::Same } else { RenderComparison::Differs(new.to_owned()) };
        Ok((rendered.diagnostics, Some(place), compared))
    };
    map_in_order(&numbers, compare, |result: Result<_, Error>| {
        let input = inputs.next().map(|(input, _)| input);
        match (result, input) {
            (Ok((found, place, compared)), Some(input)) => {
                diagnostics.extend(found);
                if let (RenderComparison::Differs(text), Some(place)) = (&compared, &place) {
                    match drift_of_file(live, place, text) {
                        Ok(found) => diagnostics.extend(found),
                        Err(wrong) => failure = Some(wrong),
                    }
                }
                made.extend(place.map(|_| file_list::to_slash(&input.output_path)));
            }
            (Err(wrong), _) => failure = Some(wrong),
            (Ok(_), None) => {}
        }
    });
    diagnostics.extend(unmanaged_files(live, site.cluster.as_deref(), &made));
    failure.map_or(Ok((diagnostics, made)), Err)
}

/// Says what a rendered file is instead of what it should be.
fn drift_of_file(live: &DeployBranch<'_>, place: &str, text: &str) -> Result<Option<Diagnostic>, Error> {
    let name: Arc<str> = place.into();
    let Some(present) = live.rendered_files().file_id(Path::new(place)) else {
        let message = format!("`{place}` is not on `{}`, and render makes it", live.branches.deploy);
        return Ok(Some(drift_error(live, message).at(Span::whole_file(name))));
    };
    // What .gitattributes say of line ends is looked at only here, where it matters.
    if text.contains("\r\n") {
        let edits = [(place.to_owned(), FileEdit::Put(text.as_bytes().to_owned()))].into();
        let tree = live.repository.write_tree(Some(live.head.tree), &edits)?;
        if live.repository.entry_at(tree, place)?.is_some_and(|e| e.id == *present) {
            return Ok(None);
        }
    }
    let present = live.rendered_files().read_text(Path::new(place), &name).unwrap_or_default();
    let message = format!("`{place}` of `{}` is not what render makes of its sources", live.branches.deploy);
    Ok(Some(drift_error(live, message).at(first_difference(&name, &present, text))))
}

pub(super) fn drift_error(live: &DeployBranch<'_>, message: String) -> Diagnostic {
    let error = Diagnostic::error(Code::DeployBranchNotRendered, message).because(format!(
        "the head of `{}` is {}; nothing is written on top of it, so that no edit is lost or released along",
        live.branches.deploy,
        live.head.id.short()
    ));
    match &live.branches.source {
        None => error.help("put the edit into the sources and run `pillion render --out`, or take it back; then commit and push that"),
        Some(source) => error.help(format!(
            "put the edit into the sources on `{source}`, and take it back on `{}` (`git revert`)",
            live.branches.deploy
        )),
    }
}

/// Labels the first line of a file that is not what render makes.
pub(super) fn first_difference(name: &Arc<str>, present: &str, text: &str) -> Span {
    let same = present.lines().zip(text.lines()).take_while(|(a, b)| a == b).count();
    let source: String = present.lines().nth(same).unwrap_or_default().chars().take(MAX_LINE_CHARS).collect();
    Span {
        file: Arc::clone(name),
        line: same + 1,
        column: 1,
        width: source.chars().count(),
        source_line: source.into(),
        label: match text.lines().nth(same) {
            Some(line) => {
                format!("render makes `{}`", line.trim().chars().take(MAX_LINE_CHARS).collect::<String>())
            }
            None => "render makes nothing here".to_owned(),
        },
    }
}
