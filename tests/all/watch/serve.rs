//! `/metrics`, `/healthz` and `/readyz`, requested as Prometheus and the kubelet do, and parsed as OpenMetrics
//! demands.

use pillion::rollout::{Gate, RolloutState};
use pillion::watch::metrics::{EvaluationOutcome, Metrics};
use pillion::watch::serve::{Liveness, StatusServer};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

fn get(address: SocketAddr, path: &str) -> (u16, String, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: pillion\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, head.to_lowercase(), body.to_owned())
}

fn started(limit: Duration) -> (StatusServer, Arc<Metrics>, Arc<Liveness>) {
    let (metrics, health) = (Arc::new(Metrics::default()), Arc::new(Liveness::new(limit)));
    let address = "127.0.0.1:0".parse().unwrap();
    let server = StatusServer::start(address, Arc::clone(&metrics), Arc::clone(&health)).unwrap();
    (server, metrics, health)
}

#[test]
fn it_is_ready_after_the_first_evaluation_and_well_while_they_are_completed() {
    let (server, _, health) = started(Duration::from_secs(3600));
    let at = server.address();
    assert_eq!(get(at, "/healthz").0, 200);
    let (status, _, body) = get(at, "/readyz");
    assert_eq!((status, body.as_str()), (503, "the first evaluation is not completed yet\n"));
    health.record_evaluation();
    assert_eq!(get(at, "/readyz").0, 200);
    assert_eq!(get(at, "/secrets").0, 404);
    let (server, ..) = started(Duration::ZERO);
    let (status, _, body) = get(server.address(), "/healthz");
    assert_eq!(status, 503);
    assert!(body.starts_with("no evaluation was completed for"), "{body}");
}

#[test]
fn it_ends_although_somebody_keeps_a_connection_open() {
    let (server, ..) = started(Duration::from_secs(1));
    let address = server.address();
    let idle = TcpStream::connect(address).unwrap();
    let began = Instant::now();
    server.stop();
    assert!(began.elapsed() < Duration::from_secs(30));
    assert!(TcpStream::connect(address).is_err());
    drop(idle);
}

#[test]
fn an_address_that_is_taken_is_named() {
    let (server, ..) = started(Duration::from_secs(1));
    let taken =
        StatusServer::start(server.address(), Arc::default(), Arc::new(Liveness::new(Duration::ZERO)));
    let message = taken.err().unwrap().to_string();
    assert!(message.starts_with(&format!("cannot listen on {}", server.address())), "{message}");
}

#[test]
fn metrics_are_openmetrics() {
    let (server, metrics, _) = started(Duration::from_secs(1));
    let log = metrics.rollout(Some("prod-eu"), "log");
    log.set_progress(2, 3);
    log.set_pods(21, 6, 5);
    log.set_unavailable(1);
    log.set_out_of_sync(0);
    log.set_gate(Some(Gate::Approval));
    log.set_state(RolloutState::Progressing);
    log.record_push_conflict();
    log.record_soak_reset();
    log.record_evaluation(EvaluationOutcome::Wait);
    log.record_evaluation(EvaluationOutcome::Batch);
    metrics.rollout(None, "unusual\"\n\\name").record_evaluation(EvaluationOutcome::Idle);
    let (status, head, text) = get(server.address(), "/metrics");
    assert_eq!(status, 200);
    assert!(
        head.contains("content-type: application/openmetrics-text; version=1.0.0; charset=utf-8"),
        "{head}"
    );
    let samples = parsed(&text);
    let of = r#"{cluster="prod-eu",sidecar_set="log"}"#;
    let state =
        |state: &str| format!(r#"pillion_pods{{cluster="prod-eu",sidecar_set="log",state="{state}"}}"#);
    let decision = |kind: &str| {
        format!(r#"pillion_decisions_total{{cluster="prod-eu",sidecar_set="log",decision="{kind}"}}"#)
    };
    for (name, value) in [
        (format!("pillion_batch{of}"), 2.0),
        (format!("pillion_batches{of}"), 3.0),
        (state("pending"), 15.0),
        (state("unready"), 1.0),
        (state("ready"), 5.0),
        (format!("pillion_unavailable_pods{of}"), 1.0),
        (format!("pillion_out_of_sync_workloads{of}"), 0.0),
        (format!("pillion_evaluations_total{of}"), 2.0),
        (decision("batch"), 1.0),
        (decision("wait"), 1.0),
        (decision("rollback"), 0.0),
        (r#"pillion_gate_waiting{cluster="prod-eu",sidecar_set="log",gate="approval"}"#.to_owned(), 1.0),
        (r#"pillion_gate_waiting{cluster="prod-eu",sidecar_set="log",gate="freeze"}"#.to_owned(), 0.0),
        (r#"pillion_rollout_state{cluster="prod-eu",sidecar_set="log",state="Progressing"}"#.to_owned(), 1.0),
        (format!("pillion_push_conflicts_total{of}"), 1.0),
        (format!("pillion_soak_resets_total{of}"), 1.0),
    ] {
        assert_eq!(samples.get(&name), Some(&value), "{name}\n{text}");
    }
    let age = samples[&format!("pillion_since_last_evaluation_seconds{of}")];
    assert!((0.0..60.0).contains(&age), "{age}");
    log.remove();
    let (_, _, text) = get(server.address(), "/metrics");
    assert!(parsed(&text).keys().all(|k| !k.contains("prod-eu")), "{text}");
}

/// Every metric that is shown is in docs/watch.md, and the other way round.
#[test]
fn every_metric_is_documented() {
    let metrics = Metrics::default();
    let log = metrics.rollout(None, "log");
    log.set_progress(1, 1);
    log.set_pods(1, 1, 1);
    log.set_unavailable(0);
    log.set_out_of_sync(0);
    log.set_gate(None);
    log.set_state(RolloutState::Idle);
    log.record_evaluation(EvaluationOutcome::Idle);
    let shown: BTreeSet<String> =
        parsed(&metrics.encode_text()).into_keys().map(|k| k.split('{').next().unwrap().to_owned()).collect();
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/watch.md")).unwrap();
    let named = page.lines().filter_map(|l| l.strip_prefix("| `pillion_")?.split('`').next());
    let named: BTreeSet<String> = named.map(|n| format!("pillion_{n}")).collect();
    assert_eq!(shown, named);
}

/// Reads the text form of OpenMetrics 1.0 as strictly as it is written: families in one piece with TYPE and HELP,
/// units as suffixes, counters that end with `_total`, nothing twice, `# EOF` at the end.
fn parsed(text: &str) -> BTreeMap<String, f64> {
    let body = text.strip_suffix("# EOF\n").expect("it ends with # EOF");
    let (mut families, mut samples) = (BTreeMap::new(), BTreeMap::new());
    let mut family = String::new();
    for line in body.lines() {
        let mut words = line.splitn(4, ' ');
        if line.starts_with('#') {
            let (keyword, name, rest) = (words.nth(1).unwrap(), words.next().unwrap(), words.next().unwrap());
            assert!(name.starts_with("pillion_"), "{line}");
            match keyword {
                "HELP" => {}
                "TYPE" => {
                    let kind = rest.to_owned();
                    assert!(["gauge", "counter", "info"].contains(&&*kind), "{line}");
                    assert_eq!(families.insert(name.to_owned(), kind), None, "{name} comes twice");
                }
                "UNIT" => assert!(name.ends_with(&format!("_{rest}")), "{line}"),
                other => panic!("{other} in {line}"),
            }
            name.clone_into(&mut family);
            continue;
        }
        let (series, value) = line.rsplit_once(' ').unwrap();
        let name = series.split('{').next().unwrap();
        let suffix = match families.get(&family).map(String::as_str) {
            // HELP comes first in a family, TYPE before the first sample.
            Some("counter") => "_total",
            Some("info") => "_info",
            Some(_) => "",
            None => panic!("{family} has no TYPE"),
        };
        assert_eq!(name, format!("{family}{suffix}"), "{line}");
        let value: f64 = value.parse().unwrap();
        assert_eq!(samples.insert(series.to_owned(), value), None, "{series} comes twice");
    }
    samples
}
