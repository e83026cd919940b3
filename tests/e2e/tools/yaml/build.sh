#!/usr/bin/env bash
# Builds `read-yaml`, Kubernetes' reader of YAML, into a folder, from the Go module proxy.
# Usage: build.sh FOLDER
set -euo pipefail
out=$(mkdir -p "$1" && cd "$1" && pwd)
cd "$(dirname "$0")"
export CGO_ENABLED=0 GOTOOLCHAIN=local GOFLAGS=-buildvcs=false GOWORK=off
command -v go >/dev/null || { echo 'build.sh: Go 1.26 or newer is required' >&2 && exit 1; }
go build -trimpath -o "$out/read-yaml" .
