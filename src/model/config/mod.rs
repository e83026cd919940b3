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

/// Levels of diagnostic codes.
mod lint;

/// What SidecarOverrides may change.
mod overrides;

/// The values that the schema cannot check.
mod validate;

pub(crate) use overrides::{OverridableField, OverridesConfig, ResourceMaximum};

use super::defaults::{
    DEPLOY_BRANCH, IDENTITY_EMAIL, IDENTITY_NAME, MAX_BATCHES, PROGRESS_DEADLINE_SECONDS, REMOTE,
    SOAK_SECONDS, SOURCES, STAGED_PATTERN, STEPS, SYNC_TIMEOUT_SECONDS, TEAM_LABEL, UNKNOWN_PER_BATCH,
};
use super::document_schema::{SchemaCheck, schema_of};
use super::int_or_percent::IntOrPercent;
use super::kubernetes_version::KubernetesVersion;
use super::sidecar_set::SidecarMode;
use super::workload::{KindTraits, WorkloadKind};
use crate::diagnostics::Diagnostic;
use crate::yaml::{Document, FieldPath};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
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

/// Branches, remote and identity.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub(crate) struct GitConfig {
    /// Deploy branch: the branch that the cluster follows. Not below `pillion/`.
    #[schemars(extend("default" = DEPLOY_BRANCH))]
    pub(crate) deploy: Option<String>,
    /// Branch of the sources, in the two-branch layout. Without it, `deploy`.
    pub(crate) source: Option<String>,
    /// Name of the staged branches, below `pillion/`; `{deploy}`, `{sidecarSet}` and `{cluster}` are placeholders.
    #[schemars(extend("default" = STAGED_PATTERN))]
    pub(crate) staged: Option<String>,
    /// Name of the remote.
    #[schemars(extend("default" = REMOTE))]
    pub(crate) remote: Option<String>,
    /// Git provider of the remote, for `--pull-request`. Without it, the one that the name of the host tells.
    pub(crate) provider: Option<GitProvider>,
    /// Author and committer of every commit.
    #[schemars(extend("default" = default_identity()))]
    pub(crate) identity: Option<CommitIdentity>,
}

/// A git provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum GitProvider {
    /// github.com and GitHub Enterprise.
    #[serde(rename = "github")]
    GitHub,
    /// gitlab.com and GitLab's own servers.
    #[serde(rename = "gitlab")]
    GitLab,
    /// Gitea.
    Gitea,
    /// Forgejo, such as codeberg.org.
    Forgejo,
    /// Bitbucket Cloud.
    Bitbucket,
    /// Bitbucket Data Center and Server.
    BitbucketDataCenter,
}

impl GitProvider {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::GitHub, Self::GitLab, Self::Gitea, Self::Forgejo, Self::Bitbucket, Self::BitbucketDataCenter];

    /// Returns its name in pillion.yaml.
    pub fn name(self) -> &'static str {
        match self {
            Self::GitHub => "github",
            Self::GitLab => "gitlab",
            Self::Gitea => "gitea",
            Self::Forgejo => "forgejo",
            Self::Bitbucket => "bitbucket",
            Self::BitbucketDataCenter => "bitbucket-data-center",
        }
    }
}

/// Author and committer of commits.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct CommitIdentity {
    /// Name.
    pub(crate) name: String,
    /// Address.
    pub(crate) email: String,
}

/// Settings of rollouts.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub(crate) struct RolloutConfig {
    /// Whether a SidecarSet without a ledger is an error. Without it, `true` if `ledgers` is set.
    pub(crate) require_ledger: Option<bool>,
    /// Who starts a rollout.
    #[schemars(extend("default" = StartMode::default()))]
    pub(crate) start: Option<StartMode>,
    /// Cumulative numbers or percentages of pods. Without it, a SidecarSet with `maxUnavailable` has no steps.
    #[schemars(extend("default" = STEPS.map(IntOrPercent::parse)))]
    pub(crate) steps: Option<Vec<IntOrPercent>>,
    /// Whether a workload can be split over several batches.
    #[schemars(extend("default" = SplitMode::default()))]
    pub(crate) split: Option<SplitMode>,
    /// Maximum number of batches of a plan.
    #[schemars(extend("default" = MAX_BATCHES))]
    pub(crate) max_batches: Option<u32>,
    /// How many workloads with an unknown number of pods a batch updates: a number, or a percentage of all of them.
    #[schemars(extend("default" = IntOrPercent::parse(UNKNOWN_PER_BATCH)))]
    pub(crate) unknown_per_batch: Option<IntOrPercent>,
    /// How long the pods of a batch must stay healthy before the next batch; at most 8784h.
    #[schemars(extend("default" = seconds(SOAK_SECONDS)))]
    pub(crate) soak: Option<String>,
    /// Maximum time for a batch to become healthy; at most 8784h.
    #[schemars(extend("default" = seconds(PROGRESS_DEADLINE_SECONDS)))]
    pub(crate) progress_deadline: Option<String>,
    /// Maximum time until the cluster has applied a batch; at most 8784h.
    #[schemars(extend("default" = seconds(SYNC_TIMEOUT_SECONDS)))]
    pub(crate) sync_timeout: Option<String>,
    /// Action after an unhealthy batch.
    #[schemars(extend("default" = OnFailure::default()))]
    pub(crate) on_failure: Option<OnFailure>,
    /// How many pods may fail without stopping the rollout: a number, or a percentage of the pods released so far,
    /// rounded down.
    #[schemars(extend("default" = 0))]
    pub(crate) max_failures: Option<IntOrPercent>,
    /// Replica counts of workloads, used if neither git nor the ledger has them.
    pub(crate) pods: BTreeMap<String, u32>,
    /// Windows in which no batch is released.
    pub(crate) freeze: Vec<FreezeRule>,
    /// Numbers of the batches that wait for `pillion approve`.
    pub(crate) approve: Vec<u32>,
    /// Maximum number of pods per minute that batches begin to replace, on average since the last batch; at least 1.
    pub(crate) pods_per_minute: Option<u32>,
    /// Before the first batch, workloads take the target with their own next change.
    pub(crate) piggyback: Option<PiggybackConfig>,
}

/// Workloads take the target of a rollout with their own next change, so that their pods restart once.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct PiggybackConfig {
    /// How long after Start the batches wait; at most 8784h. `0s` turns it off.
    pub(crate) until: String,
}

/// Who starts a rollout.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub(crate) enum StartMode {
    /// A person.
    #[default]
    Manual,
    /// The watcher.
    Auto,
}

/// Whether a workload can be split over several batches.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub(crate) enum SplitMode {
    /// By the native partition of the workload, if its kind has one.
    #[default]
    Auto,
    /// Never.
    Never,
}

/// Action after an unhealthy batch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub(crate) enum OnFailure {
    /// Release no further batch.
    #[default]
    Pause,
    /// Roll back to the released revision.
    RollBack,
}

/// A window in which no batch is released.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct FreezeRule {
    /// Start: five fields as in crontab(5), with `L` for the last day of a month.
    pub(crate) cron: String,
    /// Duration (`63h`, `1h30m`), at most 8784h. It is exact even when clocks change.
    pub(crate) length: String,
    /// IANA time zone of `cron`.
    #[schemars(extend("default" = "UTC"))]
    pub(crate) time_zone: Option<String>,
}

fn default_identity() -> Value {
    json!({"name": IDENTITY_NAME, "email": IDENTITY_EMAIL})
}

fn seconds(number: u64) -> String {
    format!("{number}s")
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

/// Reads the annotation `pillion.dev/rollout` of a SidecarSet: YAML with the keys of `rollout`.
pub(crate) fn decode_rollout(document: &Document) -> (Option<RolloutConfig>, Vec<Diagnostic>) {
    static SCHEMA: LazyLock<Value> = LazyLock::new(schema_of::<RolloutConfig>);
    let (rollout, mut found) =
        SchemaCheck::new(document, "pillion schema", &SCHEMA).decode_fragment::<RolloutConfig>();
    found.extend(rollout.iter().flat_map(|r| r.validate(document, &FieldPath::root())));
    (rollout, found)
}

impl RolloutConfig {
    /// Returns these settings, overridden by those that `over` has.
    #[must_use]
    pub(crate) fn with_overrides(&self, over: &Self) -> Self {
        let mut pods = self.pods.clone();
        pods.extend(over.pods.clone());
        Self {
            require_ledger: over.require_ledger.or(self.require_ledger),
            start: over.start.or(self.start),
            steps: over.steps.clone().or_else(|| self.steps.clone()),
            split: over.split.or(self.split),
            max_batches: over.max_batches.or(self.max_batches),
            unknown_per_batch: over.unknown_per_batch.clone().or_else(|| self.unknown_per_batch.clone()),
            soak: over.soak.clone().or_else(|| self.soak.clone()),
            progress_deadline: over.progress_deadline.clone().or_else(|| self.progress_deadline.clone()),
            sync_timeout: over.sync_timeout.clone().or_else(|| self.sync_timeout.clone()),
            on_failure: over.on_failure.or(self.on_failure),
            max_failures: over.max_failures.clone().or_else(|| self.max_failures.clone()),
            pods,
            freeze: if over.freeze.is_empty() { self.freeze.clone() } else { over.freeze.clone() },
            approve: if over.approve.is_empty() { self.approve.clone() } else { over.approve.clone() },
            pods_per_minute: over.pods_per_minute.or(self.pods_per_minute),
            piggyback: over.piggyback.clone().or_else(|| self.piggyback.clone()),
        }
    }
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
