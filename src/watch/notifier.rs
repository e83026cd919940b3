//! Who is told of a commit, and how? One message a commit and receiver, over HTTP, with the commit's id as its key:
//! whoever gets it twice knows it. When to try again, and what was sent already, is the caller's matter.

use super::http_client::{HttpClient, HttpRequest, HttpResponse, SecretUrl, one_line};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::time::Duration;

/// How long a receiver may take.
pub const NOTIFY_TIMEOUT: Duration = Duration::from_secs(10);

/// Variable with the address that gets plain JSON.
pub const WEBHOOK_URL_VAR: &str = "PILLION_NOTIFY_URL";

/// Variable with the address that gets what Slack's incoming webhooks take.
pub const SLACK_URL_VAR: &str = "PILLION_NOTIFY_SLACK_URL";

/// Characters of a body that a message for Slack keeps; Slack cuts at 40,000 and nobody reads that.
const MAX_SLACK_BODY_CHARS: usize = 2_500;

/// One commit on the deploy branch, told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notification {
    /// Its id, in full: the key.
    pub commit: String,
    /// `Pillion-Action`: Open, Batch, Close, Pause, RollBack and so on.
    pub action: String,
    /// Name of the SidecarSet.
    pub sidecar_set: String,
    /// The cluster, where pillion.yaml names some.
    pub cluster: Option<String>,
    /// Subject of the commit.
    pub subject: String,
    /// What else its message says, without trailers.
    pub body: String,
    /// When it was released.
    pub time: Timestamp,
    /// Where people see it.
    pub url: Option<String>,
}

impl Notification {
    /// Returns the plain form.
    pub fn to_json(&self) -> Value {
        json!({
            "apiVersion": "pillion.dev/v1alpha1",
            "kind": "Notification",
            "id": self.commit,
            "commit": self.commit,
            "action": self.action,
            "sidecarSet": self.sidecar_set,
            "cluster": self.cluster,
            "subject": self.subject,
            "body": self.body,
            "time": self.time.to_string(),
            "url": self.url,
        })
    }

    /// Returns the form of Slack's incoming webhooks, which Mattermost and Rocket.Chat take too.
    pub fn to_slack(&self) -> Value {
        let subject = escape_slack(&self.subject);
        let subject = match &self.url {
            // `|` and `>` would end the link.
            Some(url) if !url.contains(['|', '>', '<']) => {
                format!("<{}|{}>", escape_slack(url), subject.replace('|', "/"))
            }
            _ => format!("*{subject}*"),
        };
        let cluster = self.cluster.as_ref().map(|c| format!(" ({})", escape_slack(c))).unwrap_or_default();
        let mut text = format!("{subject}{cluster}");
        if !self.body.trim().is_empty() {
            let body = self.body.trim();
            let body = match body.char_indices().nth(MAX_SLACK_BODY_CHARS) {
                Some((end, _)) => format!("{}…", &body[..end]),
                None => body.to_owned(),
            };
            text.push('\n');
            text.push_str(&escape_slack(&body));
        }
        json!({"text": text})
    }
}

/// Slack's three control characters (its documentation, "Escaping text").
fn escape_slack(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// The form in which a receiver wants it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PayloadFormat {
    /// [`Notification::to_json`].
    Plain,
    /// [`Notification::to_slack`].
    Slack,
}

impl PayloadFormat {
    /// Returns what receivers that want it are called.
    pub fn name(self) -> &'static str {
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
    /// Returns the form that it wants; no two receivers want the same.
    pub fn format(&self) -> PayloadFormat {
        self.format
    }

    /// Returns what it is called in logs: `slack at hooks.example`.
    pub fn name(&self) -> String {
        format!("{} at {}", self.format.name(), self.address.host())
    }
}

/// Why a receiver did not get a message; holds no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the {receiver} did not take the notification of {commit}: {why}")]
pub struct DeliveryError {
    /// [`NotificationReceiver::name`].
    pub receiver: String,
    /// The commit's id.
    pub commit: String,
    /// What happened, and what to do.
    pub why: String,
    /// Another try may help.
    pub is_retryable: bool,
    /// How long it asks to be left alone.
    pub retry_after: Option<Duration>,
}

/// Tells receivers.
#[derive(Debug, Clone)]
pub struct Notifier {
    client: HttpClient,
    receivers: Vec<NotificationReceiver>,
}

impl Notifier {
    /// Makes one of two addresses, each of which may be missing.
    ///
    /// # Errors
    /// When an address is none; it is named by its variable, never repeated.
    pub fn new(client: HttpClient, plain: Option<&str>, slack: Option<&str>) -> Result<Self, String> {
        let mut receivers = Vec::new();
        for (form, variable, url) in
            [(PayloadFormat::Plain, WEBHOOK_URL_VAR, plain), (PayloadFormat::Slack, SLACK_URL_VAR, slack)]
        {
            if let Some(url) = url.filter(|u| !u.trim().is_empty()) {
                let address = SecretUrl::parse(url)
                    .map_err(|why| format!("the address for notifications ({variable}): {why}"))?;
                receivers.push(NotificationReceiver { format: form, address });
            }
        }
        Ok(Self { client, receivers })
    }

    /// Returns the receivers, plain JSON first.
    pub fn receivers(&self) -> &[NotificationReceiver] {
        &self.receivers
    }

    /// Tells one receiver once.
    ///
    /// # Errors
    /// When it did not take the message, or nobody knows whether it did: the key makes a second try harmless.
    pub fn send(&self, receiver: &NotificationReceiver, notice: &Notification) -> Result<(), DeliveryError> {
        let body = match receiver.format {
            PayloadFormat::Plain => notice.to_json(),
            PayloadFormat::Slack => notice.to_slack(),
        };
        let headers = [("idempotency-key", notice.commit.as_str())];
        let request =
            HttpRequest { method: "POST", url: &receiver.address, headers: &headers, body: body.to_string() };
        let undelivered = |why: String, is_retryable, retry_after| DeliveryError {
            receiver: receiver.name(),
            commit: notice.commit.clone(),
            why,
            is_retryable,
            retry_after,
        };
        match self.client.send(&request) {
            Ok(answer) if (200..300).contains(&answer.status) => Ok(()),
            Ok(answer) => {
                let (why, is_retryable) = describe_refusal(&answer);
                Err(undelivered(why, is_retryable, answer.retry_after()))
            }
            Err(why) => Err(undelivered(why, true, None)),
        }
    }
}

/// Says what an answer means, and whether another try may help.
fn describe_refusal(answer: &HttpResponse) -> (String, bool) {
    let said = one_line(&String::from_utf8_lossy(&answer.body));
    let said = if said.is_empty() || said.starts_with('<') { default_reason(answer.status) } else { said };
    let (advice, is_retryable) = match answer.status {
        408 | 425 | 429 | 500.. => ("it may work later", true),
        300..=399 => {
            ("it wants to be asked elsewhere, and redirects are not followed: write its new address", false)
        }
        401 | 403 | 404 | 410 => ("its address or the secret in it is no longer right", false),
        _ => ("it does not understand what pillion sends: see docs/watch.md for the two forms", false),
    };
    (format!("status {} ({said}); {advice}", answer.status), is_retryable)
}

fn default_reason(status: u16) -> String {
    let known = http::StatusCode::from_u16(status).ok().and_then(|s| s.canonical_reason());
    known.unwrap_or("no reason given").to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::http_client::CaCertificates;
    use super::*;

    fn notice() -> Notification {
        Notification {
            commit: "4f1c".into(),
            action: "Batch".into(),
            sidecar_set: "log".into(),
            cluster: Some("prod-eu".into()),
            subject: "log: batch 2/3, logtail 1.4.2 -> 1.5.0".into(),
            body: "6 of 21 pods & more\n".into(),
            time: "2026-06-19T15:00:00Z".parse().unwrap(),
            url: Some("https://git.example/c/4f1c".into()),
        }
    }

    #[test]
    fn slack_gets_a_link_and_no_control_characters() {
        let text = notice().to_slack()["text"].as_str().unwrap().to_owned();
        assert_eq!(
            text,
            "<https://git.example/c/4f1c|log: batch 2/3, logtail 1.4.2 -&gt; 1.5.0> (prod-eu)\n6 of 21 pods &amp; more"
        );
        let plain = Notification { url: None, cluster: None, body: String::new(), ..notice() };
        assert_eq!(plain.to_slack()["text"], "*log: batch 2/3, logtail 1.4.2 -&gt; 1.5.0*");
    }

    #[test]
    fn plain_json_has_the_commit_as_its_id() {
        let value = notice().to_json();
        assert_eq!((&value["id"], &value["time"]), (&json!("4f1c"), &json!("2026-06-19T15:00:00Z")));
    }

    #[test]
    fn addresses_are_never_repeated() {
        let client = || HttpClient::new(NOTIFY_TIMEOUT, &CaCertificates::default());
        let wrong = Notifier::new(client(), None, Some("hooks.example/s3cr3t")).unwrap_err();
        assert!(wrong.contains(SLACK_URL_VAR) && !wrong.contains("s3cr3t"), "{wrong}");
        let told = Notifier::new(client(), Some("http://127.0.0.1:1/s3cr3t"), Some(" ")).unwrap();
        let undelivered = told.send(&told.receivers()[0], &notice()).unwrap_err();
        assert!(undelivered.is_retryable);
        let said = undelivered.to_string();
        assert!(
            said.starts_with("the webhook at 127.0.0.1 did not take") && !said.contains("s3cr3t"),
            "{said}"
        );
        assert!(!format!("{told:?}").contains("s3cr3t"));
    }
}
