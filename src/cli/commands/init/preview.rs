//! What the new files do: the workloads that get a sidecar, read as every other command reads them.

use crate::cli::GlobalArgs;
use crate::diagnostics::{Code, Diagnostic, pluralize};
use crate::read::Disk;
use crate::stage::BranchConfig;
use crate::workspace::{
    ClusterInputs, ClusterSources, Configuration, ManifestSource, RepositorySurvey, SourcePlan,
    SurveyedWorkload, WhatIf, workloads_in_text,
};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// What the SidecarSets select.
#[derive(Debug)]
pub(super) struct InjectionPreview {
    /// One line.
    pub(super) summary: String,
    /// What a rollout would stop at.
    pub(super) diagnostics: Vec<Diagnostic>,
}

impl InjectionPreview {
    /// Reads everything that a configuration names.
    pub(super) fn of(configuration: &Configuration, global: &GlobalArgs) -> Self {
        let source = ManifestSource::from_builds(global.build_policy());
        let (mut selected, mut all, mut diagnostics) = (0, 0, Vec::new());
        for cluster in configuration.layout.selected_clusters(None) {
            let name = cluster.as_ref().map(|cluster| &*cluster.name);
            let built = match source.for_folder(configuration, name) {
                Ok(built) => built,
                Err(error) => {
                    diagnostics.push(*error);
                    continue;
                }
            };
            let built = built.as_ref().map(|(name, text)| (&**name, &**text));
            let sources = ClusterSources { files: &Disk, ledgers: &Disk, built, cluster: name };
            let what_if = WhatIf { ledgers: Some(BTreeMap::new()), ..WhatIf::default() };
            let (inputs, found) = ClusterInputs::read(configuration, &sources, &what_if);
            diagnostics.extend(found.into_iter().filter(|d| d.is_error() && d.code != Code::NoLedger));
            let (renderer, sets) = (&inputs.setup.renderer, &inputs.setup.sets);
            for (input, text) in &inputs.texts {
                all += workloads_in_text(Path::new(&*input.name), text).len();
            }
            let is_selected = |workload: &&Arc<_>| sets.iter().any(|set| renderer.selects(workload, set));
            selected += inputs.workloads.iter().filter(is_selected).count();
        }
        let summary = match (diagnostics.is_empty(), selected) {
            (true, 0) => "no workload is selected yet: edit the selector of the SidecarSet".to_owned(),
            (true, _) => {
                let all = pluralize(all as u64, "workload");
                let get = if selected == 1 { "gets" } else { "get" };
                // A plan needs the branch with the ledgers, which the next commands create.
                let branches = BranchConfig::from_repository(&configuration.repository);
                let is_planned = branches.is_ok_and(|branches| branches.source.is_none());
                let plan = if is_planned { "; `pillion plan` shows in which order" } else { "" };
                format!("{selected} of {all} {get} a sidecar{plan}")
            }
            (false, _) => "fix the errors, then run `pillion init` again for the next commands".to_owned(),
        };
        Self { summary, diagnostics }
    }
}

/// Returns the workloads of the sources: those of builds as they are built, where that works.
pub(super) fn known_workloads(
    plan: &SourcePlan,
    config: &str,
    survey: &RepositorySurvey,
    global: &GlobalArgs,
) -> Vec<SurveyedWorkload> {
    let clusters = match plan {
        SourcePlan::Plain(folders) => return folders.iter().flat_map(|f| f.workloads.clone()).collect(),
        SourcePlan::Nothing => return survey.workloads.clone(),
        SourcePlan::Built(clusters) => clusters,
    };
    let mut all = Vec::new();
    let configuration = Configuration::from_text(config, Path::new(""));
    let source = ManifestSource::from_builds(global.build_policy());
    for cluster in clusters {
        let built =
            configuration.as_ref().and_then(|c| source.for_folder(c, cluster.name.as_deref()).ok().flatten());
        match built {
            Some((name, text)) => all.extend(workloads_in_text(Path::new(&*name), &text)),
            None => all.extend(cluster.workloads.iter().cloned()),
        }
    }
    all
}
