//! `pillion adopt --context`: reads whole lists of a cluster, page by page, or nothing.

use crate::support::fake_cluster::{FakeCluster, Fault};
use crate::support::git_fixtures::{Repo, TestEnvironment};
use serde_json::Value;
use std::fs;
use std::path::Path;

/// The repository and the objects of a golden case, with a Deployment that has so many pods.
fn adoptable(pods: usize) -> (TestEnvironment, Repo, FakeCluster) {
    let case = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/stage/adopt/webhook-to-git/in");
    let environment = TestEnvironment::new();
    let repo = environment.init("repo", &[]);
    for file in ["pillion.yaml", "sidecars/log.yaml", "apps/web.yaml", "apps/api.yaml"] {
        repo.put(file, fs::read(case.join(file)).unwrap());
    }
    repo.commit("start");
    let cluster = FakeCluster::start();
    cluster.serve("apps.kruise.io/v1beta1/sidecarsets", "SidecarSet");
    let state: Value = serde_json::from_slice(&fs::read(case.join("cluster.json")).unwrap()).unwrap();
    for object in state["items"].as_array().unwrap() {
        let list = match object["kind"].as_str().unwrap() {
            "Pod" => "v1/pods",
            "Deployment" => "apps/v1/deployments",
            _ => "apps.kruise.io/v1beta1/sidecarsets",
        };
        cluster.put(list, object.clone());
        if object["metadata"]["name"] == "web-5d9c-a" {
            for n in 2..pods {
                let mut pod = object.clone();
                pod["metadata"]["name"] = format!("web-5d9c-{n}").into();
                cluster.put(list, pod);
            }
        }
    }
    (environment, repo, cluster)
}

/// Runs `adopt --context`; returns the exit code and what is printed.
fn adopt(repo: &Repo, cluster: &FakeCluster, args: &[&str]) -> (Option<i32>, String) {
    let mut command = repo.command(env!("CARGO_BIN_EXE_pillion"));
    command.env("KUBECONFIG", cluster.kubeconfig()).args(["adopt", "--context", "fake"]).args(args);
    let output = command.output().unwrap();
    (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}

#[test]
fn all_pages_of_a_cluster_are_compared() {
    let (_environment, repo, cluster) = adoptable(1001);
    let (code, text) = adopt(&repo, &cluster, &[]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("same: Deployment.apps/shop/web, 1001 pods\n"), "{text}");
    assert!(text.contains("the SidecarSet in the cluster is the same\n"), "{text}");
    assert_eq!(cluster.count(&["/api/v1/pods?"]), 3);
    assert!(
        text.contains("next: `pillion adopt --context fake --push` writes the first ledgers\n"),
        "{text}"
    );
    cluster.assert_only_read();
}

#[test]
fn nothing_is_written_from_a_part_of_a_cluster() {
    let (_environment, repo, cluster) = adoptable(501);
    for (words, fault, expected) in [
        (&["/api/v1/pods?", "continue"][..], Fault::Broken, 3),
        (&["/api/v1/pods?", "continue"], Fault::Text("{\"kind\": \"PodList\", \"items\": [{\"ki"), 3),
        (&["/api/v1/pods?", "continue"], Fault::Text("{}"), 3),
        (&["sidecarsets?"], Fault::Status(403, "sidecarsets is forbidden"), 2),
        (&["/apis/apps/v1"], Fault::Status(503, "unavailable"), 3),
    ] {
        cluster.fail(words, fault.clone(), 99);
        let (code, text) = adopt(&repo, &cluster, &["--write"]);
        assert_eq!(code, Some(expected), "{fault:?}: {text}");
        assert!(text.contains("cannot read the pods of the cluster: "), "{fault:?}: {text}");
        assert!(!repo.try_git(&["rev-parse", "-q", "--verify", "refs/pillion/outbox"]).status.success());
        cluster.heal();
    }
    let (code, text) = adopt(&repo, &cluster, &["--write"]);
    assert!(code == Some(0) && text.contains("pillion: ledger of log, nothing released"), "{text}");
}
