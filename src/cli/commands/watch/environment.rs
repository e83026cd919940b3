//! Builds the environment of a watcher from flags and variables: webhooks, the check, the git provider.

use super::WatchArgs;
use crate::cli::clock;
use crate::cli::error::CommandError;
use crate::cli::repository::RepoContext;
use crate::watch::check::BatchCheck;
use crate::watch::http_client::{CaCertificates, HttpClient, SecretUrl};
use crate::watch::notifier::{NOTIFY_TIMEOUT, Notifier, SLACK_URL_VAR, WEBHOOK_URL_VAR};
use crate::watch::providers::{
    API_URL_VAR, PROVIDER_TIMEOUT, ProviderSettings, PullRequestProvider, connect,
};
use crate::watch::real_environment::RealEnvironment;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::Path;

/// Builds the environment of a watcher, without its clusters.
pub(super) fn build_environment(
    args: &WatchArgs,
    context: &RepoContext,
) -> Result<RealEnvironment, CommandError> {
    let usage = |text: String| CommandError::usage(text);
    let certificates = ca_certificates(args.ca_file.as_deref())?;
    let client = |timeout| HttpClient::new(timeout, &certificates);
    let variable = |name: &str| std::env::var(name).ok();
    let (webhook, slack) = (variable(WEBHOOK_URL_VAR), variable(SLACK_URL_VAR));
    let notifier = Notifier::new(client(NOTIFY_TIMEOUT), webhook.as_deref(), slack.as_deref());
    // A variable that is set to nothing is not set.
    let check_url = args.check_url.as_deref().filter(|url| !url.trim().is_empty());
    let check = match (&args.check_command, check_url) {
        (Some(_), Some(_)) => {
            return Err(usage("a program and an address are to be asked: keep --check-command or --check-url (PILLION_CHECK_URL)".to_owned()));
        }
        (Some(program), None) => Some(BatchCheck::Command {
            program: program.clone(),
            args: args.check_args.clone(),
            timeout: args.check_timeout,
        }),
        (None, Some(url)) => Some(BatchCheck::Url {
            address: SecretUrl::parse(url).map_err(|why| usage(format!("--check-url: {why}")))?,
            client: client(args.check_timeout),
        }),
        (None, None) => None,
    };
    let provider = match args.pull_request {
        true => Some(connect_with(context, args.provider_url.as_deref(), &certificates)?),
        false => None,
    };
    let notifier = Some(notifier.map_err(usage)?);
    let mut environment = RealEnvironment::new(BTreeMap::new(), clock::now);
    (environment.notifier, environment.check, environment.provider) = (notifier, check, provider);
    Ok(environment)
}

/// Returns the git provider of the remote, for a command without flags for it: the variables of the flags of `watch`
/// count.
pub(in crate::cli) fn connect_provider(
    context: &RepoContext,
) -> Result<Box<dyn PullRequestProvider>, CommandError> {
    let certificates = ca_certificates(std::env::var_os("SSL_CERT_FILE").as_deref())?;
    let url = std::env::var(API_URL_VAR).ok();
    connect_with(context, url.as_deref(), &certificates)
}

fn connect_with(
    context: &RepoContext,
    api_url: Option<&str>,
    certificates: &CaCertificates,
) -> Result<Box<dyn PullRequestProvider>, CommandError> {
    let settings = ProviderSettings {
        remote: &remote_url(context),
        provider: context.branches.provider,
        api_url,
        variable: &|name| std::env::var(name).ok(),
    };
    connect(HttpClient::new(PROVIDER_TIMEOUT, certificates), &settings)
        .map_err(|failure| CommandError::usage(failure.to_string()))
}

/// Returns the certificates of a PEM file; an empty name is none.
fn ca_certificates(file: Option<&OsStr>) -> Result<CaCertificates, CommandError> {
    let Some(file) = file.filter(|file| !file.is_empty()).map(Path::new) else {
        return Ok(CaCertificates::default());
    };
    let read =
        fs::read(file).map_err(|error| error.to_string()).and_then(|pem| CaCertificates::from_pem(&pem));
    read.map_err(|reason| {
        CommandError::usage(format!(
            "--ca-file: `{}`: {reason}: name a PEM file with certificates",
            file.display()
        ))
    })
}

/// Returns the URL of the remote; empty: there is none.
pub(super) fn remote_url(context: &RepoContext) -> String {
    context.repository.remote_url(&context.branches.remote).unwrap_or_default()
}
