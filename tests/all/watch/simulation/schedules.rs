//! Schedules from a seed, and what each comes to.

use super::*;

/// What a rollout comes to.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    ledger: String,
    /// Subjects of the commits of the rollout, oldest first, without what differs with edits in between.
    actions: Vec<String>,
    images: BTreeMap<String, Option<String>>,
}

/// How a schedule begins.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Story {
    Good,
    /// The new image cannot be pulled, and the rollout pauses.
    BadPauses,
    /// The new image cannot be pulled, and the rollout goes back.
    BadGoesBack,
}

fn begin(test_env: &TestEnvironment, story: Story) -> Repo {
    let mut texts = example();
    let settings = texts.get_mut("pillion.yaml").unwrap();
    *settings = settings.replace("  soak: 120s", "  soak: 30s\n  start: Auto");
    if story == Story::BadGoesBack {
        settings.push_str("  onFailure: RollBack\n");
    }
    texts.insert(
        "ledgers/log.yaml".into(),
        crate::support::rollout_fixtures::ledger_at(&texts["sidecars/log.yaml"]),
    );
    let repo = test_env.init(REPO, &[]);
    repo.hold(&texts).render().commit("start");
    let mut newer = newer(texts);
    if story != Story::Good {
        let set = newer.get_mut("sidecars/log.yaml").unwrap();
        *set = set.replace("1.5.0", "bad-1.5.0");
    }
    repo.hold(&newer).commit("log: 1.5.0");
    repo.git(&["checkout", "-q", "--detach"]);
    repo
}

/// Plays a schedule to its end, in a copy of the folder that its story begins with.
fn play(first: &TestEnvironment, seed: Option<u64>) -> Outcome {
    let test_env = TestEnvironment::like(first);
    let repo = test_env.repo(REPO);
    let start = repo.id("main");
    let shared = RefCell::new(match seed {
        None => Shared::calm(),
        Some(seed) => Shared { dice: Dice::new(seed), is_calm: false, edits: 2, ..Shared::calm() },
    });
    sync(&repo, &shared);
    shared.borrow_mut().cluster.pass(300);
    let watching = Watcher::default();
    let opened = opened(&repo);
    let mut alarms = [BTreeMap::new(), BTreeMap::new()];
    let (mut is_over, mut heard) = (false, Heard::default());
    for action in 0..MOST_ACTIONS {
        let choice = if seed.is_some() { shared.borrow_mut().dice.roll(10) } else { action as u64 % 2 };
        match choice {
            0 | 2..=5 => {
                let seconds = if seed.is_some() { 3 + shared.borrow_mut().dice.roll(40) } else { 5 };
                sync(&repo, &shared);
                shared.borrow_mut().cluster.pass(i64::try_from(seconds).unwrap());
            }
            6 if shared.borrow_mut().dice.one_in(3) => {
                let n = usize::try_from(shared.borrow_mut().dice.roll(40)).unwrap();
                shared.borrow_mut().cluster.flap(n);
            }
            7 if shared.borrow_mut().dice.one_in(6) => edit(&opened, &shared),
            n => {
                let who = usize::from(n == 8);
                match turn(&watching, &opened, &shared, &mut alarms[who], &mut heard) {
                    Ok(Iteration::Evaluated(report)) => {
                        let item = &report.rollouts[0];
                        is_over = item.state == RolloutState::Paused
                            || (item.decision == WatchDecision::Idle && item.state == RolloutState::Idle)
                            || item.reasons.iter().any(|r| r.contains("rolled back"));
                    }
                    Ok(Iteration::Invalid(diagnostics)) => panic!("refused: {diagnostics:?}"),
                    // A new process remembers nothing.
                    Err(WatchError::Killed(_)) => alarms[who].clear(),
                    Err(failure) => assert!(failure.is_retryable(), "{failure}"),
                }
            }
        }
        if is_over {
            break;
        }
    }
    assert!(is_over, "seed {seed:?} comes to no end");
    shared.borrow_mut().is_calm = true;
    turn(&watching, &opened, &shared, &mut alarms[0], &mut heard).unwrap();
    assert!(heard.0.values().all(|&times| times == 1), "{:?}", heard.0);
    sync(&repo, &shared);
    shared.borrow_mut().cluster.pass(300);
    outcome(&opened, start, &shared.borrow())
}

fn outcome(opened: &RepoContext, start: ObjectId, shared: &Shared) -> Outcome {
    let (deploy_branch, diagnostics) = opened.read_deploy_branch().unwrap();
    assert_eq!(diagnostics, []);
    let deploy_branch = deploy_branch.unwrap();
    let (view, _) = deploy_branch.cluster_view(None);
    let mut strays = pillion::stage::check_drift(&deploy_branch, &view).unwrap();
    // The worked example has a Job with a sidecar.
    strays.retain(|diagnostic| diagnostic.code.name() != "job-never-completes");
    assert!(strays.is_empty(), "{strays:?}");
    let mut unexpected =
        verify::audit_since(&opened.repository, &deploy_branch, Path::new("pillion.yaml"), start)
            .unwrap()
            .diagnostics;
    unexpected.retain(|diagnostic| diagnostic.code.name() != "job-never-completes");
    assert!(unexpected.is_empty(), "{unexpected:?}");
    let log = opened.repository.log(deploy_branch.head.id, None, HistoryWalk::FirstParent).unwrap();
    let commits: Vec<Commit> = log.map(Result::unwrap).take_while(|c| c.id != start).collect();
    let own: Vec<&Commit> = commits.iter().rev().filter(|c| c.trailer(trailer::ACTION).is_some()).collect();
    let actions = own
        .iter()
        .map(|c| {
            format!(
                "{} {}",
                c.trailer(trailer::ACTION).unwrap(),
                c.trailer(trailer::BATCH).unwrap_or_default()
            )
        })
        .collect();
    let own: BTreeSet<String> = own.iter().map(|c| c.id.to_string()).collect();
    for arrived in shared.arrived.values() {
        let notified: BTreeSet<String> =
            arrived.iter().map(|notification| notification.commit.clone()).collect();
        // Every receiver is notified of every commit; a repeated notification has the key of the first.
        assert_eq!(notified, own);
    }
    let keys =
        ["CloneSet.apps.kruise.io/shop/cart", "Deployment.apps/shop/web", "StatefulSet.apps/data/events"];
    let images = keys.map(|key| (key.to_owned(), shared.cluster.image(key, "logtail").map(str::to_owned)));
    Outcome { ledger: pillion::model::ledger::emit(&view.ledger("log")), actions, images: images.into() }
}

fn schedules(story: Story, seeds: std::ops::Range<u64>) {
    let first = TestEnvironment::new();
    begin(&first, story);
    let calm = play(&first, None);
    for seed in seeds {
        let disturbed = play(&first, Some(seed));
        assert_eq!(disturbed, calm, "seed {seed}");
    }
}

#[test]
fn a_rollout_ends_alike_whatever_happens() {
    schedules(Story::Good, 0..count() / 5);
}

#[test]
fn a_rollout_ends_alike_whatever_else_happens() {
    schedules(Story::Good, count() / 5..2 * count() / 5);
}

#[test]
fn a_bad_image_pauses_alike_whatever_happens() {
    schedules(Story::BadPauses, 0..count() / 5);
}

#[test]
fn a_bad_image_goes_back_alike_whatever_happens() {
    schedules(Story::BadGoesBack, 0..count() / 5);
}

#[test]
fn of_two_that_make_the_same_commit_one_has_released_it() {
    let test_env = TestEnvironment::new();
    let repo = begin(&test_env, Story::Good);
    let opened = opened(&repo);
    let (deploy_branch, _) = opened.read_deploy_branch().unwrap();
    let deploy_branch = deploy_branch.unwrap();
    let commit = on_top(&opened.repository, deploy_branch.head.id, &[("a", "1")]);
    let release = |seconds| {
        let at = CommitTime { seconds, offset_minutes: 0 };
        opened.release(&deploy_branch, commit, &ReleaseStamp { at, by: None, note: None }).unwrap()
    };
    let PushOutcome::Pushed(made, _) = release(1_700_000_100) else { panic!("no other push was faster") };
    assert!(
        matches!(release(1_700_000_100), PushOutcome::Unchanged(same, _) if same == made),
        "the other one is late"
    );
    assert!(matches!(release(1_700_000_101), PushOutcome::NonFastForward), "so is one that is later still");
}

#[test]
fn people_are_told_of_which_cluster_a_commit_is_and_where_it_is_seen() {
    let test_env = TestEnvironment::new();
    let mut texts = in_two_clusters(example(), ["eu", "us"]);
    let settings = texts.get_mut("pillion.yaml").unwrap();
    *settings = settings.replace("  soak: 120s", "  soak: 30s\n  start: Auto");
    let repo = test_env.init("repo.git-work", &[]);
    repo.hold(&texts).render().commit("start");
    repo.hold(&newer(texts)).commit("log: 1.5.0");
    repo.git(&["checkout", "-q", "--detach"]);
    let shared = RefCell::new(Shared::calm());
    sync(&repo, &shared);
    shared.borrow_mut().cluster.pass(300);
    let commits = Some("https://git.example/commit/".to_owned());
    let watching = Watcher { commit_url_prefix: commits, ..Watcher::default() };
    turn(&watching, &opened(&repo), &shared, &mut OutOfSyncSince::new(), &mut Heard::default()).unwrap();
    let arrived = &shared.borrow().arrived[&PayloadFormat::Plain];
    let opens = arrived.iter().filter(|notification| notification.action == "Start");
    let clusters: Vec<Option<&str>> = opens.map(|notification| notification.cluster.as_deref()).collect();
    assert_eq!(clusters, [Some("eu"), Some("us")]);
    for notification in arrived {
        assert_eq!(notification.url, Some(format!("https://git.example/commit/{}", notification.commit)));
    }
}

#[test]
fn a_receiver_that_is_away_has_others_told_once() {
    let test_env = TestEnvironment::new();
    let repo = begin(&test_env, Story::Good);
    let shared = RefCell::new(Shared { refusals: 7, ..Shared::calm() });
    sync(&repo, &shared);
    shared.borrow_mut().cluster.pass(300);
    let opened = opened(&repo);
    for _ in 0..40 {
        turn(&Watcher::default(), &opened, &shared, &mut OutOfSyncSince::new(), &mut Heard::default())
            .unwrap();
        sync(&repo, &shared);
        shared.borrow_mut().cluster.pass(60);
    }
    let shared = shared.borrow();
    let commits = |form| -> Vec<&str> { shared.arrived[&form].iter().map(|n| n.commit.as_str()).collect() };
    let plain = commits(PayloadFormat::Plain);
    assert_eq!(plain.iter().collect::<BTreeSet<_>>().len(), plain.len());
    assert_eq!(plain, commits(PayloadFormat::Slack));
    assert_eq!(
        (shared.refusals, shared.arrived[&PayloadFormat::Plain].last().unwrap().action.as_str()),
        (0, "Complete")
    );
}

#[test]
fn the_calm_stories_are_as_told() {
    let calm = |story| {
        let test_env = TestEnvironment::new();
        begin(&test_env, story);
        play(&test_env, None)
    };
    let good = calm(Story::Good);
    assert_eq!(good.actions, ["Start ", "Batch 1/3", "Batch 2/3", "Batch 3/3", "Complete "]);
    assert_eq!(good.images["Deployment.apps/shop/web"].as_deref(), Some("registry.example/logtail:1.5.0"));
    let paused = calm(Story::BadPauses);
    assert_eq!(paused.actions, ["Start ", "Batch 1/3", "Pause "]);
    let back = calm(Story::BadGoesBack);
    assert_eq!(back.actions[..3], ["Start ", "Batch 1/3", "RollBack 1/3"]);
    assert_eq!(
        back.images["StatefulSet.apps/data/events"].as_deref(),
        Some("registry.example/logtail:1.4.2")
    );
}

#[test]
fn what_is_released_says_when() {
    let test_env = TestEnvironment::new();
    let repo = begin(&test_env, Story::Good);
    let shared = RefCell::new(Shared::calm());
    sync(&repo, &shared);
    shared.borrow_mut().cluster.pass(300);
    let opened = opened(&repo);
    let mut last = repo.id("main");
    for _ in 0..40 {
        let now = shared.borrow().cluster.snapshot().now.as_second();
        turn(&Watcher::default(), &opened, &shared, &mut OutOfSyncSince::new(), &mut Heard::default())
            .unwrap();
        let head = repo.id("main");
        for commit in repo.git(&["rev-list", "--reverse", &format!("{last}..{head}")]).lines() {
            let commit = opened.repository.commit(commit.parse().unwrap()).unwrap();
            let base = opened.repository.commit(commit.parents[0]).unwrap();
            // Two in one second are a second apart: staged commits that are pushed together have one date.
            let at = now.max(base.time.seconds + 1);
            assert_eq!((commit.time.seconds, commit.author_time), (at, base.time), "{}", commit.subject());
            assert_eq!((commit.author.name(), commit.trailer(trailer::BY)), ("pillion", None));
        }
        last = head;
        sync(&repo, &shared);
        shared.borrow_mut().cluster.pass(60);
    }
    let (deploy_branch, _) = opened.read_deploy_branch().unwrap();
    assert_eq!(deploy_branch.unwrap().head.trailer(trailer::ACTION).as_deref(), Some("Complete"));
    for notification in &shared.borrow().arrived[&PayloadFormat::Plain] {
        let commit = opened.repository.commit(notification.commit.parse().unwrap()).unwrap();
        assert_eq!(notification.time.as_second(), commit.time.seconds);
    }
}
