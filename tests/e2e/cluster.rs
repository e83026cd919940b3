//! The cluster itself: nodes, accounts, and the audit log of their requests.

use crate::harness::api::{NODES, PODS, get};
use crate::harness::namespace::Namespace;
use crate::harness::plane::{plane, size};
use crate::harness::pods::condition;

#[test]
#[ignore = "needs a real control plane: cargo test --test e2e -- --ignored"]
fn nodes_are_ready() {
    plane();
    let nodes = get(&NODES.path(None, "")).unwrap();
    let ready = nodes["items"].as_array().unwrap().iter().filter(|node| condition(node, "Ready") == "True");
    assert_eq!(ready.count(), size());
}

#[test]
#[ignore = "needs a real control plane: cargo test --test e2e -- --ignored"]
fn an_account_may_what_it_was_allowed_and_its_requests_are_known() {
    let namespace = Namespace::new("accounts");
    let watcher = namespace.account("watcher");
    let refused = watcher.kubectl.try_run(&["get", "pods"], "");
    assert!(String::from_utf8_lossy(&refused.stderr).contains("Forbidden"), "{refused:?}");

    namespace.allow(&watcher, "get,list,watch", "pods");
    watcher.kubectl.run(&["get", "pods"]);
    let refused = watcher.kubectl.try_run(&["delete", "pods", "--all"], "");
    assert!(refused.status.success(), "there are none, so none is deleted: {refused:?}");
    let refused = watcher.kubectl.try_run(&["run", "pod", "--image=app:1"], "");
    assert!(String::from_utf8_lossy(&refused.stderr).contains("forbidden"), "{refused:?}");

    let pods = PODS.path(Some(&namespace.name), "");
    let mut requests = plane().requests_of(&watcher.user);
    requests.retain(|(_, uri)| uri.starts_with(&pods));
    let verbs: Vec<&str> = requests.iter().map(|(verb, _)| verb.as_str()).collect();
    assert_eq!(verbs, ["list", "list", "list", "create"]);
}
