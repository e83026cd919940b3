//! What the files of integrations are filled in with: the answers of `pillion init`, else pillion.yaml and git.

use super::answers::{LayoutArg, SetupAnswers};
use super::git_state::GitState;
use crate::cli::error::CommandError;
use crate::cli::reporter::Reporter;
use crate::diagnostics::escape;
use crate::integrations::templates::TemplateValues;
use crate::read::{Disk, normalize_path};
use crate::stage::BranchConfig;
use crate::workspace::{Configuration, SourcePlan, find_config, shown_path};
use std::path::Path;

/// Returns the values of answers before their files are written.
pub(super) fn from_answers(answers: &SetupAnswers, git: &GitState) -> TemplateValues {
    TemplateValues {
        remote: answers.remote.clone(),
        source_branch: answers.source_branch.clone(),
        deploy_branch: answers.deploy_branch.clone(),
        rendered: (answers.layout != LayoutArg::LedgerOnly).then(|| answers.rendered.clone()),
        ledgers: answers.ledgers.clone(),
        folder: shown_path(&git.prefix),
        is_built: matches!(answers.choice.plan, SourcePlan::Built(_)),
        ..TemplateValues::default()
    }
}

/// Returns the values of the repository of the working folder, as far as pillion.yaml and git have them.
///
/// # Errors
/// When pillion.yaml is invalid, or the repository cannot be read.
pub(in crate::cli::commands) fn of_repository(
    reporter: &mut Reporter,
) -> Result<TemplateValues, CommandError> {
    let values = read_values(reporter)?;
    match values.find_unusable() {
        None => Ok(values),
        Some(value) => Err(CommandError::usage(format!(
            "`{}` cannot be filled into files: its characters have a meaning in YAML or in workflows",
            escape::lines(value)
        ))
        .hint("rename it, or edit what `pillion print` prints")),
    }
}

fn read_values(reporter: &mut Reporter) -> Result<TemplateValues, CommandError> {
    let git = GitState::read()?;
    let mut values = TemplateValues::default();
    if let Some(remote) = &git.remote {
        values.remote.clone_from(&remote.name);
        values.remote_url.clone_from(&remote.url);
    }
    let Some(config) = find_config(Path::new(".")) else {
        if git.repository.is_some() {
            values.source_branch = git.source_branch();
            values.deploy_branch.clone_from(&values.source_branch);
        }
        return Ok(values);
    };
    let (configuration, diagnostics) = Configuration::read(&Disk, &config);
    reporter.add(diagnostics);
    let repository = configuration.ok_or_else(|| CommandError::invalid_config([]))?.repository;
    let branches = BranchConfig::from_repository(&repository)?;
    let folder = normalize_path(&git.prefix.join(config.parent().unwrap_or(Path::new(""))));
    let from_root = |path: &String| shown_path(&normalize_path(&folder.join(path)));
    branches.source_branch().clone_into(&mut values.source_branch);
    values.deploy_branch.clone_from(&branches.deploy);
    values.rendered = repository.rendered.as_ref().map(from_root);
    values.ledgers = from_root(&repository.ledgers.clone().unwrap_or(values.ledgers));
    values.sidecar_sets = repository.sidecar_sets.iter().map(from_root).collect();
    values.source = repository.sources.first().map_or_else(|| shown_path(&folder), from_root);
    let namespace = repository.namespaces.iter().find(|rule| rule.folder.is_some());
    values.namespace = namespace.map_or_else(|| "default".to_owned(), |rule| rule.name.clone());
    values.is_built = repository.build.is_some() || repository.clusters.iter().any(|c| c.build.is_some());
    values.folder = shown_path(&folder);
    Ok(values)
}
