//! Health over random clusters: it keeps no state, does not panic, and changes with time alone only when it announced
//! that.

use jiff::{SignedDuration, Timestamp};
use pillion::rollout::update_method::UpdateMethod;
use pillion::watch::expected_state::{ExpectedState, ExpectedWorkload};
use pillion::watch::health::{HealthLimits, HealthReport, RolloutHealth, assess_health};
use pillion::watch::snapshot::{
    ContainerRole, ContainerState, ContainerTermination, LiveContainer, LivePod, LivePodCondition,
    LiveWorkload, PodPhase, Snapshot, WorkloadCondition,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::json;
use serde_json::value::to_raw_value;
use std::sync::Arc;

const KEYS: [&str; 4] =
    ["Deployment.apps/a/web", "StatefulSet.apps/a/db", "CloneSet.apps.kruise.io/a/set", "Pod/a/box"];

/// Any time within an hour around noon, and now and then one far away.
fn time() -> impl Strategy<Value = Timestamp> {
    prop_oneof![
        30 => (0_i64..3600).prop_map(|s| Timestamp::UNIX_EPOCH + SignedDuration::from_secs(s)),
        1 => select(vec![Timestamp::MIN, Timestamp::MAX]),
    ]
}

fn text(choices: &[&'static str]) -> impl Strategy<Value = Arc<str>> + use<> {
    select(choices.to_vec()).prop_map(Arc::from)
}

fn end() -> impl Strategy<Value = ContainerTermination> {
    let reason = text(&["Error", "OOMKilled", "Completed", "StartError"]);
    (0..3_i32, reason, option::of(time()), option::of(time())).prop_map(
        |(exit_code, reason, started, finished)| ContainerTermination {
            exit_code,
            reason,
            started_at: started,
            finished_at: finished,
        },
    )
}

fn state() -> impl Strategy<Value = ContainerState> {
    let reason = text(&[
        "CrashLoopBackOff",
        "ImagePullBackOff",
        "ErrImagePull",
        "InvalidImageName",
        "CreateContainerConfigError",
        "PodInitializing",
        "ContainerCreating",
    ]);
    let message = text(&["", "log:2: not found", "log:1: i/o timeout", "no more is known"]);
    prop_oneof![
        1 => Just(ContainerState::Unknown),
        4 => (reason, message).prop_map(|(reason, message)| ContainerState::Waiting { reason, message }),
        6 => option::of(time()).prop_map(|since| ContainerState::Running { since }),
        2 => end().prop_map(ContainerState::Terminated),
    ]
}

fn container(name: &'static str, images: &'static [&'static str]) -> impl Strategy<Value = LiveContainer> {
    let role = select(vec![
        ContainerRole::Main,
        ContainerRole::Main,
        ContainerRole::Main,
        ContainerRole::NativeSidecar,
        ContainerRole::Init,
    ]);
    let ids = || option::of(text(&["", "sha256:a", "sha256:b"]));
    let asked = (role, text(images), option::of(text(images)), ids(), ids());
    let status = (any::<bool>(), 0..6_u32, state(), option::of(end()));
    (asked, status).prop_map(move |((role, image, running_image, image_id, before), status)| {
        let (is_ready, restarts, state, last_end) = status;
        LiveContainer {
            name: name.into(),
            role,
            image,
            running_image,
            image_id,
            previous_image_id: before,
            is_ready,
            restarts,
            state,
            last_termination: last_end,
        }
    })
}

fn condition() -> impl Strategy<Value = LivePodCondition> {
    let reason = option::of(text(&["ContainersNotReady", "Unschedulable", ""]));
    (any::<bool>(), option::of(time()), reason).prop_map(|(holds, since, reason)| LivePodCondition {
        is_true: holds,
        since,
        reason,
        message: None,
    })
}

fn pod() -> impl Strategy<Value = LivePod> {
    let phase = select(vec![
        PodPhase::Running,
        PodPhase::Running,
        PodPhase::Running,
        PodPhase::Pending,
        PodPhase::Failed,
        PodPhase::Succeeded,
        PodPhase::Unknown,
    ]);
    let times = (option::of(time()), option::weighted(0.2, time()), option::weighted(0.3, time()));
    let words = (option::of(text(&["new", "web-new", "old"])), option::weighted(0.1, text(&["Evicted"])));
    let flags = (any::<bool>(), any::<bool>(), option::weighted(0.1, text(&["EvictionByEvictionAPI"])));
    let containers = (container("app", &["app:1"]), container("log", &["log:1", "log:2"]));
    (phase, times, words, flags, condition(), condition(), containers).prop_map(
        |(phase, (created, deleted, changed), (revision, reason), flags, ready, scheduled, (app, log))| {
            let (is_unseen, is_scheduled, disruption) = flags;
            LivePod {
                uid: "".into(),
                created,
                deletion_time: deleted,
                updated_in_place: changed,
                is_update_unobserved: is_unseen,
                revision,
                is_scheduled,
                phase,
                reason,
                ready,
                scheduled,
                disruption,
                containers: [app, log].into(),
            }
        },
    )
}

fn template(image: &str) -> serde_json::Value {
    json!({"spec": {"containers": [{"name": "app", "image": "app:1"}, {"name": "log", "image": image}]}})
}

fn workload() -> impl Strategy<Value = LiveWorkload> {
    let numbers = (0..3_i64, option::of(0..3_i64), option::of(0..5_u32), 0..200_u32);
    let is_new = prop::bool::weighted(0.9);
    let times = (option::of(time()), option::of(time()));
    let kinds = text(&["ReplicaFailure", "Progressing", "Degraded"]);
    let message = text(&["exceeded quota: mem", "denied by policy", ""]);
    let complaint = (kinds, message, option::of(time())).prop_map(|(kind, message, since)| {
        WorkloadCondition { kind, reason: "FailedCreate".into(), message, since }
    });
    let revision = option::of(Just(Arc::from("new")));
    let rest = (prop::bool::weighted(0.1), revision, vec(complaint, 0..2), vec(pod(), 0..5));
    (numbers, is_new, times, rest).prop_map(
        |((generation, observed_generation, desired, min_ready), is_new, times, rest)| {
            let (waits_for_person, update_revision, complaints, pods) = rest;
            let template = template(if is_new { "log:2" } else { "log:1" });
            LiveWorkload {
                not_upgradable: 0,
                generation,
                observed_generation,
                desired,
                template: Some(to_raw_value(&template).unwrap().into()),
                partition: None,
                is_update_manual: waits_for_person,
                progress_deadline: None,
                min_ready_seconds: min_ready,
                update_revision,
                revision_created: times.0,
                spec_changed: times.1,
                conditions: complaints,
                pods: (0..).zip(pods).map(|(i, pod)| (format!("p-{i}").into(), pod)).collect(),
            }
        },
    )
}

fn expected(key: &'static str) -> impl Strategy<Value = ExpectedWorkload> {
    let how = select(vec![
        UpdateMethod::Recreate,
        UpdateMethod::Recreate,
        UpdateMethod::InPlace,
        UpdateMethod::InPlace,
        UpdateMethod::NextRun,
    ]);
    let more = option::of(Just("memory +1Mi".to_owned()));
    (1..3_u32, how, 0..2_u32, any::<bool>(), more).prop_map(
        move |(batch, how, kept, is_ordered, more_requests)| ExpectedWorkload {
            set: None,
            key: key.into(),
            batch,
            update_method: how,
            template: template("log:2"),
            sidecars: [Arc::from("log")].into(),
            removed_sidecars: [].into(),
            is_ordered,
            partition: None,
            native_partition: None,
            kept_pods: kept,
            request_increase: more_requests,
            memory_limits: Vec::new(),
        },
    )
}

fn observation() -> impl Strategy<Value = (ExpectedState, Snapshot, HealthLimits)> {
    let released = (KEYS.map(expected), any::<bool>()).prop_map(|(workloads, goes_back)| ExpectedState {
        batch: 2,
        is_rollback: goes_back,
        workloads: workloads.into(),
        pending: Vec::new(),
    });
    let workloads = vec(option::weighted(0.8, workload()), KEYS.len());
    let snapshot = (time(), workloads).prop_map(|(now, workloads)| {
        let found =
            KEYS.iter().zip(workloads).filter_map(|(key, workload)| Some((Arc::from(*key), workload?)));
        Snapshot { now, workloads: found.collect() }
    });
    let limits = prop_oneof![
        9 => Just(HealthLimits::default()),
        1 => Just(HealthLimits { soak: u64::MAX, progress_deadline: u64::MAX, ..HealthLimits::default() }),
    ];
    (released, snapshot, limits)
}

/// What a report says that does not depend on names.
fn gist(report: &HealthReport) -> impl PartialEq + std::fmt::Debug + use<> {
    let each: Vec<_> =
        report.workloads.iter().map(|w| (w.key.clone(), w.status, w.desired, w.updated, w.ready)).collect();
    (report.status, each, report.unavailable, report.changes_at)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// The same input gives the same answer, in any order of workloads and with any names of pods.
    #[test]
    fn a_judge_remembers_nothing((mut released, mut snapshot, limits) in observation()) {
        let first = assess_health(&released, &snapshot, &limits);
        prop_assert_eq!(&first, &assess_health(&released, &snapshot, &limits));
        released.workloads.reverse();
        prop_assert_eq!(&first, &assess_health(&released, &snapshot, &limits));
        for workload in snapshot.workloads.values_mut() {
            let pods = std::mem::take(&mut workload.pods);
            workload.pods = (0..9).rev().zip(pods).map(|(i, (_, pod))| (format!("q-{i}").into(), pod)).collect();
        }
        prop_assert_eq!(gist(&first), gist(&assess_health(&released, &snapshot, &limits)));
    }

    /// Pods with the previous template use up nothing.
    #[test]
    fn pods_of_before_are_never_unavailable((released, mut snapshot, limits) in observation(), more in vec(pod(), 1..4)) {
        let first = assess_health(&released, &snapshot, &limits);
        for workload in snapshot.workloads.values_mut() {
            for (i, mut pod) in (0..).zip(more.clone()) {
                let mut containers = pod.containers.to_vec();
                containers[1].image = "log:1".into();
                pod.containers = containers.into();
                workload.pods.insert(format!("z-{i}").into(), pod);
            }
        }
        let second = assess_health(&released, &snapshot, &limits);
        prop_assert_eq!(first.unavailable, second.unavailable);
        let carrying = |j: &HealthReport| j.workloads.iter().map(|w| (w.updated, w.ready)).collect::<Vec<_>>();
        prop_assert_eq!(carrying(&first), carrying(&second));
    }

    /// A loop may sleep until `changes_at`.
    #[test]
    fn time_alone_changes_nothing_before_it_is_said(
        (released, mut snapshot, limits) in observation(),
        seconds in vec(0_i64..100_000, 1..6),
    ) {
        let first = assess_health(&released, &snapshot, &limits);
        prop_assert!(first.changes_at.is_none_or(|at| at > snapshot.now));
        let start = snapshot.now;
        for seconds in seconds {
            let later = start.saturating_add(SignedDuration::from_secs(seconds)).unwrap();
            if first.changes_at.is_none_or(|at| later < at) {
                snapshot.now = later;
                prop_assert_eq!(first.status, assess_health(&released, &snapshot, &limits).status, "at {}", later);
            }
        }
    }

    /// Healthy means that all pods that are wanted are there and ready.
    #[test]
    fn healthy_is_never_said_of_less((released, snapshot, limits) in observation()) {
        let report = assess_health(&released, &snapshot, &limits);
        for w in &report.workloads {
            prop_assert!(w.ready <= w.updated, "{w:?}");
            let is_nothing = w.status == pillion::watch::health::HealthStatus::Unknown;
            if report.status == RolloutHealth::Healthy && w.batch == released.batch {
                prop_assert!(is_nothing || (w.ready == w.updated && w.ready >= w.desired), "{w:?}");
            }
            prop_assert!(!w.reasons.is_empty() && w.reasons.iter().all(|r| !r.contains('\n')), "{w:?}");
        }
    }
}
