# The memory of the team: one recipe a habit. `just` lists them.

_default:
    @just --list

# What must pass before a commit: format, lint, tests, fuzz smoke, nothing left changed.
ci:
    .ci/run

# Run the tests; words filter them: `just test selector`.
test *WORDS:
    cargo test {{ WORDS }}

# Run the tests on a real control plane (tests/e2e/README.md); words filter them.
e2e *WORDS:
    cargo test --test e2e -- --ignored {{ WORDS }}

# Format and lint, warnings denied.
lint:
    cargo fmt --all
    cargo clippy --all-targets -- -D warnings

# Grep for what must not stay behind.
forbid:
    .ci/run forbid

# Write the expectations of golden cases and transcripts anew; read the diff before you commit it.
golden *WORDS:
    -UPDATE_GOLDEN=1 TRYCMD=overwrite cargo test {{ WORDS }}
    git --no-pager diff --stat

# Generate the tables of SidecarSet's Go types at the versions of tests/e2e/tools/schema/go.mod. Requires Go.
schema:
    tests/e2e/tools/schema/build.sh src/model/sidecar_set/schema
    git --no-pager diff --stat

# Measure render on generated repositories; KUSTOMIZE=/path/to/kustomize adds the peer; options: `just bench --quick`.
bench *OPTIONS:
    cargo bench --bench render -- {{ OPTIONS }}

# Measure plan and stage: every workload of 100 to 50,000 in 100 batches; options: `just bench-rollout --sizes 1000`.
bench-rollout *OPTIONS:
    cargo bench --bench plan -- {{ OPTIONS }}
    cargo bench --bench stage -- {{ OPTIONS }}

# Fuzz a target for some seconds with libFuzzer (needs a nightly toolchain); findings stay in fuzz/artifacts/.
fuzz TARGET SECONDS="60":
    cargo fuzz --version >/dev/null 2>&1 || cargo install --locked cargo-fuzz
    cargo +nightly fuzz run --sanitizer none {{ TARGET }} -- -max_total_time={{ SECONDS }} -timeout=10 -rss_limit_mb=2048

# Compare with further recorded answers of the real Kruise: folders that hold injection/, rollout/ and so on, joined by `:`.
conformance FOLDERS:
    PILLION_CONFORMANCE={{ FOLDERS }} cargo test --test all -- inject::conformance model::validation:: rollout::pods

# What the release workflow makes of this machine's target, and tries: archive, checksums, bill of materials.
release TARGET="x86_64-unknown-linux-musl":
    .ci/release build {{ TARGET }}
    .ci/release archive {{ TARGET }}
    .ci/release try {{ TARGET }}
    .ci/release sums
    .ci/release bom

# Check advisories, licences, sources and duplicates of the dependencies; the database of advisories is downloaded.
deny:
    cargo deny --version >/dev/null 2>&1 || cargo install --locked --version 0.20.2 cargo-deny
    cargo deny check advisories bans licenses sources

# Read what a person sees: render an example, with the release binary.
example NAME="logtail":
    cargo run --release -- render examples/{{ NAME }}

# Install the binary from this clone.
install:
    cargo install --locked --path .
