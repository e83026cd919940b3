//! Simulates a controller's rolling update in the worst case: every new pod becomes ready as late as possible.

use super::update_method::UpdateMethod;
use super::workload_strategy::{RollingRules, WorkloadStrategy};

/// Larger workloads are not simulated pod by pod: the limits of their strategy are the result.
const MAX_SIMULATED: u64 = 5_000;

/// The pods of a workload that get the new template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PodUpdateRange {
    /// Pods that have it already, all of them available.
    pub updated_before: u64,
    /// Pods that have it in the end.
    pub updated_after: u64,
    /// The replicas of the workload.
    pub replicas: u64,
}

/// The worst case that the workload's own strategy allows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SimulationOutcome {
    /// The most pods that are missing or unavailable at once.
    pub unavailable: u64,
    /// The most surplus pods at once.
    pub surge: u64,
    /// Pods that are recreated.
    pub recreated: u64,
    /// Pods that are updated in place, with restarted containers.
    pub in_place: u64,
}

impl SimulationOutcome {
    /// Returns the restarted containers: all those of a recreated pod, the changed ones in place.
    pub fn restarted_containers(&self, all: u64, changed: u64) -> u64 {
        self.recreated.saturating_mul(all).saturating_add(self.in_place.saturating_mul(changed))
    }
}

/// The pods of a workload at one moment, without those that are being deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SimulationState {
    /// Old pods, available.
    pub old: u64,
    /// New pods, not available yet.
    pub waiting: u64,
    /// New pods, available.
    pub ready: u64,
    /// Pods that are not recreated.
    pub(crate) in_place: u64,
}

/// The update of one workload: its rules and its goal.
#[derive(Debug, Clone)]
pub struct ControllerSimulation<'a> {
    /// The rules, without [`RollingRules::Subsets`]: each subset has its own simulation.
    pub rolling: &'a RollingRules,
    /// Pods are updated in place.
    pub is_in_place: bool,
    /// The replicas.
    pub replicas: u64,
    /// Pods that keep the old template.
    pub kept_old: u64,
}

/// Simulates the worst case of an update.
pub fn simulate(strategy: &WorkloadStrategy, how: UpdateMethod, pods: PodUpdateRange) -> SimulationOutcome {
    if !how.replaces_or_restarts() {
        return SimulationOutcome::default();
    }
    let keep = if strategy.partition.is_some() {
        pods.replicas.saturating_sub(pods.updated_after)
    } else {
        strategy.kept_old.min(pods.replicas)
    };
    let is_in_place = how == UpdateMethod::InPlace;
    let RollingRules::Subsets(subsets) = &strategy.rolling else {
        return ControllerSimulation {
            rolling: &strategy.rolling,
            is_in_place,
            replicas: pods.replicas,
            kept_old: keep,
        }
        .worst_case(pods.updated_before);
    };
    // All subsets are updated at once, each with its own partition.
    let each = subsets.iter().map(|(size, keep, rolling)| {
        ControllerSimulation { rolling, is_in_place, replicas: *size, kept_old: *keep }.worst_case(0)
    });
    let sum = each.fold(SimulationOutcome::default(), |a, b| SimulationOutcome {
        unavailable: a.unavailable.saturating_add(b.unavailable),
        surge: a.surge.saturating_add(b.surge),
        recreated: a.recreated.saturating_add(b.recreated),
        in_place: a.in_place.saturating_add(b.in_place),
    });
    // The replicas of subsets are rounded up.
    let update = pods.replicas - keep;
    let in_place = sum.in_place.min(update);
    SimulationOutcome {
        unavailable: sum.unavailable.min(update),
        surge: sum.surge.min(update),
        recreated: update - in_place,
        in_place,
    }
}

impl ControllerSimulation<'_> {
    /// Returns the worst case from a number of new pods on.
    pub(crate) fn worst_case(&self, from: u64) -> SimulationOutcome {
        let mut state = self.initial_state(from);
        let update = state.old.saturating_sub(self.kept_old);
        if update == 0 {
            return SimulationOutcome::default();
        }
        let mut worst = SimulationOutcome::default();
        let mut look = |state: &SimulationState| {
            worst.unavailable = worst.unavailable.max(self.unavailable(state));
            worst.surge = worst.surge.max(self.surge(state));
        };
        if self.replicas > MAX_SIMULATED {
            return self.strategy_limits(update);
        }
        loop {
            // The controller does all that it can before the next pod is ready.
            while let Some(next) = self.next_action(&state) {
                state = next;
                look(&state);
            }
            match state.with_one_more_ready() {
                Some(next) => state = next,
                None => break,
            }
        }
        worst.in_place = state.in_place;
        worst.recreated = update - state.in_place.min(update);
        worst
    }

    /// Returns the state with a number of new pods.
    pub fn initial_state(&self, from: u64) -> SimulationState {
        let ready = from.min(self.replicas);
        SimulationState { old: self.replicas - ready, waiting: 0, ready, in_place: 0 }
    }

    /// Returns how many pods are missing or unavailable.
    pub fn unavailable(&self, state: &SimulationState) -> u64 {
        self.replicas.saturating_sub(state.old + state.ready)
    }

    /// Returns how many surplus pods there are.
    pub fn surge(&self, state: &SimulationState) -> u64 {
        state.total_pods().saturating_sub(self.replicas)
    }

    /// Returns the next action of the controller; None where it waits or is done.
    pub fn next_action(&self, state: &SimulationState) -> Option<SimulationState> {
        match *self.rolling {
            RollingRules::NoUpdate | RollingRules::Subsets(_) => None,
            RollingRules::AllAtOnce => self.replace_pods(state, state.old),
            RollingRules::StatefulSet { unavailable } | RollingRules::DaemonSet { unavailable, surge: 0 } => {
                // Each new pod that is not available uses up the limit.
                self.replace_pods(state, unavailable.saturating_sub(state.waiting))
            }
            RollingRules::ReplicaSets { unavailable, surge } => {
                self.next_deployment_action(state, unavailable, surge)
            }
            RollingRules::DaemonSet { surge, .. } => self.next_daemon_set_action(state, surge),
            RollingRules::CloneSet { unavailable, surge } => {
                self.next_clone_set_action(state, unavailable, surge)
            }
            RollingRules::BlueGreen => self.next_blue_green_action(state),
        }
    }

    /// Replaces old pods by new ones, as far as the limits allow.
    fn replace_pods(&self, state: &SimulationState, most: u64) -> Option<SimulationState> {
        let n = most.min(state.old.saturating_sub(self.kept_old));
        let in_place = if self.is_in_place { n } else { 0 };
        (n > 0).then(|| SimulationState {
            old: state.old - n,
            waiting: state.waiting + n,
            in_place: state.in_place + in_place,
            ..*state
        })
    }

    // Kubernetes v1.36 pkg/controller/deployment: NewRSNewReplicas first, then reconcileOldReplicaSets. No partition.
    fn next_deployment_action(
        &self,
        state: &SimulationState,
        unavailable: u64,
        surge: u64,
    ) -> Option<SimulationState> {
        let missing = self.replicas.saturating_sub(state.waiting + state.ready);
        let free = (self.replicas + surge).saturating_sub(state.total_pods());
        if missing.min(free) > 0 {
            return Some(SimulationState { waiting: state.waiting + missing.min(free), ..*state });
        }
        let least = self.replicas.saturating_sub(unavailable);
        let spare = state.total_pods().saturating_sub(least + state.waiting);
        let removed = (state.old + state.ready).saturating_sub(least).min(state.old);
        (spare > 0 && removed > 0).then(|| SimulationState { old: state.old - removed, ..*state })
    }

    // Kubernetes v1.36 pkg/controller/daemon rollingUpdate, Kruise v1.9.0 pkg/controller/daemonset rollingUpdate: the
    // old pod of a node is deleted when the new one is available.
    fn next_daemon_set_action(&self, state: &SimulationState, surge: u64) -> Option<SimulationState> {
        let doubled = (state.old + state.ready).saturating_sub(self.replicas);
        if doubled > 0 {
            return Some(SimulationState { old: state.old - doubled.min(state.old), ..*state });
        }
        let single = self.replicas.saturating_sub(state.ready + state.waiting).saturating_sub(self.kept_old);
        let n = surge.saturating_sub(state.waiting).min(single);
        (n > 0).then(|| SimulationState { waiting: state.waiting + n, ..*state })
    }

    // Kruise v1.9.0 pkg/controller/cloneset/sync calculateDiffsWithExpectation: scaling precedes updating, and
    // surplus old pods are deleted at the end.
    fn next_clone_set_action(
        &self,
        state: &SimulationState,
        unavailable: u64,
        surge: u64,
    ) -> Option<SimulationState> {
        let to_leave = state.old.saturating_sub(self.kept_old);
        let to_come = self.replicas.saturating_sub(self.kept_old).saturating_sub(state.waiting + state.ready);
        let wanted = self.replicas + surge.min(to_leave).min(to_come);
        if state.total_pods() < wanted {
            return Some(SimulationState { waiting: state.waiting + wanted - state.total_pods(), ..*state });
        }
        // Surplus pods may be missing too.
        let may_go = (unavailable + state.total_pods() - self.replicas).saturating_sub(state.waiting);
        let surplus = (state.total_pods() - wanted).min(to_leave).min(may_go);
        if surplus > 0 {
            return Some(SimulationState { old: state.old - surplus, ..*state });
        }
        let n = to_leave.min(to_come).min(may_go);
        if self.is_in_place {
            return self.replace_pods(state, n);
        }
        (n > 0).then(|| SimulationState { old: state.old - n, ..*state })
    }

    // Argo Rollouts v1.8: the old pods are deleted when traffic has moved to the new ones, all of them available.
    fn next_blue_green_action(&self, state: &SimulationState) -> Option<SimulationState> {
        let missing = self.replicas.saturating_sub(state.waiting + state.ready);
        if missing > 0 {
            return Some(SimulationState { waiting: state.waiting + missing, ..*state });
        }
        (state.waiting == 0 && state.old > 0).then_some(SimulationState { old: 0, ..*state })
    }

    /// Returns the result of a simulation from the limits alone.
    fn strategy_limits(&self, update: u64) -> SimulationOutcome {
        let (unavailable, surge) = match *self.rolling {
            RollingRules::NoUpdate | RollingRules::Subsets(_) => (0, 0),
            RollingRules::AllAtOnce => (update, 0),
            RollingRules::BlueGreen => (0, update),
            RollingRules::StatefulSet { unavailable } => (unavailable, 0),
            RollingRules::ReplicaSets { unavailable, surge }
            | RollingRules::DaemonSet { unavailable, surge }
            | RollingRules::CloneSet { unavailable, surge } => (unavailable, surge),
        };
        let surge = surge.min(update);
        let clones_anew = if matches!(self.rolling, RollingRules::CloneSet { .. }) { surge } else { 0 };
        let in_place = if self.is_in_place { update - clones_anew } else { 0 };
        SimulationOutcome {
            unavailable: unavailable.min(update),
            surge,
            recreated: update - in_place,
            in_place,
        }
    }
}

impl SimulationState {
    /// Returns the state with one more new pod available.
    pub fn with_one_more_ready(&self) -> Option<Self> {
        (self.waiting > 0).then(|| Self { waiting: self.waiting - 1, ready: self.ready + 1, ..*self })
    }

    /// Returns the number of pods.
    pub(crate) fn total_pods(&self) -> u64 {
        self.old + self.waiting + self.ready
    }
}
