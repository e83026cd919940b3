//! Applies the manifests of `deploy/` as its README says; the watchers of all tests use the account they define.

use crate::harness::kubectl::Kubectl;
use crate::harness::plane::plane;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// What the API server calls the account.
pub(super) const USER: &str = "system:serviceaccount:pillion:pillion-watch";

pub(super) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy")
}

/// The administrator, where the watcher is deployed. The first one deploys it.
pub(super) fn deployed() -> Kubectl {
    static APPLIED: LazyLock<()> = LazyLock::new(|| {
        let kubectl = &plane().kubectl;
        // The namespace that the manifests as they are in git let it watch.
        kubectl.run(&["create", "namespace", "shop"]);
        kubectl.run(&["apply", "--kustomize", &folder().join("namespaced").display().to_string()]);
    });
    LazyLock::force(&APPLIED);
    plane().kubectl.in_namespace("pillion")
}

/// The kubeconfig of the account, which may from now on read this namespace, too.
pub(super) fn kubeconfig(namespace: &str) -> PathBuf {
    static KUBECONFIG: LazyLock<PathBuf> = LazyLock::new(|| {
        let token = deployed().run(&["create", "token", "pillion-watch"]);
        plane().kubeconfig("pillion-watch", token.trim())
    });
    let kubeconfig = KUBECONFIG.clone();
    let role = fs::read_to_string(folder().join("namespaced/rbac.yaml")).unwrap();
    plane().kubectl.apply(&role.replace("namespace: shop", &format!("namespace: {namespace}")));
    kubeconfig
}
