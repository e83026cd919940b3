//! Receivers of what the watch loop and the service do: the log, metrics, `--once` and `status --watch`.
//!
//! [`Environment`](super::environment::Environment) is all that the loop touches; an event sink is all that it reports to.

use super::environment::WatchError;
use super::report::EvaluationReport;
use crate::diagnostics::Diagnostic;
use crate::git::Commit;
use std::time::Duration;

/// A receiver of events of the loop.
pub trait EventSink {
    /// An evaluation has ended.
    fn on_evaluation(&mut self, report: &EvaluationReport);

    /// A staged branch was recreated; `overwritten` are the commits that it held.
    fn on_staged_rewritten(&mut self, branch: &str, overwritten: &[Commit]);

    /// A staged branch holds commits that pillion did not make. It stays unchanged.
    fn on_foreign_commits(&mut self, _diagnostic: &Diagnostic) {}

    /// A notification failed. Releases do not wait for it, and it is retried.
    fn on_notify_failed(&mut self, error: &WatchError);
}

/// A receiver of events of the service.
pub(crate) trait ServiceEventSink: EventSink {
    /// The deploy head holds an error, so nothing is released.
    fn on_invalid_head(&mut self, diagnostics: Vec<Diagnostic>);

    /// Something outside failed; `again` is the pause before the retry.
    fn on_error(&mut self, error: &WatchError, again: Duration);
}
