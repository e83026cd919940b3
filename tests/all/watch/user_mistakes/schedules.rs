//! Schedules in each layout, played to their end.

use super::*;

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
        assert!(is_right, "{key} has {image}:\n{}", schedule.story.join("\n"));
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
