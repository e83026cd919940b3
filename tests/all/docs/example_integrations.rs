//! Do the READMEs of the doors' examples show what happens? Those that need another program are played by tests/e2e.

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
