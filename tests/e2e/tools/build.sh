#!/usr/bin/env bash
# Builds the servers and clients of the end-to-end tests into a folder, from the Go module proxy.
# Versions that were tried and do not build are in README.md of the folder above.
# Usage: build.sh FOLDER tools|kruise|argocd|act|kustomize-old|helm...
set -euo pipefail
out=$(mkdir -p "$1" && cd "$1" && pwd)
shift
cd "$(dirname "$0")"
export CGO_ENABLED=0 GOTOOLCHAIN=local GOFLAGS=-buildvcs=false GOWORK=off
command -v go >/dev/null || { echo 'build.sh: Go 1.26 or newer is needed to build the servers' >&2 && exit 1; }

kubernetes=v1.36.3
kustomize=v5.8.2
kwok=v0.8.0
kruise=github.com/openkruise/kruise@v1.8.2
argocd=github.com/argoproj/argo-cd/v3@v3.2.11
act=github.com/nektos/act@v0.2.89
kustomize_old=sigs.k8s.io/kustomize/kustomize/v5@v5.5.0
helm_3=helm.sh/helm/v3@v3.21.4
helm_4=helm.sh/helm/v4@v4.3.1

# Prints the folder of a module in the module cache. Not run here: it would add to go.sum.
source_of() { (cd "$out" && go mod download -json "$1") | sed -n 's/^\t"Dir": "\(.*\)",\{0,1\}$/\1/p'; }

# A program out of its own module: `module_build NAME MODULE PACKAGE`. Its own go.mod and go.sum pin what it builds with.
module_build() {
  local folder
  folder=$(source_of "$2")
  (cd "$folder" && go build -trimpath -ldflags '-s -w' -o "$out/$1" "$3")
}

# A folder of manifests of a module: `copy MODULE FOLDER NAME`.
copy() {
  cp -r "$(source_of "$1")/$2" "$out/$3"
  chmod -R u+w "$out/$3"
}

tools() {
  local base=k8s.io/component-base/version
  local stamp="-X $base.gitVersion=$kubernetes -X $base.gitMajor=1 -X $base.gitMinor=36 -X $base.gitTreeState=clean"
  stamp+=" -X $base.gitCommit=0000000000000000000000000000000000000000 -X $base.buildDate=1970-01-01T00:00:00Z"
  stamp+=" -X k8s.io/client-go/pkg/version.gitVersion=$kubernetes"
  stamp+=" -X sigs.k8s.io/kustomize/api/provenance.version=$kustomize -X sigs.k8s.io/kustomize/api/provenance.buildDate=1970-01-01T00:00:00Z"
  stamp+=" -X sigs.k8s.io/kwok/pkg/consts.Version=$kwok"
  go build -trimpath -tags grpcnotrace -ldflags "-s -w $stamp" -o "$out/e2e-tools" .
  local name
  for name in etcd kube-apiserver kube-controller-manager kube-scheduler kubectl kustomize kwok; do
    ln -s e2e-tools "$out/$name"
  done
}

kruise() {
  module_build kruise-manager "$kruise" .
  copy "$kruise" config kruise-config
}

argocd() {
  module_build argocd "$argocd" ./cmd
  copy "$argocd" manifests argocd-manifests
}

act() { module_build act "$act" .; }

kustomize-old() { module_build kustomize "$kustomize_old" .; }

helm() {
  module_build helm3 "$helm_3" ./cmd/helm
  module_build helm4 "$helm_4" ./cmd/helm
}

for part in "$@"; do
  SECONDS=0
  "$part"
  echo "build.sh: built $part in ${SECONDS}s" >&2
done
