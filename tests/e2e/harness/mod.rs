//! Foundation of the tests: one control plane per test binary, one namespace per test, a git server, and an agent that
//! applies.

pub(crate) mod agent;
pub(crate) mod api;
pub(crate) mod argocd;
pub(crate) mod git_server;
pub(crate) mod gitea;
pub(crate) mod kruise;
pub(crate) mod kubectl;
pub(crate) mod namespace;
pub(crate) mod plane;
pub(crate) mod pods;
pub(crate) mod processes;
pub(crate) mod sandbox;
pub(crate) mod tools;
pub(crate) mod wait;
