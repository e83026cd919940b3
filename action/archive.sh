#!/usr/bin/env bash
# Makes dist/pillion-TARGET-vVERSION.tgz of a built binary: with completions and the manual page, the same bytes for the
# same binary.
set -euo pipefail
target=$1 version=$2
name="pillion-$target-v$version"
case $target in *windows*) program=pillion.exe ;; *) program=pillion ;; esac
binary="target/$target/release/$program"
rm -rf -- "dist/$name"
mkdir -p "dist/$name/completions" "dist/$name/helm4/pillion"
cp -- "$binary" LICENSE README.md CHANGELOG.md "dist/$name/"
for shell in bash zsh fish powershell elvish; do "$binary" completions "$shell" >"dist/$name/completions/pillion.$shell"; done
"$binary" man >"dist/$name/pillion.1"
"$binary" print helm4 >"dist/$name/helm4/pillion/plugin.yaml"
if tar --version 2>/dev/null | grep -q GNU; then
  tar --sort=name --owner=0 --group=0 --numeric-owner --mtime=@0 -C dist -cf - "$name" | gzip -n >"dist/$name.tgz"
else
  tar -C dist -czf "dist/$name.tgz" "$name"
fi
rm -rf -- "dist/${name:?}"
