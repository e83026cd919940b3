//! Runs the program as users do: exit codes, the files it writes or leaves alone, and hostile input.

use indoc::{formatdoc, indoc};
use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

/// An empty working folder in which pillion runs with an empty environment.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn put(&self, name: &str, text: impl AsRef<[u8]>) -> &Self {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    fn run(&self, args: &str) -> Answer {
        self.run_with(args, b"")
    }

    fn run_with(&self, args: &str, stdin: &[u8]) -> Answer {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pillion"));
        command
            .args(args.split_whitespace())
            .current_dir(self.0.path())
            .env_clear()
            .env("HOME", self.0.path());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // A program that stops reading early is judged by its answer.
        let _ = child.stdin.take().unwrap().write_all(stdin);
        Answer::from(child.wait_with_output().unwrap())
    }
}

#[derive(Debug)]
struct Answer {
    code: Option<i32>,
    out: String,
    err: String,
}

impl From<Output> for Answer {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        Self { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
    }
}

impl Answer {
    /// Refused in a plain way: a code, a place or a word about it, and nothing on standard output.
    fn is_refusal(&self, code: i32, word: &str) {
        assert_eq!((self.code, self.out.as_str()), (Some(code), ""), "{self:?}");
        assert!(
            self.err.contains(word) && !self.err.contains("panicked") && !self.err.contains("bug"),
            "{self:?}"
        );
    }

    fn is_done(&self) {
        assert_eq!(self.code, Some(0), "{self:?}");
    }
}

const SET: &str = indoc! {"
    apiVersion: apps.kruise.io/v1beta1
    kind: SidecarSet
    metadata: {name: log}
    spec:
      selector: {matchLabels: {log: 'true'}}
      containers:
      - name: logtail
        image: logtail:1.4.2
"};

fn deployment(name: &str) -> String {
    formatdoc! {"
        apiVersion: apps/v1
        kind: Deployment
        metadata: {{name: {name}}}
        spec:
          template:
            metadata: {{labels: {{log: 'true'}}}}
            spec:
              containers:
              - name: app
                image: app:1
    "}
}

/// A repository with a source folder, a set and pillion.yaml.
fn repository() -> Folder {
    let folder = Folder::new();
    folder
        .put(
            "pillion.yaml",
            indoc! {"
                apiVersion: pillion.dev/v1alpha1
                kind: Repository
                sources: [apps]
                sidecarSets: [sets]
                rendered: rendered
            "},
        )
        .put("sets/log.yaml", SET)
        .put("apps/web.yaml", deployment("web"))
        .put("apps/shop/cart.yaml", deployment("cart"))
        .put("apps/shop/service.yaml", "apiVersion: v1\nkind: Service\nmetadata: {name: cart}\n");
    folder
}

#[test]
fn a_folder_of_output_mirrors_the_sources_and_forgets_what_is_gone() {
    let folder = repository();
    folder.run("render --out rendered").is_done();
    assert!(folder.text("rendered/shop/cart.yaml").contains("logtail:1.4.2"));
    assert_eq!(folder.text("rendered/shop/service.yaml"), folder.text("apps/shop/service.yaml"));
    assert_eq!(folder.text("rendered/.pillion-files"), "shop/cart.yaml\nshop/service.yaml\nweb.yaml\n");
    folder.run("render --check").is_done();

    folder.put("rendered/notes.txt", "a person's").put("rendered/shop/extra.yaml", "mine: true\n");
    fs::remove_file(folder.path("apps/shop/cart.yaml")).unwrap();
    fs::remove_file(folder.path("apps/shop/service.yaml")).unwrap();
    let check = folder.run("render --check");
    assert_eq!(check.code, Some(1));
    assert!(check.err.contains("`rendered/shop/cart.yaml` is no longer made by render"), "{check:?}");
    folder.run("render --out rendered").is_done();
    assert!(!folder.path("rendered/shop/cart.yaml").exists());
    assert_eq!(folder.text("rendered/shop/extra.yaml"), "mine: true\n", "what pillion did not write stays");
    assert_eq!(folder.text("rendered/notes.txt"), "a person's");
}

#[cfg(unix)]
#[test]
fn a_folder_of_output_gets_more_files_than_a_program_may_open() {
    let folder = Folder::new();
    for number in 0..300 {
        let text = format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a{number}\n");
        folder.put(&format!("apps/{number}/a.yaml"), text);
    }
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -n 100; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_pillion")]);
    command.args(["render", "apps", "--out", "out"]).current_dir(folder.0.path());
    let answer = Answer::from(command.output().unwrap());
    assert_eq!(answer.code, Some(0), "{answer:?}");
    assert!((0..300).all(|number| folder.path(&format!("out/{number}/a.yaml")).is_file()));
}

#[test]
fn the_output_is_no_input_of_the_next_run() {
    let folder = Folder::new();
    folder.put("sets/log.yaml", SET).put("apps/web.yaml", deployment("web"));
    folder.run("render . --out out/rendered").is_done();
    let absolute = folder.path("out/rendered");
    folder.run(&format!("render . --out {}", absolute.display())).is_done();
    assert_eq!(folder.text("out/rendered/.pillion-files"), "apps/web.yaml\n");
}

#[cfg(unix)]
#[test]
fn files_that_do_not_change_are_not_written_again() {
    let folder = repository();
    folder.run("render --out rendered").is_done();
    let inode = |name: &str| {
        use std::os::unix::fs::MetadataExt as _;
        fs::metadata(folder.path(name)).unwrap().ino()
    };
    let before =
        [inode("rendered/web.yaml"), inode("rendered/shop/cart.yaml"), inode("rendered/.pillion-files")];
    folder.put("apps/web.yaml", deployment("web2"));
    folder.run("render --out rendered").is_done();
    let after =
        [inode("rendered/web.yaml"), inode("rendered/shop/cart.yaml"), inode("rendered/.pillion-files")];
    assert!(before[0] != after[0] && before[1..] == after[1..]);
}

#[test]
fn another_programs_file_is_not_overwritten() {
    let folder = repository();
    // What happens to be right stays another program's, and is not removed when it is no longer made.
    folder.put("rendered/shop/service.yaml", folder.text("apps/shop/service.yaml"));
    folder.run("render --out rendered").is_done();
    fs::remove_file(folder.path("apps/shop/service.yaml")).unwrap();
    folder.run("render --out rendered").is_done();
    assert!(folder.path("rendered/shop/service.yaml").exists());
    fs::remove_dir_all(folder.path("rendered")).unwrap();

    folder.put("rendered/web.yaml", "written: by hand\n");
    folder.run("render --out rendered").is_refusal(1, "unmanaged-file");
    assert_eq!(folder.text("rendered/web.yaml"), "written: by hand\n");
    assert!(!folder.path("rendered/shop").join("cart.yaml").exists(), "all or nothing");
}

#[test]
fn an_index_cannot_make_pillion_remove_files_elsewhere() {
    let folder = repository();
    folder
        .put("precious.yaml", "a: 1\n")
        .put("rendered/.pillion-files", "../precious.yaml\n/etc/hostname\nold.yaml\n");
    folder.put("rendered/old.yaml", "a: 1\n");
    folder.run("render --out rendered").is_done();
    assert!(folder.path("precious.yaml").exists() && !folder.path("rendered/old.yaml").exists());
}

#[cfg(unix)]
#[test]
fn nothing_is_written_through_a_link() {
    let folder = repository();
    let outside = Folder::new();
    fs::create_dir(folder.path("rendered")).unwrap();
    std::os::unix::fs::symlink(outside.path("."), folder.path("rendered/shop")).unwrap();
    folder.run("render --out rendered").is_refusal(1, "symlink-outside");
    assert_eq!(fs::read_dir(outside.path(".")).unwrap().count(), 0);
}

#[cfg(unix)]
#[test]
fn in_place_changes_the_files_and_keeps_their_mode_and_the_sets() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = Folder::new();
    folder.put("all.yaml", format!("{SET}---\n{}", deployment("web")));
    fs::set_permissions(folder.path("all.yaml"), fs::Permissions::from_mode(0o640)).unwrap();
    std::os::unix::fs::symlink("all.yaml", folder.path("link.yaml")).unwrap();
    folder.run("render --in-place link.yaml").is_done();
    let text = folder.text("all.yaml");
    assert!(text.starts_with(SET) && text.contains("IS_INJECTED"), "{text}");
    assert_eq!(fs::metadata(folder.path("all.yaml")).unwrap().permissions().mode() & 0o777, 0o640);
    assert!(fs::symlink_metadata(folder.path("link.yaml")).unwrap().is_symlink());
    folder.run("render --check --in-place all.yaml").is_done();
    folder.run_with("render --in-place -", b"").is_refusal(2, "standard input");
}

#[test]
fn an_error_anywhere_keeps_everything_unwritten() {
    let folder = repository();
    folder.put("apps/zz.yaml", "apiVersion: v1\nkind: Pod\nmetadata: {labels: {log: 'true'}}\nspec: [\n");
    folder.run("render --out rendered").is_refusal(1, "apps/zz.yaml:");
    assert!(!folder.path("rendered").join("web.yaml").exists());
    folder.run("render").is_refusal(1, "invalid-yaml");
    assert_eq!(
        fs::read_dir(folder.path("rendered")).map_or(0, Iterator::count),
        0,
        "no temporary file stays"
    );
}

#[test]
fn a_difference_is_exit_code_1_and_shown() {
    let folder = repository();
    folder.run("render --out rendered").is_done();
    folder.put("sets/log.yaml", SET.replace("1.4.2", "1.5.0"));
    let check = folder.run("render --check --message-format short");
    assert_eq!(check.code, Some(1));
    assert!(check.err.contains("rendered/shop/cart.yaml:10:1: warning[not-up-to-date]"), "{check:?}");
    let diff = folder.run("render --check --diff");
    assert_eq!(diff.code, Some(1));
    assert_eq!(
        diff.out.matches("\n-        image: logtail:1.4.2\n+        image: logtail:1.5.0\n").count(),
        2,
        "{diff:?}"
    );
    folder.run("render --out rendered").is_done();
    folder.run("render --check").is_done();
}

#[test]
fn the_command_line_and_the_configuration_are_checked() {
    let folder = repository();
    folder.run("render --nonsense").is_refusal(2, "--nonsense");
    folder.run("render apps --out a --in-place").is_refusal(2, "--in-place");
    folder.run("render nowhere.yaml").is_refusal(2, "`nowhere.yaml` does not exist");
    folder.put(
        "pillion.yaml",
        indoc! {"
            apiVersion: pillion.dev/v1alpha1
            kind: Repository
            sorces: [apps]
        "},
    );
    folder.run("render").is_refusal(2, "did you mean `sources`?");
    folder.put(
        "pillion.yaml",
        indoc! {"
            apiVersion: pillion.dev/v1alpha1
            kind: Repository
            ignore: ['a{']
        "},
    );
    folder.run("render").is_refusal(2, "ignore");
}

#[cfg(unix)]
#[test]
fn links_are_not_followed() {
    let folder = repository();
    let outside = Folder::new();
    outside.put("secret.yaml", deployment("secret"));
    let link = |target: &str, name: &str| std::os::unix::fs::symlink(target, folder.path(name)).unwrap();
    link("web.yaml", "apps/again.yaml");
    let answer = folder.run("render");
    answer.is_done();
    assert!(
        answer.err.contains("symlink-skipped") && answer.out.matches("name: web").count() == 1,
        "{answer:?}"
    );
    link(outside.path("secret.yaml").to_str().unwrap(), "apps/shadow.yaml");
    folder.run("render").is_refusal(1, "out of the folder");
    fs::remove_file(folder.path("apps/shadow.yaml")).unwrap();
    link("circle.yaml", "apps/circle.yaml");
    folder.run("render").is_refusal(1, "cannot be followed");
    fs::remove_file(folder.path("apps/circle.yaml")).unwrap();
    link("..", "apps/shop/up");
    folder.run("render").is_done();
}

#[test]
fn what_is_no_manifest_is_left_alone() {
    let folder = Folder::new();
    folder
        .put("sets/log.yaml", SET)
        .put("chart/Chart.yaml", "apiVersion: v2\nname: x\n")
        .put("chart/values.yaml", "image: {{x}}\n")
        .put("chart/templates/web.yaml", "kind: {{ .Kind }}\n")
        .put("chart/crds/crd.yaml", "apiVersion: v1\nkind: ConfigMap\n")
        .put("mkdocs.yml", "nav: !!python/name:x\n")
        .put("apps/web.yaml", deployment("web"));
    let answer = folder.run("render .");
    answer.is_done();
    assert!(answer.err.contains("folder-skipped"), "{answer:?}");
    assert!(answer.out.contains("nav: !!python/name:x") && !answer.out.contains(".Kind"), "{answer:?}");
    folder.put("overlay/kustomization.yaml", "resources: [x.yaml]\npatches: [{path: ../patches/p.yaml}]\n");
    folder.put("overlay/x.yaml", deployment("x")).put("patches/p.yaml", deployment("x"));
    folder.run("render .").is_refusal(1, "kustomize build overlay | pillion render -");
    folder.put(
        "pillion.yaml",
        indoc! {"
            apiVersion: pillion.dev/v1alpha1
            kind: Repository
            ignore: [overlay]
        "},
    );
    folder.run("render").is_done();
}

#[test]
fn hostile_input_gets_a_diagnostic() {
    let folder = Folder::new();
    folder.put("log.yaml", SET);
    let bomb = (1..10).fold("a0: &a0 [x, x]\n".to_owned(), |text, i| {
        let aliases = vec![format!("*a{}", i - 1); 10].join(", ");
        format!("{text}a{i}: &a{i} [{aliases}]\n")
    });
    let hostile: [(&str, Vec<u8>, &str); 9] = [
        ("bomb", format!("{}{bomb}", deployment("x")).into_bytes(), "alias-bomb"),
        ("flow", "[".repeat(100_000).into_bytes(), "nest"),
        ("block", "- ".repeat(100_000).into_bytes(), "nest"),
        ("utf8", b"kind: \xff\n".to_vec(), "not-utf8"),
        ("utf16", b"\xff\xfek\0i\0".to_vec(), "UTF-16"),
        ("nul", b"apiVersion: v1\nkind: Pod\nspec: \"\0\"\n".to_vec(), "nul.yaml:3:8"),
        ("tab", b"apiVersion: v1\nkind: Pod\nspec:\n\tcontainers: []\nlog: 'true'\n".to_vec(), "tab"),
        ("quote", b"apiVersion: v1\nkind: Pod\nspec: \"never closed\nlog: 'true'\n".to_vec(), "invalid-yaml"),
        (
            "template",
            b"apiVersion: v1\nkind: Pod\nmetadata: {labels: {log: 'true'}}\nspec: {{ .Values.spec }}\n"
                .to_vec(),
            "template",
        ),
    ];
    for (name, bytes, word) in hostile {
        folder.put(&format!("{name}.yaml"), bytes);
        let answer = folder.run(&format!("render --sidecarsets log.yaml {name}.yaml"));
        assert!(answer.code == Some(1) && answer.out.is_empty(), "{name}: {answer:?}");
        assert!(answer.err.contains(word) && !answer.err.contains("bug"), "{name}: {answer:?}");
    }
}

#[test]
fn a_sidecar_set_of_a_wrong_shape_is_an_error_with_its_place() {
    let folder = Folder::new();
    folder.put("web.yaml", deployment("web"));
    for (text, place) in [
        (SET.replace("spec:\n", "spec: []\nx:\n"), "set.yaml:4:7"),
        (SET.replace("  containers:\n", "  containers: none\n  x:\n"), "set.yaml:6:15"),
        (SET.replace("image: logtail:1.4.2", "image: 1.4"), "set.yaml:8:12"),
        (SET.replace("{name: log}", "[log]"), "set.yaml:3:11"),
        (format!("- {}", SET.replace('\n', "\n  ")), "no-sidecarset"),
    ] {
        folder.put("set.yaml", &text);
        folder.run("render --sidecarsets set.yaml web.yaml --message-format short").is_refusal(1, place);
        let json = folder.run("validate -o json set.yaml");
        assert!(json.code == Some(1) && json.out.contains("\"severity\": \"error\""), "{json:?}");
    }
}

#[test]
fn standard_input_is_a_file_like_any_other() {
    let folder = repository();
    let answer = folder.run_with("render -", deployment("piped").as_bytes());
    answer.is_done();
    assert!(answer.out.contains("name: piped") && answer.out.contains("logtail:1.4.2"), "{answer:?}");
    let answer = folder.run_with("render - --sidecarsets sets", b"\xff");
    answer.is_refusal(1, "<stdin>:1:1");
}

#[test]
fn a_list_is_rendered_item_by_item() {
    let folder = Folder::new();
    let pod = |name: &str, log: &str| {
        format!(
            r#"{{"apiVersion": "v1", "kind": "Pod", "metadata": {{"name": "{name}", "labels": {{"log": "{log}"}}}}, "spec": {{"containers": [{{"name": "app", "image": "a"}}]}}}}"#
        )
    };
    let list = format!(
        "{{\n  \"apiVersion\": \"v1\",\n  \"kind\": \"List\",\n  \"items\": [\n    {},\n    {}\n  ]\n}}\n",
        pod("a", "true"),
        pod("b", "false")
    );
    folder.put("log.yaml", SET).put("list.json", &list);
    let answer = folder.run("render --sidecarsets log.yaml list.json");
    answer.is_done();
    assert!(answer.out.contains(&pod("b", "false")), "{answer:?}");
    let value: serde_json::Value = serde_json::from_str(&answer.out).unwrap();
    assert_eq!(value["items"][0]["spec"]["containers"][0]["name"], "logtail");
    folder.put(
        "sets.yaml",
        format!(
            "apiVersion: v1\nkind: List\nitems:\n- {}- {}",
            SET.replace('\n', "\n  ").trim_end_matches(' '),
            deployment("web").replace('\n', "\n  ")
        ),
    );
    let answer = folder.run("render sets.yaml");
    answer.is_done();
    assert!(!answer.out.contains("SidecarSet\n") && answer.out.contains("logtail:1.4.2"), "{answer:?}");
    assert!(folder.run("render --keep-sidecarsets sets.yaml").out.contains("kind: SidecarSet\n"));
}

#[test]
fn messages_have_forms_for_programs() {
    let folder = Folder::new();
    folder.put("set.yaml", SET.replace("name: logtail", "name: Log_Tail"));
    let github = folder.run("validate set.yaml --message-format github");
    assert!(github.err.starts_with("::error file=set.yaml,line=7,col=11,"), "{github:?}");
    let sarif = folder.run("validate set.yaml -o sarif");
    let log: serde_json::Value = serde_json::from_str(&sarif.out).unwrap();
    assert_eq!(log["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["region"]["startLine"], 7);
    let json = folder.run("validate set.yaml -o json");
    let document: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(
        (&document["kind"], &document["items"][0]["field"]),
        (&"Diagnostics".into(), &"spec.containers[0].name".into())
    );
    assert!(!folder.run("validate set.yaml --color never").err.contains('\u{1b}'));
    assert!(folder.run("validate set.yaml --color always").err.contains('\u{1b}'));
    folder.run("schema").is_done();
    folder.run("man").is_done();
    let page = folder.run("man init rollout");
    page.is_done();
    assert!(page.out.contains("\\-\\-released"), "{page:?}");
    let unknown = folder.run("man stagge");
    assert_eq!(unknown.code, Some(2));
    assert!(unknown.err.contains("`pillion` has no command `stagge`; did you mean `stage`?"), "{unknown:?}");
    folder.run("completions bash").is_done();
}

#[test]
fn a_file_beyond_the_limit_is_refused_without_being_read() {
    let folder = Folder::new();
    fs::File::create(folder.path("huge.yaml")).unwrap().set_len((512 << 20) + 1).unwrap();
    folder.run("render huge.yaml").is_refusal(1, "file-too-large");
}
