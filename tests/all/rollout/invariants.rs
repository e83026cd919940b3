//! Rollouts over workloads: their final state, and the bounds that every step respects.

use crate::support::cluster_view::{Texts, folder, load};
use crate::support::manifests::ONE_NAMESPACE;
use crate::support::rollout_fixtures::ledger_at;
use indoc::formatdoc;
use pillion::model::int_or_percent::RoundingMode;
use pillion::model::ledger::{Ledger, decode, emit};
use pillion::rollout::{Batch, ExternalState, RolloutStep, next_step, steps};
use pillion::stage::ClusterView;
use pillion::yaml::{Document, FieldPath};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The ledger at what is written now: what `init rollout` makes.
fn at_present(texts: &Texts) -> String {
    ledger_at(&texts["sidecars/log.yaml"])
}

fn read(text: &str) -> Ledger {
    let document = Arc::new(Document::read(&"ledgers/log.yaml".into(), 0, 1, text).unwrap());
    let (ledger, diagnostics) = decode(&document, &FieldPath::root());
    assert!(diagnostics.is_empty(), "{diagnostics:?}\n{text}");
    ledger.unwrap()
}

/// The rendered texts by file.
fn rendered(texts: &Texts) -> BTreeMap<String, String> {
    let (view, diagnostics) = load(texts);
    assert!(!diagnostics.iter().any(|d| d.is_error()), "{diagnostics:?}");
    rendered_of(&view)
}

fn rendered_of(view: &ClusterView) -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    view.render_all(&view.prepared.renderer, |input, text, file| {
        assert!(!file.diagnostics.iter().any(|d| d.is_error()), "{:?}", file.diagnostics);
        files.insert(input.name.to_string(), file.text(text).into_owned());
    });
    files
}

#[test]
fn the_worked_example() {
    let mut texts = folder("examples/rollout");
    texts.retain(|path, _| !path.ends_with(".md"));
    texts.insert("ledgers/log.yaml".into(), at_present(&texts));
    let set = texts.get_mut("sidecars/log.yaml").unwrap();
    *set = set.replace("1.4.2", "1.5.0");
    let (view, found) = load(&texts);
    assert_eq!(found.iter().map(|d| d.code.name()).collect::<Vec<_>>(), ["not-staged-yet"]);
    let (context, _) = view.rollout_context("log");
    let observed = [("Deployment.apps/shop/web".into(), 10)].into();
    let external = ExternalState { observed_replicas: observed, ..ExternalState::default() };
    let steps = steps(&context, &view.ledger("log"), &external, 20);
    let story: Vec<String> = steps.iter().map(describe).collect();
    assert_eq!(
        story,
        [
            "open",
            "1: StatefulSet.apps/data/events 0-1/3 recreated 1 down, keeps 2; 1 of 21 updated",
            "2: StatefulSet.apps/data/events 1-3/3 recreated 1 down, CloneSet.apps.kruise.io/shop/cart 0-3/8 in place 2 down, keeps 5; 6 of 21 updated",
            "3: CloneSet.apps.kruise.io/shop/cart 3-8/8 in place 2 down, Deployment.apps/shop/web 0-10/10 recreated 2 down; 21 of 21 updated",
            "close; Job.batch/shop/import held: the template of a Job cannot change",
        ]
    );
}

fn describe(step: &RolloutStep) -> String {
    match step {
        RolloutStep::Start(_) => "open".to_owned(),
        RolloutStep::Complete(ledger) => {
            let held = ledger
                .entries
                .iter()
                .filter_map(|(k, l)| Some(format!("; {k} held: {}", l.hold_reason.as_ref()?)));
            format!("close{}", held.collect::<String>())
        }
        RolloutStep::Resume(_) => "resume".to_owned(),
        RolloutStep::Idle | RolloutStep::Blocked(_) => step.reason().unwrap_or_default(),
        RolloutStep::Batch(batch) => {
            let moves = batch.updates.iter().map(|m| {
                let kept = m.kept_by_partition.map_or_else(String::new, |n| format!(", keeps {n}"));
                let of = m.replicas.map_or_else(|| "?".to_owned(), |n| n.to_string());
                format!(
                    "{} {}-{}/{of} {} {} down{kept}",
                    m.key,
                    m.updated_before,
                    m.updated_after,
                    m.behavior.method.description(),
                    m.max_unavailable
                )
            });
            let moves: Vec<String> = moves.collect();
            format!(
                "{}: {}; {} of {} updated",
                batch.number,
                moves.join(", "),
                batch.updated_pods,
                batch.matched_pods
            )
        }
    }
}

/// A kind of workload, and its number of pods.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Deployment(u32),
    StatefulSet(u32),
    /// With its own partition.
    Kept(u32, u32),
    CloneSet(u32),
    /// Without `replicas`, which makes 1.
    Default,
    /// A DaemonSet: git does not say how many pods it has.
    Unknown,
    CronJob,
    Job,
    Pod,
}

fn manifest(shape: Shape, name: &str, image: u32) -> String {
    let spec = |indent: &str| {
        format!(
            "{indent}metadata:\n{indent}  labels: {{app: {name}, log: \"true\"}}\n{indent}spec:\n{indent}  containers:\n{indent}  - name: app\n{indent}    image: app:{image}\n"
        )
    };
    // Two workloads of three are in one namespace.
    let namespace = if name.ends_with(['1', '4']) { "data" } else { "shop" };
    let head = |version: &str, kind: &str| {
        formatdoc! {"
            apiVersion: {version}
            kind: {kind}
            metadata:
              name: {name}
              namespace: {namespace}
        "}
    };
    let pods = |n: u32| format!("spec:\n  replicas: {n}\n");
    match shape {
        Shape::Deployment(n) => head("apps/v1", "Deployment") + &pods(n) + "  template:\n" + &spec("    "),
        Shape::StatefulSet(n) => head("apps/v1", "StatefulSet") + &pods(n) + "  template:\n" + &spec("    "),
        Shape::Kept(n, kept) => {
            let own = format!(
                "  updateStrategy:\n    type: RollingUpdate\n    rollingUpdate: {{partition: {kept}}}\n"
            );
            head("apps/v1", "StatefulSet") + &pods(n) + &own + "  template:\n" + &spec("    ")
        }
        Shape::CloneSet(n) => {
            let own = "  updateStrategy:\n    type: InPlaceIfPossible\n";
            head("apps.kruise.io/v1alpha1", "CloneSet") + &pods(n) + own + "  template:\n" + &spec("    ")
        }
        Shape::Default => head("apps/v1", "Deployment") + "spec:\n  template:\n" + &spec("    "),
        Shape::Unknown => head("apps/v1", "DaemonSet") + "spec:\n  template:\n" + &spec("    "),
        Shape::CronJob => {
            head("batch/v1", "CronJob")
                + "spec:\n  jobTemplate:\n    spec:\n      template:\n"
                + &spec("        ")
        }
        Shape::Job => head("batch/v1", "Job") + "spec:\n  template:\n" + &spec("    "),
        Shape::Pod => {
            let text = spec("");
            let text = text.replacen(
                "metadata:\n",
                &format!("metadata:\n  name: {name}\n  namespace: {namespace}\n"),
                1,
            );
            format!("apiVersion: v1\nkind: Pod\n{text}")
        }
    }
}

fn set(image: u32, strategy: &str) -> String {
    formatdoc! {r#"
        apiVersion: apps.kruise.io/v1beta1
        kind: SidecarSet
        metadata:
          name: log
        spec:
          selector:
            matchLabels:
              log: "true"
          updateStrategy: {strategy}
          containers:
          - name: logtail
            image: logtail:{image}
    "#}
}

/// What a repository is made of in these tests.
#[derive(Debug, Clone)]
struct RandomRepository {
    shapes: Vec<(Shape, u32)>,
    image: u32,
    strategy: &'static str,
    rollout: &'static str,
}

impl RandomRepository {
    fn texts(&self, ledger: Option<&str>) -> Texts {
        let mut texts = Texts::new();
        texts.insert("pillion.yaml".into(), format!("{ONE_NAMESPACE}{}", self.rollout));
        texts.insert("sidecars/log.yaml".into(), set(self.image, self.strategy));
        texts.insert("apps/none.yaml".into(), "# nothing\n".into());
        for (i, (shape, image)) in self.shapes.iter().enumerate() {
            texts.insert(format!("apps/w{i}.yaml"), manifest(*shape, &format!("w{i}"), *image));
        }
        if let Some(ledger) = ledger {
            texts.insert("ledgers/log.yaml".into(), ledger.to_owned());
        }
        texts
    }
}

const STRATEGIES: &[&str] = &[
    "{type: RollingUpdate}",
    "{maxUnavailable: 1}",
    "{maxUnavailable: 2}",
    "{maxUnavailable: 50%}",
    "{partition: 1}",
    "{partition: 50%, maxUnavailable: 2}",
];
const ROLLOUTS: &[&str] = &[
    "",
    "rollout: {steps: [1, 100%]}\n",
    "rollout: {steps: [50%, 100%], split: Never}\n",
    "rollout: {steps: [2, 4, 50%]}\n",
    "rollout: {unknownPerBatch: 2}\n",
];

/// Invariant 5, over one rollout from the first step to the last.
fn check_steps(view: &ClusterView, steps: &[RolloutStep], before: &Ledger) {
    let (context, _) = view.rollout_context("log");
    let strategy = &context.settings.strategy;
    let unknown = context.workloads.as_slice().iter().filter(|w| w.key().starts_with("DaemonSet.")).count();
    let shared = context.settings.unknown_in_batch(unknown);
    let mut updated = 0;
    let mut number = before.last_batch();
    for step in steps {
        let RolloutStep::Batch(batch) = step else { continue };
        number += 1;
        assert_eq!(batch.number, number);
        let pods = batch.matched_pods;
        let kept = strategy.kept_pods(pods.into());
        assert!(u64::from(batch.updated_pods) + kept <= pods.into(), "partition: {}", describe(step));
        let moved = || batch.updates.iter().filter(|m| m.behavior.method.replaces_or_restarts());
        let sharing = moved().filter(|m| m.replicas.is_none()).count();
        assert!(sharing <= shared, "unknownPerBatch: {}", describe(step));
        assert!(sharing == 0 || strategy.kept_pods(100) == 0, "partition: {}", describe(step));
        assert!(sharing == 0 || moved().all(|m| m.replicas.is_none_or(|n| n == 0)), "{}", describe(step));
        let mut moving = batch
            .updates
            .iter()
            .filter(|m| m.behavior.method.replaces_or_restarts() && m.replicas != Some(0));
        let is_alone =
            moving.next().is_none_or(|m| m.is_oversized || m.replicas.is_none()) && moving.next().is_none();
        // At least one pod of each workload of unknown size.
        let least = u64::from(pods) + if sharing > 0 { unknown as u64 } else { 0 };
        if let Some(bound) = strategy.max_unavailable_pods(least) {
            let down: u64 = batch.updates.iter().map(|m| u64::from(m.max_unavailable)).sum();
            assert!(is_alone || down <= bound, "maxUnavailable: {}", describe(step));
        }
        if let Some(steps) = &context.settings.steps {
            let ends = steps.iter().map(|step| step.pods(pods.into(), RoundingMode::Up).unwrap());
            let end = ends.filter(|end| *end > updated).min().unwrap_or(pods.into());
            assert!(is_alone || u64::from(batch.updated_pods) <= end, "steps: {}", describe(step));
        }
        assert!(!batch.updates.is_empty());
        assert!(u64::from(batch.updated_pods) >= updated);
        updated = batch.updated_pods.into();
        assert_eq!(emit(&read(&emit(&batch.ledger))), emit(&batch.ledger), "what is written is read");
    }
}

/// Plays a rollout to its end on files, one commit's worth after the other.
fn play(repository: &RandomRepository, mut ledger: String) -> (String, Vec<String>) {
    let (mut story, mut unchanged) = (Vec::new(), None);
    for _ in 0..200 {
        let (view, diagnostics) = load(&repository.texts(Some(&ledger)));
        assert!(!diagnostics.iter().any(|d| d.is_error()), "{diagnostics:?}");
        if let Some(before) = unchanged.take() {
            assert_eq!(before, rendered_of(&view), "Start and Close change no rendered byte");
        }
        let (context, _) = view.rollout_context("log");
        let step = next_step(&context, &view.ledger("log"), &ExternalState::default());
        story.push(describe(&step));
        match step {
            RolloutStep::Start(after) | RolloutStep::Complete(after) | RolloutStep::Resume(after) => {
                unchanged = Some(rendered_of(&view));
                ledger = emit(&after);
            }
            RolloutStep::Batch(Batch { ledger: after, .. }) => ledger = emit(&after),
            RolloutStep::Idle | RolloutStep::Blocked(_) => return (ledger, story),
        }
    }
    panic!("no end: {story:#?}");
}

fn check_repository(repository: &RandomRepository) {
    let first = RandomRepository { image: 1, ..repository.clone() };
    let ledger = at_present(&first.texts(None));
    let (view, _) = load(&repository.texts(Some(&ledger)));
    let (context, _) = view.rollout_context("log");
    let whole = steps(&context, &view.ledger("log"), &ExternalState::default(), 200);
    assert!(
        matches!(whole.last(), Some(RolloutStep::Complete(_) | RolloutStep::Idle | RolloutStep::Blocked(_))),
        "{repository:?}"
    );
    check_steps(&view, &whole, &view.ledger("log"));
    let (end, story) = play(repository, ledger);
    let planned: Vec<String> = whole.iter().map(describe).collect();
    assert_eq!(story[..planned.len()], planned, "step by step is the plan");
    if matches!(whole.last(), Some(RolloutStep::Complete(_))) {
        // All batches together are the whole change, byte for byte, but for what cannot take it.
        let fresh = rendered(&repository.texts(Some(&at_present(&repository.texts(None)))));
        let ended = rendered(&repository.texts(Some(&end)));
        for (name, text) in fresh.iter().filter(|(_, text)| !text.contains("kind: Job\n")) {
            assert_eq!(ended[name], *text, "{repository:?} {story:#?}");
        }
    }
}

#[test]
fn no_prefix_of_a_small_rollout_breaks_a_bound() {
    let shapes = [
        Shape::Deployment(1),
        Shape::Deployment(4),
        Shape::StatefulSet(3),
        Shape::Kept(3, 1),
        Shape::CloneSet(4),
        Shape::Default,
        Shape::Unknown,
        Shape::CronJob,
        Shape::Job,
        Shape::Pod,
    ];
    let mut repositories = Vec::new();
    for a in 0..shapes.len() {
        for b in a..shapes.len() {
            for strategy in STRATEGIES {
                for rollout in ROLLOUTS {
                    let pair = vec![(shapes[a], 1), (shapes[b], 1)];
                    repositories.push(RandomRepository { shapes: pair, image: 2, strategy, rollout });
                }
            }
        }
    }
    for repository in &repositories {
        check_repository(repository);
    }
}

fn shape() -> impl Strategy<Value = Shape> {
    prop_oneof![
        (0..6_u32).prop_map(Shape::Deployment),
        (0..6_u32).prop_map(Shape::StatefulSet),
        (1..5_u32, 1..3_u32).prop_map(|(n, k)| Shape::Kept(n, k)),
        (0..9_u32).prop_map(Shape::CloneSet),
        Just(Shape::Default),
        Just(Shape::Unknown),
        Just(Shape::CronJob),
        Just(Shape::Job),
        Just(Shape::Pod),
    ]
}

fn repository() -> impl Strategy<Value = RandomRepository> {
    let shapes = prop::collection::vec((shape(), 1..3_u32), 0..6);
    let strategy = prop::sample::select(STRATEGIES);
    (shapes, strategy, prop::sample::select(ROLLOUTS))
        .prop_map(|(shapes, strategy, rollout)| RandomRepository { shapes, image: 2, strategy, rollout })
}

/// What a person does to the base between two steps.
#[derive(Debug, Clone)]
enum Edit {
    Delete(usize),
    Add(Shape),
    AppImage(usize),
    Resize(usize, Shape),
    SidecarImage(u32),
    /// The deploy branch is taken back by some commits.
    ForcePush(usize),
}

fn edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        (0..6_usize).prop_map(Edit::Delete),
        shape().prop_map(Edit::Add),
        (0..6_usize).prop_map(Edit::AppImage),
        (0..6_usize, shape()).prop_map(|(i, s)| Edit::Resize(i, s)),
        (1..5_u32).prop_map(Edit::SidecarImage),
        (1..4_usize).prop_map(Edit::ForcePush),
    ]
}

fn apply(repository: &mut RandomRepository, edit: &Edit) {
    match edit {
        Edit::Delete(i) if *i < repository.shapes.len() => {
            repository.shapes.remove(*i);
        }
        Edit::Add(shape) => repository.shapes.push((*shape, 1)),
        Edit::AppImage(i) if *i < repository.shapes.len() => repository.shapes[*i].1 += 1,
        Edit::Resize(i, shape) if *i < repository.shapes.len() => repository.shapes[*i].0 = *shape,
        Edit::SidecarImage(image) => repository.image = *image,
        _ => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_prefix_of_any_rollout_breaks_a_bound(repository in repository()) {
        check_repository(&repository);
    }

    #[test]
    fn a_plan_after_any_edits_ends_where_a_fresh_one_ends(
        mut repository in repository(),
        edits in prop::collection::vec((0..4_usize, edit()), 0..6),
    ) {
        repository.strategy = STRATEGIES[1];
        let first = RandomRepository { image: 1, ..repository.clone() };
        let mut ledger = at_present(&first.texts(None));
        let mut earlier = vec![ledger.clone()];
        for (pauses, edit) in &edits {
            for _ in 0..*pauses {
                let (view, _) = load(&repository.texts(Some(&ledger)));
                let (context, _) = view.rollout_context("log");
                let step = next_step(&context, &view.ledger("log"), &ExternalState::default());
                if let RolloutStep::Start(after) | RolloutStep::Complete(after) | RolloutStep::Batch(Batch { ledger: after, .. }) = step {
                    ledger = emit(&after);
                    earlier.push(ledger.clone());
                }
            }
            if let Edit::ForcePush(commits) = edit {
                ledger.clone_from(&earlier[earlier.len().saturating_sub(*commits + 1)]);
            }
            apply(&mut repository, edit);
        }
        let (end, story) = play(&repository, ledger);
        let fresh = at_present(&repository.texts(None));
        let (ended, wanted) = (rendered(&repository.texts(Some(&end))), rendered(&repository.texts(Some(&fresh))));
        let is_held = |name: &str| wanted[name].contains("kind: Job\n");
        for (name, text) in &wanted {
            prop_assert!(is_held(name) || ended[name] == *text, "{story:#?}\n{}\n{text}", ended[name]);
        }
    }
}
