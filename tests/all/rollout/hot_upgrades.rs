//! A batch never changes the working container of a hot-upgrade pair.

use crate::support::fleet_fixtures::{FILES, deployment, empty_ledger, fleet, repository, set};
use crate::support::git_fixtures::{Repo, TestEnvironment};
use crate::watch::simulation::watched;

/// A set with a hot-upgrade container and a plain one.
fn mesh(envoy: &str, helper: &str) -> String {
    let set = set("mesh", &[("envoy", envoy), ("helper", helper)]);
    let hot = "    upgradeStrategy:\n      upgradeType: HotUpgrade\n      hotUpgradeEmptyImage: empty:1\n  - name: helper";
    set.replace("  - name: helper", hot)
}

/// The fleet with a CloneSet that updates in place among it.
fn mesh_fleet(test_env: &TestEnvironment, is_auto: bool) -> Repo {
    let mut texts = fleet(&[("mesh", &mesh("envoy:1", "helper:1"))], is_auto);
    let clone_set = deployment("web")
        .replace("apps/v1\nkind: Deployment", "apps.kruise.io/v1alpha1\nkind: CloneSet")
        .replace("  replicas: 2\n", "  replicas: 2\n  updateStrategy: {type: InPlaceIfPossible}\n");
    texts.insert("apps/shop/web.yaml".into(), clone_set);
    repository(test_env, "repo", &texts)
}

#[test]
fn the_working_container_keeps_its_image() {
    let test_env = TestEnvironment::new();
    let repo = mesh_fleet(&test_env, true);
    let head = repo.change(&[("sidecars/mesh.yaml", &mesh("envoy:2", "helper:1"))], &[]);
    let (code, plan) = repo.says(&["plan"]);
    assert!(
        code == 1 && plan.contains("error[hot-upgrade]: hot-upgrade container `envoy` cannot be changed"),
        "{plan}"
    );
    assert!(plan.contains("--> sidecars/mesh.yaml:12:20") && !plan.contains("1/3"), "{plan}");
    assert!(plan.contains("an in-place update would restart the active container"), "{plan}");
    assert!(plan.contains("recreating a pod"), "{plan}");
    let (_, staged) = repo.says(&["stage"]);
    assert!(staged.contains("hot-upgrade"), "{staged}");
    let output = watched(&repo, 20);
    assert!(output["mesh"].contains("hot-upgrade"), "{output:?}");
    assert_eq!(repo.id("main"), head, "not even opened");
    for file in FILES {
        assert!(repo.text("main", &format!("rendered/{file}")).contains("image: envoy:1"), "{file}");
    }
    // A change of the other container goes its way.
    let head = repo.change(&[("sidecars/mesh.yaml", &mesh("envoy:1", "helper:2"))], &[]);
    watched(&repo, 40);
    for file in FILES {
        assert!(repo.text("main", &format!("rendered/{file}")).contains("image: helper:2"), "{file}");
    }
    repo.is_sound_since(&test_env, head);
}

#[test]
fn an_emergency_image_is_refused() {
    let test_env = TestEnvironment::new();
    let repo = mesh_fleet(&test_env, false);
    let head = repo.id("main");
    let (code, stderr) = repo.refused(&["hold", "cloneset/web", "--image", "envoy=envoy:1-fix"]);
    assert!(code == 1 && stderr.contains("is a hot-upgrade container"), "{stderr}");
    assert_eq!(repo.id("main"), head);
    repo.pillion(&["hold", "cloneset/web", "--image", "helper=helper:1-fix"]);
    assert!(repo.text("main", "rendered/shop/web.yaml").contains("helper:1-fix"));
}

#[test]
fn pairs_come_and_go_as_a_whole() {
    let test_env = TestEnvironment::new();
    let log = set("log", &[("logtail", "log:1")]);
    let repo = repository(&test_env, "repo", &fleet(&[("log", &log)], true));
    let new =
        [("sidecars/mesh.yaml", mesh("envoy:1", "helper:1")), ("ledgers/mesh.yaml", empty_ledger("mesh"))];
    let base = repo.change(&new.each_ref().map(|(path, text)| (*path, text.as_str())), &[]);
    watched(&repo, 40);
    assert_eq!(repo.carriers("main", "envoy-1"), FILES);
    repo.change(&[], &["sidecars/mesh.yaml"]);
    repo.pillion(&["start", "mesh", "--allow-removal"]);
    watched(&repo, 40);
    assert!(repo.carriers("main", "envoy-1").is_empty());
    repo.is_sound_since(&test_env, base);
}
