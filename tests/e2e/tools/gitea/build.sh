#!/usr/bin/env bash
# Builds Gitea into a folder, from the Go module proxy, without the web assets, which need Node.js: `gitea`, and
# `static` with the files that it reads when it runs.
# Usage: build.sh FOLDER gitea
set -euo pipefail
out=$(mkdir -p "$1" && cd "$1" && pwd)
cd "$(dirname "$0")"
export CGO_ENABLED=0 GOTOOLCHAIN=local GOFLAGS=-buildvcs=false GOWORK=off
command -v go >/dev/null || { echo 'build.sh: Go 1.26 or newer is needed to build the servers' >&2 && exit 1; }

# v1.27.3 needs gitea.dev/sdk and gitea.dev/actions-proto-go, which the module proxy does not serve.
gitea=code.gitea.io/gitea@v1.26.0
# v1.26 has SQLite with cgo only. This is the driver of v1.27, in a version that needs no newer golang.org/x.
sqlite=modernc.org/sqlite@v1.40.0

SECONDS=0
folder=$(cd "$out" && go mod download -json "$gitea" | sed -n 's/^\t"Dir": "\(.*\)",\{0,1\}$/\1/p')
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp -r "$folder/." "$work"
chmod -R u+w "$work"
cp sqlite.go "$work/main_sqlite.go"
(
  cd "$work"
  go get "$sqlite"
  go build -trimpath -ldflags "-s -w -X main.Version=${gitea##*@v}" -o "$out/gitea" .
)
mkdir "$out/static"
cp -r "$work/options" "$work/templates" "$work/public" "$out/static"
echo "build.sh: built gitea in ${SECONDS}s" >&2
