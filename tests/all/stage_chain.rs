//! The commits of a rollout: what they hold, what they say, and that they are the same everywhere.

use crate::git_world::World;
use crate::stage_world::{example, newer, released};

#[test]
fn the_worked_example_is_five_commits() {
    let world = World::new();
    let repo = released(&world, "repo");
    repo.hold(&newer(example())).render().commit("log 1.5.0");
    let told = repo.pillion(&["stage"]);
    println!("{told}");
    println!("{}", repo.git(&["log", "--stat", "--format=%n%H%n%B", "main..pillion/main/log"]));
    println!("{}", repo.git(&["log", "-p", "--format=%n%s", "main..pillion/main/log"]));
}
