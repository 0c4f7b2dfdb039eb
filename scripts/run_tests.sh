#!/usr/bin/env bash
# Runs every folder of tests in a process of its own: event loops, Ray and servers that one folder leaves to the garbage
# collector cannot trouble the next. Further arguments go to pytest.
set -u
cd "$(dirname "$0")/.."
failed=()
for folder in tests/unit tests/sql tests/properties tests/federation tests/attacks tests/shared_data tests/tpch tests/charts; do
  ls "$folder"/test_*.py >/dev/null 2>&1 || continue
  echo "== $folder"
  .venv/bin/python -m pytest "$folder" "$@" || failed+=("$folder")
done
if [ "${#failed[@]}" -gt 0 ]; then
  echo "failed: ${failed[*]}" >&2
  exit 1
fi
