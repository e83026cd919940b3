//! `securityContext` of a container.

use super::container::{int, one_of};
use super::format;
use super::report::{Report, Spot};
use crate::diag::Code;
use crate::model::sidecar_set::read::{inside, text, texts};
use crate::yaml::{Part, Path};
use serde_json::{Map, Value};

type Object = Map<String, Value>;

const PROFILES: [&str; 3] = ["Localhost", "RuntimeDefault", "Unconfined"];
/// The longest path of an AppArmor profile.
const MOST_PROFILE_BYTES: usize = 4095;
const MOST_CREDENTIAL_BYTES: usize = 64 * 1024;

/// Checks the security context of a container.
pub(super) fn check(report: &mut Report<'_>, container: &Object, at: &Spot) {
    let Some(context) = inside(container, "securityContext") else { return };
    let at = at.child("securityContext");
    for key in ["runAsUser", "runAsGroup"] {
        if !(0..=i64::from(i32::MAX)).contains(&int(context, key)) {
            report.invalid(&at.child(key), &int(context, key).to_string(), "must be from 0 to 2147483647");
        }
    }
    one_of(report, context, "procMount", &at, &["Default", "Unmasked"]);
    if text(context, "procMount") == Some("Unmasked") {
        report.invalid(&at.child("procMount"), "Unmasked", "goes with pods of `hostUsers: false` only");
    }
    escalation(report, context, &at);
    if let Some(profile) = inside(context, "seccompProfile") {
        seccomp(report, profile, &at.child("seccompProfile"));
    }
    if let Some(profile) = inside(context, "appArmorProfile") {
        app_armor(report, profile, &at.child("appArmorProfile"));
    }
    if let Some(options) = inside(context, "windowsOptions") {
        windows(report, options, &at.child("windowsOptions"));
    }
}

fn escalation(report: &mut Report<'_>, context: &Object, at: &Spot) {
    let flag = |key: &str| context.get(key).and_then(Value::as_bool);
    if flag("allowPrivilegeEscalation") != Some(false) {
        return;
    }
    let adds = inside(context, "capabilities").is_some_and(|c| texts(c, "add").any(|c| c == "CAP_SYS_ADMIN"));
    for (is_set, what) in [(flag("privileged") == Some(true), "`privileged: true`"), (adds, "CAP_SYS_ADMIN")]
    {
        if is_set {
            let message = format!("`allowPrivilegeEscalation: false` and {what} contradict each other");
            let spot = at.child("allowPrivilegeEscalation").called(&at.field);
            report.error(Code::InvalidValue, &spot, Part::Key, message, "keep one of the two");
        }
    }
}

fn profile_type(report: &mut Report<'_>, profile: &Object, at: &Spot) {
    match text(profile, "type").unwrap_or_default() {
        "" => report.required(&at.child("type"), "write `type: RuntimeDefault`, or another type"),
        kind if !PROFILES.contains(&kind) => report.unsupported(&at.child("type"), kind, &PROFILES),
        _ => {}
    }
}

fn seccomp(report: &mut Report<'_>, profile: &Object, at: &Spot) {
    profile_type(report, profile, at);
    let spot = at.child("localhostProfile");
    match (text(profile, "type") == Some("Localhost"), text(profile, "localhostProfile")) {
        (true, None) => report.required(&spot, "name the profile"),
        (true, Some(path)) => {
            if let Some(rule) = format::descending_path(path) {
                report.invalid(&spot, path, rule);
            }
        }
        (false, Some(_)) => report.forbidden(&spot, "goes with `type: Localhost` only"),
        (false, None) => {}
    }
}

fn app_armor(report: &mut Report<'_>, profile: &Object, at: &Spot) {
    profile_type(report, profile, at);
    let spot = at.child("localhostProfile");
    match (text(profile, "type").unwrap_or_default(), text(profile, "localhostProfile")) {
        ("Localhost", None | Some("")) => report.required(&spot, "name the profile"),
        ("Localhost", Some(path)) if path != path.trim() => {
            report.invalid(&spot, path, "must not begin or end with blanks");
        }
        ("Localhost", Some(path)) if path.len() > MOST_PROFILE_BYTES => {
            report.invalid(&spot, path, "must have at most 4095 bytes");
        }
        ("RuntimeDefault" | "Unconfined", Some(_)) => {
            report.forbidden(&spot, "goes with `type: Localhost` only")
        }
        _ => {}
    }
}

fn windows(report: &mut Report<'_>, options: &Object, at: &Spot) {
    if let Some(name) = text(options, "gmsaCredentialSpecName")
        && let Some(rule) = format::dns_subdomain(name)
    {
        report.invalid(&at.child("gmsaCredentialSpecName"), name, rule);
    }
    if text(options, "gmsaCredentialSpec").is_some_and(|s| s.is_empty() || s.len() > MOST_CREDENTIAL_BYTES) {
        report.invalid(&at.child("gmsaCredentialSpec"), "", "must have from 1 to 65536 bytes");
    }
    if let Some(name) = text(options, "runAsUserName")
        && let Some(rule) = windows_user(name)
    {
        report.invalid(&at.child("runAsUserName"), name, rule);
    }
    if options.get("hostProcess").and_then(Value::as_bool) == Some(true) {
        let spot =
            Spot { path: at.child("hostProcess").path, field: Path::dotted("spec.hostNetwork").to_string() };
        report.error(
            Code::ForbiddenField,
            &spot,
            Part::Key,
            "`hostProcess` goes with pods of `hostNetwork: true` only, which a SidecarSet cannot ask for"
                .into(),
            "remove it",
        );
    }
}

/// Checks `[DOMAIN\]USER`.
fn windows_user(name: &str) -> format::Rule {
    let (domain, user) = match name.split_once('\\') {
        Some((domain, user)) => (Some(domain), user),
        None => (None, name),
    };
    let is_bad_domain = |d: &str| d.len() >= 256 || !(is_net_bios(d) || is_dns_domain(d));
    let is_bad_user = user.is_empty()
        || user.len() > 104
        || user.chars().all(|c| c == '.' || c == ' ')
        || user.contains(|c: char| "\"/\\:;|=,+*?<>@[]".contains(c));
    let is_bad =
        name.contains(|c: char| c.is_ascii_control()) || is_bad_user || domain.is_some_and(is_bad_domain);
    is_bad.then_some("must be `USER` or `DOMAIN\\USER`, without special characters")
}

fn is_net_bios(domain: &str) -> bool {
    let count = domain.chars().count();
    (1..=15).contains(&count) && !domain.starts_with('.') && !domain.contains(|c| "\\/:*?\"<>|".contains(c))
}

fn is_dns_domain(domain: &str) -> bool {
    domain.split('.').all(|label| {
        let is_good = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
        (1..=63).contains(&label.len())
            && label.bytes().all(is_good)
            && !label.starts_with('-')
            && !label.ends_with('-')
    })
}
