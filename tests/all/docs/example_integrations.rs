//! Runs the READMEs of the integration examples; those that need another program run in tests/e2e.

use crate::docs::example_rollouts::check;

#[test]
fn an_argocd_plugin() {
    check("argocd-cmp");
}

#[test]
fn a_github_action() {
    check("github-action");
}

#[test]
fn pipes() {
    check("pipes");
}
