//! A real API server accepts the manifests of `deploy/`, and their account only reads.

use super::deploy::{self, USER};
use super::fleet::Fleet;
use super::story::Story;
use super::watcher::Watcher;
use crate::harness::api::DEPLOYMENTS;
use crate::harness::namespace::Namespace;
use crate::harness::plane::plane;
use crate::harness::wait::{SOON, wait_for};
use std::collections::BTreeSet;

#[test]
#[ignore = "needs a real control plane: cargo test --test e2e -- --ignored"]
fn the_manifests_are_admitted() {
    let kubectl = deploy::deployed();
    wait_for("the watcher's pod is admitted and runs", SOON, || {
        let found = crate::harness::api::get(&DEPLOYMENTS.path(Some("pillion"), "pillion-watch"))?;
        if found["status"]["availableReplicas"] == 1 { Ok(()) } else { Err(found["status"].to_string()) }
    });
    for form in ["cluster", "cronjob"] {
        let folder = deploy::folder().join(form).display().to_string();
        kubectl.run(&["apply", "--dry-run=server", "--kustomize", &folder]);
    }
}

#[test]
#[ignore = "needs a real control plane: cargo test --test e2e -- --ignored"]
fn a_rollout_asks_for_nothing_but_get_list_and_watch() {
    let fleet = Fleet::of_deployments(2, "start: Auto, soak: 1s, steps: [2, 4]");
    let story = Story::begin(Namespace::new("watched-rights"), fleet);
    story.change("log", "log:2");
    let _watcher = Watcher::start(&story, "watcher");
    story.wait_act("log", "Complete");

    // Of all tests so far, whatever happened to them.
    let requests = plane().requests_of(USER);
    let of_test = format!("/namespaces/{}/", story.namespace.name);
    assert!(requests.iter().any(|(verb, path)| verb == "watch" && path.contains(&of_test)), "{requests:?}");
    let verbs: BTreeSet<&str> = requests.iter().map(|(verb, _)| verb.as_str()).collect();
    assert!(verbs.is_subset(&BTreeSet::from(["get", "list", "watch"])), "{verbs:?}");
    for (verb, path) in &requests {
        // SidecarSets have no namespace; watchers of clusters that keep Kruise read them.
        let is_of_no_resource = !path.contains("/namespaces/") && !path.contains("/sidecarsets");
        assert!(!is_of_no_resource || verb == "get", "{verb} {path}");
        assert!(!path.contains("/secrets") && !path.contains("/configmaps"), "{verb} {path}");
    }
}
