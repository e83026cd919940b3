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
    /// Collections lie in one another deeper than anything that Kubernetes stores; reading stops there.
    NestingTooDeep "nesting-too-deep" "a file of 100,000 `[`"
    /// Aliases make the document far bigger than its text. Kubernetes refuses such documents too.
    AliasBomb "alias-bomb" "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]"
    /// One document is bigger than 64 MiB, or has more than 8 million nodes.
    DocumentTooLarge "document-too-large" "a file with one line of 1 GB"

    /// A node that is to change is shared: an alias stands for it elsewhere, and would change with it.
    SharedNode "shared-node" "spec: {containers: &c [{name: a}], initContainers: *c}"
    /// An independent parser reads something else in an edited document than was meant; nothing is written.
    EditCheckFailed "edit-check-failed" "a document that shows a bug in pillion"

    // ---- model
    /// A field holds a value of another type than the API wants.
    WrongType "wrong-type" "spec:\n  containers: none"
    /// A field the API does not know; Kruise drops it without a word.
    UnknownField "unknown-field" "spec:\n  contianers: []"

    // ---- inject
    /// A sidecar has the name of a container of the application's own.
    ContainerNameTaken "container-name-taken" "a pod with a container `log` and a SidecarSet with a container `log`"
}
