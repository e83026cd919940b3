//! Injection with the whole new template in its result.

use pillion::diagnostics::Diagnostic;
use pillion::inject::{self, InjectionTrace, Options, PodTemplate, SidecarSetStore};
use serde_json::Value;

/// The result of an injection.
pub(crate) struct InjectedTemplate {
    /// The whole new template; None if nothing changes or an error is among the diagnostics.
    pub(crate) template: Option<Value>,
    pub(crate) injected_sets: Vec<String>,
    pub(crate) diagnostics: Vec<Diagnostic>,
    pub(crate) trace: InjectionTrace,
}

pub(crate) fn inject(
    template: &PodTemplate<'_>,
    sets: &SidecarSetStore,
    options: &Options,
) -> InjectedTemplate {
    let (outcome, change) = inject::inject(template, sets, options);
    InjectedTemplate {
        template: change.map(|change| change.into_value(template.value)),
        injected_sets: outcome.injected_sets,
        diagnostics: outcome.diagnostics,
        trace: outcome.trace,
    }
}
