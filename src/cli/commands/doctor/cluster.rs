//! Checks that the API servers of pillion.yaml and `--context` answer, that pillion may list what `watch` needs, and that
//! no cluster is older than `kubernetesVersion`.

use super::{CheckState, DoctorCheck};
use crate::model::config::Runtime;
use crate::model::kubernetes_version::KubernetesVersion;
use crate::watch::observe::{Error, KubeContext, ReadOnlyClient, runtime};
use crate::workspace::{Configuration, sidecar_set_versions};
use serde_json::Value;
use std::collections::BTreeSet;
use std::time::Duration;

/// How long a cluster may take to answer.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Lists that every watcher reads: pods, and what creates them.
const LISTS: &[(&str, &str)] = &[
    ("pods", "/api/v1/pods?limit=1"),
    ("deployments.apps", "/apis/apps/v1/deployments?limit=1"),
    ("replicasets.apps", "/apis/apps/v1/replicasets?limit=1"),
    ("statefulsets.apps", "/apis/apps/v1/statefulsets?limit=1"),
    ("daemonsets.apps", "/apis/apps/v1/daemonsets?limit=1"),
    ("controllerrevisions.apps", "/apis/apps/v1/controllerrevisions?limit=1"),
];

pub(super) fn check(named: Option<&str>, configuration: Option<&Configuration>) -> Vec<DoctorCheck> {
    let contexts = contexts_of(configuration, named, |_| true);
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(error) => {
            let message = format!("no thread can be started: {error}");
            return vec![DoctorCheck::new(CheckState::Error, "cluster", message)];
        }
    };
    let needed = configuration.and_then(|c| c.repository.cluster_version());
    contexts.into_iter().flat_map(|context| runtime.block_on(check_context(context, needed))).collect()
}

/// Checks the clusters with `runtime: Kruise`.
pub(super) fn check_kruise(named: Option<&str>, configuration: &Configuration) -> Vec<DoctorCheck> {
    let repository = &configuration.repository;
    let is_kruise = |cluster: Option<&str>| repository.runtime_of(cluster) == Some(Runtime::Kruise);
    let contexts = contexts_of(Some(configuration), named, is_kruise);
    let versions = sidecar_set_versions(configuration);
    let check = async |context: &str| {
        let settings = KubeContext { context: Some(context.to_owned()), ..KubeContext::default() };
        // A cluster that cannot be reached is a finding of the group `cluster`.
        match ReadOnlyClient::new(&settings, TIMEOUT).await {
            Ok(client) if client.read("/version").await.is_ok() => {
                super::kruise::check(&client, context, &versions).await
            }
            _ => Vec::new(),
        }
    };
    let Ok(runtime) = runtime() else { return Vec::new() };
    contexts.into_iter().flat_map(|context| runtime.block_on(check(context))).collect()
}

/// Returns the contexts of the clusters of pillion.yaml for which `is_wanted` holds, and the one that a person names;
/// that is of the cluster without a name.
fn contexts_of<'a>(
    configuration: Option<&'a Configuration>,
    named: Option<&'a str>,
    is_wanted: impl Fn(Option<&str>) -> bool,
) -> BTreeSet<&'a str> {
    let clusters = configuration.into_iter().flat_map(|c| &c.repository.clusters);
    let wanted = clusters.filter(|cluster| is_wanted(Some(&cluster.name)));
    let named = named.filter(|_| is_wanted(None));
    wanted.filter_map(|cluster| cluster.context.as_deref()).chain(named).collect()
}

/// Returns the checks of one cluster. `needed` is `kubernetesVersion` of pillion.yaml.
async fn check_context(context: &str, needed: Option<KubernetesVersion>) -> Vec<DoctorCheck> {
    let settings = KubeContext { context: Some(context.to_owned()), ..KubeContext::default() };
    let answer = match ReadOnlyClient::new(&settings, TIMEOUT).await {
        Ok(client) => client.read("/version").await.map(|version| (client, version)),
        Err(error) => Err(error),
    };
    let (client, version) = match answer {
        Ok(answer) => answer,
        Err(error) => {
            return vec![
                DoctorCheck::new(CheckState::Error, "cluster", format!("context `{context}`: {error}"))
                    .help("`kubectl config get-contexts` lists the contexts; `kubectl --context NAME version` tries one"),
            ];
        }
    };
    let mut denied = Vec::new();
    for (resource, path) in LISTS {
        match client.get(path).await {
            Ok(_) | Err(Error::NotFound { .. }) => {}
            Err(Error::Forbidden { .. }) => denied.push(*resource),
            Err(error) => {
                return vec![DoctorCheck::new(
                    CheckState::Error,
                    "cluster",
                    format!("context `{context}`: {error}"),
                )];
            }
        }
    }
    let rights = match denied.is_empty() {
        true => DoctorCheck::new(CheckState::Ok, "cluster", format!("context `{context}` answers and may list workloads and pods")),
        false => DoctorCheck::new(
            CheckState::Warning,
            "cluster",
            format!("context `{context}` may not list {} in all namespaces", denied.join(", ")),
        )
        .help("`watch` and `plan --context` need get, list and watch: apply a role of deploy/, or name the namespaces of a watcher with `--namespace`"),
    };
    let version = needed.map(|needed| check_version(context, &version, needed));
    std::iter::once(rights).chain(version).collect()
}

/// Compares the version of a cluster with `kubernetesVersion`.
fn check_version(context: &str, answer: &[u8], needed: KubernetesVersion) -> DoctorCheck {
    let answer: Value = serde_json::from_slice(answer).unwrap_or_default();
    let text = answer["gitVersion"].as_str().unwrap_or_default();
    let check = |state, message: String| DoctorCheck::new(state, "kubernetesVersion", message);
    match KubernetesVersion::parse(text) {
        None => check(CheckState::Warning, format!("context `{context}` does not tell its version")),
        Some(version) if version < needed => check(
            CheckState::Error,
            format!("context `{context}` runs Kubernetes {version}, older than the {needed} of pillion.yaml"),
        )
        .help("write the version of the oldest cluster: pillion then refuses what that one cannot run"),
        Some(version) => check(CheckState::Ok, format!("context `{context}` runs Kubernetes {version}")),
    }
}
