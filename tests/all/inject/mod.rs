//! Tests of injection: recorded answers of Kruise, single rules, and the wording of diagnostics.

mod conformance;
mod diagnostics;
mod modes;
mod rules;
mod unusual_pods;
