//! Checks that README.md and the READMEs of the examples show the output of the program.

#[test]
fn transcripts_show_what_the_program_prints() {
    trycmd::TestCases::new()
        .case("README.md")
        .case("examples/*/README.md")
        .skip("examples/rollout*/README.md")
        // Played by example_integrations, and where another program is needed by tests/e2e.
        .skip("examples/argocd-cmp/README.md")
        .skip("examples/github-action/README.md")
        .skip("examples/pipes/README.md")
        .skip("examples/helm/README.md")
        .skip("examples/kustomize-exec/README.md");
}
