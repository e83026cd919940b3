//! The stand-in for a GitOps agent applies what is pushed, and nothing while it is paused.

use crate::harness::agent::{Agent, Applies as _};
use crate::harness::api::DEPLOYMENTS;
use crate::harness::git_server::GitServer;
use crate::harness::namespace::Namespace;

fn deployment(name: &str, image: &str) -> String {
    format!(
        "apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}}}
spec:
  replicas: 2
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata: {{labels: {{app: {name}}}}}
    spec: {{containers: [{{name: main, image: '{image}'}}]}}
"
    )
}

#[test]
#[ignore = "needs a real control plane: cargo test --test e2e -- --ignored"]
fn commits_are_applied() {
    let namespace = Namespace::new("applied");
    let server = GitServer::new();
    let person = server.clone("person");
    let agent = Agent::start(&server, "main", "rendered", &namespace.kubectl);
    assert_eq!(agent.applied(), None, "there is no commit");

    let push = |message: &str| {
        let commit = person.commit(message);
        person.git(&["push", "-q", "origin", "HEAD:main"]);
        commit
    };
    person.put("rendered/one.yaml", deployment("one", "app:1"));
    person.put("rendered/two.yaml", deployment("two", "app:1"));
    person.put("apps/other.yaml", deployment("other", "app:1"));
    agent.wait_applied(push("start"));
    for name in ["one", "two"] {
        namespace
            .wait_until(DEPLOYMENTS, name, "both are ready", |found| found["status"]["readyReplicas"] == 2);
    }
    assert!(namespace.get(DEPLOYMENTS, "other").is_err(), "it is not in the folder");

    agent.pause();
    let image = |name: &str| {
        let found = namespace.get(DEPLOYMENTS, name).unwrap();
        found["spec"]["template"]["spec"]["containers"][0]["image"].as_str().unwrap().to_owned()
    };
    person.put("rendered/one.yaml", deployment("one", "app:2"));
    let second = push("second");
    assert_ne!(agent.applied(), Some(second));
    assert_eq!(image("one"), "app:1");

    agent.resume();
    agent.wait_applied(second);
    assert_eq!((image("one"), image("two")), ("app:2".to_owned(), "app:1".to_owned()));
}
