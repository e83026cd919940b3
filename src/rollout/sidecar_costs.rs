//! What sidecars request: CPU and memory of all their pods, by SidecarSet, namespace and team.

use super::kruise::kept_by_percent;
use super::pod_resources::PodResources;
use super::workload_set::{PlannedWorkload, WorkloadSet};
use crate::model::ledger::{LedgerEntry, RevisionName};
use serde_json::{Map, Value, json};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What the sidecars of one SidecarSet request in one workload.
#[derive(Debug, Clone)]
pub(crate) struct SidecarCost {
    /// The SidecarSet.
    set: Arc<str>,
    /// `KIND[.GROUP]/NAMESPACE/NAME`.
    workload: Arc<str>,
    /// The namespace of the workload.
    namespace: Arc<str>,
    /// The team that owns the workload.
    team: Option<Arc<str>>,
    /// Its pods; None: unknown.
    pods: Option<u32>,
    /// The requests in all its pods, before and after a rollout; in one pod where the number of pods is unknown.
    requests: [PodResources; 2],
}

/// A workload with sidecars to count, and its state before and after a rollout.
#[derive(Debug)]
pub(crate) struct CountedSidecars<'a> {
    /// The workload.
    pub(crate) workload: &'a PlannedWorkload,
    /// Its pods; None: unknown.
    pub(crate) pods: Option<u32>,
    /// Its entries in the ledger, or the released revision.
    pub(crate) entries: [LedgerEntry; 2],
    /// The revisions of the pods that a partition keeps.
    pub(crate) kept_revisions: [RevisionName; 2],
}

impl SidecarCost {
    /// Returns what the sidecars of a SidecarSet cost in a workload; None: it has none of them.
    pub(crate) fn of(
        workloads: &WorkloadSet<'_>,
        set: &Arc<str>,
        counted: &CountedSidecars<'_>,
        team_label: &str,
    ) -> Option<Self> {
        let workload = counted.workload;
        let states = counted.entries.iter().zip(&counted.kept_revisions);
        let mut has_sidecars = false;
        let requests: Vec<PodResources> = states
            .map(|(entry, kept_revision)| {
                let pods = counted.pods.unwrap_or(1);
                let own = workloads.sidecar_requests(workload, entry);
                let kept_entry = LedgerEntry::with_revision(kept_revision.clone());
                let kept_pods = kept_pods(entry, pods);
                let kept = match kept_pods {
                    0 => None,
                    _ => workloads.sidecar_requests(workload, &kept_entry),
                };
                has_sidecars |= own.is_some() || kept.is_some();
                let times = |each: Option<PodResources>, pods: u32| {
                    each.map_or_else(PodResources::zero, |each| each.times(pods.into()))
                };
                times(own, pods - kept_pods).plus(&times(kept, kept_pods))
            })
            .collect();
        let manifest = workload.manifest();
        has_sidecars.then_some(())?;
        Some(Self {
            set: Arc::clone(set),
            workload: Arc::clone(workload.key()),
            namespace: (*manifest.namespace).into(),
            team: team_of(workload, team_label, workloads.namespace_labels(&manifest.namespace)),
            pods: counted.pods,
            requests: requests.try_into().ok()?,
        })
    }
}

/// Returns the pods that keep what they had before the revision of an entry.
fn kept_pods(entry: &LedgerEntry, pods: u32) -> u32 {
    let by_percent = entry.partition_percent.map(|percent| kept_by_percent(percent, pods));
    entry.partition.or(by_percent).unwrap_or(0).min(pods)
}

/// Returns the team of a workload: by its own label, by that of its pods, or by that of its namespace.
fn team_of(
    workload: &PlannedWorkload,
    label: &str,
    namespace_labels: Option<&BTreeMap<String, String>>,
) -> Option<Arc<str>> {
    let own = workload.object()["metadata"]["labels"].get(label).and_then(Value::as_str);
    let of_pods = || workload.labels.get(label).map(String::as_str);
    let of_namespace = || namespace_labels?.get(label).map(String::as_str);
    let team = own.or_else(of_pods).or_else(of_namespace);
    team.filter(|team| !team.is_empty()).map(Arc::from)
}

/// What sidecars request, summed up.
#[derive(Debug)]
pub(crate) struct CostTable {
    /// By SidecarSet.
    pub(crate) sets: Vec<CostRow>,
    /// By namespace.
    pub(crate) namespaces: Vec<CostRow>,
    /// By team; the row without a name has the workloads without a team.
    pub(crate) teams: Vec<CostRow>,
    /// Everything.
    pub(crate) total: CostRow,
}

/// One sum.
#[derive(Debug, Clone)]
pub(crate) struct CostRow {
    /// The SidecarSet, the namespace or the team.
    pub(crate) name: Option<Arc<str>>,
    /// The workloads with their pods; None: unknown.
    workloads: BTreeMap<Arc<str>, Option<u32>>,
    /// The requests before and after a rollout, of the workloads with a known number of pods.
    pub(crate) requests: [PodResources; 2],
    /// The workloads with a known number of pods have sidecars.
    has_known_pods: bool,
    /// Sidecars that request something are in workloads with an unknown number of pods.
    has_uncounted_requests: bool,
}

/// The states that costs are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CostExtent {
    /// The present one.
    Present,
    /// Those before and after a rollout.
    Rollout,
}

/// How much of the requests of a row is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CostPrecision {
    /// All of them.
    Exact,
    /// Those of workloads with a known number of pods.
    AtLeast,
    /// None of them.
    Unknown,
}

impl CostTable {
    /// Sums up; the rows that request most are first.
    pub(crate) fn of(costs: &[SidecarCost]) -> Self {
        Self {
            sets: group_costs(costs, |cost| Some(&cost.set)),
            namespaces: group_costs(costs, |cost| Some(&cost.namespace)),
            teams: group_costs(costs, |cost| cost.team.as_ref()),
            total: group_costs(costs, |_| None).pop().unwrap_or_else(|| CostRow::new(None)),
        }
    }

    /// Returns it as data; `extent` says which states the costs have.
    pub(crate) fn to_json(&self, extent: CostExtent) -> Value {
        let rows = |rows: &[CostRow]| rows.iter().map(|row| row.to_json(extent)).collect::<Vec<_>>();
        json!({
            "total": self.total.sums(extent),
            "sidecarSets": rows(&self.sets),
            "namespaces": rows(&self.namespaces),
            "teams": rows(&self.teams),
        })
    }
}

impl CostRow {
    fn new(name: Option<Arc<str>>) -> Self {
        let requests = [PodResources::zero(), PodResources::zero()];
        let (has_known_pods, has_uncounted_requests) = (false, false);
        Self { name, workloads: BTreeMap::new(), requests, has_known_pods, has_uncounted_requests }
    }

    fn add_cost(&mut self, cost: &SidecarCost) {
        self.add_workload(&cost.workload, cost.pods);
        if cost.pods.is_some() {
            self.has_known_pods = true;
            self.add_requests(&cost.requests);
        } else {
            self.has_uncounted_requests |= cost.requests.iter().any(|r| *r != PodResources::zero());
        }
    }

    fn add_workload(&mut self, key: &Arc<str>, pods: Option<u32>) {
        let known = self.workloads.entry(Arc::clone(key)).or_insert(pods);
        *known = (*known).max(pods);
    }

    fn add_requests(&mut self, added: &[PodResources; 2]) {
        for (sum, more) in self.requests.iter_mut().zip(added) {
            *sum = sum.plus(more);
        }
    }

    /// Sums up several rows.
    pub(crate) fn merged<'r>(rows: impl IntoIterator<Item = &'r Self>) -> Self {
        let mut sum = Self::new(None);
        for row in rows {
            row.workloads.iter().for_each(|(key, pods)| sum.add_workload(key, *pods));
            sum.add_requests(&row.requests);
            sum.has_known_pods |= row.has_known_pods;
            sum.has_uncounted_requests |= row.has_uncounted_requests;
        }
        sum
    }

    /// Returns how much of its requests is known.
    pub(crate) fn precision(&self) -> CostPrecision {
        match (self.has_uncounted_requests, self.has_known_pods) {
            (false, _) => CostPrecision::Exact,
            (true, true) => CostPrecision::AtLeast,
            (true, false) => CostPrecision::Unknown,
        }
    }

    /// Returns whether its sidecars certainly request nothing.
    pub(crate) fn requests_nothing(&self) -> bool {
        !self.has_uncounted_requests && self.requests.iter().all(|r| *r == PodResources::zero())
    }

    /// Returns the number of workloads.
    pub(crate) fn workload_count(&self) -> usize {
        self.workloads.len()
    }

    /// Returns the number of workloads with an unknown number of pods.
    pub(crate) fn unknown_replicas(&self) -> usize {
        self.workloads.values().filter(|pods| pods.is_none()).count()
    }

    /// Returns the pods, as far as their number is known; None: no number is.
    pub(crate) fn pods(&self) -> Option<u64> {
        let known = self.workloads.values().copied().flatten();
        let has_known = self.workloads.is_empty() || self.unknown_replicas() < self.workloads.len();
        has_known.then(|| known.map(u64::from).sum())
    }

    /// Returns its sums as data; what is not known at all is null.
    fn sums(&self, extent: CostExtent) -> Map<String, Value> {
        let mut sums = Map::new();
        sums.insert("workloads".into(), json!(self.workload_count()));
        sums.insert("pods".into(), json!(self.pods()));
        if self.unknown_replicas() > 0 {
            sums.insert("unknownReplicas".into(), json!(self.unknown_replicas()));
        }
        let [before, after] = &self.requests;
        let is_unknown = self.precision() == CostPrecision::Unknown;
        let mut insert = |key: &str, requests: &PodResources| {
            sums.insert(key.into(), if is_unknown { Value::Null } else { requests.to_json() });
        };
        match extent {
            CostExtent::Present => insert("requests", before),
            CostExtent::Rollout => {
                insert("before", before);
                insert("after", after);
                insert("change", &after.minus(before));
            }
        }
        sums
    }

    /// Returns it as data.
    fn to_json(&self, extent: CostExtent) -> Value {
        let name = ("name".to_owned(), json!(self.name.as_deref()));
        std::iter::once(name).chain(self.sums(extent)).collect::<Map<_, _>>().into()
    }
}

fn group_costs(costs: &[SidecarCost], group: impl Fn(&SidecarCost) -> Option<&Arc<str>>) -> Vec<CostRow> {
    let mut rows: BTreeMap<Option<&Arc<str>>, CostRow> = BTreeMap::new();
    for cost in costs {
        let name = group(cost);
        rows.entry(name).or_insert_with(|| CostRow::new(name.cloned())).add_cost(cost);
    }
    let mut rows: Vec<CostRow> = rows.into_values().collect();
    // Rows that request the same stay in the order of their names.
    let most = |row: &CostRow| {
        let [before, after] = row.requests.each_ref().map(|r| (r.cpu.clone(), r.memory.clone()));
        before.max(after)
    };
    rows.sort_by_cached_key(|row| (row.name.is_none(), Reverse(most(row))));
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::quantity::Quantity;

    fn cost(set: &str, place: [&str; 2], team: Option<&str>, pods: Option<u32>, cpu: &str) -> SidecarCost {
        let [namespace, name] = place;
        let each = PodResources { cpu: Quantity::parse(cpu).unwrap(), memory: Quantity::zero() };
        SidecarCost {
            set: set.into(),
            workload: format!("Deployment.apps/{namespace}/{name}").into(),
            namespace: namespace.into(),
            team: team.map(Arc::from),
            pods,
            requests: [PodResources::zero(), each.times(pods.unwrap_or(1).into())],
        }
    }

    #[test]
    fn a_workload_with_two_sidecars_counts_once() {
        let costs = [
            cost("log", ["shop", "web"], Some("checkout"), Some(3), "100m"),
            cost("mesh", ["shop", "web"], Some("checkout"), Some(3), "1"),
            cost("log", ["data", "api"], None, None, "100m"),
            cost("log", ["data", "db"], None, Some(1), "100m"),
        ];
        let table = CostTable::of(&costs);
        let names = |rows: &[CostRow]| -> Vec<String> {
            rows.iter().map(|row| row.name.as_deref().unwrap_or("-").to_owned()).collect()
        };
        assert_eq!(names(&table.sets), ["mesh", "log"]);
        assert_eq!(names(&table.namespaces), ["shop", "data"]);
        assert_eq!(names(&table.teams), ["checkout", "-"]);
        let counts = |row: &CostRow| (row.workload_count(), row.pods(), row.unknown_replicas());
        assert_eq!(counts(&table.total), (3, Some(4), 1));
        assert_eq!(counts(&table.namespaces[0]), (1, Some(3), 0));
        assert_eq!(table.total.requests[1].cpu.to_string(), "3400m");
        assert_eq!(counts(&CostRow::merged(&table.sets)), (3, Some(4), 1));
        assert_eq!(CostRow::merged(&table.sets).requests, table.total.requests);
    }

    #[test]
    fn what_is_not_known_is_not_zero() {
        let table = CostTable::of(&[cost("log", ["shop", "web"], None, None, "100m")]);
        assert_eq!(table.total.pods(), None);
        let expected = json!({"workloads": 1, "pods": null, "unknownReplicas": 1, "before": null, "after": null, "change": null});
        assert_eq!(table.to_json(CostExtent::Rollout)["total"], expected);
        assert_eq!(CostTable::of(&[]).to_json(CostExtent::Rollout)["total"]["pods"], json!(0));
        assert!(!table.total.requests_nothing());
        let known = cost("log", ["shop", "api"], None, Some(1), "100m");
        let both = CostTable::of(&[known, cost("log", ["shop", "web"], None, None, "100m")]);
        assert_eq!(both.total.precision(), CostPrecision::AtLeast);
        // Sidecars without requests cost nothing, whatever their number is.
        let free = CostTable::of(&[cost("log", ["shop", "web"], None, None, "0")]);
        assert_eq!((free.total.precision(), free.total.requests_nothing()), (CostPrecision::Exact, true));
    }

    #[test]
    fn a_partition_keeps_pods() {
        let entry = |partition, partition_percent| LedgerEntry {
            partition,
            partition_percent,
            ..LedgerEntry::with_revision(None)
        };
        assert_eq!(kept_pods(&entry(None, None), 10), 0);
        assert_eq!(kept_pods(&entry(Some(3), None), 10), 3);
        assert_eq!(kept_pods(&entry(Some(30), None), 10), 10);
        assert_eq!(kept_pods(&entry(None, Some(75)), 4), 3);
    }
}
