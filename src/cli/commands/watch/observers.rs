//! Observes the clusters of a watch or of `status --watch`.

use crate::cli::error::CommandError;
use crate::cli::reporter::Reporter;
use crate::cli::repository::{self, RepoContext, RepositoryArgs};
use crate::model::config::Runtime as SidecarRuntime;
use crate::model::workload::{WorkloadKind, WorkloadKinds};
use crate::stage::DeployBranch;
use crate::watch::observe::{MemoryBudget, Observer, ObserverSettings, Runtime, StaleData, runtime};
use crate::watch::service::WakeReason;
use crate::watch::snapshot::ObservationScope;
use clap::{Args, value_parser};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender};
use std::time::{Duration, Instant};

/// The clusters to watch.
#[derive(Debug, Clone, Default, Args)]
pub(in crate::cli) struct ClusterArgs {
    /// Context of the kubeconfig, where pillion.yaml names no clusters
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
    /// Namespace to watch, for which a Role is enough (repeatable) [default: all]
    #[arg(short, long = "namespace", value_name = "NAME")]
    namespaces: Vec<String>,
    /// Maximum memory for the lists of all clusters together; a longer list is refused
    #[arg(long, value_name = "MIB", default_value_t = 128, value_parser = value_parser!(u32).range(16..=1_048_576))]
    list_memory: u32,
}

impl ClusterArgs {
    /// Returns whether a person chose a cluster or namespaces.
    pub(in crate::cli) fn are_chosen(&self) -> bool {
        self.context.is_some() || !self.namespaces.is_empty()
    }
}

/// Starts to observe the clusters that pillion.yaml of the deploy branch names.
pub(super) fn start_observers(
    context: &RepoContext,
    args: &ClusterArgs,
    repository: &RepositoryArgs,
    wakes: &SyncSender<WakeReason>,
    reporter: &mut Reporter,
) -> Result<(Runtime, BTreeMap<Option<String>, Observer>), CommandError> {
    // Which clusters there are does not depend on what may be released: every evaluation checks that.
    let (deploy_branch, diagnostics) = context.read_unchecked()?;
    reporter.add(diagnostics);
    let deploy_branch = deploy_branch.ok_or_else(|| CommandError::from_diagnostics([]))?;
    let clusters = repository::select_clusters(&deploy_branch, repository)?;
    let runtime =
        runtime().map_err(|error| CommandError::environment(format!("no thread can be started: {error}")))?;
    let mut found = BTreeMap::new();
    let settings = ObserverSettings {
        memory: MemoryBudget::from_mebibytes(args.list_memory as usize),
        ..ObserverSettings::default()
    };
    for cluster in clusters {
        let (wakes, settings) = (wakes.clone(), settings.clone());
        // One wake that waits is enough.
        let wake = move || {
            let _ = wakes.try_send(WakeReason::ClusterChanged);
        };
        let kube_context = cluster_context(&deploy_branch, cluster).or(args.context.as_deref());
        let observer = Observer::start(
            runtime.handle(),
            kube_context,
            watched_kinds(&deploy_branch, cluster, args),
            settings,
            wake,
        )
        .map_err(|failure| {
            let name = cluster.map_or_else(String::new, |c| format!(" `{c}`"));
            CommandError::usage(format!("cannot watch the cluster{name}: {failure}"))
        })?;
        found.insert(cluster.map(str::to_owned), observer);
    }
    Ok((runtime, found))
}

fn cluster_context<'l>(deploy_branch: &'l DeployBranch<'_>, cluster: Option<&str>) -> Option<&'l str> {
    let clusters = &deploy_branch.configuration.repository.clusters;
    clusters.iter().find(|c| Some(c.name.as_str()) == cluster)?.context.as_deref()
}

fn watched_kinds(
    deploy_branch: &DeployBranch<'_>,
    cluster: Option<&str>,
    args: &ClusterArgs,
) -> ObservationScope {
    let mut kinds = WorkloadKinds::default();
    for kind in deploy_branch.configuration.repository.workload_kinds() {
        kinds.add(kind);
    }
    let runtime = deploy_branch.configuration.repository.runtime_of(cluster);
    let sets = runtime.map(|SidecarRuntime::Kruise| Arc::new(WorkloadKind::sidecar_set()));
    let served = kinds.iter().filter(|kind| kind.is_served()).cloned();
    ObservationScope {
        kinds: served.chain(sets).collect(),
        namespaces: args.namespaces.iter().map(|n| n.as_str().into()).collect(),
    }
}

/// Waits until every cluster was read, or until the timeout: then the evaluation reports what is unknown.
pub(in crate::cli) fn wait_for_clusters<W>(
    observers: &BTreeMap<Option<String>, Observer>,
    wakes: &Receiver<W>,
    timeout: Duration,
) {
    let until = Instant::now() + timeout;
    let is_known = |seen: Result<_, StaleData>| match seen {
        Ok(_) => true,
        // A refusal does not go away by waiting.
        Err(none) => none.error.is_some_and(|failure| !failure.is_retryable()),
    };
    while !observers.values().all(|o| is_known(o.snapshot())) {
        let rest = until.saturating_duration_since(Instant::now());
        if rest.is_zero() {
            return;
        }
        let _ = wakes.recv_timeout(rest.min(Duration::from_millis(500)));
    }
}
