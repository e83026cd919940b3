//! How bad can it get while a workload replaces pods? Its controller is played with every new pod ready as late as
//! possible.

use super::how::How;
use super::strategy::{Rolling, Strategy};

/// Larger workloads are not played step by step: their strategy's own limits are what the play ends up with.
const MOST_PLAYED: u64 = 5_000;

/// Which pods of a workload take the new template: those after the first `from` up to the first `to`, of `of`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Move {
    /// Pods that have it already, all of them available.
    pub from: u64,
    /// Pods that have it in the end.
    pub to: u64,
    /// The size of the workload.
    pub of: u64,
}

/// The worst that the workload's own strategy lets happen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The most pods that are missing or not available at once.
    pub unavailable: u64,
    /// The most pods above the size at once.
    pub surge: u64,
    /// Pods that are replaced by new ones.
    pub recreated: u64,
    /// Pods that stay, with containers started again.
    pub in_place: u64,
}

impl Outcome {
    /// Returns the containers that start again: all those of a recreated pod, the changed ones in place.
    pub fn restarted(&self, all: u64, changed: u64) -> u64 {
        self.recreated.saturating_mul(all).saturating_add(self.in_place.saturating_mul(changed))
    }
}

/// The pods of a workload at one moment. Pods that are being deleted are gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct State {
    /// Old pods, available.
    pub old: u64,
    /// New pods, not available yet.
    pub waiting: u64,
    /// New pods, available.
    pub ready: u64,
    /// Pods that were not recreated.
    pub in_place: u64,
}

/// A workload that moves pods: its rules and what it is to reach.
#[derive(Debug, Clone)]
pub struct Play<'a> {
    /// The rules, but for [`Rolling::Subsets`], which has a play for each.
    pub rolling: &'a Rolling,
    /// Pods take the template in place.
    pub is_in_place: bool,
    /// The size.
    pub of: u64,
    /// Pods that stay old.
    pub keep: u64,
}

/// Plays the worst course of a move.
pub fn simulate(strategy: &Strategy, how: How, pods: Move) -> Outcome {
    if !how.moves_pods() {
        return Outcome::default();
    }
    let keep = if strategy.partition.is_some() {
        pods.of.saturating_sub(pods.to)
    } else {
        strategy.kept.min(pods.of)
    };
    let is_in_place = how == How::InPlace;
    let Rolling::Subsets(subsets) = &strategy.rolling else {
        return Play { rolling: &strategy.rolling, is_in_place, of: pods.of, keep }.worst(pods.from);
    };
    // All subsets roll at once, each with its own partition.
    let each = subsets
        .iter()
        .map(|(size, keep, rolling)| Play { rolling, is_in_place, of: *size, keep: *keep }.worst(0));
    let sum = each.fold(Outcome::default(), |a, b| Outcome {
        unavailable: a.unavailable.saturating_add(b.unavailable),
        surge: a.surge.saturating_add(b.surge),
        recreated: a.recreated.saturating_add(b.recreated),
        in_place: a.in_place.saturating_add(b.in_place),
    });
    // Sizes of subsets are rounded up.
    let moved = pods.of - keep;
    let in_place = sum.in_place.min(moved);
    Outcome {
        unavailable: sum.unavailable.min(moved),
        surge: sum.surge.min(moved),
        recreated: moved - in_place,
        in_place,
    }
}

impl Play<'_> {
    /// Returns the worst course from a number of new pods on.
    pub fn worst(&self, from: u64) -> Outcome {
        let mut state = self.start(from);
        let moved = state.old.saturating_sub(self.keep);
        if moved == 0 {
            return Outcome::default();
        }
        let mut worst = Outcome::default();
        let mut look = |state: &State| {
            worst.unavailable = worst.unavailable.max(self.unavailable(state));
            worst.surge = worst.surge.max(self.surge(state));
        };
        if self.of > MOST_PLAYED {
            return self.limits(moved);
        }
        loop {
            // The controller does all that it can before the next pod is ready.
            while let Some(next) = self.act(&state) {
                state = next;
                look(&state);
            }
            match state.one_ready() {
                Some(next) => state = next,
                None => break,
            }
        }
        worst.in_place = state.in_place;
        worst.recreated = moved - state.in_place.min(moved);
        worst
    }

    /// Returns the state in which a number of pods is new.
    pub fn start(&self, from: u64) -> State {
        let ready = from.min(self.of);
        State { old: self.of - ready, waiting: 0, ready, in_place: 0 }
    }

    /// Returns how many pods are missing or not available.
    pub fn unavailable(&self, state: &State) -> u64 {
        self.of.saturating_sub(state.old + state.ready)
    }

    /// Returns how many pods are above the size.
    pub fn surge(&self, state: &State) -> u64 {
        state.all().saturating_sub(self.of)
    }

    /// Returns what the controller does next; None where it waits or is done.
    pub fn act(&self, state: &State) -> Option<State> {
        match *self.rolling {
            Rolling::Still | Rolling::Subsets(_) => None,
            Rolling::AllAtOnce => self.replace(state, state.old),
            Rolling::Ordinals { unavailable } | Rolling::Nodes { unavailable, surge: 0 } => {
                // Each new pod that is not available takes one off the limit.
                self.replace(state, unavailable.saturating_sub(state.waiting))
            }
            Rolling::Replicas { unavailable, surge } => self.act_replicas(state, unavailable, surge),
            Rolling::Nodes { surge, .. } => self.act_nodes(state, surge),
            Rolling::Clones { unavailable, surge } => self.act_clones(state, unavailable, surge),
            Rolling::BlueGreen => self.act_blue_green(state),
        }
    }

    /// Puts new pods in the place of old ones, as far as they may move.
    fn replace(&self, state: &State, most: u64) -> Option<State> {
        let n = most.min(state.old.saturating_sub(self.keep));
        let in_place = if self.is_in_place { n } else { 0 };
        (n > 0).then(|| State {
            old: state.old - n,
            waiting: state.waiting + n,
            in_place: state.in_place + in_place,
            ..*state
        })
    }

    // Kubernetes v1.36 pkg/controller/deployment: NewRSNewReplicas first, then reconcileOldReplicaSets. No partition.
    fn act_replicas(&self, state: &State, unavailable: u64, surge: u64) -> Option<State> {
        let missing = self.of.saturating_sub(state.waiting + state.ready);
        let room = (self.of + surge).saturating_sub(state.all());
        if missing.min(room) > 0 {
            return Some(State { waiting: state.waiting + missing.min(room), ..*state });
        }
        let least = self.of.saturating_sub(unavailable);
        let spare = state.all().saturating_sub(least + state.waiting);
        let gone = (state.old + state.ready).saturating_sub(least).min(state.old);
        (spare > 0 && gone > 0).then(|| State { old: state.old - gone, ..*state })
    }

    // Kubernetes v1.36 pkg/controller/daemon rollingUpdate, Kruise v1.9.0 pkg/controller/daemonset rollingUpdate: the
    // old pod of a node goes when the new one is available.
    fn act_nodes(&self, state: &State, surge: u64) -> Option<State> {
        let doubled = (state.old + state.ready).saturating_sub(self.of);
        if doubled > 0 {
            return Some(State { old: state.old - doubled.min(state.old), ..*state });
        }
        let single = self.of.saturating_sub(state.ready + state.waiting).saturating_sub(self.keep);
        let n = surge.saturating_sub(state.waiting).min(single);
        (n > 0).then(|| State { waiting: state.waiting + n, ..*state })
    }

    // Kruise v1.9.0 pkg/controller/cloneset/sync calculateDiffsWithExpectation: scaling goes before updating, and
    // surplus old pods go at the end.
    fn act_clones(&self, state: &State, unavailable: u64, surge: u64) -> Option<State> {
        let to_leave = state.old.saturating_sub(self.keep);
        let to_come = self.of.saturating_sub(self.keep).saturating_sub(state.waiting + state.ready);
        let wanted = self.of + surge.min(to_leave).min(to_come);
        if state.all() < wanted {
            return Some(State { waiting: state.waiting + wanted - state.all(), ..*state });
        }
        // Pods above the size may be missing too.
        let may_go = (unavailable + state.all() - self.of).saturating_sub(state.waiting);
        let surplus = (state.all() - wanted).min(to_leave).min(may_go);
        if surplus > 0 {
            return Some(State { old: state.old - surplus, ..*state });
        }
        let n = to_leave.min(to_come).min(may_go);
        if self.is_in_place {
            return self.replace(state, n);
        }
        (n > 0).then(|| State { old: state.old - n, ..*state })
    }

    // Argo Rollouts v1.8: the old pods go when traffic has moved to the new ones, all of them available.
    fn act_blue_green(&self, state: &State) -> Option<State> {
        let missing = self.of.saturating_sub(state.waiting + state.ready);
        if missing > 0 {
            return Some(State { waiting: state.waiting + missing, ..*state });
        }
        (state.waiting == 0 && state.old > 0).then_some(State { old: 0, ..*state })
    }

    /// What a play ends up with, without playing.
    fn limits(&self, moved: u64) -> Outcome {
        let (unavailable, surge) = match *self.rolling {
            Rolling::Still | Rolling::Subsets(_) => (0, 0),
            Rolling::AllAtOnce => (moved, 0),
            Rolling::BlueGreen => (0, moved),
            Rolling::Ordinals { unavailable } => (unavailable, 0),
            Rolling::Replicas { unavailable, surge }
            | Rolling::Nodes { unavailable, surge }
            | Rolling::Clones { unavailable, surge } => (unavailable, surge),
        };
        let surge = surge.min(moved);
        let clones_anew = if matches!(self.rolling, Rolling::Clones { .. }) { surge } else { 0 };
        let in_place = if self.is_in_place { moved - clones_anew } else { 0 };
        Outcome { unavailable: unavailable.min(moved), surge, recreated: moved - in_place, in_place }
    }
}

impl State {
    /// Returns the state with one more new pod available.
    pub fn one_ready(&self) -> Option<Self> {
        (self.waiting > 0).then(|| Self { waiting: self.waiting - 1, ready: self.ready + 1, ..*self })
    }

    /// Returns the number of pods.
    pub fn all(&self) -> u64 {
        self.old + self.waiting + self.ready
    }
}
