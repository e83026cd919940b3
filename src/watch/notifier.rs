//! Sends one notification for each rollout commit and receiver over HTTP. The commit id is the idempotency key.
//! Retries and progress are the caller's task.

use super::http_client::{HttpClient, HttpRequest, HttpResponse, SecretUrl, one_line};
use crate::model::api::PILLION_API_VERSION;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::time::Duration;

/// Timeout of a receiver.
pub const NOTIFY_TIMEOUT: Duration = Duration::from_secs(10);

/// Variable with the address that receives plain JSON.
pub(crate) const WEBHOOK_URL_VAR: &str = "PILLION_NOTIFY_URL";

/// Variable with the address of a Slack incoming webhook.
pub(crate) const SLACK_URL_VAR: &str = "PILLION_NOTIFY_SLACK_URL";

/// Characters of a body in a Slack message; Slack itself cuts at 40,000.
const MAX_SLACK_BODY_CHARS: usize = 2_500;

/// The notification of one commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notification {
    /// The key: the commit id, for a state followed by its name.
    pub id: String,
    /// The commit id; of a state, the head of the deploy branch.
    pub commit: String,
    /// `Pillion-Action`: Start, Batch, Complete, Pause, RollBack and so on; or a state: Approval, Freeze, Blocked,
    /// Stalled, OutOfSync, Pending, Error.
    pub action: String,
    /// Name of the SidecarSet.
    pub sidecar_set: String,
    /// The cluster, if pillion.yaml names clusters.
    pub cluster: Option<String>,
    /// Subject of the commit.
    pub subject: String,
    /// The rest of the message, without trailers.
    pub body: String,
    /// Time of release.
    pub time: Timestamp,
    /// Address of the commit, if known.
    pub url: Option<String>,
    /// How urgent it is.
    pub severity: NotificationSeverity,
}

/// How urgent a notification is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotificationSeverity {
    /// Everything goes as planned.
    Good,
    /// To know.
    Information,
    /// A person has to act before the rollout goes on.
    Attention,
    /// Something is not as it should be.
    Warning,
    /// The rollout has stopped, or goes back.
    Danger,
}

impl NotificationSeverity {
    /// Returns that of a commit with a `Pillion-Action`.
    pub(crate) fn of_action(action: &str) -> Self {
        match action {
            "Complete" => Self::Good,
            "Pause" | "RollBack" => Self::Danger,
            "Hold" => Self::Attention,
            _ => Self::Information,
        }
    }

    /// Returns the name in data.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Good => "Good",
            Self::Information => "Information",
            Self::Attention => "Attention",
            Self::Warning => "Warning",
            Self::Danger => "Danger",
        }
    }

    /// Returns its colour in a chat.
    fn color(self) -> &'static str {
        match self {
            Self::Good => "#2e7d32",
            Self::Information => "#1565c0",
            Self::Attention => "#f9a825",
            Self::Warning => "#ef6c00",
            Self::Danger => "#c62828",
        }
    }
}

impl Notification {
    /// Returns the plain JSON form.
    pub(crate) fn to_json(&self) -> Value {
        json!({
            "apiVersion": PILLION_API_VERSION,
            "kind": "Notification",
            "id": self.id,
            "commit": self.commit,
            "action": self.action,
            "sidecarSet": self.sidecar_set,
            "cluster": self.cluster,
            "subject": self.subject,
            "body": self.body,
            "time": self.time.to_string(),
            "url": self.url,
            "severity": self.severity.name(),
        })
    }

    /// Returns the form of Slack's incoming webhooks, which Mattermost and Rocket.Chat accept, too.
    pub(crate) fn to_slack(&self) -> Value {
        let subject = escape_slack(&self.subject);
        let subject = match &self.url {
            // `|` and `>` would end the link.
            Some(url) if !url.contains(['|', '>', '<']) => {
                format!("<{}|{}>", escape_slack(url), subject.replace('|', "/"))
            }
            _ => format!("*{subject}*"),
        };
        let cluster = self.cluster.as_ref().map(|c| format!(" ({})", escape_slack(c))).unwrap_or_default();
        let body = self.body.trim();
        let body = match body.char_indices().nth(MAX_SLACK_BODY_CHARS) {
            Some((end, _)) => format!("{}…", &body[..end]),
            None => body.to_owned(),
        };
        let body = if body.is_empty() { self.action.clone() } else { body };
        // The bar beside an attachment has the colour; blocks have none, and only Slack knows them.
        json!({
            "text": format!("{subject}{cluster}"),
            "attachments": [{
                "color": self.severity.color(),
                "fallback": escape_slack(&self.subject),
                "text": escape_slack(&body),
                "mrkdwn_in": ["text"],
            }],
        })
    }
}

/// Escapes Slack's three control characters (its documentation, "Escaping text").
fn escape_slack(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// The format of a receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PayloadFormat {
    /// [`Notification::to_json`].
    Plain,
    /// [`Notification::to_slack`].
    Slack,
}

impl PayloadFormat {
    /// Returns the name of its receivers.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Plain => "webhook",
            Self::Slack => "slack",
        }
    }
}

/// One receiver. Its address is a secret; only the host is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotificationReceiver {
    format: PayloadFormat,
    address: SecretUrl,
}

impl NotificationReceiver {
    /// Returns its format; no two receivers have the same.
    pub(crate) fn format(&self) -> PayloadFormat {
        self.format
    }

    /// Returns its name in logs: `slack at hooks.example`.
    pub(crate) fn name(&self) -> String {
        format!("{} at {}", self.format.name(), self.address.host())
    }
}

/// Why a receiver did not accept a notification; contains no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the {receiver} did not accept the notification of {commit}: {reason}")]
pub struct DeliveryError {
    /// [`NotificationReceiver::name`].
    pub(crate) receiver: String,
    /// The commit id.
    pub(crate) commit: String,
    /// What happened, and what to do.
    pub reason: String,
    /// Whether a retry may succeed.
    pub is_retryable: bool,
    /// The pause that the receiver asks for.
    pub retry_after: Option<Duration>,
}

/// Sends notifications.
#[derive(Debug, Clone)]
pub struct Notifier {
    client: HttpClient,
    receivers: Vec<NotificationReceiver>,
}

impl Notifier {
    /// Builds a notifier of two optional addresses.
    ///
    /// # Errors
    /// When an address is invalid; the message names its variable, never the address.
    pub fn new(client: HttpClient, plain: Option<&str>, slack: Option<&str>) -> Result<Self, String> {
        let mut receivers = Vec::new();
        for (format, variable, url) in
            [(PayloadFormat::Plain, WEBHOOK_URL_VAR, plain), (PayloadFormat::Slack, SLACK_URL_VAR, slack)]
        {
            if let Some(url) = url.filter(|u| !u.trim().is_empty()) {
                let address = SecretUrl::parse(url).map_err(|reason| format!("{variable}: {reason}"))?;
                receivers.push(NotificationReceiver { format, address });
            }
        }
        Ok(Self { client, receivers })
    }

    /// Returns the receivers, plain JSON first.
    pub fn receivers(&self) -> &[NotificationReceiver] {
        &self.receivers
    }

    /// Sends one notification.
    ///
    /// # Errors
    /// When the receiver did not accept it, or its answer is missing. The key makes a retry harmless.
    pub fn send(
        &self,
        receiver: &NotificationReceiver,
        notification: &Notification,
    ) -> Result<(), DeliveryError> {
        let body = match receiver.format {
            PayloadFormat::Plain => notification.to_json(),
            PayloadFormat::Slack => notification.to_slack(),
        };
        let headers = [("idempotency-key", notification.id.as_str())];
        let request =
            HttpRequest { method: "POST", url: &receiver.address, headers: &headers, body: body.to_string() };
        let error = |reason: String, is_retryable, retry_after| DeliveryError {
            receiver: receiver.name(),
            commit: notification.commit.clone(),
            reason,
            is_retryable,
            retry_after,
        };
        match self.client.send(&request) {
            Ok(response) if (200..300).contains(&response.status) => Ok(()),
            Ok(response) => {
                let (reason, is_retryable) = describe_refusal(&response);
                Err(error(reason, is_retryable, response.retry_after()))
            }
            Err(reason) => Err(error(reason, true, None)),
        }
    }
}

/// Explains a refusal, and whether a retry may succeed.
fn describe_refusal(response: &HttpResponse) -> (String, bool) {
    let message = one_line(&String::from_utf8_lossy(&response.body));
    let message = if message.is_empty() || message.starts_with('<') {
        default_reason(response.status)
    } else {
        message
    };
    let (advice, is_retryable) = match response.status {
        408 | 425 | 429 | 500.. => ("a retry may succeed", true),
        300..=399 => ("it redirects, which pillion does not follow: set its new address", false),
        401 | 403 | 404 | 410 => ("its address, or the secret in it, is no longer valid", false),
        _ => ("it does not understand the notification: see docs/watch.md for the two formats", false),
    };
    (format!("status {} ({message}); {advice}", response.status), is_retryable)
}

fn default_reason(status: u16) -> String {
    let known = http::StatusCode::from_u16(status).ok().and_then(|s| s.canonical_reason());
    known.unwrap_or("no reason given").to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::http_client::CaCertificates;
    use super::*;

    fn notification() -> Notification {
        Notification {
            id: "4f1c".into(),
            commit: "4f1c".into(),
            action: "Batch".into(),
            sidecar_set: "log".into(),
            cluster: Some("prod-eu".into()),
            subject: "log: batch 2/3, logtail 1.4.2 -> 1.5.0".into(),
            body: "6 of 21 pods & more\n".into(),
            time: "2026-06-19T15:00:00Z".parse().unwrap(),
            url: Some("https://git.example/c/4f1c".into()),
            severity: NotificationSeverity::Information,
        }
    }

    #[test]
    fn slack_gets_a_link_and_no_control_characters() {
        let text = notification().to_slack()["text"].as_str().unwrap().to_owned();
        assert_eq!(text, "<https://git.example/c/4f1c|log: batch 2/3, logtail 1.4.2 -&gt; 1.5.0> (prod-eu)");
        let attachment = &notification().to_slack()["attachments"][0];
        assert_eq!(
            (&attachment["text"], &attachment["color"]),
            (&json!("6 of 21 pods &amp; more"), &json!("#1565c0"))
        );
        let stopped = Notification { severity: NotificationSeverity::of_action("Pause"), ..notification() };
        assert_eq!(stopped.to_slack()["attachments"][0]["color"], "#c62828");
        let plain = Notification { url: None, cluster: None, body: String::new(), ..notification() };
        assert_eq!(plain.to_slack()["text"], "*log: batch 2/3, logtail 1.4.2 -&gt; 1.5.0*");
    }

    #[test]
    fn plain_json_has_the_commit_as_its_id() {
        let value = notification().to_json();
        assert_eq!((&value["id"], &value["time"]), (&json!("4f1c"), &json!("2026-06-19T15:00:00Z")));
    }

    #[test]
    fn addresses_are_never_repeated() {
        let client = || HttpClient::new(NOTIFY_TIMEOUT, &CaCertificates::default());
        let error = Notifier::new(client(), None, Some("hooks.example/s3cr3t")).unwrap_err();
        assert!(error.contains(SLACK_URL_VAR) && !error.contains("s3cr3t"), "{error}");
        let notifier = Notifier::new(client(), Some("http://127.0.0.1:1/s3cr3t"), Some(" ")).unwrap();
        let error = notifier.send(&notifier.receivers()[0], &notification()).unwrap_err();
        assert!(error.is_retryable);
        let message = error.to_string();
        assert!(
            message.starts_with("the webhook at 127.0.0.1 did not accept") && !message.contains("s3cr3t"),
            "{message}"
        );
        assert!(!format!("{notifier:?}").contains("s3cr3t"));
    }
}
