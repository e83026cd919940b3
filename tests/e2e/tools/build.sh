#!/usr/bin/env bash
# Builds the servers and clients of the end-to-end tests into the folder named, from the Go module proxy.
# Versions that were tried and do not build are in README.md beside this file.
# Usage: build.sh FOLDER tools|kruise|argocd|act...
set -euo pipefail
out=$(mkdir -p "$1" && cd "$1" && pwd)
shift
cd "$(dirname "$0")"
export CGO_ENABLED=0 GOTOOLCHAIN=local GOFLAGS=-buildvcs=false GOWORK=off

kubernetes=v1.36.3
kustomize=v5.8.2
kwok=v0.8.0
kruise=github.com/openkruise/kruise@v1.8.2
argocd=github.com/argoproj/argo-cd/v3@v3.2.11
act=github.com/nektos/act@v0.2.89

# A program out of its own module: `module_build NAME MODULE PACKAGE`. Its own go.mod and go.sum pin what it builds with.
module_build() {
  local folder
  folder=$(go mod download -json "$2" | sed -n 's/^\t"Dir": "\(.*\)",\{0,1\}$/\1/p')
  (cd "$folder" && go build -trimpath -ldflags '-s -w' -o "$out/.$1" "$3")
  mv "$out/.$1" "$out/$1"
}

tools() {
  local base=k8s.io/component-base/version
  local stamp="-X $base.gitVersion=$kubernetes -X $base.gitMajor=1 -X $base.gitMinor=36 -X $base.gitTreeState=clean"
  stamp+=" -X $base.gitCommit=0000000000000000000000000000000000000000 -X $base.buildDate=1970-01-01T00:00:00Z"
  stamp+=" -X k8s.io/client-go/pkg/version.gitVersion=$kubernetes"
  stamp+=" -X sigs.k8s.io/kustomize/api/provenance.version=$kustomize -X sigs.k8s.io/kustomize/api/provenance.buildDate=1970-01-01T00:00:00Z"
  stamp+=" -X sigs.k8s.io/kwok/pkg/consts.Version=$kwok"
  go build -trimpath -tags grpcnotrace -ldflags "-s -w $stamp" -o "$out/.e2e-tools" .
  mv "$out/.e2e-tools" "$out/e2e-tools"
  local name
  for name in etcd kube-apiserver kube-controller-manager kube-scheduler kubectl kustomize kwok; do
    ln -sf e2e-tools "$out/$name"
  done
}

kruise() {
  module_build kruise-manager "$kruise" .
  # Its CRDs and webhook configurations, which the tests apply.
  cp -r "$(go mod download -json "$kruise" | sed -n 's/^\t"Dir": "\(.*\)",\{0,1\}$/\1/p')/config" "$out/kruise-config"
  chmod -R u+w "$out/kruise-config"
}

argocd() {
  module_build argocd "$argocd" ./cmd
  cp -r "$(go mod download -json "$argocd" | sed -n 's/^\t"Dir": "\(.*\)",\{0,1\}$/\1/p')/manifests" "$out/argocd-manifests"
  chmod -R u+w "$out/argocd-manifests"
}

act() { module_build act "$act" .; }

for part in "$@"; do "$part"; done
