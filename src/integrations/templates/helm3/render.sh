#!/bin/sh
# Helm 3 runs pillion @VERSION@ as its post-renderer, which adds sidecars to the manifests.
# pillion looks for pillion.yaml in this folder and above. Helm 3 does not pass hooks to post-renderers.
# From another folder: `--post-renderer-args render --post-renderer-args=--config=PATH/pillion.yaml --post-renderer-args -`.
exec helm upgrade --install "$@" --post-renderer pillion
