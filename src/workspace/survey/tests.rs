//! Tests of the survey, and of the choice of sources.

use super::*;

fn deployment(name: &str) -> String {
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {name}}}\nspec:\n  template:\n    metadata: {{labels: {{app: {name}}}}}\n    spec: {{containers: [{{name: main, image: a}}]}}\n"
    )
}

fn survey(files: &[(&str, String)]) -> RepositorySurvey {
    let files: Vec<(PathBuf, String)> =
        files.iter().map(|(path, text)| (PathBuf::from(path), text.clone())).collect();
    RepositorySurvey::from_files(files)
}

fn kustomization(lines: &str) -> String {
    format!("kind: Kustomization\n{lines}\n")
}

fn plain_paths(choice: &SourceChoice) -> Vec<String> {
    match &choice.plan {
        SourcePlan::Plain(folders) => folders.iter().map(|folder| shown_path(&folder.path)).collect(),
        other => panic!("not plain: {other:?}"),
    }
}

#[test]
fn a_released_copy_is_taken_instead_of_kustomizations() {
    let found = survey(&[
        ("kubernetes-manifests/kustomization.yaml", kustomization("resources: [web.yaml]")),
        ("kubernetes-manifests/web.yaml", deployment("web")),
        ("kustomize/base/kustomization.yaml", kustomization("resources: [web.yaml]")),
        ("kustomize/base/web.yaml", deployment("web")),
        ("kustomize/kustomization.yaml", kustomization("resources: [base]")),
        ("helm-chart/Chart.yaml", "name: shop\n".to_owned()),
        ("helm-chart/templates/web.yaml", "kind: Deployment\nmetadata: {{ x }}\n".to_owned()),
        ("release/manifests.yaml", deployment("web")),
    ]);
    let choice = found.choose_sources();
    assert_eq!(plain_paths(&choice), ["release"]);
    assert!(choice.left_out.is_empty(), "{:?}", choice.left_out);
    assert!(found.unreadable.is_empty(), "{:?}", found.unreadable);
    let roots = found.root_kustomizations();
    assert_eq!(roots, [Path::new("kubernetes-manifests"), Path::new("kustomize")]);
}

#[test]
fn a_workload_is_taken_from_one_folder_only() {
    let found = survey(&[
        ("guestbook/web.yaml", deployment("guestbook")),
        ("helm-hooks/manifests.yaml", deployment("frontend")),
        ("sync-waves/manifests.yaml", format!("{}---\n{}", deployment("frontend"), deployment("backend"))),
        ("tests/web.yaml", deployment("probe")),
    ]);
    let choice = found.choose_sources();
    assert_eq!(plain_paths(&choice), ["guestbook", "sync-waves"]);
    let left_out: Vec<String> =
        choice.left_out.iter().map(|(path, why)| format!("{}: {why}", shown_path(path))).collect();
    assert_eq!(
        left_out,
        [
            "helm-hooks: Deployment `frontend` is in `sync-waves`, too",
            "tests: its name says that it is applied to no cluster",
        ]
    );
}

#[test]
fn overlays_of_one_base_are_clusters_and_separate_kustomizations_are_one() {
    let base = [
        ("base/kustomization.yaml", kustomization("resources: [web.yaml]")),
        ("base/web.yaml", deployment("web")),
    ];
    let overlays = [
        ("overlays/dev/kustomization.yaml", kustomization("namespace: dev\nresources: [../../base]")),
        ("overlays/prod/kustomization.yaml", kustomization("bases: [../../base]")),
    ];
    let files: Vec<_> = base.iter().chain(&overlays).cloned().collect();
    let SourcePlan::Built(clusters) = survey(&files).choose_sources().plan else { panic!() };
    let names: Vec<_> = clusters.iter().map(|c| (c.name.as_deref(), c.namespace.as_deref())).collect();
    assert_eq!(names, [(Some("dev"), Some("dev")), (Some("prod"), None)]);
    assert_eq!(clusters[1].workloads[0].labels["app"], "web");

    let separate = [
        ("a/kustomization.yaml", kustomization("resources: [web.yaml]")),
        ("a/web.yaml", deployment("a")),
        ("b/kustomization.yaml", kustomization("resources: [web.yaml]")),
        ("b/web.yaml", deployment("b")),
    ];
    let SourcePlan::Built(clusters) = survey(&separate).choose_sources().plan else { panic!() };
    assert_eq!((clusters.len(), clusters[0].parts.len(), &clusters[0].name), (1, 2, &None));
}

#[test]
fn an_application_names_the_namespace_and_the_kustomization_that_counts() {
    let application = "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {name: shop}\nspec:\n  source: {path: overlays/prod, targetRevision: HEAD}\n  destination: {namespace: shop}\n";
    let found = survey(&[
        ("argocd/shop.yaml", application.to_owned()),
        ("plain/web.yaml", deployment("other")),
        ("overlays/prod/kustomization.yaml", kustomization("resources: [web.yaml]")),
        ("overlays/prod/web.yaml", deployment("web")),
    ]);
    let SourcePlan::Built(clusters) = found.choose_sources().plan else { panic!() };
    assert_eq!(clusters[0].namespace.as_deref(), Some("shop"));
    let chosen = found.use_sources(&[PathBuf::from("plain")]).unwrap();
    assert_eq!(plain_paths(&chosen), ["plain"]);
    assert_eq!(
        found.use_sources(&[PathBuf::from("plain"), PathBuf::from("overlays/prod")]),
        Err(UnknownSource::Mixed)
    );
    assert!(matches!(found.use_sources(&[PathBuf::from("nothing")]), Err(UnknownSource::NoWorkload(_))));
}

#[test]
fn charts_are_built_and_their_dependencies_are_no_charts_of_the_repository() {
    let found = survey(&[
        (
            "charts/shop/Chart.yaml",
            "name: shop\ndependencies: [{name: redis, repository: https://c.example}]\n".to_owned(),
        ),
        ("charts/shop/templates/web.yaml", "kind: StatefulSet\n{{- end }}\n".to_owned()),
        ("charts/shop/charts/db/Chart.yaml", "name: db\n".to_owned()),
        ("charts/shop/values.yaml", "kind: {{ nothing\n".to_owned()),
        ("charts/lib/Chart.yaml", "name: lib\ntype: library\n".to_owned()),
        ("charts/lib/templates/web.yaml", "kind: Deployment\n".to_owned()),
    ]);
    assert_eq!(found.charts.len(), 2);
    let SourcePlan::Built(clusters) = found.choose_sources().plan else { panic!() };
    let expected = BuildPart::Chart {
        folder: PathBuf::from("charts/shop"),
        name: "shop".to_owned(),
        missing_dependencies: vec!["redis".to_owned()],
    };
    assert_eq!(clusters[0].parts, [expected]);
}

#[test]
fn files_at_the_top_and_beside_kustomizations_are_named_one_by_one() {
    let found = survey(&[
        ("web.yaml", deployment("web")),
        ("apps/db.yaml", deployment("db")),
        ("apps/other/kustomization.yaml", kustomization("resources: [x.yaml]")),
        ("apps/broken.yaml", "kind: Deployment\n\tname: x\n".to_owned()),
        ("notes/broken.yaml", "kind: {{ x }}\n  y\n".to_owned()),
    ]);
    let choice = found.choose_sources();
    assert_eq!(plain_paths(&choice), ["apps/db.yaml", "web.yaml"]);
    assert!(choice.ignored.is_empty());
    assert_eq!(found.unreadable.len(), 2);
}

#[test]
fn folders_with_files_of_the_same_name_are_named_by_the_folder_above() {
    let service = "apiVersion: v1\nkind: Service\nmetadata: {name: x}\n".to_owned();
    let in_namespace =
        |name: &str| deployment(name).replace("{name:", &format!("{{namespace: {name}, name:"));
    let found = survey(&[
        ("deploy/bases/web/kustomization.yaml", kustomization("resources: [web.yaml]")),
        ("deploy/bases/web/web.yaml", deployment("base")),
        ("deploy/secure/service.yaml", service.clone()),
        ("deploy/secure/web.yaml", in_namespace("secure")),
        ("deploy/webapp/service.yaml", service.clone()),
        ("deploy/webapp/web.yaml", in_namespace("webapp")),
    ]);
    let choice = found.choose_sources();
    assert_eq!(choice.paths, [PathBuf::from("deploy")]);
    assert_eq!(choice.ignored, [PathBuf::from("deploy/bases/web")]);
    let at_the_top = survey(&[("a/web.yaml", in_namespace("a")), ("b/web.yaml", in_namespace("b"))]);
    let choice = at_the_top.choose_sources();
    assert_eq!(choice.paths, [PathBuf::from("a")]);
    assert_eq!(choice.left_out[0].1, "it has files of the same names as `a`");
}

#[test]
fn a_long_chain_of_kustomizations_is_followed_without_recursion() {
    let mut files: Vec<(PathBuf, String)> = Vec::new();
    for n in 0..20_000 {
        let part = format!("resources: [../k{}]", n + 1);
        files.push((PathBuf::from(format!("k{n}/kustomization.yaml")), kustomization(&part)));
    }
    files.push((PathBuf::from("k20000/kustomization.yaml"), kustomization("resources: [web.yaml, ../k0]")));
    files.push((PathBuf::from("k20000/web.yaml"), deployment("web")));
    files.push((PathBuf::from("top/kustomization.yaml"), kustomization("resources: [../k0]")));
    let found = RepositorySurvey::from_files(files);
    assert_eq!(found.root_kustomizations(), [Path::new("top")]);
    assert_eq!(found.kustomization_workloads(Path::new("top")).len(), 1);
}

#[test]
fn a_helm_release_has_the_command_that_renders_its_chart() {
    let release = |name: &str, spec: &str| {
        format!(
            "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {{name: {name}, namespace: apps}}\nspec: {spec}\n"
        )
    };
    let repository = |kind: &str, name: &str, spec: &str| {
        format!(
            "apiVersion: source.toolkit.fluxcd.io/v1\nkind: {kind}\nmetadata: {{name: {name}}}\nspec: {spec}\n"
        )
    };
    let found = survey(&[
        (
            "a.yaml",
            release(
                "web",
                "{releaseName: shop, chart: {spec: {chart: podinfo, version: 6.x, sourceRef: {kind: HelmRepository, name: charts}}}}",
            ),
        ),
        ("b.yaml", release("certs", "{targetNamespace: pki, chartRef: {kind: OCIRepository, name: certs}}")),
        (
            "c.yaml",
            release("oci", "{chart: {spec: {chart: web, sourceRef: {kind: HelmRepository, name: oci}}}}"),
        ),
        (
            "d.yaml",
            release("git", "{chart: {spec: {chart: ./web, sourceRef: {kind: GitRepository, name: charts}}}}"),
        ),
        (
            "e.yaml",
            release(
                "'--post-renderer=x'",
                "{chart: {spec: {chart: web, sourceRef: {kind: HelmRepository, name: oci}}}}",
            ),
        ),
        ("r1.yaml", repository("HelmRepository", "charts", "{url: 'https://charts.example/'}")),
        ("r2.yaml", repository("HelmRepository", "oci", "{url: 'oci://charts.example/web'}")),
        (
            "r3.yaml",
            repository(
                "OCIRepository",
                "certs",
                "{url: 'oci://charts.example/certs', ref: {semver: '>= 1.0'}}",
            ),
        ),
    ]);
    let commands: Vec<Option<String>> =
        found.helm_releases.iter().map(|release| found.template_command(release)).collect();
    assert_eq!(
        commands,
        [
            Some("helm template shop podinfo --repo https://charts.example --version 6.x --namespace apps"),
            Some("helm template certs oci://charts.example/certs --version '>= 1.0' --namespace pki"),
            Some("helm template oci oci://charts.example/web/web --namespace apps"),
            None,
            None,
        ]
        .map(|command| command.map(str::to_owned))
    );
}
