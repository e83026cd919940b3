//! The log of the watcher: one line per event on standard error, as JSON or text.
//!
//! Other crates log at warning level only: at debug level HTTP clients print headers and addresses.

use crate::diagnostics::escape;
use std::fmt::Debug;
use tracing::field::Field;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::field::MakeExt as _;
use tracing_subscriber::fmt::format::{Writer, debug_fn};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt};

/// The format of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum LogFormat {
    /// One JSON object: `timestamp`, `level`, `target`, `message` and the fields of the event.
    Json,
    /// For people.
    #[default]
    Text,
}

/// The verbosity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum LogVerbosity {
    /// `-q`: errors only.
    Quiet,
    /// Decisions and warnings.
    #[default]
    Normal,
    /// `-v`: reasons, too.
    Verbose,
}

impl LogVerbosity {
    /// Returns the filter of events.
    fn filter(self) -> EnvFilter {
        // RUST_LOG is ignored: it would let other crates log.
        let (others, own) = match self {
            Self::Quiet => (LevelFilter::ERROR, LevelFilter::ERROR),
            Self::Normal => (LevelFilter::WARN, LevelFilter::INFO),
            Self::Verbose => (LevelFilter::WARN, LevelFilter::DEBUG),
        };
        // pillion reports an unreachable server itself, once and not at every attempt.
        EnvFilter::new(format!("{others},pillion={own},kube_client::client::builder=off"))
    }
}

/// Starts the log; a second call has no effect.
///
/// `has_colors`: standard error is a terminal with colors.
pub(crate) fn init_logging(format: LogFormat, level: LogVerbosity, has_colors: bool) {
    let layer = layer(format, has_colors, std::io::stderr);
    // A subscriber that is already set, as in tests, stays.
    drop(tracing_subscriber::registry().with(layer.with_filter(level.filter())).try_init());
}

fn layer<W>(format: LogFormat, has_colors: bool, to: W) -> Box<dyn Layer<Registry> + Send + Sync>
where
    W: for<'a> fmt::MakeWriter<'a> + Send + Sync + 'static,
{
    match format {
        LogFormat::Json => fmt::layer()
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .with_writer(to)
            .boxed(),
        LogFormat::Text => fmt::layer()
            .fmt_fields(debug_fn(write_field).delimited(" "))
            .with_ansi(has_colors)
            .with_target(false)
            .with_writer(to)
            .boxed(),
    }
}

/// Writes a field without line breaks: servers may say anything.
fn write_field(writer: &mut Writer<'_>, field: &Field, value: &dyn Debug) -> std::fmt::Result {
    let text = format!("{value:?}");
    let text = escape::line(&text);
    match field.name() {
        "message" => write!(writer, "{text}"),
        name => write!(writer, "{name}={text}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct CapturedOutput(Arc<Mutex<Vec<u8>>>);

    impl Write for CapturedOutput {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn capture_log(format: LogFormat, level: LogVerbosity) -> String {
        let kept = CapturedOutput::default();
        let to = kept.clone();
        let layer = layer(format, false, move || to.clone());
        let subscriber = tracing_subscriber::registry().with(layer.with_filter(level.filter()));
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(sidecar_set = "log", batch = 2, "released");
            tracing::debug!("why");
            tracing::error!("no");
            tracing::info!(target: "hyper", "authorization: Bearer s3cr3t");
            tracing::debug!(target: "kube_client", "s3cr3t");
            tracing::error!(target: "kube_client::client::builder", "failed with error client error (Connect)");
        });
        let bytes = kept.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn json_is_one_object_a_line_with_the_fields_at_its_top() {
        let text = capture_log(LogFormat::Json, LogVerbosity::Normal);
        let lines: Vec<serde_json::Value> = text.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
        assert_eq!(lines.len(), 2, "{text}");
        assert_eq!((&lines[0]["message"], &lines[0]["batch"]), (&"released".into(), &2.into()));
        assert_eq!(lines[0]["sidecar_set"], "log");
        assert_eq!(lines[1]["level"], "ERROR");
    }

    #[test]
    fn a_line_of_text_stays_one_line() {
        let kept = CapturedOutput::default();
        let to = kept.clone();
        let subscriber =
            tracing_subscriber::registry().with(layer(LogFormat::Text, false, move || to.clone()));
        tracing::subscriber::with_default(subscriber, || {
            let message = "no\n2026-01-01 INFO released\u{1b}[2J\u{202e}";
            tracing::warn!(failure = %message, list = message, "the server says: {message}");
        });
        let text = String::from_utf8(kept.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(!text.trim_end().contains(escape::is_hidden), "{text}");
        assert_eq!(text.matches("no\\n2026-01-01 INFO released\\u001b[2J\\u202e").count(), 2, "{text}");
    }

    #[test]
    fn other_crates_are_not_heard_below_warnings() {
        let text = capture_log(LogFormat::Text, LogVerbosity::Verbose);
        assert!(text.contains("released sidecar_set=\"log\" batch=2") && text.contains("why"), "{text}");
        assert!(!text.contains("s3cr3t"), "{text}");
        assert_eq!(capture_log(LogFormat::Text, LogVerbosity::Quiet).lines().count(), 1);
    }
}
