#!/usr/bin/env bash
# Writes the documents of manifests that projects publish into a folder, one file each, from the Go module proxy.
# They are the corpus of `just fuzz-readers` and of the end-to-end test `go_reader`, and are never committed.
# Usage: manifests.sh FOLDER
set -euo pipefail
out=$(mkdir -p "$1" && cd "$1" && pwd)
cd "$(dirname "$0")"
export GOTOOLCHAIN=local GOWORK=off GOFLAGS=-mod=mod
command -v go >/dev/null || { echo 'manifests.sh: Go 1.26 or newer is required' >&2 && exit 1; }

modules=(
  github.com/argoproj/argo-cd/v3@v3.2.11
  github.com/argoproj/argo-rollouts@v1.8.3
  github.com/cert-manager/cert-manager@v1.18.2
  github.com/openkruise/kruise@v1.8.2
  github.com/prometheus-operator/prometheus-operator@v0.85.0
  github.com/tektoncd/pipeline@v1.0.0
  helm.sh/helm/v3@v3.21.4
  k8s.io/kubernetes@v1.36.3
  knative.dev/serving@v0.46.0
  sigs.k8s.io/gateway-api@v1.3.0
)

# Splits the files into documents of at most 64 KiB, each once.
split_documents() {
  LC_ALL=C awk -v out="$out" '
    function flush() {
      if (text != "" && size <= 65536 && !(text in seen)) {
        seen[text] = 1
        file = sprintf("%s/%06d.yaml", out, number++)
        printf "%s", text >file
        close(file)
      }
      text = ""
      size = 0
    }
    FNR == 1 || /^---/ { flush() }
    (size += length($0) + 1) <= 65536 { text = text $0 "\n" }
    END { flush() }' "$@"
}

folders=()
for module in "${modules[@]}"; do
  # Not run here: it would add to go.sum.
  folder=$(cd "$out" && go mod download -json "$module" | sed -n 's/^\t"Dir": "\(.*\)",\{0,1\}$/\1/p')
  folders+=("$folder")
done
files=()
while IFS= read -r -d '' file; do files+=("$file"); done < <(
  find "${folders[@]}" -type f \( -name '*.yaml' -o -name '*.yml' \) -print0 | LC_ALL=C sort -z
)
split_documents "${files[@]}"
echo "manifests.sh: $(find "$out" -name '*.yaml' | wc -l) documents of ${#files[@]} files" >&2
