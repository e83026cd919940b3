#!/bin/sh
# Helm 3 starts pillion @VERSION@ as its post-renderer: it hands the manifests over and takes them back with sidecars.
# pillion.yaml is looked for in this folder and above. Hooks are not handed to post-renderers of Helm 3.
# Elsewhere: `--post-renderer-args render --post-renderer-args=--config=PATH/pillion.yaml --post-renderer-args -`.
exec helm upgrade --install "$@" --post-renderer pillion
