//! The files that `pillion init` writes: a commented pillion.yaml, an example SidecarSet, and a check for CI.

use super::answers::{LayoutArg, SetupAnswers};
use super::git_state::CiSystem;
use crate::diagnostics::escape;
use crate::integrations::templates::{TemplateFile, TemplateValues, find_integration};
use crate::workspace::{BuildPart, BuiltCluster, ManifestFolder, SourcePlan, shown_path};
use crate::yaml::emit_flow;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::path::Path;

/// The program that builds kustomizations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KustomizeProgram {
    /// `kustomize build`.
    Kustomize,
    /// `kubectl kustomize`.
    Kubectl,
}

/// Returns the text of pillion.yaml.
pub(super) fn configuration_text(answers: &SetupAnswers, kustomize: KustomizeProgram) -> String {
    let mut text = String::from(
        "# What pillion reads and writes in this repository; paths are relative to this file. `pillion schema` describes\n# every key.\napiVersion: pillion.dev/v1alpha1\nkind: Repository\n",
    );
    add_sources(&mut text, answers, kustomize);
    let sets: Vec<String> = match &answers.sidecar_sets {
        Ok(paths) => paths.iter().map(|path| shown_path(path)).collect(),
        Err(folder) => vec![folder.clone()],
    };
    let _ = write!(
        text,
        "\n# SidecarSets: which containers go into which pods.\nsidecarSets: {}\n",
        emit_flow(&json!(sets))
    );
    if answers.layout != LayoutArg::LedgerOnly {
        let _ = write!(
            text,
            "\n# What the cluster applies: the manifests with their sidecars. Point Argo CD, Flux or `kubectl apply --recursive`\n# at this folder, instead of the sources.\nrendered: {}\n",
            emit_flow(&json!(answers.rendered))
        );
    } else {
        text.push_str(
            "\n# There is no `rendered:`: pillion injects where kustomize or Argo CD builds the manifests, with the revisions of the\n# ledgers. `pillion init kustomize` or `pillion init argocd` sets that up.\n",
        );
    }
    let _ = write!(
        text,
        "\n# Which workload runs which revision of a SidecarSet. Only pillion writes these files.\nledgers: {}\n",
        emit_flow(&json!(answers.ledgers))
    );
    add_namespaces(&mut text, answers);
    add_branches(&mut text, answers);
    text.push_str(
        "\nrollout:\n  # The batches, as cumulative pods: one pod first, then a tenth, half, and all of them.\n  steps: [1, 10%, 50%, 100%]\n  # How long the pods of a batch must stay healthy before the next batch.\n  soak: 2m\n  # After an unhealthy batch: Pause, or RollBack.\n  onFailure: Pause\n",
    );
    text
}

fn add_sources(text: &mut String, answers: &SetupAnswers, kustomize: KustomizeProgram) {
    match &answers.choice.plan {
        SourcePlan::Plain(_) => {
            let paths: Vec<String> = answers.choice.paths.iter().map(|path| shown_path(path)).collect();
            let _ = write!(
                text,
                "\n# Files and folders with the manifests that get sidecars.\nsources: {}\n",
                emit_flow(&json!(paths))
            );
        }
        SourcePlan::Built(clusters) => match &clusters[..] {
            [cluster] if cluster.name.is_none() => {
                let _ = write!(
                    text,
                    "\n# The command that prints the manifests that get sidecars. pillion runs it in this folder.\nbuild: {}\n",
                    emit_flow(&json!(build_command(cluster, answers, kustomize)))
                );
            }
            clusters => {
                text.push_str(
                    "\n# The clusters, and the command that prints the manifests of each. pillion runs it in this folder. With `wave: 1`,\n# `wave: 2` and so on a rollout begins in a cluster when those of earlier waves are complete.\nclusters:\n",
                );
                for cluster in clusters {
                    let build = build_command(cluster, answers, kustomize);
                    let entry = json!({"name": cluster.name, "build": build});
                    let _ = writeln!(text, "- {}", emit_flow(&entry));
                }
            }
        },
        SourcePlan::Nothing => {
            text.push_str("\n# Files and folders with the manifests that get sidecars.\nsources: [.]\n")
        }
    }
    if !answers.choice.ignored.is_empty() {
        let patterns: Vec<String> =
            answers.choice.ignored.iter().map(|file| format!("/{}", shown_path(file))).collect();
        let _ = write!(
            text,
            "\n# What is not applied as it is, or cannot be read, in the syntax of .gitignore. Check this.\nignore: {}\n",
            emit_flow(&json!(patterns))
        );
    }
}

/// Returns the command that prints the manifests of a cluster.
fn build_command(cluster: &BuiltCluster, answers: &SetupAnswers, kustomize: KustomizeProgram) -> Vec<String> {
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<String>>();
    let command = |part: &BuildPart| match (part, kustomize) {
        (BuildPart::Kustomization { folder, has_charts: true }, _) => {
            words(&["kustomize", "build", "--enable-helm", &argument_path(folder)])
        }
        (BuildPart::Kustomization { folder, .. }, KustomizeProgram::Kustomize) => {
            words(&["kustomize", "build", &argument_path(folder)])
        }
        (BuildPart::Kustomization { folder, .. }, KustomizeProgram::Kubectl) => {
            words(&["kubectl", "kustomize", &argument_path(folder)])
        }
        (BuildPart::Chart { folder, name, .. }, _) => {
            let namespace = namespace_of_cluster(cluster, answers);
            words(&["helm", "template", name, &argument_path(folder), "--namespace", &namespace])
        }
    };
    let mut commands: Vec<Vec<String>> = cluster.parts.iter().map(command).collect();
    match &mut commands[..] {
        [one] => std::mem::take(one),
        several => {
            let lines: Vec<String> = several
                .iter()
                .map(|command| {
                    command.iter().map(|word| escape::shell_word(word)).collect::<Vec<_>>().join(" ")
                })
                .collect();
            words(&["sh", "-c", &lines.join(" && echo --- && ")])
        }
    }
}

/// Returns a folder as an argument that is not taken for a flag, whatever its name.
fn argument_path(folder: &Path) -> String {
    let shown = shown_path(folder);
    if shown.starts_with('-') { format!("./{shown}") } else { shown }
}

fn namespace_of_cluster(cluster: &BuiltCluster, answers: &SetupAnswers) -> String {
    let namespace = answers.namespace.as_ref().or(cluster.namespace.as_ref());
    namespace.cloned().unwrap_or_else(|| "default".to_owned())
}

/// Adds a rule for every source with a workload that names no namespace.
fn add_namespaces(text: &mut String, answers: &SetupAnswers) {
    let rule = |folder: String, name: String| json!({"folder": folder, "name": name});
    let rules: Vec<Value> = match &answers.choice.plan {
        SourcePlan::Plain(folders) => folders
            .iter()
            .filter(|folder| folder.workloads.iter().any(|workload| workload.namespace.is_none()))
            .map(|folder| rule(shown_path(&folder.path), namespace_of_folder(folder, answers)))
            .collect(),
        SourcePlan::Built(clusters) => clusters
            .iter()
            .map(|cluster| {
                let folder = cluster.name.clone().unwrap_or_else(|| ".".to_owned());
                rule(folder, namespace_of_cluster(cluster, answers))
            })
            .collect(),
        SourcePlan::Nothing => Vec::new(),
    };
    if rules.is_empty() {
        return;
    }
    text.push_str("\n# The namespace of manifests that name none, because Argo CD, Flux or kubectl adds it later. Check this.\nnamespaces:\n");
    for rule in rules {
        let _ = writeln!(text, "- {}", emit_flow(&rule));
    }
}

fn namespace_of_folder(folder: &ManifestFolder, answers: &SetupAnswers) -> String {
    let namespace = answers.namespace.as_ref().or(folder.namespace.as_ref());
    namespace.cloned().unwrap_or_else(|| "default".to_owned())
}

fn add_branches(text: &mut String, answers: &SetupAnswers) {
    let SetupAnswers { deploy_branch, source_branch, remote, .. } = answers;
    let scalar = |text: &str| emit_flow(&json!(text));
    let _ = write!(
        text,
        "\ngit:\n  # The branch that the cluster follows.\n  deploy: {}\n",
        scalar(deploy_branch)
    );
    if answers.layout == LayoutArg::TwoBranches {
        let _ = write!(
            text,
            "  # The branch of the sources and SidecarSets.\n  source: {}\n",
            scalar(source_branch)
        );
    }
    if remote != crate::model::defaults::REMOTE {
        let _ = writeln!(text, "  remote: {}", scalar(remote));
    }
}

/// Returns the paths, relative to the root of the repository, and texts of the files for CI: the check of pull requests, and
/// with two branches the workflow that renders.
pub(super) fn ci_files(answers: &SetupAnswers, values: &TemplateValues) -> Vec<(&'static str, String)> {
    let integration = match answers.ci {
        CiSystem::Github => "github",
        CiSystem::Gitea => "gitea",
        CiSystem::Gitlab => "gitlab",
        CiSystem::None => return Vec::new(),
    };
    let files = find_integration(integration).map_or(&[][..], |integration| integration.files);
    let is_wanted = |(n, file): &(usize, &TemplateFile)| {
        *n == 0 || (file.is_for_some_repositories() && file.is_needed(values))
    };
    let wanted = files.iter().enumerate().filter(is_wanted);
    wanted.map(|(_, file)| (file.path, file.text(values))).collect()
}
