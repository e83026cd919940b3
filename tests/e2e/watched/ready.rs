//! Records when pods became ready, as a watch shows it: a late simulated kubelet rewrites the time in a pod's status,
//! although the pod was never unready.

use crate::harness::api::{PODS, follow};
use crate::harness::pods::{is_ready, runs_image};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// When the last pod of each application was first seen ready.
pub(super) struct Ready(Arc<Mutex<BTreeMap<String, Timestamp>>>);

impl Ready {
    /// Follows the pods of a namespace that carry an image, until the tests end.
    pub(super) fn follow(namespace: &str, image: &'static str) -> Self {
        let events = follow(&PODS.path(Some(namespace), "")).unwrap();
        let last = Arc::<Mutex<BTreeMap<String, Timestamp>>>::default();
        let kept = Arc::clone(&last);
        thread::spawn(move || {
            let mut seen = BTreeSet::new();
            for event in events {
                let (pod, now) = (&event["object"], Timestamp::now());
                if is_ready(pod) && runs_image(pod, image) && seen.insert(pod["metadata"]["uid"].to_string())
                {
                    let of = pod["metadata"]["labels"]["app"].as_str().unwrap().to_owned();
                    kept.lock().unwrap_or_else(PoisonError::into_inner).insert(of, now);
                }
            }
        });
        Self(last)
    }

    /// When the last of the pods of some applications was seen ready.
    pub(super) fn last_of<'n>(&self, names: impl Iterator<Item = &'n str>) -> Timestamp {
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        names.map(|name| last[name]).max().unwrap()
    }
}
