//! `pillion.yaml`: how a repository is laid out, and what its rollouts look like.
//!
//! The types here are the single source: the JSON Schema is made from them, and files are checked against it.

use super::document_schema::SchemaCheck;
use super::duration;
use super::workload::{KindTraits, WorkloadKind};
use crate::diagnostics::{Code, Diagnostic};
use crate::yaml::{Document, EntryPart, FieldPath};
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::LazyLock;

/// Configuration of a repository, `pillion.yaml` at its root; all keys are optional.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
#[schemars(title = "pillion.yaml")]
pub struct RepositoryConfig {
    /// `pillion.dev/v1alpha1`.
    pub api_version: String,
    /// `Repository`.
    pub kind: String,
    /// Folders and files with manifests, relative to this file.
    pub sources: Vec<String>,
    /// What to leave out besides .gitignore, in gitignore syntax.
    pub ignore: Vec<String>,
    /// Folders and files with SidecarSets.
    pub sidecar_sets: Vec<String>,
    /// Folder of the rendered files; `.` with two branches; absent: ledger only.
    pub rendered: Option<String>,
    /// Folder of the ledgers on the deploy branch.
    pub ledgers: Option<String>,
    /// Which annotations a render writes.
    pub annotations: Option<AnnotationMode>,
    /// Namespaces of manifests that name none, and labels of namespaces; the first folder that matches wins.
    pub namespaces: Vec<NamespaceRule>,
    /// Further kinds with a pod template.
    pub kinds: Vec<KindRule>,
    /// Command whose output is the manifests, where git holds no plain ones; run in the folder of this file, by every
    /// command alike.
    pub build: Option<Vec<String>>,
    /// Clusters; absent: one.
    pub clusters: Vec<ClusterConfig>,
    /// Branches, remote and identity of commits.
    pub git: Option<GitConfig>,
    /// Rollouts; overridden by the annotation `pillion.dev/rollout` on a SidecarSet.
    pub rollout: Option<RolloutConfig>,
}

/// Which annotations a render writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AnnotationMode {
    /// `kruise.io/sidecarset-injected-list` only.
    Minimal,
    /// All that the webhook of Kruise writes, but no timestamp.
    Kruise,
    /// None; the output is no source for another render.
    None,
}

/// The namespace of the manifests below a folder, or the labels of a namespace.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NamespaceRule {
    /// Folder whose manifests are in this namespace where they name none; absent: the rule only gives labels.
    pub folder: Option<String>,
    /// Name of the namespace.
    pub name: String,
    /// Labels that answer `namespaceSelector` where no Namespace manifest is found.
    pub labels: Option<BTreeMap<String, String>>,
}

/// A kind with a pod template.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KindRule {
    /// API group; empty for the core group.
    #[serde(default)]
    pub group: String,
    /// Kind.
    pub kind: String,
    /// Where the pod template is (`spec.podTemplate`).
    pub template: String,
    /// Where the number of pods is (`spec.size`).
    pub replicas: Option<String>,
}

/// A cluster that follows a part of the repository.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClusterConfig {
    /// Name, also of its folder of ledgers.
    pub name: String,
    /// Folder of its manifests.
    pub folder: Option<String>,
    /// Context of the kubeconfig.
    pub context: Option<String>,
    /// Ledgers of later waves open when those of earlier ones are closed.
    pub wave: Option<u32>,
    /// Command whose output is the manifests of this cluster, in place of `build` above.
    pub build: Option<Vec<String>>,
    /// Unreachable for now; waves do not wait for it.
    #[serde(default)]
    pub away: bool,
}

/// Branches, remote and identity.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct GitConfig {
    /// Branch that the cluster follows; not below `pillion/`.
    pub deploy: Option<String>,
    /// Branch of the sources; differs from `live` in the two-branch layout.
    pub source: Option<String>,
    /// Name of the staged branches, below `pillion/`; `{live}`, `{sidecarSet}` and `{cluster}` are filled in.
    pub staged: Option<String>,
    /// Name of the remote.
    pub remote: Option<String>,
    /// Author and committer of every commit.
    pub identity: Option<CommitIdentity>,
}

/// Author and committer of commits.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CommitIdentity {
    /// Name.
    pub name: String,
    /// Address.
    pub email: String,
}

/// How rollouts go.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct RolloutConfig {
    /// A SidecarSet without a ledger is an error.
    pub require_ledger: Option<bool>,
    /// Who opens a rollout.
    pub start: Option<StartMode>,
    /// Cumulative pods, numbers or percentages.
    pub steps: Option<Vec<PodsOrPercent>>,
    /// Whether workloads are split over batches.
    pub split: Option<SplitMode>,
    /// The most batches a plan may have.
    pub max_batches: Option<u32>,
    /// How long the pods of a batch must stay healthy, at most 8784h.
    pub soak: Option<String>,
    /// How long a batch may take, at most 8784h.
    pub progress_deadline: Option<String>,
    /// When a batch counts as not applied, at most 8784h.
    pub sync_timeout: Option<String>,
    /// What follows an unhealthy batch.
    pub on_failure: Option<OnFailure>,
    /// Pods of workloads, where neither git nor the ledger says.
    pub pods: BTreeMap<String, u32>,
    /// Times in which nothing is released.
    pub freeze: Vec<FreezeRule>,
    /// Batches that wait for `pillion approve`.
    pub approve: Vec<u32>,
    /// The most pods a minute that batches may begin to replace, on average since the last one began; from 1.
    pub pods_per_minute: Option<u32>,
}

/// Who opens a rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum StartMode {
    /// A person.
    Manual,
    /// The watcher.
    Auto,
}

/// Whether workloads are split over batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum SplitMode {
    /// By their own partition, where they have one.
    Auto,
    /// Never.
    Never,
}

/// What follows an unhealthy batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum OnFailure {
    /// Nothing more is released.
    Pause,
    /// The released revision becomes the target.
    RollBack,
}

/// A number or a percentage.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum PodsOrPercent {
    /// A number.
    Int(u32),
    /// A percentage.
    Text(String),
}

impl PodsOrPercent {
    /// Returns the number of a step and which of both kinds it is; None where it means nothing.
    fn order_key(&self) -> Option<(usize, u32)> {
        let (kind, number, most) = match self {
            Self::Int(n) => (0, *n, u32::MAX),
            Self::Text(text) => (1, text.strip_suffix('%')?.parse().ok()?, 100),
        };
        (1..=most).contains(&number).then_some((kind, number))
    }
}

impl fmt::Display for PodsOrPercent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int(n) => n.fmt(f),
            Self::Text(text) => text.fmt(f),
        }
    }
}

/// A time in which nothing is released.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FreezeRule {
    /// When it starts: five fields as in crontab(5), with `L` for the last day of a month.
    pub cron: String,
    /// How long it lasts (`63h`, `1h30m`), at most 8784h; exact, also where clocks change.
    pub length: String,
    /// Time zone of `cron`, as the IANA database names it; absent: UTC.
    pub time_zone: Option<String>,
}

/// Returns the JSON Schema of pillion.yaml.
pub fn json_schema() -> &'static Value {
    static SCHEMA: LazyLock<Value> = LazyLock::new(schema_of::<RepositoryConfig>);
    &SCHEMA
}

fn schema_of<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|s| s.inline_subschemas = true);
    settings.into_generator().into_root_schema_for::<T>().to_value()
}

/// Reads the configuration, and says everything that is wrong with it.
pub fn decode(document: &Document) -> (RepositoryConfig, Vec<Diagnostic>) {
    let read =
        SchemaCheck::new(document, "pillion schema", json_schema()).decode::<RepositoryConfig>("Repository");
    let (repository, mut found) = (read.0.unwrap_or_default(), read.1);
    if let Some(rollout) = &repository.rollout {
        found.extend(rollout.validate(document, &FieldPath::dotted("rollout")));
    }
    found.extend(repository.git.iter().flat_map(|git| git.validate(document)));
    (repository, found)
}

/// Reads the annotation `pillion.dev/rollout` of a SidecarSet: the keys of `rollout`, as YAML.
pub fn decode_rollout(document: &Document) -> (Option<RolloutConfig>, Vec<Diagnostic>) {
    static SCHEMA: LazyLock<Value> = LazyLock::new(schema_of::<RolloutConfig>);
    let (rollout, mut found) =
        SchemaCheck::new(document, "pillion schema", &SCHEMA).decode_fragment::<RolloutConfig>();
    found.extend(rollout.iter().flat_map(|r| r.validate(document, &FieldPath::root())));
    (rollout, found)
}

impl RolloutConfig {
    /// Says which texts and numbers mean nothing: a step that is misspelt would let everything go at once.
    fn validate(&self, document: &Document, base: &FieldPath) -> Vec<Diagnostic> {
        let mut found = Vec::new();
        let mut say = |at: FieldPath, why: String, help: &str| {
            let label = document.label(&at, EntryPart::Value, "");
            let told = Diagnostic::error(Code::InvalidConfiguration, format!("`{at}` {why}"));
            found.push(told.at(label).field(at.to_string()).help(help));
        };
        let at = |key: &str| base.child(key);
        let mut before: [Option<(u32, &PodsOrPercent)>; 2] = [None, None];
        for (i, step) in self.steps.iter().flatten().enumerate() {
            let place = at("steps").child(i);
            let Some((kind, number)) = step.order_key() else {
                let why = format!(
                    "must be a number of pods from 1 on, or a percentage from `1%` to `100%`, not `{step}`"
                );
                say(place, why, "write `steps: [1, 25%, 100%]`, for instance");
                continue;
            };
            if let Some((_, last)) = before[kind].filter(|(last, _)| *last >= number) {
                let why = format!("must be more than the `{last}` before it, but it is `{step}`");
                say(place, why, "steps are cumulative: each says how many pods are updated when it ends");
            }
            before[kind] = Some((number, step));
        }
        if self.steps.as_ref().is_some_and(Vec::is_empty) {
            let help = "leave it out for the default, or write `steps: [100%]` for everything at once";
            say(at("steps"), "is empty".to_owned(), help);
        }
        let lengths = [
            ("soak", &self.soak),
            ("progressDeadline", &self.progress_deadline),
            ("syncTimeout", &self.sync_timeout),
        ];
        for (key, text) in lengths.into_iter().filter_map(|(key, text)| Some((key, text.as_ref()?))) {
            match duration::parse(text) {
                None => {
                    let why = format!("must be a length of time, not `{text}`");
                    say(at(key), why, "write hours, minutes and seconds such as `120s` or `1h30m`");
                }
                Some(seconds) if seconds > duration::MAX_SECONDS => {
                    let why = format!("must be at most 8784h, a leap year, not `{text}`");
                    say(at(key), why, "write hours, minutes and seconds such as `120s` or `1h30m`");
                }
                Some(_) => {}
            }
        }
        if self.pods_per_minute == Some(0) {
            let why = "is 0: with no pod a minute nothing is ever released".to_owned();
            say(at("podsPerMinute"), why, "write 1 or more, or leave the key out");
        }
        for (i, _) in self.approve.iter().enumerate().filter(|(_, batch)| **batch == 0) {
            let why = "is 0, and the first batch is 1: nothing would wait".to_owned();
            say(at("approve").child(i), why, "write the numbers of batches, as `pillion plan` shows them");
        }
        let is_key = |key: &str| key.split('/').filter(|part| !part.is_empty()).count() == 3;
        for key in self.pods.keys().filter(|key| !is_key(key)) {
            let why = "is no key of a workload, so its number would count for none".to_owned();
            say(
                at("pods").child(key.as_str()),
                why,
                "write `KIND[.GROUP]/NAMESPACE/NAME`, such as `Deployment.apps/shop/web`",
            );
        }
        for wrong in super::freeze::FreezeWindows::parse(&self.freeze).1 {
            let place = at("freeze").child(wrong.index).child(wrong.key);
            say(place, format!("freezes nothing: {}", wrong.message), &wrong.help);
        }
        found
    }

    /// Returns these settings with those of `over` in their place where it has some.
    #[must_use]
    pub fn with_overrides(&self, over: &Self) -> Self {
        let mut pods = self.pods.clone();
        pods.extend(over.pods.clone());
        Self {
            require_ledger: over.require_ledger.or(self.require_ledger),
            start: over.start.or(self.start),
            steps: over.steps.clone().or_else(|| self.steps.clone()),
            split: over.split.or(self.split),
            max_batches: over.max_batches.or(self.max_batches),
            soak: over.soak.clone().or_else(|| self.soak.clone()),
            progress_deadline: over.progress_deadline.clone().or_else(|| self.progress_deadline.clone()),
            sync_timeout: over.sync_timeout.clone().or_else(|| self.sync_timeout.clone()),
            on_failure: over.on_failure.or(self.on_failure),
            pods,
            freeze: if over.freeze.is_empty() { self.freeze.clone() } else { over.freeze.clone() },
            approve: if over.approve.is_empty() { self.approve.clone() } else { over.approve.clone() },
            pods_per_minute: over.pods_per_minute.or(self.pods_per_minute),
        }
    }
}

impl RepositoryConfig {
    /// Returns the further kinds.
    pub fn workload_kinds(&self) -> impl Iterator<Item = WorkloadKind> {
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

    fn messages(text: &str) -> Vec<String> {
        let document = Document::read(&"pillion.yaml".into(), 0, 1, text).unwrap();
        decode(&document).1.into_iter().map(|d| d.message).collect()
    }

    const HEAD: &str = "apiVersion: pillion.dev/v1alpha1\nkind: Repository\n";

    #[test]
    fn everything_wrong_is_said_at_once() {
        let text = format!(
            "{HEAD}sorces: [a]\nannotations: all\nkinds:\n- {{group: x, kind: Worker}}\nrollout: {{steps: [1, 25%], maxBatches: lots, start: Auto}}\n"
        );
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
    fn values_that_mean_nothing_are_said_with_their_places() {
        let text = format!(
            "{HEAD}rollout:\n  soak: 2 min\n  podsPerMinute: 0\n  approve: [1, 0]\n  pods: {{web: 5}}\n"
        );
        let document = Document::read(&"pillion.yaml".into(), 0, 1, &text).unwrap();
        let found: Vec<_> = decode(&document)
            .1
            .into_iter()
            .map(|d| (d.message, d.spans[0].line, d.spans[0].column))
            .collect();
        let soak = "`rollout.soak` must be a length of time, not `2 min`".to_owned();
        let pods = "`rollout.podsPerMinute` is 0: with no pod a minute nothing is ever released".to_owned();
        let approve = "`rollout.approve[1]` is 0, and the first batch is 1: nothing would wait".to_owned();
        let web = "`rollout.pods.web` is no key of a workload, so its number would count for none".to_owned();
        assert_eq!(found, [(soak, 4, 9), (pods, 5, 18), (approve, 6, 16), (web, 7, 15)]);
    }

    #[test]
    fn no_length_of_time_is_longer_than_a_year() {
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
            "`rollout.freeze[0].cron` freezes nothing: `0 17 * *` is no cron expression: it has 4 fields"
        ));
        let own = Document::read(&"an annotation".into(), 0, 1, &format!("freeze: [{freeze}]\n")).unwrap();
        assert!(decode_rollout(&own).1[0].message.starts_with("`freeze[0].cron` freezes nothing: "));
    }

    #[test]
    fn the_whole_example_of_the_design_is_accepted() {
        let text = format!(
            "{HEAD}sources: [apps]\nrendered: rendered\nnamespaces:\n- {{folder: apps/shop, name: shop, labels: {{team: shop}}}}\nclusters:\n- {{name: eu, folder: apps, wave: 1, build: [kustomize, build, x]}}\ngit: {{deploy: main, identity: {{name: p, email: p@x}}}}\nrollout: {{steps: [1, 25%, 100%], freeze: [{{cron: \"0 17 * * FRI\", length: 63h}}], approve: [1], pods: {{DaemonSet.apps/infra/edge: 40}}}}\n"
        );
        let document = Document::read(&"pillion.yaml".into(), 0, 1, &text).unwrap();
        let (repository, wrong) = decode(&document);
        assert_eq!(wrong, []);
        assert_eq!(repository.rollout.unwrap().steps.unwrap()[1], PodsOrPercent::Text("25%".into()));
    }
}
