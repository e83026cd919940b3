//! Checks the values of `rollout`, and `kubernetesVersion`, that the JSON Schema cannot check.

use super::freeze::FreezeWindows;
use super::{RepositoryConfig, RolloutConfig};
use crate::diagnostics::{Code, Diagnostic};
use crate::model::duration;
use crate::model::int_or_percent::IntOrPercent;
use crate::model::kubernetes_version::KubernetesVersion;
use crate::model::sidecar_set::SidecarMode;
use crate::yaml::{Document, EntryPart, FieldPath};

/// Reports a `kubernetesVersion` that is not a version.
pub(super) fn validate_kubernetes_version(
    repository: &RepositoryConfig,
    document: &Document,
) -> Option<Diagnostic> {
    let text = repository.kubernetes_version.as_deref()?;
    if KubernetesVersion::parse(text).is_some() {
        return None;
    }
    let path = FieldPath::dotted("kubernetesVersion");
    let message = format!("`kubernetesVersion` must be a version of Kubernetes, not `{text}`");
    Some(
        Diagnostic::error(Code::InvalidConfiguration, message)
            .at(document.label(&path, EntryPart::Value, ""))
            .field(path.to_string())
            .help("write, for example, `kubernetesVersion: \"1.33\"`; `kubectl version` prints that of a cluster"),
    )
}

/// Reports a `runtime` without what it needs: the SidecarSets are deployed from the rendered files, by their ledgers.
pub(super) fn validate_runtime(repository: &RepositoryConfig, document: &Document) -> Vec<Diagnostic> {
    let in_clusters = repository.clusters.iter().enumerate().filter(|(_, c)| c.runtime.is_some());
    let in_clusters = in_clusters.map(|(i, _)| FieldPath::dotted("clusters").child(i).child("runtime"));
    let whole = repository.runtime.map(|_| FieldPath::dotted("runtime"));
    let Some(path) = whole.into_iter().chain(in_clusters).next() else { return Vec::new() };
    let report = |reason: &str, help: &str| {
        Diagnostic::error(Code::InvalidConfiguration, format!("`{path}: Kruise` {reason}"))
            .at(document.label(&path, EntryPart::Value, ""))
            .field(path.to_string())
            .help(help)
    };
    let mut found = Vec::new();
    if repository.rendered.is_none() {
        found.push(report(
            "needs `rendered`",
            "name the folder of the rendered files, which have the SidecarSets of the cluster",
        ));
    }
    if repository.ledgers.is_none() {
        found.push(report(
            "needs `ledgers`",
            "name the folder of the ledgers, which have the state of rollouts",
        ));
    }
    if repository.sidecar_mode.is_some_and(|mode| mode != SidecarMode::Container) {
        found.push(report(
            "does not go with another `sidecarMode` than `Container`",
            "remove `sidecarMode`: Kruise injects containers as the SidecarSet has them",
        ));
    }
    found
}

/// Reports `piggyback` where no rendered files show what a workload takes with its own change.
pub(super) fn validate_piggyback(repository: &RepositoryConfig, document: &Document) -> Option<Diagnostic> {
    let until = &repository.rollout.as_ref()?.piggyback.as_ref()?.until;
    if duration::parse(until) == Some(0) {
        return None;
    }
    let path = FieldPath::dotted("rollout.piggyback");
    let (reason, why, help) = match (&repository.runtime, &repository.rendered) {
        (Some(_), _) => (
            "does not go with `runtime: Kruise`",
            "Kruise updates the sidecars of running pods, whatever changes in their workloads",
            "remove `piggyback`",
        ),
        (None, None) => (
            "needs `rendered`",
            "without rendered files, a build that differs between here and the cluster's agent would look like a change of every workload",
            "name the folder of the rendered files, or remove `piggyback`",
        ),
        (None, Some(_)) => return None,
    };
    Some(
        Diagnostic::error(Code::InvalidConfiguration, format!("`{path}` {reason}"))
            .at(document.label(&path, EntryPart::Value, ""))
            .field(path.to_string())
            .because(why)
            .help(help),
    )
}

impl RolloutConfig {
    /// Reports invalid texts and numbers: a misspelled step would release everything at once.
    pub(super) fn validate(&self, document: &Document, base: &FieldPath) -> Vec<Diagnostic> {
        let mut problems = RolloutProblems { document, base, diagnostics: Vec::new() };
        self.check_steps(&mut problems);
        self.check_durations(&mut problems);
        self.check_numbers(&mut problems);
        self.check_workloads_and_freeze(&mut problems);
        problems.diagnostics
    }

    fn check_steps(&self, problems: &mut RolloutProblems<'_>) {
        let mut before: [Option<(i64, &IntOrPercent)>; 2] = [None, None];
        for (i, step) in self.steps.iter().flatten().enumerate() {
            let place = problems.at("steps").child(i);
            let Some((kind, number)) = unit_and_number(step) else {
                let reason = format!(
                    "must be a number of pods of at least 1, or a percentage from `1%` to `100%`, not `{step}`"
                );
                problems.report(place, reason, "write, for example, `steps: [1, 25%, 100%]`");
                continue;
            };
            if let Some((_, last)) = before[kind].filter(|(last, _)| *last >= number) {
                let reason = format!("must be more than the step before it, `{last}`, but is `{step}`");
                problems.report(
                    place,
                    reason,
                    "steps are cumulative: each is the number of updated pods at its end",
                );
            }
            before[kind] = Some((number, step));
        }
        if self.steps.as_ref().is_some_and(Vec::is_empty) {
            let help = "remove it for the default, or write `steps: [100%]` for a single batch";
            problems.report(problems.at("steps"), "is empty".to_owned(), help);
        }
    }

    fn check_durations(&self, problems: &mut RolloutProblems<'_>) {
        let lengths = [
            ("soak", &self.soak),
            ("progressDeadline", &self.progress_deadline),
            ("syncTimeout", &self.sync_timeout),
        ];
        let mut lengths: Vec<(FieldPath, &String)> =
            lengths.into_iter().filter_map(|(key, text)| Some((problems.at(key), text.as_ref()?))).collect();
        lengths.extend(self.piggyback.iter().map(|p| (problems.at("piggyback").child("until"), &p.until)));
        for (place, text) in lengths {
            let reason = match duration::parse(text) {
                None => format!("must be a duration, not `{text}`"),
                Some(seconds) if seconds > duration::MAX_SECONDS => {
                    format!("must be at most 8784h, a leap year, not `{text}`")
                }
                Some(_) => continue,
            };
            problems.report(place, reason, "write hours, minutes and seconds such as `120s` or `1h30m`");
        }
    }

    fn check_numbers(&self, problems: &mut RolloutProblems<'_>) {
        if let Some(share) = self.unknown_per_batch.as_ref().filter(|share| unit_and_number(share).is_none())
        {
            let reason =
                format!("must be a number of at least 1, or a percentage from `1%` to `100%`, not `{share}`");
            problems.report(
                problems.at("unknownPerBatch"),
                reason,
                "write, for example, `unknownPerBatch: 10%`",
            );
        }
        if let Some(share) = self.max_failures.as_ref().filter(|share| !is_failure_budget(share)) {
            let reason =
                format!("must be a number of at least 0, or a percentage from `0%` to `99%`, not `{share}`");
            problems.report(problems.at("maxFailures"), reason, "write, for example, `maxFailures: 5%`");
        }
        if self.pods_per_minute == Some(0) {
            let reason = "is 0, so no batch would ever be released".to_owned();
            problems.report(problems.at("podsPerMinute"), reason, "write 1 or more, or remove the key");
        }
        for (i, _) in self.approve.iter().enumerate().filter(|(_, batch)| **batch == 0) {
            let reason = "is 0, but the first batch is 1, so no batch would wait".to_owned();
            problems.report(
                problems.at("approve").child(i),
                reason,
                "write numbers of batches as `pillion plan` shows them",
            );
        }
    }

    fn check_workloads_and_freeze(&self, problems: &mut RolloutProblems<'_>) {
        let is_key = |key: &str| key.split('/').filter(|part| !part.is_empty()).count() == 3;
        for key in self.pods.keys().filter(|key| !is_key(key)) {
            let reason = "is not a workload key, so it would match no workload".to_owned();
            problems.report(
                problems.at("pods").child(key.as_str()),
                reason,
                "write `KIND[.GROUP]/NAMESPACE/NAME`, such as `Deployment.apps/shop/web`",
            );
        }
        for error in FreezeWindows::parse(&self.freeze).1 {
            let place = problems.at("freeze").child(error.index).child(error.key);
            problems.report(place, format!("is invalid: {}", error.message), &error.help);
        }
    }
}

/// What is wrong with `rollout` of pillion.yaml.
struct RolloutProblems<'a> {
    document: &'a Document,
    base: &'a FieldPath,
    diagnostics: Vec<Diagnostic>,
}

impl RolloutProblems<'_> {
    fn at(&self, key: &str) -> FieldPath {
        self.base.child(key)
    }

    fn report(&mut self, at: FieldPath, reason: String, help: &str) {
        let label = self.document.label(&at, EntryPart::Value, "");
        let diagnostic = Diagnostic::error(Code::InvalidConfiguration, format!("`{at}` {reason}"));
        self.diagnostics.push(diagnostic.at(label).field(at.to_string()).help(help));
    }
}

/// Returns the unit (0: pods, 1: percent) and number of a step; None if it is invalid.
fn unit_and_number(step: &IntOrPercent) -> Option<(usize, i64)> {
    let (unit, number, most) = match step {
        IntOrPercent::Int(number) => (0, *number, i64::MAX),
        IntOrPercent::Text(text) => (1, text.strip_suffix('%')?.parse().ok()?, 100),
    };
    (1..=most).contains(&number).then_some((unit, number))
}

/// All pods of a rollout are never few enough to go on.
fn is_failure_budget(share: &IntOrPercent) -> bool {
    let is_none = matches!(share, IntOrPercent::Int(0)) || share.to_string() == "0%";
    is_none || unit_and_number(share).is_some_and(|(unit, number)| unit == 0 || number < 100)
}
