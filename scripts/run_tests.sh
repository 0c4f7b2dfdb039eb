#!/usr/bin/env bash
# Runs every folder of tests in processes of its own: event loops, Ray and servers that one folder leaves to the garbage
# collector cannot trouble the next. Folders whose tests need no federation of processes use all cores, a file each.
# Further arguments go to pytest.
set -u
cd "$(dirname "$0")/.."
failed=()
run() {
  local folder=$1; shift
  ls "$folder"/test_*.py >/dev/null 2>&1 || return
  echo "== $folder"
  .venv/bin/python -m pytest "$folder" "$@" || failed+=("$folder")
}
for folder in tests/unit tests/sql tests/properties tests/shared_data tests/tpch; do
  run "$folder" -n logical --maxprocesses=4 --dist loadfile "$@"
done
for folder in tests/federation tests/attacks tests/charts; do
  run "$folder" "$@"
done
if [ "${#failed[@]}" -gt 0 ]; then
  echo "failed: ${failed[*]}" >&2
  exit 1
fi
