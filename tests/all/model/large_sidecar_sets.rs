//! SidecarSets with an excessive number of entries or errors are handled quickly.

use indoc::indoc;
use pillion::model::sidecar_set::{DecodeMode, ValidationContext, decode_for, validate};
use pillion::yaml::{Document, FieldPath};
use std::sync::Arc;
use std::time::{Duration, Instant};

#[test]
fn huge_documents_take_little_time() {
    let many = 30_000;
    let names = |f: &dyn Fn(usize) -> String| (0..many).map(f).collect::<Vec<_>>().join("\n");
    let head = indoc! {"
        apiVersion: apps.kruise.io/v1beta1
        kind: SidecarSet
        metadata: {name: s}
        spec:
    "};
    for body in [
        names(&|i| format!("  unknown{i}: 1")),
        format!("  selector:\n    matchLabels:\n{}", names(&|i| format!("      a{i}: 1"))),
        format!("  containers:\n{}", names(&|_| "  - {shareVolumePolicy: enabled, name: A}".into())),
        format!(
            "  containers:\n  - name: a\n    transferEnv:\n{}",
            names(&|_| "    - {sourceContainerNameFrom: {}}".into())
        ),
        format!("  volumes:\n{}", names(&|i| format!("  - {{name: v{i}, emptyDir: {{}}, hostPath: {{}}}}"))),
        format!(
            "  containers:\n  - name: a\n    resources:\n      limits:\n{}",
            names(&|i| format!("        r{i}: 1"))
        ),
    ] {
        let document =
            Document::read(&"set.yaml".into(), 0, 1, &format!("{head}{body}\n")).expect("it is YAML");
        let document = Arc::new(document);
        let start = Instant::now();
        let (set, mut found) = decode_for(DecodeMode::Render, &document, &FieldPath::root());
        if let Some(set) = set {
            found.extend(validate(&set, ValidationContext::default()));
        }
        assert!(found.len() < 1000, "{} findings", found.len());
        assert!(start.elapsed() < Duration::from_secs(120), "{:?} for {}", start.elapsed(), &body[..60]);
    }
}
