#!/usr/bin/env bash
# Writes src/model/sidecar_set/schema/types.rs into a folder, from Go types out of the Go module proxy: `just schema`.
# Usage: build.sh FOLDER
set -euo pipefail
out=$(mkdir -p "$1" && cd "$1" && pwd)
cd "$(dirname "$0")"
export CGO_ENABLED=0 GOTOOLCHAIN=local GOFLAGS=-buildvcs=false GOWORK=off
command -v go >/dev/null || { echo 'build.sh: Go 1.26 or newer is needed to read the types' >&2 && exit 1; }
go run . >"$out/types.rs"
