//! The registry of diagnostic codes, each with its severities, its meaning, an example and what to do. docs/codes.md
//! is generated from it.

use super::Severity;

macro_rules! codes {
    ($( $(#[doc = $doc:literal])+ $variant:ident $name:literal [$($severity:ident)+] $example:literal $fix:literal )*) => {
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

            /// Returns the severities of its diagnostics, before `lint:` and `--strict`.
            pub fn severities(self) -> &'static [Severity] {
                match self { $(Self::$variant => &[$(Severity::$severity),+]),* }
            }

            /// Returns the meaning of the code, in sentences.
            pub(crate) fn meaning(self) -> &'static str {
                match self { $(Self::$variant => concat!($($doc, "\n"),+)),* }
            }

            /// Returns a minimal input that causes it.
            pub(crate) fn example(self) -> &'static str {
                match self { $(Self::$variant => $example),* }
            }

            /// Returns what to do about it, in sentences.
            pub(crate) fn fix(self) -> &'static str {
                match self { $(Self::$variant => $fix),* }
            }
        }
    };
}

impl Code {
    /// Returns the code with a name.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.name() == name)
    }

    /// Returns whether all of its diagnostics are errors.
    pub(crate) fn is_always_error(self) -> bool {
        self.severities() == [Severity::Error]
    }
}

codes! {
    // ---- yaml
    /// The text is not YAML, or not YAML that Kubernetes accepts.
    InvalidYaml "invalid-yaml" [Error]
        "spec:\n\tcontainers: []"
        "Correct the text at the place. `pillion fix` repairs the indentation of SidecarSets."
    /// A mapping has a duplicate key. Kubernetes keeps the last one, and strict clients refuse the file.
    DuplicateKey "duplicate-key" [Error]
        "metadata:\n  name: a\n  name: b"
        "Remove one of the two keys, or join their values."
    /// Collections are nested deeper than Kubernetes allows. pillion stops reading there.
    NestingTooDeep "nesting-too-deep" [Error]
        "a file of 100,000 `[`"
        "Remove levels, or leave the file out with `ignore:` if it is not a manifest."
    /// Aliases expand the document to many times the size of its text. Kubernetes refuses such documents too.
    AliasBomb "alias-bomb" [Error]
        "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]"
        "Write the values in place of the aliases."
    /// A document is larger than 64 MiB or has more than 8 million nodes.
    DocumentTooLarge "document-too-large" [Error]
        "a file with one line of 1 GB"
        "Split the document, or leave the file out with `ignore:`."

    /// An object looks like a SidecarSet or a document of pillion, but its `apiVersion` or `kind` is misspelled or missing.
    MisspeltKind "misspelt-kind" [Error]
        "apiVersion: apps.kruise.io/v1beta1\nkind: Sidecarset"
        "Correct `apiVersion` and `kind`."

    // ---- read
    /// A file or folder does not exist, cannot be read or is not a regular file.
    UnreadableFile "unreadable-file" [Error Warning]
        "a file without read permission"
        "Correct the name, restore the file, or give the user that runs pillion permission to read it."
    /// An input is larger than 512 MiB, the maximum that pillion reads.
    FileTooLarge "file-too-large" [Error]
        "a file of 1 GB"
        "Split the file, or leave it out with `ignore:`."
    /// A file is not UTF-8 text.
    NotUtf8 "not-utf8" [Error]
        "a file saved as Latin-1 or UTF-16"
        "Save the file as UTF-8."
    /// A file contains a NUL byte.
    NulByte "nul-byte" [Error]
        "a binary file with the name web.yaml"
        "Restore the file, or leave it out with `ignore:` if it is not a manifest."
    /// A symbolic link was skipped because its target is in the same folder and is read there.
    SymlinkSkipped "symlink-skipped" [Note]
        "apps/current.yaml -> apps/v2.yaml"
        "No change is needed: the target is read. Remove the link if it has no other use."
    /// A symbolic link is broken, circular or points outside of the folder.
    SymlinkOutside "symlink-outside" [Error]
        "apps/shadow.yaml -> /etc/shadow"
        "Replace the link with the file, or remove it."
    /// The name of a file contains a control character, such as a line break, which could forge lines in lists, logs and
    /// commit messages.
    UnusableName "unusable-name" [Error]
        "apps/web$(printf '\\n').yaml"
        "Rename the file."
    /// A folder without manifests was skipped.
    FolderSkipped "folder-skipped" [Note]
        "charts/web/templates beside charts/web/Chart.yaml"
        "No change is needed. To render a chart, pass the output of `helm template` to `pillion render -`."
    /// A folder has a kustomization: build it with kustomize first, then inject sidecars into the result.
    KustomizeFolder "kustomize-folder" [Error]
        "overlays/eu/kustomization.yaml"
        "Run `kustomize build FOLDER | pillion render -`, or set `build: [kustomize, build, FOLDER]` in pillion.yaml."

    /// A path in a manifest or parameter points outside of the repository.
    PathOutside "path-outside" [Error]
        "kind: Sidecars\nspec: {sidecarSets: [/etc]}"
        "Name a file or folder of this repository, relative to the configuration."
    /// An integration received manifests and would return none, so the next tool would delete everything.
    EmptyOutput "empty-output" [Error]
        "a kustomization of SidecarSets only"
        "List applications among the resources, or keep SidecarSets in the output with `--keep-sidecarsets`."

    /// The `build` command of pillion.yaml does not start, fails, times out or prints too much.
    BuildFailed "build-failed" [Error]
        "build: [kustomize, build, overlays/ue] without such a folder"
        "Run the command by hand in the folder of pillion.yaml, and correct what it reports."
    /// A `build` command of pillion.yaml must run, but builds are not allowed here (CI, `watch`, dry runs).
    BuildNotAllowed "build-not-allowed" [Error]
        "build: [kustomize, build, overlays/eu] and `pillion watch` without --allow-build"
        "Pass `--allow-build` where you trust the repository, or give the built manifests with `--manifests FILE`."
    /// A kustomization refers to a remote resource, and the Argo CD plugin does not fetch remote resources.
    RemoteBase "remote-base" [Error]
        "resources: [https://git.example/acme/base?ref=main]"
        "Copy the resource into the repository. The operator of the plugin can allow remote resources with `--allow-remote-bases`."
    /// A build or `--manifests` returned no manifests.
    NoManifests "no-manifests" [Error]
        "kustomize build overlays/ue | pillion stage --manifests -, where kustomize has failed"
        "Correct the command that builds the manifests, and check its exit code in the pipe (`set -o pipefail`)."

    /// A manifest belongs to no configured cluster, or pillion.yaml does not define a cluster of this name.
    NoCluster "no-cluster" [Error]
        "--cluster prod-us, with clusters: [{name: prod-eu}]"
        "Use a name of `clusters:` in pillion.yaml, or add the cluster there."
    /// The given paths contain no SidecarSet.
    NoSidecarSet "no-sidecarset" [Error]
        "--sidecarsets apps/web.yaml"
        "Name files or folders with SidecarSets: `sidecarSets:` in pillion.yaml, or `--sidecarsets PATH`."

    // ---- render
    /// A sidecar refers to a ConfigMap or Secret that has another name in the output, such as one with a hash.
    DanglingReference "dangling-reference" [Warning]
        "volumes: [{name: conf, configMap: {name: log-conf}}] and a ConfigMap log-conf-6ft88t2625"
        "Give the ConfigMap or Secret a fixed name (`generatorOptions: {disableNameSuffixHash: true}`), or refer to the name in the output."
    /// A selected workload has no containers. It looks like a patch and is left unchanged.
    NoContainers "no-containers" [Warning]
        "kind: Deployment\nspec: {template: {metadata: {labels: {log: \"true\"}}}}"
        "Render the result of applying the patch, and leave the patch out with `ignore:`."

    /// pillion.yaml sets `ledgers`, but a SidecarSet has no ledger.
    NoLedger "no-ledger" [Error Note]
        "ledgers: ledgers in pillion.yaml, without ledgers/log.yaml"
        "Run `pillion init rollout`, or set `rollout: {requireLedger: false}` in pillion.yaml."
    /// A file is a ledger that pillion does not read: pillion.yaml sets no `ledgers`, or the file belongs to no cluster.
    LedgerNotConfigured "ledger-not-configured" [Error]
        "ledgers/log.yaml beside a pillion.yaml without `ledgers`"
        "Set `ledgers:` in pillion.yaml to the folder of the file, or remove the file."
    /// Two ledgers name the same SidecarSet.
    DuplicateLedger "duplicate-ledger" [Error]
        "ledgers/log.yaml and ledgers/old.yaml with metadata: {name: log}"
        "Keep the file that is named after the SidecarSet, and remove the other one."
    /// The file name of a ledger differs from the name of its SidecarSet.
    LedgerMisplaced "ledger-misplaced" [Error]
        "ledgers/proxy.yaml with metadata: {name: log}"
        "Name the file after its SidecarSet: `ledgers/NAME.yaml`."
    /// A ledger differs from what pillion would have written.
    LedgerNotPlanned "ledger-not-planned" [Error]
        "workloads: [{workload: Deployment.apps/shop/web, …}] added by hand"
        "Undo the edit, and change the ledger with `pillion promote`, `pause`, `resume`, `rollback` or `hold`."
    /// Two manifests define the same workload, so a rollout cannot know which one the cluster runs.
    DuplicateWorkload "duplicate-workload" [Error]
        "Deployment shop/web in apps/web.yaml and apps/old/web.yaml"
        "Remove one of the manifests, or leave its file out with `ignore:`."
    /// The content of a SidecarSet has no rollout yet, so the rendered manifests do not change.
    NotStagedYet "not-staged-yet" [Note]
        "a new image in sidecars/log.yaml"
        "Run `pillion plan` to read the rollout and `pillion stage` to write it."
    /// `injectionStrategy` has no effect, because the ledger sets the revision of each workload.
    InjectionStrategyWithoutEffect "injection-strategy-without-effect" [Note]
        "injectionStrategy: {paused: true}"
        "Remove `injectionStrategy`. `pillion hold` keeps a workload at its revision, and `pillion pause` stops a rollout."

    /// A SidecarSet has something that only pillion can inject, and `runtime: Kruise` in pillion.yaml leaves injection to
    /// Kruise.
    UnsupportedByKruise "unsupported-by-kruise" [Error]
        "pillion.dev/sidecar-mode: Native"
        "Remove it from the SidecarSet, or remove `runtime: Kruise`."
    /// A rollout is open that began with another `runtime` of pillion.yaml: it counts other things than the next step would
    /// move, and a render would take the sidecars out of all pod templates at once, or write them into all.
    RuntimeChanged "runtime-changed" [Error]
        "`runtime: Kruise` is removed while a SidecarSet has `partition: 75%`"
        "Undo that change of pillion.yaml, complete the rollout or roll it back, and change `runtime` afterwards."
    /// The ledger of a SidecarSet has a revision deployed, and its file is missing. With `runtime: Kruise` the SidecarSet
    /// would leave the cluster.
    DeployedSetMissing "deployed-set-missing" [Error]
        "git rm sidecars/log.yaml"
        "Restore the file. To take the SidecarSet out of the cluster, remove its file and its ledger in one commit."

    /// The rendered files of the deploy branch differ from a render of its sources and ledgers: they were edited by hand.
    DeployBranchNotRendered "deploy-branch-not-rendered" [Error]
        "a new image in rendered/shop/web.yaml that no source has"
        "Undo the edit on the deploy branch, and make it in the sources."

    /// The deploy branch was rewritten: the commit that this clone saw last, or that a rollout is based on, is no longer in
    /// its history.
    DeployBranchRewritten "deploy-branch-rewritten" [Error]
        "git push --force to main"
        "Restore the branch, or accept the new history with `pillion stage --accept-rewritten`."
    /// A staged branch contains commits that pillion did not make, so pillion neither replaces nor removes it.
    ForeignCommits "foreign-commits" [Error]
        "a fix by hand that was pushed to pillion/main/log"
        "Move the commits to a branch of their own, or replace the staged branch with `pillion stage --force`."
    /// With two branches: the source commit that the deploy branch names is not on the source branch, or is older than the
    /// previous one. pillion reads nothing of that commit.
    UntrustedSource "untrusted-source" [Error]
        "a commit of env/prod with Pillion-Action: Render and a Pillion-Source that is not on main"
        "Render from a commit of the source branch: `pillion render --branch NAME --push`."

    /// A SidecarSet with a ledger selects a workload without a namespace, so the workload would not have the same key
    /// everywhere.
    NamespaceUnspecified "namespace-unspecified" [Error]
        "a Deployment without `metadata.namespace`, with `ledgers:` and without `namespaces:` in pillion.yaml"
        "Write `metadata.namespace`, or add the folder to `namespaces:` of pillion.yaml."
    /// A ledger has an entry for a workload that does not exist; one of the same kind and name exists in another
    /// namespace.
    LedgerWorkloadUnknown "ledger-workload-unknown" [Error]
        "an entry for Deployment.apps/default/web, and Deployment shop/web on standard input"
        "Use the same namespace in the manifests and in `namespaces:` of pillion.yaml."
    /// Workloads of a running rollout are missing from the manifests although no commit removed them, so the rollout would
    /// look complete.
    WorkloadsMissing "workloads-missing" [Error]
        "sources: [] in pillion.yaml during a rollout"
        "Restore the manifests, or correct `sources:` or the build. If the workloads were removed on purpose, remove them with a commit."
    /// Several steps of a rollout reached the deploy branch at once, without a health check between them: the tip of a
    /// staged branch, or one commit with several batches.
    BatchesAtOnce "batches-at-once" [Error]
        "git push origin pillion/main/log:main"
        "Release one batch at a time with `pillion promote` or `pillion watch`; `pillion rollback NAME --to BATCH` goes back."
    /// A batch that needs approval was released without it.
    BatchNotApproved "batch-not-approved" [Error]
        "approve: [2], and batch 2 without `pillion approve log 2`"
        "Run `pillion approve NAME BATCH` before the batch is released."
    /// A pod template changes although neither its source nor a ledger does: pillion.yaml or the labels of a Namespace
    /// change what render makes of it. Its pods would be recreated at once, outside of every batch. `lint:` can make it a
    /// warning.
    TemplateNotPlanned "template-not-planned" [Error Warning]
        "annotations: kruise, where pillion.yaml did not have it; or a label that `namespaceSelector` needs is removed"
        "Undo the change. If the restart is wanted now, add `lint: {template-not-planned: warn}` to pillion.yaml in the same commit, and remove it afterwards."
    /// A commit of a rollout also changes something else, which would be released with it, unreviewed.
    MixedCommit "mixed-commit" [Error]
        "a batch of `log` and an edit of apps/web.yaml in one commit"
        "Put the other changes into a commit of their own."
    /// A commit since `--base` cannot be read, so its changes to the ledgers are unknown.
    UnreadableCommit "unreadable-commit" [Error]
        "a commit with an unknown key in pillion.yaml, and one that takes it out again"
        "Name that commit or a later one as the base, or correct the commit before it is merged."
    /// The folder of rendered files, or its predecessor, contains a manifest that pillion did not write. Tools that apply
    /// the folder apply it too.
    UnmanagedManifest "unmanaged-manifest" [Error]
        "rendered/extra.yaml, which no source makes"
        "Move the file to the sources, or remove it."

    // ---- write
    /// The rendered file would replace a file that pillion did not write.
    UnmanagedFile "unmanaged-file" [Error]
        "--out into a folder with files of other tools"
        "Choose another folder, or remove the file."
    /// Two inputs have the same output path, or one file is rendered for two clusters.
    OutputCollision "output-collision" [Error]
        "pillion render a b --out rendered, with a/web.yaml and b/web.yaml"
        "Rename one of the files, or give each cluster a `folder` of its own."
    /// The existing output differs from a new render.
    NotUpToDate "not-up-to-date" [Warning]
        "pillion render --check after an edit of apps/ without a render"
        "Run `pillion render --write` (or `--out FOLDER`, `--in-place`) and commit the result."
    /// A node to change has an anchor, and an alias elsewhere would change with it.
    AliasedNode "aliased-node" [Error]
        "spec: {containers: &c [{name: a}], initContainers: *c}"
        "Write the value in place of the alias."
    /// The independent parser reads an edited document differently than intended. pillion writes nothing.
    EditCheckFailed "edit-check-failed" [Error]
        "a document that shows a bug in pillion"
        "Report the bug, with the document if you can."

    // ---- model
    /// pillion.yaml has an unknown key, lacks a required one or has an invalid value.
    InvalidConfiguration "invalid-configuration" [Error]
        "sorces: [apps]"
        "Correct the key or value. `pillion schema` prints the JSON Schema, and docs/configuration.md explains every key."
    /// The value of a field has the wrong type.
    WrongType "wrong-type" [Error]
        "spec:\n  containers: none"
        "Write a value of the type that the message names."
    /// The API does not know a field. Kruise drops it silently.
    UnknownField "unknown-field" [Warning]
        "spec:\n  contianers: []"
        "Correct the name of the field, or remove it."
    /// A SidecarSet has a version that Kruise does not have.
    UnknownVersion "unknown-version" [Error]
        "apiVersion: apps.kruise.io/v1\nkind: SidecarSet"
        "Write `apiVersion: apps.kruise.io/v1beta1`."
    /// A value cannot be parsed as a resource quantity.
    InvalidQuantity "invalid-quantity" [Error]
        "resources:\n  limits:\n    cpu: lots"
        "Write a quantity such as `100m`, `0.5` or `1Gi`."
    /// A required field is missing or empty.
    MissingField "missing-field" [Error Warning]
        "metadata: {}"
        "Add the field."
    /// A document has so many errors that only the first ones are shown.
    TooManyFindings "too-many-findings" [Note]
        "a SidecarSet with hundreds of unknown fields"
        "Correct the errors that are shown, and run the command again."
    /// A value breaks a rule of Kubernetes or Kruise.
    InvalidValue "invalid-value" [Error Warning]
        "metadata:\n  name: a.b"
        "Write a value that fits the rule in the message."
    /// The kubelet does not accept the name of an image (`InvalidImageName`): it has spaces or upper-case letters, or the
    /// digest has the wrong length.
    InvalidImage "invalid-image" [Warning]
        "image: Registry.example/Log Tail:1"
        "Correct the name. A digest is `sha256:` and 64 lower-case hexadecimal digits."
    /// The value of a field is not one of the allowed values.
    UnsupportedValue "unsupported-value" [Error]
        "imagePullPolicy: Sometimes"
        "Write one of the values that the message lists."
    /// A value that must be unique is repeated.
    DuplicateValue "duplicate-value" [Error]
        "containers:\n- name: log\n- name: log"
        "Remove or rename one of the two."
    /// A reference, such as to a volume or a revision, has no target.
    NotFound "not-found" [Error]
        "volumeMounts:\n- name: none\n  mountPath: /x"
        "Correct the name, or add what it refers to."
    /// A field is not allowed here.
    ForbiddenField "forbidden-field" [Error Note]
        "containers:\n- name: log\n  restartPolicy: Always"
        "Remove the field."
    /// A selector is empty or invalid.
    InvalidSelector "invalid-selector" [Error]
        "selector: {}"
        "Write a selector with labels that the workloads have."
    /// Kruise accepts a value but ignores it.
    IgnoredValue "ignored-value" [Warning]
        "upgradeStrategy:\n  upgradeType: Warm"
        "Remove the value, or write one that Kruise knows."
    /// A hot-upgrade container has no empty image, so its second container would have no image.
    MissingEmptyImage "missing-empty-image" [Warning]
        "upgradeStrategy:\n  upgradeType: HotUpgrade"
        "Set `hotUpgradeEmptyImage`."
    /// An update strategy has both `partition` and `selector`, which cannot be combined.
    PartitionWithSelector "partition-with-selector" [Error]
        "updateStrategy:\n  partition: 2\n  selector: {}"
        "Keep one of the two fields."
    /// A native sidecar (an init container with `restartPolicy: Always`) cannot be updated in place, but
    /// `updateStrategy` requests it; RollingUpdate is the default.
    NativeSidecarUpdate "native-sidecar-update" [Error]
        "initContainers:\n- name: proxy\n  restartPolicy: Always"
        "Set `updateStrategy: {type: NotUpdate}`."
    /// An expression of `resourcesPolicy` cannot be parsed or evaluated.
    InvalidExpression "invalid-expression" [Error Warning]
        "resourcesExpr:\n  limits:\n    cpu: max(cpu)"
        "Write a sum, difference, product or quotient of the resource, numbers and quantities."
    /// An update changes a field that Kruise does not allow to change.
    ImmutableField "immutable-field" [Error]
        "upgradeType: HotUpgrade, where it was ColdUpgrade"
        "Keep the old value, or create a SidecarSet with another name."
    /// Two SidecarSets for the same pods define the same container, volume or annotation.
    SidecarSetsConflict "sidecarsets-conflict" [Error Warning]
        "two SidecarSets with a container `log` for the same labels"
        "Rename the container, volume or annotation in one of the SidecarSets, or let their selectors exclude each other."
    /// apps.kruise.io/v1beta1 has no `namespace`: Kruise drops it, and the set applies to the whole cluster.
    NamespaceDropped "namespace-dropped" [Warning]
        "apiVersion: apps.kruise.io/v1beta1\nspec:\n  namespace: team-a"
        "Use `namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: NAMESPACE}}`."
    /// In apps.kruise.io/v1alpha1 `namespace` overrides `namespaceSelector`, which is dropped.
    NamespaceSelectorIgnored "namespace-selector-ignored" [Warning]
        "spec:\n  namespace: team-a\n  namespaceSelector: {}"
        "Remove one of the two fields."

    /// A SidecarSet uses the syntax of an old Kruise version or article. pillion read it as intended.
    DeprecatedSyntax "deprecated-syntax" [Error Warning]
        "spec:\n  paused: true"
        "Write the field as the message says."
    /// Two SidecarSets have the same name.
    DuplicateSidecarSet "duplicate-sidecarset" [Error Warning]
        "metadata: {name: log} in two files"
        "Rename one of the SidecarSets, or remove one of the files."

    /// A ledger is invalid: it refers to an unknown name, or the content of a revision does not match its name.
    LedgerBroken "ledger-broken" [Error]
        "revisions: [{name: log-5448b598bc, …}] with an edited image"
        "Restore the last valid version of the file from git: `git log -p -- FILE` lists the versions."

    /// A sidecar has a readiness probe. While it fails, the pod is not ready, and a Service sends no requests to the
    /// application.
    ReadinessProbe "readiness-probe" [Note]
        "containers: [{name: logtail, image: logtail:1, readinessProbe: {tcpSocket: {port: 80}}}]"
        "Remove the probe, or keep it where the application cannot serve without the sidecar."
    /// A sidecar has no memory limit. Memory that it leaks is taken from the application or the node.
    MissingLimits "missing-limits" [Note]
        "containers: [{name: logtail, image: logtail:1}]"
        "Write `resources.limits` with what the sidecar needs."
    /// A sidecar is privileged, or has a capability that is equivalent. Whoever takes it over controls the node.
    PrivilegedSidecar "privileged-sidecar" [Warning]
        "securityContext: {privileged: true}"
        "Remove it, or add the single capabilities that the sidecar needs."
    /// A sidecar can write to a folder of the node.
    WritableHostPath "writable-host-path" [Warning]
        "volumes: [{name: logs, hostPath: {path: /var/log}}] and volumeMounts: [{name: logs, mountPath: /logs}]"
        "Add `readOnly: true` to the mount, or use an emptyDir."

    // ---- inject
    /// A sidecar has the name of an application container.
    ContainerNameTaken "container-name-taken" [Error]
        "a pod with a container `log` and a SidecarSet with a container `log`"
        "Rename one of the two containers, or exclude the workload with the selector of the SidecarSet."
    /// Two sidecars of one pod have the same name.
    DuplicateContainerName "duplicate-container-name" [Error]
        "two SidecarSets with a container `log` and the same selector"
        "Rename one of the sidecars, or let the selectors exclude each other."
    /// A container and an init container of one pod have the same name. The API server refuses such a pod.
    ContainerNameInBothLists "container-name-in-both-lists" [Warning]
        "a pod with an init container `log` and a SidecarSet with a container `log`"
        "Rename one of the two containers."
    /// The result depends on the order of the SidecarSets, which is undefined in a cluster.
    SetOrderMatters "set-order-matters" [Note Warning]
        "two SidecarSets that overwrite the same annotation with different values"
        "Set the value in one SidecarSet only, or use the same value in both."
    /// A namespaceSelector needs labels of a namespace that are unknown.
    NamespaceLabelsUnknown "namespace-labels-unknown" [Error Warning]
        "namespaceSelector: {matchLabels: {team: shop}}"
        "Add the labels under `namespaces:` in pillion.yaml, or add the manifest of the Namespace."
    /// `injectionStrategy` names an unknown revision of the SidecarSet.
    RevisionNotFound "revision-not-found" [Error]
        "injectionStrategy: {revision: {revisionName: log-0}}"
        "Pass the earlier revisions with `--history FILE`, oldest first, or name a known revision."
    /// A percentage of pods keeps an older revision. pillion decides per workload, by its key.
    PercentageByWorkload "percentage-by-workload" [Warning]
        "injectionStrategy: {revision: {customVersion: v1, policy: Partial}} with partition: 50%"
        "Use `policy: Always`, or a selector, to choose the workloads that keep the named revision."
    /// A sidecar mounts a volume that its SidecarSet does not define.
    VolumeNotDefined "volume-not-defined" [Error]
        "volumeMounts: [{name: nowhere, mountPath: /a}]"
        "Define the volume in `volumes` of the SidecarSet."
    /// An annotation cannot be merged, because one of the two values is not mergeable JSON.
    AnnotationNotJson "annotation-not-json" [Error]
        "patchPodMetadata: [{annotations: {k: '{\"a\":1}'}, patchPolicy: MergePatchJson}] for a pod with k: text"
        "Write JSON objects in both places, or use the policy `Overwrite`."
    /// A merge patch is not a JSON object. It is stored unchanged if the pod does not have the annotation.
    PatchNotJson "patch-not-json" [Warning]
        "patchPodMetadata: [{annotations: {k: text}, patchPolicy: MergePatchJson}]"
        "Write a JSON object, or use the policy `Overwrite`."
    /// The annotation with the hashes of injected SidecarSets cannot be parsed.
    UnreadableHashes "unreadable-hashes" [Error]
        "kruise.io/sidecarset-hash: text"
        "Remove the annotation; pillion writes it again."
    /// A variable of `transferEnv` does not exist. Kruise skips it.
    TransferEnvMissing "transfer-env-missing" [Warning]
        "transferEnv: [{sourceContainerName: app, envName: TZ}]"
        "Add the variable to the workload, remove it from `transferEnv`, or name the container with `sourceContainerNameFrom`."
    /// A sidecar shares the mount of a service-account token of the manifest.
    SharesTokenMount "shares-token-mount" [Warning]
        "volumeMounts: [{name: token, mountPath: /var/run/secrets/kubernetes.io/serviceaccount}]"
        "Remove the volume and its mounts from the manifest."
    /// An init container is placed before those of the application, contrary to Kruise's API documentation.
    InitBeforeApp "init-before-app" [Warning]
        "initContainers: [{name: prepare, podInjectPolicy: BeforeAppContainer}]"
        "Remove the policy to place the init container after those of the application."
    /// A launch priority is not an integer. Kruise denies such a pod.
    LaunchPriorityInvalid "launch-priority-invalid" [Error]
        "env: [{name: KRUISE_CONTAINER_PRIORITY, value: high}]"
        "Write an integer."
    /// Launch priorities of a template take effect only if Kruise's webhook runs in the cluster.
    LaunchPriorityInCluster "launch-priority-in-cluster" [Note]
        "a Deployment with KRUISE_CONTAINER_PRIORITY"
        "Keep Kruise's webhook in the cluster, or set `sidecarMode: Auto`, which starts sidecars in this order."
    /// Part of a rendered template may come from an earlier injection, but no known revision of a SidecarSet defines it.
    UnknownOwner "unknown-owner" [Warning]
        "a volume that only a removed sidecar used"
        "Pass the earlier revisions with `--history FILE`, or remove the part by hand."
    /// A resource policy matches no container. Kruise denies such a pod.
    ResourcesNoTarget "resources-no-target" [Error]
        "resourcesPolicy: {targetContainersNameRegex: ^main$}"
        "Widen the expression, or exclude the workload with the selector of the SidecarSet."
    /// A resource expression cannot be evaluated. Kruise denies such a pod.
    ResourcesExpression "resources-expression" [Error]
        "limits: {cpu: cpu*100m}"
        "Write a sum, difference, product or quotient of the resource, numbers and quantities."
    /// A computed limit is omitted, because a container that it is computed from has no limit.
    ResourcesLimitLeftOut "resources-limit-left-out" [Warning]
        "limits: {cpu: cpu*50%} for a container without limits"
        "Give the container a limit, or remove the expression."
    /// A memory expression evaluates to a plain number, which Kruise reads as thousandths of a byte.
    ResourcesPlainNumber "resources-plain-number" [Warning]
        "limits: {memory: '1.5'}"
        "Write a quantity, such as `64Mi`."

    // ---- inject: SidecarOverrides
    /// A SidecarOverride changes a field that `overrides:` of pillion.yaml does not allow there, or a variable that
    /// injection decides by.
    OverrideNotAllowed "override-not-allowed" [Error]
        "kind: SidecarOverride\nspec: {sidecarSet: log, exclude: true}"
        "Remove the field, or ask the owners of pillion.yaml to allow it: `overrides: {allow: [exclude]}`, or a rule for the folder."
    /// A SidecarOverride sets more than the maximum of pillion.yaml, or removes a limit that has a maximum.
    OverrideAboveLimit "override-above-limit" [Error]
        "overrides: {allow: [resources], maximum: {limits: {memory: 1Gi}}} and an override with memory 2Gi"
        "Lower the amount, or ask the owners of pillion.yaml to raise the maximum."
    /// Two SidecarOverrides of the same precedence change the same field for one workload.
    OverrideConflict "override-conflict" [Error]
        "two SidecarOverrides with `selector` that both set `resources.limits.memory` for Deployment web"
        "Remove the field from one of the two. An override with `workload` has precedence over one with `selector`, and that over one with neither."
    /// A SidecarOverride names a SidecarSet or container that does not exist.
    OverrideUnknownName "override-unknown-name" [Error]
        "kind: SidecarOverride\nspec: {sidecarSet: lgo}"
        "Correct the name, or remove the override if the SidecarSet no longer has the container."
    /// A SidecarOverride changes nothing: no workload that its SidecarSet selects matches, the SidecarSet no longer has
    /// the container, or it holds workloads of a SidecarSet without a ledger.
    OverrideWithoutEffect "override-without-effect" [Error Warning]
        "kind: SidecarOverride\nspec: {sidecarSet: log, workload: {kind: Deployment, name: wbe}}"
        "Correct what the message names, move the file into the folder of the workloads, or remove it."

    // ---- inject: modes and launch order
    /// A container cannot be a native sidecar, which its mode or a launch order asks for.
    CannotBeNative "cannot-be-native" [Error]
        "pillion.dev/sidecar-mode: Native\nupgradeStrategy: {upgradeType: HotUpgrade}"
        "Inject the SidecarSet with `pillion.dev/sidecar-mode: Container`, or correct what the message names."
    /// The cluster cannot run what a SidecarSet asks for: its version is `kubernetesVersion` of pillion.yaml.
    KubernetesVersionTooOld "kubernetes-version-too-old" [Error]
        "kubernetesVersion: \"1.28\"\nsidecarMode: Native"
        "Correct `kubernetesVersion`, or set `sidecarMode: Container`."
    /// A sidecar keeps the pods of a Job from completing: a Job ends when all of its containers have, native sidecars
    /// aside. It is a warning in a repository with ledgers, and where the pod template has no `restartPolicy`.
    JobNeverCompletes "job-never-completes" [Error Warning]
        "kind: Job\nspec: {template: {metadata: {labels: {log: \"true\"}}}}"
        "Set `sidecarMode: Auto`, or use Kruise's SidecarTerminator. If the sidecar ends by itself, add `lint: {job-never-completes: allow}` to pillion.yaml."
    /// A launch order (`pillion.dev/after`) cannot be read, or names a container that does not exist. It is a warning where
    /// a SidecarSet that does not reach the workload has the container.
    LaunchOrderUnknown "launch-order-unknown" [Error Warning]
        "pillion.dev/after: \"mysql-client: [prxy]\""
        "Correct the name, or select the workload with both SidecarSets."
    /// Containers wait for each other, so none of them could start.
    LaunchOrderCycle "launch-order-cycle" [Error]
        "pillion.dev/after: \"a: [b]\" in one SidecarSet, and \"b: [a]\" in another"
        "Remove one of the orders."
    /// A launch order that no pod can have: a sidecar after a container, or a container after another one.
    LaunchOrderImpossible "launch-order-impossible" [Error]
        "pillion.dev/after: \"log: [app]\""
        "Set `sidecarMode: Auto` where a container of a SidecarSet is to start first. A sidecar that starts after the application waits for it by itself."
    /// A native sidecar that others wait for has no startup probe; it gets one from its readiness probe or its port.
    StartupProbeAdded "startup-probe-added" [Note]
        "pillion.dev/after: \"mysql-client: [proxy]\", and a readiness probe of `proxy`"
        "No change is needed. Write a `startupProbe` to choose another one."
    /// A native sidecar that others wait for has no startup probe, and nothing to make it from: the next container starts
    /// as soon as it runs.
    StartupProbeMissing "startup-probe-missing" [Warning]
        "pillion.dev/after: \"mysql-client: [proxy]\", and no probe or port of `proxy`"
        "Write a `startupProbe`."
    /// A sidecar ends with its Job only where the SidecarTerminator of Kruise runs.
    JobNeedsTerminator "job-needs-terminator" [Note]
        "env: [{name: KRUISE_TERMINATE_SIDECAR_WHEN_JOB_EXIT, value: \"true\"}]"
        "Switch on the feature gate SidecarTerminator of Kruise, or set `sidecarMode: Auto`."
    // ---- plan
    /// New pods need a ConfigMap or Secret that is neither among the manifests of their namespace nor in the cluster
    /// state. The kubelet does not start such pods.
    ObjectMissing "object-missing" [Warning]
        "volumes: [{name: config, configMap: {name: log-config}}] and a namespace without the ConfigMap"
        "Add the object to each namespace with a selected workload, or write `optional: true` at the reference."
    /// The Pod Security level of a namespace admits the old pods of a workload and refuses the new ones.
    PodSecurityViolated "pod-security-violated" [Warning]
        "a SidecarSet with a hostPath volume, and a namespace with pod-security.kubernetes.io/enforce: baseline"
        "Change the SidecarSet so that its pods keep to the level, or the label of the namespace."
    /// The cluster state contains no Pods.
    NoPods "no-pods" [Error]
        "--cluster-state deployments.json"
        "Write the file with `kubectl get pods -A -o json`."
    /// The inputs contain several SidecarSets, but a rollout has exactly one.
    SeveralSidecarSets "several-sidecarsets" [Error]
        "pillion plan --by pod --next with a folder of SidecarSets"
        "Name one SidecarSet."
    /// The strategy of a workload allows more unavailable pods than `maxUnavailable` of the SidecarSet, and the workload
    /// cannot be split. It is a batch of its own.
    WorkloadExceedsMaxUnavailable "workload-exceeds-max-unavailable" [Warning]
        "updateStrategy: {maxUnavailable: 1} and a Deployment with 10 replicas"
        "Raise `maxUnavailable` of the SidecarSet, or lower that of the workload."
    /// A rollout needs more than `maxBatches` batches, so pillion does not stage it.
    TooManyBatches "too-many-batches" [Error Warning]
        "updateStrategy: {maxUnavailable: 1} and 500 pods"
        "Raise the field that the message names, or `rollout.maxBatches` in pillion.yaml."
    /// A rollout removes its sidecar from workloads: the SidecarSet is deleted or selects fewer workloads. It never starts
    /// automatically; run `pillion start NAME --allow-removal`.
    SidecarRemoval "sidecar-removal" [Error Warning]
        "a SidecarSet that is deleted, or `selector: {matchLabels: {log: canary}}` in place of `{log: \"true\"}`"
        "Restore the SidecarSet or its selector. To remove the sidecar, run `pillion start NAME --allow-removal`."
    /// A SidecarSet selects no workload, although workloads have its sidecar or no other workload could be meant.
    SelectsNothing "selects-nothing" [Error Warning]
        "selector: {matchLabels: {lgo: \"true\"}}"
        "Correct the selector, or the labels of the pod templates."
    /// A rollout would change the working container of a hot-upgrade pair: pods are recreated, or more than the image
    /// changes. No batch contains the workload.
    HotUpgrade "hot-upgrade" [Error Warning]
        "another image for a container with `upgradeStrategy: {upgradeType: HotUpgrade}`, in a Deployment"
        "Change nothing but the image, and use kinds that update their pods in place (CloneSet, Advanced StatefulSet, Advanced DaemonSet), or use `upgradeType: ColdUpgrade`."
    /// `piggyback` has no effect on a rollout, or still has one although it was removed: a rollout that removes a sidecar,
    /// or that `updateStrategy` limits to some pods, goes in batches only.
    PiggybackWithoutEffect "piggyback-without-effect" [Warning]
        "rollout: {piggyback: {until: 72h}} and `updateStrategy: {partition: 50%}`"
        "No change is needed. Remove `piggyback`, or what the message names."
    /// One commit changes the pod templates of many workloads that wait for their own next change (`piggyback`): together
    /// they take the new sidecar, with more pods than the largest batch of the plan. Reported by `verify --base` and
    /// `render --branch`.
    PiggybackAtOnce "piggyback-at-once" [Warning]
        "rollout: {piggyback: {until: 72h}}, and a commit with a new label for all workloads"
        "Divide the commit, or pause the rollout before it is merged. `lint: {piggyback-at-once: deny}` stops such commits in CI."
    /// A workload has more pods than the step and cannot be split. It is a batch of its own.
    WorkloadExceedsStep "workload-exceeds-step" [Note]
        "rollout: {steps: [1, 100%]} and a Deployment with 10 replicas"
        "No change is needed. Set `replicas` in git, so that kinds with a native partition can be split."
    /// Git has no replica count for a workload, so pillion records the observed one in the ledger.
    ReplicasNotInGit "replicas-not-in-git" [Warning]
        "a Deployment without `replicas`, and `--cluster-state pods.json`"
        "No change is needed. Set `replicas` in git, or `rollout.pods` in pillion.yaml, to plan without the cluster."
    /// Git has no replica count and no autoscaler for a workload, so it counts as the 1 pod that Kubernetes creates.
    ReplicasDefault "replicas-default" [Note]
        "a Deployment without `replicas`, and no HorizontalPodAutoscaler for it"
        "Write `replicas: 1`, or add the autoscaler to git. If the workload has more pods, pass `--cluster-state FILE` or set `rollout.pods` in pillion.yaml."
    /// The native partition of a workload keeps pods on the old template, and a rollout never lowers it.
    NativePartitionKept "native-partition-kept" [Note]
        "kind: CloneSet\nspec: {replicas: 5, updateStrategy: {partition: 3}}"
        "Lower the partition of the workload to update the remaining pods."
    /// The replica count of a workload is unknown.
    ReplicasUnknown "replicas-unknown" [Warning]
        "a DaemonSet or a Deployment with an autoscaler, and neither `--cluster-state` nor `rollout: {pods: {...}}`"
        "Pass `--cluster-state FILE`, or set `rollout.pods` in pillion.yaml.\n`--context NAME` of `plan`, `stage` and `start` counts the pods itself, in the cluster of a kubeconfig context."
    /// No workload of the rollout has the labels of the canary selector.
    CanaryMatchesNothing "canary-matches-nothing" [Warning]
        "updateStrategy: {selector: {matchLabels: {canary: yes}}}"
        "Correct `updateStrategy.selector`, or remove it to roll out to all workloads."
    /// A StatefulSet with ordered pods cannot recover through git after a new pod fails: its controller waits for that
    /// pod, whatever the template is.
    OrderedReadyStuck "ordered-ready-stuck" [Warning]
        "kind: StatefulSet without `podManagementPolicy: Parallel`"
        "Use `podManagementPolicy: Parallel`, or delete the failing pod by hand after a rollback."
    /// A batch may make more pods unavailable than a PodDisruptionBudget allows.
    DisruptionBudgetExceeded "disruption-budget-exceeded" [Warning]
        "kind: PodDisruptionBudget\nspec: {maxUnavailable: 1}"
        "Lower `maxUnavailable` of the SidecarSet or the workload, or relax the PodDisruptionBudget."
    /// The pods of a workload get a lower quality-of-service class.
    QosClassLowered "qos-class-lowered" [Warning]
        "a sidecar without limits in a Guaranteed pod"
        "Set limits for cpu and memory, and no other requests, for the containers of the SidecarSet."
    /// An autoscaler scales by requests, but a container of the new template has none.
    AutoscalerWithoutRequest "autoscaler-without-request" [Warning]
        "a sidecar without a cpu request and a HorizontalPodAutoscaler on cpu"
        "Set the request for the container in the SidecarSet."
    /// A term of `scatterStrategy` has no value, so Kruise selects pods with an empty or missing label.
    ScatterWithoutValue "scatter-without-value" [Warning]
        "scatterStrategy: [{key: zone}]"
        "Write `value: \"*\"` for every value of the label, or the value that you mean."
    /// The workloads of a namespace request more than a ResourceQuota allows, as far as git shows.
    QuotaExceeded "quota-exceeded" [Warning]
        "kind: ResourceQuota\nspec: {hard: {requests.cpu: 2}}"
        "Raise the quota, or lower the requests of the SidecarSet or `maxSurge` of the workloads."
    /// A ResourceQuota requires resources on every container, and one has none.
    QuotaNeedsResources "quota-needs-resources" [Warning]
        "a sidecar without limits and a ResourceQuota on limits.memory"
        "Set the resource for the container in the SidecarSet, or give the namespace a LimitRange with defaults."
    /// A LimitRange rejects the pods of the new template.
    LimitRangeViolated "limit-range-violated" [Warning]
        "kind: LimitRange\nspec: {limits: [{type: Container, max: {cpu: 1}}]}"
        "Set resources within the range for the containers of the SidecarSet, or widen the range."
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the name of a variant in kebab case; `SidecarSet` is one word.
    fn to_kebab_case(variant: &str) -> String {
        let mut name = String::new();
        for c in variant.replace("SidecarSet", "Sidecarset").chars() {
            if c.is_ascii_uppercase() && !name.is_empty() {
                name.push('-');
            }
            name.push(c.to_ascii_lowercase());
        }
        name
    }

    #[test]
    fn a_variant_has_the_name_of_its_code() {
        for code in Code::ALL {
            assert_eq!(to_kebab_case(&format!("{code:?}")), code.name());
        }
    }
}
