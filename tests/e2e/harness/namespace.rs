//! A namespace for one test, and accounts in it.

use super::api::{self, Kind, SERVICE_ACCOUNTS};
use super::kubectl::Kubectl;
use super::plane::plane;
use super::wait::{SOON, wait_for};
use serde_json::Value;
use std::thread;

/// What a test has for itself. It is emptied in the background when the test has passed.
pub(crate) struct Namespace {
    pub(crate) name: String,
    /// The administrator, here.
    pub(crate) kubectl: Kubectl,
}

/// A user who may nothing yet.
pub(crate) struct Account {
    /// The name that the API server knows.
    pub(crate) user: String,
    name: String,
    pub(crate) kubectl: Kubectl,
}

impl Namespace {
    /// Starts the control plane if it is not running.
    pub(crate) fn new(name: &str) -> Self {
        let admin = &plane().kubectl;
        admin.run(&["create", "namespace", name]);
        wait_for("the namespace has its account", SOON, || {
            api::get(&SERVICE_ACCOUNTS.path(Some(name), "default"))
        });
        Self { name: name.to_owned(), kubectl: admin.in_namespace(name) }
    }

    pub(crate) fn label(self, label: &str) -> Self {
        self.kubectl.run(&["label", "namespace", &self.name, label]);
        self
    }

    #[track_caller]
    pub(crate) fn apply(&self, manifests: &str) {
        self.kubectl.apply(manifests);
    }

    /// An object, or what the server says instead.
    pub(crate) fn get(&self, kind: Kind, name: &str) -> Result<Value, String> {
        api::get(&kind.path(Some(&self.name), name))
    }

    #[track_caller]
    pub(crate) fn list(&self, kind: Kind) -> Vec<Value> {
        let mut list = api::get(&kind.path(Some(&self.name), "")).unwrap();
        serde_json::from_value(list["items"].take()).unwrap()
    }

    /// Waits until a condition holds of an object, and returns it.
    #[track_caller]
    pub(crate) fn wait_until(
        &self,
        kind: Kind,
        name: &str,
        what: &str,
        mut holds: impl FnMut(&Value) -> bool,
    ) -> Value {
        wait_for(&format!("{name}: {what}"), SOON, || {
            let found = self.get(kind, name)?;
            if holds(&found) { Ok(found) } else { Err(found["status"].to_string()) }
        })
    }

    /// A service account with a token.
    pub(crate) fn account(&self, name: &str) -> Account {
        self.kubectl.run(&["create", "serviceaccount", name]);
        let token = self.kubectl.run(&["create", "token", name]);
        let kubeconfig = plane().kubeconfig(&format!("{}-{name}", self.name), token.trim());
        Account {
            user: format!("system:serviceaccount:{}:{name}", self.name),
            name: name.to_owned(),
            kubectl: Kubectl::new(&kubeconfig).in_namespace(&self.name),
        }
    }

    /// Lets an account do something in this namespace: `allow(&watcher, "get,list,watch", "pods,deployments.apps")`.
    pub(crate) fn allow(&self, account: &Account, verbs: &str, resources: &str) {
        let name = &account.name;
        let (verbs, resources) = (format!("--verb={verbs}"), format!("--resource={resources}"));
        self.kubectl.run(&["create", "role", name, &verbs, &resources]);
        let (role, to) = (format!("--role={name}"), format!("--serviceaccount={}:{name}", self.name));
        self.kubectl.run(&["create", "rolebinding", name, &role, &to]);
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        if !thread::panicking() {
            self.kubectl.run(&["delete", "namespace", &self.name, "--wait=false"]);
        }
    }
}
