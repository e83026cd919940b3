//! The committed tables of SidecarSet's types are what the generator prints (`tools/schema`).

use crate::harness::tools;
use std::fs;
use std::path::Path;

#[test]
#[ignore = "needs Go and a Go module proxy: cargo test --test e2e -- --ignored"]
fn committed_types_are_generated() {
    tools::build("schema");
    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/model/sidecar_set/schema/types.rs");
    let generated = fs::read_to_string(tools::tool("schema", "types.rs")).unwrap();
    assert!(fs::read_to_string(committed).unwrap() == generated, "run `just schema` and commit types.rs");
}
