//! A repository for a test: applications, SidecarSets and pillion.yaml, not yet rendered.

use crate::git_fixtures::Repo;
use std::fmt::Write as _;

/// The folder of what the agent applies.
pub(super) const RENDERED: &str = "rendered";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Deployment,
    StatefulSet,
    /// On the nodes of one zone.
    DaemonSet,
    Pod,
    CloneSet,
    AdvancedStatefulSet,
    AdvancedDaemonSet,
}

impl Kind {
    /// Its pods stay when an image changes.
    pub(super) fn is_in_place(self) -> bool {
        matches!(self, Self::Pod | Self::CloneSet | Self::AdvancedStatefulSet | Self::AdvancedDaemonSet)
    }

    fn api(self) -> (&'static str, &'static str) {
        match self {
            Self::Deployment => ("apps/v1", "Deployment"),
            Self::StatefulSet => ("apps/v1", "StatefulSet"),
            Self::DaemonSet => ("apps/v1", "DaemonSet"),
            Self::Pod => ("v1", "Pod"),
            Self::CloneSet => ("apps.kruise.io/v1alpha1", "CloneSet"),
            Self::AdvancedStatefulSet => ("apps.kruise.io/v1beta1", "StatefulSet"),
            Self::AdvancedDaemonSet => ("apps.kruise.io/v1alpha1", "DaemonSet"),
        }
    }

    /// Fields of the spec beside replicas, selector and template.
    fn fields(self, name: &str) -> String {
        match self {
            Self::StatefulSet => format!("  serviceName: {name}\n  podManagementPolicy: Parallel\n"),
            Self::CloneSet => {
                "  updateStrategy:\n    type: InPlaceIfPossible\n    maxUnavailable: 1\n".into()
            }
            Self::AdvancedStatefulSet => format!(
                "  serviceName: {name}\n  podManagementPolicy: Parallel\n  updateStrategy:\n    rollingUpdate:\n      \
                 podUpdatePolicy: InPlaceIfPossible\n"
            ),
            Self::AdvancedDaemonSet => {
                "  updateStrategy:\n    rollingUpdate:\n      rollingUpdateType: InPlaceIfPossible\n".into()
            }
            Self::Deployment | Self::DaemonSet | Self::Pod => String::new(),
        }
    }
}

/// One workload; its pods have the label `app` with its name.
#[derive(Debug, Clone)]
pub(super) struct Application {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) pods: usize,
    /// Its sidecars: labels with the value `yes`.
    sidecars: Vec<String>,
    /// How images with a tag `depends...` behave.
    fares: Option<&'static str>,
    image: String,
}

impl Application {
    /// Has the sidecar `log`. Daemons have three pods, those of the nodes of a zone.
    pub(super) fn new(kind: Kind, name: &str, pods: usize) -> Self {
        let sidecars = vec!["log".to_owned()];
        Self { name: name.to_owned(), kind, pods, sidecars, fares: None, image: "app:1".to_owned() }
    }

    /// Has other sidecars.
    pub(super) fn with(self, sidecars: &[&str]) -> Self {
        Self { sidecars: sidecars.iter().map(|&name| name.to_owned()).collect(), ..self }
    }

    pub(super) fn faring(self, how: &'static str) -> Self {
        Self { fares: Some(how), ..self }
    }

    pub(super) fn image(self, image: &str) -> Self {
        Self { image: image.to_owned(), ..self }
    }

    pub(super) fn file(&self) -> String {
        format!("apps/{}.yaml", self.name)
    }

    pub(super) fn manifest(&self) -> String {
        let (name, (version, kind)) = (&self.name, self.kind.api());
        let mut metadata = format!("labels: {{app: {name}");
        for sidecar in &self.sidecars {
            write!(metadata, ", {sidecar}: 'yes'").unwrap();
        }
        metadata.push('}');
        if let Some(fares) = self.fares {
            write!(metadata, ", annotations: {{e2e/fares: {fares}}}").unwrap();
        }
        let mut spec =
            vec!["containers:".to_owned(), "- name: main".to_owned(), format!("  image: {}", self.image)];
        if matches!(self.kind, Kind::DaemonSet | Kind::AdvancedDaemonSet) {
            assert_eq!(self.pods, 3, "the nodes of zone-1");
            spec.push("nodeSelector: {zone: zone-1}".to_owned());
        }
        if self.kind.is_in_place() && self.kind != Kind::Pod {
            spec.push("readinessGates: [{conditionType: InPlaceUpdateReady}]".to_owned());
        }
        let spec = |indent: &str| -> String { spec.iter().map(|line| format!("{indent}{line}\n")).collect() };
        let head = format!("apiVersion: {version}\nkind: {kind}\n");
        if self.kind == Kind::Pod {
            return format!("{head}metadata: {{name: {name}, {metadata}}}\nspec:\n{}", spec("  "));
        }
        let mut text = format!("{head}metadata:\n  name: {name}\nspec:\n");
        if !matches!(self.kind, Kind::DaemonSet | Kind::AdvancedDaemonSet) {
            writeln!(text, "  replicas: {}", self.pods).unwrap();
        }
        write!(text, "  selector:\n    matchLabels: {{app: {name}}}\n{}", self.kind.fields(name)).unwrap();
        write!(text, "  template:\n    metadata: {{{metadata}}}\n    spec:\n{}", spec("      ")).unwrap();
        text
    }
}

/// Where rendered files are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    /// In a folder beside the sources.
    Folder,
    /// On a branch of their own, with the ledgers.
    Branch,
    /// Nowhere: who applies renders, by the ledgers.
    Nowhere,
}

impl Layout {
    /// The branch that the cluster follows. Sources are on `main`.
    pub(super) fn deploy_branch(self) -> &'static str {
        if self == Self::Branch { "env/prod" } else { "main" }
    }

    /// What pillion.yaml says of rendered files.
    fn rendered(self) -> String {
        match self {
            Self::Folder => format!("rendered: {RENDERED}\n"),
            Self::Branch => "rendered: .\n".to_owned(),
            Self::Nowhere => String::new(),
        }
    }
}

/// What the repository of a test holds.
#[derive(Debug, Clone)]
pub(super) struct Fleet {
    pub(super) applications: Vec<Application>,
    sidecars: Vec<String>,
    pub(super) layout: Layout,
    /// What pillion.yaml says of rollouts, as a flow mapping.
    rollout: String,
    /// Fields of the SidecarSets' updateStrategy, as part of a flow mapping.
    strategy: String,
    /// Sidecars are pairs that are upgraded hot.
    is_hot: bool,
}

impl Fleet {
    /// One SidecarSet, `log`.
    pub(super) fn new(applications: Vec<Application>, rollout: &str) -> Self {
        let (rollout, strategy) = (rollout.to_owned(), "type: RollingUpdate".to_owned());
        Self {
            applications,
            sidecars: vec!["log".to_owned()],
            layout: Layout::Folder,
            rollout,
            strategy,
            is_hot: false,
        }
    }

    /// As many Deployments, of two pods each; with steps of two pods each is a batch of its own.
    pub(super) fn of_deployments(count: usize, rollout: &str) -> Self {
        let deployment = |n| Application::new(Kind::Deployment, &format!("app-{n}"), 2);
        Self::new((1..=count).map(deployment).collect(), rollout)
    }

    pub(super) fn with_sidecar(mut self, name: &str) -> Self {
        self.sidecars.push(name.to_owned());
        self
    }

    pub(super) fn with_layout(self, layout: Layout) -> Self {
        Self { layout, ..self }
    }

    pub(super) fn with_strategy(self, fields: &str) -> Self {
        Self { strategy: format!("{}, {fields}", self.strategy), ..self }
    }

    pub(super) fn upgraded_hot(self) -> Self {
        Self { is_hot: true, ..self }
    }

    pub(super) fn pods(&self) -> usize {
        self.applications.iter().map(|application| application.pods).sum()
    }

    /// Kinds of daemons that there are, as kubectl calls them.
    pub(super) fn kinds_of_daemons(&self) -> Vec<&'static str> {
        let names =
            [(Kind::DaemonSet, "daemonsets.apps"), (Kind::AdvancedDaemonSet, "daemonsets.apps.kruise.io")];
        let is_there = |kind| self.applications.iter().any(|application| application.kind == kind);
        names.into_iter().filter(|(kind, _)| is_there(*kind)).map(|(_, name)| name).collect()
    }

    pub(super) fn find(&self, name: &str) -> Option<&Application> {
        self.applications.iter().find(|application| application.name == name)
    }

    /// The SidecarSet of a sidecar, with an image.
    pub(super) fn sidecar_set(&self, name: &str, image: &str) -> String {
        format!(
            "apiVersion: apps.kruise.io/v1beta1
kind: SidecarSet
metadata: {{name: {name}}}
spec:
  selector: {{matchLabels: {{{name}: 'yes'}}}}
  updateStrategy: {{{}}}
  containers:
  - name: {name}
    image: {image}
{}",
            self.strategy,
            if self.is_hot {
                "    upgradeStrategy: {upgradeType: HotUpgrade, hotUpgradeEmptyImage: 'empty:1'}\n"
            } else {
                ""
            }
        )
    }

    /// Puts all of it into a working tree; the sidecars' images are version 1.
    pub(super) fn put(&self, repo: &Repo, namespace: &str) {
        repo.put(
            "pillion.yaml",
            format!(
                "apiVersion: pillion.dev/v1alpha1
kind: Repository
sources: [apps]
sidecarSets: [sidecars]
{}ledgers: ledgers
namespaces: [{{folder: apps, name: {namespace}}}]
git:
  deploy: {}
  source: main
  identity: {{name: pillion, email: pillion@acme.example}}
rollout: {{{}}}
",
                self.layout.rendered(),
                self.layout.deploy_branch(),
                self.rollout
            ),
        );
        for name in &self.sidecars {
            repo.put(&sidecar_file(name), self.sidecar_set(name, &format!("{name}:1")));
        }
        for application in &self.applications {
            repo.put(&application.file(), application.manifest());
        }
    }
}

pub(super) fn sidecar_file(name: &str) -> String {
    format!("sidecars/{name}.yaml")
}
