//! Injection: what Kruise's pod webhook does, on a pod template. Pure.

use crate::diag::Diagnostic;
use crate::model::sidecar_set::SidecarSet;
use crate::yaml::{Document, Path};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// stub
pub struct PodTemplate<'a> {
    /// .
    pub document: &'a Document,
    /// .
    pub path: Path,
    /// .
    pub value: &'a Value,
    /// .
    pub is_pod: bool,
    /// .
    pub key: &'a str,
    /// .
    pub namespace: &'a str,
    /// .
    pub namespace_labels: NamespaceLabels<'a>,
}
/// stub
#[derive(Debug, Clone, Copy)]
pub enum NamespaceLabels<'a> {
    /// .
    Known(&'a BTreeMap<String, String>),
    /// .
    Unknown,
}
/// stub
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Annotations {
    /// .
    Minimal,
    /// .
    Kruise,
    /// .
    None,
}
/// stub
#[derive(Debug)]
pub struct Options {
    /// .
    pub annotations: Annotations,
}
/// stub
#[derive(Debug)]
pub struct Sets(Vec<Arc<SidecarSet>>);
impl Sets {
    /// .
    pub fn new(current: Vec<Arc<SidecarSet>>, _history: Vec<Arc<SidecarSet>>) -> Self {
        Self(current)
    }
    /// .
    pub fn current(&self) -> &[Arc<SidecarSet>] {
        &self.0
    }
}
/// stub
#[derive(Debug, Default)]
pub struct Outcome {
    /// .
    pub value: Option<Value>,
    /// .
    pub injected: Vec<String>,
    /// .
    pub diagnostics: Vec<Diagnostic>,
}
impl Outcome {
    /// stub
    pub fn explanation(&self) -> String {
        String::new()
    }
}
/// stub
pub fn inject(_t: &PodTemplate<'_>, _s: &Sets, _o: &Options) -> Outcome {
    Outcome::default()
}
