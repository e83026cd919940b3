//! Checks that the head of the deploy branch is rendered from its own sources and ledgers.
//!
//! Where it is not, rendered files were edited: a batch would overwrite the edit, or release it along. So nothing is
//! written before a person has looked at it.

use super::unmanaged_files::{check_file_list, unmanaged_files};
use super::{ClusterView, DeployBranch, Error};
use crate::diagnostics::{Code, Diagnostic, MAX_LINE_CHARS, Span};
use crate::git::{FileEdit, ObjectId};
use crate::model::file_list;
use crate::read::{FileSource as _, map_in_order};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

/// The comparison of one input.
enum RenderComparison {
    /// It is not part of the rendered files, or its rendered file is up to date.
    Same,
    /// Its rendered file should have this content.
    Differs(String),
}

/// Reports rendered files of the deploy branch that differ from what render makes, unmanaged files beside them, a
/// wrong list of files, and errors in the sources.
/// list is not that of what is made, and what is wrong with the sources.
///
/// # Errors
/// When git fails.
pub fn check_drift(deploy_branch: &DeployBranch<'_>, view: &ClusterView) -> Result<Vec<Diagnostic>, Error> {
    let (mut diagnostics, made) = compare_files(deploy_branch, view)?;
    diagnostics.extend(check_file_list(deploy_branch, view.cluster.as_deref(), &made));
    Ok(diagnostics)
}

/// As [`check_drift`], without the list of files.
///
/// # Errors
/// When git fails.
pub(super) fn check_rendered_files(
    deploy_branch: &DeployBranch<'_>,
    view: &ClusterView,
) -> Result<Vec<Diagnostic>, Error> {
    Ok(compare_files(deploy_branch, view)?.0)
}

/// Returns the differences, and the names of the files that render makes.
fn compare_files(
    deploy_branch: &DeployBranch<'_>,
    view: &ClusterView,
) -> Result<(Vec<Diagnostic>, BTreeSet<String>), Error> {
    let mut diagnostics = Vec::new();
    let mut made = BTreeSet::new();
    let mut inputs = view.inputs().iter();
    let mut failure = None;
    // A repository stays on its thread; what was read from it may be shared.
    let (configuration, files) = (&deploy_branch.configuration, deploy_branch.rendered_files());
    let numbers: Vec<usize> = (0..view.inputs().len()).collect();
    let compare = |number: &usize| {
        let (input, text) = &view.inputs()[*number];
        let rendered = view.render_input(*number, &view.prepared.renderer);
        let path =
            configuration.rendered_path(view.cluster.as_deref(), input).filter(|_| !rendered.is_dropped);
        let Some(path) = path else { return Ok((rendered.diagnostics, None, RenderComparison::Same)) };
        let new = rendered.text.as_deref().unwrap_or(text);
        let is_same = files.file_id(Path::new(&path)) == Some(&ObjectId::hash_blob(new.as_bytes())?);
        let compared =
            if is_same { RenderComparison::Same } else { RenderComparison::Differs(new.to_owned()) };
        Ok((rendered.diagnostics, Some(path), compared))
    };
    map_in_order(&numbers, compare, |result: Result<_, Error>| {
        let input = inputs.next().map(|(input, _)| input);
        match (result, input) {
            (Ok((found, path, compared)), Some(input)) => {
                diagnostics.extend(found);
                if let (RenderComparison::Differs(text), Some(path)) = (&compared, &path) {
                    match drift_of_file(deploy_branch, path, text) {
                        Ok(found) => diagnostics.extend(found),
                        Err(error) => failure = Some(error),
                    }
                }
                made.extend(path.map(|_| file_list::to_slash(&input.output_path)));
            }
            (Err(error), _) => failure = Some(error),
            (Ok(_), None) => {}
        }
    });
    diagnostics.extend(unmanaged_files(deploy_branch, view.cluster.as_deref(), &made));
    failure.map_or(Ok((diagnostics, made)), Err)
}

/// Describes the difference of a rendered file.
fn drift_of_file(
    deploy_branch: &DeployBranch<'_>,
    path: &str,
    text: &str,
) -> Result<Option<Diagnostic>, Error> {
    let name: Arc<str> = path.into();
    let Some(present) = deploy_branch.rendered_files().file_id(Path::new(path)) else {
        let message = format!("`{path}` is missing on `{}`", deploy_branch.branches.deploy);
        return Ok(Some(drift_error(deploy_branch, message).at(Span::whole_file(name))));
    };
    // The line-end attributes of .gitattributes matter only here.
    if text.contains("\r\n") {
        let edits = [(path.to_owned(), FileEdit::Put(text.as_bytes().to_owned()))].into();
        let tree = deploy_branch.repository.write_tree(Some(deploy_branch.head.tree), &edits)?;
        if deploy_branch.repository.entry_at(tree, path)?.is_some_and(|e| e.id == *present) {
            return Ok(None);
        }
    }
    let present = deploy_branch.rendered_files().read_text(Path::new(path), &name).unwrap_or_default();
    let message = format!("`{path}` on `{}` differs from the rendered output", deploy_branch.branches.deploy);
    Ok(Some(drift_error(deploy_branch, message).at(first_difference(&name, &present, text))))
}

pub(super) fn drift_error(deploy_branch: &DeployBranch<'_>, message: String) -> Diagnostic {
    let error = Diagnostic::error(Code::DeployBranchNotRendered, message).because(format!(
        "the head of `{}` is {}; pillion writes nothing on top of it, so that no edit is lost or released with a batch",
        deploy_branch.branches.deploy,
        deploy_branch.head.id.short()
    ));
    match &deploy_branch.branches.source {
        None => error.help(
            "move the edit into the sources and run `pillion render --out`, or undo it; then commit and push",
        ),
        Some(source) => error.help(format!(
            "move the edit into the sources on `{source}`, and undo it on `{}` (`git revert`)",
            deploy_branch.branches.deploy
        )),
    }
}

/// Labels the first line that differs from what render makes.
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
