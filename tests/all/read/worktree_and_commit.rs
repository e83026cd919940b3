//! A clean working tree and its commit give the same inputs: names, order, texts and diagnostics.

use crate::support::git_fixtures::{Repo, TestEnvironment};
use pillion::read::{CommitListing, Disk, FileSource, ListingEntry, list_tree};
use pillion::workspace::{
    ClusterLayout, InputOptions, Layout, SelectedInputs, UNSPECIFIED_NAMESPACE, read_input, select_inputs,
};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// What is committed at a path.
#[derive(Debug, Clone)]
enum Node {
    File(Vec<u8>),
    Link(String),
}

type Nodes = BTreeMap<String, Node>;

/// Files and links by path; one that has no place beside those before it is left out.
fn nodes(wanted: impl IntoIterator<Item = (String, Node)>) -> Nodes {
    let mut nodes = Nodes::new();
    for (path, node) in wanted {
        let is_above =
            |a: &str, b: &str| b.strip_prefix(a).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        if !nodes.keys().any(|known| is_above(known, &path) || is_above(&path, known)) {
            nodes.insert(path, node);
        }
    }
    nodes
}

fn put_on_disk(nodes: &Nodes, folder: &Path) {
    for (path, node) in nodes {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        match node {
            Node::File(bytes) => fs::write(path, bytes).unwrap(),
            Node::Link(target) => std::os::unix::fs::symlink(target, path).unwrap(),
        }
    }
}

/// The listing of a commit, in the order of git: that of whole paths as text.
fn listing(nodes: &Nodes) -> CommitListing<'static, Vec<u8>> {
    let entry = |(path, node): (&String, &Node)| match node {
        Node::File(bytes) => (path.into(), ListingEntry::File(bytes.clone())),
        Node::Link(target) => (path.into(), ListingEntry::Symlink(target.clone())),
    };
    CommitListing::new(nodes.iter().map(entry), |bytes: &Vec<u8>| Ok(bytes.clone()))
}

/// Everything that is known of a repository's inputs; `above` is taken out of names.
fn describe_inputs(files: &dyn FileSource, layout: &Layout, above: &str) -> String {
    let mut lines = Vec::new();
    match layout.ignore_rules(None) {
        Ok(skips) => {
            let choice = InputOptions {
                ignore_rules: skips,
                namespaces: layout.namespace_rules(),
                repository_root: None,
                user_paths: Vec::new(),
            };
            for paths in [layout.source_paths(), layout.paths_in_root(&layout.sidecar_sets)] {
                let SelectedInputs { inputs, diagnostics, has_missing_path: is_missing } =
                    select_inputs(files, &paths, &choice);
                lines.push(format!("missing: {is_missing}"));
                lines.extend(diagnostics.iter().map(|d| format!("{d:?}")));
                for input in &inputs {
                    let clusters: Vec<bool> =
                        layout.clusters.iter().map(|c| layout.cluster_contains(c, input)).collect();
                    lines.push(format!("{input:?} {clusters:?} {:?}", read_input(input, files)));
                }
            }
        }
        Err(pattern) => lines.push(pattern),
    }
    let (ledgers, diagnostics) = layout.find_ledgers(files);
    lines.extend(diagnostics.iter().map(|d| format!("{d:?}")));
    lines.extend(ledgers.iter().map(|l| format!("{l:?} {:?}", read_input(&l.input, files))));
    lines.join("\n").replace(above, "")
}

/// The repository is a folder so deep in the listing that its links do not lead out of that: what is there, a
/// commit cannot know.
const REPO: &str = "1/2/3/4/5/6/7/8/w/repo";

/// Names of folders and files that rules are about, and some that sort otherwise than their paths do.
const FOLDERS: &[&str] =
    &["a", "a-b", "a.b", "b", "chart", "templates", "ledgers", "eu", "rendered", ".hidden", "ä", "x.yaml"];
const FILES: &[&str] = &[
    "web.yaml",
    "a.yaml",
    "x.json",
    "y.yml",
    "notes.txt",
    "Z.YAML",
    ".yaml",
    "a b.yaml",
    "Chart.yaml",
    "values.yaml",
    "values-eu.yaml",
    "kustomization.yaml",
    "kustomization.yml",
    "Kustomization",
    ".gitignore",
    "a",
];
const TEXTS: &[&[u8]] =
    &[b"kind: Pod\n", b"patch: ../web.yaml\npatch: a.yaml\npatch: ./b/../x.json\n", b"caf\xe9", b"a\0b", b""];
const TARGETS: &[&str] = &[
    "web.yaml",
    "../web.yaml",
    "a",
    "a/",
    "..",
    ".",
    "../..",
    "nowhere.yaml",
    "web.yaml/",
    "web.yaml/.",
    "web.yaml/..",
    "web.yaml/x",
    "a//web.yaml",
    "./a.yaml",
    "l.yaml",
    "link",
    "../b",
    "../../w/outside/o.yaml",
    "../../outside",
    "a/../../b/web.yaml",
];
const LINKS: &[&str] = &["l.yaml", "link", "m.yml", "web.yaml", "Chart.yaml", "kustomization.yaml", "a", "b"];
const IGNORES: &[&str] =
    &["chart", "**/web.yaml", "/a/", "*.json", "!x.json", "b/**", "a-b/", "l*", "rendered"];

fn one_of(words: &'static [&'static str]) -> impl Strategy<Value = String> {
    prop::sample::select(words).prop_map(str::to_owned)
}

fn some_of(words: &'static [&'static str], most: usize) -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec(one_of(words), 0..=most)
}

fn node() -> impl Strategy<Value = (String, Node)> {
    let path = |names| {
        (some_of(FOLDERS, 3), one_of(names))
            .prop_map(|(folders, name)| [&[REPO.to_owned()][..], &folders, &[name]].concat().join("/"))
    };
    prop_oneof![
        3 => (path(FILES), prop::sample::select(TEXTS)).prop_map(|(p, t)| (p, Node::File(t.to_vec()))),
        1 => (path(LINKS), one_of(TARGETS)).prop_map(|(p, t)| (p, Node::Link(t))),
    ]
}

fn layout() -> impl Strategy<Value = Layout> {
    const PATHS: &[&str] =
        &["a", "b", "web.yaml", "link", "./a", "b/../a", "l.yaml", "chart/templates", "../outside", "."];
    let cluster =
        |(name, folder): (String, Option<String>)| ClusterLayout { name: name.as_str().into(), folder };
    let clusters = prop::collection::vec(
        (one_of(&["eu", "a"]), prop::option::of(one_of(FOLDERS))).prop_map(cluster),
        0..3,
    );
    let folder =
        || prop::option::of(one_of(&["rendered", "ledgers", ".", "a", "./b/", "link", "../outside"]));
    let namespaces = prop::collection::vec((one_of(PATHS), one_of(&["one", "two"])), 0..3);
    (some_of(PATHS, 3), some_of(PATHS, 1), some_of(IGNORES, 2), folder(), folder(), namespaces, clusters)
        .prop_map(|(sources, sidecar_sets, ignore, rendered, ledgers, namespaces, clusters)| Layout {
            repository_root: None,
            root: PathBuf::new(),
            sources,
            sidecar_sets,
            ignore,
            rendered,
            ledgers,
            namespaces: namespaces.into_iter().map(|(f, n)| (f, n.as_str().into())).collect(),
            clusters,
        })
}

#[test]
fn odd_folders_are_read_alike() {
    let config =
        Config { cases: 160, failure_persistence: None, max_shrink_iters: 2000, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &[29; 32]));
    let always = ["w/outside/o.yaml", "w/web.yaml", "outside/p.yaml"]
        .map(|path| (format!("1/2/3/4/5/6/7/8/{path}"), Node::File(b"kind: Pod\n".to_vec())));
    let folder = prop::collection::vec(node(), 1..30);
    let run = runner.run(&(folder, layout()), |(wanted, layout)| {
        let nodes = nodes(always.iter().cloned().chain(wanted));
        let disk = tempfile::tempdir().unwrap();
        put_on_disk(&nodes, disk.path());
        let above = disk.path().to_str().unwrap();
        let on_disk = Layout { root: disk.path().join(REPO), ..layout.clone() };
        let in_commit = Layout { root: REPO.into(), ..layout };
        prop_assert_eq!(
            describe_inputs(&Disk, &on_disk, &format!("{above}/")),
            describe_inputs(&listing(&nodes), &in_commit, "\u{0}")
        );
        Ok(())
    });
    run.unwrap();
}

/// A repository with every unusual thing in it that git can hold.
fn odd_repository(test_env: &TestEnvironment) -> Repo {
    let repo = test_env.init("repo", &[]);
    let link = |target: &str, name: &str| std::os::unix::fs::symlink(target, repo.path.join(name)).unwrap();
    repo.put(".gitignore", "junk.yaml\n/apps/a/kustomization.yaml\n")
        .put("apps/a/kustomization.yaml", "# Made by a tool that runs elsewhere.\n")
        .put("apps/a.b/web.yaml", "kind: Pod\n")
        .put("apps/a/web.yaml", "kind: Pod\n")
        .put("apps/a-b.json", "{}\n")
        .put("apps/notes.txt", "no manifest\n")
        .put("apps/chart/Chart.yaml", "name: x\n")
        .put("apps/chart/values.yaml", "a: {{x}}\n")
        .put("apps/chart/templates/web.yaml", "a: {{x}}\n")
        .put("apps/chart/crds/crd.yaml", "kind: CustomResourceDefinition\n")
        .put("apps/overlay/kustomization.yaml", "patches: [{path: ../patches/p.yaml}]\n")
        .put("apps/overlay/base.yaml", "kind: Pod\n")
        .put("apps/patches/p.yaml", "kind: Pod\n")
        .put("apps/left-out/x.yaml", "kind: Pod\n")
        .put("apps/latin.yaml", b"caf\xe9")
        .put("rendered/a/web.yaml", "kind: Pod\n")
        .put("ledgers/eu/log.yaml", "kind: SidecarRollout\n")
        .put("ledgers/eu/log.yml", "kind: SidecarRollout\n")
        .put("ledgers/log.yaml", "kind: SidecarRollout\n")
        .put("ledgers/us/deeper/log.yaml", "kind: SidecarRollout\n")
        .put("sidecars/log.yaml", "kind: SidecarSet\n")
        .put("apps/junk.yaml", "nothing is said of a file that is ignored\n");
    link("a/web.yaml", "apps/again.yaml");
    link("../sidecars/log.yaml", "apps/outside.yaml");
    link("circle.yaml", "apps/circle.yaml");
    link("nowhere", "apps/gone");
    link("/", "apps/root.yaml");
    repo
}

fn odd_layout(root: &Path) -> Layout {
    let cluster = |(name, folder): (&str, Option<&str>)| ClusterLayout {
        name: name.into(),
        folder: folder.map(str::to_owned),
    };
    Layout {
        root: root.to_owned(),
        sources: vec!["apps".into(), "rendered".into()],
        sidecar_sets: vec!["sidecars".into()],
        ignore: vec!["left-out".into()],
        rendered: Some("rendered".into()),
        ledgers: Some("ledgers".into()),
        namespaces: vec![("apps/a".into(), "shop".into())],
        clusters: [("eu", None), ("us", Some("apps/a"))].map(cluster).into(),
        repository_root: None,
    }
}

#[test]
fn a_commit_holds_what_its_working_tree_does() {
    let test_env = TestEnvironment::new();
    let repo = odd_repository(&test_env);
    let tree = repo.commit("all").to_string() + "^{tree}";
    let git = repo.open();
    let listing = list_tree(&git, repo.id(&tree)).unwrap();
    let in_commit = describe_inputs(&listing, &odd_layout(Path::new("")), "\u{0}");
    let above = format!("{}/", repo.path.display());
    assert_eq!(describe_inputs(&Disk, &odd_layout(&repo.path), &above), in_commit);

    let layout = odd_layout(Path::new(""));
    let choice = InputOptions {
        ignore_rules: layout.ignore_rules(None).unwrap(),
        namespaces: layout.namespace_rules(),
        repository_root: None,
        user_paths: Vec::new(),
    };
    let chosen = select_inputs(&listing, &layout.source_paths(), &choice);
    let found: Vec<_> =
        chosen.inputs.iter().map(|i| (&*i.name, i.output_path.to_str().unwrap(), &*i.namespace)).collect();
    assert_eq!(
        found,
        [
            ("apps/a/web.yaml", "a/web.yaml", "shop"),
            ("apps/a-b.json", "a-b.json", UNSPECIFIED_NAMESPACE),
            ("apps/a.b/web.yaml", "a.b/web.yaml", UNSPECIFIED_NAMESPACE),
            ("apps/chart/crds/crd.yaml", "chart/crds/crd.yaml", UNSPECIFIED_NAMESPACE),
            ("apps/latin.yaml", "latin.yaml", UNSPECIFIED_NAMESPACE),
            ("rendered/a/web.yaml", "a/web.yaml", UNSPECIFIED_NAMESPACE),
        ]
    );
    let messages: Vec<_> = chosen.diagnostics.iter().map(|d| d.message.as_str()).collect();
    assert_eq!(
        messages,
        [
            "`apps/again.yaml` is a symbolic link; what it points at is read where it is",
            "`apps/chart/templates` holds templates of a Helm chart and is skipped",
            "`apps/circle.yaml` is a symbolic link to `circle.yaml`, which cannot be followed: Too many levels of symbolic links (os error 40)",
            "`apps/gone` is a symbolic link to `nowhere`, which does not exist",
            "`apps/outside.yaml` is a symbolic link out of the folder, to `../sidecars/log.yaml`",
            "`apps/overlay` is a kustomization: its files are not manifests yet",
            "`apps/root.yaml` is a symbolic link out of the folder, to `/`",
            "`apps/patches/p.yaml` is a patch of a kustomization and is skipped",
        ]
    );
    let (ledgers, _) = layout.find_ledgers(&listing);
    let ledgers: Vec<_> = ledgers.iter().map(|l| (l.cluster.as_deref(), &*l.input.name)).collect();
    assert_eq!(ledgers, [(Some("eu"), "ledgers/eu/log.yaml")]);
    let own: Vec<_> = chosen
        .inputs
        .iter()
        .filter(|i| layout.cluster_contains(&layout.clusters[1], i))
        .map(|i| &*i.name)
        .collect();
    assert_eq!(own, ["apps/a/web.yaml"]);
}

/// What no working tree shows, and what no checkout would create.
#[test]
fn a_commit_alone_has_submodules_and_names_that_lead_out() {
    let entries = [
        ("apps/vendor", ListingEntry::Submodule),
        ("apps/../../etc/web.yaml", ListingEntry::File(())),
        ("apps/web.yaml", ListingEntry::File(())),
        ("apps/lost.yaml", ListingEntry::File(())),
    ];
    let listing = CommitListing::new(entries.map(|(path, what)| (path.into(), what)), |()| {
        Err(io::Error::other("gone"))
    });
    let layout = Layout { sources: vec!["apps".into(), "nowhere".into()], ..Layout::default() };
    let choice = InputOptions {
        ignore_rules: layout.ignore_rules(None).unwrap(),
        namespaces: layout.namespace_rules(),
        repository_root: None,
        user_paths: Vec::new(),
    };
    let chosen = select_inputs(&listing, &layout.source_paths(), &choice);
    let names: Vec<_> = chosen.inputs.iter().map(|i| &*i.name).collect();
    assert_eq!(names, ["apps/lost.yaml", "apps/web.yaml"]);
    let messages: Vec<_> = chosen.diagnostics.iter().map(|d| d.message.as_str()).collect();
    assert_eq!(
        messages,
        ["`apps/vendor` is a submodule: its files are not in this repository", "`nowhere` does not exist"]
    );
    assert!(chosen.has_missing_path);
    let lost = read_input(&chosen.inputs[0], &listing).unwrap_err();
    assert_eq!(lost.message, "`apps/lost.yaml` cannot be read: gone");
}
