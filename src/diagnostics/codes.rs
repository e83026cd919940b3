//! The registry of diagnostic codes, each with its meaning and an example. docs/codes.md is generated from it.

macro_rules! codes {
    ($( $(#[doc = $doc:literal])+ $variant:ident $name:literal $example:literal )*) => {
        /// The kind of a diagnostic. Names are kebab-case, name the problem and are never renamed.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Code { $( $(#[doc = $doc])+ $variant, )* }

        impl Code {
            /// Every code, in the order of the registry.
            pub const ALL: &'static [Self] = &[ $(Self::$variant),* ];

            /// Returns the kebab-case name.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            /// Returns the meaning of the code, in sentences.
            pub(crate) fn meaning(self) -> &'static str {
                match self { $(Self::$variant => concat!($($doc, "\n"),+)),* }
            }

            /// Returns a minimal input that causes it.
            pub(crate) fn example(self) -> &'static str {
                match self { $(Self::$variant => $example),* }
            }
        }
    };
}

codes! {
    // ---- yaml
    /// The text is not YAML, or not YAML that Kubernetes accepts.
    InvalidYaml "invalid-yaml" "spec:\n\tcontainers: []"
    /// A mapping has a duplicate key. Kubernetes keeps the last one, and strict clients refuse the file.
    DuplicateKey "duplicate-key" "metadata:\n  name: a\n  name: b"
    /// Collections are nested deeper than Kubernetes allows. pillion stops reading there.
    NestingTooDeep "nesting-too-deep" "a file of 100,000 `[`"
    /// Aliases expand the document to many times the size of its text. Kubernetes refuses such documents too.
    AliasBomb "alias-bomb" "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]"
    /// A document is larger than 64 MiB or has more than 8 million nodes.
    DocumentTooLarge "document-too-large" "a file with one line of 1 GB"

    /// An object looks like a SidecarSet or a ledger, but its `apiVersion` or `kind` is misspelled.
    MisspeltKind "misspelt-kind" "apiVersion: apps.kruise.io/v1beta1\nkind: Sidecarset"

    // ---- read
    /// A file or folder does not exist, cannot be read or is not a regular file.
    UnreadableFile "unreadable-file" "a file without read permission"
    /// An input is larger than 512 MiB, the maximum that pillion reads.
    FileTooLarge "file-too-large" "a file of 1 GB"
    /// A file is not UTF-8 text.
    NotUtf8 "not-utf8" "a file saved as Latin-1 or UTF-16"
    /// A file contains a NUL byte.
    NulByte "nul-byte" "a binary file with the name web.yaml"
    /// A symbolic link was skipped because its target is in the same folder and is read there.
    SymlinkSkipped "symlink-skipped" "apps/current.yaml -> apps/v2.yaml"
    /// A symbolic link is broken, circular or points outside of the folder.
    SymlinkOutside "symlink-outside" "apps/shadow.yaml -> /etc/shadow"
    /// The name of a file contains a control character, such as a line break, which could forge lines in lists, logs and
    /// commit messages.
    UnusableName "unusable-name" "apps/web$(printf '\\n').yaml"
    /// A folder without manifests was skipped.
    FolderSkipped "folder-skipped" "charts/web/templates beside charts/web/Chart.yaml"
    /// A folder has a kustomization: build it with kustomize first, then inject sidecars into the result.
    KustomizeFolder "kustomize-folder" "overlays/eu/kustomization.yaml"

    /// A path in a manifest or parameter points outside of the repository.
    PathOutside "path-outside" "kind: Sidecars\nspec: {sidecarSets: [/etc]}"
    /// An integration received manifests and would return none, so the next tool would delete everything.
    EmptyOutput "empty-output" "a kustomization of SidecarSets only"

    /// The `build` command of pillion.yaml does not start, fails, times out or prints too much.
    BuildFailed "build-failed" "build: [kustomize, build, overlays/ue] without such a folder"
    /// A `build` command of pillion.yaml must run, but builds are not allowed here (CI, `watch`, dry runs).
    BuildNotAllowed "build-not-allowed" "build: [kustomize, build, overlays/eu] and `pillion watch` without --allow-build"
    /// A kustomization refers to a remote resource, and the Argo CD plugin does not fetch remote resources.
    RemoteBase "remote-base" "resources: [https://git.example/acme/base?ref=main]"
    /// A build or `--manifests` returned no manifests.
    NoManifests "no-manifests" "kustomize build overlays/ue | pillion stage --manifests -, where kustomize has failed"

    /// A manifest belongs to no configured cluster, or pillion.yaml does not define a cluster of this name.
    NoCluster "no-cluster" "--cluster prod-us, with clusters: [{name: prod-eu}]"
    /// The given paths contain no SidecarSet.
    NoSidecarSet "no-sidecarset" "--sidecarsets apps/web.yaml"

    // ---- render
    /// A sidecar refers to a ConfigMap or Secret that has another name in the output, such as one with a hash.
    DanglingReference "dangling-reference" "volumes: [{name: conf, configMap: {name: log-conf}}] and a ConfigMap log-conf-6ft88t2625"
    /// A selected workload has no containers. It looks like a patch and is left unchanged.
    NoContainers "no-containers" "kind: Deployment\nspec: {template: {metadata: {labels: {log: \"true\"}}}}"

    /// pillion.yaml sets `ledgers`, but a SidecarSet has no ledger.
    NoLedger "no-ledger" "ledgers: ledgers in pillion.yaml, without ledgers/log.yaml"
    /// A file is a ledger that pillion does not read: pillion.yaml sets no `ledgers`, or the file belongs to no cluster.
    LedgerNotRead "ledger-not-configured" "ledgers/log.yaml beside a pillion.yaml without `ledgers`"
    /// Two ledgers name the same SidecarSet.
    DuplicateLedger "duplicate-ledger" "ledgers/log.yaml and ledgers/old.yaml with metadata: {name: log}"
    /// The file name of a ledger differs from the name of its SidecarSet.
    LedgerMisplaced "ledger-misplaced" "ledgers/proxy.yaml with metadata: {name: log}"
    /// A ledger differs from what pillion would have written.
    UnplannedLedgerChange "ledger-not-planned" "workloads: [{workload: Deployment.apps/shop/web, …}] added by hand"
    /// Two manifests define the same workload, so a rollout cannot know which one the cluster runs.
    DuplicateWorkload "duplicate-workload" "Deployment shop/web in apps/web.yaml and apps/old/web.yaml"
    /// The content of a SidecarSet has no rollout yet, so the rendered manifests do not change.
    NotStaged "not-staged-yet" "a new image in sidecars/log.yaml"
    /// `injectionStrategy` has no effect, because the ledger sets the revision of each workload.
    InjectionStrategyWithoutEffect "injection-strategy-without-effect" "injectionStrategy: {paused: true}"

    /// The rendered files of the deploy branch differ from a render of its sources and ledgers: they were edited by hand.
    DeployBranchNotRendered "deploy-branch-not-rendered" "a new image in rendered/shop/web.yaml that no source has"

    /// The deploy branch was rewritten: the commit that this clone saw last, or that a rollout is based on, is no longer in
    /// its history.
    DeployBranchRewritten "deploy-branch-rewritten" "git push --force to main"
    /// A staged branch contains commits that pillion did not make, so pillion neither replaces nor removes it.
    ForeignCommits "foreign-commits" "a fix by hand that was pushed to pillion/main/log"
    /// With two branches: the source commit that the deploy branch names is not on the source branch, or is older than the
    /// previous one. pillion reads nothing of that commit.
    UntrustedSource "untrusted-source" "a commit of env/prod with Pillion-Action: Render and a Pillion-Source that is not on main"

    /// A SidecarSet with a ledger selects a workload without a namespace, so the workload would not have the same key
    /// everywhere.
    NamespaceUnspecified "namespace-unspecified" "a Deployment without `metadata.namespace`, with `ledgers:` and without `namespaces:` in pillion.yaml"
    /// A ledger has an entry for a workload that does not exist; one of the same kind and name exists in another
    /// namespace.
    LedgerWorkloadUnknown "ledger-workload-unknown" "an entry for Deployment.apps/default/web, and Deployment shop/web on standard input"
    /// Workloads of a running rollout are missing from the manifests although no commit removed them, so the rollout would
    /// look complete.
    WorkloadsMissing "workloads-missing" "sources: [] in pillion.yaml during a rollout"
    /// Several steps of a rollout reached the deploy branch at once, without a health check between them: the tip of a
    /// staged branch, or one commit with several batches.
    BatchesAtOnce "batches-at-once" "git push origin pillion/main/log:main"
    /// A batch that needs approval was released without it.
    BatchNotApproved "batch-not-approved" "approve: [2], and batch 2 without `pillion approve log 2`"
    /// A commit of a rollout also changes something else, which would be released with it, unreviewed.
    MixedCommit "mixed-commit" "a batch of `log` and an edit of apps/web.yaml in one commit"
    /// A commit since `--base` cannot be read, so its changes to the ledgers are unknown.
    UnreadableCommit "unreadable-commit" "a commit with an unknown key in pillion.yaml, and one that takes it out again"
    /// The folder of rendered files, or its predecessor, contains a manifest that pillion did not write. Tools that apply
    /// the folder apply it too.
    ForeignManifest "unmanaged-manifest" "rendered/extra.yaml, which no source makes"

    // ---- write
    /// The rendered file would replace a file that pillion did not write.
    UnmanagedFile "unmanaged-file" "--out into a folder with files of other tools"
    /// Two inputs have the same output path, or one file is rendered for two clusters.
    OutputCollision "output-collision" "pillion render a b --out rendered, with a/web.yaml and b/web.yaml"
    /// The existing output differs from a new render.
    NotUpToDate "not-up-to-date" "pillion render --check after an edit of apps/ without a render"
    /// A node to change has an anchor, and an alias elsewhere would change with it.
    AliasedNode "aliased-node" "spec: {containers: &c [{name: a}], initContainers: *c}"
    /// The independent parser reads an edited document differently than intended. pillion writes nothing.
    EditCheckFailed "edit-check-failed" "a document that shows a bug in pillion"

    // ---- model
    /// pillion.yaml has an unknown key, lacks a required one or has an invalid value.
    InvalidConfiguration "invalid-configuration" "sorces: [apps]"
    /// The value of a field has the wrong type.
    WrongType "wrong-type" "spec:\n  containers: none"
    /// The API does not know a field. Kruise drops it silently.
    UnknownField "unknown-field" "spec:\n  contianers: []"
    /// A SidecarSet has a version that Kruise does not have.
    UnknownVersion "unknown-version" "apiVersion: apps.kruise.io/v1\nkind: SidecarSet"
    /// A value cannot be parsed as a resource quantity.
    InvalidQuantity "invalid-quantity" "resources:\n  limits:\n    cpu: lots"
    /// A required field is missing or empty.
    MissingField "missing-field" "metadata: {}"
    /// A document has so many errors that only the first ones are shown.
    TooManyFindings "too-many-findings" "a SidecarSet with hundreds of unknown fields"
    /// A value breaks a rule of Kubernetes or Kruise.
    InvalidValue "invalid-value" "metadata:\n  name: a.b"
    /// The value of a field is not one of the allowed values.
    UnsupportedValue "unsupported-value" "imagePullPolicy: Sometimes"
    /// A value that must be unique is repeated.
    DuplicateValue "duplicate-value" "containers:\n- name: log\n- name: log"
    /// A reference, such as to a volume or a revision, has no target.
    NotFound "not-found" "volumeMounts:\n- name: none\n  mountPath: /x"
    /// A field is not allowed here.
    ForbiddenField "forbidden-field" "containers:\n- name: log\n  restartPolicy: Always"
    /// A selector is empty or invalid.
    InvalidSelector "invalid-selector" "selector: {}"
    /// Kruise accepts a value but ignores it.
    IgnoredValue "ignored-value" "upgradeStrategy:\n  upgradeType: Warm"
    /// A hot-upgrade container has no empty image, so its second container would have no image.
    MissingEmptyImage "missing-empty-image" "upgradeStrategy:\n  upgradeType: HotUpgrade"
    /// An update strategy has both `partition` and `selector`, which cannot be combined.
    PartitionWithSelector "partition-with-selector" "updateStrategy:\n  partition: 2\n  selector: {}"
    /// A native sidecar (an init container with `restartPolicy: Always`) cannot be updated in place, but
    /// `updateStrategy` requests it; RollingUpdate is the default.
    NativeSidecarUpdate "native-sidecar-update" "initContainers:\n- name: proxy\n  restartPolicy: Always"
    /// An expression of `resourcesPolicy` cannot be parsed or evaluated.
    InvalidExpression "invalid-expression" "resourcesExpr:\n  limits:\n    cpu: max(cpu)"
    /// An update changes a field that Kruise does not allow to change.
    ImmutableField "immutable-field" "upgradeType: HotUpgrade, where it was ColdUpgrade"
    /// Two SidecarSets for the same pods define the same container, volume or annotation.
    SidecarSetsConflict "sidecar-sets-conflict" "two SidecarSets with a container `log` for the same labels"
    /// apps.kruise.io/v1beta1 has no `namespace`: Kruise drops it, and the set applies to the whole cluster.
    NamespaceDropped "namespace-dropped" "apiVersion: apps.kruise.io/v1beta1\nspec:\n  namespace: team-a"
    /// In apps.kruise.io/v1alpha1 `namespace` overrides `namespaceSelector`, which is dropped.
    NamespaceSelectorIgnored "namespace-selector-ignored" "spec:\n  namespace: team-a\n  namespaceSelector: {}"

    /// A SidecarSet uses the syntax of an old Kruise version or article. pillion read it as intended.
    DeprecatedSyntax "deprecated-syntax" "spec:\n  paused: true"
    /// Two SidecarSets have the same name.
    DuplicateSidecarSet "duplicate-sidecarset" "metadata: {name: log} in two files"

    /// A ledger is invalid: it refers to an unknown name, or the content of a revision does not match its name.
    InvalidLedger "ledger-broken" "revisions: [{name: log-5448b598bc, …}] with an edited image"

    // ---- inject
    /// A sidecar has the name of an application container.
    ContainerNameTaken "container-name-taken" "a pod with a container `log` and a SidecarSet with a container `log`"
    /// Two sidecars of one pod have the same name.
    DuplicateContainerName "duplicate-container-name" "two SidecarSets with a container `log` and the same selector"
    /// A container and an init container of one pod have the same name. The API server refuses such a pod.
    ContainerNameInBothLists "container-name-in-both-lists" "a pod with an init container `log` and a SidecarSet with a container `log`"
    /// The result depends on the order of the SidecarSets, which is undefined in a cluster.
    SidecarSetOrderMatters "set-order-matters" "two SidecarSets that overwrite the same annotation with different values"
    /// A namespaceSelector needs labels of a namespace that are unknown.
    NamespaceLabelsUnknown "namespace-labels-unknown" "namespaceSelector: {matchLabels: {team: shop}}"
    /// `injectionStrategy` names an unknown revision of the SidecarSet.
    RevisionNotFound "revision-not-found" "injectionStrategy: {revision: {revisionName: log-0}}"
    /// A percentage of pods keeps an older revision. pillion decides per workload, by its key.
    PercentageByWorkload "percentage-by-workload" "injectionStrategy: {revision: {customVersion: v1, policy: Partial}} with partition: 50%"
    /// A sidecar mounts a volume that its SidecarSet does not define.
    VolumeNotDefined "volume-not-defined" "volumeMounts: [{name: nowhere, mountPath: /a}]"
    /// An annotation cannot be merged, because one of the two values is not mergeable JSON.
    AnnotationNotJson "annotation-not-json" "patchPodMetadata: [{annotations: {k: '{\"a\":1}'}, patchPolicy: MergePatchJson}] for a pod with k: text"
    /// A merge patch is not a JSON object. It is stored unchanged if the pod does not have the annotation.
    PatchNotJson "patch-not-json" "patchPodMetadata: [{annotations: {k: text}, patchPolicy: MergePatchJson}]"
    /// The annotation with the hashes of injected SidecarSets cannot be parsed.
    UnreadableHashes "unreadable-hashes" "kruise.io/sidecarset-hash: text"
    /// A variable of `transferEnv` does not exist. Kruise skips it.
    TransferEnvMissing "transfer-env-missing" "transferEnv: [{sourceContainerName: app, envName: TZ}]"
    /// A sidecar shares the mount of a service-account token of the manifest.
    SharesTokenMount "shares-token-mount" "volumeMounts: [{name: token, mountPath: /var/run/secrets/kubernetes.io/serviceaccount}]"
    /// An init container is placed before those of the application, contrary to Kruise's API documentation.
    InitBeforeApp "init-before-app" "initContainers: [{name: prepare, podInjectPolicy: BeforeAppContainer}]"
    /// A launch priority is not an integer. Kruise denies such a pod.
    LaunchPriorityInvalid "launch-priority-invalid" "env: [{name: KRUISE_CONTAINER_PRIORITY, value: high}]"
    /// Launch priorities of a template take effect only if Kruise's webhook runs in the cluster.
    LaunchPriorityInCluster "launch-priority-in-cluster" "a Deployment with KRUISE_CONTAINER_PRIORITY"
    /// Part of a rendered template may come from an earlier injection, but no known revision of a SidecarSet defines it.
    UnknownOwner "unknown-owner" "a volume that only a removed sidecar used"
    /// A resource policy matches no container. Kruise denies such a pod.
    ResourcesNoTarget "resources-no-target" "resourcesPolicy: {targetContainersNameRegex: ^main$}"
    /// A resource expression cannot be evaluated. Kruise denies such a pod.
    ResourcesExpression "resources-expression" "limits: {cpu: cpu*100m}"
    /// A computed limit is omitted, because a container that it is computed from has no limit.
    ResourcesLimitOmitted "resources-limit-left-out" "limits: {cpu: cpu*50%} for a container without limits"
    /// A memory expression evaluates to a plain number, which Kruise reads as thousandths of a byte.
    ResourcesPlainNumber "resources-plain-number" "limits: {memory: '1.5'}"

    // ---- plan
    /// The cluster state contains no Pods.
    NoPods "no-pods" "--cluster-state deployments.json"
    /// The inputs contain several SidecarSets, but a rollout has exactly one.
    SeveralSidecarSets "several-sidecarsets" "pillion plan --by pod --next with a folder of SidecarSets"
    /// The strategy of a workload allows more unavailable pods than `maxUnavailable` of the SidecarSet, and the workload
    /// cannot be split. It is a batch of its own.
    WorkloadExceedsMaxUnavailable "workload-exceeds-max-unavailable" "updateStrategy: {maxUnavailable: 1} and a Deployment with 10 replicas"
    /// A rollout needs more than `maxBatches` batches, so pillion does not stage it.
    TooManyBatches "too-many-batches" "updateStrategy: {maxUnavailable: 1} and 500 pods"
    /// A rollout removes its sidecar from workloads: the SidecarSet is deleted or selects fewer workloads. It never starts
    /// automatically; run `pillion start NAME --allow-removal`.
    SidecarRemoval "sidecar-removal" "a SidecarSet that is deleted, or `selector: {matchLabels: {log: canary}}` in place of `{log: \"true\"}`"
    /// A SidecarSet selects no workload, although workloads have its sidecar or no other workload could be meant.
    SelectsNothing "selects-nothing" "selector: {matchLabels: {lgo: \"true\"}}"
    /// A rollout would change the active container of a hot-upgrade pair. pillion does not stage hot upgrades yet, so no
    /// batch contains the workload.
    HotUpgrade "hot-upgrade" "another image for a container with `upgradeStrategy: {upgradeType: HotUpgrade}`"
    /// A workload has more pods than the step and cannot be split. It is a batch of its own.
    WorkloadExceedsStep "workload-exceeds-step" "rollout: {steps: [1, 100%]} and a Deployment with 10 replicas"
    /// Git has no replica count for a workload, so pillion records the observed one in the ledger.
    ReplicasNotInGit "replicas-not-in-git" "a Deployment without `replicas`, and `--cluster-state pods.json`"
    /// The native partition of a workload keeps pods on the old template, and a rollout never lowers it.
    NativePartitionKept "native-partition-kept" "kind: CloneSet\nspec: {replicas: 5, updateStrategy: {partition: 3}}"
    /// The replica count of a workload is unknown.
    ReplicasUnknown "replicas-unknown" "a DaemonSet, and neither `--cluster-state` nor `rollout: {pods: {...}}`"
    /// No workload of the rollout has the labels of the canary selector.
    CanaryMatchesNothing "canary-matches-nothing" "updateStrategy: {selector: {matchLabels: {canary: yes}}}"
    /// A StatefulSet with ordered pods cannot recover through git after a new pod fails: its controller waits for that
    /// pod, whatever the template is.
    OrderedReadyStuck "ordered-ready-stuck" "kind: StatefulSet without `podManagementPolicy: Parallel`"
    /// A batch may make more pods unavailable than a PodDisruptionBudget allows.
    DisruptionBudgetExceeded "disruption-budget-exceeded" "kind: PodDisruptionBudget\nspec: {maxUnavailable: 1}"
    /// The pods of a workload get a lower quality-of-service class.
    QosClassLowered "qos-class-lowered" "a sidecar without limits in a Guaranteed pod"
    /// An autoscaler scales by requests, but a container of the new template has none.
    AutoscalerWithoutRequest "autoscaler-without-request" "a sidecar without a cpu request and a HorizontalPodAutoscaler on cpu"
    /// A term of `scatterStrategy` has no value, so Kruise selects pods with an empty or missing label.
    ScatterWithoutValue "scatter-without-value" "scatterStrategy: [{key: zone}]"
    /// The workloads of a namespace request more than a ResourceQuota allows, as far as git shows.
    QuotaExceeded "quota-exceeded" "kind: ResourceQuota\nspec: {hard: {requests.cpu: 2}}"
    /// A ResourceQuota requires resources on every container, and one has none.
    QuotaNeedsResources "quota-needs-resources" "a sidecar without limits and a ResourceQuota on limits.memory"
    /// A LimitRange rejects the pods of the new template.
    LimitRangeViolated "limit-range-violated" "kind: LimitRange\nspec: {limits: [{type: Container, max: {cpu: 1}}]}"
}
