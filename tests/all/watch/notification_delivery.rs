//! Every commit is notified once and in order, wherever a watcher is killed in between.

use crate::support::git_fixtures::{Repo, World as Folder};
use crate::support::rollout_fixtures::released;
use crate::support::scripted_servers::Scripted;
use pillion::git::{Id, RefUpdate, Stop};
use pillion::stage::{Branches, Live, Manifests, Opened, configuration_of};
use pillion::watch::check::{Answer, Question};
use pillion::watch::notify::{Form, Notice, Notifier, PATIENCE};
use pillion::watch::outside::Outside;
use pillion::watch::request::{Client, Roots};
use pillion::watch::run::Watching;
use pillion::watch::snapshot::Snapshot;
use pillion::watch::tell::keep_telling;
use pillion::watch::world::{Proposal, Released, Stopped, Unseen, World};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::mpsc::sync_channel;
use std::time::Duration;

/// A receiver that fails at some messages, once each.
#[derive(Default)]
struct Post {
    told: Option<Id>,
    arrived: Vec<String>,
    fails_at: Vec<usize>,
    /// Another watcher tells this many messages in between.
    others: Vec<Id>,
}

impl World for Post {
    fn fetch(&mut self, _: &Opened) -> Result<(), Stopped> {
        unreachable!("the loop fetches")
    }

    fn look(&mut self, _: Option<&str>) -> Result<Snapshot, Unseen> {
        unreachable!("nobody looks")
    }

    fn release(&mut self, _: &Opened, _: &Live<'_>, _: &Proposal<'_>) -> Result<Released, Stopped> {
        unreachable!("nothing is released")
    }

    fn withdraw(&mut self, _: &Opened, _: Option<&str>, _: &str, _: &str) -> Result<(), Stopped> {
        unreachable!("nothing is withdrawn")
    }

    fn push_staged(&mut self, _: &Opened, _: RefUpdate) -> Result<(), Stopped> {
        unreachable!("nothing is staged")
    }

    fn ask(&mut self, _: &Question) -> Answer {
        unreachable!("nobody is asked")
    }

    fn receivers(&self) -> Vec<Form> {
        vec![Form::Plain]
    }

    fn told(&mut self, _: &Opened, _: Form) -> Result<Option<Id>, Stopped> {
        Ok(self.told)
    }

    fn tell(&mut self, _: Form, notice: &Notice) -> Result<(), Stopped> {
        if let Some(at) = self.fails_at.iter().position(|n| *n == self.arrived.len()) {
            self.fails_at.remove(at);
            return Err(Stopped::Service { text: "it is away".to_owned(), is_retryable: true });
        }
        self.arrived.push(notice.subject.clone());
        Ok(())
    }

    fn remember_told(&mut self, _: &Opened, _: Form, before: Option<Id>, commit: Id) -> Result<(), Stopped> {
        assert_eq!(self.told, before);
        self.told = Some(self.others.pop().unwrap_or(commit));
        Ok(())
    }
}

fn opened(repo: &Repo) -> Opened {
    let repository = repo.open();
    let config = PathBuf::from("pillion.yaml");
    let head = repository.find_ref("refs/heads/main").unwrap();
    let read = configuration_of(&repository, head, Path::new("pillion.yaml")).unwrap().0.unwrap();
    let branches = Branches::of(&read.repository).unwrap();
    Opened { repository, config, branches, manifests: Manifests::default() }
}

/// A live branch with so many batches, and what was live before them.
fn batches(folder: &Folder, n: usize) -> (Repo, Vec<Id>) {
    let repo = released(folder, "repo");
    let mut ids = vec![repo.id("main")];
    for batch in 1..=n {
        let message = format!("log: batch {batch}\n\nPillion-Action: Batch\nPillion-SidecarSet: log\n");
        repo.git(&["commit", "-q", "--allow-empty", "-m", &message]);
        ids.push(repo.id("main"));
    }
    (repo, ids)
}

/// Tells until something fails, as a process that is ended then.
fn tell_once(opened: &Opened, world: &mut dyn World) -> Option<Duration> {
    let (_, heads) = sync_channel(1);
    let mut again = None;
    let failed = &mut |_: &Stopped, time| again = Some(time);
    keep_telling(&Watching::default(), (opened, world), Form::Plain, (&heads, &Stop::default()), failed);
    again
}

#[test]
fn a_new_process_goes_on_where_the_last_one_was_ended() {
    let folder = Folder::new();
    let (repo, ids) = batches(&folder, 5);
    let opened = opened(&repo);
    let mut post = Post { told: Some(ids[0]), fails_at: vec![2, 4], ..Post::default() };
    assert!(tell_once(&opened, &mut post).is_some());
    assert_eq!(post.told, Some(ids[2]), "what has arrived is remembered, one by one");
    assert!(tell_once(&opened, &mut post).is_some());
    assert_eq!(post.told, Some(ids[4]));
    assert!(tell_once(&opened, &mut post).is_none());
    let all: Vec<String> = (1..=5).map(|n| format!("log: batch {n}")).collect();
    assert_eq!(post.arrived, all, "each once, in order");
    assert_eq!(post.told, Some(ids[5]));
}

#[test]
fn what_another_watcher_has_told_is_not_told_again() {
    let folder = Folder::new();
    let (repo, ids) = batches(&folder, 5);
    let mut post = Post { told: Some(ids[0]), others: vec![ids[3]], ..Post::default() };
    assert!(tell_once(&opened(&repo), &mut post).is_none());
    assert_eq!(post.arrived, ["log: batch 1", "log: batch 4", "log: batch 5"]);
}

#[test]
fn a_receiver_is_left_alone_for_as_long_as_it_asks() {
    for (said, time) in [("400", 400), ("99999999999", 600), ("18446744073709551615", 600)] {
        let folder = Folder::new();
        let (repo, ids) = batches(&folder, 1);
        let opened = opened(&repo);
        let server = Scripted::new([(429, vec![("retry-after", said)], String::new())]);
        let url = format!("{}/hook", server.url());
        let mut world = Outside::new(BTreeMap::new(), || crate::support::git_fixtures::NOW);
        let notifier = Notifier::new(Client::new(PATIENCE, &Roots::default()), Some(&url), None).unwrap();
        world.notifier = Some(notifier);
        world.remember_told(&opened, Form::Plain, None, ids[0]).unwrap();
        assert_eq!(tell_once(&opened, &mut world), Some(Duration::from_secs(time)));
        assert_eq!(server.asked().len(), 1);
    }
}
