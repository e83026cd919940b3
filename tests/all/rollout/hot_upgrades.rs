//! Hot upgrades: each batch is two commits, and no commit changes the container of a pair that works. Workloads that
//! recreate their pods wait with the reason.

use crate::support::fleet_fixtures::{FILES, deployment, empty_ledger, fleet, repository, set};
use crate::support::git_fixtures::{Repo, TestEnvironment};
use crate::watch::simulation::watched;
use std::collections::BTreeMap;

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

/// The fleet of CloneSets only, all of which update in place.
fn clone_sets(test_env: &TestEnvironment, more: &str) -> Repo {
    let mut texts = fleet(&[("mesh", &mesh("envoy:1", "helper:1"))], true);
    texts.get_mut("pillion.yaml").unwrap().push_str(more);
    for file in FILES {
        let name = file.split(['/', '.']).nth(1).unwrap();
        let clone_set = deployment(name)
            .replace("apps/v1\nkind: Deployment", "apps.kruise.io/v1alpha1\nkind: CloneSet")
            .replace("  replicas: 2\n", "  replicas: 2\n  updateStrategy: {type: InPlaceIfPossible}\n");
        texts.insert(format!("apps/{file}"), clone_set);
    }
    repository(test_env, "repo", &texts)
}

/// The images of a pair in a rendered file, and which of the two works: `envoy:1 empty:1 1`.
fn pair(repo: &Repo, commit: &str, file: &str) -> String {
    let text = repo.text(commit, &format!("rendered/{file}"));
    let after = |words: &str| {
        let rest = text.split_once(words).unwrap_or_else(|| panic!("{words}: {text}")).1;
        rest.lines().next().unwrap().trim().to_owned()
    };
    let working = after(r#"working-hotupgrade-container: "{\"envoy\":\"envoy-"#);
    let images = ["envoy-1", "envoy-2"].map(|name| after(&format!("- name: {name}\n        image: ")));
    format!("{} {}", images.join(" "), &working[..1])
}

/// What each pair was on the way, without repetitions, by file.
fn ways(repo: &Repo, base: pillion::git::ObjectId) -> BTreeMap<&'static str, Vec<String>> {
    let mut ways: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for commit in std::iter::once(base.to_string()).chain(repo.since(base)) {
        for file in FILES {
            let (way, pair) = (ways.entry(file).or_default(), pair(repo, &commit, file));
            if way.last() != Some(&pair) {
                way.push(pair);
            }
        }
    }
    ways
}

#[test]
fn a_batch_is_two_halves() {
    let test_env = TestEnvironment::new();
    let repo = clone_sets(&test_env, "");
    let base = repo.change(&[("sidecars/mesh.yaml", &mesh("envoy:2", "helper:1"))], &[]);
    watched(&repo, 60);
    let subjects = repo.subjects(base);
    let expected = [
        "mesh: start, envoy 1 -> 2",
        "mesh: batch 1/3, half 1/2, envoy 2 for 2 pods of CloneSet data/db",
        "mesh: batch 1/3, half 2/2, envoy 2 for 2 pods of CloneSet data/db",
        "mesh: batch 2/3, half 1/2, envoy 2 for 2 pods of CloneSet shop/api",
        "mesh: batch 2/3, half 2/2, envoy 2 for 2 pods of CloneSet shop/api",
        "mesh: batch 3/3, half 1/2, envoy 2 for 4 pods of 2 workloads",
        "mesh: batch 3/3, half 2/2, envoy 2 for 4 pods of 2 workloads",
        "mesh: complete, envoy 2 is released",
    ];
    assert_eq!(subjects, expected);
    for (file, way) in ways(&repo, base) {
        assert_eq!(way, ["envoy:1 empty:1 1", "envoy:1 envoy:2 2", "empty:1 envoy:2 2"], "{file}");
    }
    // Which container works outlasts the rollout, and the next upgrade goes the other way.
    let ledger = repo.text("main", "ledgers/mesh.yaml");
    assert!(
        ledger.contains("shop/web, revision: mesh-") && ledger.contains("hotUpgrades: {envoy: 2}"),
        "{ledger}"
    );
    repo.is_sound_since(&test_env, base);
    let next = repo.change(&[("sidecars/mesh.yaml", &mesh("envoy:3", "helper:1"))], &[]);
    watched(&repo, 60);
    for (file, way) in ways(&repo, next) {
        assert_eq!(way, ["empty:1 envoy:2 2", "envoy:3 envoy:2 1", "envoy:3 empty:1 1"], "{file}");
    }
    repo.is_sound_since(&test_env, next);
}

#[test]
fn a_failing_first_half_goes_back_without_the_working_container() {
    let test_env = TestEnvironment::new();
    let repo = clone_sets(&test_env, "  onFailure: RollBack\n");
    let base = repo.change(&[("sidecars/mesh.yaml", &mesh("envoy:bad", "helper:1"))], &[]);
    watched(&repo, 40);
    let subjects = repo.subjects(base);
    assert_eq!(subjects.len(), 5, "{subjects:?}");
    assert!(subjects[2].contains("roll back"), "{subjects:?}");
    let ways = ways(&repo, base);
    assert_eq!(ways["data/db.yaml"], ["envoy:1 empty:1 1", "envoy:1 envoy:bad 2", "envoy:1 empty:1 1"]);
    assert_eq!(ways["shop/web.yaml"], ["envoy:1 empty:1 1"]);
    assert!(!repo.text("main", "ledgers/mesh.yaml").contains("hotUpgrades"));
    repo.is_sound_since(&test_env, base);
}

/// A person rolls back when some workloads are through both halves and one is between them.
#[test]
fn the_way_back_is_hot_too() {
    let test_env = TestEnvironment::new();
    let repo = clone_sets(&test_env, "");
    let base = repo.change(&[("sidecars/mesh.yaml", &mesh("envoy:2", "helper:1"))], &[]);
    repo.pillion(&["start", "mesh"]);
    for _ in 0..3 {
        repo.pillion(&["promote", "mesh"]);
    }
    let status = repo.pillion(&["status", "mesh"]);
    assert!(status.contains("next: the second half of batch 2 of 3: 2 pods of 1 workload"), "{status}");
    assert!(status.contains("mesh: envoy 1 -> 2, the first half of batch 2/3 released"), "{status}");
    repo.git(&["switch", "-q", "--detach", "main"]);
    let text = repo.pillion(&["explain", "cloneset/api"]);
    assert!(text.contains("work until the second half of its hot upgrade"), "{text}");
    // Several steps in one push would skip what the first half is for.
    for args in [&["--full"][..], &["--to", "3"]] {
        let (code, stderr) = repo.refused(&[&["promote", "mesh"], args].concat());
        assert!(code == 1 && stderr.contains("releases one half"), "{stderr}");
    }
    let (code, stderr) = repo.refused(&["rollback", "mesh", "--to", "1"]);
    assert!(code == 1 && stderr.contains("without a gap"), "{stderr}");
    repo.pillion(&["pause", "mesh", "--reason", "lunch"]);
    repo.pillion(&["resume", "mesh"]);
    repo.pillion(&["rollback", "mesh"]);
    watched(&repo, 60);
    let ways = ways(&repo, base);
    let full = [
        "envoy:1 empty:1 1",
        "envoy:1 envoy:2 2",
        "empty:1 envoy:2 2",
        "envoy:1 envoy:2 1",
        "envoy:1 empty:1 1",
    ];
    assert_eq!(ways["data/db.yaml"], full);
    assert_eq!(ways["shop/api.yaml"], ["envoy:1 empty:1 1", "envoy:1 envoy:2 2", "envoy:1 empty:1 1"]);
    let ledger = repo.text("main", "ledgers/mesh.yaml");
    assert!(
        ledger.matches("hotUpgrades").count() == 1 && ledger.contains("hotUpgrades: {envoy: 3}"),
        "{ledger}"
    );
    repo.is_sound_since(&test_env, base);
}

#[test]
fn a_rollback_after_the_end_is_hot_too() {
    let test_env = TestEnvironment::new();
    let repo = clone_sets(&test_env, "");
    let base = repo.change(&[("sidecars/mesh.yaml", &mesh("envoy:2", "helper:1"))], &[]);
    watched(&repo, 60);
    repo.pillion(&["rollback", "mesh"]);
    watched(&repo, 60);
    for (file, way) in ways(&repo, base) {
        assert_eq!(way[2..], ["empty:1 envoy:2 2", "envoy:1 envoy:2 1", "envoy:1 empty:1 1"], "{file}");
    }
    let text = repo.pillion(&["explain", "cloneset/web"]);
    assert!(text.contains("which is released"), "{text}");
    repo.is_sound_since(&test_env, base);
}

/// A newer image while one workload is between the halves: it goes into the container that does not work yet.
#[test]
fn a_newer_image_keeps_the_working_container() {
    let test_env = TestEnvironment::new();
    let repo = clone_sets(&test_env, "");
    let base = repo.change(&[("sidecars/mesh.yaml", &mesh("envoy:2", "helper:1"))], &[]);
    repo.pillion(&["start", "mesh"]);
    repo.pillion(&["promote", "mesh"]);
    repo.change(&[("sidecars/mesh.yaml", &mesh("envoy:3", "helper:1"))], &[]);
    repo.pillion(&["start", "mesh"]);
    watched(&repo, 60);
    let ways = ways(&repo, base);
    let newer = ["envoy:1 empty:1 1", "envoy:1 envoy:2 2", "envoy:1 envoy:3 2", "empty:1 envoy:3 2"];
    assert_eq!(ways["data/db.yaml"], newer);
    assert_eq!(ways["shop/web.yaml"], ["envoy:1 empty:1 1", "envoy:1 envoy:3 2", "empty:1 envoy:3 2"]);
    repo.is_sound_since(&test_env, base);
}

/// A half that no pillion wrote: the old container emptied at once, or the wrong one.
#[test]
fn verify_refuses_another_half() {
    let test_env = TestEnvironment::new();
    let repo = clone_sets(&test_env, "");
    repo.change(&[("sidecars/mesh.yaml", &mesh("envoy:2", "helper:1"))], &[]);
    repo.pillion(&["start", "mesh"]);
    repo.pillion(&["promote", "mesh"]);
    let base = repo.id("main");
    let ledger = repo.text("main", "ledgers/mesh.yaml");
    let from = ledger.split_once(", upgradedFrom: ").unwrap().1.split_once('}').unwrap().0;
    for wrong in [
        ledger.replace("hotUpgrades: {envoy: 2}", "hotUpgrades: {envoy: 3}"),
        ledger.replace(&format!(", hotUpgrades: {{envoy: 2}}, upgradedFrom: {from}"), ""),
    ] {
        assert_ne!(wrong, ledger);
        repo.git(&["switch", "-q", "--detach", &base.to_string()]);
        repo.put("ledgers/mesh.yaml", &wrong);
        repo.render().commit("by hand");
        let (code, stderr) = repo.refused(&["verify", "--base", &base.to_string()]);
        assert!(code == 1 && stderr.contains("ledger-not-planned"), "{stderr}");
    }
    repo.git(&["switch", "-q", "--detach", "main"]);
    repo.pillion(&["promote", "mesh"]);
    repo.git(&["switch", "-q", "--detach", "main"]);
    repo.pillion(&["verify", "--base", &base.to_string()]);
}

/// The state of the pairs is part of every change of an entry by a person.
#[test]
fn a_hold_keeps_the_state_of_the_pairs() {
    let test_env = TestEnvironment::new();
    let repo = clone_sets(&test_env, "");
    repo.change(&[("sidecars/mesh.yaml", &mesh("envoy:2", "helper:1"))], &[]);
    watched(&repo, 60);
    let base = repo.id("main");
    let rendered = repo.text("main", "rendered/shop/web.yaml");
    repo.pillion(&["hold", "cloneset/web", "--reason", "later"]);
    repo.pillion(&["hold", "cloneset/web", "--off"]);
    assert_eq!(repo.text("main", "rendered/shop/web.yaml"), rendered);
    assert_eq!(repo.text("main", "ledgers/mesh.yaml"), repo.text(&base.to_string(), "ledgers/mesh.yaml"));
    repo.pillion(&["hold", "cloneset/web", "--reason", "later"]);
    repo.change(&[("sidecars/mesh.yaml", &mesh("envoy:3", "helper:1"))], &[]);
    watched(&repo, 60);
    assert_eq!(pair(&repo, "main", "shop/api.yaml"), "envoy:3 empty:1 1");
    assert_eq!(pair(&repo, "main", "shop/web.yaml"), "empty:1 envoy:2 2");
    let (code, stderr) = repo.refused(&["hold", "cloneset/web", "--off"]);
    assert!(code == 1 && stderr.contains("--until"), "{stderr}");
    repo.is_sound_since(&test_env, base);
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
    assert!(plan.contains("--> sidecars/mesh.yaml:12:20"), "{plan}");
    assert!(plan.contains("recreating a pod recreates its working container"), "{plan}");
    let output = watched(&repo, 20);
    assert!(output["mesh"].contains("hot-upgrade: `envoy` (sidecars/mesh.yaml:12:20)"), "{output:?}");
    // The CloneSet is upgraded; the Deployments wait.
    assert_eq!(pair(&repo, "main", "shop/web.yaml"), "empty:1 envoy:2 2");
    for file in &FILES[..3] {
        assert_eq!(pair(&repo, "main", file), "envoy:1 empty:1 1", "{file}");
    }
    repo.is_sound_since(&test_env, head);
    // A change of the other container goes its way.
    let head = repo.change(&[("sidecars/mesh.yaml", &mesh("envoy:1", "helper:2"))], &[]);
    watched(&repo, 40);
    for file in FILES {
        assert!(repo.text("main", &format!("rendered/{file}")).contains("image: helper:2"), "{file}");
    }
    assert_eq!(pair(&repo, "main", "shop/web.yaml"), "envoy:1 empty:1 1");
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
