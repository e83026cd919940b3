//! Warns of pods that the Pod Security level of their namespace admits now, and refuses with the new template.

use super::AdviceWorkload;
use crate::diagnostics::{Code, Diagnostic};
use crate::rollout::pod_security::{
    ENFORCE_LABEL, PodSecurityLevel, PodSecurityViolation, violations_of_level,
};

/// How many violations a message names; the others are counted.
const MAX_NAMED: usize = 3;

/// Warns of each workload with new pods that would be refused. Pods that are refused already are not its fault.
pub(crate) fn pod_security(subjects: &[AdviceWorkload<'_>]) -> Vec<Diagnostic> {
    subjects.iter().filter(|subject| subject.is_changed).filter_map(check).collect()
}

fn check(subject: &AdviceWorkload<'_>) -> Option<Diagnostic> {
    let level = PodSecurityLevel::of_namespace(subject.namespace_labels?)?;
    let [old, new] = [subject.old_requirements, subject.new_requirements]
        .map(|requirements| violations_of_level(&requirements.violations, level));
    let found: Vec<String> = new.map(describe).collect();
    if found.is_empty() || old.count() > 0 {
        return None;
    }
    let named = found[..found.len().min(MAX_NAMED)].join(", ");
    let more = match found.len().saturating_sub(MAX_NAMED) {
        0 => String::new(),
        n => format!(" and {n} more"),
    };
    let message = format!(
        "namespace `{}` refuses the new pods of {}: {named}{more}",
        subject.namespace,
        subject.title()
    );
    let diagnostic = Diagnostic::warning(Code::PodSecurityViolated, message);
    Some(
        subject
            .add_label(diagnostic, "")
            .because(format!("its label {ENFORCE_LABEL} is `{level}`, and the old pods keep to it"))
            .help("change the SidecarSet so that its pods keep to the level, or the label of the namespace"),
    )
}

fn describe(violation: &PodSecurityViolation) -> String {
    format!("{} ({})", violation.control, violation.subject.replace('"', "`"))
}
