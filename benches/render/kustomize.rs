//! The same injection by kustomize: four patches per SidecarSet, one for each shape of pod template.

use crate::generate::{indent, relative_files};
use crate::sets::{SETS, Set};
use std::path::Path;

/// Writes a kustomization beside the repository that lists every file and adds the sidecars by twelve patches.
pub(crate) fn kustomization(repository: &Path) -> std::io::Result<()> {
    let mut text =
        String::from("apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources:\n");
    for file in relative_files(repository, Path::new("apps"))? {
        text += &format!("- ../{file}\n");
    }
    text += "patches:\n";
    for set in SETS {
        text += &merge(set, "Deployment|StatefulSet|DaemonSet", "template");
        text += &merge(set, "Job", "template");
        text += &merge(set, "CronJob", "jobTemplate");
        text += &json_patch(set);
    }
    let folder = repository.join("kustomize");
    std::fs::create_dir_all(&folder)?;
    std::fs::write(folder.join("kustomization.yaml"), text)
}

/// A strategic merge patch: lists have merge keys for the built-in kinds.
fn merge(set: &Set, kind: &str, template: &str) -> String {
    let mut pod = format!("containers:\n{}", set.containers);
    if !set.init_containers.is_empty() {
        pod += &format!("initContainers:\n{}", set.init_containers);
    }
    pod += &format!("volumes:\n{}", set.volumes);
    let path: &[&str] = if template == "template" {
        &["spec", "template", "spec"]
    } else {
        &["spec", "jobTemplate", "spec", "template", "spec"]
    };
    let mut patch = String::from("apiVersion: any\nkind: Any\nmetadata:\n  name: any\n");
    for (depth, key) in path.iter().enumerate() {
        patch += &format!("{}{key}:\n", "  ".repeat(depth));
    }
    patch += &indent(&pod, path.len() * 2);
    entry(set, kind, &patch)
}

/// A JSON patch: no merge keys are known for the kinds of a CRD.
fn json_patch(set: &Set) -> String {
    let mut patch = String::new();
    for (list, place, items) in [("containers", "0", set.containers), ("volumes", "-", set.volumes)] {
        patch += &format!(
            "- op: add\n  path: /spec/template/spec/{list}/{place}\n  value:\n{}",
            indent(&items.replacen("- ", "  ", 1), 2)
        );
    }
    if !set.init_containers.is_empty() {
        patch += &format!(
            "- op: add\n  path: /spec/template/spec/initContainers\n  value:\n{}",
            indent(set.init_containers, 2)
        );
    }
    entry(set, "CloneSet", &patch)
}

fn entry(set: &Set, kind: &str, patch: &str) -> String {
    format!("- target:\n    kind: {kind}\n    labelSelector: {}\n  patch: |\n{}", set.label, indent(patch, 4))
}
