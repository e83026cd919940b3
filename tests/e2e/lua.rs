//! The health of SidecarSets under a real Lua, of the version and with the libraries that Argo CD's interpreter has.

use std::path::Path;
use std::process::Command;

/// What the object is (`spec.updateStrategy`, `status`, as tables of Lua), and the health it should have.
const CASES: [(&str, &str, &str, &str); 15] = [
    ("no status yet", "{}", "nil", "Progressing"),
    (
        "an older generation was observed",
        "{}",
        "{observedGeneration=1,matchedPods=1,updatedPods=1,updatedReadyPods=1}",
        "Progressing",
    ),
    (
        "all are updated",
        "{type='RollingUpdate'}",
        "{observedGeneration=2,matchedPods=3,updatedPods=3,updatedReadyPods=3}",
        "Healthy",
    ),
    (
        "one is updated",
        "{}",
        "{observedGeneration=2,matchedPods=3,updatedPods=1,updatedReadyPods=1}",
        "Progressing",
    ),
    (
        "one is not ready",
        "{}",
        "{observedGeneration=2,matchedPods=3,updatedPods=3,updatedReadyPods=2}",
        "Progressing",
    ),
    (
        "paused",
        "{paused=true}",
        "{observedGeneration=2,matchedPods=3,updatedPods=1,updatedReadyPods=1}",
        "Suspended",
    ),
    (
        "held by a number",
        "{partition=2}",
        "{observedGeneration=2,matchedPods=3,updatedPods=1,updatedReadyPods=1}",
        "Suspended",
    ),
    (
        "held by a percentage, which is rounded up",
        "{partition='50%'}",
        "{observedGeneration=2,matchedPods=3,updatedPods=1,updatedReadyPods=1}",
        "Suspended",
    ),
    (
        "not yet as many as a percentage lets go",
        "{partition='34%'}",
        "{observedGeneration=2,matchedPods=5,updatedPods=2,updatedReadyPods=2}",
        "Progressing",
    ),
    (
        "held by all",
        "{partition='100%'}",
        "{observedGeneration=2,matchedPods=3,updatedPods=0,updatedReadyPods=0}",
        "Suspended",
    ),
    (
        "held by more than there are",
        "{partition=5}",
        "{observedGeneration=2,matchedPods=3,updatedPods=0,updatedReadyPods=0}",
        "Suspended",
    ),
    (
        "a text that is a number",
        "{partition='2'}",
        "{observedGeneration=2,matchedPods=3,updatedPods=1,updatedReadyPods=1}",
        "Suspended",
    ),
    (
        "new pods only",
        "{type='NotUpdate'}",
        "{observedGeneration=2,matchedPods=3,updatedPods=0,updatedReadyPods=0}",
        "Healthy",
    ),
    (
        "no pods",
        "{partition=2}",
        "{observedGeneration=2,matchedPods=0,updatedPods=0,updatedReadyPods=0}",
        "Healthy",
    ),
    (
        "no strategy",
        "nil",
        "{observedGeneration=2,matchedPods=1,updatedPods=1,updatedReadyPods=1}",
        "Healthy",
    ),
];

/// What Argo CD leaves out (util/lua/lua.go, without `useOpenLibs`).
const WITHOUT_LIBRARIES: &str =
    "getmetatable('').__index = nil\nmath, string, io, debug, coroutine = nil, nil, nil, nil, nil";

#[test]
#[ignore = "needs lua5.1: cargo test --test e2e -- --ignored"]
fn the_health_of_a_sidecar_set() {
    let script =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("src/integrations/templates/argocd-health/sidecarset.lua");
    let script = std::fs::read_to_string(script).unwrap();
    for (what, strategy, status, expected) in CASES {
        let object =
            format!("{{metadata={{generation=2}},spec={{updateStrategy={strategy}}},status={status}}}");
        let program = format!(
            "local out = io\n{WITHOUT_LIBRARIES}\nlocal health = (function(obj) {script}\nend)({object})\nout.write(health.status)"
        );
        let output = Command::new("lua5.1").args(["-e", &program]).output().unwrap();
        let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(stdout, expected, "{what}: {}", String::from_utf8_lossy(&output.stderr));
    }
}
