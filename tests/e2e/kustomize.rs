//! pillion as a plugin of the real kustomize, in both of its forms, old and new, and of the kustomize in kubectl.

use crate::harness::sandbox;
use crate::harness::tools::tool;
use crate::transcript_runner::{self, copy, example};
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::{Command, Output};

const FUNCTIONS: [&str; 2] = ["--enable-alpha-plugins", "--enable-exec"];

/// A copy of examples/kustomize-exec, and programs on a PATH of its own.
struct Repository {
    folder: tempfile::TempDir,
    programs: PathBuf,
}

impl Repository {
    /// With the kustomize of a part of the tools.
    fn with(part: &str) -> Self {
        sandbox::enter();
        let folder = tempfile::tempdir().unwrap();
        copy(&example("kustomize-exec"), folder.path());
        let programs = folder.path().join(".programs");
        fs::create_dir(&programs).unwrap();
        symlink(env!("CARGO_BIN_EXE_pillion"), programs.join("pillion")).unwrap();
        for (part, name) in [(part, "kustomize"), ("tools", "kubectl")] {
            symlink(tool(part, name), programs.join(name)).unwrap();
        }
        Self { folder, programs }
    }

    fn write(&self, file: &str, text: &str) {
        let path = self.folder.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn read(&self, file: &str) -> String {
        fs::read_to_string(self.folder.path().join(file)).unwrap()
    }

    fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.programs.join(program));
        command.args(arguments).current_dir(self.folder.path()).env_clear();
        command.env("PATH", format!("{}:/usr/bin:/bin", self.programs.display()));
        command.env("HOME", &self.programs).env("TMPDIR", std::env::temp_dir());
        command.env("KUSTOMIZE_PLUGIN_HOME", self.programs.join("plugins"));
        command
    }

    fn kustomize(&self, flags: &[&str], folder: &str) -> Output {
        let arguments = [&["build"], flags, &[folder]].concat();
        self.command("kustomize", &arguments).output().unwrap()
    }

    fn build(&self, folder: &str) -> String {
        let output = self.kustomize(&FUNCTIONS, folder);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Installs the exec plugin as `pillion print kustomize-exec-plugin` says.
    fn install_plugin(&self) {
        let script = self.command("pillion", &["print", "kustomize-exec-plugin"]).output().unwrap();
        self.write("install.sh", &String::from_utf8(script.stdout).unwrap());
        let sh = Command::new("sh")
            .arg("install.sh")
            .current_dir(self.folder.path())
            .env("PATH", format!("{}:/usr/bin:/bin", self.programs.display()))
            .env("KUSTOMIZE_PLUGIN_HOME", self.programs.join("plugins"))
            .output()
            .unwrap();
        assert!(sh.status.success(), "{}", String::from_utf8_lossy(&sh.stderr));
    }
}

fn count(text: &str, word: &str) -> usize {
    text.matches(word).count()
}

fn a_function_gives_the_same_bytes_twice(repository: &Repository) {
    let once = repository.build("overlays/eu");
    assert_eq!(once, repository.build("overlays/eu"));
    assert_eq!(count(&once, "registry.example/logtail:1.4.2"), 2);
    assert_eq!(count(&once, "kind: Sidecars"), 0);
    // The hash of the ConfigMap reaches the Deployment by kustomize's own rules, the CloneSet by kustomizeconfig.yaml.
    let name = once.lines().find_map(|l| l.strip_prefix("  name: eu-logtail-")).unwrap();
    assert_eq!(count(&once, &format!("eu-logtail-{name}")), 3);
    repository.write("overlays/eu/kustomizeconfig.yaml", "nameReference: []\n");
    let output = repository.kustomize(&FUNCTIONS, "overlays/eu");
    assert_eq!(count(&String::from_utf8_lossy(&output.stdout), &format!("eu-logtail-{name}")), 2);
    assert_eq!(count(&String::from_utf8_lossy(&output.stderr), "warning[dangling-reference]"), 1);
}

fn the_guard_document_shows_that_a_function_was_skipped(repository: &Repository) {
    let passed_over = repository.kustomize(&["--enable-alpha-plugins"], "overlays/eu");
    let text = String::from_utf8(passed_over.stdout).unwrap();
    assert_eq!((count(&text, "logtail:1.4.2"), count(&text, "kind: Sidecars")), (0, 1));
    let kubectl = repository
        .command("kubectl", &["kustomize", "--enable-alpha-plugins", "overlays/eu"])
        .output()
        .unwrap();
    assert_eq!(count(&String::from_utf8_lossy(&kubectl.stdout), "kind: Sidecars"), 1);
    let refused = repository.kustomize(&[], "overlays/eu");
    assert!(!refused.status.success());
    assert!(String::from_utf8_lossy(&refused.stderr).contains("external plugins disabled"));
}

fn what_is_wrong_is_said_and_nothing_is_built(repository: &Repository) {
    let text = repository.read("overlays/eu/sidecars.yaml").replace("keepSidecarSets", "keepSidecarsets");
    repository.write("overlays/eu/sidecars.yaml", &text);
    let output = repository.kustomize(&FUNCTIONS, "overlays/eu");
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!((output.status.success(), output.stdout.len()), (false, 0));
    assert!(stderr.contains("error[invalid-configuration]: unknown key `spec.keepSidecarsets`"), "{stderr}");
    assert!(stderr.contains("did you mean `keepSidecarSets`?"), "{stderr}");
}

fn the_older_plugin_works_in_kubectl_and_fails_without_the_flag(repository: &Repository) {
    repository.install_plugin();
    repository.write("legacy/kustomization.yaml", "resources: [../base]\ntransformers: [sidecars.yaml]\n");
    let config = "apiVersion: pillion.dev/v1alpha1\nkind: Sidecars\nmetadata: {name: s}\nspec: {sidecarSets: [../sidecars]}\n";
    repository.write("legacy/sidecars.yaml", config);
    let kubectl = |flags: &[&str]| {
        repository.command("kubectl", &[&["kustomize"], flags, &["legacy"]].concat()).output().unwrap()
    };
    let output = kubectl(&["--enable-alpha-plugins"]);
    let by_kubectl = String::from_utf8(output.stdout).unwrap();
    assert_eq!(count(&by_kubectl, "logtail:1.4.2"), 2, "{}", String::from_utf8_lossy(&output.stderr));
    let by_kustomize = repository.kustomize(&["--enable-alpha-plugins"], "legacy");
    assert_eq!(String::from_utf8(by_kustomize.stdout).unwrap(), by_kubectl);
    let refused = kubectl(&[]);
    assert!(!refused.status.success() && refused.stdout.is_empty());
    repository.write("legacy/sidecars.yaml", &config.replace("sidecarSets", "sidecarsets"));
    let output = kubectl(&["--enable-alpha-plugins"]);
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("did you mean `sidecarSets`?"));
}

fn an_overlay_changes_what_its_component_injected(repository: &Repository) {
    let output = repository
        .command("pillion", &["init", "kustomize-component", "--dir", "component"])
        .output()
        .unwrap();
    assert!(output.status.success());
    repository.write(
        "overlays/us/kustomization.yaml",
        "resources: [../../base]
components: [../../component]
namePrefix: us-
namespace: shop
images: [{name: registry.example/logtail, newTag: '9.9'}]
labels: [{pairs: {team: shop}, includeSelectors: true}]
configMapGenerator: [{name: logtail, literals: [REGION=us]}]
replacements:
- source: {kind: Deployment, name: web, fieldPath: metadata.name}
  targets: [{select: {kind: Deployment}, fieldPaths: ['spec.template.spec.containers.[name=logtail].args.0'], options: {create: true}}]
",
    );
    let text = repository.build("overlays/us");
    assert_eq!(text, repository.build("overlays/us"));
    assert_eq!(count(&text, "registry.example/logtail:9.9"), 2);
    assert_eq!(count(&text, "- us-web"), 1);
    assert_eq!(count(&text, "\n  namespace: shop\n"), count(&text, "kind: "));
    assert_eq!((count(&text, "kind: Sidecars"), count(&text, "kind: SidecarSet")), (0, 0));
    let hash = text.lines().find_map(|l| l.strip_prefix("  name: us-logtail-")).unwrap();
    assert_eq!(count(&text, &format!("us-logtail-{hash}")), 3);
    // Injected by the component and again by the overlay, it is the same.
    repository.write(
        "overlays/twice/kustomization.yaml",
        "resources: [../us, sidecars.yaml]\ntransformers: [sidecars.yaml]\n",
    );
    repository.write("overlays/twice/sidecars.yaml", &repository.read("component/sidecars.yaml"));
    let twice = repository.build("overlays/twice");
    assert_eq!(count(&twice, "name: logtail\n"), count(&text, "name: logtail\n"));
}

fn a_generator_hands_out_rendered_sources(repository: &Repository) {
    let config = repository
        .read("overlays/eu/sidecars.yaml")
        .replace("  ledgers: []", "  sources: [../base/web.yaml]");
    repository.write("generated/sidecars.yaml", &config);
    repository.write("generated/kustomization.yaml", "generators: [sidecars.yaml]\nnamePrefix: made-\n");
    let text = repository.build("generated");
    assert_eq!((count(&text, "name: made-web"), count(&text, "logtail:1.4.2")), (1, 1));
    assert_eq!(count(&text, "kind:"), 1);
}

fn a_thousand_resources_pass_in_their_order(repository: &Repository) {
    let mut all = String::new();
    for i in 0..1000 {
        let _ = write!(
            all,
            "---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: web-{i:04}}}\nspec:\n  selector: {{matchLabels: {{app: web}}}}\n  template:\n    metadata: {{labels: {{log: \"true\"}}}}\n    spec: {{containers: [{{name: web, image: a}}]}}\n"
        );
    }
    repository.write("many/all.yaml", &all);
    repository.write("many/sidecars.yaml", &repository.read("overlays/eu/sidecars.yaml"));
    repository.write(
        "many/kustomization.yaml",
        "resources: [all.yaml, sidecars.yaml]\ntransformers: [sidecars.yaml]\nsortOptions: {order: fifo}\n",
    );
    let text = repository.build("many");
    assert_eq!(count(&text, "registry.example/logtail:1.4.2"), 1000);
    let names: Vec<&str> = text.lines().filter_map(|l| l.strip_prefix("  name: web-")).collect();
    assert!(names.len() == 1000 && names.is_sorted());
}

fn files_that_are_edited_in_place_are_not_deleted(repository: &Repository) {
    repository.write("package/set.yaml", &repository.read("sidecars/log.yaml"));
    repository.write("package/web.yaml", &format!("# a comment stays\n{}", repository.read("base/web.yaml")));
    let program = repository.programs.join("pillion");
    let arguments = ["fn", "run", "package", "--enable-exec", "--exec-path", program.to_str().unwrap()];
    let output = repository.command("kustomize", &arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let web = repository.read("package/web.yaml");
    assert!(web.contains("# a comment stays") && web.contains("logtail:1.4.2"), "{web}");
    assert!(repository.read("package/set.yaml").contains("kind: SidecarSet"));
}

#[test]
#[ignore = "needs the real kustomize: cargo test --test e2e -- --ignored"]
fn the_example_shows_what_happens() {
    let repository = Repository::with("tools");
    transcript_runner::check(&example("kustomize-exec").join("README.md"), || {
        repository.command("/bin/sh", &[])
    });
}

macro_rules! tests {
    (with $part:literal in $module:ident: $($check:ident)*) => {
        mod $module {
            $(
                #[test]
                #[ignore = "needs the real kustomize: cargo test --test e2e -- --ignored"]
                fn $check() {
                    super::$check(&super::Repository::with($part));
                }
            )*
        }
    };
    ($($check:ident)*) => {
        tests! { with "tools" in new: $($check)* }
        tests! { with "kustomize-old" in old: $($check)* }
    };
}

tests! {
    a_function_gives_the_same_bytes_twice
    the_guard_document_shows_that_a_function_was_skipped
    what_is_wrong_is_said_and_nothing_is_built
    the_older_plugin_works_in_kubectl_and_fails_without_the_flag
    an_overlay_changes_what_its_component_injected
    a_generator_hands_out_rendered_sources
    a_thousand_resources_pass_in_their_order
    files_that_are_edited_in_place_are_not_deleted
}
