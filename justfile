# Recipes for common tasks. `just` lists them.

_default:
    @just --list

# Run every check that a commit must pass: format, lint, tests, a short fuzz run, a clean tree.
ci:
    .ci/run

# Run the tests; words select some: `just test selector`.
test *WORDS:
    cargo test {{ WORDS }}

# Run the tests on a real control plane (tests/e2e/README.md); words select some.
e2e *WORDS:
    cargo test --test e2e -- --ignored {{ WORDS }}

# Format the code and lint it, with warnings as errors.
lint:
    cargo fmt --all
    cargo clippy --all-targets -- -D warnings

# Search for debugging leftovers.
forbid:
    .ci/run forbid

# Re-record the expectations of golden cases and transcripts. Read the diff before you commit it.
golden *WORDS:
    -UPDATE_GOLDEN=1 TRYCMD=overwrite cargo test {{ WORDS }}
    git --no-pager diff --stat

# Generate the tables of SidecarSet's Go types at the versions of tests/e2e/tools/schema/go.mod. Requires Go.
schema:
    tests/e2e/tools/schema/build.sh src/model/sidecar_set/schema
    git --no-pager diff --stat

# Measure render on generated repositories; KUSTOMIZE=/path/to/kustomize adds kustomize; options: `just bench --quick`.
bench *OPTIONS:
    cargo bench --bench render -- {{ OPTIONS }}

# Print the table of goals (docs/benchmarks.md); KUSTOMIZE=/path adds kustomize, AGAINST=/path another pillion.
goals *OPTIONS:
    cargo bench --bench goals -- {{ OPTIONS }}
    cargo bench --bench observe -- --pods 150000 --pods-per-deployment 15 --replica-sets-per-deployment 2 --nodes 5000

# Measure plan and stage: 100 to 50,000 workloads in 100 batches; options: `just bench-rollout --sizes 1000`.
bench-rollout *OPTIONS:
    cargo bench --bench plan -- {{ OPTIONS }}
    cargo bench --bench stage -- {{ OPTIONS }}

# Fuzz a target for some seconds with libFuzzer (needs a nightly toolchain). Findings are in fuzz/artifacts/.
fuzz TARGET SECONDS="60":
    cargo fuzz --version >/dev/null 2>&1 || cargo install --locked cargo-fuzz
    cargo +nightly fuzz run --sanitizer none {{ TARGET }} -- -max_total_time={{ SECONDS }} -timeout=10 -rss_limit_mb=2048

# Fuzz a reader of YAML (read_block_form, verify_walk), from manifests that projects publish. Requires Go and nightly.
fuzz-readers TARGET SECONDS="60":
    tests/e2e/tools/manifests.sh target/manifests
    mkdir -p fuzz/corpus/{{ TARGET }}
    cargo fuzz --version >/dev/null 2>&1 || cargo install --locked cargo-fuzz
    cargo +nightly fuzz run -O --sanitizer none {{ TARGET }} fuzz/corpus/{{ TARGET }} target/manifests -- -max_total_time={{ SECONDS }} -timeout=10 -rss_limit_mb=2048 -max_len=6000

# Compare with further recordings of the real Kruise: folders with injection/, rollout/ and so on, joined by `:`.
conformance FOLDERS:
    PILLION_CONFORMANCE={{ FOLDERS }} cargo test --test all -- inject::conformance model::validation:: rollout::pods

# Build and try what the release workflow publishes for one target: archive, checksums, bill of materials.
release TARGET="x86_64-unknown-linux-musl":
    .ci/release build {{ TARGET }}
    .ci/release archive {{ TARGET }}
    .ci/release try {{ TARGET }}
    .ci/release sums
    .ci/release bom

# Check advisories, licences, sources and duplicates of the dependencies. Downloads the database of advisories.
deny:
    cargo deny --version >/dev/null 2>&1 || cargo install --locked --version 0.20.2 cargo-deny
    cargo deny check advisories bans licenses sources

# Render an example with the release binary.
example NAME="logtail":
    cargo run --release -- render examples/{{ NAME }}

# Install the binary from this clone.
install:
    cargo install --locked --path .
