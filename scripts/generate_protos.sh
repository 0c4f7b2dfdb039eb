#!/usr/bin/env bash
# Generates archipel/v1 from protos/. With --check it fails when what is committed differs.
set -euo pipefail
cd "$(dirname "$0")/.."
bin=${ARCHIPEL_BIN:-.venv/bin}
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
PATH="$PWD/$bin:$PATH" "$bin/python" -m grpc_tools.protoc -I protos \
  --python_out="$out" --grpc_python_out="$out" --mypy_out="$out" --mypy_grpc_out="$out" \
  protos/archipel/v1/*.proto
printf '"""Generated from protos/archipel/v1 by scripts/generate_protos.sh; never edited."""\n' > "$out/archipel/v1/__init__.py"
if [ "${1:-}" = "--check" ]; then
  diff -r -x __pycache__ "$out/archipel/v1" archipel/v1 || {
    echo "archipel/v1 differs from protos/: run 'make protos' and commit the result" >&2
    exit 1
  }
else
  mkdir -p archipel/v1
  rm -f archipel/v1/*.py archipel/v1/*.pyi
  cp "$out"/archipel/v1/* archipel/v1/
fi
