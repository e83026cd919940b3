//! Checks that the head of the deploy branch is rendered from its own sources and ledgers.
//!
//! Where it is not, rendered files were edited, or files are there that render does not make and that are applied with
//! them: a batch would overwrite the edit, or release it along. So nothing is written before a person has looked at it.

use super::{ClusterView, DeployBranch, Error};
use crate::diagnostics::{Code, Diagnostic, MAX_LINE_CHARS, Span, first_differing_line};
use crate::git::{FileEdit, ObjectId};
use crate::model::file_list;
use crate::read::{CommitListing, FileSource as _, ListingEntry, map_in_order, normalize_path};
use crate::workspace::{Configuration, Layout, is_applied, may_be_applied};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How many files a finding names.
const MAX_NAMED: usize = 5;

/// The comparison of one input.
enum RenderComparison {
    /// It is not part of the rendered files, or its rendered file is up to date.
    Same,
    /// Its rendered file should have this content.
    Differs(String),
}

/// Reports rendered files of the deploy branch that differ from what render makes, unmanaged files beside them, a
/// wrong list of files, and errors in the sources.
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
        let new = rendered.text(text);
        let is_same = files.file_id(Path::new(&path)) == Some(&ObjectId::hash_blob(new.as_bytes())?);
        let compared =
            if is_same { RenderComparison::Same } else { RenderComparison::Differs(new.into_owned()) };
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
    Ok(Some(drift_error(deploy_branch, message).at(drift_span(&name, &present, text))))
}

fn drift_error(deploy_branch: &DeployBranch<'_>, message: String) -> Diagnostic {
    let error = Diagnostic::error(Code::DeployBranchNotRendered, message).because(format!(
        "the head of `{}` is {}; pillion writes nothing on top of it, so that no edit is lost or released with a batch",
        deploy_branch.branches.deploy,
        deploy_branch.head.id.short()
    ));
    match &deploy_branch.branches.source {
        None => error.help(
            "move the edit into the sources and run `pillion render --write`, or undo it; then commit and push",
        ),
        Some(source) => error.help(format!(
            "move the edit into the sources on `{source}`, and undo it on `{}` (`git revert`)",
            deploy_branch.branches.deploy
        )),
    }
}

/// Labels the first line that differs from what render makes.
pub(super) fn drift_span(name: &Arc<str>, present: &str, text: &str) -> Span {
    let line = first_differing_line(present, text).unwrap_or(1);
    let label = match text.lines().nth(line - 1) {
        Some(made) => {
            format!("render makes `{}`", made.trim().chars().take(MAX_LINE_CHARS).collect::<String>())
        }
        None => "render makes nothing here".to_owned(),
    };
    Span::whole_line(Arc::clone(name), present, line, label)
}

/// Reports files of the rendered folder that pillion no longer makes, and manifests that it never made. `made` are
/// the names of the files that it makes for one cluster.
fn unmanaged_files(
    deploy_branch: &DeployBranch<'_>,
    cluster: Option<&str>,
    made: &BTreeSet<String>,
) -> Vec<Diagnostic> {
    let Some(folder) = rendered_folder(&deploy_branch.configuration) else { return Vec::new() };
    let is_own =
        |name: &str| belongs_to_cluster(&deploy_branch.configuration.layout, cluster, Path::new(name));
    let known = deploy_branch.listed_files();
    let mut diagnostics: Vec<Diagnostic> = known
        .difference(made)
        .filter(|name| is_own(name))
        .map(|name| {
            let place = deploy_branch.configuration.path_in_rendered(Path::new(name)).unwrap_or_default();
            drift_error(
                deploy_branch,
                format!("`{place}` on `{}` is no longer rendered", deploy_branch.branches.deploy),
            )
            .at(Span::whole_file(place))
        })
        .collect();
    let is_there = |d: &Diagnostic| {
        d.spans.iter().any(|l| deploy_branch.rendered_files().file_id(Path::new(&*l.file)).is_some())
    };
    diagnostics.retain(is_there);
    let config = (deploy_branch.source.tree == deploy_branch.head.tree).then_some(&*deploy_branch.config);
    let skipped = deploy_branch.configuration.layout.managed_paths_below(&folder, config);
    let foreign = applied_files_below(deploy_branch.rendered_files(), &folder, &|name, path| {
        made.contains(name)
            || known.contains(name)
            || !is_own(name)
            || skipped.iter().any(|own| path.starts_with(own))
    });
    diagnostics.extend(foreign.into_iter().map(|place| {
        let message = format!(
            "`{}` on `{}` is not rendered by pillion",
            place.display(),
            deploy_branch.branches.deploy
        );
        unmanaged_manifest(message, &place)
    }));
    diagnostics
}

/// Reports a list of rendered files that differs from the files that render makes.
fn check_file_list(
    deploy_branch: &DeployBranch<'_>,
    cluster: Option<&str>,
    made: &BTreeSet<String>,
) -> Option<Diagnostic> {
    let list = deploy_branch.configuration.file_list_path()?;
    let known = deploy_branch.listed_files();
    let is_own =
        |name: &&String| belongs_to_cluster(&deploy_branch.configuration.layout, cluster, Path::new(*name));
    let is_there = |name: &String| {
        let path = deploy_branch.configuration.path_in_rendered(Path::new(name));
        path.is_some_and(|path| deploy_branch.rendered_files().file_id(Path::new(&path)).is_some())
    };
    // Missing files are reported already.
    let missing: Vec<&String> = made.difference(&known).filter(|name| is_there(name)).collect();
    let more: Vec<&String> = known.difference(made).filter(is_own).filter(|name| !is_there(name)).collect();
    let (names, what) = match (missing.is_empty(), more.is_empty()) {
        (true, true) => return None,
        (false, _) => (missing, "does not list"),
        (true, false) => (more, "lists files that are not rendered:"),
    };
    let shown: Vec<String> = names.iter().take(MAX_NAMED).map(|name| format!("`{name}`")).collect();
    let and = match names.len().saturating_sub(MAX_NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let message = format!("`{list}` on `{}` {what} {}{and}", deploy_branch.branches.deploy, shown.join(", "));
    Some(
        Diagnostic::error(Code::DeployBranchNotRendered, message)
            .at(Span::whole_file(list))
            .because("files that are not listed are never removed, and stay applied after their source is removed")
            .help("restore the list from the last good commit; remove files that another program wrote, and run `pillion render --write`, which lists the files that it writes"),
    )
}

/// Reports what is left in a folder that `rendered:` named before: an agent may still apply it.
pub(super) fn check_previous_folder(
    old: &Configuration,
    deploy_branch: &DeployBranch<'_>,
) -> Option<Diagnostic> {
    let (before, now) = (rendered_folder(old)?, rendered_folder(&deploy_branch.configuration));
    if now.as_ref() == Some(&before) || before.as_os_str().is_empty() {
        return None;
    }
    let layout = &deploy_branch.configuration.layout;
    let mut own: Vec<PathBuf> = now.into_iter().collect();
    own.extend(layout.ledgers.as_ref().map(|ledgers| normalize_path(&layout.root.join(ledgers))));
    own.extend(
        layout
            .source_paths()
            .iter()
            .map(|source| normalize_path(source))
            .filter(|source| !before.starts_with(source)),
    );
    own.extend(layout.paths_in_root(&layout.sidecar_sets));
    let left = applied_files_below(deploy_branch.rendered_files(), &before, &|_, path| {
        own.iter().any(|own| path.starts_with(own))
    });
    let first = left.first()?;
    let message = format!(
        "`{}` was the folder of rendered files, and still contains `{}`",
        before.display(),
        first.display()
    );
    Some(
        unmanaged_manifest(message, first).because(
            "`rendered:` of pillion.yaml names another folder, so these files are no longer checked",
        ),
    )
}

/// Reports a foreign manifest in a folder that is applied as a whole.
pub(crate) fn unmanaged_manifest(message: String, path: &Path) -> Diagnostic {
    Diagnostic::error(Code::UnmanagedManifest, message)
        .at(Span::whole_file(path.to_string_lossy().into_owned()))
        .because("it is applied with the folder, and no plan, batch or approval has named it")
        .help("remove it; move manifests to apply into `sources`, and other files out of the folder")
}

/// Returns the folder of rendered files; None where git has none.
fn rendered_folder(configuration: &Configuration) -> Option<PathBuf> {
    let layout = &configuration.layout;
    Some(normalize_path(&layout.root.join(layout.rendered.as_ref()?)))
}

/// Returns whether a rendered file belongs to a cluster, by its folder; one in no cluster's folder belongs to each.
fn belongs_to_cluster(layout: &Layout, cluster: Option<&str>, name: &Path) -> bool {
    let sources = layout.source_paths();
    let is_in = |folder: &Option<String>| {
        let folder = folder.as_ref().map(|folder| normalize_path(&layout.root.join(folder)));
        folder.is_none_or(|folder| sources.iter().any(|s| normalize_path(&s.join(name)).starts_with(&folder)))
    };
    let mut owners = layout.clusters.iter().filter(|c| is_in(&c.folder)).peekable();
    owners.peek().is_none() || owners.any(|owner| Some(&*owner.name) == cluster)
}

/// Returns the files below a folder that are or may be applied: a symbolic link or an embedded repository may contain
/// anything. `is_known` gets the name below the folder, and the path.
fn applied_files_below(
    files: &CommitListing<'_, ObjectId>,
    folder: &Path,
    is_known: &dyn Fn(&str, &Path) -> bool,
) -> Vec<PathBuf> {
    let is_foreign = |path: &Path, listed: &ListingEntry<ObjectId>| {
        let name = path.strip_prefix(folder).unwrap_or(path);
        if is_known(&file_list::to_slash(name), path) {
            return false;
        }
        match listed {
            ListingEntry::File(_) if !may_be_applied(name) => false,
            // An unreadable file may be anything.
            ListingEntry::File(_) => files
                .read_text(path, &path.to_string_lossy().into())
                .map_or(true, |text| is_applied(name, &text)),
            ListingEntry::Symlink(_) => name.extension().is_none() || may_be_applied(name),
            ListingEntry::Submodule => true,
        }
    };
    let all = files.entries_at_or_below(folder).into_iter();
    all.filter(|(path, listed)| is_foreign(path, listed)).map(|(path, _)| path.to_owned()).collect()
}
