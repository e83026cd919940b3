//! Pull requests on scripted servers of every provider: the same contract for all, in the words of each API.

mod bitbucket;
mod gitea;
mod github;
mod gitlab;

use crate::support::scripted_servers::{Answer, Scripted, json as answer};
use pillion::model::config::GitProvider;
use pillion::watch::http_client::{CaCertificates, HttpClient};
use pillion::watch::providers::{
    OpenPullRequest, PROVIDER_TIMEOUT, ProviderError, ProviderSettings, PullRequest, PullRequestChange,
    PullRequestInfo, PullRequestProvider, PullRequestState, connect,
};
use serde_json::{Value, json};
use std::time::Duration;

const HEAD: &str = "pillion/next/log/main";
const BODY: &str = "The commit:\n\n```text\nlog: batch 2/3\n\n6 of 21 pods.\n\nPillion-Batch: 2/3";

/// A pull request as a server has it.
struct Stored {
    number: u64,
    title: String,
    body: String,
    state: PullRequestState,
    head: &'static str,
    /// It comes from another repository.
    is_from_fork: bool,
}

impl Stored {
    fn new(title: &str, body: &str) -> Self {
        let (title, body, state) = (title.to_owned(), body.to_owned(), PullRequestState::Open);
        Self { number: 7, title, body, state, head: HEAD, is_from_fork: false }
    }
}

/// How a provider says what the contract is about.
struct Dialect {
    provider: GitProvider,
    label: &'static str,
    remote: &'static str,
    /// The API's path on the scripted server.
    api_path: &'static str,
    authorization: &'static str,
    web_address: &'static str,
    item: fn(&Stored) -> Value,
    /// A page of a list; `has_more`: there is another one.
    page: fn(Vec<Value>, bool) -> Value,
    /// How many pages are read until it is known that there are no more.
    pages_to_end: usize,
    /// Items of a page that is full.
    page_size: usize,
    /// Requests: the list of open ones, the second page of all, the creation with its body, the change with its body.
    list_open: &'static str,
    list_all_second: &'static str,
    create: (&'static str, fn() -> Value),
    update: (&'static str, fn() -> Value),
    updated_status: u16,
    /// Requests of a close with the given reason, and the answers to them.
    close: fn() -> Vec<(&'static str, Value, Answer)>,
    already_there: fn() -> Answer,
    /// An error's body with a message.
    error: fn(&str) -> Value,
    permission: &'static str,
}

fn dialects() -> [Dialect; 6] {
    [
        github::dialect(),
        gitlab::dialect(),
        gitea::dialect(),
        gitea::forgejo(),
        bitbucket::cloud(),
        bitbucket::data_center(),
    ]
}

impl Dialect {
    fn connect(&self, server: &Scripted) -> Box<dyn PullRequestProvider> {
        let client = HttpClient::new(PROVIDER_TIMEOUT, &CaCertificates::default());
        let settings = ProviderSettings {
            remote: self.remote,
            provider: Some(self.provider),
            api_url: Some(&format!("{}{}", server.url(), self.api_path)),
            variable: &|name| (name == "PILLION_PROVIDER_TOKEN").then(|| "s3cr3t".to_owned()),
        };
        connect(client, &settings).unwrap()
    }

    fn list(&self, items: Vec<Value>) -> Answer {
        answer(200, (self.page)(items, false))
    }

    /// The answers to a list that has nothing.
    fn nothing(&self) -> Vec<Answer> {
        vec![self.list(vec![]); self.pages_to_end]
    }

    fn opened(&self, change: PullRequestChange) -> OpenPullRequest {
        OpenPullRequest { number: 7, url: self.web_address.to_owned(), change }
    }

    /// Opens a pull request on a server with these answers.
    fn open(&self, answers: impl IntoIterator<Item = Answer>) -> Result<OpenPullRequest, ProviderError> {
        let server = Scripted::new(answers);
        let opened = self.connect(&server).open_or_update(&wanted());
        server.asked();
        if let Err(error) = &opened {
            assert!(!error.message.contains("s3cr3t"), "{error}");
        }
        opened
    }

    /// The error of a creation that is answered so.
    fn refusal(&self, status: u16, headers: &[(&'static str, &'static str)], body: &Value) -> ProviderError {
        let refused = (status, headers.to_vec(), body.to_string());
        self.open(self.nothing().into_iter().chain([refused])).unwrap_err()
    }
}

fn wanted() -> PullRequest {
    PullRequest::from_message(HEAD, "main", "log: batch 2/3\n\n6 of 21 pods.\n\nPillion-Batch: 2/3\n")
}

#[test]
fn a_commit_is_one_pull_request_that_is_kept_up_to_date() {
    for dialect in dialects() {
        let stored = |title: &str, body: &str| (dialect.item)(&Stored::new(title, body));
        let same = stored("log: batch 2/3", &BODY.replace('\n', "\r\n"));
        let mut answers = dialect.nothing();
        answers.extend([
            answer(201, stored("log: batch 2/3", BODY)),
            dialect.list(vec![stored("log: batch 1/3", "old")]),
            answer(dialect.updated_status, json!({})),
            dialect.list(vec![same]),
        ]);
        let server = Scripted::new(answers);
        let provider = dialect.connect(&server);
        let reference = if dialect.label == "GitLab" { "merge request !7" } else { "pull request #7" };
        assert_eq!(provider.reference(7), reference);
        for change in [PullRequestChange::Created, PullRequestChange::Updated, PullRequestChange::Unchanged] {
            assert_eq!(provider.open_or_update(&wanted()), Ok(dialect.opened(change)));
        }
        let (asked, list) = (server.asked(), format!("GET {}{}", dialect.api_path, dialect.list_open));
        let at = |request: (&str, fn() -> Value)| {
            let (method, path) = request.0.split_once(' ').unwrap();
            (format!("{method} {}{path}", dialect.api_path), request.1())
        };
        let (create, update) = (at(dialect.create), at(dialect.update));
        assert_eq!(asked[0].line, list);
        let rest: Vec<&str> = asked[dialect.pages_to_end..].iter().map(|a| a.line.as_str()).collect();
        assert_eq!(rest, [create.0.as_str(), &list, &update.0, &list]);
        assert_eq!(asked[dialect.pages_to_end].json(), create.1);
        assert_eq!(asked[dialect.pages_to_end + 2].json(), update.1);
        assert!(asked.iter().all(|a| a.header("authorization") == dialect.authorization));
    }
}

#[test]
fn another_process_that_was_faster_is_no_second_pull_request() {
    for dialect in dialects() {
        let existing = dialect.list(vec![(dialect.item)(&Stored::new("log: batch 2/3", BODY))]);
        let answers = dialect.nothing().into_iter().chain([(dialect.already_there)()]);
        let opened = dialect.open(answers.clone().chain([existing]));
        assert_eq!(opened, Ok(dialect.opened(PullRequestChange::Unchanged)), "{}", dialect.label);
        let error = dialect.open(answers.chain(dialect.nothing())).unwrap_err();
        assert!(error.is_retryable && error.message.contains("but lists none"), "{error}");
    }
}

#[test]
fn a_pull_request_is_found_whatever_its_state() {
    for dialect in dialects() {
        let states = [PullRequestState::Open, PullRequestState::Merged, PullRequestState::Declined];
        let items = states.map(|state| (dialect.item)(&Stored { state, ..Stored::new("t", "b") }));
        let mut answers: Vec<Answer> = items.map(|item| dialect.list(vec![item])).into();
        answers.extend(dialect.nothing());
        let server = Scripted::new(answers);
        let provider = dialect.connect(&server);
        for state in states {
            let (url, head) = (dialect.web_address.to_owned(), "4f1c".to_owned());
            let found = PullRequestInfo { number: 7, url, head, state };
            assert_eq!(provider.find(HEAD, "main"), Ok(Some(found)), "{}", dialect.label);
        }
        assert_eq!(provider.find(HEAD, "main"), Ok(None), "{}", dialect.label);
        server.asked();
    }
}

#[test]
fn others_are_passed_over_until_the_last_page() {
    for dialect in dialects() {
        let other = (dialect.item)(&Stored { head: "feature", ..Stored::new("t", "b") });
        let fork = (dialect.item)(&Stored { is_from_fork: true, number: 8, ..Stored::new("t", "b") });
        let mut first = vec![other; dialect.page_size - 1];
        first.push(fork);
        let server = Scripted::new([
            answer(200, (dialect.page)(first, true)),
            dialect.list(vec![(dialect.item)(&Stored::new("t", "b"))]),
        ]);
        let found = dialect.connect(&server).find(HEAD, "main").unwrap().unwrap();
        assert_eq!(found.number, 7, "{}", dialect.label);
        assert_eq!(server.lines()[1], format!("GET {}{}", dialect.api_path, dialect.list_all_second));
    }
}

#[test]
fn closing_says_why() {
    for dialect in dialects() {
        let requests = (dialect.close)();
        let server = Scripted::new(requests.iter().map(|(_, _, answer)| answer.clone()));
        dialect.connect(&server).close(7, "the rollout was paused").unwrap();
        for (asked, (line, body, _)) in server.asked().iter().zip(&requests) {
            let (method, path) = line.split_once(' ').unwrap();
            assert_eq!(asked.line, format!("{method} {}{path}", dialect.api_path));
            let sent = if asked.body.is_empty() { Value::Null } else { asked.json() };
            assert_eq!(sent, *body, "{}", dialect.label);
        }
    }
}

#[test]
fn refusals_say_what_to_do() {
    for dialect in dialects() {
        let label = dialect.label;
        let rows: [(u16, &str, bool, String); 8] = [
            (401, "Bad credentials", false, "set PILLION_PROVIDER_TOKEN to a valid one".to_owned()),
            (403, "Forbidden", false, dialect.permission.to_owned()),
            (404, "Not Found", false, format!("{label} has no repository ")),
            (307, "Moved", false, "git remote set-url".to_owned()),
            (500, "Server Error", true, "a retry may succeed".to_owned()),
            (422, "head invalid", true, "does not know the head branch".to_owned()),
            (422, "main is protected", false, "a rule of the repository blocks the pull request".to_owned()),
            (418, "tea", false, format!("{label} refused the request with status 418 (tea)")),
        ];
        for (status, message, is_retryable, text) in rows {
            let error = dialect.refusal(status, &[], &(dialect.error)(message));
            assert!(error.message.contains(&text), "{status}: {error}");
            assert_eq!(error.is_retryable, is_retryable, "{error}");
        }
        let limit = dialect.refusal(429, &[("retry-after", "17")], &(dialect.error)("slow down"));
        assert_eq!((limit.is_retryable, limit.retry_after), (true, Some(Duration::from_secs(17))), "{limit}");
        let untimed = dialect.refusal(429, &[], &json!({}));
        assert_eq!((untimed.is_retryable, untimed.retry_after), (true, Some(Duration::from_secs(60))));
        let hostile = dialect.refusal(418, &[], &(dialect.error)("a\u{1b}[31m\n\u{202e}b"));
        assert!(!hostile.message.contains(['\u{1b}', '\n', '\u{202e}']), "{hostile:?}");
    }
}

#[test]
fn what_is_another_server_is_said() {
    for dialect in dialects() {
        for body in ["<html>a wiki</html>", "{}", "[1]", "null"] {
            if body == "[1]" && (dialect.page)(vec![], false).is_array() {
                continue;
            }
            let server = Scripted::new([(200, vec![], body.to_owned())]);
            let error = dialect.connect(&server).find(HEAD, "main").unwrap_err();
            let text = format!("does not answer as {}'s API: set PILLION_PROVIDER_URL", dialect.label);
            assert!(error.message.contains(&text) && !error.is_retryable, "{body}: {error}");
        }
    }
}
