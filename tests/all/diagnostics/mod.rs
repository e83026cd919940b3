//! Tests of diagnostics: each code has a case, and text from others is escaped.

mod golden_coverage;
mod untrusted_text;
