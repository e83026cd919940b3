//! Mistakes of people beside the watchers: files are broken and fixed, sets deleted and restored, sources vanish,
//! builds print nothing, batches are reverted by hand, workloads are held, and edits arrive while a rollout is paused.
//! Nothing moves without a decision (ARCHITECTURE.md, invariant 12). `PILLION_SCHEDULES=N` runs more schedules.

use crate::support::git_fixtures::{NOW, Repo, TestEnvironment, by, pillion};
use crate::support::rollout_fixtures::{example, ledger_at, newer};
use crate::watch::simulation::{Dice, Heard, Shared, count, opened, turn};
use pillion::diagnostics::Diagnostic;
use pillion::git::{Commit, ExpectedRef, HistoryWalk, ObjectId, Signing, trailer};
use pillion::model::ledger::Ledger;
use pillion::rollout::RolloutState;
use pillion::stage::{ClusterView, DeployBranch, RepoContext, check_drift, verify};
use pillion::watch::decision::WatchDecision;
use pillion::watch::environment::WatchError;
use pillion::watch::evaluation::OutOfSyncSince;
use pillion::watch::watch_loop::{Iteration, Watcher};
use pillion::workspace::ManifestSource;
use pillion::yaml::{Document, split_documents};
use serde_json::Value;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// Actions of a schedule before everything is fixed.
const MISTAKE_COUNT: usize = 120;

/// Actions after which a schedule must have come to its end.
const MOST: usize = 1200;

/// The applications, each with the namespace of its folder.
const APPLICATIONS: [(&str, &str); 3] =
    [("apps/shop/web.yaml", "shop"), ("apps/shop/cart.yaml", "shop"), ("apps/data/events.yaml", "data")];

/// The file of the SidecarSet, and its ledger.
const SET: &str = "sidecars/log.yaml";
const LEDGER: &str = "ledgers/log.yaml";

/// How the repository is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layout {
    /// Rendered files stand beside the sources.
    Rendered,
    /// A build renders by the ledgers, from plain files.
    LedgerOnly,
    /// The same, and the manifests come out of a build.
    Built,
}

/// What a build does at its next runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Build {
    Well,
    /// It ends with an error, or prints nothing.
    Fails,
    /// A manifest is not in what it prints.
    LosesOne,
    /// Nobody has run it.
    Forgotten,
}

/// A mistake or an action of a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum UserAction {
    BreakSet,
    BreakLedger,
    BreakConfiguration,
    BreakManifest,
    DeleteSet,
    MistypeSelector,
    ReadElsewhere,
    HideManifest,
    RevertBatch,
    Build(Build),
    Edit,
    EditWhilePaused,
    Pause,
    Hold,
    Release,
}

impl UserAction {
    const ALL: [Self; 17] = [
        Self::BreakSet,
        Self::BreakLedger,
        Self::BreakConfiguration,
        Self::BreakManifest,
        Self::DeleteSet,
        Self::MistypeSelector,
        Self::ReadElsewhere,
        Self::HideManifest,
        Self::RevertBatch,
        Self::Build(Build::Fails),
        Self::Build(Build::LosesOne),
        Self::Build(Build::Forgotten),
        Self::Edit,
        Self::EditWhilePaused,
        Self::Pause,
        Self::Hold,
        Self::Release,
    ];

    /// Until it is fixed, no watcher may commit anything. With ledgers alone and no rollout open, a file with
    /// another name is a workload less by a person's commit.
    fn stops_everything(self, is_counted: bool) -> bool {
        match self {
            Self::DeleteSet | Self::MistypeSelector => false,
            Self::HideManifest => is_counted,
            _ => true,
        }
    }
}

/// What is not fixed yet.
struct OpenMistake {
    action: UserAction,
    /// No watcher may commit anything.
    stops: bool,
    /// The files as they were; None: there was none.
    before: Vec<(String, Option<String>)>,
}

/// One schedule.
struct Schedule<'a> {
    repo: &'a Repo,
    opened: RepoContext,
    shared: &'a RefCell<Shared>,
    layout: Layout,
    build: Build,
    mistake: Option<OpenMistake>,
    /// The number of the newest image of the sidecar.
    version: u32,
    /// The image of the sidecar that each held workload had when it was held.
    held: BTreeMap<String, String>,
    /// What was done, for messages of failures.
    story: Vec<String>,
}

/// The name of the repository of a schedule.
const REPO: &str = "repo.git-work";

fn begin(test_env: &TestEnvironment, layout: Layout) -> Repo {
    let mut texts = example();
    let settings = texts.get_mut("pillion.yaml").unwrap();
    *settings = settings.replace("  soak: 120s", "  soak: 30s\n  start: Auto");
    if layout != Layout::Rendered {
        *settings = settings.replace("rendered: rendered\n", "");
    }
    if layout == Layout::Built {
        // What the build reads, pillion does not read by itself.
        *settings = settings.replace("sources: [apps]", "sources: [none]");
        texts.insert("none/README.md".into(), String::new());
    }
    texts.insert(LEDGER.into(), ledger_at(&texts[SET]));
    let repo = test_env.init(REPO, &[]);
    repo.hold(&texts);
    if layout == Layout::Rendered {
        repo.render();
    }
    repo.commit("start");
    repo.hold(&newer(texts)).commit("log: 1.5.0");
    repo.git(&["checkout", "-q", "--detach"]);
    repo
}

impl Schedule<'_> {
    fn head(&self) -> ObjectId {
        self.opened.repository.find_ref("refs/heads/main").unwrap()
    }

    fn commit_of(&self, id: ObjectId) -> Commit {
        self.opened.repository.commit(id).unwrap()
    }

    /// The text of a file of the head.
    fn text(&self, path: &str) -> Option<String> {
        let repository = &self.opened.repository;
        let entry = repository.entry_at(self.commit_of(self.head()).tree, path).unwrap()?;
        Some(String::from_utf8(repository.read_blob(entry.id).unwrap()).unwrap())
    }

    /// A person's commit.
    fn push(&self, message: &str, files: &[(String, Option<String>)]) {
        let head = self.head();
        let commit = self.commit_files(head, message, files);
        let repository = &self.opened.repository;
        repository.update_ref("refs/heads/main", commit, ExpectedRef::At(head), "a person").unwrap();
    }

    /// Commits changed and removed files on top of another commit. No branch moves.
    fn commit_files(&self, base: ObjectId, message: &str, files: &[(String, Option<String>)]) -> ObjectId {
        let mut editor = self.opened.repository.editor(Some(self.commit_of(base).tree)).unwrap();
        for (path, text) in files {
            match text {
                Some(text) => editor.put(path, text.as_bytes()).unwrap(),
                None => drop(editor.remove(path).unwrap()),
            }
        }
        let tree = editor.write().unwrap();
        let (person, parents) = (pillion(), [base]);
        let new = by(&person, NOW, tree, &parents, message);
        let commit = editor.commit(&new, &Signing::disabled()).unwrap();
        editor.finish().unwrap();
        commit
    }

    /// Runs a verb as a person does; tells whether it has succeeded.
    fn verb(&mut self, words: &[&str]) -> bool {
        let built = self.repo.path.parent().unwrap().join("built.yaml");
        let named = format!("--manifests={}", built.display());
        let mut words = words.to_vec();
        if self.layout == Layout::Built {
            std::fs::write(&built, self.printed(Build::Well).unwrap()).unwrap();
            words.push(&named);
        }
        let output = self.repo.try_pillion(&words);
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code().is_some_and(|code| code < 4), "{words:?}: {stderr}");
        self.story.push(format!("  {words:?}: {} {stderr}", output.status));
        output.status.success()
    }

    /// What the build prints of the head's sources.
    fn printed(&self, build: Build) -> Option<String> {
        let skipped = if build == Build::LosesOne { 1 } else { 0 };
        let documents = APPLICATIONS.iter().skip(skipped).filter_map(|(path, namespace)| {
            let text = self.text(path)?;
            Some(text.replacen("metadata:\n", &format!("metadata:\n  namespace: {namespace}\n"), 1))
        });
        let documents: Vec<String> = documents.collect();
        (!documents.is_empty()).then(|| documents.join("---\n"))
    }

    /// The manifests that a command is handed, where a build makes them.
    fn manifests(&self, build: Build) -> ManifestSource {
        if self.layout != Layout::Built || build == Build::Forgotten {
            return ManifestSource::default();
        }
        let printed = self.printed(build).filter(|_| build != Build::Fails).unwrap_or_default();
        ManifestSource::from_argument("the build", Ok(printed))
    }

    /// Everything of the head of the deploy branch, when it can be read.
    fn site(&self) -> Result<ClusterView, Vec<Diagnostic>> {
        let (deploy_branch, diagnostics) = self.opened.read_deploy_branch().unwrap();
        let Some(deploy_branch) = deploy_branch else { return Err(diagnostics) };
        let (site, diagnostics) =
            deploy_branch.with_manifests(&self.manifests(Build::Well)).cluster_view(None);
        if diagnostics.iter().any(Diagnostic::is_error) { Err(diagnostics) } else { Ok(site) }
    }

    /// The workloads as git has the cluster run them; none while the head cannot be rendered.
    fn rendered(&self) -> Option<Vec<(String, Value)>> {
        let mut texts: Vec<(String, String)> = Vec::new();
        if self.layout == Layout::Rendered {
            let tree = self.commit_of(self.head()).tree;
            for file in self.opened.repository.list_files(tree, &["rendered"]).unwrap() {
                if let Some(namespace) = file.path.split('/').nth(1).filter(|_| file.path.ends_with(".yaml"))
                {
                    let bytes = self.opened.repository.read_blob(file.id).unwrap();
                    texts.push((namespace.to_owned(), String::from_utf8(bytes).unwrap()));
                }
            }
        } else {
            let site = self.site().ok()?;
            site.render_all(&site.prepared.renderer, |input, text, file| {
                texts.push((input.namespace.to_string(), file.text.unwrap_or_else(|| text.to_string())));
            });
        }
        let mut found = Vec::new();
        for (namespace, text) in texts {
            let name: Arc<str> = "rendered.yaml".into();
            for (i, piece) in split_documents(&name, &text).0.into_iter().enumerate() {
                let document = Document::read(&name, i, piece.first_line, &text[piece.span]).unwrap();
                let value = document.value().clone();
                let own = value["metadata"]["namespace"].as_str().unwrap_or(&namespace).to_owned();
                found.push((own, value));
            }
        }
        Some(found)
    }

    /// The agent applies what it can render.
    fn sync(&self) {
        let head = self.head();
        if self.shared.borrow_mut().applied.replace(head) == Some(head) {
            return;
        }
        for (namespace, value) in self.rendered().into_iter().flatten() {
            self.shared.borrow_mut().cluster.apply(&namespace, &value.to_string());
        }
    }

    /// The image of the sidecar in each workload.
    fn images(&self) -> Option<BTreeMap<String, Option<String>>> {
        let image = |value: &Value| {
            let containers = value.pointer("/spec/template/spec/containers")?.as_array()?;
            let own = containers.iter().find(|c| c["name"] == "logtail");
            Some(own.map(|c| c["image"].as_str().unwrap().to_owned()))
        };
        let named = |(namespace, value): (String, Value)| {
            let key =
                format!("{}/{namespace}/{}", value["kind"].as_str()?, value["metadata"]["name"].as_str()?);
            Some((key, image(&value)?))
        };
        Some(self.rendered()?.into_iter().filter_map(named).collect())
    }

    fn ledger(&self) -> Option<Ledger> {
        Some(self.site().ok()?.ledger("log"))
    }

    /// A watcher looks once. What it commits is looked at.
    fn turn(&mut self, alarms: &mut OutOfSyncSince, heard: &mut Heard) -> bool {
        let before = self.head();
        let held_up = self.mistake.as_ref().is_some_and(|m| m.stops);
        self.opened.manifest_source = self.manifests(self.build);
        let turn = turn(&Watcher::default(), &self.opened, self.shared, alarms, heard);
        self.opened.manifest_source = ManifestSource::default();
        let mut is_over = false;
        match turn {
            Ok(Iteration::Evaluated(report)) => {
                let item = &report.rollouts[0];
                is_over = item.state == RolloutState::Idle && item.decision == WatchDecision::Idle;
            }
            Ok(Iteration::Invalid(diagnostics)) => {
                assert!(self.mistake.is_some(), "refused: {diagnostics:?}\n{}", self.story.join("\n"));
            }
            Err(WatchError::Killed(_)) => alarms.clear(),
            Err(failure) => {
                let is_expected = failure.is_retryable() || self.mistake.is_some();
                assert!(is_expected, "{failure}\n{}", self.story.join("\n"));
            }
        }
        if held_up {
            assert_eq!(self.head(), before, "a watcher went on\n{}", self.story.join("\n"));
        }
        self.look_at(before);
        is_over
    }

    /// Looks at every commit of pillion since one: what ARCHITECTURE.md (invariant 12) promises of each.
    fn look_at(&self, before: ObjectId) {
        let log = self.opened.repository.log(self.head(), None, HistoryWalk::FirstParent).unwrap();
        let mut way: Vec<Commit> = log.map(Result::unwrap).take_while(|c| c.id != before).collect();
        way.reverse();
        for commit in way.iter().filter(|c| c.trailer(trailer::ACTION).is_some()) {
            self.look_at_one(commit);
        }
    }

    fn look_at_one(&self, commit: &Commit) {
        let action = commit.trailer(trailer::ACTION).unwrap();
        let context = || format!("{}\n{}", commit.subject(), self.story.join("\n"));
        let at = |id: ObjectId| {
            let place = ("main".to_owned(), id);
            let RepoContext { repository, branches, config, .. } = &self.opened;
            let read = DeployBranch::read_at(repository, branches, config, place).unwrap();
            read.0.unwrap().with_manifests(&self.manifests(Build::Well))
        };
        let (deploy_branch, parent) = (at(commit.id), at(commit.parents[0]));
        let [(old, _), (new, diagnostics)] = [parent.cluster_view(None), deploy_branch.cluster_view(None)];
        assert!(!diagnostics.iter().any(Diagnostic::is_error), "{diagnostics:?} {}", context());
        let strays = check_drift(&deploy_branch, &new).unwrap();
        assert!(!strays.iter().any(Diagnostic::is_error), "{strays:?} {}", context());
        let (repository, config) = (&self.opened.repository, Path::new("pillion.yaml"));
        let unplanned =
            verify::audit_since(repository, &deploy_branch, config, commit.parents[0]).unwrap().diagnostics;
        assert_eq!(unplanned, [], "{}", context());
        let (before, after) = (templates(&old), templates(&new));
        let [old, new] = [old.ledger("log"), new.ledger("log")];
        for (key, template) in &after {
            let is_same = before.get(key) == Some(template);
            let moved = old.entries.get(key.as_str()) != new.entries.get(key.as_str());
            match action.as_str() {
                "Batch" => assert!(is_same || moved, "{key} moves beside its batch: {}", context()),
                "Hold" | "RollBack" => {}
                _ => assert!(is_same, "{key} moves: {}", context()),
            }
            let is_held = old.entries.get(key.as_str()).is_some_and(|l| l.held_by.is_some());
            assert!(is_same || !is_held || action == "Hold", "{key} is held and moves: {}", context());
            assert!(carries(template), "{key} loses its sidecar: {}", context());
        }
    }

    /// Does something that a person does, or undoes it.
    fn people(&mut self) {
        if let Some(mistake) = self.mistake.take() {
            self.fix_mistake(mistake);
            return;
        }
        let n = self.shared.borrow_mut().dice.roll(UserAction::ALL.len() as u64);
        let action = UserAction::ALL[usize::try_from(n).unwrap()];
        self.story.push(format!("{action:?} on {}", self.head().short()));
        self.run(action);
    }

    fn run(&mut self, action: UserAction) {
        let text = |path: &str| self.text(path);
        let files = match action {
            UserAction::BreakSet => vec![(SET, text(SET).map(|t| t.replacen("    image:", "   image:", 1)))],
            UserAction::BreakLedger => {
                vec![(LEDGER, text(LEDGER).map(|t| t.replacen("spec:\n", "spec\n", 1)))]
            }
            UserAction::BreakConfiguration => {
                vec![(
                    "pillion.yaml",
                    text("pillion.yaml").map(|t| t.replacen("sidecarSets:", "sidecarsets:", 1)),
                )]
            }
            UserAction::BreakManifest => {
                let (path, _) = APPLICATIONS[0];
                vec![(path, text(path).map(|t| t.replacen("  template:", " template:", 1)))]
            }
            UserAction::DeleteSet => vec![(SET, None), ("sidecars/.keep", Some(String::new()))],
            UserAction::MistypeSelector => {
                vec![(SET, text(SET).map(|t| t.replacen("{log: \"true\"}", "{lgo: \"true\"}", 1)))]
            }
            UserAction::ReadElsewhere if self.layout != Layout::Built => {
                vec![("pillion.yaml", text("pillion.yaml").map(|t| t.replacen("[apps]", "[sidecars]", 1)))]
            }
            UserAction::HideManifest if self.layout != Layout::Built => {
                let (path, _) = APPLICATIONS[1];
                vec![(path, None), ("apps/shop/cart.yaml.txt", text(path))]
            }
            // Before a rollout is opened nobody knows what a build should make (docs/safety.md).
            UserAction::Build(Build::LosesOne) if self.ledger().is_none_or(|l| l.target.is_none()) => return,
            UserAction::Build(build) if self.layout == Layout::Built => {
                self.build = build;
                Vec::new()
            }
            UserAction::RevertBatch => {
                self.revert();
                return;
            }
            UserAction::Edit => {
                self.edit();
                return;
            }
            UserAction::EditWhilePaused => {
                if self.verb(&["pause", "log", "--reason=a closer look"]) {
                    self.edit();
                    assert!(self.verb(&["start", "log"]), "{}", self.story.join("\n"));
                }
                return;
            }
            UserAction::Pause => {
                if self.verb(&["pause", "log", "--reason=lunch"]) {
                    self.mistake = Some(OpenMistake { action, stops: true, before: Vec::new() });
                }
                return;
            }
            UserAction::Hold => {
                self.hold();
                return;
            }
            UserAction::Release => {
                if let Some((key, _)) = self.held.pop_first() {
                    assert!(self.verb(&["hold", "--off", &key]), "{}", self.story.join("\n"));
                }
                return;
            }
            UserAction::ReadElsewhere | UserAction::HideManifest | UserAction::Build(_) => return,
        };
        let is_counted = self.layout == Layout::Rendered || self.ledger().is_some_and(|l| l.target.is_some());
        let before = files.iter().map(|(path, _)| ((*path).to_owned(), self.text(path))).collect();
        let files: Vec<_> = files.into_iter().map(|(path, text)| (path.to_owned(), text)).collect();
        if files.is_empty() {
            // A build is nothing that git sees.
        } else {
            let is_other = files.iter().any(|(path, text)| self.text(path) != *text);
            assert!(is_other, "{action:?} changes nothing");
            self.push(&format!("{action:?}"), &files);
        }
        self.mistake = Some(OpenMistake { action, stops: action.stops_everything(is_counted), before });
    }

    fn fix_mistake(&mut self, mistake: OpenMistake) {
        self.story.push(format!("{:?} is fixed on {}", mistake.action, self.head().short()));
        self.build = Build::Well;
        if mistake.action == UserAction::Pause {
            assert!(self.verb(&["resume", "log"]), "{}", self.story.join("\n"));
        } else if !mistake.before.is_empty() {
            self.push(&format!("{:?} is fixed", mistake.action), &mistake.before);
        }
    }

    /// Takes a batch that is out back, as `git revert` does.
    fn revert(&mut self) {
        let head = self.commit_of(self.head());
        if head.trailer(trailer::ACTION).as_deref() != Some("Batch") {
            return;
        }
        let parent = self.commit_of(head.parents[0]);
        let repository = &self.opened.repository;
        let paths = |tree: ObjectId| -> BTreeMap<String, ObjectId> {
            let files = repository.list_files(tree, &[""]).unwrap().into_iter();
            files.map(|f| (f.path, f.id)).collect()
        };
        let (old, new) = (paths(parent.tree), paths(head.tree));
        let text = |id: &ObjectId| String::from_utf8(repository.read_blob(*id).unwrap()).unwrap();
        let changed = new.iter().filter(|(path, id)| old.get(*path) != Some(id));
        let pairs: Vec<(String, Option<String>, Option<String>)> =
            changed.map(|(path, id)| (path.clone(), old.get(path).map(text), Some(text(id)))).collect();
        let back: Vec<_> = pairs.iter().map(|(path, old, _)| (path.clone(), old.clone())).collect();
        self.push("Revert a batch", &back);
        let before = pairs.into_iter().map(|(path, _, new)| (path, new)).collect();
        self.mistake = Some(OpenMistake { action: UserAction::RevertBatch, stops: true, before });
    }

    /// Merges a newer image of the sidecar.
    fn edit(&mut self) {
        let now = self.text(SET).unwrap();
        let image = now.lines().find(|l| l.contains("image:")).unwrap().to_owned();
        self.version += 1;
        let newer = now.replace(&image, &format!("    image: registry.example/logtail:2.{}.0", self.version));
        self.push("log: a newer image", &[(SET.to_owned(), Some(newer))]);
    }

    fn hold(&mut self) {
        let n = usize::try_from(self.shared.borrow_mut().dice.roll(3)).unwrap();
        let (word, key) = [
            ("Deployment/shop/web", "Deployment/shop/web"),
            ("CloneSet/shop/cart", "CloneSet/shop/cart"),
            ("StatefulSet/data/events", "StatefulSet/data/events"),
        ][n];
        let ledger = self.ledger().unwrap();
        let is_split = ledger
            .entries
            .iter()
            .any(|(k, l)| k.ends_with(&word[word.find('/').unwrap()..]) && l.partition.is_some());
        if self.held.contains_key(key) || is_split {
            return;
        }
        if self.verb(&["hold", word, "--reason=not ready"]) {
            let image = self.images().unwrap()[key].clone().unwrap();
            self.held.insert(key.to_owned(), image);
        }
    }

    /// An application is released, as its own team does.
    fn release_application(&mut self) {
        let n = self.version * 1000 + u32::try_from(self.story.len()).unwrap();
        let (path, _) = APPLICATIONS[0];
        let edit = |text: String| {
            let line = text.lines().find(|l| l.contains("image: registry.example/web:")).unwrap().to_owned();
            let indent = &line[..line.len() - line.trim_start().len()];
            text.replace(&line, &format!("{indent}image: registry.example/web:{n}"))
        };
        let mut files = vec![(path.to_owned(), self.text(path).map(edit))];
        if self.layout == Layout::Rendered {
            // The team renders as `render --out` does: by the ledgers that are live.
            let (deploy_branch, _) = self.opened.read_deploy_branch().unwrap();
            let deploy_branch = deploy_branch.unwrap();
            let place = ("main".to_owned(), self.commit_files(self.head(), "an application", &files));
            let ahead = DeployBranch::read_at(
                &self.opened.repository,
                &deploy_branch.branches,
                &self.opened.config,
                place,
            );
            let (site, _) = ahead.unwrap().0.unwrap().cluster_view(None);
            site.render_all(&site.prepared.renderer, |input, text, file| {
                if &*input.name == path {
                    let text = file.text.unwrap_or_else(|| text.to_string());
                    files.push((path.replacen("apps", "rendered", 1), Some(text)));
                }
            });
        }
        self.story.push(format!("an application is released on {}", self.head().short()));
        self.push("an application's own release", &files);
    }
}

/// The pod template of each workload, as its ledgers have it rendered.
fn templates(site: &ClusterView) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    let (course, _) = site.rollout_context("log");
    let keys: BTreeMap<String, String> = course
        .workloads
        .as_slice()
        .iter()
        .map(|u| (format!("{}/{}", u.manifest.kind.kind, u.manifest.name), u.key().to_string()))
        .collect();
    site.render_all(&site.prepared.renderer, |_, text, file| {
        let text = file.text.unwrap_or_else(|| text.to_string());
        let name: Arc<str> = "rendered.yaml".into();
        for (i, piece) in split_documents(&name, &text).0.into_iter().enumerate() {
            let document = Document::read(&name, i, piece.first_line, &text[piece.span]).unwrap();
            let value = document.value();
            let text = |path: &str| value.pointer(path).and_then(Value::as_str).unwrap_or_default();
            let key = keys.get(&format!("{}/{}", text("/kind"), text("/metadata/name")));
            if let Some(key) = key.filter(|_| text("/kind") != "Job") {
                found.insert(key.clone(), value["spec"]["template"].clone());
            }
        }
    });
    found
}

fn carries(template: &Value) -> bool {
    template["spec"]["containers"].as_array().is_some_and(|all| all.iter().any(|c| c["name"] == "logtail"))
}

/// Plays a schedule: people and their mistakes first, then everything is fixed and the rollout comes to its end.
fn play(first: &TestEnvironment, layout: Layout, seed: u64) {
    let test_env = TestEnvironment::like(first);
    let repo = test_env.repo(REPO);
    let dice = Dice::new(seed);
    let mut first = Shared::calm();
    (first.dice, first.is_calm) = (dice, false);
    let shared = RefCell::new(first);
    let mut schedule = Schedule {
        repo: &repo,
        opened: opened(&repo),
        shared: &shared,
        layout,
        build: Build::Well,
        mistake: None,
        version: 0,
        held: BTreeMap::new(),
        story: vec![format!("{layout:?}, seed {seed}")],
    };
    schedule.sync();
    shared.borrow_mut().cluster.pass(300);
    let (mut alarms, mut heard) = ([BTreeMap::new(), BTreeMap::new()], Heard::default());
    for _ in 0..MISTAKE_COUNT {
        let choice = shared.borrow_mut().dice.roll(12);
        match choice {
            0..=5 => {
                let seconds = 3 + shared.borrow_mut().dice.roll(40);
                schedule.sync();
                shared.borrow_mut().cluster.pass(i64::try_from(seconds).unwrap());
            }
            6 if schedule.mistake.is_none() => schedule.release_application(),
            6 | 7 => schedule.people(),
            n => {
                schedule.turn(&mut alarms[usize::from(n == 8)], &mut heard);
            }
        }
    }
    if let Some(mistake) = schedule.mistake.take() {
        schedule.fix_mistake(mistake);
    }
    shared.borrow_mut().is_calm = true;
    let ends = (0..MOST).any(|_| {
        schedule.sync();
        shared.borrow_mut().cluster.pass(30);
        schedule.turn(&mut alarms[0], &mut heard)
    });
    assert!(ends, "it does not end:\n{}", schedule.story.join("\n"));
    let wanted = schedule.text(SET).unwrap();
    for (key, image) in schedule.images().unwrap() {
        let Some(image) = image else {
            assert!(key.starts_with("Job"), "{key} lost its sidecar:\n{}", schedule.story.join("\n"));
            continue;
        };
        let is_right = match schedule.held.get(&key) {
            Some(held) => image == *held,
            None => key.starts_with("Job") || wanted.contains(&format!("image: {image}\n")),
        };
        assert!(is_right, "{key} carries {image}:\n{}", schedule.story.join("\n"));
    }
}

fn schedules(layout: Layout) {
    let first = TestEnvironment::new();
    begin(&first, layout);
    for seed in 0..count().div_ceil(15) {
        play(&first, layout, seed);
    }
}

#[test]
fn nothing_moves_that_nobody_decided_in_rendered_files() {
    schedules(Layout::Rendered);
}

#[test]
fn nothing_moves_that_nobody_decided_with_ledgers_alone() {
    schedules(Layout::LedgerOnly);
}

#[test]
fn nothing_moves_that_nobody_decided_in_what_is_built() {
    schedules(Layout::Built);
}
