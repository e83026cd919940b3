//! Discovers the lists that an API server serves for the observed kinds, and the kinds that it does not serve.

use super::client::ReadOnlyClient;
use super::error::Error;
use super::objects::ObjectShape;
use crate::model::workload::{KindTraits, RevisionSource, WorkloadController};
use crate::watch::http_client::percent_encode;
use crate::watch::snapshot::ObservationScope;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::Arc;

/// One observed list.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ListResource {
    /// Empty for the core group.
    pub(super) group: String,
    pub(super) version: String,
    pub(super) plural: String,
    /// None: all namespaces, or a cluster-scoped resource.
    pub(super) namespace: Option<Arc<str>>,
}

impl ListResource {
    /// Returns the path of the list.
    pub(super) fn path(&self) -> String {
        let root = api_root(&self.group, &self.version);
        match &self.namespace {
            Some(namespace) => {
                format!("{root}/namespaces/{}/{}", percent_encode(namespace, ""), self.plural)
            }
            None => format!("{root}/{}", self.plural),
        }
    }

    /// Returns its name in roles and kubectl (`deployments.apps`).
    pub(super) fn name(&self) -> String {
        let dot = if self.group.is_empty() { "" } else { "." };
        format!("{}{dot}{}", self.plural, self.group)
    }
}

fn api_root(group: &str, version: &str) -> String {
    if group.is_empty() { format!("/api/{version}") } else { format!("/apis/{group}/{version}") }
}

/// The lists that a cluster serves.
#[derive(Debug, Default)]
pub(super) struct DiscoveredLists {
    pub(super) lists: BTreeMap<ListResource, ObjectShape>,
    /// `KIND.GROUP` of kinds that it does not serve.
    pub(super) missing: Vec<String>,
}

/// A required kind: how it is read, and whether the scope names it.
struct RequiredKind {
    group: String,
    kind: String,
    shape: ObjectShape,
    is_requested: bool,
}

/// Returns the kinds to read: the wanted ones, what they own, their pods and the objects that name their revisions.
fn required_kinds(scope: &ObservationScope) -> Vec<RequiredKind> {
    let find =
        |group: &str, kind: &str| scope.kinds.iter().find(|k| k.group == group && k.kind == kind).cloned();
    let need = |group: &str, kind: &str, shape, is_requested| RequiredKind {
        group: group.to_owned(),
        kind: kind.to_owned(),
        shape,
        is_requested,
    };
    let between = |group: &str, kind: &str| {
        let asked = find(group, kind);
        need(group, kind, ObjectShape::Intermediate(asked.clone()), asked.is_some())
    };
    let owned: Vec<&KindTraits> = scope.kinds.iter().flat_map(|k| k.traits.owned_kinds()).collect();
    let known = || scope.kinds.iter().map(|k| k.traits).chain(owned.iter().copied());
    let mut needs = vec![need("", "Pod", ObjectShape::Pods(find("", "Pod")), true)];
    let has_replica_sets =
        |k: &KindTraits| matches!(k.revision, RevisionSource::ReplicaSetNumber | RevisionSource::PodHash);
    if find("apps", "ReplicaSet").is_some() || known().any(has_replica_sets) {
        needs.push(between("apps", "ReplicaSet"));
    }
    let has_revisions = |k: &KindTraits| {
        matches!(k.revision, RevisionSource::ControllerRevision | RevisionSource::NewestControllerRevision)
    };
    if known().any(has_revisions) {
        needs.push(need("apps", "ControllerRevision", ObjectShape::Revisions, true));
    }
    needs.extend(owned.iter().filter(|k| find(k.group, k.kind).is_none()).map(|k| between(k.group, k.kind)));
    for kind in &scope.kinds {
        if kind.is_pod() || (kind.group == "apps" && kind.kind == "ReplicaSet") {
            continue;
        }
        let shape = match kind.traits.controller {
            // A CronJob's Jobs are many, and none of them is in git.
            WorkloadController::Job => ObjectShape::Intermediate(Some(Arc::clone(kind))),
            _ => ObjectShape::Workloads(Arc::clone(kind)),
        };
        needs.push(need(&kind.group, &kind.kind, shape, true));
    }
    needs
}

/// `APIGroupList`.
#[derive(Deserialize)]
struct ApiGroupListWire {
    groups: Vec<ApiGroupWire>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ApiGroupWire {
    name: String,
    #[serde(default)]
    versions: Vec<ApiVersionWire>,
    preferred_version: Option<ApiVersionWire>,
}

#[derive(Deserialize, Clone, PartialEq)]
struct ApiVersionWire {
    version: String,
}

/// `APIResourceList`.
#[derive(Deserialize)]
struct ApiResourceListWire {
    resources: Vec<ApiResourceWire>,
}

#[derive(Deserialize)]
struct ApiResourceWire {
    name: String,
    kind: String,
    #[serde(default)]
    namespaced: bool,
    #[serde(default)]
    verbs: Vec<String>,
}

/// Discovers the lists for a scope.
///
/// # Errors
/// When a group cannot be read: an unavailable extension server does not mean that the group is not installed.
pub(super) async fn discover_lists(
    client: &ReadOnlyClient,
    scope: &ObservationScope,
) -> Result<DiscoveredLists, Error> {
    let needs = required_kinds(scope);
    let groups: ApiGroupListWire = read_json(client, "/apis").await?;
    let mut served: BTreeMap<String, Vec<(String, Vec<ApiResourceWire>)>> = BTreeMap::new();
    let mut found = DiscoveredLists::default();
    for need in &needs {
        let versions = match served.get(&need.group) {
            Some(versions) => versions,
            None => {
                let versions = served_versions(client, &groups, &need.group).await?;
                served.entry(need.group.clone()).or_insert(versions)
            }
        };
        let one = versions.iter().find_map(|(version, resources)| {
            let readable = |one: &&ApiResourceWire| {
                one.verbs.iter().any(|v| v == "list") && one.verbs.iter().any(|v| v == "watch")
            };
            let named = |one: &&ApiResourceWire| one.kind == need.kind && !one.name.contains('/');
            Some((version, resources.iter().filter(readable).find(named)?))
        });
        let Some((version, one)) = one else {
            if need.is_requested {
                let dot = if need.group.is_empty() { "" } else { "." };
                found.missing.push(format!("{}{dot}{}", need.kind, need.group));
            }
            continue;
        };
        let list = |namespace: Option<&Arc<str>>| ListResource {
            group: need.group.clone(),
            version: version.clone(),
            plural: one.name.clone(),
            namespace: namespace.cloned(),
        };
        if one.namespaced && !scope.namespaces.is_empty() {
            found.lists.extend(scope.namespaces.iter().map(|n| (list(Some(n)), need.shape.clone())));
        } else {
            found.lists.insert(list(None), need.shape.clone());
        }
    }
    Ok(found)
}

/// Returns the versions of a group and their resources, the preferred version first.
async fn served_versions(
    client: &ReadOnlyClient,
    groups: &ApiGroupListWire,
    group: &str,
) -> Result<Vec<(String, Vec<ApiResourceWire>)>, Error> {
    let mut names: Vec<&str> = Vec::new();
    if group.is_empty() {
        names.push("v1");
    } else if let Some(group) = groups.groups.iter().find(|g| g.name == group) {
        let preferred = group.preferred_version.iter();
        for version in preferred.chain(&group.versions) {
            if !names.contains(&version.version.as_str()) {
                names.push(&version.version);
            }
        }
    }
    let mut found = Vec::new();
    for version in names {
        match read_json::<ApiResourceListWire>(client, &api_root(group, version)).await {
            Ok(served) => found.push((version.to_owned(), served.resources)),
            // It was removed between two requests.
            Err(Error::NotFound { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

async fn read_json<T: serde::de::DeserializeOwned>(client: &ReadOnlyClient, path: &str) -> Result<T, Error> {
    let text = client.read(path).await?;
    serde_json::from_slice(&text).map_err(|error| Error::invalid_response(path, error))
}

/// Returns the RBAC role that reading these lists needs, as YAML.
pub(super) fn rbac_role<'r>(lists: impl Iterator<Item = &'r ListResource>) -> String {
    let mut groups: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut namespaces: Vec<&str> = Vec::new();
    let mut is_bound = true;
    for list in lists {
        let plurals = groups.entry(&list.group).or_default();
        if !plurals.contains(&list.plural.as_str()) {
            plurals.push(&list.plural);
        }
        match &list.namespace {
            Some(namespace) if !namespaces.contains(&&**namespace) => namespaces.push(namespace),
            Some(_) => {}
            None => is_bound = false,
        }
    }
    let rules: Vec<String> = groups
        .iter()
        .map(|(group, plurals)| {
            let plurals = plurals.join(", ");
            format!("- {{apiGroups: [\"{group}\"], resources: [{plurals}], verbs: [get, list, watch]}}\n")
        })
        .collect();
    let rules = rules.concat();
    let head = |kind: &str, rest: &str| {
        format!(
            "apiVersion: rbac.authorization.k8s.io/v1\nkind: {kind}\nmetadata: {{name: pillion-watch{rest}}}\nrules:\n{rules}"
        )
    };
    if !is_bound || namespaces.is_empty() {
        return head("ClusterRole", "");
    }
    let roles: Vec<String> = namespaces.iter().map(|n| head("Role", &format!(", namespace: {n}"))).collect();
    roles.join("---\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::workload::WorkloadKinds;

    fn scope(kinds: &[(&str, &str)]) -> ObservationScope {
        let all = WorkloadKinds::default();
        let kinds =
            kinds.iter().map(|(version, kind)| Arc::clone(all.find(version, kind).unwrap())).collect();
        ObservationScope { kinds, namespaces: Vec::new() }
    }

    fn names(scope: &ObservationScope) -> Vec<String> {
        required_kinds(scope).iter().map(|need| format!("{}.{}", need.kind, need.group)).collect()
    }

    #[test]
    fn what_a_deployment_needs() {
        assert_eq!(
            names(&scope(&[("apps/v1", "Deployment")])),
            ["Pod.", "ReplicaSet.apps", "Deployment.apps"]
        );
    }

    #[test]
    fn what_a_united_deployment_needs() {
        let scope = scope(&[("apps.kruise.io/v1alpha1", "UnitedDeployment"), ("apps/v1", "StatefulSet")]);
        assert_eq!(
            names(&scope),
            [
                "Pod.",
                "ReplicaSet.apps",
                "ControllerRevision.apps",
                "StatefulSet.apps.kruise.io",
                "CloneSet.apps.kruise.io",
                "Deployment.apps",
                "UnitedDeployment.apps.kruise.io",
                "StatefulSet.apps",
            ]
        );
    }

    #[test]
    fn a_role_names_what_is_read() {
        let resource = |group: &str, plural: &str, namespace: Option<&str>| ListResource {
            group: group.to_owned(),
            version: "v1".to_owned(),
            plural: plural.to_owned(),
            namespace: namespace.map(Arc::from),
        };
        let lists = [
            resource("", "pods", Some("shop")),
            resource("apps", "deployments", Some("shop")),
            resource("apps", "replicasets", Some("shop")),
        ];
        assert_eq!(lists[1].path(), "/apis/apps/v1/namespaces/shop/deployments");
        assert_eq!(
            rbac_role(lists.iter()),
            "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\n\
             metadata: {name: pillion-watch, namespace: shop}\nrules:\n\
             - {apiGroups: [\"\"], resources: [pods], verbs: [get, list, watch]}\n\
             - {apiGroups: [\"apps\"], resources: [deployments, replicasets], verbs: [get, list, watch]}\n"
        );
        let everywhere = [resource("", "pods", None)];
        assert_eq!(everywhere[0].path(), "/api/v1/pods");
        assert!(rbac_role(everywhere.iter()).contains("kind: ClusterRole\n"));
    }
}
