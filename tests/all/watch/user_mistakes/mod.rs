//! Mistakes of people beside the watchers: files are broken and fixed, sets deleted and restored, sources vanish,
//! builds print nothing, batches are reverted by hand, workloads are held, and edits arrive while a rollout is paused.
//! Nothing moves without a decision (ARCHITECTURE.md, invariant 12). `PILLION_SCHEDULES=N` runs more schedules.

mod actions;
mod schedules;

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
    /// It was not run.
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
    fn view(&self) -> Result<ClusterView, Vec<Diagnostic>> {
        let (deploy_branch, diagnostics) = self.opened.read_deploy_branch().unwrap();
        let Some(deploy_branch) = deploy_branch else { return Err(diagnostics) };
        let (view, diagnostics) =
            deploy_branch.with_manifests(&self.manifests(Build::Well)).cluster_view(None);
        if diagnostics.iter().any(Diagnostic::is_error) { Err(diagnostics) } else { Ok(view) }
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
            let view = self.view().ok()?;
            view.render_all(&view.prepared.renderer, |input, text, file| {
                texts.push((input.namespace.to_string(), file.text(text).into_owned()));
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
        Some(self.view().ok()?.ledger("log"))
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
            assert!(has_sidecar(template), "{key} loses its sidecar: {}", context());
        }
    }
}

/// The pod template of each workload, as its ledgers have it rendered.
fn templates(view: &ClusterView) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    let (context, _) = view.rollout_context("log");
    let keys: BTreeMap<String, String> = context
        .workloads
        .as_slice()
        .iter()
        .map(|u| (format!("{}/{}", u.manifest().kind.kind, u.manifest().name), u.key().to_string()))
        .collect();
    view.render_all(&view.prepared.renderer, |_, text, file| {
        let text = file.text(text).into_owned();
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

fn has_sidecar(template: &Value) -> bool {
    template["spec"]["containers"].as_array().is_some_and(|all| all.iter().any(|c| c["name"] == "logtail"))
}
