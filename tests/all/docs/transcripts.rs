//! Checks that the READMEs of the examples show the output of the program.

#[test]
fn transcripts_show_what_the_program_prints() {
    trycmd::TestCases::new()
        .case("examples/*/README.md")
        .skip("examples/rollout*/README.md")
        // Run by example_integrations, or by tests/e2e if they need another program.
        .skip("examples/argocd-cmp/README.md")
        .skip("examples/github-action/README.md")
        .skip("examples/pipes/README.md")
        .skip("examples/helm/README.md")
        .skip("examples/kustomize-exec/README.md");
}
