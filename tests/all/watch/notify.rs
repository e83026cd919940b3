//! Notifications: the requests to receivers, and the handling of their refusals.

use crate::support::scripted_servers::{Answer, Scripted};
use pillion::watch::http_client::{CaCertificates, HttpClient};
use pillion::watch::notifier::{DeliveryError, NOTIFY_TIMEOUT, Notification, NotificationSeverity, Notifier};
use serde_json::json;
use std::time::Duration;

fn notification() -> Notification {
    Notification {
        id: "9d2e0c6b".into(),
        commit: "9d2e0c6b".into(),
        action: "Pause".into(),
        sidecar_set: "log".into(),
        cluster: None,
        subject: "log: paused at batch 1/3".into(),
        body: "shop/web-1: ImagePullBackOff".into(),
        time: "2026-06-19T15:00:00Z".parse().unwrap(),
        url: None,
        severity: NotificationSeverity::Danger,
    }
}

fn notifier(server: &Scripted) -> Notifier {
    let (plain, slack) = (format!("{}/hook/s3cr3t", server.url()), format!("{}/slack/s3cr3t", server.url()));
    Notifier::new(HttpClient::new(NOTIFY_TIMEOUT, &CaCertificates::default()), Some(&plain), Some(&slack))
        .unwrap()
}

#[test]
fn each_receiver_gets_its_form_with_the_commit_as_key() {
    let server = Scripted::new([(204, vec![], String::new()), (200, vec![], "ok".into())]);
    let notifier = notifier(&server);
    for receiver in notifier.receivers() {
        notifier.send(receiver, &notification()).unwrap();
    }
    let asked = server.asked();
    assert_eq!(asked[0].line, "POST /hook/s3cr3t");
    assert_eq!(
        asked[0].json(),
        json!({
            "apiVersion": "pillion.dev/v1alpha1", "kind": "Notification", "id": "9d2e0c6b", "commit": "9d2e0c6b",
            "action": "Pause", "sidecarSet": "log", "cluster": null, "subject": "log: paused at batch 1/3",
            "body": "shop/web-1: ImagePullBackOff", "time": "2026-06-19T15:00:00Z", "url": null,
            "severity": "Danger",
        })
    );
    assert_eq!(asked[1].line, "POST /slack/s3cr3t");
    let attachment = json!({
        "color": "#c62828", "fallback": "log: paused at batch 1/3", "text": "shop/web-1: ImagePullBackOff",
        "mrkdwn_in": ["text"],
    });
    assert_eq!(asked[1].json(), json!({"text": "*log: paused at batch 1/3*", "attachments": [attachment]}));
    assert!(asked.iter().all(|a| a.header("idempotency-key") == "9d2e0c6b"));
    assert!(asked.iter().all(|a| a.header("user-agent").starts_with("pillion/")));
}

fn refused(answer: Answer) -> DeliveryError {
    let server = Scripted::new([answer]);
    let notifier = notifier(&server);
    let undelivered = notifier.send(&notifier.receivers()[1], &notification()).unwrap_err();
    assert!(!undelivered.to_string().contains("s3cr3t"), "{undelivered}");
    server.asked();
    undelivered
}

#[test]
fn refusals_say_whether_another_try_may_help() {
    let busy = refused((429, vec![("retry-after", "30")], "rate_limited".into()));
    assert_eq!((busy.is_retryable, busy.retry_after), (true, Some(Duration::from_secs(30))));
    assert_eq!(
        busy.to_string(),
        "the slack at 127.0.0.1 did not accept the notification of 9d2e0c6b: status 429 (rate_limited); a retry may succeed"
    );
    assert!(refused((502, vec![], "<html>bad</html>".into())).is_retryable);
    let not_found = refused((404, vec![], "no_service".into()));
    assert!(!not_found.is_retryable && not_found.reason.contains("no longer valid"), "{not_found}");
    assert!(!refused((400, vec![], "invalid_payload".into())).is_retryable);
    let moved = refused((301, vec![("location", "http://127.0.0.1:1/")], String::new()));
    assert!(!moved.is_retryable && moved.reason.contains("it redirects"), "{moved}");
}
