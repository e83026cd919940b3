//! Checks that a cluster with `runtime: Kruise` has Kruise: the versions of SidecarSet that the files have, the right to
//! list them, the webhook that injects them, and the controller that updates pods.

use super::{CheckState, DoctorCheck};
use crate::watch::observe::{Error, ReadOnlyClient};
use serde_json::Value;
use std::collections::BTreeSet;

/// The version that is expected where no file says one.
const STORED_VERSION: &str = "v1beta1";

/// Where Kruise's Helm chart installs it.
const NAMESPACE: &str = "kruise-system";

/// The Deployment with webhook and controller.
const MANAGER: &str = "kruise-controller-manager";

/// Returns the checks of one cluster. `versions` are those of the SidecarSets in files.
pub(super) async fn check(
    client: &ReadOnlyClient,
    context: &str,
    versions: &BTreeSet<String>,
) -> Vec<DoctorCheck> {
    let mut checks = Vec::new();
    let fallback = BTreeSet::from([STORED_VERSION.to_owned()]);
    for version in if versions.is_empty() { &fallback } else { versions } {
        checks.push(check_sets(client, context, version).await);
    }
    checks.push(check_webhook(client, context).await);
    checks.push(check_manager(client, context).await);
    checks
}

/// Checks that SidecarSets of a version are served and may be listed.
async fn check_sets(client: &ReadOnlyClient, context: &str, version: &str) -> DoctorCheck {
    let check = |state, message: String| DoctorCheck::new(state, "SidecarSet", message);
    let path = format!("/apis/apps.kruise.io/{version}/sidecarsets?limit=1");
    match client.get(&path).await {
        Ok(_) => check(
            CheckState::Ok,
            format!("context `{context}` serves `apps.kruise.io/{version}`, and SidecarSets may be listed"),
        ),
        Err(Error::NotFound { .. }) => check(
            CheckState::Error,
            format!("context `{context}` serves no SidecarSet in `apps.kruise.io/{version}`"),
        )
        .help("install OpenKruise (`helm install kruise openkruise/kruise`) or a newer version of it, write an `apiVersion` that it serves, or remove `runtime: Kruise`"),
        Err(Error::Forbidden { .. }) => check(
            CheckState::Warning,
            format!("context `{context}` may not list sidecarsets.apps.kruise.io"),
        )
        .help("`watch` reads SidecarSets where Kruise injects them: apply a role of deploy/"),
        Err(error) => check(CheckState::Error, format!("context `{context}`: {error}")),
    }
}

/// Checks that a webhook of Kruise is called for pods.
async fn check_webhook(client: &ReadOnlyClient, context: &str) -> DoctorCheck {
    let check = |state, message: String| DoctorCheck::new(state, "webhook", message);
    let path = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations";
    match read_items(client, path).await {
        Ok(items) if items.iter().any(is_kruise_webhook) => {
            check(CheckState::Ok, format!("context `{context}` calls Kruise's webhook for new pods"))
        }
        Ok(_) => check(
            CheckState::Error,
            format!("context `{context}` calls no webhook of Kruise for new pods: they get no sidecars"),
        )
        .help("check that Kruise runs: its manager registers the webhook when it starts"),
        Err(Error::Forbidden { .. }) => check(
            CheckState::Note,
            format!(
                "context `{context}` may not list mutatingwebhookconfigurations, so that of Kruise is not checked"
            ),
        ),
        Err(error) => check(CheckState::Warning, format!("context `{context}`: {error}")),
    }
}

/// Checks that the manager of Kruise is ready, and says its version.
async fn check_manager(client: &ReadOnlyClient, context: &str) -> DoctorCheck {
    let check = |state, message: String| DoctorCheck::new(state, "controller", message);
    let items = match read_items(client, &format!("/apis/apps/v1/namespaces/{NAMESPACE}/deployments")).await {
        Ok(items) => items,
        Err(Error::Forbidden { .. }) => {
            let message = format!(
                "context `{context}` may not list deployments of namespace {NAMESPACE}, so that of Kruise is not checked"
            );
            return check(CheckState::Note, message);
        }
        Err(error) => return check(CheckState::Warning, format!("context `{context}`: {error}")),
    };
    let Some(manager) = items.iter().find(|item| item["metadata"]["name"] == MANAGER) else {
        let message = format!(
            "context `{context}` has no Deployment `{MANAGER}` in namespace {NAMESPACE}: Kruise is not installed, or in another namespace"
        );
        return check(CheckState::Note, message);
    };
    let image = manager["spec"]["template"]["spec"]["containers"][0]["image"].as_str();
    let version = image.and_then(crate::model::image::tag).unwrap_or("of an unknown version");
    let (ready, wanted) = (
        manager["status"]["readyReplicas"].as_u64().unwrap_or(0),
        manager["spec"]["replicas"].as_u64().unwrap_or(1),
    );
    let state =
        format!("context `{context}` runs Kruise {version}, {ready} of {wanted} pods of its manager ready");
    match ready {
        0 => check(CheckState::Error, state)
            .help(format!("`kubectl --namespace {NAMESPACE} describe deployment {MANAGER}` says why: until one is ready, no pod is injected or updated")),
        _ => check(CheckState::Ok, state),
    }
}

async fn read_items(client: &ReadOnlyClient, path: &str) -> Result<Vec<Value>, Error> {
    let answer = client.read(path).await?;
    let list: Value = serde_json::from_slice(&answer).unwrap_or_default();
    Ok(list["items"].as_array().cloned().unwrap_or_default())
}

/// Returns whether a configuration has a webhook of Kruise for pods.
fn is_kruise_webhook(configuration: &Value) -> bool {
    let name = configuration["metadata"]["name"].as_str().unwrap_or_default();
    let webhooks = configuration["webhooks"].as_array().into_iter().flatten();
    let mut rules = webhooks.flat_map(|webhook| webhook["rules"].as_array().into_iter().flatten());
    let is_for_pods = |rule: &Value| {
        rule["resources"].as_array().is_some_and(|all| all.iter().any(|resource| resource == "pods"))
    };
    name.contains("kruise") && rules.any(is_for_pods)
}
