//! Checks `securityContext` of a container.

use super::fields::check_one_of;
use super::format;
use super::report::{FieldRef, ValidationReport};
use crate::diagnostics::Code;
use crate::model::json::{JsonObject, bool_at, int_at, object_at, string_at, strings_at, text_at};
use crate::yaml::EntryPart;
use serde_json::Value;

/// The maximum length of the path of an AppArmor profile.
const MAX_PROFILE_BYTES: usize = 4095;
const MAX_CREDENTIAL_BYTES: usize = 64 * 1024;

/// Checks the security context of a container.
pub(super) fn check(report: &mut ValidationReport<'_>, container: &JsonObject, at: &FieldRef) {
    let Some(context) = object_at(container, "securityContext") else { return };
    let at = at.child("securityContext");
    for key in ["runAsUser", "runAsGroup"] {
        report.check_range(&at.child(key), int_at(context, key), 0..=i64::from(i32::MAX));
    }
    check_one_of(report, context, "procMount", &at);
    if string_at(context, "procMount") == Some("Unmasked") {
        report.invalid(&at.child("procMount"), "Unmasked", "is allowed only in pods with `hostUsers: false`");
    }
    check_escalation(report, context, &at);
    if let Some(profile) = object_at(context, "seccompProfile") {
        check_seccomp(report, profile, &at.child("seccompProfile"));
    }
    if let Some(profile) = object_at(context, "appArmorProfile") {
        check_app_armor(report, profile, &at.child("appArmorProfile"));
    }
    if let Some(options) = object_at(context, "windowsOptions") {
        check_windows(report, options, &at.child("windowsOptions"));
    }
}

fn check_escalation(report: &mut ValidationReport<'_>, context: &JsonObject, at: &FieldRef) {
    let flag = |key: &str| context.get(key).and_then(Value::as_bool);
    if flag("allowPrivilegeEscalation") != Some(false) {
        return;
    }
    let adds = object_at(context, "capabilities")
        .is_some_and(|c| strings_at(c, "add").any(|c| c == "CAP_SYS_ADMIN"));
    for (is_set, what) in [(flag("privileged") == Some(true), "`privileged: true`"), (adds, "CAP_SYS_ADMIN")]
    {
        if is_set {
            let message = format!("`allowPrivilegeEscalation: false` contradicts {what}");
            let field = at.child("allowPrivilegeEscalation").reported_as(&at.reported_path);
            report.error(Code::InvalidValue, &field, EntryPart::Key, message, "keep one of the two");
        }
    }
}

fn check_profile_type(report: &mut ValidationReport<'_>, profile: &JsonObject, at: &FieldRef) {
    match text_at(profile, "type") {
        "" => report.required(&at.child("type"), "write `type: RuntimeDefault` or another type"),
        _ => check_one_of(report, profile, "type", at),
    }
}

fn check_seccomp(report: &mut ValidationReport<'_>, profile: &JsonObject, at: &FieldRef) {
    check_profile_type(report, profile, at);
    let field = at.child("localhostProfile");
    match (string_at(profile, "type") == Some("Localhost"), string_at(profile, "localhostProfile")) {
        (true, None) => report.required(&field, "write the name of the profile"),
        (true, Some(path)) => {
            report.check_format(&field, path, format::check_descending_path(path));
        }
        (false, Some(_)) => report.forbidden(&field, "is allowed only with `type: Localhost`"),
        (false, None) => {}
    }
}

fn check_app_armor(report: &mut ValidationReport<'_>, profile: &JsonObject, at: &FieldRef) {
    check_profile_type(report, profile, at);
    let field = at.child("localhostProfile");
    match (text_at(profile, "type"), string_at(profile, "localhostProfile")) {
        ("Localhost", None | Some("")) => report.required(&field, "write the name of the profile"),
        ("Localhost", Some(path)) if path != path.trim() => {
            report.invalid(&field, path, "must not begin or end with whitespace");
        }
        ("Localhost", Some(path)) if path.len() > MAX_PROFILE_BYTES => {
            report.invalid(&field, path, "must have at most 4095 bytes");
        }
        ("RuntimeDefault" | "Unconfined", Some(_)) => {
            report.forbidden(&field, "is allowed only with `type: Localhost`")
        }
        _ => {}
    }
}

fn check_windows(report: &mut ValidationReport<'_>, options: &JsonObject, at: &FieldRef) {
    if let Some(name) = string_at(options, "gmsaCredentialSpecName")
        && let Some(rule) = format::check_dns_subdomain(name)
    {
        report.invalid(&at.child("gmsaCredentialSpecName"), name, rule);
    }
    if string_at(options, "gmsaCredentialSpec")
        .is_some_and(|s| s.is_empty() || s.len() > MAX_CREDENTIAL_BYTES)
    {
        report.invalid(&at.child("gmsaCredentialSpec"), "", "must have from 1 to 65536 bytes");
    }
    if let Some(name) = string_at(options, "runAsUserName")
        && let Some(rule) = check_windows_user(name)
    {
        report.invalid(&at.child("runAsUserName"), name, rule);
    }
    if bool_at(options, "hostProcess") {
        let field = at.child("hostProcess").reported_as("spec.hostNetwork");
        report.error(
            Code::ForbiddenField,
            &field,
            EntryPart::Key,
            "`hostProcess` is allowed only in pods with `hostNetwork: true`, which a SidecarSet cannot set"
                .into(),
            "remove it",
        );
    }
}

/// Checks `[DOMAIN\]USER`.
fn check_windows_user(name: &str) -> format::FormatViolation {
    let (domain, user) = match name.split_once('\\') {
        Some((domain, user)) => (Some(domain), user),
        None => (None, name),
    };
    let is_bad_domain = |d: &str| d.len() >= 256 || !(is_netbios_domain(d) || is_dns_domain(d));
    let is_bad_user = user.is_empty()
        || user.len() > 104
        || user.chars().all(|c| c == '.' || c == ' ')
        || user.contains(|c: char| "\"/\\:;|=,+*?<>@[]".contains(c));
    let is_bad =
        name.contains(|c: char| c.is_ascii_control()) || is_bad_user || domain.is_some_and(is_bad_domain);
    is_bad.then_some("must be `USER` or `DOMAIN\\USER`, without special characters")
}

fn is_netbios_domain(domain: &str) -> bool {
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
