//! The types of `pillion.yaml`: the layout of a repository and its rollouts.
//!
//! The JSON Schema is generated from these types, and files are checked against it.

/// The names of branches.
pub(crate) mod branch_names;

/// Cron expressions.
mod cron;

/// Freeze windows.
pub(crate) mod freeze;

/// The configuration of functions and plugins.
pub(crate) mod function_config;

/// `git`: branches, remote and identity.
mod git;

/// Levels of diagnostic codes.
mod lint;

/// What SidecarOverrides may change.
mod overrides;

/// `rollout`: the settings of rollouts.
mod rollout;

/// The values that the schema cannot check.
mod validate;

pub(crate) use git::GitConfig;
pub use git::GitProvider;
pub(crate) use overrides::{OverridableField, OverridesConfig, ResourceMaximum};
pub(crate) use rollout::{FreezeRule, OnFailure, RolloutConfig, SplitMode, StartMode, decode_rollout};

use super::defaults::{SOURCES, TEAM_LABEL};
use super::document_schema::{SchemaCheck, schema_of};
use super::kubernetes_version::KubernetesVersion;
use super::sidecar_set::SidecarMode;
use super::workload::{KindTraits, WorkloadKind};
use crate::diagnostics::Diagnostic;
use crate::yaml::{Document, FieldPath};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// Configuration of a repository: `pillion.yaml` at its root. All keys are optional.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
#[schemars(title = "pillion.yaml")]
pub struct RepositoryConfig {
    /// `pillion.dev/v1alpha1`.
    pub(crate) api_version: String,
    /// `Repository`.
    pub(crate) kind: String,
    /// Folders and files with manifests, relative to this file.
    #[schemars(extend("default" = SOURCES))]
    pub(crate) sources: Vec<String>,
    /// Files and folders to skip besides those of .gitignore, in gitignore syntax.
    pub(crate) ignore: Vec<String>,
    /// Folders and files with SidecarSets.
    pub(crate) sidecar_sets: Vec<String>,
    /// Folder of the rendered files; `.` with two branches. Without it, batches change ledgers only.
    pub(crate) rendered: Option<String>,
    /// Folder of the ledgers on the deploy branch.
    pub(crate) ledgers: Option<String>,
    /// Annotations that `render` writes.
    #[schemars(extend("default" = AnnotationMode::default()))]
    pub(crate) annotations: Option<AnnotationMode>,
    /// How the `containers` of SidecarSets are injected. The annotation `pillion.dev/sidecar-mode` of a SidecarSet
    /// overrides it.
    #[schemars(extend("default" = SidecarMode::default()))]
    pub(crate) sidecar_mode: Option<SidecarMode>,
    /// What puts sidecars into pods. Without it, they are part of the rendered manifests.
    pub(crate) runtime: Option<Runtime>,
    /// Version of the clusters (`"1.33"`). What it cannot run is an error. Without it, nothing is refused.
    pub(crate) kubernetes_version: Option<String>,
    /// Namespaces of manifests without one, and labels of namespaces. The first matching folder wins.
    pub(crate) namespaces: Vec<NamespaceRule>,
    /// Label that names the team of a workload: of the workload, of its pods or of its namespace. `--costs` sums by it.
    #[schemars(extend("default" = TEAM_LABEL))]
    pub(crate) team_label: Option<String>,
    /// Additional kinds with a pod template.
    pub(crate) kinds: Vec<KindRule>,
    /// Command that prints the manifests, for sources that are not plain manifests. Every command runs it in the folder
    /// of this file.
    pub(crate) build: Option<Vec<String>>,
    /// Levels of warnings and notes, by code: `allow` hides them, `deny` makes them errors. Errors cannot be allowed.
    pub(crate) lint: BTreeMap<String, LintLevel>,
    /// What SidecarOverrides may change. Without it, nothing.
    pub(crate) overrides: Option<OverridesConfig>,
    /// Clusters. Without it, there is one, without a name.
    pub(crate) clusters: Vec<ClusterConfig>,
    /// Branches, remote and identity of commits.
    pub(crate) git: Option<GitConfig>,
    /// Rollout settings. The annotation `pillion.dev/rollout` of a SidecarSet overrides them.
    pub(crate) rollout: Option<RolloutConfig>,
}

/// What puts sidecars into pods.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum Runtime {
    /// OpenKruise in the cluster. Manifests stay without sidecars, and a rollout changes the SidecarSet: its content,
    /// and batch by batch the `partition` of its `updateStrategy`.
    Kruise,
}

/// Annotations that `render` writes.
///
/// `patchPodMetadata` and the annotations of hot-upgrade pairs are written in every mode, because containers read them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AnnotationMode {
    /// `kruise.io/sidecarset-injected-list` only.
    #[default]
    Minimal,
    /// Every annotation of Kruise's webhook, without timestamps.
    Kruise,
    /// None. The output cannot be rendered again.
    None,
}

/// The level of the warnings and notes of a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LintLevel {
    /// They are not reported.
    Allow,
    /// They are warnings.
    Warn,
    /// They are errors.
    Deny,
}

/// The namespace of the manifests below a folder, or the labels of a namespace.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct NamespaceRule {
    /// Folder of manifests that are in this namespace unless they name another. Without it, the rule only sets labels.
    pub(crate) folder: Option<String>,
    /// Name of the namespace.
    pub(crate) name: String,
    /// Labels for `namespaceSelector`, used if there is no Namespace manifest.
    pub(crate) labels: Option<BTreeMap<String, String>>,
}

/// A kind with a pod template.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct KindRule {
    /// API group; empty for the core group.
    #[serde(default)]
    pub(crate) group: String,
    /// Kind.
    pub(crate) kind: String,
    /// Path of the pod template (`spec.podTemplate`).
    pub(crate) template: String,
    /// Path of the number of pods (`spec.size`).
    pub(crate) replicas: Option<String>,
}

/// A cluster that follows part of the repository.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ClusterConfig {
    /// Name of the cluster and of its folder of ledgers.
    pub(crate) name: String,
    /// Folder of its manifests. Without it, all sources.
    pub(crate) folder: Option<String>,
    /// Context of the kubeconfig. Without it, `--context`, else the current context.
    pub(crate) context: Option<String>,
    /// Rollouts of later waves start after those of earlier waves are complete.
    pub(crate) wave: Option<u32>,
    /// Command that prints the manifests of this cluster; overrides `build` above.
    pub(crate) build: Option<Vec<String>>,
    /// What puts sidecars into the pods of this cluster; overrides `runtime` above.
    pub(crate) runtime: Option<Runtime>,
    /// The cluster is out of service: later waves do not wait for it.
    #[serde(default)]
    pub(crate) disabled: bool,
}

/// Returns the JSON Schema of pillion.yaml.
pub fn json_schema() -> &'static Value {
    static SCHEMA: LazyLock<Value> = LazyLock::new(schema_of::<RepositoryConfig>);
    &SCHEMA
}

/// Reads the configuration and reports every error in it.
pub fn decode(document: &Document) -> (RepositoryConfig, Vec<Diagnostic>) {
    let read =
        SchemaCheck::new(document, "pillion schema", json_schema()).decode::<RepositoryConfig>("Repository");
    let (repository, mut found) = (read.0.unwrap_or_default(), read.1);
    if let Some(rollout) = &repository.rollout {
        found.extend(rollout.validate(document, &FieldPath::dotted("rollout")));
    }
    found.extend(repository.git.iter().flat_map(|git| git.validate(document)));
    found.extend(lint::validate(&repository.lint, document));
    found.extend(validate::validate_kubernetes_version(&repository, document));
    found.extend(validate::validate_runtime(&repository, document));
    found.extend(validate::validate_piggyback(&repository, document));
    found.extend(repository.overrides.iter().flat_map(|overrides| overrides.validate(document)));
    (repository, found)
}

impl RepositoryConfig {
    /// Returns the version of the clusters; None: unknown.
    pub(crate) fn cluster_version(&self) -> Option<KubernetesVersion> {
        KubernetesVersion::parse(self.kubernetes_version.as_deref()?)
    }

    /// Returns what puts sidecars into the pods of a cluster; None: the rendered manifests have them.
    pub(crate) fn runtime_of(&self, cluster: Option<&str>) -> Option<Runtime> {
        let cluster = self.clusters.iter().find(|c| Some(&*c.name) == cluster);
        cluster.and_then(|cluster| cluster.runtime).or(self.runtime)
    }

    /// Returns the additional kinds.
    pub(crate) fn workload_kinds(&self) -> impl Iterator<Item = WorkloadKind> {
        self.kinds.iter().map(|k| WorkloadKind {
            group: k.group.clone(),
            kind: k.kind.clone(),
            template_paths: vec![FieldPath::dotted(&k.template)],
            replicas_path: k.replicas.as_deref().map(FieldPath::dotted),
            partition_path: None,
            traits: KindTraits::of(&k.group, &k.kind),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::int_or_percent::IntOrPercent;
    use indoc::formatdoc;

    fn messages(text: &str) -> Vec<String> {
        let document = Document::read(&"pillion.yaml".into(), 0, 1, text).unwrap();
        decode(&document).1.into_iter().map(|d| d.message).collect()
    }

    const HEAD: &str = "apiVersion: pillion.dev/v1alpha1\nkind: Repository\n";

    #[test]
    fn everything_wrong_is_said_at_once() {
        let text = formatdoc! {"
            {HEAD}sorces: [a]
            annotations: all
            kinds:
            - group: x
              kind: Worker
            rollout:
              steps: [1, 25%]
              maxBatches: lots
              start: Auto
        "};
        assert_eq!(
            messages(&text),
            [
                "unknown key `sorces`",
                "`annotations` must be `minimal` or `kruise` or `none`, not `all`",
                "`kinds[0]` lacks `template`",
                "`rollout.maxBatches` must be a whole number from 0, not `lots`",
            ]
        );
        assert_eq!(messages("kind: Repository\n"), ["`apiVersion` must be `pillion.dev/v1alpha1`"]);
    }

    #[test]
    fn invalid_values_are_reported_with_their_places() {
        let text = format!(
            "{HEAD}rollout:\n  soak: 2 min\n  podsPerMinute: 0\n  approve: [1, 0]\n  pods: {{web: 5}}\n"
        );
        let document = Document::read(&"pillion.yaml".into(), 0, 1, &text).unwrap();
        let found: Vec<_> = decode(&document)
            .1
            .into_iter()
            .map(|d| (d.message, d.spans[0].line, d.spans[0].column))
            .collect();
        let soak = "`rollout.soak` must be a duration, not `2 min`".to_owned();
        let pods = "`rollout.podsPerMinute` is 0, so no batch would ever be released".to_owned();
        let approve =
            "`rollout.approve[1]` is 0, but the first batch is 1, so no batch would wait".to_owned();
        let web = "`rollout.pods.web` is not a workload key, so it would match no workload".to_owned();
        assert_eq!(found, [(soak, 4, 9), (pods, 5, 18), (approve, 6, 16), (web, 7, 15)]);
    }

    #[test]
    fn no_duration_is_longer_than_a_year() {
        let big = "18446744073709551615s";
        for key in ["soak", "progressDeadline", "syncTimeout"] {
            let found = messages(&format!("{HEAD}rollout: {{{key}: {big}}}\n"));
            assert_eq!(found, [format!("`rollout.{key}` must be at most 8784h, a leap year, not `{big}`")]);
            let own = Document::read(&"an annotation".into(), 0, 1, &format!("{key}: 8785h\n")).unwrap();
            assert_eq!(decode_rollout(&own).1.len(), 1);
            assert_eq!(messages(&format!("{HEAD}rollout: {{{key}: 8784h}}\n")), [""; 0]);
        }
    }

    #[test]
    fn freeze_windows_are_read_wherever_they_are_written() {
        let freeze = "{cron: \"0 17 * *\", length: 63h}";
        let found = messages(&format!("{HEAD}rollout: {{freeze: [{freeze}]}}\n"));
        assert_eq!(found.len(), 1);
        assert!(found[0].starts_with(
            "`rollout.freeze[0].cron` is invalid: `0 17 * *` is not a valid cron expression: it has 4 fields"
        ));
        let own = Document::read(&"an annotation".into(), 0, 1, &format!("freeze: [{freeze}]\n")).unwrap();
        assert!(decode_rollout(&own).1[0].message.starts_with("`freeze[0].cron` is invalid: "));
    }

    #[test]
    fn the_whole_example_of_the_design_is_accepted() {
        let text = formatdoc! {r#"
            {HEAD}sources: [apps]
            rendered: rendered
            namespaces:
            - folder: apps/shop
              name: shop
              labels:
                team: shop
            clusters:
            - name: eu
              folder: apps
              wave: 1
              build: [kustomize, build, x]
            git:
              deploy: main
              identity:
                name: p
                email: p@x
            rollout:
              steps: [1, 25%, 100%]
              freeze:
              - cron: "0 17 * * FRI"
                length: 63h
              approve: [1]
              pods:
                DaemonSet.apps/infra/edge: 40
        "#};
        let document = Document::read(&"pillion.yaml".into(), 0, 1, &text).unwrap();
        let (repository, diagnostics) = decode(&document);
        assert_eq!(diagnostics, []);
        assert_eq!(repository.rollout.unwrap().steps.unwrap()[1], IntOrPercent::Text("25%".into()));
    }
}
