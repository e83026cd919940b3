//! The real kubectl, as the administrator of the cluster or as another account.

use super::{sandbox, tools};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// The server itself refuses fields that it does not know; kubectl would read its whole schema first, every time.
const APPLY: &[&str] =
    &["apply", "--server-side", "--force-conflicts", "--field-manager=agent", "--validate=false", "-f", "-"];

/// Who talks to the cluster, and about which namespace unless told otherwise.
#[derive(Clone)]
pub(crate) struct Kubectl {
    pub(crate) kubeconfig: PathBuf,
    namespace: Option<String>,
}

impl Kubectl {
    pub(crate) fn new(kubeconfig: &Path) -> Self {
        Self { kubeconfig: kubeconfig.to_owned(), namespace: None }
    }

    pub(crate) fn in_namespace(&self, namespace: &str) -> Self {
        Self { namespace: Some(namespace.to_owned()), ..self.clone() }
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(tools::tool("tools", "kubectl"));
        command.env_clear().env("KUBECONFIG", &self.kubeconfig).env("HOME", sandbox::enter());
        command.env("KUBECACHEDIR", sandbox::enter().join("kubectl-cache"));
        command.args(self.namespace.iter().flat_map(|name| ["--namespace", name])).args(args);
        command
    }

    /// Runs kubectl with a text on its standard input.
    pub(crate) fn try_run(&self, args: &[&str], input: &str) -> Output {
        let mut command = self.command(args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // A kubectl that fails early does not read: what it says tells more than the broken pipe.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        child.wait_with_output().unwrap()
    }

    /// Runs kubectl, which must succeed, and returns what it prints.
    #[track_caller]
    pub(crate) fn run(&self, args: &[&str]) -> String {
        printed(args, &self.try_run(args, ""))
    }

    /// Applies manifests as a GitOps agent does: on the server, and taking over what others set.
    pub(crate) fn try_apply(&self, manifests: &str) -> Output {
        self.try_run(APPLY, manifests)
    }

    #[track_caller]
    pub(crate) fn apply(&self, manifests: &str) -> String {
        printed(APPLY, &self.try_apply(manifests))
    }
}

#[track_caller]
fn printed(args: &[&str], output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "kubectl {}: {}", args.join(" "), text(&output.stderr));
    text(&output.stdout)
}
