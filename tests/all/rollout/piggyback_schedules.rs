//! Seeded schedules of people during a rollout with `piggyback`: releases, pauses, rollbacks, holds, promotions and edits.

use super::piggyback::{log, release, sidecars, started};
use crate::support::fleet_fixtures::FILES;
use crate::support::git_fixtures::{Repo, TestEnvironment};
use crate::watch::simulation::Dice;

/// Seeded schedules of people; `PILLION_SCHEDULES=N` plays more of them.
const SCHEDULES: u64 = 6;

/// Actions of one schedule.
const ACTIONS: u64 = 16;

/// Whatever people do: a workload gets the target with a release of its own, or from a command that moves it. Nothing
/// else changes a sidecar, and a release that Start or resume has announced always does.
#[test]
fn schedules_of_people_move_only_what_they_name() {
    let count = std::env::var("PILLION_SCHEDULES").ok().and_then(|n| n.parse().ok()).unwrap_or(SCHEDULES);
    (0..count).for_each(play);
}

fn play(seed: u64) {
    let test_env = TestEnvironment::new();
    let (repo, base) = started(&test_env);
    let mut dice = Dice::new(seed + 1);
    let (mut release_number, mut edit) = (1, 2);
    for step in 0..ACTIONS {
        let before = (sidecars(&repo), repo.text("main", "ledgers/log.yaml"));
        let file = FILES[usize::try_from(dice.roll(4)).unwrap()];
        let name = file.strip_suffix(".yaml").unwrap();
        let run = |args: &[&str]| {
            repo.try_pillion(args);
        };
        let (moving, what): (&[&str], String) = match dice.roll(12) {
            0..=4 => {
                release_number += 1;
                release(&repo, file, release_number);
                check_release(&repo, file, &before, &format!("seed {seed}, step {step}"));
                (&[file], format!("release {file}"))
            }
            5 => (&[], run_named(&run, &["pause", "log"])),
            6 => (&[], run_named(&run, &["resume", "log"])),
            7 => (&[], run_named(&run, &["rollback", "log"])),
            8 => (&FILES, run_named(&run, &["rollback", "log", "--to", "0"])),
            9 => (&FILES, run_named(&run, &["promote", "log"])),
            10 => {
                edit += 1;
                repo.change(&[("sidecars/log.yaml", &log(edit))], &[]);
                (&[], run_named(&run, &["start", "log"]))
            }
            _ if before
                .1
                .lines()
                .any(|line| line.contains(&format!("{name},")) && line.contains("held: ")) =>
            {
                (&FILES, run_named(&run, &["hold", name, "--off"]))
            }
            _ => (&[], run_named(&run, &["hold", name, "--reason", "a demo"])),
        };
        let versions = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let (old, new) = (versions(&before.0), versions(&sidecars(&repo)));
        for ((file, old), new) in FILES.iter().zip(old).zip(new) {
            let may_move = moving.contains(file);
            assert!(
                old == new || may_move,
                "seed {seed}, step {step}: {what} moves {file} from {old} to {new}"
            );
        }
    }
    for file in FILES {
        repo.try_pillion(&["hold", file.strip_suffix(".yaml").unwrap(), "--off"]);
    }
    repo.try_pillion(&["resume", "log"]);
    repo.try_pillion(&["promote", "log", "--full"]);
    assert_eq!(repo.ledger("main", "log").target, None, "seed {seed}: {}", repo.pillion(&["status"]));
    assert!(repo.ledger("main", "log").entries.is_empty(), "seed {seed}");
    repo.is_sound_since(&test_env, base);
}

fn run_named(run: &impl Fn(&[&str]), args: &[&str]) -> String {
    run(args);
    args.join(" ")
}

/// A release takes the target exactly where the ledger has announced it.
fn check_release(repo: &Repo, file: &str, (versions, ledger): &(String, String), place: &str) {
    let at = FILES.iter().position(|other| *other == file).unwrap();
    let old = versions.split(' ').nth(at).unwrap();
    let new = sidecars(repo).split(' ').nth(at).unwrap().to_owned();
    let key = format!("workload: Deployment.apps/{},", file.strip_suffix(".yaml").unwrap());
    let line = ledger.lines().find(|line| line.contains(&key)).unwrap_or_default();
    let announced = line.split_once("piggyback: ").map(|(_, rest)| rest.trim_end_matches('}'));
    // One that took the target with a release before has it already.
    let wanted = announced.map_or(old, |revision| version_of(ledger, revision));
    assert_eq!(new, wanted, "{place}: {file} was {old}");
}

/// The version of the sidecar in a revision of a ledger.
fn version_of<'l>(ledger: &'l str, revision: &str) -> &'l str {
    let (_, content) = ledger.split_once(&format!("- name: {revision}\n")).unwrap();
    let (_, image) = content.split_once("image: logtail:").unwrap();
    image.lines().next().unwrap()
}
