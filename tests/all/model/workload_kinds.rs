//! Checks the files that follow from the table of workload kinds; `UPDATE_GOLDEN=1` writes them.

use pillion::model::workload::{KindTraits, WorkloadController, WorkloadKinds};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// The references of a pod spec that kustomize changes with the names of objects.
const REFERENCES: [(&str, &str, &[&str]); 5] = [
    (
        "ConfigMap",
        "",
        &[
            "volumes/configMap/name",
            "volumes/projected/sources/configMap/name",
            "containers/env/valueFrom/configMapKeyRef/name",
            "initContainers/env/valueFrom/configMapKeyRef/name",
            "containers/envFrom/configMapRef/name",
            "initContainers/envFrom/configMapRef/name",
        ],
    ),
    (
        "Secret",
        "",
        &[
            "volumes/secret/secretName",
            "volumes/projected/sources/secret/name",
            "containers/env/valueFrom/secretKeyRef/name",
            "initContainers/env/valueFrom/secretKeyRef/name",
            "containers/envFrom/secretRef/name",
            "initContainers/envFrom/secretRef/name",
            "imagePullSecrets/name",
        ],
    ),
    ("PersistentVolumeClaim", "", &["volumes/persistentVolumeClaim/claimName"]),
    ("ServiceAccount", "", &["serviceAccountName"]),
    ("PriorityClass", "scheduling.k8s.io", &["priorityClassName"]),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn table() -> Vec<&'static KindTraits> {
    WorkloadKinds::default().iter().map(|kind| kind.traits).collect()
}

/// Compares the part of a file between two texts with what follows from the table; the second one may be the end.
fn check(file: &str, after: &str, before: &str, made: &str) {
    let path = root().join(file);
    let text = fs::read_to_string(&path).unwrap();
    let start = text.find(after).unwrap_or_else(|| panic!("{file} lacks {after:?}")) + after.len();
    let length = if before.is_empty() { Some(text.len() - start) } else { text[start..].find(before) };
    let end = start + length.unwrap_or_else(|| panic!("{file} lacks {before:?}"));
    let expected = format!("{}{made}{}", &text[..start], &text[end..]);
    if std::env::var_os("UPDATE_GOLDEN").is_some_and(|v| v == "1") {
        fs::write(&path, &expected).unwrap();
    } else {
        let diff = pillion::write::unified_diff(file, &text, &expected);
        assert!(text == expected, "{file} does not follow from the table: UPDATE_GOLDEN=1\n{diff}");
    }
}

fn field_spec(kind: &KindTraits, path: &str, rest: &str) -> String {
    let group = if kind.group.is_empty() { String::new() } else { format!("group: {}, ", kind.group) };
    format!("- {{{group}kind: {}, path: {}{rest}}}\n", kind.kind, path.replace('.', "/"))
}

#[test]
fn kustomizeconfig_has_every_kind_that_kustomize_does_not_know() {
    let mut kinds: Vec<_> = table().into_iter().filter(|kind| !kind.is_known_to_kustomize).collect();
    kinds.sort_by_key(|kind| kind.group.is_empty());
    let mut text = String::new();
    for (referred, group, paths) in REFERENCES {
        writeln!(text, "- kind: {referred}").unwrap();
        if !group.is_empty() {
            writeln!(text, "  group: {group}").unwrap();
        }
        text.push_str("  version: v1\n  fieldSpecs:\n");
        for kind in &kinds {
            for (template, path) in kind.templates.iter().flat_map(|t| paths.iter().map(move |p| (t, p))) {
                text += &format!("  {}", field_spec(kind, &format!("{template}.spec.{path}"), ""));
            }
        }
        if group.is_empty() && referred != "ServiceAccount" {
            for path in paths {
                writeln!(text, "  - {{group: apps.kruise.io, kind: SidecarSet, path: spec/{path}}}").unwrap();
            }
        }
    }
    text.push_str("commonLabels:\n");
    for kind in &kinds {
        let is_single = kind.templates.len() == 1;
        let create = format!(", create: {is_single}");
        if kind.has_selector {
            text += &field_spec(kind, "spec.selector.matchLabels", ", create: true");
            let inner = kind.templates.iter().filter(|_| !is_single);
            for owned in inner.filter_map(|t| t.strip_suffix("template")) {
                text += &field_spec(kind, &format!("{owned}selector.matchLabels"), &create);
            }
        }
        for template in kind.templates {
            text += &field_spec(kind, &format!("{template}.metadata.labels"), &create);
        }
    }
    text.push_str(
        "namespace:\n- {group: apps.kruise.io, kind: SidecarSet, path: spec/namespace}\nreplicas:\n",
    );
    for (kind, path) in kinds.iter().filter_map(|kind| Some((kind, kind.replicas?))) {
        text += &field_spec(kind, path, ", create: true");
    }
    let example = "examples/kustomize-exec/overlays/eu/kustomizeconfig.yaml";
    for file in ["src/integrations/templates/kustomize/kustomizeconfig.yaml", example] {
        check(file, "nameReference:\n", "", &text);
    }
}

#[test]
fn roles_allow_every_kind() {
    let mut groups: BTreeMap<usize, (&str, BTreeSet<&str>)> = BTreeMap::new();
    let order = ["", "apps", "batch"];
    let mut seen: Vec<&str> = order.to_vec();
    // No API server has served the group `extensions` for workloads since Kubernetes 1.16.
    for kind in table().into_iter().filter(|kind| kind.group != "extensions") {
        if !seen.contains(&kind.group) {
            seen.push(kind.group);
        }
        let at = seen.iter().position(|group| *group == kind.group).unwrap();
        groups.entry(at).or_insert((kind.group, BTreeSet::new())).1.insert(kind.plural);
    }
    groups.get_mut(&1).unwrap().1.insert("controllerrevisions");
    // Of clusters where Kruise injects the sidecars.
    let of_kruise = groups.values_mut().find(|(group, _)| *group == "apps.kruise.io").unwrap();
    of_kruise.1.insert("sidecarsets");
    let mut rules = String::new();
    for (group, plurals) in groups.values() {
        let group = if group.is_empty() { "\"\"" } else { group };
        let plurals: Vec<&str> = plurals.iter().copied().collect();
        let plurals = plurals.join(", ");
        writeln!(rules, "- apiGroups: [{group}]\n  resources: [{plurals}]\n  verbs: [get, list, watch]")
            .unwrap();
    }
    for file in ["deploy/cluster/rbac.yaml", "deploy/namespaced/rbac.yaml"] {
        check(file, "rules:\n", "---\n", &rules);
    }
    check("deploy/helm/pillion/files/rules.yaml", "`kinds` of pillion.yaml.\n", "", &rules);
}

#[test]
fn support_lists_every_kind() {
    let code = |path: &str| format!("`{path}`");
    let mut rows = String::new();
    for kind in table() {
        let group = if kind.group.is_empty() { "core" } else { kind.group };
        let templates: Vec<String> = kind.templates.iter().map(|path| code(path)).collect();
        let is_pod = kind.controller == WorkloadController::Pod;
        let templates = if is_pod { "the manifest itself".to_owned() } else { templates.join(", ") };
        let pods = kind.replicas.map_or(if is_pod { "1" } else { "-" }.to_owned(), code);
        let update = match kind.controller {
            WorkloadController::Pod => "in place if only images change, else never",
            WorkloadController::Job => "never",
            WorkloadController::NewPodsOnly => "next run",
            WorkloadController::UnitedDeployment => "as the kind that it creates",
            _ if kind.in_place_policy.is_some() => "recreated, or in place if its policy allows",
            _ => "recreated",
        };
        let partition = kind.partition.map_or("-".to_owned(), code);
        writeln!(rows, "| {group} | {} | {templates} | {pods} | {update} | {partition} |", kind.kind)
            .unwrap();
    }
    let head =
        "| group | kind | pod template | pods | new template | partition |\n|---|---|---|---|---|---|\n";
    check("docs/support.md", head, "\nFor another kind", &rows);
}

#[test]
fn every_kind_has_a_golden_case() {
    let mut texts = String::new();
    for case in fs::read_dir(root().join("golden/render/kinds")).unwrap() {
        let inputs: PathBuf = case.unwrap().path().join("in");
        for file in fs::read_dir(inputs).unwrap() {
            texts += &fs::read_to_string(file.unwrap().path()).unwrap();
        }
    }
    // The kinds of `extensions` have the rows of those of `apps`.
    for kind in table().into_iter().filter(|kind| kind.group != "extensions") {
        let group = if kind.group.is_empty() { String::new() } else { format!("{}/", kind.group) };
        let has_case = texts.split("\n---\n").any(|document| {
            let mut lines = document.lines();
            lines.any(|line| line == format!("kind: {}", kind.kind))
                && document.lines().any(|line| {
                    line.strip_prefix("apiVersion: ")
                        .and_then(|v| v.strip_prefix(&group))
                        .is_some_and(|v| !v.contains('/'))
                })
        });
        assert!(has_case, "golden/render/kinds has no case for {group}{}", kind.kind);
    }
}
