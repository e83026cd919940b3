//! Rollouts of generated pods: the worked examples of Kruise's articles, and single rules.

use crate::support::pod_fixtures::{HASH, next, pod, pods, record, roll_out, runs, set, set_with, update};
use indoc::indoc;
use pillion::model::sidecar_set::SidecarSet;
use pillion::model::timestamp::Timestamp;
use pillion::rollout::LabelMap;
use pillion::rollout::pods::{NamespaceLabelMap, PodContainer, PodStepKind, SidecarPod, next_pod_step};
use serde_json::json;

const STATE: &str = "kruise.io/sidecarset-inplace-update-state";
const WORKING: &str = "kruise.io/sidecarset-working-hotupgrade-container";

fn sizes(batches: &[Vec<String>]) -> Vec<usize> {
    batches.iter().map(Vec::len).collect()
}

#[test]
fn a_thousand_pods_stop_after_twenty_and_go_on_in_hundreds() {
    let held = set("{type: RollingUpdate, partition: 980, maxUnavailable: 10%}");
    let mut pods = pods(&held, 1000);
    let (batches, rest) = roll_out(&held, &mut pods);
    assert_eq!((sizes(&batches), rest.kind), (vec![20], PodStepKind::Hold));
    assert_eq!(rest.reason.as_deref(), Some("980 pods are kept by `partition`"));
    let (batches, rest) = roll_out(&set("{type: RollingUpdate, maxUnavailable: 10%}"), &mut pods);
    assert_eq!(
        (sizes(&batches), rest.kind),
        (vec![100, 100, 100, 100, 100, 100, 100, 100, 100, 80], PodStepKind::Complete)
    );
}

#[test]
fn partition_and_max_unavailable_are_not_associated() {
    let fifty = set("{partition: 50, maxUnavailable: 10}");
    assert_eq!(sizes(&roll_out(&fifty, &mut pods(&fifty, 100)).0), [10; 5]);
    let twenty = set("{partition: 80, maxUnavailable: 30}");
    assert_eq!(sizes(&roll_out(&twenty, &mut pods(&twenty, 100)).0), [20]);
}

#[test]
fn a_canary_is_updated_alone_until_the_selector_goes() {
    let canary = set("{selector: {matchLabels: {canary.release: 'true'}}, maxUnavailable: 10%}");
    let mut pods = pods(&canary, 40);
    for number in [3, 5, 9] {
        pods[number].labels.insert("canary.release".into(), "true".into());
    }
    let (batches, rest) = roll_out(&canary, &mut pods);
    assert_eq!(batches, [["default/p-0009", "default/p-0005", "default/p-0003"]]);
    assert_eq!(rest.reason.as_deref(), Some("37 pods are excluded by `updateStrategy.selector`"));
    let (batches, rest) = roll_out(&set("{maxUnavailable: 10%}"), &mut pods);
    assert_eq!((batches.concat().len(), batches[0].len(), rest.kind), (37, 4, PodStepKind::Complete));
}

#[test]
fn applications_are_scattered() {
    let set = set_with(indoc! {"
        containers:
        - {name: log, image: 'log:2'}
        updateStrategy:
          maxUnavailable: 10%
          scatterStrategy:
          - {key: app_name, value: nginx}
          - {key: app_name, value: web-server}
          - {key: app_name, value: api-gateway}
    "});
    let mut pods = pods(&set, 30);
    for (number, pod) in pods.iter_mut().enumerate() {
        let app = ["nginx", "web-server", "api-gateway"][number / 10];
        pod.labels.insert("app_name".into(), app.into());
    }
    let apps: std::collections::BTreeMap<String, String> =
        pods.iter().map(|p| (p.key(), p.labels["app_name"].clone())).collect();
    let (batches, _) = roll_out(&set, &mut pods);
    assert_eq!(sizes(&batches), [3; 10]);
    let whole_rollout = batches.concat();
    for app in ["nginx", "web-server", "api-gateway"] {
        let of_app = |pods: &[String]| pods.iter().filter(|p| apps[*p] == app).count();
        let (first, second) = (of_app(&whole_rollout[..15]), of_app(&whole_rollout[15..]));
        assert!(first >= 3 && second >= 3, "{app}: {first} in the first half, {second} in the second");
    }
}

#[test]
fn the_bound_is_one_where_none_is_written() {
    let set = set("{}");
    let mut pods = pods(&set, 3);
    assert_eq!(next(&set, &pods).pods, ["default/p-0002"]);
    update(&set, &mut pods[2]);
    pods[2].is_ready = false;
    let step = next(&set, &pods);
    assert_eq!(step.kind, PodStepKind::Wait);
    assert_eq!(step.reason.as_deref(), Some("`maxUnavailable` (1) is used up: 1 updated pod is not ready"));
}

#[test]
fn old_pods_that_are_not_ready_cost_nothing_until_a_ready_one_stands_before_them() {
    let set = set("{maxUnavailable: 0}");
    let mut pods = pods(&set, 4);
    pods[0].is_ready = false;
    pods[2].phase = "Pending".into();
    assert_eq!(next(&set, &pods).pods, ["default/p-0002", "default/p-0000"]);
    let by_order = set_with(indoc! {"
        containers:
        - {name: log, image: 'log:2'}
        updateStrategy:
          maxUnavailable: 0
          priorityStrategy:
            orderPriority:
            - orderedKey: order
    "});
    for (number, pod) in pods.iter_mut().enumerate() {
        pod.labels.insert("order".into(), format!("o-{}", 9 - number));
    }
    assert_eq!(next(&by_order, &pods).pods, ["default/p-0000"], "p-0001 is ready and stands before p-0002");
}

#[test]
fn the_default_order_prefers_pods_that_are_missed_least() {
    let set = set("{maxUnavailable: 100%}");
    let mut pods = pods(&set, 9);
    let time = |text: &str| Timestamp::parse(text);
    pods[0].has_node = false;
    pods[1].phase = "Pending".into();
    pods[2].phase = "Unknown".into();
    pods[3].is_ready = false;
    pods[4].ready_since = None;
    pods[5].ready_since = time("2026-01-02T01:00:00.5+01:00");
    pods[6].ready_since = time("2026-01-02T00:00:00Z");
    // The two that are left became ready at one time.
    (pods[7].ready_since, pods[8].ready_since) = (time("2026-01-01T00:00:00Z"), time("2026-01-01T00:00:00Z"));
    pods[7].statuses[0].restarts = 2;
    let expected: Vec<String> = (0..9).map(|n| format!("default/p-{n:04}")).collect();
    assert_eq!(next(&set, &pods).pods, expected);
    pods[7].statuses[0].restarts = 0;
    assert_eq!(next(&set, &pods).pods[7..], ["default/p-0008", "default/p-0007"], "the younger one first");
    pods[8].created = pods[7].created;
    assert_eq!(next(&set, &pods).pods[7..], ["default/p-0007", "default/p-0008"], "then by name");
}

#[test]
fn pods_that_do_not_count() {
    let set = set("{maxUnavailable: 100%}");
    let mut pods = pods(&set, 9);
    pods[0].labels.clear();
    pods[1].phase = "Succeeded".into();
    pods[2].phase = "Failed".into();
    pods[3].is_deleting = true;
    pods[4].annotations.remove("kruise.io/sidecarset-injected-list");
    pods[5].annotations.insert("kruise.io/sidecarset-injected-list".into(), "other, log,log-2".into());
    pods[6].containers.retain(|c| c.name != "log");
    // A container of that name counts wherever it is.
    pods[7].containers.retain(|c| c.name != "log");
    pods[7].statuses.retain(|s| s.name != "log");
    pods[7].init_containers = vec!["log".into()];
    assert_eq!(next(&set, &pods).pods, ["default/p-0008", "default/p-0007"]);
    assert_eq!(next(&set, &pods).status.matched_pods, 2);
}

#[test]
fn both_forms_of_the_hash_are_read_and_nothing_else() {
    let set = set("{maxUnavailable: 100%}");
    let hash = |text: String| {
        let mut pod = pod(&set, 0);
        pod.annotations.insert(HASH.into(), text);
        next(&set, &[pod]).status.updated_pods
    };
    assert_eq!(hash(json!({"log": {"hash": set.hash}}).to_string()), 1);
    assert_eq!(hash(json!({"log": set.hash, "other": "x"}).to_string()), 1);
    for text in [
        String::new(),
        "{".into(),
        "[]".into(),
        json!({"other": set.hash}).to_string(),
        json!({"log": set.hash, "other": {"hash": "x"}}).to_string(),
        json!({"log": {"hash": 1}}).to_string(),
    ] {
        assert_eq!(hash(text.clone()), 0, "{text}");
    }
}

#[test]
fn more_than_images_is_not_upgradable_and_not_kept_either() {
    let set = set("{maxUnavailable: 100%, partition: 4}");
    let mut pods = pods(&set, 10);
    for pod in &mut pods[..4] {
        record(pod, "kruise.io/sidecarset-hash-without-image", "other");
    }
    let step = next(&set, &pods);
    assert_eq!(step.pods, ["default/p-0009", "default/p-0008"]);
    assert_eq!(step.not_upgradable, [0, 1, 2, 3].map(|n| format!("default/p-{n:04}")));
}

/// A pod with a sidecar that was given another image before.
fn patched(set: &SidecarSet, before: &str) -> SidecarPod {
    let mut pod = pod(set, 0);
    pod.containers[1].image = "log:1.5".into();
    let state = json!({"log": {"lastContainerStatuses": {"log": {"imageID": before}}}});
    pod.annotations.insert(STATE.into(), state.to_string());
    pod
}

#[test]
fn an_update_under_way_is_not_disturbed() {
    let set = set("{}");
    let under_way = patched(&set, "docker-pullable://log:1");
    let step = next(&set, std::slice::from_ref(&under_way));
    assert_eq!((step.kind, step.status.ready_pods), (PodStepKind::Wait, 0));
    assert_eq!(step.reason.as_deref(), Some("1 pod is still completing an earlier update"));
    // Another image id, or the image's name, shows that the update is done; a container that is not ready is free.
    assert_eq!(next(&set, &[patched(&set, "docker-pullable://log:0")]).kind, PodStepKind::Batch);
    let mut renamed = under_way.clone();
    renamed.statuses[1].image = "log:1.5".into();
    assert_eq!(next(&set, &[renamed]).kind, PodStepKind::Batch);
    let mut crashed = under_way.clone();
    crashed.statuses[1].is_ready = false;
    assert_eq!(next(&set, &[crashed]).kind, PodStepKind::Batch);
    let mut unknown = under_way.clone();
    unknown.annotations.insert(STATE.into(), "?".into());
    assert_eq!(next(&set, &[unknown]).kind, PodStepKind::Wait);
    // An update for another set is not looked at.
    let mut of_another = under_way;
    let state = of_another.annotations[STATE].replace("\"log\":{\"last", "\"other\":{\"last");
    of_another.annotations.insert(STATE.into(), state);
    assert_eq!(next(&set, &[of_another]).kind, PodStepKind::Batch);
}

#[test]
fn images_by_digest_are_compared_by_digest() {
    let set = set("{}");
    let image = |repository: &str, digit: &str| format!("{repository}@sha256:{}", digit.repeat(64));
    let ready = |wanted: &str, runs: &str| {
        let mut pod = pod(&set, 0);
        pod.containers[1].image = wanted.into();
        pod.statuses[1].image_id = runs.into();
        next(&set, &[pod]).status.ready_pods
    };
    assert_eq!(ready(&image("log", "a"), &image("log", "a")), 1);
    assert_eq!(ready(&image("log:2", "a"), &format!("docker-pullable://{}", image("log", "a"))), 1);
    assert_eq!(ready(&image("log", "a"), &image("log", "b")), 0);
    assert_eq!(ready(&image("log", "a"), &image("registry.example/log", "a")), 0);
    assert_eq!(ready(&image("log", "a"), ""), 0);
    assert_eq!(ready("log:3", &image("log", "b")), 1, "a tag is not compared without an update");
}

#[test]
fn a_pod_without_all_its_statuses_is_not_ready() {
    let set = set("{}");
    let mut pod = pod(&set, 0);
    pod.statuses.pop();
    assert_eq!(next(&set, &[pod]).status.ready_pods, 0);
}

const HOT: &str = indoc! {"
    containers:
    - name: log
      image: 'log:2'
      upgradeStrategy:
        upgradeType: HotUpgrade
        hotUpgradeEmptyImage: 'empty:1'
"};

/// A pod with both containers of a pair; the first one works.
fn pair(set: &SidecarSet, images: [&str; 2]) -> SidecarPod {
    let mut pod = pod(set, 0);
    pod.containers.truncate(1);
    for (name, image) in ["log-1", "log-2"].into_iter().zip(images) {
        pod.containers.push(PodContainer { name: name.into(), image: image.into() });
    }
    pod.statuses = pod.containers.iter().map(runs).collect();
    pod.annotations.insert(WORKING.into(), json!({"log": "log-1"}).to_string());
    pod
}

#[test]
fn a_hot_upgrade_takes_two_rounds() {
    let set = set_with(HOT);
    let mut hot = pair(&set, ["log:1", "empty:1"]);
    let pods = |pod: &SidecarPod| next(&set, std::slice::from_ref(pod));
    assert_eq!((pods(&hot).kind, pods(&hot).status.ready_pods), (PodStepKind::Batch, 1));
    // The new version runs beside the old one.
    hot.containers[2].image = "log:2".into();
    hot.statuses[2] = runs(&hot.containers[2]);
    hot.annotations.insert(WORKING.into(), json!({"log": "log-2"}).to_string());
    record(&mut hot, HASH, &set.hash);
    let step = pods(&hot);
    assert_eq!(
        (step.kind, step.status.updated_pods, step.status.ready_pods),
        (PodStepKind::HotUpgradeSwap, 1, 0)
    );
    assert_eq!(step.pods, ["default/p-0000"]);
    // While the new one is not ready, or not running yet, both stay.
    let mut starting = hot.clone();
    (starting.is_ready, starting.statuses[2].is_ready) = (false, false);
    assert_eq!(pods(&starting).kind, PodStepKind::Complete);
    let mut other_unready = hot.clone();
    (other_unready.is_ready, other_unready.statuses[1].is_ready) = (false, false);
    assert_eq!(pods(&other_unready).kind, PodStepKind::HotUpgradeSwap, "the old one need not be ready");
    let paused = set_with(&format!("{HOT}updateStrategy: {{paused: true}}"));
    assert_eq!(next(&paused, std::slice::from_ref(&hot)).kind, PodStepKind::Hold);
    // The old one has the empty image.
    hot.containers[1].image = "empty:1".into();
    hot.statuses[1] = runs(&hot.containers[1]);
    let step = pods(&hot);
    assert_eq!((step.kind, step.status.updated_ready_pods), (PodStepKind::Complete, 1));
}

#[test]
fn a_pair_must_be_whole() {
    let set = set_with(HOT);
    let whole = pair(&set, ["log:1", "empty:1"]);
    let matched = |pod: &SidecarPod| next(&set, std::slice::from_ref(pod)).status.matched_pods;
    assert_eq!(matched(&whole), 1);
    let mut unnoted = whole.clone();
    unnoted.annotations.remove(WORKING);
    let mut single = whole;
    single.containers.pop();
    assert_eq!((matched(&unnoted), matched(&single)), (0, 0));
}

#[test]
fn every_hold_has_its_reason() {
    let paused = set("{paused: true}");
    let never = set("{type: NotUpdate}");
    let bound = set("{maxUnavailable: 0}");
    let reason = |set: &SidecarSet| {
        let step = next(set, &pods(set, 2));
        assert_eq!(step.kind, PodStepKind::Hold);
        step.reason.unwrap()
    };
    assert_eq!(reason(&paused), "`updateStrategy.paused` is set");
    assert_eq!(reason(&never), "`updateStrategy.type` is `NotUpdate`");
    assert_eq!(reason(&bound), "`maxUnavailable` is 0: ready pods are not updated");
    // Kruise looks for NotUpdate only.
    let unknown = set("{type: Sometimes}");
    assert_eq!(next(&unknown, &pods(&unknown, 2)).kind, PodStepKind::Batch);
    let step = next(&paused, &[]);
    assert_eq!((step.kind, step.status.matched_pods), (PodStepKind::Hold, 0));
    assert_eq!(next(&bound, &[]).reason.as_deref(), Some("no pod is matched"));
}

#[test]
fn namespaces_are_asked_where_the_set_selects_some() {
    let set = set_with(indoc! {"
        containers:
        - {name: log, image: 'log:2'}
        namespaceSelector:
          matchLabels: {team: shop}
    "});
    let mut pods = pods(&set, 3);
    for (pod, namespace) in pods.iter_mut().zip(["shop", "infra", "lost"]) {
        pod.namespace = namespace.into();
    }
    let labels = |team: &str| -> LabelMap { [("team".to_owned(), team.to_owned())].into() };
    let namespaces = [("shop".to_owned(), labels("shop")), ("infra".to_owned(), labels("infra"))].into();
    let (step, found) = next_pod_step(&set, &pods, &namespaces);
    assert_eq!(step.pods, ["shop/p-0000"]);
    assert!(found.len() == 1 && !found[0].is_error(), "{found:?}");
    let (_, found) = next_pod_step(&set, &pods, &NamespaceLabelMap::new());
    assert!(found.len() == 3 && found.iter().all(|f| f.is_error()), "{found:?}");
    let by_name = set_with(indoc! {"
        containers:
        - {name: log, image: 'log:2'}
        namespaceSelector:
          matchLabels: {kubernetes.io/metadata.name: lost}
    "});
    let (step, found) = next_pod_step(&by_name, &pods, &NamespaceLabelMap::new());
    assert!(found.is_empty(), "{found:?}");
    assert_eq!(step.pods, ["lost/p-0002"]);
}

#[test]
fn more_than_all_keeps_all() {
    for (partition, batches) in [("100%", 0), ("101%", 0), ("150%", 0), ("99%", 1), ("91%", 1)] {
        let set = set(&format!("{{partition: '{partition}', maxUnavailable: 10}}"));
        assert_eq!(roll_out(&set, &mut pods(&set, 10)).0.concat().len(), batches, "{partition}");
    }
}

#[test]
fn restarts_of_native_sidecars_decide_where_others_are_alike() {
    let set = set("{maxUnavailable: 4}");
    let mut pods = pods(&set, 4);
    for (pod, native) in pods.iter_mut().zip([2, 7, 0, 3]) {
        (pod.ready_since, pod.created, pod.native_restarts) = (None, None, native);
    }
    pods[2].statuses[0].restarts = 1;
    let wanted = ["default/p-0002", "default/p-0001", "default/p-0003", "default/p-0000"];
    assert_eq!(next(&set, &pods).pods, wanted);
}

#[test]
fn a_hash_with_a_time_that_nobody_can_read_does_not_count() {
    let set = set("{}");
    let mut pod = pod(&set, 0);
    let times = [("2026-01-01T00:00:00Z", 1), ("2026-01-01T02:00:00+02:00", 1), ("yesterday", 0), ("", 0)];
    for (time, updated) in times {
        let entries = json!({"log": {"hash": set.hash, "updateTimestamp": time}, "other": {"hash": "h"}});
        pod.annotations.insert(HASH.into(), entries.to_string());
        assert_eq!(next(&set, std::slice::from_ref(&pod)).status.updated_pods, updated, "{time}");
    }
}

#[test]
fn a_condition_that_nobody_can_read_ends_the_round() {
    let set = set("{maxUnavailable: 3}");
    let mut pods = pods(&set, 3);
    pods[1].is_upgradable_unreadable = true;
    let found_after_the_update = ["default/p-0002", "default/p-0001"];
    assert_eq!(next(&set, &pods).pods, found_after_the_update);
    record(&mut pods[1], "kruise.io/sidecarset-hash-without-image", "other");
    let step = next(&set, &pods);
    assert_eq!((step.kind, step.pods.len()), (PodStepKind::Hold, 0));
    assert!(step.reason.is_some_and(|r| r.contains("`SidecarSetUpgradable` of default/p-0001")));
}

#[test]
fn a_null_label_is_no_label() {
    let set = set("{selector: {matchLabels: {log: 'true', tier: null}}, maxUnavailable: 3}");
    assert_eq!(next(&set, &pods(&set, 2)).pods.len(), 2);
}
