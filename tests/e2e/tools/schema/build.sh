#!/usr/bin/env bash
# Writes types.rs of src/model/sidecar_set/schema into a folder (`just schema`). Reads Go types from the Go module proxy.
# Usage: build.sh FOLDER
set -euo pipefail
out=$(mkdir -p "$1" && cd "$1" && pwd)
cd "$(dirname "$0")"
export CGO_ENABLED=0 GOTOOLCHAIN=local GOFLAGS=-buildvcs=false GOWORK=off
command -v go >/dev/null || { echo 'build.sh: Go 1.26 or newer is required' >&2 && exit 1; }
go run . >"$out/types.rs"
