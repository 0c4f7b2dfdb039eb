#!/usr/bin/env bash
# Writes the hash-pinned lock files from pyproject.toml. Needs uv.
set -euo pipefail
cd "$(dirname "$0")/.."
compile() {
  out=$1; shift
  uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
    --custom-compile-command scripts/lock.sh pyproject.toml "$@" -o "requirements/$out"
}
compile client.lock
compile coordinator.lock --extra coordinator
compile node.lock --extra node
compile dev.lock --extra all --group dev
