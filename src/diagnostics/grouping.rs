//! Groups diagnostics that have the same cause, so that one mistake is one message however many workloads it reaches.
//!
//! Grouping changes what people read and nothing else: exit codes, `short` and `json` are about single diagnostics.

use super::{Code, Diagnostic, Severity, Span, format_count, pluralize};
use std::collections::{BTreeMap, BTreeSet};

/// Places of a group that are printed.
const MAX_SHOWN_PLACES: usize = 3;

/// Diagnostics with the same cause, of which the first stands for all.
#[derive(Debug)]
pub(crate) struct DiagnosticGroup<'a> {
    first: &'a Diagnostic,
    others: Vec<&'a Diagnostic>,
}

/// A place: file, line and column.
type Location<'a> = (&'a str, usize, usize);

/// What diagnostics with the same cause have in common, by code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CauseKind {
    /// The code: one command corrects all of them.
    Code,
    /// A place in a SidecarSet or a configuration that is wrong for many workloads.
    Place,
    /// The message.
    Message,
}

fn cause_kind(code: Code) -> CauseKind {
    match code {
        Code::FolderSkipped
        | Code::UnmanagedManifest
        | Code::NamespaceUnspecified
        | Code::AutoscalerWithoutRequest
        | Code::NotUpToDate
        | Code::QosClassLowered
        | Code::SymlinkSkipped
        | Code::TemplateNotPlanned
        | Code::WorkloadExceedsMaxUnavailable => CauseKind::Code,
        Code::AnnotationNotJson
        | Code::CannotBeNative
        | Code::ContainerNameInBothLists
        | Code::ContainerNameTaken
        | Code::InitBeforeApp
        | Code::JobNeverCompletes
        | Code::LaunchOrderCycle
        | Code::LaunchOrderImpossible
        | Code::LaunchOrderUnknown
        | Code::NamespaceLabelsUnknown
        | Code::OverrideConflict
        | Code::PatchNotJson
        | Code::PercentageByWorkload
        | Code::ResourcesExpression
        | Code::ResourcesLimitLeftOut
        | Code::ResourcesNoTarget
        | Code::ResourcesPlainNumber
        | Code::RevisionNotFound
        | Code::SharesTokenMount
        | Code::TransferEnvMissing
        | Code::VolumeNotDefined => CauseKind::Place,
        _ => CauseKind::Message,
    }
}

/// What the diagnostics of a group have in common.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Cause<'a> {
    /// The code.
    Code,
    /// A place in a SidecarSet or a configuration.
    Place(Location<'a>),
    /// The message of an error, else its first operand.
    Text(&'a str),
}

/// Groups diagnostics by severity, code and cause: notes first, errors last, each severity in the order given.
pub(crate) fn group_by_cause(diagnostics: &[Diagnostic]) -> Vec<DiagnosticGroup<'_>> {
    let uses = count_locations(diagnostics);
    let mut indices = BTreeMap::new();
    let mut groups: Vec<DiagnosticGroup<'_>> = Vec::new();
    for diagnostic in diagnostics {
        let key = (diagnostic.severity, diagnostic.code, cause_of(diagnostic, &uses));
        let index = *indices.entry(key).or_insert(groups.len());
        match groups.get_mut(index) {
            Some(group) => group.others.push(diagnostic),
            None => groups.push(DiagnosticGroup { first: diagnostic, others: Vec::new() }),
        }
    }
    let mut groups: Vec<DiagnosticGroup<'_>> = groups.into_iter().flat_map(split_few_errors).collect();
    groups.sort_by_key(|group| std::cmp::Reverse(group.first.severity));
    groups
}

/// Returns a few errors with the same message one by one: each place has to be corrected.
fn split_few_errors(group: DiagnosticGroup<'_>) -> Vec<DiagnosticGroup<'_>> {
    let is_one_mistake = cause_kind(group.first.code) != CauseKind::Message;
    if !group.first.is_error() || is_one_mistake || group.len() > MAX_SHOWN_PLACES {
        return vec![group];
    }
    let all = std::iter::once(group.first).chain(group.others);
    all.map(|first| DiagnosticGroup { first, others: Vec::new() }).collect()
}

/// Returns the groups that are printed if at most `limit` are, errors first of all, and those that are left out; both in
/// the order given.
pub(crate) fn split_by_limit(
    groups: Vec<DiagnosticGroup<'_>>,
    limit: usize,
) -> (Vec<DiagnosticGroup<'_>>, Vec<DiagnosticGroup<'_>>) {
    let mut order: Vec<usize> = (0..groups.len()).collect();
    order.sort_by_key(|index| groups.get(*index).map(DiagnosticGroup::severity));
    let printed: BTreeSet<usize> = order.into_iter().take(limit).collect();
    let (printed, left_out): (Vec<_>, Vec<_>) =
        groups.into_iter().enumerate().partition(|(index, _)| printed.contains(index));
    let without_index = |groups: Vec<(usize, _)>| groups.into_iter().map(|(_, group)| group).collect();
    (without_index(printed), without_index(left_out))
}

/// Returns each diagnostic as a group of its own, in the same order.
pub(crate) fn ungrouped(diagnostics: &[Diagnostic]) -> Vec<DiagnosticGroup<'_>> {
    let mut groups: Vec<DiagnosticGroup<'_>> =
        diagnostics.iter().map(|first| DiagnosticGroup { first, others: Vec::new() }).collect();
    groups.sort_by_key(|group| std::cmp::Reverse(group.first.severity));
    groups
}

/// How many diagnostics of a code have a place.
type LocationUses<'a> = BTreeMap<(Code, Location<'a>), usize>;

fn count_locations(diagnostics: &[Diagnostic]) -> LocationUses<'_> {
    let mut uses = LocationUses::new();
    for diagnostic in diagnostics.iter().filter(|d| cause_kind(d.code) == CauseKind::Place) {
        for span in &diagnostic.spans {
            *uses.entry((diagnostic.code, location(span))).or_default() += 1;
        }
    }
    uses
}

fn cause_of<'a>(diagnostic: &'a Diagnostic, uses: &LocationUses<'a>) -> Cause<'a> {
    match cause_kind(diagnostic.code) {
        CauseKind::Code => Cause::Code,
        CauseKind::Place => {
            // The place in the SidecarSet is that which the diagnostics of many workloads share.
            let shared =
                diagnostic.spans.iter().map(location).max_by_key(|l| uses.get(&(diagnostic.code, *l)));
            shared.map_or_else(|| Cause::Text(first_operand(&diagnostic.message)), Cause::Place)
        }
        CauseKind::Message if diagnostic.is_error() => Cause::Text(&diagnostic.message),
        CauseKind::Message => Cause::Text(first_operand(&diagnostic.message)),
    }
}

fn location(span: &Span) -> Location<'_> {
    (&span.file, span.line, span.column)
}

/// Returns the first text in backquotes; the whole message where there is none.
fn first_operand(message: &str) -> &str {
    let mut parts = message.split('`');
    match (parts.next(), parts.next(), parts.next()) {
        (Some(_), Some(operand), Some(_)) => operand,
        _ => message,
    }
}

impl DiagnosticGroup<'_> {
    pub(crate) fn severity(&self) -> Severity {
        self.first.severity
    }

    /// Returns the number of diagnostics.
    fn len(&self) -> usize {
        1 + self.others.len()
    }

    /// Returns the first diagnostic, which names the others.
    pub(crate) fn to_diagnostic(&self) -> Diagnostic {
        let mut shown = self.first.clone();
        if self.others.is_empty() {
            return shown;
        }
        let is_one_place = self.others.iter().all(|other| other.spans.first() == self.first.spans.first());
        let count = match is_one_place {
            true => format!("and {} more", format_count(self.others.len())),
            false => count_places(self.len()),
        };
        shown.message = format!("{} ({count})", shown.message);
        let listed: Vec<String> =
            self.others.iter().take(MAX_SHOWN_PLACES - 1).map(|other| self.describe_other(other)).collect();
        let is_place = self.others.iter().take(listed.len()).all(|other| self.is_alike(other));
        let also = if is_place && !is_one_place { "also in" } else { "also" };
        let rest = self.others.len() - listed.len();
        shown.notes.push(match rest {
            0 => format!("{also} {}", listed.join(" and ")),
            _ => format!("{also} {} and {} more; `-v` shows all", listed.join(", "), format_count(rest)),
        });
        if rest > 0 {
            shown.notes.push(format!("`pillion explain {}` explains it", shown.code.name()));
        }
        shown
    }

    /// Returns whether the place says all about another diagnostic of the group.
    fn is_alike(&self, other: &Diagnostic) -> bool {
        other.message == self.first.message || cause_kind(self.first.code) != CauseKind::Message
    }

    /// Returns in what another diagnostic of the group differs: its place, its message or both.
    fn describe_other(&self, other: &Diagnostic) -> String {
        let place = other.spans.first().filter(|span| self.first.spans.first() != Some(*span));
        match place.map(ToString::to_string) {
            Some(place) if self.is_alike(other) => place,
            Some(place) => format!("{place}: {}", other.message),
            None => other.message.clone(),
        }
    }
}

fn count_places(n: usize) -> String {
    format!("{} places", format_count(n))
}

/// Counts groups for the last line: `1 error, 2 warnings in 1,387 places, 3 notes`; empty without groups.
pub(crate) fn summarize(groups: &[DiagnosticGroup<'_>]) -> String {
    let severities = [(Severity::Error, "error"), (Severity::Warning, "warning"), (Severity::Note, "note")];
    let count = |(severity, noun): (Severity, &str)| {
        let of: Vec<&DiagnosticGroup<'_>> = groups.iter().filter(|g| g.severity() == severity).collect();
        let places: usize = of.iter().map(|group| group.len()).sum();
        let causes = pluralize(of.len() as u64, noun);
        match places {
            0 => None,
            n if n == of.len() => Some(causes),
            n => Some(format!("{causes} in {}", count_places(n))),
        }
    };
    let counts: Vec<String> = severities.into_iter().filter_map(count).collect();
    counts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(mut diagnostic: Diagnostic, places: &[(&str, usize)]) -> Diagnostic {
        diagnostic.spans.extend(places.iter().map(|(file, line)| Span {
            line: *line,
            column: 3,
            width: 1,
            ..Span::whole_file(*file)
        }));
        diagnostic
    }

    fn missing(workload: usize, set_line: usize) -> Diagnostic {
        let message = format!("`log` gets no variable `TZ`: there is no container `app{workload}`");
        let file = format!("apps/{workload}.yaml");
        let diagnostic = Diagnostic::warning(Code::TransferEnvMissing, message);
        at(diagnostic, &[(&file, 4), ("sidecars/log.yaml", set_line)])
    }

    #[test]
    fn one_place_in_a_set_is_one_group() {
        let all: Vec<Diagnostic> = (0..1500).map(|i| missing(i, 7 + i % 2)).collect();
        let groups = group_by_cause(&all);
        assert_eq!(groups.len(), 2);
        let shown = groups[0].to_diagnostic();
        assert!(shown.message.ends_with("container `app0` (750 places)"), "{}", shown.message);
        assert_eq!(
            shown.notes,
            [
                "also in apps/2.yaml:4:3, apps/4.yaml:4:3 and 747 more; `-v` shows all",
                "`pillion explain transfer-env-missing` explains it"
            ]
        );
        assert_eq!(summarize(&groups), "2 warnings in 1,500 places");
    }

    #[test]
    fn different_errors_stay_apart_and_come_last() {
        let typo = |key: &str, line| {
            at(Diagnostic::error(Code::UnknownField, format!("unknown field `{key}`")), &[("set.yaml", line)])
        };
        let note = at(Diagnostic::note(Code::NotStagedYet, "`log` is not staged"), &[("z.yaml", 1)]);
        let mut all = vec![typo("a", 1), typo("b", 2), missing(1, 7), note];
        all.extend((7..10).map(|line| typo("a", line)));
        let groups = group_by_cause(&all);
        let messages: Vec<String> = groups.iter().map(|g| g.to_diagnostic().message).collect();
        let missing = "`log` gets no variable `TZ`: there is no container `app1`";
        assert_eq!(
            messages,
            ["`log` is not staged", missing, "unknown field `a` (4 places)", "unknown field `b`"]
        );
        let also = "also in set.yaml:7:3, set.yaml:8:3 and 1 more; `-v` shows all";
        assert_eq!(groups[2].to_diagnostic().notes[0], also);
        assert_eq!(summarize(&groups), "2 errors in 5 places, 1 warning, 1 note");
        assert_eq!(summarize(&ungrouped(&all)), "5 errors, 1 warning, 1 note");
        assert_eq!(group_by_cause(&[typo("a", 1), typo("a", 2)]).len(), 2);
    }

    #[test]
    fn messages_about_one_place_are_listed() {
        let unknown = |namespace: &str| {
            let message = format!("the labels of namespace `{namespace}` are unknown");
            at(Diagnostic::error(Code::NamespaceLabelsUnknown, message), &[("set.yaml", 5)])
        };
        let all = [unknown("data"), unknown("shop")];
        let groups = group_by_cause(&all);
        assert_eq!(groups.len(), 1);
        assert_eq!(groups[0].to_diagnostic().notes, ["also the labels of namespace `shop` are unknown"]);
    }

    #[test]
    fn a_limit_leaves_out_notes_and_warnings_first() {
        let note = |line| at(Diagnostic::note(Code::NotStagedYet, format!("`{line}`")), &[("a.yaml", line)]);
        let error = |line| at(Diagnostic::error(Code::WrongType, format!("`{line}`")), &[("b.yaml", line)]);
        let all = [note(1), note(2), note(3), error(1), error(2)];
        let (printed, left_out) = split_by_limit(group_by_cause(&all), 3);
        let lines = |groups: &[DiagnosticGroup<'_>]| -> Vec<String> {
            groups.iter().map(|g| g.to_diagnostic().message).collect()
        };
        assert_eq!(lines(&printed), ["`1`", "`1`", "`2`"]);
        assert_eq!(lines(&left_out), ["`2`", "`3`"]);
        assert_eq!(summarize(&left_out), "2 notes");
    }

    #[test]
    fn nothing_is_lost() {
        let all: Vec<Diagnostic> = (0..40).map(|i| missing(i, i % 7)).collect();
        let counted: usize = group_by_cause(&all).iter().map(DiagnosticGroup::len).sum();
        assert_eq!(counted, all.len());
        assert_eq!(summarize(&[]), "");
    }
}
