#!/bin/sh
# Puts pillion @VERSION@ where kustomize and kubectl look for an exec plugin of apiVersion pillion.dev/v1alpha1 and kind
# Sidecars. Then `kubectl kustomize --enable-alpha-plugins DIR` runs it, and fails without the flag.
# Its configuration is the Sidecars document of the function, without the annotation `config.kubernetes.io/function`.
set -eu
home=${KUSTOMIZE_PLUGIN_HOME:-${XDG_CONFIG_HOME:-$HOME/.config}/kustomize/plugin}
folder=$home/pillion.dev/v1alpha1/sidecars
mkdir -p "$folder"
ln -sf "$(command -v pillion)" "$folder/Sidecars"
echo "$folder/Sidecars"
