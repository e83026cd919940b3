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

    // ---- model
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
    FurtherFindings "further-findings" "a SidecarSet with hundreds of unknown fields"
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
    /// Two SidecarSets for the same pods bring the same container, volume or annotation.
    SetsConflict "sidecar-sets-conflict" "two SidecarSets with a container `log` for the same labels"
    /// A form of a SidecarSet that older articles show; Kruise no longer reads it.
    OldForm "old-form" "spec:\n  paused: true"
    /// apps.kruise.io/v1beta1 has no `namespace`: Kruise drops it, and the set applies to the whole cluster.
    NamespaceDropped "namespace-dropped" "apiVersion: apps.kruise.io/v1beta1\nspec:\n  namespace: team-a"
    /// In apps.kruise.io/v1alpha1 `namespace` wins over `namespaceSelector`, which is thrown away.
    NamespaceSelectorIgnored "namespace-selector-ignored" "spec:\n  namespace: team-a\n  namespaceSelector: {}"

    // ---- inject
    /// A sidecar has the name of a container of the application's own.
    ContainerNameTaken "container-name-taken" "a pod with a container `log` and a SidecarSet with a container `log`"
}
