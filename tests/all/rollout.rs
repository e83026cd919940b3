//! Rollouts over workloads: what the steps are, and what they never do.

use crate::site::{folder, load};
use pillion::model::ledger::{Ledger, Revision, emit};
use pillion::plan::{Circumstances, Step, steps};
use std::sync::Arc;

/// The ledger at what is written now: what `init rollout` makes.
fn at_present(set: &str, site: &pillion::stage::Site) -> Ledger {
    let written = site.prepared.sets.iter().find(|s| s.name == set).unwrap();
    let revision = Revision::of(written);
    let mut ledger = Ledger::new(set);
    ledger.released = Some(Arc::clone(&revision.name));
    ledger.revisions.insert(Arc::clone(&revision.name), revision);
    ledger
}

#[test]
fn the_worked_example() {
    let mut texts = folder("examples/rollout");
    texts.insert("ledgers/log.yaml".into(), {
        let mut without = texts.clone();
        let text = without.get_mut("pillion.yaml").unwrap();
        *text = text.replace("ledgers: ledgers\n", "");
        emit(&at_present("log", &load(&without).0))
    });
    let set = texts.get_mut("sidecars/log.yaml").unwrap();
    *set = set.replace("1.4.2", "1.5.0");
    let (site, found) = load(&texts);
    assert_eq!(found.iter().map(|d| d.code.name()).collect::<Vec<_>>(), ["not-staged-yet"]);
    let (course, wrong) = site.course("log");
    assert!(wrong.is_empty());
    let mut given = Circumstances::default();
    given.observed.insert("Deployment.apps/shop/web".into(), 10);
    let steps = steps(&course, &site.ledger("log"), &given, 20);
    for step in &steps {
        match step {
            Step::Open(ledger) | Step::Close(ledger) => println!("{}", emit(ledger)),
            Step::Batch(batch) => {
                println!("batch {} updated {}", batch.number, batch.updated);
                for m in &batch.moves {
                    println!(
                        "  {} {}..{} of {:?} {:?} {:?} down {}",
                        m.key, m.from, m.to, m.of, m.taking.how, m.partition, m.down
                    );
                }
                println!("{}", emit(&batch.ledger));
            }
            Step::Rest(rest) => println!("{rest}"),
        }
    }
    assert!(matches!(steps.last(), Some(Step::Close(_))));
}
