//! The registry of diagnostic codes: each with what it means and an example. docs/codes.md is made from it.

macro_rules! codes {
    ($( $(#[doc = $doc:literal])+ $variant:ident $name:literal $example:literal )*) => {
        /// The kind of a diagnostic. Names are kebab-case, say what is wrong and are never renamed.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Code { $( $(#[doc = $doc])+ $variant, )* }

        impl Code {
            /// Every code, in the order of the registry.
            pub const ALL: &'static [Self] = &[ $(Self::$variant),* ];

            /// Returns the kebab-case name.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            /// Returns what the code means, in sentences.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$variant => concat!($($doc, "\n"),+)),* }
            }

            /// Returns a smallest input that shows it.
            pub fn example(self) -> &'static str {
                match self { $(Self::$variant => $example),* }
            }
        }
    };
}

codes! {
    // ---- yaml
    /// The text is not YAML, or not YAML that Kubernetes accepts.
    InvalidYaml "invalid-yaml" "spec:\n\tcontainers: []"
    /// A mapping has one key twice; Kubernetes keeps the last one and strict clients refuse the file.
    DuplicateKey "duplicate-key" "metadata:\n  name: a\n  name: b"
    /// Collections are in one another deeper than anything that Kubernetes stores; reading stops there.
    NestingTooDeep "nesting-too-deep" "a file of 100,000 `[`"
    /// Aliases make the document far bigger than its text. Kubernetes refuses such documents too.
    AliasBomb "alias-bomb" "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]"
    /// One document is bigger than 64 MiB, or has more than 8 million nodes.
    DocumentTooLarge "document-too-large" "a file with one line of 1 GB"

    /// An object is meant to be a SidecarSet or a ledger, and its `apiVersion` or `kind` is that of none.
    MisspeltKind "misspelt-kind" "apiVersion: apps.kruise.io/v1beta1\nkind: Sidecarset"

    // ---- read
    /// A file or folder is gone, not readable, or no regular file.
    UnreadableFile "unreadable-file" "a file without read permission"
    /// An input is larger than pillion reads (512 MiB).
    FileTooLarge "file-too-large" "a file of 1 GB"
    /// A file is not UTF-8 text.
    NotUtf8 "not-utf8" "a file saved as Latin-1 or UTF-16"
    /// A file holds a NUL byte.
    NulByte "nul-byte" "a binary file with the name web.yaml"
    /// A symbolic link was not followed; its target is inside the folder and read where it is.
    SymlinkSkipped "symlink-skipped" "apps/current.yaml -> apps/v2.yaml"
    /// A symbolic link leads out of the folder, in a circle or nowhere.
    SymlinkOutside "symlink-outside" "apps/shadow.yaml -> /etc/shadow"
    /// The name of a file holds a control character, such as a line end: it would write lines of its own into lists,
    /// logs and commit messages.
    UnusableName "unusable-name" "apps/web$(printf '\\n').yaml"
    /// A folder that holds no manifests was omitted.
    FolderSkipped "folder-skipped" "charts/web/templates beside charts/web/Chart.yaml"
    /// A folder with a kustomization is built by kustomize before sidecars are injected.
    KustomizeFolder "kustomize-folder" "overlays/eu/kustomization.yaml"

    /// A path in a manifest or parameter leads out of the repository.
    PathOutside "path-outside" "kind: Sidecars\nspec: {sidecarSets: [/etc]}"
    /// A door got manifests and would hand out none: what follows it would delete everything.
    EmptyOutput "empty-output" "a kustomization of SidecarSets only"

    /// The `build` command of pillion.yaml cannot be started, fails, takes too long or prints too much.
    BuildFailed "build-failed" "build: [kustomize, build, overlays/ue] without such a folder"
    /// A `build` command of pillion.yaml would have to run where nobody has allowed it: in CI, in `watch`, for a dry run.
    BuildNotAllowed "build-not-allowed" "build: [kustomize, build, overlays/eu] and `pillion watch` without --allow-build"
    /// A kustomization names something that is not in the repository, and the plugin of Argo CD fetches nothing.
    RemoteBase "remote-base" "resources: [https://git.example/acme/base?ref=main]"
    /// A build, or what is handed over with `--manifests`, holds no manifest at all.
    NoManifests "no-manifests" "kustomize build overlays/ue | pillion stage --manifests -, where kustomize has failed"

    /// A manifest is in the folder of no cluster, or a cluster is named that pillion.yaml does not have.
    NoCluster "no-cluster" "--cluster prod-us, with clusters: [{name: prod-eu}]"
    /// There is no SidecarSet where some should be.
    NoSidecarSet "no-sidecarset" "--sidecarsets apps/web.yaml"

    // ---- render
    /// A sidecar refers to a ConfigMap or Secret that has another name here, such as one with a hash.
    DanglingReference "dangling-reference" "volumes: [{name: conf, configMap: {name: log-conf}}] and a ConfigMap log-conf-6ft88t2625"
    /// A workload that a SidecarSet selects has no containers; it looks like a patch and is left as it is.
    NoContainers "no-containers" "kind: Deployment\nspec: {template: {metadata: {labels: {log: \"true\"}}}}"

    /// pillion.yaml names ledgers, and a SidecarSet has none.
    NoLedger "no-ledger" "ledgers: ledgers in pillion.yaml, without ledgers/log.yaml"
    /// A file is a ledger that no key of pillion.yaml reads: pillion.yaml names no ledgers, or it is of no cluster.
    LedgerNotRead "ledger-not-configured" "ledgers/log.yaml beside a pillion.yaml without `ledgers`"
    /// Two ledgers are of one SidecarSet.
    DuplicateLedger "duplicate-ledger" "ledgers/log.yaml and ledgers/old.yaml with metadata: {name: log}"
    /// A ledger's file has another name than its SidecarSet.
    LedgerMisplaced "ledger-misplaced" "ledgers/proxy.yaml with metadata: {name: log}"
    /// A ledger is not what pillion would have written.
    UnplannedLedgerChange "ledger-not-planned" "workloads: [{workload: Deployment.apps/shop/web, …}] added by hand"
    /// Two manifests are of one workload, so that a rollout cannot tell what the cluster has.
    DuplicateWorkload "duplicate-workload" "Deployment shop/web in apps/web.yaml and apps/old/web.yaml"
    /// A SidecarSet's file holds a content that no rollout has been opened for: nothing rendered has changed.
    NotStaged "not-staged-yet" "a new image in sidecars/log.yaml"
    /// `injectionStrategy` does not act where a ledger says what each workload has.
    InjectionStrategyWithoutEffect "injection-strategy-without-effect" "injectionStrategy: {paused: true}"

    /// The rendered files of the deploy branch are not what render makes of its sources and ledgers: somebody edited
    /// them.
    DeployBranchNotRendered "deploy-branch-not-rendered" "a new image in rendered/shop/web.yaml that no source has"

    /// The deploy branch was rewritten: what it was when this clone last looked, or what a rollout was staged on, is no
    /// longer in its history.
    DeployBranchRewritten "deploy-branch-rewritten" "git push --force to main"
    /// A staged branch holds commits that pillion did not make: it is neither replaced nor removed.
    ForeignCommits "foreign-commits" "a fix by hand that was pushed to pillion/main/log"
    /// With two branches: the deploy branch says that it was rendered from a commit that is not on the branch of the
    /// sources, or is older than the one before. Nothing of that commit is read.
    UntrustedSource "untrusted-source" "a commit of env/prod with Pillion-Action: Render and a Pillion-Source that is not on main"

    /// A SidecarSet with a ledger selects a workload whose namespace nobody says: the ledger could not know it by the
    /// same key everywhere.
    NamespaceUnspecified "namespace-unspecified" "a Deployment without `metadata.namespace`, with `ledgers:` and without `namespaces:` in pillion.yaml"
    /// A ledger has an entry for a workload that is not there, and one of the same kind and name is, in another
    /// namespace.
    LedgerWorkloadUnknown "ledger-workload-unknown" "an entry for Deployment.apps/default/web, and Deployment shop/web on standard input"
    /// Workloads that an open rollout counts are no longer among the manifests, and no commit has removed them: it
    /// would look complete.
    WorkloadsMissing "workloads-missing" "sources: [] in pillion.yaml while a rollout is open"
    /// Several steps of a rollout were put onto the deploy branch at once, past what judges one before the next: the tip
    /// of a staged branch, or one commit that holds several batches.
    BatchesAtOnce "batches-at-once" "git push origin pillion/main/log:main"
    /// A batch was released that waits for a person, and nobody has approved its plan.
    BatchNotApproved "batch-not-approved" "approve: [2], and batch 2 without `pillion approve log 2`"
    /// A commit is a step of a rollout or a verb, and changes something else, too: that would be released with it, unseen.
    MixedCommit "mixed-commit" "a batch of `log` and an edit of apps/web.yaml in one commit"
    /// A commit on the way from `--base` cannot be read, so that nobody can tell what it did to the ledgers.
    UnreadableCommit "unreadable-commit" "a commit with an unknown key in pillion.yaml, and one that takes it out again"
    /// A manifest is in the folder of rendered files, or in the one that was it, and pillion did not make it: whoever
    /// applies the folder applies it, too.
    ForeignManifest "unmanaged-manifest" "rendered/extra.yaml, which no source makes"

    // ---- write
    /// The rendered file would replace one that pillion did not write.
    UnmanagedFile "unmanaged-file" "--out into a folder with files of other tools"
    /// Two inputs have the same place in the output folder, or one file is rendered for two clusters.
    OutputCollision "output-collision" "pillion render a b --out rendered, with a/web.yaml and b/web.yaml"
    /// What is there is not what a render makes.
    NotUpToDate "not-up-to-date" "pillion render --check after an edit of apps/ without a render"
    /// A node that is to change is shared: an alias refers to it elsewhere, and would change with it.
    AliasedNode "aliased-node" "spec: {containers: &c [{name: a}], initContainers: *c}"
    /// An independent parser reads something else in an edited document than was meant; nothing is written.
    EditCheckFailed "edit-check-failed" "a document that shows a bug in pillion"

    // ---- model
    /// pillion.yaml holds a key that does not exist, or lacks one.
    InvalidConfiguration "invalid-configuration" "sorces: [apps]"
    /// A field holds a value of another type than the API wants.
    WrongType "wrong-type" "spec:\n  containers: none"
    /// A field the API does not know; Kruise drops it without a word.
    UnknownField "unknown-field" "spec:\n  contianers: []"
    /// A document calls itself a SidecarSet of a version or kind that Kruise does not have.
    UnknownVersion "unknown-version" "apiVersion: apps.kruise.io/v1\nkind: SidecarSet"
    /// A text or number that should be a resource quantity is none.
    InvalidQuantity "invalid-quantity" "resources:\n  limits:\n    cpu: lots"
    /// A field that has to be written is not there, or is empty.
    MissingField "missing-field" "metadata: {}"
    /// A document has so much wrong with it that only the first findings are shown.
    TooManyFindings "too-many-findings" "a SidecarSet with hundreds of unknown fields"
    /// A value breaks a rule of Kubernetes or Kruise.
    InvalidValue "invalid-value" "metadata:\n  name: a.b"
    /// A field has none of the values that it can have.
    UnsupportedValue "unsupported-value" "imagePullPolicy: Sometimes"
    /// A value that must be the only one of its kind is there more than once.
    DuplicateValue "duplicate-value" "containers:\n- name: log\n- name: log"
    /// Something is named that is not there, such as a volume or a revision.
    NotFound "not-found" "volumeMounts:\n- name: none\n  mountPath: /x"
    /// A field is written where it does not belong.
    ForbiddenField "forbidden-field" "containers:\n- name: log\n  restartPolicy: Always"
    /// A selector is empty or cannot be used.
    InvalidSelector "invalid-selector" "selector: {}"
    /// Kruise accepts a value and then ignores it.
    IgnoredValue "ignored-value" "upgradeStrategy:\n  upgradeType: Warm"
    /// A container of a hot upgrade has no empty image: its twin comes without an image.
    MissingEmptyImage "missing-empty-image" "upgradeStrategy:\n  upgradeType: HotUpgrade"
    /// `partition` and `selector` of an update strategy cannot be used together.
    PartitionWithSelector "partition-with-selector" "updateStrategy:\n  partition: 2\n  selector: {}"
    /// A native sidecar (an init container with `restartPolicy: Always`) cannot be updated in place, but
    /// `updateStrategy` asks for it; RollingUpdate is the default.
    NativeSidecarUpdate "native-sidecar-update" "initContainers:\n- name: proxy\n  restartPolicy: Always"
    /// An expression of `resourcesPolicy` cannot be read or has no value.
    InvalidExpression "invalid-expression" "resourcesExpr:\n  limits:\n    cpu: max(cpu)"
    /// An update changes what Kruise does not let change.
    ImmutableField "immutable-field" "upgradeType: HotUpgrade, where it was ColdUpgrade"
    /// Two SidecarSets for the same pods add the same container, volume or annotation.
    SidecarSetsConflict "sidecar-sets-conflict" "two SidecarSets with a container `log` for the same labels"
    /// apps.kruise.io/v1beta1 has no `namespace`: Kruise drops it, and the set applies to the whole cluster.
    NamespaceDropped "namespace-dropped" "apiVersion: apps.kruise.io/v1beta1\nspec:\n  namespace: team-a"
    /// In apps.kruise.io/v1alpha1 `namespace` wins over `namespaceSelector`, which is thrown away.
    NamespaceSelectorIgnored "namespace-selector-ignored" "spec:\n  namespace: team-a\n  namespaceSelector: {}"

    /// A form of SidecarSet that only old Kruise versions or their articles know; it was understood.
    DeprecatedSyntax "deprecated-syntax" "spec:\n  paused: true"
    /// Two SidecarSets have one name.
    DuplicateSidecarSet "duplicate-sidecarset" "metadata: {name: log} in two files"

    /// A ledger is not as pillion writes ledgers: a name that does not exist, a content with another name.
    InvalidLedger "ledger-broken" "revisions: [{name: log-5448b598bc, …}] with an edited image"

    // ---- inject
    /// A sidecar has the name of a container of the application's own.
    ContainerNameTaken "container-name-taken" "a pod with a container `log` and a SidecarSet with a container `log`"
    /// Two sidecars that reach one pod have the same name.
    DuplicateContainerName "duplicate-container-name" "two SidecarSets with a container `log` and the same selector"
    /// A sidecar has the name of a container in the other list of the pod; the API server refuses such a pod.
    ContainerNameInBothLists "container-name-in-both-lists" "a pod with an init container `log` and a SidecarSet with a container `log`"
    /// Another order of the SidecarSets, which a cluster does not fix, gives another result.
    SidecarSetOrderMatters "set-order-matters" "two SidecarSets that overwrite the same annotation with different values"
    /// A namespaceSelector asks for labels of a namespace that nobody has told.
    NamespaceLabelsUnknown "namespace-labels-unknown" "namespaceSelector: {matchLabels: {team: shop}}"
    /// `injectionStrategy` names a revision that no known state of the SidecarSet has.
    RevisionNotFound "revision-not-found" "injectionStrategy: {revision: {revisionName: log-0}}"
    /// A percentage decides which pods keep an older revision; pillion decides by the workload's key.
    PercentageByWorkload "percentage-by-workload" "injectionStrategy: {revision: {customVersion: v1, policy: Partial}} with partition: 50%"
    /// A sidecar mounts a volume that its SidecarSet does not define.
    VolumeNotDefined "volume-not-defined" "volumeMounts: [{name: nowhere, mountPath: /a}]"
    /// An annotation cannot be merged: one of the two texts is not JSON that can be merged.
    AnnotationNotJson "annotation-not-json" "patchPodMetadata: [{annotations: {k: '{\"a\":1}'}, patchPolicy: MergePatchJson}] for a pod with k: text"
    /// A patch to be merged is not a JSON object; it is stored as it is where the pod has no such annotation.
    PatchNotJson "patch-not-json" "patchPodMetadata: [{annotations: {k: text}, patchPolicy: MergePatchJson}]"
    /// The annotation with the hashes of injected sets cannot be read.
    UnreadableHashes "unreadable-hashes" "kruise.io/sidecarset-hash: text"
    /// A variable that `transferEnv` asks for is not there; Kruise skips it.
    TransferEnvMissing "transfer-env-missing" "transferEnv: [{sourceContainerName: app, envName: TZ}]"
    /// A sidecar shares the mount of a service-account token that is in the manifest.
    SharesTokenMount "shares-token-mount" "volumeMounts: [{name: token, mountPath: /var/run/secrets/kubernetes.io/serviceaccount}]"
    /// An init container is put before the application's own, which Kruise's API documentation denies.
    InitBeforeApp "init-before-app" "initContainers: [{name: prepare, podInjectPolicy: BeforeAppContainer}]"
    /// A launch priority is not a whole number; Kruise denies such a pod.
    LaunchPriorityInvalid "launch-priority-invalid" "env: [{name: KRUISE_CONTAINER_PRIORITY, value: high}]"
    /// Launch priorities of a template take effect only where Kruise's webhook writes the barriers.
    LaunchPriorityInCluster "launch-priority-in-cluster" "a Deployment with KRUISE_CONTAINER_PRIORITY"
    /// Something in a rendered template may be of an earlier injection, and no known state of a set tells.
    UnknownOwner "unknown-owner" "a volume that only a removed sidecar used"
    /// A resource policy finds no container to compute from; Kruise denies such a pod.
    ResourcesNoTarget "resources-no-target" "resourcesPolicy: {targetContainersNameRegex: ^main$}"
    /// A resource expression cannot be computed; Kruise denies such a pod.
    ResourcesExpression "resources-expression" "limits: {cpu: cpu*100m}"
    /// A computed limit is omitted because some container it is computed from has none.
    ResourcesLimitOmitted "resources-limit-left-out" "limits: {cpu: cpu*50%} for a container without limits"
    /// The result of a memory expression is a plain number, which Kruise takes for thousandths.
    ResourcesPlainNumber "resources-plain-number" "limits: {memory: '1.5'}"

    // ---- plan
    /// The observed objects hold no Pod at all.
    NoPods "no-pods" "--cluster-state deployments.json"
    /// Several SidecarSets are among the inputs, and a rollout is of one.
    SeveralSidecarSets "several-sidecarsets" "pillion plan --by pod --next with a folder of SidecarSets"
    /// The workload's own strategy lets more of its pods be down at once than maxUnavailable of the SidecarSet
    /// allows, and it cannot be split; it is a batch of its own.
    WorkloadExceedsMaxUnavailable "workload-exceeds-max-unavailable" "updateStrategy: {maxUnavailable: 1} and a Deployment with 10 replicas"
    /// More batches than `maxBatches` are needed; such a rollout is not staged.
    TooManyBatches "too-many-batches" "updateStrategy: {maxUnavailable: 1} and 500 pods"
    /// A rollout takes its sidecar away from workloads: its SidecarSet is deleted, or selects fewer of them. It starts
    /// with `pillion start NAME --allow-removal`, and never by itself.
    SidecarRemoval "sidecar-removal" "a SidecarSet that is deleted, or `selector: {matchLabels: {log: canary}}` in place of `{log: \"true\"}`"
    /// A SidecarSet selects no workload, although workloads have its sidecar or there is nothing else that it could be for.
    SelectsNothing "selects-nothing" "selector: {matchLabels: {lgo: \"true\"}}"
    /// A rollout would change the container of a hot-upgrade pair that works. pillion cannot stage hot upgrades yet, so
    /// no batch contains the workload.
    HotUpgrade "hot-upgrade" "another image for a container with `upgradeStrategy: {upgradeType: HotUpgrade}`"
    /// The workload is bigger than the step, cannot be split, and is a batch of its own.
    WorkloadExceedsStep "workload-exceeds-step" "rollout: {steps: [1, 100%]} and a Deployment with 10 replicas"
    /// Git does not say how many pods a workload has; observed ones are written to the ledger.
    ReplicasNotInGit "replicas-not-in-git" "a Deployment without `replicas`, and `--cluster-state pods.json`"
    /// A workload's own partition keeps pods old, and a rollout never lowers it.
    NativePartitionKept "native-partition-kept" "kind: CloneSet\nspec: {replicas: 5, updateStrategy: {partition: 3}}"
    /// Nobody says how many pods a workload has.
    ReplicasUnknown "replicas-unknown" "a DaemonSet, and neither `--cluster-state` nor `rollout: {pods: {...}}`"
    /// No workload that the SidecarSet reaches has the labels of the canary selector.
    CanaryMatchesNothing "canary-matches-nothing" "updateStrategy: {selector: {matchLabels: {canary: yes}}}"
    /// A StatefulSet whose pods are made in order does not heal from git once a new pod fails: its controller waits
    /// for that pod, whatever the template says.
    OrderedReadyStuck "ordered-ready-stuck" "kind: StatefulSet without `podManagementPolicy: Parallel`"
    /// A batch may take down more pods than a PodDisruptionBudget allows.
    DisruptionBudgetExceeded "disruption-budget-exceeded" "kind: PodDisruptionBudget\nspec: {maxUnavailable: 1}"
    /// The pods of a workload fall into a lower quality-of-service class.
    QosClassLowered "qos-class-lowered" "a sidecar without limits in a Guaranteed pod"
    /// An autoscaler measures by requests, and a container of the new template has none.
    AutoscalerWithoutRequest "autoscaler-without-request" "a sidecar without a cpu request and a HorizontalPodAutoscaler on cpu"
    /// A term of `scatterStrategy` has no value: Kruise looks for pods whose label is empty or absent.
    ScatterWithoutValue "scatter-without-value" "scatterStrategy: [{key: zone}]"
    /// The workloads of a namespace ask for more than a ResourceQuota allows, as far as git tells.
    QuotaExceeded "quota-exceeded" "kind: ResourceQuota\nspec: {hard: {requests.cpu: 2}}"
    /// A ResourceQuota makes every container say what it needs, and one does not.
    QuotaNeedsResources "quota-needs-resources" "a sidecar without limits and a ResourceQuota on limits.memory"
    /// A LimitRange refuses the pods of the new template.
    LimitRangeViolated "limit-range-violated" "kind: LimitRange\nspec: {limits: [{type: Container, max: {cpu: 1}}]}"
}
