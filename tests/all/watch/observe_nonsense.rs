//! Observes servers with answers that make no sense, or that never end.

use super::observe::{WEB, settings, shop, wanted, watch};
use crate::support::endless_server::{Endless, EndlessServer};
use crate::support::fake_cluster::Fault;
use pillion::watch::observe::{
    Error, KubeContext, MemoryBudget, Observer, ObserverSettings, StaleData, runtime,
};
use std::time::{Duration, Instant};

#[test]
fn an_answer_that_makes_no_sense_is_no_evidence() {
    for nonsense in [
        "",
        "<html>sign in</html>",
        "{}",
        "[]",
        "{\"kind\":\"PodList\",\"items\":[]}",
        "{\"kind\":\"Status\"}",
        "\u{0}",
    ] {
        let cluster = shop();
        cluster.fail(&["/pods?limit"], Fault::Text(nonsense), usize::MAX);
        let seen = watch(&cluster);
        let why = seen.until_blind();
        assert!(matches!(why.error, Some(Error::InvalidResponse { .. })), "{nonsense}: {why}");
        cluster.heal();
        seen.until_pods(WEB, &["a", "b"]);
    }
}

#[test]
fn an_event_that_makes_no_sense_is_forgotten_and_all_is_read_again() {
    let cluster = shop();
    let seen = watch(&cluster);
    seen.until_pods(WEB, &["a", "b"]);
    for nonsense in [
        "{",
        "\"text\"",
        "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":5}}}",
        "{\"type\":\"ADDED\"}",
        "{\"type\":\"MELTED\",\"object\":{\"metadata\":{}}}",
        "{\"type\":\"ADDED\",\"object\":[[[[",
        "{\"type\":\"ERROR\",\"object\":\"boo\"}",
    ] {
        seen.until_watched(&cluster, "v1/pods");
        let before = cluster.count(&["/pods", "watch=1"]);
        cluster.say("v1/pods", nonsense);
        let is_asked = |_: &_| cluster.count(&["/pods", "watch=1"]) > before;
        let _ = seen.until("it is watched again", is_asked);
        seen.until_pods(WEB, &["a", "b"]);
    }
    cluster.assert_only_read();
}

/// What an observer of a server without end says, when it has begun to read again.
fn seen_of_endless(what: Endless) -> StaleData {
    let server = EndlessServer::start(what);
    let runtime = runtime().unwrap();
    let place = KubeContext { kubeconfig: Some(server.kubeconfig()), context: None };
    let settings = ObserverSettings {
        timeout: Duration::from_secs(20),
        page_size: 500,
        memory: MemoryBudget::from_mebibytes(4),
        ..settings()
    };
    let wanted = wanted(&[("apps/v1", "Deployment")], &[]);
    let observer = Observer::start_at(runtime.handle(), place, wanted, settings, || {}).unwrap();
    let deadline = Instant::now() + Duration::from_secs(120);
    loop {
        let look = observer.snapshot();
        if let Err(seen @ StaleData { error: Some(_), .. }) = look
            && server.pages() > 0
            && seen.message.starts_with("not seen")
        {
            return seen;
        }
        assert!(Instant::now() < deadline, "{what:?}: {:?}", observer.snapshot());
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_list_without_end_is_no_evidence() {
    let failure = |what| seen_of_endless(what).error.unwrap();
    assert_eq!(failure(Endless::Pages), Error::MemoryExceeded { mebibytes: 4 });
    for (what, why) in [
        (Endless::SamePage, "leads back to a page"),
        (Endless::EmptyPages, "no new objects"),
        (Endless::BigObjects, "an object of more than"),
    ] {
        match failure(what) {
            Error::InvalidResponse { reason, .. } => assert!(reason.contains(why), "{what:?}: {reason}"),
            Error::ResponseTooLarge { .. } if what == Endless::BigObjects => {}
            other => panic!("{what:?}: {other}"),
        }
    }
    let text = failure(Endless::Text);
    assert!(matches!(text, Error::ResponseTooLarge { .. } | Error::Timeout { .. }), "{text}");
}
