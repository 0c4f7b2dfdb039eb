#!/usr/bin/env bash
# Runs every folder of tests in processes of its own: event loops, Ray and servers that one folder leaves to the garbage
# collector cannot trouble the next. Folders whose tests need no federation of processes use all cores, a file each; of
# the others two run at a time, which say what they have to say when they are done. Further arguments go to pytest.
set -u
cd "$(dirname "$0")/.."
results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT
run() {
  local folder=$1; shift
  ls "$folder"/test_*.py >/dev/null 2>&1 || return
  echo "== $folder"
  .venv/bin/python -m pytest "$folder" "$@" || touch "$results/failed-${folder//\//-}"
}
for folder in tests/unit tests/sql tests/properties tests/shared_data tests/tpch; do
  run "$folder" -n logical --maxprocesses=4 --dist loadfile "$@"
done
echo "== tests/federation, tests/charts beside tests/attacks"
{ run tests/federation "$@"; run tests/charts "$@"; } >"$results/federation" 2>&1 &
run tests/attacks "$@" >"$results/attacks" 2>&1 &
wait
cat "$results/federation" "$results/attacks"
failed=$(cd "$results" && ls failed-* 2>/dev/null | sed 's/^failed-//' | tr '\n' ' ')
if [ -n "$failed" ]; then
  echo "failed: $failed" >&2
  exit 1
fi
