//! The report of `pillion doctor`: groups of checks with marks, and the verdict.

use super::{CheckState, DoctorCheck};
use crate::diagnostics::pluralize;
use crate::model::api::PILLION_API_VERSION;
use serde_json::{Value, json};
use std::fmt::Write as _;

/// The checks by group, in the order in which they were made.
#[derive(Debug, Default)]
pub(super) struct DoctorReport {
    groups: Vec<(&'static str, Vec<DoctorCheck>)>,
}

impl DoctorReport {
    /// Adds a group; one without checks is left out.
    pub(super) fn add(&mut self, name: &'static str, checks: Vec<DoctorCheck>) {
        if !checks.is_empty() {
            self.groups.push((name, checks));
        }
    }

    /// Returns the number of checks in a state.
    pub(super) fn count(&self, state: CheckState) -> usize {
        self.groups.iter().flat_map(|(_, checks)| checks).filter(|check| check.state == state).count()
    }

    /// Returns the verdict in one line.
    pub(super) fn verdict(&self) -> String {
        let all: usize = self.groups.iter().map(|(_, checks)| checks.len()).sum();
        let (errors, warnings) = (self.count(CheckState::Error), self.count(CheckState::Warning));
        let number = |n: usize, word: &str| pluralize(n as u64, word);
        match (errors, warnings) {
            (0, 0) => format!("{} found no problem", number(all, "check")),
            (0, n) => format!("{} found {}: rollouts work", number(all, "check"), number(n, "warning")),
            (1, 0) => format!("{} found 1 error: fix it first", number(all, "check")),
            (n, 0) => format!("{} found {}: fix them first", number(all, "check"), number(n, "error")),
            (n, m) => format!(
                "{} found {} and {}: fix the errors first",
                number(all, "check"),
                number(n, "error"),
                number(m, "warning")
            ),
        }
    }

    /// Returns the report for people.
    pub(super) fn to_text(&self) -> String {
        let mut text = String::new();
        for (name, checks) in &self.groups {
            let _ = writeln!(text, "{name}");
            for check in checks {
                let _ = writeln!(text, "  {} {}: {}", mark(check.state), check.about, check.message);
                if let Some(help) = &check.help {
                    let _ = writeln!(text, "      {help}");
                }
            }
            text.push('\n');
        }
        let _ = writeln!(text, "{} {}", mark(self.worst()), self.verdict());
        text
    }

    /// Returns the report as JSON.
    pub(super) fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(&self.to_value()).expect("texts always serialize");
        text.push('\n');
        text
    }

    fn to_value(&self) -> Value {
        let item = |group: &str, c: &DoctorCheck| json!({"group": group, "state": state_name(c.state), "about": c.about, "message": c.message, "help": c.help});
        let items: Vec<Value> =
            self.groups.iter().flat_map(|(group, checks)| checks.iter().map(|c| item(group, c))).collect();
        json!({
            "apiVersion": PILLION_API_VERSION,
            "kind": "Doctor",
            "verdict": {
                "state": state_name(self.worst()),
                "errors": self.count(CheckState::Error),
                "warnings": self.count(CheckState::Warning),
            },
            "items": items,
        })
    }

    /// Returns the worst state; a note is as good as none.
    fn worst(&self) -> CheckState {
        let has = |state| self.count(state) > 0;
        match () {
            () if has(CheckState::Error) => CheckState::Error,
            () if has(CheckState::Warning) => CheckState::Warning,
            () => CheckState::Ok,
        }
    }
}

fn mark(state: CheckState) -> &'static str {
    match state {
        CheckState::Ok => "√",
        CheckState::Note => "·",
        CheckState::Warning => "‼",
        CheckState::Error => "×",
    }
}

fn state_name(state: CheckState) -> &'static str {
    match state {
        CheckState::Ok => "ok",
        CheckState::Note => "note",
        CheckState::Warning => "warning",
        CheckState::Error => "error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verdict_counts_errors_and_warnings_and_names_no_empty_group() {
        let mut report = DoctorReport::default();
        report.add("empty", Vec::new());
        report.add("git", vec![DoctorCheck::new(CheckState::Ok, "HEAD", "branch `main`")]);
        assert_eq!(report.to_text(), "git\n  √ HEAD: branch `main`\n\n√ 1 check found no problem\n");
        report.add(
            "remote",
            vec![DoctorCheck::new(CheckState::Warning, "main", "is behind").help("`git pull`")],
        );
        assert!(report.to_text().ends_with(
            "remote\n  ‼ main: is behind\n      `git pull`\n\n‼ 2 checks found 1 warning: rollouts work\n"
        ));
        report.add("CI", vec![DoctorCheck::new(CheckState::Error, "x", "y")]);
        assert_eq!(report.verdict(), "3 checks found 1 error and 1 warning: fix the errors first");
        let json: Value = serde_json::from_str(&report.to_json()).unwrap();
        assert_eq!(json["verdict"]["state"], "error");
        assert_eq!(json["items"][1]["group"], "remote");
    }
}
